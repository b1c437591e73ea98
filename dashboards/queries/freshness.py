"""How complete the data is: feeds, their lag, what they read and rejected, and the one watermark every page shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.rows import Page


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines of a feed in the window: read = rows + halves + repeated + rejected."""

    read: int = 0
    rows: int = 0
    halves: int = 0
    repeated: int = 0
    rejected: int = 0
    batches: int = 0
    seconds: float = 0.0

    @property
    def adds_up(self) -> bool:
        return self.read == self.rows + self.halves + self.repeated + self.rejected


@dataclass(frozen=True, slots=True)
class GapRow:
    feed: str
    start: datetime
    end: datetime | None
    reason: str
    missing: int | None


@dataclass(frozen=True, slots=True)
class FeedRow:
    id: int
    name: str
    kind: str
    kind_words: str
    airflow: str
    device: str
    state: str
    state_words: str
    message: str
    refusals: tuple[dict[str, str], ...]
    enabled: bool
    capture: str
    complete_from: datetime | None
    complete_to: datetime | None
    behind_s: float | None  # now minus complete_to; None where it has ended or never began
    last_ok_at: datetime | None
    last_row_at: datetime | None
    next_at: datetime | None
    failures: int
    position_lag: int
    counts: Counts
    rate: float  # lines a second while it read


@dataclass(frozen=True, slots=True)
class Freshness:
    feeds: tuple[FeedRow, ...]
    gaps: tuple[GapRow, ...]
    complete_from: datetime | None
    complete_to: datetime | None  # the smallest of the feeds that are needed
    behind_s: float | None
    waits_for: str  # name of the feed that is furthest behind
    sentence: str  # "Log data complete to 09:37:05 UTC"
    state: str  # ok late down empty


def freshness(now: datetime, asked: Filter | None = None) -> Freshness:
    raise NotImplementedError


def watermark(now: datetime) -> Freshness:
    """The same without counts and gaps, for the heading of every page."""
    raise NotImplementedError


def feeds(asked: Filter, scope: Scope, now: datetime) -> Page[FeedRow]:
    raise NotImplementedError
