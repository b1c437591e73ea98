"""One turn of the watch: of each live device group what is new up to where its logs are complete, in one transaction."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

from django.db import transaction

from ingest import partitions
from ingest.models import DeviceGroup, RouteFinding, RouteWatch

from . import minutes, noting, reading, routes

log = logging.getLogger(__name__)

AT_ONCE = timedelta(minutes=10)  # of requests, in one transaction
TURN_S = 20.0
LATEST = timedelta(hours=2)  # what is older when the watch begins, or after it stood still, is not looked at
FORGET_AT_ONCE = 500


def step(now: datetime) -> int:
    """Look at what is new; how many device groups had anything."""
    began, worked = time.monotonic(), 0
    for group, upto in reading.live_groups().items():
        while time.monotonic() - began < TURN_S and _group(group, upto, now):
            worked += 1
    return worked


def _group(group: int, upto: datetime, now: datetime) -> bool:
    """One stretch of one group; whether there was one. Another worker that is at it keeps it."""
    RouteWatch.objects.get_or_create(group_id=group)
    with transaction.atomic():
        watch = RouteWatch.objects.select_for_update(skip_locked=True).filter(group=group).first()
        if watch is None:
            return False
        endpoints = {endpoint.pk: endpoint for endpoint in reading.live_endpoints(group)}
        first = max(watch.learned_to or upto - LATEST, upto - LATEST)
        last = min(upto, first + AT_ONCE)
        minute = minutes.floor(last)
        from_minute = max(watch.minutes_to or minutes.floor(first), minutes.floor(upto - LATEST))
        if last <= first and minute <= from_minute:
            return False
        if endpoints and last > first:
            routes.look(endpoints, first, last, now)
            watch.learned_to = last
        if endpoints and minute > from_minute:
            minutes.look(endpoints, from_minute, minute, now)
            watch.minutes_to = minute
        if not endpoints:
            watch.learned_to, watch.minutes_to = last, minute
        watch.save()
    return True


def forget(now: datetime) -> int:
    """Remove findings whose time is over (AIRF5_RETENTION_AUDIT_DAYS), and contracts that nothing asks for any more."""
    old = RouteFinding.objects.filter(until__lt=now - partitions.retention("audit"), state=RouteFinding.State.OVER)
    removed, _ = RouteFinding.objects.filter(pk__in=old.order_by("until").values("pk")[:FORGET_AT_ONCE]).delete()
    for group in DeviceGroup.objects.filter(watch__isnull=False):
        removed += noting.forget_contracts(group.pk, now)
    return removed
