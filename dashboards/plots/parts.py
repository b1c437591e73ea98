"""What several plots draw alike: a try's bar, a member's two tracks, failures that lie close together, gaps (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dashboards.plots import links
from dashboards.timeline import TURN, Axis, Plot, Shape, icon, near, shape
from dashboards.words import clock, dur, latency, many, plain, short

if TYPE_CHECKING:
    from dashboards.queries.freshness import Freshness
    from dashboards.queries.rows import IncidentRow, MemberTrack, RequestRow, Span, TryRow

TRY_ICONS = {
    "failed": "x",
    "success": "ok",
    "up_for_retry": "retry",
    "up_for_reschedule": "retry",
    "running": "run",
    "upstream_failed": "skip",
    "skipped": "skip",
    "deferred": "pause",
    "queued": "wait",
    "scheduled": "wait",
}
SOFT = ("success", "running", "deferred", "up_for_reschedule", "skipped", "queued", "scheduled")
TRACK_STATES = {"up": "up", "down": "down"}  # disabled and unknown are grey
ROOM_WORDS, ROOM_ICON = 8.0, 3.0  # per cent of the axis up to the next try
CROWDED = 3.5  # per cent of the axis: no room for a number before the next mark
WAIT = timedelta(milliseconds=300)  # a shorter wait is narrower than the bar's own outline


def draw_try(plot: Plot, y: int, row: TryRow, until: datetime, then: datetime | None = None) -> None:
    """One try's bar with its icon, its number, and the dotted line of its wait; `then` is where the next try begins."""
    start = row.start_at or row.queued_at or row.scheduled_at
    if start is None or start > plot.axis.end:
        return
    end = min(row.end_at, until) if row.end_at else until
    axis, shapes = plot.axis, []
    waited = row.scheduled_at or row.queued_at
    if waited and start - waited > WAIT:
        shapes.append(wait(axis, waited, start, y))
    soft = " soft" if row.state in SOFT else ""
    shapes.append(shape("rect", f"bar{soft}", y=y + 9, height=12, **axis.span(start, end)))
    room = plot.axis.x(then) - plot.axis.x(end) if then else 100.0
    shapes += _try_words(plot, y, row, start, end)[: 2 if room > ROOM_WORDS else 1 if room > ROOM_ICON else 0]
    plot.mark(shapes, try_title(row, start, end), row.state, links.attempt(row.id), late=not soft)


def _try_words(plot: Plot, y: int, row: TryRow, start: datetime, end: datetime) -> list[Shape]:
    glyph, text = TRY_ICONS.get(row.state, "info"), f"try {row.try_number}"
    if plot.axis.x(end) > TURN and plot.axis.x(start) < 100 - TURN:
        return []  # no room at either side: the lane's label says it
    if plot.axis.x(end) > TURN:
        place = plot.axis.pc(start)
        return [
            icon(glyph, place, y + 10, 10, -16),
            shape("text", "minor", x=place, dx=-19, y=y + 19, text_anchor="end", text=text),
        ]
    return [
        icon(glyph, plot.axis.pc(end), y + 10, 10, 5),
        shape("text", "minor", x=plot.axis.pc(end), dx=18, y=y + 19, text=text),
    ]


def try_title(row: TryRow, start: datetime, end: datetime) -> str:
    said = f", {row.verdict.culprit}: {row.verdict.cause_name}" if row.verdict else ""
    return (
        f"{row.dag_id} {row.task} try {row.try_number}: {plain(row.state)}, {clock(start, 3)} to {clock(end, 3)}{said}"
    )


def wait(axis: Axis, start: datetime, end: datetime, y: int) -> Shape:
    return shape("line", "wait", x1=axis.pc(start), x2=axis.pc(end), y1=y + 22.5, y2=y + 22.5)


def draw_track(plot: Plot, y: int, track: MemberTrack) -> None:
    """What the monitor believed, above; what requests met, below."""
    for span in track.spans:
        if plot.axis.holds(span.start, span.end):
            draw_span(plot, y, track, span)
    draw_requests(plot, y, track.requests)


def draw_span(plot: Plot, y: int, track: MemberTrack, span: Span) -> None:
    start, end = max(span.start, plot.axis.start), min(span.end, plot.axis.end)
    state = TRACK_STATES.get(span.state, "unknown")
    lasted = dur((end - start).total_seconds())
    how = "removed from its pool" if span.state == "removed" else f"{span.state} by its monitor"
    says = f"{short(track.member)} {how}, {clock(start)} to {clock(end)} ({lasted})"
    bar = shape("rect", "band", y=y + 5, height=4 if state == "up" else 8, **plot.axis.span(start, end))
    href = links.rows(
        "health-events", plot.axis.start, plot.axis.end, member=track.member, device_group=track.device_group
    )
    plot.mark([bar], f"{says}. {span.reason}" if span.reason else says, state, href, late=state == "down")


