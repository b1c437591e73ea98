"""Stretches of time as values: put together, cut out of each other, and what they leave (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple


class Span(NamedTuple):
    """`start` <= t < `end`, aware UTC."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


class Part(NamedTuple):
    """A stretch of a feed's time, and what is known of it: complete, missing, thin (some are missing), coming, before."""

    start: datetime
    end: datetime
    state: str
    why: str = ""


class Lack(NamedTuple):
    """A gap as far as a stretch of time needs it; `end` None: it lasts. `thin`: few are missing, and how many is known."""

    start: datetime
    end: datetime | None
    why: str
    thin: bool = False


THIN = 0.05  # up to this share of the lines missing, what was seen still stands; only absence proves nothing


def is_thin(missing: int | None, expected: int | None) -> bool:
    """Whether so few of so many are missing that what is there can be believed."""
    return bool(missing is not None and expected and missing <= THIN * expected)


def merged(spans: Iterable[Span], near: timedelta = timedelta(0)) -> list[Span]:
    """The same time as few spans, in order; those no further apart than `near` become one."""
    out: list[Span] = []
    for span in sorted(s for s in spans if s.start < s.end):
        if out and span.start <= out[-1].end + near:
            out[-1] = Span(out[-1].start, max(out[-1].end, span.end))
        else:
            out.append(span)
    return out


def without(span: Span, holes: Iterable[Span]) -> list[Span]:
    """What is left of a span when these are cut out of it."""
    out, at = [], span.start
    for hole in merged(holes):
        if hole.end <= at or hole.start >= span.end:
            continue
        if hole.start > at:
            out.append(Span(at, hole.start))
        at = hole.end
    if at < span.end:
        out.append(Span(at, span.end))
    return out


def ledger(
    window: Span, complete_from: datetime | None, complete_to: datetime | None, gaps: Iterable[Lack]
) -> list[Part]:
    """The window of one feed, whole: every instant is before it began, complete, missing, thin or still to come."""
    if complete_from is None or complete_to is None:
        return [Part(*window, "coming", "nothing has arrived yet")]
    out: list[Part] = []
    known = Span(max(window.start, complete_from), min(window.end, complete_to))
    if window.start < complete_from:
        out.append(Part(window.start, min(window.end, complete_from), "before", "before the feed began"))
    lacks = sorted(gaps, key=lambda gap: (gap.thin, gap.start))
    taken: list[Span] = []
    for gap in lacks:
        whole = Span(max(window.start, gap.start), min(window.end, gap.end or window.end))
        state = "thin" if gap.thin else "missing"
        out += [Part(*part, state, gap.why) for part in without(whole, taken)] if whole.start < whole.end else []
        taken.append(whole)
    if known.start < known.end:
        out += [Part(*part, "complete") for part in without(known, taken)]
    late = Span(max(window.start, complete_to), window.end)
    if late.start < late.end:
        out += [Part(*part, "coming", "not yet arrived") for part in without(late, taken)]
    return sorted(part for part in out if part.start < part.end)


def share(parts: Iterable[Part]) -> float | None:
    """Which part of what should be there is complete, from 0 to 1; None where nothing should be there yet."""
    seconds = {"complete": 0.0, "thin": 0.0, "missing": 0.0}
    for part in parts:
        if part.state in seconds:
            seconds[part.state] += (part.end - part.start).total_seconds()
    whole = sum(seconds.values())
    return (whole - seconds["missing"]) / whole if whole else None
