"""Who was at fault, and when: one lane per endpoint, one cell per stretch of time (pure)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from dashboards.plots import links, parts
from dashboards.plots.incident import change
from dashboards.timeline import MOST_LANES, Axis, Plot, icon, shape
from dashboards.words import CULPRIT_WORDS, apart, clock, many, short

if TYPE_CHECKING:
    from dashboards.queries.freshness import Freshness
    from dashboards.queries.overview import Cell, Lane, Overview

CULPRITS = ("route", "service", "task", "unknown")
HIGH = 18


def plot(page: Overview, start: datetime, end: datetime) -> Plot:
    several = apart(lane.device_group for lane in page.lanes)
    title = f"Verdicts per endpoint, {clock(start)} to {clock(end)} UTC"
    drawn = Plot(Axis(start, end), title, long=several, ident="overview-plot")
    for lane in page.lanes[:MOST_LANES]:
        _lane(drawn, lane, page.freshness, lane.device_group if several else "")
    if len(page.lanes) > MOST_LANES:
        drawn.lane(f"{len(page.lanes) - MOST_LANES} more endpoints", "", "/endpoints/")
    count = many(len(page.changes), "change") if page.changes else "none"
    y = drawn.lane("changes, failovers", count, links.rows("audit", start, end), "What people changed on F5")
    for row in page.changes:
        change(drawn, y, row)
    if not page.changes:
        drawn.body.append(shape("text", x=8, y=y + 19, text="none in this window"))
    parts.draw_gaps(drawn, page.freshness)
    return drawn


def tells(cell: Cell) -> bool:
    """Whether there is anything in it: an empty one needs no row in a table."""
    return bool(cell.requests or any(getattr(cell, name) for name in CULPRITS))


def _lane(drawn: Plot, lane: Lane, fresh: Freshness, whose: str) -> None:
    counts = {name: sum(getattr(cell, name) for cell in lane.cells) for name in CULPRITS}
    side = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no verdict"
    if lane.endpoint_id is None:
        href = links.rows("tries", drawn.axis.start, drawn.axis.end, culprit="task,unknown")
        y = drawn.lane(
            "no endpoint involved", side, href, "Tries that failed without a request through F5 that matters"
        )
    else:
        y = drawn.lane(short(lane.name), side, links.endpoint(lane.endpoint_id), lane.name, whose=whose)
    before = ""
    for cell in lane.cells:
        before = _cell(drawn, y, cell, lane, before)
    until = parts.until(fresh, drawn.axis.start, drawn.axis.end)
    for row in lane.incidents:
        end = min(row.end, until) if row.end else until
        title = f"Incident {row.id}: {row.sentence or row.cause_name}, {clock(row.start)} to {clock(end)}"
        bar = shape("rect", "bar", y=y + 26.5, height=1, **drawn.axis.span(row.start, max(end, row.start)))
        drawn.mark([bar], title, row.culprit, links.incident(row.id))


def _cell(drawn: Plot, y: int, cell: Cell, lane: Lane, before: str) -> str:
    """Draws one cell, its culprits sharing the height by count; returns the first one, whose icon is drawn once."""
    inset = (cell.end - cell.start) * 0.05
    span = drawn.axis.span(cell.start + inset, cell.end - inset)
    counts = sorted(((getattr(cell, name), name) for name in CULPRITS if getattr(cell, name)), reverse=True)
    if not counts:
        if cell.requests:
            title = f"{clock(cell.start)} to {clock(cell.end)}: {many(cell.requests, 'request')}, no verdict needed"
            drawn.body.append(shape("rect", "calm", y=y + 6, height=HIGH, title=title, **span))
        return ""
    total, down = sum(count for count, _ in counts), 0.0
    for count, name in counts:
        high = HIGH * count / total
        title = f"{clock(cell.start)} to {clock(cell.end)}: {many(count, 'try', 'tries')} judged: {CULPRIT_WORDS[name]}"
        where = {"endpoint": lane.name, "device_group": lane.device_group} if lane.endpoint_id else {}
        href = links.rows("tries", cell.start, cell.end, culprit=name, **where)
        drawn.mark([shape("rect", "cell", y=y + 6 + down, height=high, **span)], title, name, href, late=True)
        down += high
    first = counts[0][1]
    if first != before:
        drawn.mark([icon(first, drawn.axis.pc(cell.start + inset), y + 10, 10, 2)], "", first, "", on=True, late=True)
    return first
