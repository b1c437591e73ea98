"""How a feed usually speaks, and from when on its silence is beyond chance (pure).

No distribution is assumed: traffic of tasks comes in bursts. A silence is beyond chance when it is twice as long as the
longest one that ended by itself at such a time, out of a hundred and more; or when a whole hour passed in which the
feed has spoken in each of the last weeks. See docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

LEAST_S = 120.0  # so short a silence says nothing of anybody
FACTOR = 2.0
LEAST_ARRIVALS = 100
LEAST_KNOWN = timedelta(hours=6)  # of a new feed, before anything of it is called usual
LEAST_KNOWN_CALM = timedelta(days=7)  # of one that speaks of changes alone: a bad day of many is followed by silence
WEEKS = 4
LEAST_WEEKS = 3

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


class Hour(NamedTuple):
    """What came in one hour: moments at which lines came, and the longest silence that began in it and ended."""

    start: datetime
    arrivals: int
    longest_s: float


class Usual(NamedTuple):
    """The longest usual silence, and from which hours that is known, in words."""

    longest_s: float
    basis: str

    @property
    def limit_s(self) -> float:
        """A silence as long as this is beyond chance."""
        return max(LEAST_S, FACTOR * self.longest_s)


def usual(hours: Sequence[Hour], since: datetime, calm: bool = False) -> Usual | None:
    """How long the feed can be silent from `since` on; None while too little is known of it.

    `calm`: it speaks of changes alone, so the time of the day says nothing and four weeks are looked at as one.
    """
    known = [hour for hour in hours if timedelta(0) <= since - hour.start < WEEKS * WEEK + HOUR]
    if not known or since - min(hour.start for hour in known) < (LEAST_KNOWN_CALM if calm else LEAST_KNOWN):
        return None
    narrowing = (
        (WEEK, f"at this hour of the week, {WEEKS} weeks back"),
        (DAY, f"at this hour of the day, {WEEKS} weeks back"),
    )
    for period, basis in () if calm else narrowing:
        same = [hour for hour in known if _near(hour.start, since, period)]
        rounds = {round((since - hour.start) / period) for hour in same}
        if len(rounds) >= 2 and sum(hour.arrivals for hour in same) >= LEAST_ARRIVALS:
            return Usual(max(hour.longest_s for hour in same), basis)
    if sum(hour.arrivals for hour in known) < LEAST_ARRIVALS:
        return None
    return Usual(max(hour.longest_s for hour in known), f"in {WEEKS} weeks" if calm else "since it began")


def _near(start: datetime, since: datetime, period: timedelta) -> bool:
    """In the same hour of the period, or the one before or after it."""
    away = (since.replace(minute=0, second=0, microsecond=0) - start) % period
    return away <= HOUR or period - away <= HOUR


def should_have_spoken(hours: Sequence[Hour], since: datetime, now: datetime) -> datetime | None:
    """The first whole hour between these in which the feed always spoke; None without one."""
    spoke = {hour.start for hour in hours if hour.arrivals}
    if not spoke:
        return None
    first = min(spoke)
    at = since.replace(minute=0, second=0, microsecond=0) + HOUR
    while at + HOUR <= now:
        weeks = [at - n * WEEK for n in range(1, WEEKS + 1) if at - n * WEEK >= first]
        if len(weeks) >= LEAST_WEEKS and all(week in spoke for week in weeks):
            return at
        at += HOUR
    return None


class Reach(NamedTuple):
    """How far a silent feed is complete, why that is believed, and since when its silence is a gap (None: it is none)."""

    upto: datetime
    words: str
    silent_since: datetime | None = None
    sure: bool = True  # False: nobody knows whether it still runs


SETTLED = timedelta(seconds=5)  # lines of a device that talks come within this time
CONNECTED = timedelta(seconds=60)  # after so long the kernel has noticed that the other end is gone


def reach(
    last: datetime,
    now: datetime,
    connected_at: datetime | None,
    quiet_to: datetime | None,
    hours: Sequence[Hour],
    calm: bool = False,
) -> Reach:
    """How far a feed is complete whose last line was received at `last`, and all of it is read.

    `connected_at`: when the receiver last saw the device's own connection open; `quiet_to`: until when the device's
    counters did not move. The counters outweigh chance, chance outweighs a connection: a device can hold one open and
    send nothing.
    """
    if (now - last).total_seconds() <= LEAST_S:
        return Reach(max(last, now - SETTLED), "")
    since = max(last, quiet_to) if quiet_to else last
    how = usual(hours, last, calm)
    if how is not None:
        missed = should_have_spoken(hours, since, now)
        if (now - since).total_seconds() >= how.limit_s or missed:
            always = f"; from {missed:%H:%M} on it has always spoken" if missed else ""
            words = f"silent, while its longest usual silence is {_words(how.longest_s)} {how.basis}{always}"
            return Reach(since, words, since)
        words = f"silent, which is usual up to {_words(how.limit_s)} ({how.basis})"
        return Reach(max(since, now - SETTLED), words)
    if connected_at is not None and connected_at - CONNECTED > since:
        return Reach(connected_at - CONNECTED, "silent, and its connection is open")
    if since > last:
        return Reach(since, "silent, and F5's own counters did not move either")
    return Reach(last, "silent, and it is not known yet what is usual", sure=False)


def _words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
