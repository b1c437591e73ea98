"""Whether the minutes of one endpoint are as usual: counts above bounds, tested against chance (pure).

Each minute the last 3, 5 and 10 are looked at. Slow is what is above the usual share of this hour of the week and above
that of the hour before; fast is what is below both: a slow drift is neither. Minutes differ by more than chance alone
(`Spread`), which is measured as they come. The sum over all tests of the chance of a false alarm is ALPHA a minute, so
that 1,000 healthy endpoints give one a day.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .chance import MIDDLE, NORMAL, Spread, beyond, moved, shift_of
from .limits import MOST_ERRORS, MOST_TAIL, Before, Limits, Minute, kept, reference, score_of
from .usual import LOWEST, Usual

ALPHA = 7e-7  # of one endpoint and minute: 1,000 endpoints have 1.44 million of them a day
WINDOWS = (3, 5, 10)  # minutes
LEAST = 30  # requests in a window, below which nothing is said
RATIO = 1.3  # most answers are slower, or faster, by so much at least: a backfill together with a drift makes 1.27
TAIL_RATIO, TAIL_MORE = 2.5, 5
ERROR_RATIO, LEAST_ERRORS, LEAST_SHARE = 3.0, 5, 0.02
HOUR, GUARD = 60, 10  # what was before: the hour up to ten minutes ago
CALM = 5  # minutes as usual, and it is over
# What each test of a minute may take of it. A shift of all answers gets most, and gets it where the window is long: with
# little traffic it needs it most. Slow and fast are two tests, tails are two.
_MIDDLE = {3: 0.6e-7, 5: 0.7e-7, 10: 1.6e-7}
_TAIL, _ERRORS = 0.8e-7 / (2 * len(WINDOWS)), 0.4e-7 / len(WINDOWS)
Z_MIDDLE = {size: -NORMAL.inv_cdf(chance) for size, chance in _MIDDLE.items()}
SPENT = 2 * sum(_MIDDLE.values()) + (2 * _TAIL + _ERRORS) * len(WINDOWS)  # not more than ALPHA


def counted(number: int, histogram: Sequence[int], requests: int, failed: int, bounds: Sequence[int]) -> Minute:
    """A minute as it is looked at."""
    over = tuple(sum(histogram[bound:]) for bound in bounds)
    return Minute(number, sum(histogram), over, requests, failed)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is not as usual in the minutes from `first` to `last`."""

    kind: str  # latency | errors
    side: str  # slow | fast | slowest | errors
    first: int  # the minute it began, as far as minutes tell
    last: int
    some: int  # requests that count for it
    of: int
    usual: float  # the share they would have
    ratio: float  # of the typical latency to the usual one; of the share to the usual share
    sigmas: float  # how far beyond chance
    place: int  # of the bound it was seen at; -1: errors
    marks: tuple[float, float]  # mean of `Series.mark_of` per request: as usual, and now


