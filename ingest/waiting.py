"""Which of the tries that wait for a judgement are worth one now: those that nothing was said of yet, and those of which
something changed since: the row of the try or its log, how far a feed of its scope is complete, or a gap in its time.

A provisional verdict stands as long as a feed that it needs stands still, which can be hours. What was looked at is one
mark a try (`models.Waiting`), kept in the database, so that it counts for all workers and over restarts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from airf5.sql import load
from ingest.models import Airflow, Feed, Gap, Try
from ingest.rules import RULES_VERSION

LOOKS = timedelta(seconds=150)  # what is later than this after a try's end tells its judgement nothing
AT_ONCE = 5_000
COLUMNS = (
    "pk", "queued_at", "start_at", "end_at", "version", "log__fetched_at", "verdict__status", "waiting__mark",
)  # fmt: skip


class _Known(NamedTuple):
    """The feeds of one scope and what lasts or was noted of gaps, the same for all tries of an Airflow."""

    feeds: Sequence[tuple[Any, ...]]
    gaps: Sequence[tuple[Any, ...]]


def due(airflow: Airflow, limit: int) -> dict[int, str]:
    """The tries of this Airflow that are worth a judgement now, with the mark to be remembered of each; at most `limit`.

    First those of which nothing was said yet, then those that were judged longest ago.
    """
    tries = Try.objects.filter(airflow=airflow, judge=True, end_at__isnull=False)
    tries = tries.annotate(version=RawSQL("ingest_try.xmin::text::bigint", ()))
    found: dict[int, str] = {}
    known: _Known | None = None
    for row in _in_order(tries):
        known = known or _known(airflow)
        pk, queued, start, end, version, log, status, before = row
        began = min(filter(None, (queued, start, end)))
        mark = _mark(known, began, end, version, log)
        if status is None or mark != before:
            found[pk] = mark
            if len(found) >= limit:
                break
    return found


def _in_order(tries: QuerySet[Try]) -> Iterator[tuple[Any, ...]]:
    ordered = tries.order_by("verdict__judged_at", "end_at", "pk")
    for part in (ordered.filter(verdict=None), ordered.filter(verdict__isnull=False)):
        yield from part.values_list(*COLUMNS).iterator(chunk_size=AT_ONCE)


def _known(airflow: Airflow) -> _Known:
    mine = Feed.objects.filter(airflow=airflow).values_list("capture", flat=True).first() or ""
    scope = Feed.objects.filter(Q(capture=mine)).order_by("pk")
    feeds = scope.values_list("pk", "enabled", "state", "complete_from", "complete_to")
    closed = Feed.State.CLOSED
    gaps = Gap.objects.filter(feed__in=scope).order_by("pk")
    return _Known(
        [(pk, enabled, state == closed, begins, upto) for pk, enabled, state, begins, upto in feeds],
        list(gaps.values_list("pk", "start", "end", "missing", "expected")),
    )


def _mark(known: _Known, began: datetime, end: datetime, version: int, log: datetime | None) -> str:
    """What a judgement of this try would see, in short: equal marks, equal answers."""
    until = end + LOOKS
    parts: list[object] = [RULES_VERSION, version, log]
    for pk, enabled, closed, begins, upto in known.feeds:
        parts.append((pk, enabled, closed, begins, min(upto, until) if upto else None))
    for pk, start, over, missing, expected in known.gaps:
        if start < until and (over is None or over > began):
            parts.append((pk, start, over, missing, expected))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def remember(marks: Mapping[int, str]) -> None:
    """Note what was looked at of these tries, as far as they still wait, and forget those that do not any more.

    To be called in the transaction of the judgement, after the tries are marked as judged.
    """
    if marks:
        with connection.cursor() as cursor:
            cursor.execute(load("remember_waiting"), {"tries": list(marks), "marks": list(marks.values())})
