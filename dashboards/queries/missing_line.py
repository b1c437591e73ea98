"""Why is a line missing? What the ledger, the counters, the rejects and the configuration say of one minute of a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum

from dashboards.queries import freshness
from dashboards.queries.database import reading
from dashboards.queries.source_page import RecountRow, words
from dashboards.queries.watermark import FeedRow
from dashboards.words import clock, dur, listed, many, short
from ingest import models

MINUTE = timedelta(minutes=1)
MOST = 20
TALKING = ("f5_request", "f5_telemetry", "airflow_api", "airflow_db")  # the others are silent by nature
FIRST = ("failed", "slow", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that is known of the minute. state: ok (nothing is missing by this), failed, slow (some), unknown."""

    feed_id: int
    feed: str
    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Why:
    """Everything that is known of one minute of a device or an Airflow."""

    of: str
    start: datetime
    end: datetime
    told: tuple[Told, ...]
    device_group: str = ""

    @property
    def explained(self) -> bool:
        return any(one.state in ("failed", "slow") for one in self.told)


@reading()
def owners() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the devices and of the Airflows that have feeds."""
    devices = models.Device.objects.filter(feeds__isnull=False).distinct().order_by("name")
    airflows = models.Airflow.objects.filter(feeds__isnull=False).distinct().order_by("name")
    return tuple(devices.values_list("name", flat=True)), tuple(airflows.values_list("name", flat=True))


@reading()
def why(kind: str, name: str, at: datetime, now: datetime) -> Why | None:
    """What is known of the minute that holds this moment; `kind` is device or airflow. None for a stranger's name."""
    found = models.Feed.objects.filter(**{f"{kind}__name": name}).select_related("airflow", "device__group")
    feeds = list(found.order_by("kind", "name"))
    if not feeds:
        return None
    start = at.replace(second=0, microsecond=0)
    end = start + MINUTE
    rows = {row.id: row for row in freshness.watermark(now, None, {feed.capture for feed in feeds}).feeds}
    told: list[Told] = []
    for feed in feeds:
        told += [Told(feed.pk, feed.name, *one) for one in _of_feed(feed, rows[feed.pk], start, end, now)]
    device = feeds[0].device if kind == "device" else None
    if device is not None:
        told += [Told(0, device.name, *one) for one in _of_device(device)]
    told.sort(key=lambda one: FIRST.index(one.state))  # what explains a missing line comes first
    return Why(name, start, end, tuple(told), device.group.name if device else "")


def _of_feed(feed: Any, row: FeedRow, start: datetime, end: datetime, now: datetime) -> Iterator[tuple[str, str]]:
    if start >= now:
        yield "unknown", "That minute has not come yet."
        return
    if not feed.enabled:
        yield "failed", "This feed is switched off: nothing of it is read."
    yield from _reached(feed, row, start, end)
    for gap in models.Gap.objects.filter(feed=feed, start__lt=end).exclude(end__lte=start).order_by("start")[:MOST]:
        shown = freshness.gap_row(gap)
        until = f"to {clock(gap.end)}" if gap.end else "and it lasts"
        state = "slow" if shown.thin else "failed"
        yield state, f"Gap from {clock(gap.start)} {until}. {_capital(words(shown))}."
    for one in models.Recount.objects.filter(feed=feed, start__lt=end, end__gt=start).order_by("start")[:MOST]:
        yield _recount(RecountRow(one.start, one.end, one.counted, one.stored, one.slack, one.by))
    yield from _rejects(feed, start, end)
    yield from _arrived(feed, start, end)


def _reached(feed: Any, row: FeedRow, start: datetime, end: datetime) -> Iterator[tuple[str, str]]:
    if row.complete_from is None or row.complete_to is None:
        yield "failed", f"Nothing of this feed has arrived yet. {row.message}".strip()
    elif end <= row.complete_from:
        yield "failed", f"It is before the feed began: the first line was received {_when(row.complete_from)}."
    elif start >= row.complete_to:
        ended = row.behind_s is None
        how = "after the feed ended" if ended else f"not yet arrived: it is complete to {_when(row.complete_to)}"
        waits = (
            f", and {many(row.position_lag, 'byte or row', 'bytes or rows')} are known to wait"
            if row.position_lag
            else ""
        )
        yield ("failed" if ended else "unknown"), f"It is {how}{waits}. {row.message}".strip()
    elif row.complete_from > start or row.complete_to < end:
        since, to = max(start, row.complete_from), min(end, row.complete_to)
        yield (
            "unknown",
            f"The feed covers a part of this minute, {clock(since)} to {clock(to)}: the rest is before or after it.",
        )
    else:
        yield "ok", f"The feed covers this minute: it is complete to {_when(row.complete_to)}."


def _recount(one: RecountRow) -> tuple[str, str]:
    span = f"{clock(one.start)} to {clock(one.end)}"
    said = f"{one.by} counted {one.counted:,} from {span}, {one.stored:,} are stored"
    if one.agrees:
        return "ok", f"Recounted: {said}; up to {one.slack:,} lie at the ends. Nothing is missing."
    return "failed", f"Recounted: {said}: {one.counted - one.stored:,} are missing."


def _rejects(feed: Any, start: datetime, end: datetime) -> Iterator[tuple[str, str]]:
    reasons = models.Reject.objects.filter(feed=feed, at__gte=start, at__lt=end).values_list("reason", flat=True)[:500]
    if reasons:
        said = listed(dict.fromkeys(f"“{reason}”" for reason in reasons), 3)
        yield "slow", f"{_capital(many(len(reasons), 'line'))} of this minute came and could not be read: {said}."


def _arrived(feed: Any, start: datetime, end: datetime) -> Iterator[tuple[str, str]]:
    """What was read about then, and how often a line was known already."""
    near = models.Batch.objects.filter(feed=feed, at__gte=start, at__lt=end + MINUTE)
    sums = near.aggregate(read=Sum("read"), repeated=Sum("repeated"), halves=Sum("halves"))
    if sums["read"]:
        again = f", {sums['repeated']:,} of them known already and kept once" if sums["repeated"] else ""
        waits = f", {sums['halves']:,} waiting for their other half" if sums["halves"] else ""
        yield (
            "ok",
            f"{_capital(many(sums['read'], 'line'))} were read within the two minutes after its start{again}{waits}.",
        )
    elif not feed.capture and feed.kind in TALKING:
        yield "unknown", "No line was read within the two minutes after its start."


def _of_device(device: Any) -> Iterator[tuple[str, str]]:
    """What of the device's configuration keeps lines from being written at all, and its clock."""
    if not device.logs_requests:
        yield "unknown", "It logs responses only: a request that was never answered leaves no line."
    rows = models.Endpoint.objects.filter(group=device.group_id)
    silent = list(rows.filter(logs_requests=False).order_by("name").values_list("name", flat=True)[:50])
    if silent:
        yield "slow", f"Without a request logging profile, so without lines: {listed(map(short, silent))}."
    blind = list(rows.filter(sees_http=False).order_by("name").values_list("name", flat=True)[:50])
    if blind:
        yield "slow", f"Without an HTTP profile there is no request log: {listed(map(short, blind))}."
    if device.skew_us is not None and abs(device.skew_us) > (device.skew_error_us or 0):
        off, ahead = dur(abs(device.skew_us) / 1e6), device.skew_us > 0
        said = f"Its clock is {off} {'ahead of' if ahead else 'behind'} ours, and its lines carry its own time"
        yield "slow", f"{said}: look {off} {'later' if ahead else 'earlier'} too."


def _when(at: datetime) -> str:
    return f"{at:%-d %b %Y %H:%M:%S} UTC"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
