"""Batches as they were committed, and the lines that could not be used, whole, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import paging
from dashboards.queries.database import reading
from dashboards.queries.freshness import chosen, gap_row
from dashboards.queries.rows import Page
from dashboards.queries.watermark import GapRow
from ingest import models
from ingest.records import TORN


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


@dataclass(frozen=True, slots=True)
class RejectGroup:
    """Unreadable lines of one feed with one reason, and the newest of them."""

    feed_id: int
    feed: str
    reason: str
    lines: int
    newest_at: datetime
    id: int
    raw: str
    tried_at: datetime | None  # when they were last read again, in vain

    @property
    def can_be_read(self) -> bool:
        """Whether a mend of ours could make rows of them."""
        return not self.reason.startswith(TORN)


KEYS = {"-at": paging.Key("at", datetime)}


@reading()
def batches(asked: Filter, scope: Scope) -> Page[BatchRow]:
    return paging.keyset(chosen_batches(asked).select_related("feed"), asked, KEYS, _batch)


@reading()
def rejects(asked: Filter, scope: Scope) -> Page[RejectRow]:
    return paging.keyset(chosen_rejects(asked).select_related("feed"), asked, KEYS, _reject)


@reading()
def gaps(asked: Filter, scope: Scope) -> Page[GapRow]:
    """Gaps that touch the time, the newest first."""
    keys = {"-start": paging.Key("start", datetime)}
    return paging.keyset(chosen_gaps(asked).select_related("feed"), asked, keys, gap_row)


@reading()
def reject_groups(feed_ids: Iterable[int], asked: Filter | None = None, most: int = 50) -> list[RejectGroup]:
    """What is unreadable of these feeds by reason, the commonest first; of the time asked for, or of all time."""
    found = models.Reject.objects.filter(feed__in=list(feed_ids))
    if asked is not None:
        found = found.filter(at__gte=asked.start, at__lt=asked.end)
    sums = {"lines": Count("id"), "newest_at": Max("at"), "newest": Max("id"), "last_tried": Max("tried_at")}
    groups = list(found.values("feed_id", "feed__name", "reason").annotate(**sums).order_by("-lines", "reason")[:most])
    newest = dict(models.Reject.objects.filter(pk__in=[one["newest"] for one in groups]).values_list("pk", "raw"))
    return [
        RejectGroup(
            one["feed_id"], one["feed__name"], one["reason"], one["lines"], one["newest_at"], one["newest"],
            newest.get(one["newest"], ""), one["last_tried"],
        )
        for one in groups
    ]  # fmt: skip


def chosen_gaps(asked: Filter) -> QuerySet[Any]:
    touching = Q(end=None) | Q(end__gt=asked.start)
    return models.Gap.objects.filter(touching, feed__in=_feeds(asked), start__lt=asked.end)


def chosen_batches(asked: Filter) -> QuerySet[Any]:
    return models.Batch.objects.filter(feed__in=_feeds(asked), at__gte=asked.start, at__lt=asked.end)


def chosen_rejects(asked: Filter) -> QuerySet[Any]:
    return models.Reject.objects.filter(feed__in=_feeds(asked), at__gte=asked.start, at__lt=asked.end)


def _feeds(asked: Filter) -> QuerySet[Any]:
    found = chosen(asked)
    return found.filter(state__in=asked.values("state")) if asked.state else found


def _batch(one: Any) -> BatchRow:
    return BatchRow(
        id=one.id, feed=one.feed.name, at=one.at, seconds=one.seconds, source=one.source,
        from_position=one.from_position, to_position=one.to_position, read=one.read, rows=one.rows, halves=one.halves,
        repeated=one.repeated, rejected=one.rejected,
    )  # fmt: skip


def _reject(one: Any) -> RejectRow:
    return RejectRow(one.id, one.feed.name, one.at, one.line_id, one.reason, one.raw)
