"""What the watch reads: how far the logs of live devices are complete, new requests and minutes, and what lies around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from ingest import rawlines
from ingest.correlate import load
from ingest.histogram import merge
from ingest.models import Endpoint, Feed, Incident, Request, RequestHour, RequestMinute, RouteFinding, SpoolFile
from ingest.models import request_feeds as feeds_that_bring_requests
from ingest.parsers.f5_request_log import parse, parse_with
from ingest.records import Outcome, RequestLine
from ingest.setup import templates

from .learn import Seen
from .usual import Hour

MOST_LINES = 300  # looked up in the spool in one turn
MOST_CALLS = 20_000  # among which an onset is looked for


def live_groups() -> dict[int, datetime]:
    """Device groups that are read live, and how far all of their request logs are complete."""
    out: dict[int, datetime] = {}
    late: set[int] = set()
    for feed in feeds_that_bring_requests("").select_related("device"):
        if feed.device is None:
            continue
        group = feed.device.group_id
        if feed.complete_to is None:
            late.add(group)
        else:
            out[group] = min(out.get(group, feed.complete_to), feed.complete_to)
    return {group: upto for group, upto in sorted(out.items()) if group not in late}


def seen(endpoints: Collection[int], lo: datetime, hi: datetime) -> list[Seen]:
    """What was asked between these times."""
    found = load.rows("watch_routes", **{"endpoints": sorted(endpoints), "from": lo, "to": hi})
    return [Seen(*row[:8], tuple(row[8])) for row in found]


def hosts(lines: Iterable[int]) -> dict[int, str]:
    """The host that each of these lines was asked for, in small letters; what is not found, or has none, is left out."""
    raw = rawlines.read(sorted(set(lines))[:MOST_LINES])
    files = SpoolFile.objects.filter(pk__in={line >> rawlines.LINE_BITS for line in raw}).select_related("feed")
    feeds: dict[int, Feed] = {file.pk: file.feed for file in files}
    out = {}
    for line_id, text in raw.items():
        template = templates.of(feeds[line_id >> rawlines.LINE_BITS].config)
        for line in text.split("\n"):
            told = parse_with(template, line) if template else parse(line)
            if isinstance(told, RequestLine) and told.host:
                out[line_id] = told.host.lower()
                break
    return out


class MinuteRow(NamedTuple):
    start: datetime
    histogram: list[int]
    requests: int
    failed: int


def minutes(endpoints: Collection[int], lo: datetime, hi: datetime) -> dict[int, list[MinuteRow]]:
    """By endpoint its minutes in order, all members together."""
    parts: dict[tuple[int, datetime], list[RequestMinute]] = defaultdict(list)
    for row in RequestMinute.objects.filter(endpoint_id__in=endpoints, start__gte=lo, start__lt=hi).iterator():
        parts[row.endpoint_id, row.start].append(row)
    out: dict[int, list[MinuteRow]] = defaultdict(list)
    for (endpoint, start), rows in sorted(parts.items()):
        failed = sum(row.server_errors + row.unanswered for row in rows)
        out[endpoint].append(
            MinuteRow(start, merge(row.histogram for row in rows), sum(row.requests for row in rows), failed)
        )
    return out


def hours(endpoint: int, lo: datetime, hi: datetime) -> list[Hour]:
    """The hours of one endpoint, without those that an incident or a finding of hours touched."""
    parts: dict[datetime, list[RequestHour]] = defaultdict(list)
    for row in RequestHour.objects.filter(endpoint_id=endpoint, start__gte=lo, start__lt=hi):
        parts[row.start].append(row)
    bad = stretches([endpoint], lo, hi)[endpoint]
    hour = timedelta(hours=1)
    return [
        Hour(start, merge(row.histogram for row in rows), sum(row.requests for row in rows),
             sum(row.server_errors + row.unanswered for row in rows))
        for start, rows in sorted(parts.items())
        if not any(one.start < start + hour and one.end >= start for one in bad)
    ]  # fmt: skip


class Stretch(NamedTuple):
    """A time in which something was not as usual."""

    start: datetime
    end: datetime
    kind: str  # of the finding; "": an incident


def stretches(endpoints: Collection[int], lo: datetime, hi: datetime) -> dict[int, list[Stretch]]:
    """By endpoint the times of its incidents and of findings: what was then is not usual."""
    out: dict[int, list[Stretch]] = defaultdict(list)
    found = Incident.objects.filter(endpoint__in=endpoints, start__lt=hi, withdrawn_at=None).filter(
        Q(end=None) | Q(end__gte=lo)
    )
    for endpoint, start, end in found.values_list("endpoint_id", "start", "end"):
        out[endpoint].append(Stretch(start, end or hi, ""))
    over = RouteFinding.objects.filter(endpoint__in=endpoints, at__lt=hi, until__gte=lo)
    over = over.exclude(kind=RouteFinding.Kind.MISROUTE)
    for endpoint, start, end, kind in over.values_list("endpoint_id", "at", "until", "kind"):
        out[endpoint].append(Stretch(start, end, kind))
    return out


class Call(NamedTuple):
    """One request near an onset."""

    at: datetime
    line_id: int
    f5_pool_id: int | None
    member_id: int | None
    response_us: int | None
    failed: bool


def calls(endpoint: int, lo: datetime, hi: datetime) -> list[Call]:
    """The requests of one endpoint between these times, in order."""
    found = Request.objects.filter(ts__gte=lo, ts__lt=hi, endpoint_id=endpoint).order_by("ts", "line_id")
    columns = ("ts", "line_id", "f5_pool_id", "member_id", "response_us", "outcome")
    return [Call(*row[:5], row[5] >= Outcome.SERVER_ERROR) for row in found.values_list(*columns)[:MOST_CALLS]]


def member_of(line_id: int, at: datetime) -> tuple[int | None, int | None]:
    """(F5 pool, member) of one request."""
    found = Request.objects.filter(ts=at, line_id=line_id).values_list("f5_pool_id", "member_id").first()
    return found or (None, None)


def live_endpoints(group: int) -> Sequence[Endpoint]:
    return list(
        Endpoint.objects.filter(group_id=group, removed_at=None).select_related("f5_pool", "group").order_by("pk")
    )
