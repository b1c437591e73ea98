"""How complete the data is: feeds, their lag, what they read and rejected, and the one watermark every page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import narrow, paging
from dashboards.queries.database import reading
from dashboards.queries.rows import Page
from ingest import models


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

    @property
    def known(self) -> tuple[datetime | None, datetime | None]:
        """From when to when nothing is missing."""
        return self.complete_from, self.complete_to


# A verdict waits for these; a snapshot or an audit log that lags does not make an answer wrong.
NEEDED = ("airflow_api", "airflow_capture", "f5_request", "f5_ltm")
LATE_S = 120.0
COUNTED = ("read", "rows", "halves", "repeated", "rejected")


@reading()
def freshness(now: datetime, asked: Filter | None = None) -> Freshness:
    """Feeds with what they read in the window (all of it without one), gaps, and the watermark."""
    found = list(models.Feed.objects.select_related("airflow", "device"))
    counts = _counts(asked)
    rows = tuple(_row(feed, counts.get(feed.id, Counts()), now) for feed in found)
    missing = gaps(asked.start, asked.end) if asked else gaps()
    return _freshness(rows, missing, now)


@reading()
def watermark(now: datetime) -> Freshness:
    """The same without counts and gaps, for the heading of every page."""
    found = models.Feed.objects.select_related("airflow", "device")
    return _freshness(tuple(_row(feed, Counts(), now) for feed in found), (), now)


@reading()
def feeds(asked: Filter, scope: Scope, now: datetime) -> Page[FeedRow]:
    counts = _counts(asked)
    found = chosen(asked).select_related("airflow", "device").order_by("-name" if asked.sort == "-name" else "name")
    if asked.state:
        found = found.filter(state__in=asked.values("state"))
    rows = [_row(feed, counts.get(feed.id, Counts()), now) for feed in found]
    return paging.keyset_in_memory(rows, asked, lambda row: (row.name,))


def chosen(asked: Filter) -> QuerySet[Any]:
    """The feeds a question is about: those of its Airflow, and those of the devices its routes are on."""
    found = models.Feed.objects.filter(narrow.names("name", asked.feed), narrow.names("airflow__name", asked.airflow))
    for field, column in (("dag", "dag_id"), ("airflow_pool", "airflow_pool")):
        if value := getattr(asked, field):
            found = found.filter(airflow__in=models.Try.objects.filter(narrow.names(column, value)).values("airflow"))
    if asked.endpoint:
        groups = models.Endpoint.objects.filter(narrow.names("name", asked.endpoint, path=True)).values("group")
        found = found.filter(device__group__in=groups)
    if asked.f5_pool:
        groups = models.F5Pool.objects.filter(narrow.names("name", asked.f5_pool, path=True)).values("group")
        found = found.filter(device__group__in=groups)
    return found


@reading()
def gaps(
    start: datetime | None = None, end: datetime | None = None, *, kinds: Sequence[str] = ()
) -> tuple[GapRow, ...]:
    """Known gaps that touch the window, at most 200, oldest first."""
    found = models.Gap.objects.select_related("feed")
    if end is not None:
        found = found.filter(start__lt=end)
    if start is not None:
        found = found.filter(Q(end=None) | Q(end__gt=start))
    if kinds:
        found = found.filter(feed__kind__in=kinds)
    return tuple(
        GapRow(gap.feed.name, gap.start, gap.end, gap.reason, gap.missing)
        for gap in found.order_by("start", "id")[:200]
    )


def _counts(asked: Filter | None) -> dict[int, Counts]:
    found = models.Batch.objects.all()
    if asked is not None:
        found = found.filter(at__gte=asked.start, at__lt=asked.end)
    sums = {name: Sum(name) for name in (*COUNTED, "seconds")}
    # An annotation may not be called like a column, so the sums go by another name.
    grouped = found.values("feed_id").annotate(n=Count("id"), **{f"sum_{name}": total for name, total in sums.items()})
    return {
        group["feed_id"]: Counts(*(group[f"sum_{name}"] for name in COUNTED), group["n"], group["sum_seconds"])
        for group in grouped
    }


def _row(feed: Any, counts: Counts, now: datetime) -> FeedRow:
    follows = feed.enabled and feed.state != models.Feed.State.CLOSED and feed.complete_to is not None
    return FeedRow(
        id=feed.id, name=feed.name, kind=feed.kind, kind_words=feed.get_kind_display(),
        airflow=feed.airflow.name if feed.airflow else "", device=feed.device.name if feed.device else "",
        state=feed.state, state_words=feed.get_state_display(), message=feed.message, refusals=tuple(feed.refusals),
        enabled=feed.enabled, capture=feed.capture, complete_from=feed.complete_from, complete_to=feed.complete_to,
        behind_s=max(0.0, (now - feed.complete_to).total_seconds()) if follows else None,
        last_ok_at=feed.last_ok_at, last_row_at=feed.last_row_at, next_at=feed.next_at, failures=feed.failures,
        position_lag=feed.position_lag, counts=counts, rate=counts.read / counts.seconds if counts.seconds else 0.0,
    )  # fmt: skip


def _freshness(rows: tuple[FeedRow, ...], missing: tuple[GapRow, ...], now: datetime) -> Freshness:
    """Feeds that have ended say nothing about now, unless there are no others."""
    needed = [row for row in rows if row.kind in NEEDED and row.enabled]
    current = [row for row in needed if row.state != "closed"] or needed
    started = [row.complete_from for row in needed if row.complete_from]
    begun = [row for row in current if row.complete_to]
    if not current:
        return Freshness(rows, missing, None, None, None, "", "Nothing has arrived yet", "empty")
    if len(begun) < len(current):
        silent = next(row for row in current if not row.complete_to)
        text = f"Not complete yet: {silent.name} has not said how far it is"
        return Freshness(rows, missing, min(started, default=None), None, None, silent.name, text, "late")
    last = min(begun, key=lambda row: row.complete_to or now)
    assert last.complete_to is not None  # rows of `begun` have it
    behind = last.behind_s
    state = "down" if any(row.state in ("down", "refused") for row in current) else "ok"
    state = "late" if state == "ok" and behind is not None and behind > LATE_S else state
    words = (
        f"{last.complete_to:%H:%M:%S} UTC"
        if last.complete_to.date() == now.date()
        else f"{last.complete_to:%-d %b %Y %H:%M:%S} UTC"
    )
    return Freshness(
        rows,
        missing,
        min(started, default=None),
        last.complete_to,
        behind,
        last.name,
        f"Log data complete to {words}",
        state,
    )
