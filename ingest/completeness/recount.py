"""Recount what is stored by what the other side counts itself: F5's own totals, and the numbers of Airflow's event log.

A difference beyond what lies at the ends of an interval is a gap with its number; agreement disproves a silence. F5's
totals are compared when the log of that time has been read; then the older sample has done its work.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from django.db import connection, transaction

from airf5.sql import load
from ingest import airflow_feed, leases
from ingest.completeness import ledger
from ingest.completeness.intervals import Span
from ingest.models import (
    CounterSample,
    Device,
    Endpoint,
    F5Pool,
    Feed,
    Gap,
    Recount,
    RequestHalf,
    RequestMinute,
    SpoolFile,
)
from ingest.sources import airflow_count
from ingest.sources.http import SourceError

log = logging.getLogger(__name__)
Kind = Gap.Kind
READ_AFTER = timedelta(seconds=10)  # lines of a moment are read so long after it
EDGE = timedelta(seconds=2)  # a request is counted when it arrives and logged when it is answered
LOGGED_WITHIN = timedelta(days=1)  # virtual servers without any line for so long do not log; doctor says so
KEEP_SAMPLES = timedelta(days=1)
LONGEST = timedelta(hours=1)  # over a longer break of the samples nothing is said
VIRTUALS, POOLS, EVENTS = (
    "F5's totals of its virtual servers",
    "F5's totals of its pool members",
    "the event log's numbers",
)
MOST_JUMP, LEAST_EVENTS = 100, 10  # a jump beyond so many times what came says nothing of what is missing
TRIES = "Airflow's own count of its ended tasks"
COUNTED_AFTER = timedelta(minutes=10)  # an hour is counted when what ended in it has long been pulled
COUNT_EVERY = timedelta(minutes=10)
HOUR, SETTLED = timedelta(hours=1), timedelta(minutes=2)
AIRFLOWS = ("airflow_api", "airflow_db")


class Count(NamedTuple):
    """What one side and the other counted in an interval."""

    counted: int
    stored: int
    slack: int
    by: str


def update(now: datetime) -> int:
    """Recount whatever can be by now; how many intervals."""
    done = 0
    for device in Device.objects.filter(counter_samples__isnull=False).distinct().order_by("pk"):
        done += recount_device(device, now)
    for feed in Feed.objects.filter(kind__in=AIRFLOWS, capture="", enabled=True).select_related("airflow"):
        done += recount_events(feed)
    return done


# F5


def recount_device(device: Device, now: datetime) -> int:
    """Compare consecutive samples of a device with its request log, as far as that has been read."""
    feeds = list(Feed.objects.filter(device=device, kind=Feed.Kind.F5_REQUEST, capture="", enabled=True).order_by("pk"))
    with transaction.atomic():
        samples = list(CounterSample.objects.select_for_update().filter(device=device).order_by("at"))
        if not feeds:
            CounterSample.objects.filter(device=device, at__lt=now - KEEP_SAMPLES).delete()
            return 0
        read_to = min(_looked_at(feed) for feed in feeds)
        done = 0
        for earlier, later in pairwise(samples):
            if later.at + READ_AFTER > read_to:
                break
            count = _count(device, feeds, earlier, later) if later.at - earlier.at <= LONGEST else None
            if count is not None:
                _conclude(feeds[0], Span(earlier.at, later.at), count)
                done += 1
            earlier.delete()
        return done


def _looked_at(feed: Feed) -> datetime:
    said = feed.cursor.get("looked_at")
    return datetime.fromisoformat(said) if said else datetime.fromisoformat("0001-01-01T00:00:00+00:00")


def _count(device: Device, feeds: Sequence[Feed], earlier: CounterSample, later: CounterSample) -> Count | None:
    """Both counts, by virtual servers where the device tells requests of them, else by pool members."""
    files = list(SpoolFile.objects.filter(feed__in=feeds).values_list("pk", flat=True))
    span = Span(*(_by_its_clock(device, at) for at in (earlier.at, later.at)))
    virtuals = _moved(earlier.virtuals, later.virtuals)
    rows = Endpoint.objects.filter(group=device.group_id, name__in=virtuals, logs_requests=True, sees_http=True)
    known = {row.name: row.pk for row in _logging(rows, later.at)}
    if known:
        counted = sum(virtuals[name] for name in known)
        stored, near = _stored(device, files, span, endpoints=list(known.values()))
        waiting = RequestHalf.objects.filter(
            feed__in=feeds, endpoint__in=known.values(), ts__gte=span.start, ts__lt=span.end
        ).count()
        return Count(counted, stored + waiting, near + 1, VIRTUALS)
    pools = _moved(earlier.pools, later.pools)
    found = dict(F5Pool.objects.filter(group=device.group_id, name__in=pools).values_list("name", "pk"))
    logged = Endpoint.objects.filter(f5_pool__in=found.values(), logs_requests=True, sees_http=True)
    used = {row.f5_pool_id for row in _logging(logged, later.at)}
    found = {name: pk for name, pk in found.items() if pk in used}
    if not found:
        return None
    stored, near = _stored(device, files, span, pools=list(found.values()))
    return Count(sum(pools[name] for name in found), stored, near + 1, POOLS)


def _moved(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, int]:
    """By how much the requests of each grew; one that was reset, or does not tell, is left out."""
    out = {}
    for name, (requests, *_) in later.items():
        before = (earlier.get(name) or [None])[0]
        if isinstance(requests, int) and isinstance(before, int) and requests >= before:
            out[name] = requests - before
    return out


def _logging(endpoints: Iterable[Endpoint], at: datetime) -> list[Endpoint]:
    """Those of which a line came in the last day."""
    rows = list(endpoints)
    minutes = RequestMinute.objects.filter(endpoint_id__in=[row.pk for row in rows], start__gte=at - LOGGED_WITHIN)
    heard = set(minutes.values_list("endpoint_id", flat=True).distinct())
    return [row for row in rows if row.pk in heard]


def _by_its_clock(device: Device, at: datetime) -> datetime:
    return at + timedelta(microseconds=device.skew_us or 0)


def _stored(
    device: Device, files: list[int], span: Span, endpoints: list[int] | None = None, pools: list[int] | None = None
) -> tuple[int, int]:
    edge = EDGE + timedelta(microseconds=device.skew_error_us or 0)
    parameters = {
        "files": files, "endpoints": endpoints, "pools": pools, "from": span.start, "to": span.end, "edge": edge
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(load("recount_feed"), parameters)
        stored, near = cursor.fetchone()
        return stored, near


def _conclude(feed: Feed, span: Span, count: Count) -> None:
    """Write the recount down; a difference is a gap, agreement disproves a silence."""
    counts = {"end": span.end, "counted": count.counted, "stored": count.stored, "slack": count.slack}
    Recount.objects.update_or_create(feed=feed, start=span.start, by=count.by, defaults=counts)
    missing = count.counted - count.stored
    if missing <= count.slack:
        ledger.disprove(feed, span)
        return
    kind = Kind.SEQUENCE if count.by == EVENTS else Kind.COUNTED
    last = Gap.objects.filter(feed=feed, kind=kind, end=span.start, reason=REASONS[count.by]).first()
    if last is None:
        ledger.note(feed, kind, span.start, span.end, REASONS[count.by], missing, count.counted)
        return
    sums = {"missing": (last.missing or 0) + missing, "expected": (last.expected or 0) + count.counted}
    Gap.objects.filter(pk=last.pk).update(end=span.end, **sums)
    ledger.judge_again(feed, span.start, span.end)


REASONS = {
    VIRTUALS: "F5's own totals of its virtual servers count more requests than its log holds",
    POOLS: "F5's own totals of its pool members count more requests than its log holds",
    TRIES: "Airflow counts more ended tasks than were pulled from it",
    EVENTS: "numbers of Airflow's event log are missing: deleted, hidden from our user, or given up by its database",
}


# Airflow


def recount_events(feed: Feed) -> int:
    """The event log's numbers of the hours that are over, each once; how many hours."""
    if (
        feed.complete_from is None
        or feed.complete_to is None
        or any("eventLogs" in r["endpoint"] for r in feed.refusals)
    ):
        return 0
    last = Recount.objects.filter(feed=feed, by=EVENTS).order_by("-end").first()
    start = last.end if last else feed.complete_from.replace(minute=0, second=0, microsecond=0) + HOUR
    done = 0
    while start + HOUR + SETTLED <= feed.complete_to:
        span = Span(start, start + HOUR)
        assert feed.airflow is not None
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(load("recount_events"), {"source": feed.airflow.name, "from": span.start, "to": span.end})
            before, highest, stored = cursor.fetchone()
            counted = highest - before if before is not None and highest is not None else 0
            if counted > MOST_JUMP * max(stored, LEAST_EVENTS):
                counted = 0  # the numbering was moved on (a restored or migrated database), or nearly all is hidden
            _conclude(feed, span, Count(max(0, counted), stored if counted > 0 else 0, 0, EVENTS))
        start, done = span.end, done + 1
    return done


