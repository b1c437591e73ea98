"""Requests that crossed F5: a keyset list that walks back by slices of time, and those of one try or endpoint."""

from __future__ import annotations

from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.rows import Page, RequestRow


def listed(asked: Filter, scope: Scope) -> Page[RequestRow]:
    raise NotImplementedError


def of_try(try_id: int, start: datetime, end: datetime, limit: int = 500) -> tuple[RequestRow, ...]:
    """The requests joined exactly to a try, oldest first."""
    raise NotImplementedError


def of_endpoint(
    endpoint_id: int, start: datetime, end: datetime, *, failed: bool = False, limit: int = 500
) -> tuple[RequestRow, ...]:
    """All requests of an endpoint, good ones too, oldest first."""
    raise NotImplementedError
