"""The ledger as ribbons: one lane a feed, complete, missing and not yet arrived on one axis (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dashboards.plots import links
from dashboards.timeline import Axis, Plot, icon, shape
from dashboards.words import clock

if TYPE_CHECKING:
    from dashboards.queries.source_page import Ribbon
    from ingest.completeness.intervals import Part

STATES = {"complete": "success", "missing": "failed", "thin": "slow"}
ROOM_ICON = 1.5  # per cent of the axis


def plot(ribbons: Sequence[Ribbon], start: datetime, end: datetime, wish: int = 15) -> Plot:
    drawn = Plot(
        Axis(start, end), f"Complete, missing and not yet arrived, {clock(start)} to {clock(end)} UTC",
        wish, True, "ledger-plot",
    )  # fmt: skip
    for ribbon in ribbons:
        y = drawn.lane(ribbon.feed.name, said(ribbon), f"/sources/{ribbon.feed.id}/", ribbon.feed.name)
        for part in ribbon.parts:
            _part(drawn, y, part, ribbon)
    return drawn


def said(ribbon: Ribbon) -> str:
    """The share that is complete; no rounding up to all of it."""
    if ribbon.share is None:
        return "nothing yet"
    return "complete" if ribbon.share >= 1 else f"{min(ribbon.share * 100, 99.9):.1f} %"


def _part(drawn: Plot, y: int, part: Part, ribbon: Ribbon) -> None:
    why = f": {part.why}" if part.why else ""
    title = f"{clock(part.start)} to {clock(part.end)}, {part.state}{why}"
    span = drawn.axis.span(part.start, part.end)
    if part.state not in STATES:
        drawn.body.append(shape("rect", y=y + 8, height=14, fill="url(#gap)", title=title, **span))
        return
    if part.state == "complete":
        drawn.mark([shape("rect", "band", y=y + 12, height=6, **span)], title, STATES[part.state])
        return
    bar = shape("rect", "bar", y=y + 9, height=12, **span)
    wide = drawn.axis.x(part.end) - drawn.axis.x(part.start) > ROOM_ICON
    href = links.rows("sources/gaps", part.start, part.end, feed=ribbon.feed.name)
    drawn.mark([bar], title, STATES[part.state], href, late=True)
    if wide:
        glyph = icon("x" if part.state == "missing" else "slow", drawn.axis.pc(part.start), y + 10, 10, 3)
        drawn.mark([glyph], "", STATES[part.state], on=True, late=True)
