"""The story: `ingest` reads what is new of one feed and stores it, `correlate` judges the tries, `housekeep` tidies up.

Every step is one transaction: rows, rejects, the batch that adds them up, and the cursor that says they are stored.
A step that is killed leaves nothing, and the next one begins where the last one ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from airf5.failpoints import failpoint, planted
from ingest import (
    airflow_feed,
    icontrol_feed,
    judging,
    leases,
    partitions,
    retention,
    snapshot_feed,
    spool_files,
)
from ingest.completeness import clocks, ledger, recount
from ingest.incidents import update as incidents
from ingest.models import Airflow, Batch, Feed, Slot, Try
from ingest.setup import templates
from ingest.sources import spool
from ingest.sources.http import SourceRefused, SourceUnavailable, back_off_s
from ingest.store import f5, feeds, requests, rollups, telemetry
from ingest.store.bind import bind_forgotten
from ingest.store.fast_lane import Columns
from ingest.store.feeds import Counts
from ingest.watch import step as watch

log = logging.getLogger(__name__)

TURN_S = 40.0  # a task ends well before its lease does and before a broker would hand it out again
REFUSED_FOR = timedelta(minutes=2)
KEEP_BATCHES = timedelta(days=30)
KEEP_SLOTS = timedelta(days=2)
JUDGE_AT_ONCE = 500
RECOUNT_EVERY = timedelta(seconds=30)


def ingest(feed: Feed, epoch: int) -> int:
    """Read what is new of this feed under the lease with this epoch; the number of lines or items read."""
    try:
        if feed.kind in (Feed.Kind.AIRFLOW_API, Feed.Kind.AIRFLOW_DB):
            read = airflow_feed.read(feed, epoch, TURN_S)
            recount.recount_tries(feed, timezone.now())
            return read
        if feed.kind == Feed.Kind.F5_ICONTROL:
            read = snapshot_feed.read(feed, epoch)
            ledger.reached(feed, timezone.now())
            return read
        if feed.kind == Feed.Kind.F5_REST:
            read = icontrol_feed.read(feed, epoch)
            ledger.reached(feed, timezone.now())
            return read
        return read_spool(feed, epoch, TURN_S)
    except SourceRefused as error:
        _failed(feed, epoch, Feed.State.REFUSED, error.sentence, REFUSED_FOR)
    except SourceUnavailable as error:
        wait = back_off_s(feed.failures + 1, feed.pk, error.retry_after_s)
        _failed(feed, epoch, Feed.State.DOWN, error.sentence, timedelta(seconds=wait))
    except leases.LeaseLost as error:
        log.warning("The lease of %s went to another worker: %s", feed.name, error)
    return 0


def read_spool(feed: Feed, epoch: int, seconds: float = TURN_S, *, final: bool = False) -> int:
    """Store the new lines of a spool feed, chunk by chunk, until there are none or the turn is over."""
    began, read = time.monotonic(), 0
    globs = feeds.spool_globs(feed)
    for chunk, columns in _ahead(feed, spool.follow(globs, feeds.known_files(feed), final=final)):
        read += _store_chunk(feed, epoch, chunk, columns)
        if time.monotonic() - began > seconds:
            return read
    if not feed.capture:
        with transaction.atomic():
            leases.commit_cursor(feed.pk, epoch, **_at_the_end(feed, globs))
    return read


def _ahead(feed: Feed, chunks: Iterator[spool.Chunk]) -> Iterator[tuple[spool.Chunk, Columns | None]]:
    """Each chunk with its columns: a thread reads and looks at the next one while this one is being stored."""
    device, template = feed.device, templates.of(feed.config)

    def following() -> tuple[spool.Chunk, Columns | None] | None:
        chunk = next(chunks, None)
        if chunk is None:
            return None
        is_request_log = feed.kind == Feed.Kind.F5_REQUEST and device is not None
        return chunk, requests.look(device, chunk.lines, template) if is_request_log else None

    with ThreadPoolExecutor(1) as pool:
        found = following()
        while found is not None:
            coming = pool.submit(following)
            yield found
            found = coming.result()


def _store_chunk(feed: Feed, epoch: int, chunk: spool.Chunk, columns: Columns | None = None) -> int:
    began, now = time.monotonic(), timezone.now()
    failpoint("chunk.read")
    with transaction.atomic():
        file_id = feeds.file_id(feed, chunk.file)
        known = {"state": Feed.State.OK, "failures": 0, "position_lag": chunk.unread}
        if chunk.lines:
            counts = store_lines(feed, file_id, chunk.lines, now, columns)
            failpoint("chunk.stored")
            last = feeds.as_line(file_id, *chunk.lines[-1], now).received_at
            span = (chunk.start, chunk.file.offset)
            batch = feeds.save_batch(feed, counts, now, time.monotonic() - began, chunk.file.path, span)
            if not feed.capture:
                ledger.heard(feed, chunk.lines, now)
                ledger.note_rejects(feed, batch, counts.rejects)
                clocks.heard(feed, counts.newest_at, last)
            known |= _progress(feed, counts, last, now)
            failpoint("chunk.counted")
        if not planted("cursor-apart"):
            feeds.save_file(feed, chunk.file)
        failpoint("chunk.moved")
        if feed.capture:  # it is told from outside how far a capture goes, and when it is closed
            known = {name: value for name, value in known.items() if name not in ("state", "complete_from")}
        leases.commit_cursor(feed.pk, epoch, **known)
        failpoint("chunk.fenced")
    failpoint("chunk.committed")
    if planted("cursor-apart"):
        feeds.save_file(feed, chunk.file)
    return len(chunk.lines)


def store_lines(
    feed: Feed, file_id: int, found: Sequence[tuple[int, bytes]], now: datetime, columns: Columns | None = None
) -> Counts:
    """Store (byte offset, line) pairs of one spool file; what became of them."""
    if feed.kind == Feed.Kind.F5_REQUEST:
        assert feed.device is not None
        return requests.save_lines(feed, feed.device, file_id, found, templates.of(feed.config), columns)
    if feed.kind == Feed.Kind.F5_TELEMETRY:
        return telemetry.save_lines(feed, file_id, found, now, *_allowed(feed, now))
    lines = [feeds.as_line(file_id, offset, raw, now) for offset, raw in found]
    return f5.save_lines(feed, lines, *_allowed(feed, now))


def _allowed(feed: Feed, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Between which times an event may lie: a wrong clock must not fill years. A capture has its own time."""
    if feed.capture:
        return None, None
    return now - partitions.retention("requests"), now + timedelta(days=1)


