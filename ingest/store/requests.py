"""Save what request logs say, in the caller's transaction: lines become requests, waiting halves, repeated or rejects.

What counts as repeated: a line that another line of its batch, or a half that waits, says word for word; and a request
that failed, if the same message is stored already (a relay or the other unit of a pair sends everything twice). A
well-answered request that comes again in a later batch is not looked for: that would need an index on every row.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter

from django.db import connection, transaction
from django.utils import timezone

from airf5.failpoints import failpoint, planted
from airf5.sql import load
from ingest import partitions
from ingest.lines import Lines
from ingest.models import Device, Endpoint, Feed, RequestHalf
from ingest.pairing import Half, Pair, Pairer
from ingest.parsers.f5_header import clean, split_spool
from ingest.parsers.f5_request_log import Template, parse, parse_with
from ingest.records import METHODS, Reject, RequestLine
from ingest.store import arrays, fast_lane, feeds, names, rollups
from ingest.store.fast_lane import Columns
from ingest.store.fast_rows import COPY_COLUMNS, Lane
from ingest.store.feeds import LONGEST_RAW, Rejected
from ingest.store.messages import Messages
from ingest.store.request_facts import Whole, facts_of, merged
from ingest.store.request_rows import DETAIL_COLUMNS, REQUEST_COLUMNS, Batch, escape, escape_lines, null, timestamp
from ingest.store.rollups import roll_hours

__all__ = ["Counts", "expire_halves", "roll_hours", "save_lines"]

FUTURE = timedelta(days=1)
IDLE_TIMEOUT = timedelta(seconds=300)
ANSWER_ALONE = timedelta(seconds=10)  # a response whose request line has not come by then is a row by itself
GRACE = timedelta(seconds=2)  # after the end of a try, for answers on their way
HALF_COLUMNS = "feed_id, line_id, ts, received_at, endpoint_id, try_key_id, line, raw"
MOST_HOSTS = 50  # of one endpoint: clients write them

Templates = Template | Sequence[Template] | fast_lane.Parse | None  # a function: the lines are parsed already
FAST_LANE = True  # without it the outcome is the same, twice as late


@dataclass(slots=True)
class Counts(feeds.Counts):
    """What became of the lines; `store.feeds.save_batch` stores the rejects."""

    newest_received_at: datetime | None = None

    @property
    def rejected(self) -> int:
        return len(self.rejects)

    @property
    def newest_event_at(self) -> datetime | None:
        return self.newest_at


def look(device: Device, lines: Lines, template: Templates = None) -> Columns | None:
    """The columns of lines that may take the fast lane: the work that needs no database."""
    return Columns(lines, not device.logs_requests) if FAST_LANE and template is None and lines else None


@contextmanager
def _no_collections() -> Iterator[None]:
    """Tuples by the ten thousand and no cycles among them: looking for some costs a tenth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_no_collections()
def save_lines(
    feed: Feed,
    device: Device,
    file_id: int,
    lines: Sequence[tuple[int, bytes]],
    template: Templates = None,
    columns: Columns | None = None,
) -> Counts:
    """Save (byte offset, line) pairs of one spool file. Rejects are returned, not stored.

    `columns`: what `look` said of these lines already.
    """
    now, lines = timezone.now(), Lines.of(lines)
    counts = Counts(read=len(lines))
    waiting = {line_id: (line, raw) for line_id, line, raw in _waiting(feed)}
    pairer = Pairer((Half(i, line) for i, (line, _) in waiting.items()), response_only=not device.logs_requests)
    text = Messages(file_id, lines, {i: raw for i, (_, raw) in waiting.items()})
    span = _span(None if feed.capture else now)
    if columns is None and lines:
        columns = look(device, lines, template)
    taken_by_lane = _take(pairer, counts, file_id, lines, columns, _parser(template), span, waiting.values())
    lane = taken_by_lane.lane
    text.add(taken_by_lane.raw)
    counts.repeated = len(pairer.repeated)
    wholes = [*map(merged, pairer.pairs), *taken_by_lane.failed]
    taken = waiting.keys() & _ids(wholes)
    seen = _stored_already(device, wholes, text)
    if seen:
        counts.repeated += len(_ids(whole for whole in wholes if whole[0] in seen) - taken)
        wholes = [whole for whole in wholes if whole[0] not in seen]
    counts.rows = len(_ids(wholes) - taken) + (lane.lines if lane else 0)
    _store(feed, device, wholes, text, now, lane)
    halves = [half for half in pairer.waiting() if half.line_id not in waiting]
    counts.halves = len(halves)
    if not planted("half-forgotten"):
        _keep_halves(feed, device, halves, text, now)
    failpoint("halves.kept")
    if taken:
        RequestHalf.objects.filter(line_id__in=taken).delete()
    _newest(counts, wholes, halves, lines, lane)
    return counts


@lru_cache(maxsize=8192)  # a half that waits is asked for with every batch
def _line(fields: str) -> RequestLine:
    return RequestLine(*json.loads(fields))


