"""Batches as they were committed, and the lines that could not be used, whole, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import paging
from dashboards.queries.database import reading
from dashboards.queries.freshness import chosen
from dashboards.queries.rows import Page
from ingest import models


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


KEYS = {"-at": paging.Key("at", datetime)}


@reading()
def batches(asked: Filter, scope: Scope) -> Page[BatchRow]:
    return paging.keyset(chosen_batches(asked).select_related("feed"), asked, KEYS, _batch)


@reading()
def rejects(asked: Filter, scope: Scope) -> Page[RejectRow]:
    return paging.keyset(chosen_rejects(asked).select_related("feed"), asked, KEYS, _reject)


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
