"""Health events: changes of members, nodes, pools and virtual servers."""

from __future__ import annotations

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.rows import HealthEventRow, Page


def listed(asked: Filter, scope: Scope) -> Page[HealthEventRow]:
    raise NotImplementedError
