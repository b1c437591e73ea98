"""Read unreadable lines again, after a parser, a template or a setting was mended: each becomes what it is, once.

A line keeps its identity (file and offset). In one transaction, fenced by the feed's lease, it becomes a row, a waiting
half or a repeated line, leaves the rejects, and moves from one sum of its batch to another; what is still unreadable
stays with today's reason.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from airf5.failpoints import failpoint, planted
from ingest import leases, pipeline
from ingest.completeness import ledger
from ingest.models import Batch, Feed, Reject
from ingest.parsers.f5_header import split_spool
from ingest.records import TORN
from ingest.store import airflow, feeds
from ingest.store.feeds import LONGEST_RAW, Counts

AT_ONCE = 5_000
WAIT_S = 5.0
OFFSET = (1 << 40) - 1


class Busy(Exception):
    """Another worker reads the feed; ask again."""


@dataclass(slots=True)
class Replayed:
    """What became of the lines that were read again."""

    read: int = 0
    rows: int = 0
    halves: int = 0
    repeated: int = 0
    still: int = 0

    @property
    def sentence(self) -> str:
        if not self.read:
            return "There was no line to read again."
        said = f"{self.rows} became rows, {self.halves} wait for their other half, {self.repeated} were known already"
        return f"Of {self.read} lines {said}, {self.still} still cannot be read."


def replay(feed: Feed, reason: str = "", most: int = AT_ONCE) -> Replayed:
    """Read the rejects of this feed again, those with this reason or all, the oldest first, at most so many."""
    epoch = _lease(feed)
    told = Replayed()
    try:
        found = Reject.objects.filter(feed=feed).exclude(reason__startswith=TORN)
        if reason:
            found = found.filter(reason=reason)
        rows = sorted(
            found.order_by("pk")[:most], key=lambda one: (one.batch_id or 0, (one.line_id or 0) >> 40, one.pk)
        )
        for _, some in groupby(rows, key=lambda one: (one.batch_id, (one.line_id or 0) >> 40)):
            _replay_some(feed, epoch, list(some), told)
    finally:
        leases.release(feed.pk, epoch)
    return told


def _lease(feed: Feed) -> int:
    until = time.monotonic() + WAIT_S
    while (epoch := leases.take(feed.pk, leases.owner())) is None:
        if time.monotonic() > until:
            raise Busy(feed.name)
        time.sleep(0.1)
    return epoch


def _replay_some(feed: Feed, epoch: int, rejects: list[Reject], told: Replayed) -> None:
    """Lines of one batch and one file, in one transaction."""
    now = timezone.now()
    with transaction.atomic():
        # Somebody may have read them meanwhile: only what is still there counts
        there = set(
            Reject.objects.select_for_update().filter(pk__in=[one.pk for one in rejects]).values_list("pk", flat=True)
        )
        rejects = [one for one in rejects if one.pk in there]
        whole = [one for one in rejects if len(one.raw) < LONGEST_RAW]
        counts, still = _store(feed, whole, now) if whole else (Counts(), {})
        failpoint("rejects.stored")
        good = {one.pk for one in whole if one.pk not in still}
        _move(feed, rejects[0].batch_id if rejects else None, counts, len(good), now)
        failpoint("rejects.moved")
        if not planted("replay-apart"):
            Reject.objects.filter(pk__in=good).delete()
        failpoint("rejects.deleted")
        for one in rejects:
            if one.pk not in good:
                Reject.objects.filter(pk=one.pk).update(tried_at=now, reason=still.get(one.pk, one.reason)[:300])
        ledger.recount_rejects({one.batch_id for one in rejects if one.batch_id})
        known = {"last_row_at": max(filter(None, (feed.last_row_at, counts.newest_at)), default=None)}
        leases.commit_cursor(feed.pk, epoch, **known)
    failpoint("rejects.committed")
    if planted("replay-apart"):
        Reject.objects.filter(pk__in=good).delete()
    feed.last_row_at = known["last_row_at"]
    told.read += len(rejects)
    told.rows += counts.rows
    told.halves += counts.halves
    told.repeated += counts.repeated
    told.still += len(rejects) - len(good)


def _store(feed: Feed, rejects: Sequence[Reject], now: datetime) -> tuple[Counts, dict[int, str]]:
    """What became of these lines, and the reasons of those that still cannot be read, by reject."""
    if feed.airflow_id is not None:
        return _store_items(feed, rejects, now)
    file_id = (rejects[0].line_id or 0) >> 40
    by_offset = {(one.line_id or 0) & OFFSET: one for one in rejects}
    lines = [(offset, _line(feed, by_offset[offset]).encode("utf-8", "replace")) for offset in sorted(by_offset)]
    counts = pipeline.store_lines(feed, file_id, lines, now)
    still = {by_offset[(one.line_id or 0) & OFFSET].pk: one.reason for one in counts.rejects}
    return counts, still


def _line(feed: Feed, reject: Reject) -> str:
    """The line as it stood in the spool; where only the message was kept, with its time of receipt again."""
    if feed.kind == Feed.Kind.F5_REQUEST or split_spool(reject.raw):
        return reject.raw
    return f"{reject.at.astimezone(UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')} 0.0.0.0 {reject.raw}"


def _store_items(feed: Feed, rejects: Sequence[Reject], now: datetime) -> tuple[Counts, dict[int, str]]:
    """Items of Airflow's answers: the batch says which list they came from."""
    assert feed.airflow is not None
    counts, still = Counts(), {}
    for one in rejects:
        kind = one.batch.source if one.batch else ""
        if kind not in airflow.KINDS:
            still[one.pk] = one.reason
            continue
        found = airflow.save(feed.airflow, kind, [one.raw], one.at)  # type: ignore[list-item]
        counts.add(found)
        if found.rejects:
            still[one.pk] = found.rejects[0].reason
    return counts, still


def _move(feed: Feed, batch_id: int | None, counts: Counts, good: int, now: datetime) -> None:
    """The batch of these lines adds up as before; lines whose batch is forgotten get one of their own."""
    if not good:
        return
    if batch_id is not None:
        Batch.objects.filter(pk=batch_id).update(
            rejected=F("rejected") - good, rows=F("rows") + counts.rows, halves=F("halves") + counts.halves,
            repeated=F("repeated") + counts.repeated,
        )  # fmt: skip
        return
    alone = Counts(good, counts.rows, counts.halves, counts.repeated)
    feeds.save_batch(feed, alone, now, source="rejects, read again")
