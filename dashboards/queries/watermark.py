"""The one watermark every page shows, from feeds as they stand: what counts for a time range, and how far (pure).

Live feeds say how far the data of now is complete, together: the slowest of them. A replayed capture is a world of its
own that has ended: its feeds count only for the stretch they cover, and for the heading only where no live feed does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ingest.completeness.intervals import is_thin

if TYPE_CHECKING:
    from dashboards.filters import Filter


@dataclass(frozen=True, slots=True)
class Counts:
    """Lines of a feed in the window: read = rows + halves + repeated + rejected."""

    read: int = 0
    rows: int = 0
    halves: int = 0
    repeated: int = 0
    rejected: int = 0
    batches: int = 0
    seconds: float = 0.0

    @property
    def adds_up(self) -> bool:
        return self.read == self.rows + self.halves + self.repeated + self.rejected


@dataclass(frozen=True, slots=True)
class GapRow:
    feed: str
    start: datetime
    end: datetime | None  # None: it lasts
    reason: str
    missing: int | None  # how many, if that is known
    id: int = 0
    feed_id: int = 0
    feed_kind: str = ""
    kind: str = ""  # silent receiver unreachable throttled sequence udp dropped rejects counted other
    kind_words: str = ""
    expected: int | None = None  # of how many that were or should have been there

    @property
    def thin(self) -> bool:
        """Few of many are missing: what is there can be believed."""
        return is_thin(self.missing, self.expected)

    @property
    def hides(self) -> bool:
        """Whether there is no log data in this time, as far as a verdict needs its feed."""
        return self.feed_kind in ("", *NEEDED, PUSHED) and not self.thin

    @property
    def seconds(self) -> float | None:
        return None if self.end is None else (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class FeedRow:
    id: int
    name: str
    kind: str
    kind_words: str
    airflow: str
    device: str
    device_group: str
    state: str
    state_words: str
    message: str
    refusals: tuple[dict[str, str], ...]
    enabled: bool
    capture: str
    complete_from: datetime | None
    complete_to: datetime | None
    behind_s: float | None  # now minus complete_to; None where it has ended or never began
    last_ok_at: datetime | None
    last_row_at: datetime | None
    next_at: datetime | None
    failures: int
    position_lag: int
    counts: Counts
    rate: float  # lines a second while it read
    gaps: tuple[GapRow, ...] = ()  # known in the time asked for, in lists of feeds
    complete_share: float | None = None  # of what should be there in that time, how much is


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when nothing is missing of the feeds of one capture, or of all live ones."""

    start: datetime
    end: datetime
    live: bool


