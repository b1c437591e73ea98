"""What happened around the requests of a batch: each row is read once, however many tries look at it.

Windows of one endpoint overlap where many tries fail together. They are merged before the database is asked, and each
place then takes its slice of the rows, which are in time order. How far a place looks depends on that place alone, so that
a try's facts do not depend on the batch it is judged in.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from operator import attrgetter

from ingest.rules.facts import Minute, Request

from . import load

NEAR = timedelta(seconds=120)
WIDE = timedelta(seconds=300)
SLOT = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)
USUAL = timedelta(hours=1)
COUNTED = timedelta(minutes=30)
NOT_YET = timedelta(seconds=60)  # what is usual ends so long before the place
FEW = 50  # with fewer requests near it, a place looks wider
MOST_NEAR = 5000  # requests that one place looks at, about: it looks less far where an endpoint is busier
MOST_USUAL = 200
MOST_SEARCHED = 20_000  # requests of the endpoint among which a path's usual answers are looked for, about

Place = tuple[int, datetime]  # endpoint id, start of ten seconds
Span = tuple[datetime, datetime]


def slot_of(endpoint_id: int, at: datetime) -> Place:
    """Requests of one endpoint in the same ten seconds share their surroundings."""
    return endpoint_id, at.replace(second=at.second - at.second % 10, microsecond=0)


def merged(windows: Iterable[load.Window]) -> list[load.Window]:
    """The same times of each endpoint in windows that do not overlap, in order."""
    out: list[load.Window] = []
    for endpoint, lo, hi in sorted(windows):
        if out and out[-1][0] == endpoint and lo <= out[-1][2]:
            out[-1] = (endpoint, out[-1][1], max(hi, out[-1][2]))
        else:
            out.append((endpoint, lo, hi))
    return out


class Rows:
    """Requests by a key (an endpoint, or an endpoint and a path) in order of time."""

    def __init__(self, found: Mapping[object, list[Request]]) -> None:
        self._found = {key: sorted(rows, key=lambda r: (r.at, r.line_id)) for key, rows in found.items()}
        self._times = {key: [r.at for r in rows] for key, rows in self._found.items()}

    def between(self, key: object, lo: datetime, hi: datetime) -> tuple[Request, ...]:
        """lo inclusive, hi exclusive."""
        times = self._times.get(key, [])
        return tuple(self._found[key][bisect_left(times, lo) : bisect_left(times, hi)]) if times else ()


def _minutes(lo: datetime, hi: datetime) -> Iterator[datetime]:
    """The starts of the minutes that this time touches."""
    start = lo.replace(second=0, microsecond=0)
    while start < hi:
        yield start
        start += MINUTE


_start = attrgetter("start")


class Crowd:
    """How busy endpoints are, by the minute."""

    def __init__(self, places: Iterable[Place], called: Iterable[Place] = ()) -> None:
        """`called`: places that were called in vain, of which it matters whether others of the device were asked then."""
        windows = merged((endpoint, at - USUAL, at + WIDE) for endpoint, at in places)
        vain = merged((endpoint, at - WIDE, at + WIDE) for endpoint, at in called)
        asked = {"called": [w[0] for w in vain], "called_from": [w[1] for w in vain], "called_to": [w[2] for w in vain]}
        self._spoke: dict[int, list[datetime]] = defaultdict(list)
        self._minutes: dict[int, dict[datetime, int]] = defaultdict(dict)
        self._counts: dict[int, list[Minute]] = defaultdict(list)
        for endpoint, us, *numbers in sorted(load.windowed("crowd", windows, **asked)):
            if endpoint < 0:
                self._spoke[-endpoint].append(load.moment(us))
                continue
            minute = Minute(load.moment(us), *map(int, numbers))
            self._minutes[endpoint][minute.start] = minute.requests
            self._counts[endpoint].append(minute)

    def counts(self, place: Place) -> tuple[Minute, ...]:
        """The whole minutes around a place, in order of time."""
        endpoint, at = place
        found = self._counts.get(endpoint, [])
        first, end = bisect_left(found, at - COUNTED, key=_start), bisect_right(found, at + WIDE, key=_start)
        return tuple(found[first:end])

    def spoke(self, place: Place) -> tuple[datetime, ...]:
        """The minutes around a place in which other virtual servers of its device were asked, in order of time."""
        endpoint, at = place
        return tuple(start for start in self._spoke.get(endpoint, ()) if at - WIDE <= start < at + WIDE)

    def about(self, endpoint: int, lo: datetime, hi: datetime) -> float:
        """About so many requests, taking those of a minute as evenly spread."""
        found = self._minutes.get(endpoint, {})
        return sum(
            found[start] * ((min(hi, start + MINUTE) - max(lo, start)) / MINUTE)
            for start in _minutes(lo, hi)
            if start in found
        )

    def at_least(self, endpoint: int, lo: datetime, hi: datetime) -> int:
        """So many requests for certain: those of whole minutes."""
        found = self._minutes.get(endpoint, {})
        return sum(found.get(start, 0) for start in _minutes(lo, hi) if lo <= start and start + MINUTE <= hi)

    def share(self, endpoint: int, lo: datetime, hi: datetime, most: int) -> float:
        """How much of this time holds about as many requests as that."""
        about = self.about(endpoint, lo, hi)
        return min(1.0, most / about) if about else 1.0


def near(places: Sequence[Place], crowd: Crowd, load_rows: load.Loader) -> dict[Place, tuple[Request, ...]]:
    """All requests of the endpoints within two minutes of each place; within five where that holds little."""
    close = {place: _span(place, NEAR, crowd, SLOT) for place in places}
    wide = {place: _span(place, WIDE, crowd) for place in places if crowd.at_least(place[0], *close[place]) < FEW}
    spans = [(place[0], *span) for place, span in (*close.items(), *wide.items())]
    found = Rows(load_rows("near_requests", merged(spans)))
    out = {}
    for place, span in close.items():
        rows = found.between(place[0], *span)
        out[place] = found.between(place[0], *wide[place]) if len(rows) < FEW and place in wide else rows
    return out


def _span(place: Place, width: timedelta, crowd: Crowd, more: timedelta = timedelta()) -> Span:
    endpoint, at = place
    share = crowd.share(endpoint, at - width, at + width + more, MOST_NEAR)
    return at - width * share, at + width * share + more


Usual = tuple[int, str, datetime]  # endpoint id, path, start of ten seconds


def usual(wanted: Iterable[Usual], crowd: Crowd, load_rows: load.Loader) -> dict[Usual, tuple[Request, ...]]:
    """The last good answers to the same path in the hour before."""
    spans: dict[Usual, Span] = {}
    for endpoint, path, at in set(wanted):
        hi = at - NOT_YET
        share = crowd.share(endpoint, at - USUAL, hi, MOST_SEARCHED)
        spans[endpoint, path, at] = hi - (hi - (at - USUAL)) * share, hi
    windows = sorted((endpoint, path, *span) for (endpoint, path, _), span in spans.items())
    by_path: dict[object, list[Request]] = defaultdict(list)
    for rows in load_rows("usual_requests", *_by_path(windows)).values():
        for r in rows:
            by_path[r.endpoint_id, r.path].append(r)
    found = Rows(by_path)
    return {key: _last(found.between(key[:2], *span)) for key, span in spans.items()}


def _by_path(windows: Sequence[tuple[int, str, datetime, datetime]]) -> tuple[list[load.Window], list[str]]:
    """Windows of the same endpoint and path merged, and the path of each."""
    of_path: dict[tuple[int, str], list[load.Window]] = defaultdict(list)
    for endpoint, path, lo, hi in windows:
        of_path[endpoint, path].append((endpoint, lo, hi))
    out = [(window, path) for (_, path), same in of_path.items() for window in merged(same)]
    return [window for window, _ in out], [path for _, path in out]


def _last(rows: tuple[Request, ...]) -> tuple[Request, ...]:
    """The last MOST_USUAL; of those at the very instant where that cuts, the first lines."""
    if len(rows) <= MOST_USUAL:
        return rows
    cut = rows[-MOST_USUAL].at
    later = [r for r in rows[-MOST_USUAL:] if r.at > cut]
    same = list(takewhile(lambda r: r.at == cut, rows[bisect_left([r.at for r in rows], cut) :]))
    return (*same[: MOST_USUAL - len(later)], *later)