@dataclass(slots=True)
class Series:
    """One endpoint's minutes in their order: `next` takes one in, `alarms` says what is not as usual by it."""

    usual: Usual
    minutes: deque[Minute] = field(default_factory=lambda: deque(maxlen=HOUR + GUARD))
    spread: dict[str, Spread] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)  # by kind: the first minute that no finding of it has told of
    _known: Before | None = None  # of the newest minute
    _sums: list[int] | None = None  # of the hour before: timed, requests, failed, above each bound

    def next(self, minute: Minute) -> None:
        """Take the next minute in. Minutes without any request are left out and count as empty."""
        self._known = None
        if self.minutes and minute.number - self.minutes[-1].number > 1:
            empty = (0,) * len(self.usual.bounds)
            first = max(self.minutes[-1].number + 1, minute.number - HOUR - GUARD)
            for number in range(first, minute.number):
                self._append(Minute(number, 0, empty, 0, 0))
        self._append(minute)

    def _append(self, minute: Minute) -> None:
        if self._sums is not None:
            if len(self.minutes) == HOUR + GUARD:
                self._count(self.minutes[0], -1)
            if len(self.minutes) >= GUARD:
                self._count(self.minutes[-GUARD], 1)
        self.minutes.append(minute)

    def mark(self, count: int) -> None:
        """The last minutes belong to a finding: they say nothing of what was before it."""
        self._known = self._sums = None
        for place in range(1, min(count, len(self.minutes)) + 1):
            self.minutes[-place] = self.minutes[-place]._replace(odd=True)

    def forget_marks(self) -> None:
        """What was found lasts so long that it is usual now."""
        self._known = self._sums = None
        self.minutes = deque((m._replace(odd=False) for m in self.minutes), maxlen=HOUR + GUARD)

    def is_over(self, kind: str, minute: int) -> None:
        """A finding of this kind is over, and told of all minutes before this one: they speak for no new one."""
        self.told[kind] = max(minute, self.told.get(kind, 0))

    def learn(self) -> None:
        """Learn from the newest minute how much minutes differ."""
        minute = self.minutes[-1]
        if minute.odd or not minute.requests:
            return
        before = self._before()
        if minute.timed and before.timed:
            mean, variance = score_of(before.shares)
            off = sum(minute.over[n] for n in MIDDLE) - minute.timed * mean
            self._spread("middle").met(off, minute.timed, variance)
            self._learn_windows(mean, variance)
            for place in range(len(MIDDLE), len(self.usual.bounds)):
                p = before.shares[place]
                self._spread(str(place)).met(minute.over[place] - minute.timed * p, minute.timed, p * (1 - p))
        p = before.failed
        self._spread("errors").met(minute.failed - minute.requests * p, minute.requests, p * (1 - p))

    def _learn_windows(self, mean: float, variance: float) -> None:
        """Minutes that follow each other are off together, so how much windows differ is learned from windows."""
        score = timed = 0
        for number, minute in enumerate(reversed(self.minutes), 1):
            if minute.odd:
                return
            score, timed = score + minute.over[0] + minute.over[1] + minute.over[2], timed + minute.timed
            if number in WINDOWS:
                self._spread(f"middle {number}").met(score - timed * mean, timed, variance, number)
            if number == WINDOWS[-1]:
                return

    def _wide(self, size: int, timed: int, variance: float) -> float:
        """The standard deviation of the score of a window with so many answers."""
        return math.sqrt(timed * variance * (1 + max(0, timed - 1) * self._spread(f"middle {size}").rho))

    def alarms(self) -> list[Alarm]:
        """What is not as usual now, by the newest minutes; of each kind what is farthest from it.

        Nothing of latency before an hour was seen: nobody knows then what was before, nor how much minutes differ.
        """
        now, before = self.usual.at(self.minutes[-1].number), self._before()
        limits = self._limits(now[0], now[1], before)
        by_kind: dict[str, Alarm] = {}
        for size in self._odd_windows(limits):
            window = [self.minutes[-n] for n in range(1, size + 1)]
            for alarm in (*self._latency(window, limits), *self._errors(window, limits)):
                if window[-1].number < self.told.get(alarm.kind, 0):
                    continue
                if alarm.kind not in by_kind or alarm.sigmas > by_kind[alarm.kind].sigmas:
                    by_kind[alarm.kind] = alarm
        return [by_kind[kind] for kind in sorted(by_kind)]

    def _odd_windows(self, limits: Limits) -> list[int]:
        """The windows worth a closer look: hardly any, and this is asked every minute of every endpoint."""
        (slow, slow_wide), (fast, fast_wide) = limits.slow_score, limits.fast_score
        tails = range(len(MIDDLE), len(self.usual.bounds))
        score = timed = failed = number = 0
        over, found = [0] * len(self.usual.bounds), []
        for minute in reversed(self.minutes):
            number += 1
            n = minute.timed
            if minute.requests:
                score += minute.over[0] + minute.over[1] + minute.over[2]
                timed, failed = timed + n, failed + minute.failed
                for place in tails:
                    over[place] += minute.over[place]
            if number not in WINDOWS:
                continue
            if (
                failed >= LEAST_ERRORS
                or score - timed * slow > Z_MIDDLE[number] * self._wide(number, timed, slow_wide)
                or timed * fast - score > Z_MIDDLE[number] * self._wide(number, timed, fast_wide)
                or any(over[n] > TAIL_MORE and over[n] > TAIL_RATIO * timed * limits.slow[n] for n in tails)
            ):
                found.append(number)
            if number == WINDOWS[-1]:
                break
        return found

    def _limits(self, now: Sequence[float], failed: float, before: Before) -> Limits:
        slow, fast = (reference(side, now, before.shares) for side in ("slow", "fast"))
        return Limits(slow, fast, score_of(slow), score_of(fast), max(failed, before.failed, LOWEST))

    def lasts(self, side: str) -> bool:
        """Whether the last minutes are still off in this way; with hardly a request nobody can say, and it lasts."""
        window = [self.minutes[-n] for n in range(min(CALM, len(self.minutes)), 0, -1)]
        now, before = self.usual.at(window[-1].number), self._before()
        if side == "errors":
            some, of = sum(m.failed for m in window), sum(m.requests for m in window)
            return of < LEAST_ERRORS or some > 1.5 * of * max(now[1], before.failed) + 1
        of = sum(m.timed for m in window)
        if of < LEAST // 2:
            return True
        if side == "slowest":
            place = len(MIDDLE)
            return sum(m.over[place] for m in window) > 1.5 * of * max(now[0][place], before.shares[place])
        shares = reference(side, now[0], before.shares)
        _, ratio = shift_of([sum(m.over[n] for m in window) / of for n in MIDDLE], shares, self.usual.bounds, of)
        return ratio > 1.1 if side == "slow" else ratio < 1 / 1.1

    def marked(self, side: str) -> tuple[int, int]:
        """(requests that count for it, all) of the newest minute, as `Alarm.some` counts them."""
        minute = self.minutes[-1]
        if side == "errors":
            return minute.failed, minute.requests
        above = minute.over[len(MIDDLE) if side == "slowest" else 1]
        return (minute.timed - above if side == "fast" else above), minute.timed

    def _latency(self, window: Sequence[Minute], limits: Limits) -> list[Alarm]:
        of = sum(m.timed for m in window)
        if of < LEAST or len(self.minutes) < HOUR:
            return []
        score = sum(m.over[0] + m.over[1] + m.over[2] for m in window)
        rho = self._spread("middle").rho
        found = []
        for side, sign, shares, (mean, variance) in (
            ("slow", 1, limits.slow, limits.slow_score), ("fast", -1, limits.fast, limits.fast_score)
        ):  # fmt: skip
            off = sign * (score - of * mean)
            if off <= 0 or variance <= 0:
                continue
            wide = self._wide(len(window), of, variance)
            least = Z_MIDDLE[len(window)] * wide
            if off < least or kept(window, sign, mean, variance, rho) < least:
                continue
            over = [sum(m.over[n] for m in window) for n in MIDDLE]
            _, ratio = shift_of([count / of for count in over], shares, self.usual.bounds, of)
            if sign * math.log(ratio) >= math.log(RATIO):
                some, usual = (over[1], shares[1]) if sign > 0 else (of - over[1], 1 - shares[1])
                mark = mean / len(MIDDLE) if sign > 0 else 1 - mean / len(MIDDLE)
                found.append(self._alarm(side, window, some, usual, ratio, off / wide, 1, mark))
        return found or self._slowest(window, of, limits)

    def _slowest(self, window: Sequence[Minute], of: int, limits: Limits) -> list[Alarm]:
        """Most answers are as usual, and too many are very slow: more than go with how slow most are."""
        found = []
        over = [sum(m.over[n] for m in window) / of for n in MIDDLE]
        shift = max(0.0, shift_of(over, limits.slow, self.usual.bounds, of)[0])
        for place in range(len(MIDDLE), len(self.usual.bounds)):
            p = max(moved(limits.slow[place], shift), 1 / (of + 1))
            k = sum(m.over[place] for m in window)
            if k < TAIL_RATIO * of * p or k - of * p < TAIL_MORE:
                continue
            counts = [(m.over[place], m.timed) for m in window]
            told = beyond(counts, p, self._spread(str(place)).rho, *MOST_TAIL)
            if told.chance <= _TAIL:
                found.append(self._alarm("slowest", window, k, p, k / of / p, told.sigmas, place, p))
        return found

    def _errors(self, window: Sequence[Minute], limits: Limits) -> list[Alarm]:
        k, p = sum(m.failed for m in window), limits.failed
        if k < LEAST_ERRORS:
            return []
        n = sum(m.requests for m in window)
        if k < max(ERROR_RATIO * n * p, LEAST_SHARE * n):
            return []
        told = beyond([(m.failed, m.requests) for m in window], p, self._spread("errors").rho, *MOST_ERRORS)
        if told.chance > _ERRORS:
            return []
        return [self._alarm("errors", window, k, p, k / n / p, told.sigmas, -1, p)]

    def _alarm(
        self, side: str, window: Sequence[Minute], some: int, usual: float, ratio: float, sigmas: float, place: int, mark: float
    ) -> Alarm:  # fmt: skip
        """`mark`: what `mark_of` usually is of one request."""
        of = sum(m.requests if side == "errors" else m.timed for m in window)
        marks = (mark, sum(self._marks(m, side, place)[0] for m in window) / of)
        first = self._began(side, place, marks)
        kind = "errors" if side == "errors" else "latency"
        return Alarm(kind, side, first, self.minutes[-1].number, some, of, usual, ratio, sigmas, place, marks)

    def _marks(self, minute: Minute, side: str, place: int) -> tuple[float, int]:
        """(sum of `mark_of`, number) of the requests of a minute."""
        if side == "errors":
            return minute.failed, minute.requests
        if side == "slowest":
            return minute.over[place], minute.timed
        slow = sum(minute.over[n] for n in MIDDLE) / len(MIDDLE)
        return (slow if side == "slow" else minute.timed - slow), minute.timed

    def mark_of(self, alarm: Alarm, bucket: int, failed: bool) -> float:
        """How much one request speaks for what was found, from 0 to 1; `bucket` is that of its time."""
        if alarm.side == "errors":
            return float(failed)
        if alarm.side == "slowest":
            return float(bucket >= self.usual.bounds[alarm.place])
        slow = sum(bucket >= self.usual.bounds[n] for n in MIDDLE) / len(MIDDLE)
        return slow if alarm.side == "slow" else 1 - slow

    def _began(self, side: str, place: int, marks: tuple[float, float]) -> int:
        """The minute from which on all fits what it is now better than what is usual."""
        best, first, total, middle = 0.0, self.minutes[-1].number, 0.0, sum(marks) / 2
        for minute in list(self.minutes)[:-31:-1]:
            some, of = self._marks(minute, side, place)
            total += some - of * middle
            if total > best:
                best, first = total, minute.number
        return first

    def _before(self) -> Before:
        """What the hour before was like, drawn towards what is usual where little was asked."""
        if self._known is None:
            sums = self._hour()
            shares, failed = self.usual.at(self.minutes[-1].number)
            timed, requests, bad, *over = sums
            self._known = Before(
                timed, tuple((some + 30 * share) / (timed + 30) for some, share in zip(over, shares, strict=True)),
                (bad + 30 * failed) / (requests + 30),
            )  # fmt: skip
        return self._known

    def _hour(self) -> list[int]:
        if self._sums is None:
            self._sums = [0, 0, 0, *(0 for _ in self.usual.bounds)]
            for minute in list(self.minutes)[:-GUARD] if len(self.minutes) > GUARD else ():
                self._count(minute, 1)
        return self._sums

    def _count(self, minute: Minute, sign: int) -> None:
        if self._sums is None or minute.odd or not minute.requests:
            return
        for place, count in enumerate((minute.timed, minute.requests, minute.failed, *minute.over)):
            self._sums[place] += sign * count

    def _spread(self, name: str) -> Spread:
        return self.spread.setdefault(name, Spread())

    def plain(self) -> tuple[list[Any], dict[str, Any]]:
        """The minutes and the spread as they are stored."""
        spread = {name: [one.excess, one.base, one.minutes] for name, one in sorted(self.spread.items())}
        return [list(minute) for minute in self.minutes], spread

    @classmethod
    def of(cls, usual: Usual, minutes: Sequence[Any], spread: dict[str, Any]) -> Series:
        """What `plain` made."""
        kept = [Minute(m[0], m[1], tuple(m[2]), m[3], m[4], bool(m[5])) for m in minutes]
        if any(len(m.over) != len(usual.bounds) for m in kept):
            kept = []
        series = cls(usual, spread={name: Spread(*values) for name, values in spread.items()})
        series.minutes.extend(kept)
        return series


def minute_of(at: datetime) -> int:
    return int(at.timestamp() // 60)


def floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


LASTS_LONG = timedelta(hours=6)  # what lasts so long is what is usual now
REOPEN = timedelta(hours=1)  # what comes again so soon is the same finding