def _progress(feed: Feed, counts: Counts, last: datetime, now: datetime) -> dict[str, object]:
    """What the feed knows after these lines."""
    feed.last_row_at = max(filter(None, (feed.last_row_at, counts.newest_at)), default=None)
    feed.last_ok_at = now
    received = max(filter(None, (feed.cursor.get("received_to"), last.isoformat())))
    feed.cursor = {**feed.cursor, "received_to": received}
    feed.complete_from = min(filter(None, (feed.complete_from, last)))
    names = ("last_row_at", "last_ok_at", "cursor", "complete_from")
    return {name: getattr(feed, name) for name in names}


def _at_the_end(feed: Feed, globs: Sequence[str]) -> dict[str, object]:
    """All files are read to their end: how far the feed is complete now, and whether it is silent."""
    now = timezone.now()
    problems = spool.unreadable(globs)
    known: dict[str, object] = {"message": "; ".join(problems)[:2000], "position_lag": 0}
    upto, words, well = ledger.at_the_end(feed, globs, now)
    known["cursor"] = feed.cursor
    if feed.kind in ledger.CALM:
        return known | _as_its_request_log(feed, problems, upto, words)
    if upto is None:
        return known
    if feed.complete_to is None or upto > feed.complete_to:
        known["complete_to"] = feed.complete_to = upto
    known["state"] = Feed.State.OK if well and not problems else Feed.State.LATE
    known["message"] = known["message"] or words
    return known


def _as_its_request_log(feed: Feed, problems: list[str], alone: datetime | None, words: str) -> dict[str, object]:
    """How far a log that is silent by nature is complete: as far as the talking log of the same device.

    Both come by the same way, so while requests arrive, no news of members is that nothing changed. Without a request log
    it is complete as far as its own silence lets one say (`alone`). But a gap of its own that lasts wins: requests are
    sent by other means than syslog, which can be switched off alone.
    """
    talking = Feed.objects.filter(device=feed.device_id, kind=Feed.Kind.F5_REQUEST, enabled=True, capture=feed.capture)
    upto = talking.order_by("-complete_to").values_list("complete_to", flat=True).exclude(complete_to=None).first()
    received = feed.cursor.get("received_to")
    own = datetime.fromisoformat(received) if received else None
    lacks = ledger.lacks_from(feed)
    late = bool(problems or lacks)
    known: dict[str, object] = {"state": Feed.State.LATE if late else Feed.State.OK, "last_ok_at": timezone.now()}
    if lacks and not problems:
        known["message"] = words
    newest = max(filter(None, (upto or alone, own)), default=None)
    newest = min(newest, lacks) if newest and lacks else newest
    newest = max(filter(None, (newest, feed.complete_to)), default=None)
    if newest is None:
        return {}
    feed.complete_from = feed.complete_from or newest
    return known | {"complete_to": newest, "complete_from": feed.complete_from}


def _failed(feed: Feed, epoch: int, state: str, sentence: str, wait: timedelta) -> None:
    now = timezone.now()
    with transaction.atomic():
        mine = Feed.objects.filter(pk=feed.pk, epoch=epoch).update(
            state=state, message=sentence, failures=feed.failures + 1, next_at=now + wait
        )
        if mine:  # else another worker has the feed, and knows better
            ledger.unreachable(feed, sentence, now)


def correlate(now: datetime, limit: int = JUDGE_AT_ONCE) -> int:
    """Turn halves that wait in vain into rows, judge what is waiting and group it; the number of tries judged."""
    live = Feed.objects.filter(kind__in=(Feed.Kind.F5_REQUEST, Feed.Kind.F5_TELEMETRY), enabled=True, capture="")
    for feed in live.select_related("device"):
        if feed.complete_to:
            requests.expire_halves(feed, feed.complete_to)
    failpoint("correlate.expired")
    nameless = Exists(Try.objects.filter(airflow=OuterRef("pk"), judge=True, ti_id=None))
    for airflow in Airflow.objects.filter(nameless):
        bind_forgotten(airflow)
    if leases.claim_slot("recount", now, RECOUNT_EVERY):
        clocks.update(now)
        recount.update(now)
    judged = judging.judge_pending(now, limit)
    failpoint("correlate.judged")
    incidents.update_all(now)
    return judged


def housekeep(now: datetime) -> None:
    """Days ahead, days expired, hours rolled up, old bookkeeping gone."""
    partitions.make_coming(now)
    rollups.roll_hours(now)
    partitions.expire(now)
    partitions.summarise()
    ledger.expire(now)
    telemetry.forget(now)
    spool_files.expire(now)
    retention.expire(now)
    watch.forget(now)
    Batch.objects.filter(at__lt=now - KEEP_BATCHES, feed__capture="").delete()
    Slot.objects.filter(start__lt=now - KEEP_SLOTS).delete()
