"""The three sentences of /now/: is it F5, which part, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.freshness import Freshness
from dashboards.queries.overview import NotF5
from dashboards.queries.rows import IncidentRow


@dataclass(frozen=True, slots=True)
class Now:
    at: datetime
    answer: str  # route service task unknown none
    incident: IncidentRow | None  # the open one that hit most tries
    others: tuple[IncidentRow, ...]
    who: str  # whom to call
    next_step: str
    hit: int
    lost: int
    waiting: int  # for their retry, or running again
    dags: tuple[str, ...]
    not_f5: tuple[NotF5, ...]
    well: tuple[str, ...]  # endpoints with traffic and no failure
    freshness: Freshness


def now_page(asked: Filter, scope: Scope, now: datetime) -> Now:
    raise NotImplementedError
