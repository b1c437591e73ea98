"""Endpoints: which member was up and did it answer, and how fast, as lanes and heat (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dashboards.plots import links, parts
from dashboards.plots.incident import change
from dashboards.timeline import MOST_LANES, Axis, Plot, icon, shape
from dashboards.words import apart, clock, dur, latency, many, short

if TYPE_CHECKING:
    from dashboards.queries.endpoints import EndpointPage, HeatColumn
    from dashboards.queries.freshness import Freshness
    from dashboards.queries.rows import MemberAnswers, MemberTrack

ROW = 14


def availability(pages: Sequence[EndpointPage], start: datetime, end: datetime, fresh: Freshness) -> Plot:
    """One group per endpoint, one lane per member with two tracks, and one for requests that chose none."""
    drawn = Plot(
        Axis(start, end), "Members: state by monitor above, failed requests below", ident="members-plot", long=True
    )
    several = apart(page.row.device_group for page in pages)
    for page in pages:
        pool = f", {short(page.row.f5_pool)}" if page.row.f5_pool else ""
        drawn.group(f"{short(page.row.name)}{pool}", page.row.device_group if several else "")
        answers = {answer.member_id: answer for answer in page.answers}
        for track in page.tracks[:MOST_LANES]:
            _member(drawn, page, track, answers.get(track.member_id))
        if len(page.tracks) > MOST_LANES:
            drawn.lane(f"{len(page.tracks) - MOST_LANES} more members", "", links.endpoint(page.row.id))
        if page.no_member:
            _nobody(drawn, page, answers.get(0))
    changes = {row.id: row for page in pages for row in page.changes}
    if changes:
        y = drawn.lane("changes", str(len(changes)), links.rows("audit", start, end))
        for row in changes.values():
            change(drawn, y, row)
    parts.draw_gaps(drawn, fresh)
    return drawn


def _member(drawn: Plot, page: EndpointPage, track: MemberTrack, answer: MemberAnswers | None) -> None:
    down = sum((span.end - span.start).total_seconds() for span in track.spans if span.state == "down")
    said = [f"{dur(down)} down"] if down else []
    if answer and (answer.failed or not down):
        said.append(f"{answer.failed:,} of {answer.requests:,} failed")
    y = drawn.lane(
        short(track.member),
        ", ".join(said) or "no request",
        links.endpoint(page.row.id),
        f"{track.member}, now {track.state}",
    )
    parts.draw_track(drawn, y, track)


def _nobody(drawn: Plot, page: EndpointPage, answer: MemberAnswers | None) -> None:
    failed = answer.failed if answer else page.no_member
    href = _requests(page, drawn.axis.start, drawn.axis.end, "failed")
    y = drawn.lane("no member chosen", f"{failed:,} failed", href, "Requests for which F5 had no member to choose")
    nobody = [row for track in page.tracks for row in track.requests if not row.member]
    if nobody:
        parts.failures(drawn, y + 15, nobody)
        return
    for column in _bad_columns(page):
        span = drawn.axis.span(column.start, column.end)
        title = f"{clock(column.start)}: {many(column.failed, 'failed request')}"
        rows = _requests(page, column.start, column.end, "failed")
        drawn.mark([shape("rect", "bar", y=y + 12, height=6, **span)], title, "failed", rows)


def _bad_columns(page: EndpointPage) -> Iterable[HeatColumn]:
    """Minutes in which requests failed while every member was down by its monitor."""
    spans = [span for track in page.tracks for span in track.spans if span.state == "down"]
    for column in page.heat:
        if column.failed and any(span.start < column.end and span.end > column.start for span in spans):
            yield column


def _requests(page: EndpointPage, start: datetime, end: datetime, state: str = "") -> str:
    where = {"endpoint": page.row.name, "device_group": page.row.device_group}
    return links.rows("requests", start, end, state=state, **where)


def heat(page: EndpointPage, fresh: Freshness) -> Plot:
    """Answered requests by time and latency; failures are a row below, never a colour in the heat."""
    name = short(page.row.name)
    drawn = Plot(Axis(page.start, page.end), f"Latency of {name}", ident=f"heat-plot-{page.row.id}")
    used = [n for column in page.heat for n, count in enumerate(column.counts) if count]
    first, last = (min(used), max(used)) if used else (0, -1)
    rows = page.heat_rows[first : last + 1]
    high = ROW * len(rows)
    scale = [(high - n * ROW, latency(start) if start else "0") for n, (start, _) in enumerate(rows)]
    y0 = drawn.tall(name, scale, high + 6) if rows else drawn.y
    most = max((count for column in page.heat for count in column.counts), default=1)
    for column in page.heat:
        for n, count in enumerate(column.counts[first : last + 1]):
            if count:
                _cell(drawn, page, column, count, level(count, most), y0 + high - (n + 1) * ROW, rows[n])
    _failed(drawn, page)
    parts.draw_gaps(drawn, fresh)
    return drawn


def level(count: int, most: int) -> int:
    """1 to 4, by thirds of the logarithm, so that one busy cell does not pale all others."""
    steps = level_steps(most)
    return 1 + sum(count > step for step in steps)


def level_steps(most: int) -> tuple[int, int, int]:
    """Where levels 1, 2 and 3 end."""
    if most <= 8:
        return (1, 3, 6)
    root = most ** (1 / 4)
    return (round(root), round(root**2), round(root**3))


def _cell(
    drawn: Plot, page: EndpointPage, column: HeatColumn, count: int, deep: int, y: float, row: tuple[int, int]
) -> None:
    inset = (column.end - column.start) * 0.04
    span = drawn.axis.span(column.start + inset, column.end - inset)
    title = f"{clock(column.start)}: {many(count, 'request')} of {latency(row[0])} to {latency(row[1])}"
    href = _requests(page, column.start, column.end)
    drawn.mark([shape("rect", "heat", data_level=deep, y=y + 1, height=ROW - 2, **span)], title, "", href)


def _failed(drawn: Plot, page: EndpointPage) -> None:
    total = sum(column.failed for column in page.heat)
    href = _requests(page, page.start, page.end, "failed")
    y = drawn.lane("failed", f"{total:,}", href)
    for column in page.heat:
        if not column.failed:
            continue
        inset = (column.end - column.start) * 0.04
        shapes = [
            shape("rect", "cell", y=y + 7, height=16, **drawn.axis.span(column.start + inset, column.end - inset)),
            icon("x", drawn.axis.pc(column.start + inset), y + 10, 10, 2),
        ]
        rows = _requests(page, column.start, column.end, "failed")
        title = f"{clock(column.start)}: {many(column.failed, 'failed request')}"
        drawn.mark(shapes, title, "failed", rows, on=True, late=True)