def _waiting(feed: Feed) -> list[tuple[int, RequestLine, str]]:
    # Locked, because `expire_halves` may run beside us: a half becomes a row here or there, never twice
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line_id, line::text, raw FROM ingest_requesthalf WHERE feed_id = %s ORDER BY ts, line_id FOR UPDATE",
            [feed.pk],
        )
        return [(line_id, _line(fields), raw) for line_id, fields, raw in cursor.fetchall()]


def _ids(wholes: Iterable[Whole]) -> set[int]:
    """The ids of their lines."""
    return {pk for whole in wholes for pk in (whole[0], whole[2]) if pk is not None}


def _parser(template: Templates) -> fast_lane.Parse:
    if template is None:
        return parse
    if callable(template):
        return template
    templates = (template,) if isinstance(template, Template) else tuple(template)
    return lambda line: parse_with(templates, line)


def _take(
    pairer: Pairer,
    counts: Counts,
    file_id: int,
    lines: Lines,
    columns: Columns | None,
    one: fast_lane.Parse,
    span: tuple[int, int],
    waiting: Iterable[tuple[RequestLine, str]],
) -> fast_lane.Taken:
    """Parse and pair: what is plain by the fast lane, the rest by `_read`."""
    base = file_id << 40
    taken = fast_lane.Taken(None, [], {}, lines, {})
    if columns is not None:
        taken = fast_lane.take(base, columns, [line for line, _ in waiting], span, one)
    _read(pairer, counts, base, taken, one, span)
    return taken


def _read(
    pairer: Pairer,
    counts: Counts,
    base: int,
    taken: fast_lane.Taken,
    one: fast_lane.Parse,
    span: tuple[int, int],
) -> None:
    """Parse and pair the lines that were left."""
    add, (low, high), parsed = pairer.add, span, taken.parsed
    for offset, raw in taken.left:
        found = parsed.get(offset) or one(raw.decode("utf-8", "replace"))
        if type(found) is RequestLine and low <= found[1] <= high:
            add(found, base | offset)
            continue
        if isinstance(found, Reject):
            reason, text = found.reason, found.raw
        else:
            reason, text = "its time is outside of what is kept", clean(raw.decode("utf-8", "replace"))
            at = datetime.fromtimestamp(found[1] / 1e6, UTC)
            reason = f"its time, {at:%Y-%m-%d %H:%M:%S}, is outside of what is kept"
        spool = split_spool(text)
        counts.rejects.append(Rejected(base | offset, spool.received if spool else timezone.now(), reason, text))


def _span(now: datetime | None) -> tuple[int, int]:
    if now is None:
        return -(1 << 62), 1 << 62
    low, high = now - partitions.retention("requests"), now + FUTURE
    return int(low.timestamp() * 1_000_000), int(high.timestamp() * 1_000_000)


def _stored_already(device: Device, wholes: list[Whole], text: Messages) -> set[int]:
    """The line ids of failed requests whose messages are stored already, to the letter."""
    # Where the device logs whole seconds, two equal lines can be two requests
    failed = [w for w in wholes if ((w[1][12] or 0) >= 400 or w[1][0] == "request") and w[1][1] % 1_000_000]
    if not failed:
        return set()
    endpoints = names.endpoints(device.group_id, {names.Virtual(*whole[1][3:6]) for whole in failed})
    times = [whole.line.ts_us for whole in failed]
    parameters = {
        "ids": arrays.numbers(whole.line_id for whole in failed),
        "endpoints": arrays.numbers(endpoints[names.Virtual(*whole[1][3:6])] for whole in failed),
        "times": arrays.texts(map(timestamp, times)),
        "from": _at(min(times)),
        "to": _at(max(times)),
        "digests": arrays.texts(sha256(_raw(one, text).encode("utf-8", "replace")).hexdigest() for one in failed),
    }
    with connection.cursor() as cursor:
        cursor.execute(load("known_failures"), parameters)
        return {line_id for (line_id,) in cursor.fetchall()}


def _raw(whole: Whole, text: Messages) -> str:
    ids = dict.fromkeys(pk for pk in (whole.line_id, whole.response_line_id) if pk is not None)
    return "\n".join(text[pk] for pk in ids)[:LONGEST_RAW]