def recount_tries(feed: Feed, now: datetime, **session: Any) -> int:
    """Ask an Airflow how many tasks ended in the next whole hour that is long over, and compare; 1 where it was asked."""
    if feed.kind != Feed.Kind.AIRFLOW_API or feed.complete_from is None or feed.complete_to is None:
        return 0
    last = Recount.objects.filter(feed=feed, by=TRIES).order_by("-end").first()
    whole = feed.complete_to.replace(minute=0, second=0, microsecond=0)
    start = (
        last.end if last else max(whole - HOUR, feed.complete_from.replace(minute=0, second=0, microsecond=0) + HOUR)
    )
    span = Span(start, start + HOUR)
    if span.end + COUNTED_AFTER > feed.complete_to or not leases.claim_slot(f"count {feed.pk}", now, COUNT_EVERY):
        return 0
    try:
        source, api = airflow_feed.source_of(feed), str(feed.cursor.get("api") or "")
        counted = airflow_count.ended(source, span.start, span.end, api, **session)
    except SourceError as error:  # the pull went well: that this went wrong is no failure of the feed
        log.warning("%s could not be counted: %s", feed.name, error)
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        parameters = {"airflow": feed.airflow_id, "from": span.start, "to": span.end}
        cursor.execute(load("recount_tries"), parameters)
        stored, moved = cursor.fetchone()
        _conclude(feed, span, Count(counted, stored, moved, TRIES))
    return 1
