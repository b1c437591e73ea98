"""User actions of all three layers: who did what, with the sentences an auditor needs about the population."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.freshness import GapRow
from dashboards.queries.rows import ActionRow, Page


@dataclass(frozen=True, slots=True)
class Population:
    """What the list was drawn from: all of it, or with which gaps."""

    total: int
    layers: tuple[tuple[str, int], ...]
    start: datetime
    end: datetime
    gaps: tuple[GapRow, ...]
    rejected: int  # audit lines in the window that could not be read
    sentence: str


def listed(asked: Filter, scope: Scope) -> Page[ActionRow]:
    raise NotImplementedError


def population(asked: Filter, scope: Scope) -> Population:
    raise NotImplementedError


def preceding(at: datetime, minutes: int = 30, limit: int = 50) -> tuple[ActionRow, ...]:
    """What people did on both layers before an instant, newest first (airf5's own actions left out)."""
    raise NotImplementedError