@dataclass(frozen=True, slots=True)
class Freshness:
    feeds: tuple[FeedRow, ...]
    gaps: tuple[GapRow, ...]
    complete_from: datetime | None
    complete_to: datetime | None  # the smallest of the feeds that are needed
    behind_s: float | None
    waits_for: str  # name of the feed that is furthest behind
    sentence: str  # "Log data complete to 09:37:05 UTC"
    state: str  # ok late down empty
    stretches: tuple[Stretch, ...] = ()
    but: str = ""  # what is not complete before that, and why it goes no further: the end of the sentence

    @property
    def hiding(self) -> list[GapRow]:
        """The gaps of the feeds that are needed, but for thin ones."""
        mine = {feed.name for feed in needed(self.feeds)}
        return [gap for gap in self.gaps if gap.hides and gap.feed in mine]

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether some of this stretch is known, and no gap of a feed that is needed touches it."""
        gap = any(g.start < end and (g.end is None or g.end > start) for g in self.hiding)
        return not gap and any(span.start < end and span.end > start for span in self.stretches)

    def known(self, device_group: str) -> tuple[datetime | None, datetime | None]:
        """From when to when nothing is missing of the logs of one device group."""
        mine = [feed for feed in needed(self.feeds) if feed.device_group == device_group]
        return (
            max((feed.complete_from for feed in mine if feed.complete_from), default=None),
            min((feed.complete_to for feed in mine if feed.complete_to), default=None),
        )


# A verdict waits for these; a snapshot or an audit log that lags does not make an answer wrong.
NEEDED = ("airflow_api", "airflow_db", "airflow_capture", "f5_request", "f5_ltm")
PUSHED = "f5_telemetry"
LATE_S = 120.0


def needed(feeds: Iterable[FeedRow]) -> list[FeedRow]:
    """The feeds that a verdict waits for: of a device without a request log, what it pushes stands for it."""
    read = [feed for feed in feeds if feed.enabled]
    logged = {(feed.capture, feed.device) for feed in read if feed.kind == "f5_request"}
    return [
        feed
        for feed in read
        if feed.kind in NEEDED or (feed.kind == PUSHED and (feed.capture, feed.device) not in logged)
    ]


def freshness_of(
    rows: Sequence[FeedRow], missing: tuple[GapRow, ...], now: datetime, asked: Filter | None = None
) -> Freshness:
    """The watermark of these feeds for a time range, or for now."""
    rows, spans = tuple(rows), stretches(rows)
    current = _current(needed(rows), spans, asked)
    begun = [row for row in current if row.complete_to]
    first = max((row.complete_from for row in current if row.complete_from), default=None)
    if not current:
        return Freshness(rows, missing, None, None, None, "", "Nothing has arrived yet", "empty", spans)
    if len(begun) < len(current):
        silent = next(row for row in current if not row.complete_to)
        text = f"Not complete yet: {silent.name} has not said how far it is"
        return Freshness(rows, missing, first, None, None, silent.name, text, "late", spans)
    last = min(begun, key=lambda row: row.complete_to or now)
    assert last.complete_to is not None  # rows of `begun` have it
    state = "down" if any(row.state in ("down", "refused") for row in current) else "ok"
    state = "late" if state == "ok" and last.behind_s is not None and last.behind_s > LATE_S else state
    but = _but(missing, current, last)
    text = f"Log data complete to {_words(last.complete_to, now)}{but}"
    return Freshness(rows, missing, first, last.complete_to, last.behind_s, last.name, text, state, spans, but)


def _but(missing: Sequence[GapRow], current: Sequence[FeedRow], last: FeedRow) -> str:
    """What is not complete before that moment, and why it goes no further."""
    mine = {row.name for row in current}
    hiding = [gap for gap in missing if gap.hides and gap.feed in mine]
    # One cause is one gap, in however many logs
    inside = {(gap.kind, gap.start, gap.end) for gap in hiding if last.complete_to and gap.start < last.complete_to}
    text = f", but for {len(inside)} gap{'' if len(inside) == 1 else 's'}" if inside else ""
    lasting = next((gap for gap in hiding if gap.end is None and gap.feed == last.name), None)
    return f"{text}; from then on {last.name} lacks data: {lasting.kind_words or lasting.reason}" if lasting else text


def _words(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%-d %b %Y %H:%M:%S} UTC"


def _current(needed: Sequence[FeedRow], spans: Sequence[Stretch], asked: Filter | None) -> list[FeedRow]:
    """The feeds whose slowest is the watermark: the live ones, else those of the newest capture of the range."""
    live = [row for row in needed if not row.capture]
    if asked is not None:
        begun = [row for row in live if row.complete_from and row.complete_from < asked.end]
        replayed = any(not s.live and s.start < asked.end and s.end > asked.start for s in spans)
        # What has never said how far it is holds the answer back, but for a range that a capture answers.
        silent = [row for row in live if row.complete_from is None or row.complete_to is None]
        live = [*begun, *(row for row in silent if row not in begun)] if begun or not replayed else []
    # A feed that was closed says nothing about now, unless there are no others.
    live = [row for row in live if row.state != "closed"] or live
    return live or _newest(needed, asked)


def _newest(needed: Sequence[FeedRow], asked: Filter | None) -> list[FeedRow]:
    """The feeds of one capture: the newest of those that the range touches, else the newest of all."""
    groups = _by_capture(row for row in needed if row.capture)
    if asked is not None:
        touching = {name: group for name, group in groups.items() if _touches(group, asked.start, asked.end)}
        groups = touching or groups
    return max(groups.values(), key=lambda group: max(_ends(group)) if _ends(group) else _NEVER, default=[])


_NEVER = datetime.fromisoformat("0001-01-01T00:00:00+00:00")


def _ends(group: Sequence[FeedRow]) -> list[datetime]:
    return [row.complete_to for row in group if row.complete_to]


def _touches(group: Sequence[FeedRow], start: datetime, end: datetime) -> bool:
    return any(s.start < end and s.end > start for s in stretches(group))


def _by_capture(rows: Iterable[FeedRow]) -> dict[str, list[FeedRow]]:
    groups: dict[str, list[FeedRow]] = {}
    for row in rows:
        groups.setdefault(row.capture, []).append(row)
    return groups


def stretches(rows: Iterable[FeedRow]) -> tuple[Stretch, ...]:
    """What is known: of the live feeds together, of each capture for itself; oldest first."""
    found = []
    for capture, group in _by_capture(needed(rows)).items():
        known = [(row.complete_from, row.complete_to) for row in group if row.complete_from and row.complete_to]
        if known:
            found.append(Stretch(max(a for a, _ in known), min(b for _, b in known), not capture))
    return tuple(sorted((s for s in found if s.start < s.end), key=lambda s: (s.start, s.end)))
