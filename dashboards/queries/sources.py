"""Batches as they were committed, and the lines that could not be used, whole, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.rows import Page


@dataclass(frozen=True, slots=True)
class BatchRow:
    id: int
    feed: str
    at: datetime
    seconds: float
    source: str
    from_position: int
    to_position: int
    read: int
    rows: int
    halves: int
    repeated: int
    rejected: int


@dataclass(frozen=True, slots=True)
class RejectRow:
    id: int
    feed: str
    at: datetime
    line_id: int | None
    reason: str
    raw: str


def batches(asked: Filter, scope: Scope) -> Page[BatchRow]:
    raise NotImplementedError


def rejects(asked: Filter, scope: Scope) -> Page[RejectRow]:
    raise NotImplementedError
