"""Who may work on a feed, and whose turn a periodic job is: rows in PostgreSQL, by its clock, never in Redis.

Taking a lease raises the feed's epoch. Whatever is stored goes with `commit_cursor` in one transaction, which demands
the epoch of the lease: a worker that was paused and replaced meanwhile cannot commit, and nothing of its step remains.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from ingest.models import Feed, Slot

SECONDS = 60


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
    """Give the lease back, unless it is another's by now."""
    Feed.objects.filter(pk=feed_id, epoch=epoch).update(lease_owner="", lease_until=None)


def commit_cursor(feed_id: int, epoch: int, seconds: float = SECONDS, **fields: Any) -> None:
    """Write what the feed knows now in the transaction that stores its rows; undo that one if the lease is lost.

    The row is locked until the commit, so that no other worker takes the feed over in between.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("commit_cursor belongs into the transaction that stores the rows")
    if Feed.objects.filter(pk=feed_id, epoch=epoch).update(lease_until=_until(seconds), **fields) != 1:
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
