"""Celery's side: hints that there may be work. Who works on what is decided by rows in PostgreSQL."""

from __future__ import annotations

import time
from datetime import timedelta

from celery import shared_task
from celery.signals import worker_process_shutdown
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from airf5.failpoints import failpoint
from ingest import icontrol_feed, leases, pipeline
from ingest.models import Feed
from ingest.setup import checks
from ingest.watch import step

WAKE_EVERY = timedelta(seconds=2)
CORRELATE_EVERY = timedelta(seconds=2)
WATCH_EVERY = timedelta(seconds=10)
HOUSEKEEP_EVERY = timedelta(minutes=10)


@worker_process_shutdown.connect
def _end_sessions(**_: object) -> None:
    """Give the tokens of devices back: a child of Celery ends without what `atexit` would do."""
    icontrol_feed.close_all()


@shared_task(ignore_result=True, expires=10)
def wake() -> None:
    """Ask for work on each live feed that is due and free."""
    leases.give_back()
    if leases.claim_slot("wake", timezone.now(), WAKE_EVERY):
        leases.free_abandoned()
        for feed_id in due_feeds():
            ingest_feed.delay(feed_id)
        for check_id in checks.waiting():
            do_check.delay(check_id)
        correlate.delay()


def due_feeds() -> list[int]:
    """Live feeds that are due and that nobody works on. A capture does not grow."""
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    due = Q(next_at=None) | Q(next_at__lte=timezone.now())
    found = Feed.objects.filter(free, due, enabled=True, capture="").exclude(state=Feed.State.CLOSED)
    return list(found.values_list("pk", flat=True))


@shared_task(ignore_result=True, expires=30)
def ingest_feed(feed_id: int) -> int:
    """Take the lease, read, release."""
    leases.give_back()
    epoch = leases.take(feed_id, leases.owner())
    if epoch is None:
        return 0
    failpoint("lease.taken")
    try:
        return pipeline.ingest(Feed.objects.select_related("airflow", "device").get(pk=feed_id), epoch)
    finally:
        failpoint("lease.used")
        leases.release(feed_id, epoch)


@shared_task(ignore_result=True, expires=10)
def correlate() -> int:
    """Judge what waits; one worker at a time does it for each turn."""
    leases.give_back()
    return pipeline.correlate(timezone.now()) if leases.claim_slot("correlate", timezone.now(), CORRELATE_EVERY) else 0


@shared_task(ignore_result=True, expires=30)
def watch() -> int:
    """Look at what is new of routes, before anything fails."""
    leases.give_back()
    return step.step(timezone.now()) if leases.claim_slot("watch", timezone.now(), WATCH_EVERY) else 0


@shared_task(ignore_result=True, expires=300)
def housekeep() -> None:
    """Make and drop days, roll up hours."""
    if leases.claim_slot("housekeep", timezone.now(), HOUSEKEEP_EVERY):
        pipeline.housekeep(timezone.now())
        checks.forget_old()


@shared_task(name=checks.TASK, ignore_result=True, expires=checks.HINT_S)
def do_check(check_id: int) -> bool:
    """A check that a person waits for."""
    return checks.do(check_id, _work_on)


def _work_on(seconds: float) -> None:
    """Wait as a worker does: where this is the only one, nobody else would store the line that is waited for."""
    time.sleep(seconds)
    for feed_id in Feed.objects.filter(pk__in=due_feeds(), kind=Feed.Kind.F5_REQUEST).values_list("pk", flat=True):
        ingest_feed(feed_id)