def _store(
    feed: Feed, device: Device, wholes: list[Whole], text: Messages, now: datetime, lane: Lane | None = None
) -> None:
    """COPY the requests, with all that follows from them."""
    if not wholes and lane is None:
        return
    if feed.capture:
        days = {whole[1][1] // 86_400_000_000 for whole in wholes} | (lane.days if lane else set())
        partitions.make((datetime.fromtimestamp(day * 86_400, UTC).date() for day in days), kept=True)
    else:
        partitions.make_coming(now)
    batch = Batch(wholes, device.group_id, feed.capture, lane)
    with connection.cursor() as cursor:
        if lane is not None:
            with cursor.copy(f"COPY ingest_request ({COPY_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
                for block in lane.blocks(batch):
                    copy.write(block)
                lane.count(batch)  # while the server stores the rows
        with cursor.copy(f"COPY ingest_request ({REQUEST_COLUMNS}) FROM STDIN") as copy:
            for block in batch.requests():
                copy.write(block)
        failpoint("requests.copied")
        if batch.bad:
            with cursor.copy(f"COPY ingest_request_detail ({DETAIL_COLUMNS}) FROM STDIN") as copy:
                copy.write(batch.details(text))
    rollups.add(batch.minutes)
    _learn(batch)


def _learn(batch: Batch) -> None:
    """Keep what the lines teach of their endpoints, and which run a trace id belongs to."""
    hosts, execution, traces = batch.learned()
    names.traces(traces)
    # Of several pools the one that was known first, whatever the order of the set
    places = sorted(batch.places.values(), key=lambda place: place.f5_pool_id or 0, reverse=True)
    pools = {place.endpoint_id: place.f5_pool_id for place in places if place.f5_pool_id}
    virtual_of = {pk: virtual for virtual, pk in batch.endpoints.items()}
    for endpoint in Endpoint.objects.filter(pk__in=virtual_of).order_by("pk"):
        was = (endpoint.hosts, endpoint.execution_api, endpoint.f5_pool_id, endpoint.address)
        fresh = sorted(hosts.get(endpoint.pk, set()) - set(endpoint.hosts))
        endpoint.hosts = (endpoint.hosts + fresh)[:MOST_HOSTS]
        endpoint.execution_api = endpoint.execution_api or endpoint.pk in execution
        endpoint.f5_pool_id = endpoint.f5_pool_id or pools.get(endpoint.pk)
        if not endpoint.address:
            endpoint.address, endpoint.port = virtual_of[endpoint.pk].address[:64], virtual_of[endpoint.pk].port
        if was != (endpoint.hosts, endpoint.execution_api, endpoint.f5_pool_id, endpoint.address):
            endpoint.save(update_fields=("hosts", "execution_api", "f5_pool", "address", "port"))


def _keep_halves(feed: Feed, device: Device, halves: list[Half], text: Messages, now: datetime) -> None:
    if not halves:
        return
    facts = [facts_of(half.line) for half in halves]
    endpoints = names.endpoints(device.group_id, {names.Virtual(*half.line[3:6]) for half in halves})
    keys = names.try_keys(feed.capture, {fact.key for fact in facts if fact.key is not None})
    rows = []
    for half, fact in zip(halves, facts, strict=True):
        received = text.received_at(half.line_id) or now
        columns = (
            str(feed.pk),
            str(half.line_id),
            timestamp(half.line.ts_us),
            received.isoformat(),
            str(endpoints[names.Virtual(*half.line[3:6])]),
            null if fact.key is None else str(keys[fact.key]),
            escape(json.dumps(half.line)),
            escape_lines(text[half.line_id]),
        )
        rows.append("\t".join(columns) + "\n")
    with connection.cursor() as cursor, cursor.copy(f"COPY ingest_requesthalf ({HALF_COLUMNS}) FROM STDIN") as copy:
        copy.write("".join(rows))


def _at(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC) + timedelta(microseconds=us % 1_000_000)


def _newest(counts: Counts, wholes: list[Whole], halves: list[Half], lines: Lines, lane: Lane | None) -> None:
    times = [
        lane.newest_us if lane else None,
        max((whole[1][1] for whole in wholes), default=None),
        max((half[1][1] for half in halves), default=None),
    ]
    newest = max((us for us in times if us is not None), default=None)
    counts.newest_at = None if newest is None else _at(newest)
    for _, raw in sorted(lines[-3:], key=itemgetter(0), reverse=True):  # the last ones may not be whole
        spool = split_spool(raw.decode("utf-8", "replace"))
        if spool:
            counts.newest_received_at = spool.received
            return


def expire_halves(feed: Feed, watermark: datetime, idle_timeout: timedelta = IDLE_TIMEOUT, close: bool = False) -> int:
    """Make rows of the halves that wait in vain; how many. `watermark`: nothing earlier is still to come.

    A request line is unanswered when its try has ended, else after the idle time-out; a response line without a request
    line is a row by itself. An answer that comes after its request was given up is added to that request's lines.
    """
    device = feed.device
    assert device is not None
    parameters = {
        "feed": feed.pk,
        "close": close,
        "ended": watermark - GRACE,
        "idle": watermark - idle_timeout,
        "methods": list(METHODS),
        "alone": watermark - ANSWER_ALONE if device.logs_requests else watermark + FUTURE * 3650,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(load("late_answers"), parameters)
        cursor.execute(load("unanswered"), parameters)
        pairs, raw, alone = [], {}, []
        for line_id, line, message in cursor.fetchall():
            half = RequestLine(*json.loads(line))
            raw[line_id] = message
            is_request = half.kind == "request"
            pairs.append(Pair(half, None, line_id, None) if is_request else Pair(None, half, None, line_id))
            if not is_request and half.ts_us:
                alone.append(_at(half.ts_us))
        _store(feed, device, [merged(pair) for pair in pairs], Messages(0, Lines.of(()), raw), timezone.now())
        if device.logs_requests:
            feeds.note_alone(feed, alone)
        failpoint("halves.expired")
        RequestHalf.objects.filter(line_id__in=list(raw)).delete()
        failpoint("halves.forgotten")
    return len(pairs)
