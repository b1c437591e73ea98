"""How complete the data is: feeds, their lag, what they read and rejected, and the one watermark every page shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import narrow, paging
from dashboards.queries.database import reading
from dashboards.queries.rows import Page
from dashboards.queries.watermark import Counts, FeedRow, Freshness, GapRow, freshness_of, needed
from ingest import models
from ingest.completeness.intervals import Lack, Span, ledger, share

__all__ = ["Counts", "FeedRow", "Freshness", "GapRow", "feeds", "freshness", "gaps", "watermark"]

DAY = timedelta(days=1)
MOST_GAPS = 200
COUNTED = ("read", "rows", "halves", "repeated", "rejected")


@reading()
def freshness(now: datetime, asked: Filter | None = None, captures: Iterable[str] | None = None) -> Freshness:
    """Feeds with what they read in the window (all of it without one), gaps, and the watermark.

    `captures`: only feeds of these, "" for the live ones; without them what the question is about decides.
    """
    counts = _counts(asked)
    known = _gaps(*((asked.start, asked.end) if asked else (None, None)))
    rows = _rows(_in_scope(asked, captures), now, counts, known)
    mine = {row.name for row in rows if row.enabled}
    missing = tuple(gap for gap in known if gap.feed in mine and (asked is None or gap.start < asked.end))
    return freshness_of(rows, missing[:MOST_GAPS], now, asked)


@reading()
def watermark(now: datetime, asked: Filter | None = None, captures: Iterable[str] | None = None) -> Freshness:
    """The same without counts, and with the gaps that hide data only, for the heading of every page."""
    start, end = (asked.start, asked.end) if asked else (now - DAY, now)
    known = _gaps(start, end)
    rows = _rows(_in_scope(asked, captures), now, {}, known)
    mine = {row.name for row in needed(rows)}
    missing = tuple(gap for gap in known if gap.hides and gap.feed in mine and gap.start < end)
    return freshness_of(rows, missing, now, asked)


def _gaps(start: datetime | None, end: datetime | None) -> list[GapRow]:
    """The gaps that touch the window, and those that last, wherever they began; oldest first, the old ones left out."""
    found = models.Gap.objects.select_related("feed")
    if start is not None and end is not None:
        found = found.filter(Q(end=None) | Q(end__gt=start, start__lt=end))
    last = found.order_by(F("end").desc(nulls_first=True), "-id")[: MOST_GAPS * 5]
    return [gap_row(gap) for gap in sorted(last, key=lambda gap: (gap.start, gap.id))]


def _rows(found: Iterable[Any], now: datetime, counts: dict[int, Counts], known: Iterable[GapRow]) -> list[FeedRow]:
    """The feeds as rows; one that lacks everything from some moment on is complete no further."""
    lasting: dict[int, datetime] = {}
    for gap in known:
        if gap.end is None and gap.kind != models.Gap.Kind.OTHER:
            lasting[gap.feed_id] = min(gap.start, lasting.get(gap.feed_id, gap.start))
    return [_row(feed, counts.get(feed.id, Counts()), now, lasting.get(feed.id)) for feed in found]


def _in_scope(asked: Filter | None, captures: Iterable[str] | None) -> QuerySet[Any]:
    """The feeds of some captures, by name or because they are what a question is about."""
    found = models.Feed.objects.select_related("airflow", "device__group")
    if captures is None and asked is not None and any(getattr(asked, name) for name in ABOUT):
        captures = set(chosen(asked.with_(feed="")).values_list("capture", flat=True)) or None
    return found if captures is None else found.filter(capture__in=list(captures))


ABOUT = ("airflow", "device_group", "dag", "airflow_pool", "endpoint", "f5_pool")


@reading()
def several_airflows() -> bool:
    return len(models.Airflow.objects.values_list("id")[:2]) > 1


@reading()
def several_groups() -> bool:
    return len(models.DeviceGroup.objects.values_list("id")[:2]) > 1


@reading()
def capture_of(*, airflow: str = "", device_group: str = "", endpoint: int = 0) -> set[str]:
    """The capture whose Airflow, device group or endpoint (an id) it is; "" for live ones, and for what has no feed."""
    group = {"device__group__endpoints": endpoint} if endpoint else {"device__group__name": device_group}
    mine = {"airflow__name": airflow} if airflow else group
    return set(models.Feed.objects.filter(**mine).values_list("capture", flat=True)) or {""}


@reading()
def feeds(asked: Filter, scope: Scope, now: datetime) -> Page[FeedRow]:
    counts = _counts(asked)
    found = (
        chosen(asked).select_related("airflow", "device__group").order_by("-name" if asked.sort == "-name" else "name")
    )
    if asked.state:
        found = found.filter(state__in=asked.values("state"))
    known, mine = _gaps(asked.start, asked.end), dict[int, list[GapRow]]()
    for gap in known:
        if gap.start < asked.end:
            mine.setdefault(gap.feed_id, []).append(gap)
    rows = [_with_gaps(row, mine.get(row.id, []), asked, now) for row in _rows(found, now, counts, known)]
    return paging.keyset_in_memory(rows, asked, lambda row: (row.name,))


def _with_gaps(row: FeedRow, mine: Sequence[GapRow], asked: Filter, now: datetime) -> FeedRow:
    window = Span(asked.start, max(asked.start, min(asked.end, now)))
    lacks = [Lack(gap.start, gap.end, gap.reason, gap.thin) for gap in mine]
    complete = share(ledger(window, row.complete_from, row.complete_to, lacks))
    return replace(row, gaps=tuple(mine), complete_share=complete)


def chosen(asked: Filter) -> QuerySet[Any]:
    """The feeds a question is about: those of its Airflow, and those of the devices its routes are on."""
    found = models.Feed.objects.filter(narrow.names("name", asked.feed), narrow.names("airflow__name", asked.airflow))
    for field, column in (("dag", "dag_id"), ("airflow_pool", "airflow_pool")):
        if value := getattr(asked, field):
            found = found.filter(airflow__in=models.Try.objects.filter(narrow.names(column, value)).values("airflow"))
    if asked.device_group:
        found = found.filter(narrow.in_group(asked, "device__group__name"))
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
    return tuple(gap_row(gap) for gap in found.order_by("start", "id")[:MOST_GAPS])


def gap_row(gap: Any) -> GapRow:
    return GapRow(
        feed=gap.feed.name, start=gap.start, end=gap.end, reason=gap.reason, missing=gap.missing, id=gap.id,
        feed_id=gap.feed_id, feed_kind=gap.feed.kind, kind=gap.kind, kind_words=gap.get_kind_display(),
        expected=gap.expected,
    )  # fmt: skip


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


def _row(feed: Any, counts: Counts, now: datetime, lacking_from: datetime | None = None) -> FeedRow:
    if feed.complete_to is not None and lacking_from is not None:
        feed.complete_to = max(min(feed.complete_to, lacking_from), feed.complete_from or lacking_from)
    ended = bool(feed.capture) or feed.state == models.Feed.State.CLOSED
    follows = feed.enabled and not ended and feed.complete_to is not None
    return FeedRow(
        id=feed.id, name=feed.name, kind=feed.kind, kind_words=feed.get_kind_display(),
        airflow=feed.airflow.name if feed.airflow else "", device=feed.device.name if feed.device else "",
        device_group=feed.device.group.name if feed.device else "",
        state=feed.state, state_words=feed.get_state_display(), message=feed.message, refusals=tuple(feed.refusals),
        enabled=feed.enabled, capture=feed.capture, complete_from=feed.complete_from, complete_to=feed.complete_to,
        behind_s=max(0.0, (now - feed.complete_to).total_seconds()) if follows else None,
        last_ok_at=feed.last_ok_at, last_row_at=feed.last_row_at, next_at=feed.next_at, failures=feed.failures,
        position_lag=feed.position_lag, counts=counts, rate=counts.read / counts.seconds if counts.seconds else 0.0,
    )  # fmt: skip
