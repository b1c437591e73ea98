"""What the gap ledger says of the windows of a batch of tries: one question for all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ingest.completeness.intervals import is_thin
from ingest.models import Feed, Gap

from .world import bringing_requests

MOST_NAMED = 3
LOGS = (Feed.Kind.F5_REQUEST, Feed.Kind.F5_TELEMETRY, Feed.Kind.F5_LTM)


class Window(NamedTuple):
    """When a try can have called, and which device groups its calls can have crossed; none: any."""

    start: datetime
    end: datetime
    groups: frozenset[int] = frozenset()


class Lacks(NamedTuple):
    """In words: a needed log is not there, few lines of it are missing, and what other logs of the device lack."""

    gap: str = ""
    thin: str = ""
    also: tuple[str, ...] = ()
    scattered: bool = False  # single lines are missing here and there: what is silent for long is not silent by that


def among(known: Iterable[Feed], found: Iterable[Gap], windows: Sequence[Window]) -> list[Lacks]:
    """What these feeds of one scope lack in each window, in the order given; the gaps in order of their start."""
    feeds = sorted((f for f in known if f.kind in LOGS and f.enabled), key=lambda f: f.pk)
    gaps: dict[int, list[Gap]] = {}
    for gap in found:
        gaps.setdefault(gap.feed_id, []).append(gap)
    return [_lacks(window, [f for f in feeds if _concerns(f, window.groups)], gaps) for window in windows]


def _concerns(feed: Feed, groups: Collection[int]) -> bool:
    return not groups or feed.device is None or feed.device.group_id in groups


def _lacks(window: Window, feeds: Sequence[Feed], gaps: dict[int, list[Gap]]) -> Lacks:
    thin, also, scattered = "", [], True
    needed = {feed.pk for feed in bringing_requests(feeds)}
    for feed in feeds:
        begins = feed.complete_from if feed.pk in needed else None
        if begins is not None and begins > window.start + timedelta(seconds=1):
            return Lacks(f"the {feed.get_kind_display()} {feed.name} begins at {begins:%H:%M:%S}")
        for gap in gaps.get(feed.pk, ()):
            if gap.start >= window.end or (gap.end is not None and gap.end <= window.start):
                continue
            if feed.pk not in needed:
                also.append(words(feed, gap))
            elif gap.kind == Gap.Kind.HALVES or is_thin(gap.missing, gap.expected):
                thin, scattered = thin or words(feed, gap), scattered and gap.kind == Gap.Kind.HALVES
            else:
                return Lacks(words(feed, gap))
    return Lacks("", thin, tuple(also[:MOST_NAMED]), bool(thin) and scattered)


def words(feed: Feed, gap: Gap) -> str:
    """lb1/request lacks 3 of 900 lines at 09:00:01: …"""
    if gap.kind == Gap.Kind.HALVES:
        return f"{feed.name} lacks lines from {gap.start:%H:%M:%S}: {gap.missing} {gap.reason}"
    if is_thin(gap.missing, gap.expected):
        return f"{feed.name} lacks {gap.missing} of {gap.expected} lines at {gap.start:%H:%M:%S}: {gap.reason}"
    return f"{feed.name} is incomplete from {gap.start:%H:%M:%S}: {gap.reason}"
