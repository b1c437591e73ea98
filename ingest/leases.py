"""Who may work on a feed, and whose turn a periodic job is: rows in PostgreSQL, by its clock, never in Redis.

Taking a lease raises the feed's epoch. Whatever is stored goes with `commit_cursor` in one transaction, which demands
the epoch of the lease: a worker that was paused and replaced meanwhile cannot commit, and nothing of its step remains.
That makes it safe to take a lease over early: from a process of this machine that is gone, nobody waits for its end.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import django.db
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from airf5.embedded.process import started_at
from airf5.failpoints import planted
from ingest.models import Feed, Slot

SECONDS = 60

log = logging.getLogger(__name__)
_owed: list[tuple[int, int]] = []  # leases that this process could not give back while the database was away


class LeaseLost(Exception):
    """Another worker has taken over this feed; nothing of this step was stored."""


def take(feed_id: int, owner: str, seconds: float = SECONDS) -> int | None:
    """The epoch of a new lease, or None while another worker holds one."""
    with transaction.atomic():
        free = Q(lease_until=None) | Q(lease_until__lt=Now())
        taken = Feed.objects.filter(free, pk=feed_id).update(
            epoch=F("epoch") + 1, lease_owner=owner[:100], lease_until=_until(seconds)
        )
        return Feed.objects.values_list("epoch", flat=True).get(pk=feed_id) if taken == 1 else None


def renew(feed_id: int, epoch: int, seconds: float = SECONDS) -> None:
    """Hold the lease for longer."""
    if Feed.objects.filter(pk=feed_id, epoch=epoch).update(lease_until=_until(seconds)) != 1:
        raise LeaseLost(f"feed {feed_id}, epoch {epoch}")


def release(feed_id: int, epoch: int) -> None:
    """Give the lease back, unless it is another's by now. While the database is away, that is left for later."""
    try:
        Feed.objects.filter(pk=feed_id, epoch=epoch).update(lease_owner="", lease_until=None)
    except django.db.Error as error:
        log.warning("The lease of feed %d is given back later: %s", feed_id, error)
        connection.close()
        _owed.append((feed_id, epoch))


def give_back() -> None:
    """Release what this process still owes."""
    while _owed:
        Feed.objects.filter(pk=_owed[-1][0], epoch=_owed[-1][1]).update(lease_owner="", lease_until=None)
        _owed.pop()


def free_abandoned() -> int:
    """Release the leases of processes of this machine that are gone; how many."""
    held = Feed.objects.filter(lease_until__gt=Now()).values_list("pk", "epoch", "lease_owner")
    gone = [(feed_id, epoch) for feed_id, epoch, who in held if _is_gone(who)]
    for feed_id, epoch in gone:
        release(feed_id, epoch)
    return len(gone)


def owner() -> str:
    """This process, named so that others can tell whether it still lives."""
    return f"{socket.gethostname()[:50]} {os.getpid()} {started_at(os.getpid())} {_where()}"


def _is_gone(who: str) -> bool:
    """Only of a process in the same place can that be known."""
    parts = who.split(" ")
    if len(parts) != 4 or not parts[1].isdigit() or not parts[3] or parts[3] != _where():
        return False
    return started_at(int(parts[1])) != parts[2]


@cache
def _where() -> str:
    """The running kernel and the pid namespace: a pid means something in the same ones only. Empty: nobody knows."""
    try:
        boot, space = Path("/proc/sys/kernel/random/boot_id").read_text("ascii"), os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {space}".encode()).hexdigest()[:16]


def commit_cursor(feed_id: int, epoch: int, seconds: float = SECONDS, **fields: Any) -> None:
    """Write what the feed knows now in the transaction that stores its rows; undo that one if the lease is lost.

    The row is locked until the commit, so that no other worker takes the feed over in between.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("commit_cursor belongs into the transaction that stores the rows")
    mine = {} if planted("no-fence") else {"epoch": epoch}
    if Feed.objects.filter(pk=feed_id, **mine).update(lease_until=_until(seconds), **fields) != 1:
        raise LeaseLost(f"feed {feed_id}, epoch {epoch}")


def claim_slot(job: str, now: datetime, every: timedelta) -> bool:
    """True for exactly one caller per turn of a periodic job, however many beats run."""
    start = datetime.fromtimestamp(now.timestamp() // every.total_seconds() * every.total_seconds(), UTC)
    statement = f"INSERT INTO {Slot._meta.db_table} (job, start) VALUES (%s, %s) ON CONFLICT DO NOTHING"
    with connection.cursor() as cursor:
        cursor.execute(statement, [job, start])
        return cursor.rowcount == 1


def _until(seconds: float) -> Any:
    return Now() + timedelta(seconds=seconds)