def draw_requests(plot: Plot, y: int, requests: Sequence[RequestRow]) -> None:
    """Answered requests as ticks, slow ones as bars, failed ones last and on top."""
    axis = plot.axis
    for row in (row for row in requests if row.outcome != "slow" and not row.failed):
        # Too many to tab through: a tick with a title, the table has the rows.
        x, title = axis.pc(row.at), request_title(row)
        plot.body.append(shape("line", "req", x1=x, x2=x, y1=y + 15, y2=y + 25, title=title))
    for row in (row for row in requests if row.outcome == "slow"):
        bar = shape("rect", "band", y=y + 18, height=5, **axis.span(row.at, row.end or row.at))
        plot.mark([bar], request_title(row), "slow", _behind(row))
    failures(plot, y + 20, [row for row in requests if row.failed])


def failures(plot: Plot, y: int, rows: Iterable[RequestRow]) -> None:
    """Crosses; those too near to each other become one mark that says how many it stands for."""
    groups = near(plot.axis, rows, lambda row: row.at)
    for n, group in enumerate(groups):
        crowded = n + 1 < len(groups) and plot.axis.x(groups[n + 1].start) - plot.axis.x(group.end) < CROWDED
        count, first = len(group.items), group.items[0]
        until = f" to {clock(group.end)}" if count > 1 else ""
        title = f"{clock(group.start)}{until}: {many(count, 'failed request')}" if count > 1 else request_title(first)
        middle = plot.axis.pc(group.start + (group.end - group.start) / 2)
        shapes = (
            [shape("rect", "bar", y=y - 3, height=6, **plot.axis.span(group.start, group.end))] if count > 2 else []
        )
        shapes = shapes or [icon("x", middle, y - 5, 10, -5)]
        if count > 1 and not crowded:
            shapes.append(plot.words(group.start, y + 4, str(count), end=group.end, dx=8))
        plot.mark(shapes, title, "failed", _behind(first, group.end if count > 1 else None), late=True)


def request_title(row: RequestRow) -> str:
    answer = str(row.status) if row.status else plain(row.outcome)
    after = f" after {latency(row.took_us)}" if row.took_us is not None else ""
    return f"{clock(row.at, 3)} {row.method} {row.path}: {answer}{after}"


def _behind(row: RequestRow, end: datetime | None = None) -> str:
    if row.try_id and end is None:
        return links.attempt(row.try_id)
    start = row.at.replace(microsecond=0)
    until = (end or row.at).replace(microsecond=0) + timedelta(seconds=1)
    return links.rows("requests", start, until, endpoint=row.endpoint, device_group=row.device_group, member=row.member)


def draw_incident(plot: Plot, y: int, row: IncidentRow, until: datetime, *, soft: bool = False) -> None:
    """One incident as a bar with its number."""
    end = min(row.end, until) if row.end else until
    shapes = [
        shape("rect", "bar soft" if soft else "bar", y=y + 9, height=12, **plot.axis.span(row.start, end)),
        plot.words(row.start, y + 19, str(row.id), end=end, cls="val"),
    ]
    title = f"Incident {row.id}: {row.sentence or row.cause_name}, {clock(row.start)} to {clock(end)}"
    plot.mark(shapes, title, row.culprit, links.incident(row.id), late=not soft)


def until(fresh: Freshness, start: datetime, end: datetime) -> datetime:
    """Where the lanes of a window end: at the newest watermark within it."""
    return max((min(s.end, end) for s in fresh.stretches if s.end > start and s.start < end), default=end)


def draw_gaps(plot: Plot, fresh: Freshness) -> None:
    """Where there is no log data: before the feeds began, in their gaps, and what has not arrived."""
    axis, at = plot.axis, plot.axis.start
    spans = [(s.start, s.end) for s in fresh.stretches]
    for since, to in spans:
        if to <= axis.start or since >= axis.end:
            continue
        if since > at:
            first = at == axis.start
            plot.gap(at, since, f"No log data before {clock(since)}" if first else f"No log data until {clock(since)}")
        at = max(at, to)
    if spans and at < axis.end:
        live = any(s.live for s in fresh.stretches)
        plot.gap(at, axis.end, "Not yet arrived" if live else f"No log data after {clock(spans[-1][1])}")
    for gap in fresh.hiding:
        plot.gap(gap.start, gap.end or axis.end, f"Gap in {gap.feed}: {gap.reason}")


def scale(top: float) -> list[float]:
    """Three or four round values from 0 up to at least `top`."""
    if top <= 0:
        return [0.0, 1.0]
    for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400):
        if top / size <= 3:
            return [n * size for n in range(int(-(-top // size)) + 1)]
    return [0.0, top / 2, top]
