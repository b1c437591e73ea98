"""One look at an iControl snapshot: stored when it differs from the last one."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ingest import leases
from ingest.models import Device, Feed
from ingest.parsers import f5_icontrol as parser
from ingest.parsers import f5_listed
from ingest.sources import f5_icontrol
from ingest.store import devices, f5, feeds, removals
from ingest.store.feeds import Counts

LOOK_EVERY = timedelta(seconds=30)


def read(feed: Feed, epoch: int) -> int:
    """Store the snapshot of this feed's folder; the number of pools' members and virtual servers read."""
    began, now = time.monotonic(), timezone.now()
    seen = f5_icontrol.read(str(feed.config.get("folder") or ""))
    known: dict[str, Any] = {
        "state": Feed.State.OK, "message": "", "failures": 0, "last_ok_at": now, "complete_to": now,
        "complete_from": feed.complete_from or now, "next_at": now + LOOK_EVERY,
    }  # fmt: skip
    if seen.digest == feed.cursor.get("sha256"):
        with transaction.atomic():
            leases.commit_cursor(feed.pk, epoch, **known)
        return 0
    assert feed.device is not None
    with transaction.atomic():
        counts = save(feed.device, seen.answers, now)
        at = parser.parse_clock(seen.answers.get("clock")) or now
        for what, told in (("pool", f5_listed.pools), ("virtual", f5_listed.virtuals)):
            removals.settle(feed.device, what, told(seen.answers.get(what)), at, "The iControl snapshot")
        feeds.save_batch(feed, counts, now, time.monotonic() - began, "iControl snapshot")
        leases.commit_cursor(feed.pk, epoch, cursor={"sha256": seen.digest}, last_row_at=now, **known)
    return counts.read


def save(device: Device, answers: dict[str, Any], otherwise: datetime) -> Counts:
    """Store the answers; `otherwise` is their time where they hold no clock."""
    states = parser.parse_pools(answers.get("pool")) or parser.parse_pool_members_stats(
        answers.get("pool_members_stats")
    )
    servers = parser.parse_virtuals(answers.get("virtual"))
    at = parser.parse_clock(answers.get("clock")) or otherwise
    changed = f5.save_snapshot(device, states, servers, at)
    read = len(states) + len(servers)
    counts = Counts(read=read, rows=changed, repeated=read - changed)
    for name in f5_icontrol.MORE:
        if name in answers:
            counts.add(devices.save_answer(device, name, answers[name], at))
    return counts
