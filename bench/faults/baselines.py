"""What simpler rules say of the same tries from the same rows: four ways to tell the network's fault, none of them ours (pure).

- naive: any F5 error within 30 s of the try's end on an endpoint that its task calls (VERDICTS section 2).
- exact_key: only requests with the try's own key count: the last one of a kind failed, or none did, or there is none.
- three_sigma: an endpoint that its task calls has more errors, or is slower, than its mean and three deviations (SimpleRCA).
- baro: the robust scorer of BARO (fse-baro 0.2.2, github.com/phamquiluan/baro): every series is scaled by the median and
  the distance of the quartiles of the time before, and the one that sticks out most is the cause. Written anew, in its
  method: the package pins a scientific stack of its own. Series: errors and mean time of each endpoint, failures of each
  DAG and of each worker.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from .score import ROUTE, TASK, UNKNOWN, Key

NEAR_S = 30.0
SLOT_S = 10
BEFORE, AROUND, AFTER = 60, 6, 3  # slots: what is usual, up to a minute before the end, and half a minute after it
SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request as F5 logged it; `at` in seconds since 1970."""

    at: float
    endpoint: int
    failed: bool  # an error of a server, or no answer
    seconds: float
    kind: str = ""  # method and path: what a later call of the same kind cures
    try_id: int | None = None  # by an exact key


@dataclass(frozen=True, slots=True)
class Ended:
    """A try that somebody asks about, and every other one that failed."""

    key: Key
    try_id: int
    end: float
    worker: str = ""
    failed: bool = True

    @property
    def task(self) -> tuple[str, str]:
        return self.key[0], self.key[2]


@dataclass(slots=True)
class Seen:
    """All calls and ends of one world, counted into slots of ten seconds."""

    calls: Sequence[Call]
    tries: Sequence[Ended]
    used: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    own: dict[int, list[Call]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    series: dict[tuple[str, object], dict[int, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )

    def __post_init__(self) -> None:
        task_of = {t.try_id: t.task for t in self.tries}
        busy: dict[tuple[int, int], list[float]] = defaultdict(list)
        for call in sorted(self.calls, key=lambda c: c.at):
            slot = int(call.at // SLOT_S)
            busy[call.endpoint, slot].append(call.seconds)
            self.series["errors", call.endpoint][slot] += call.failed
            if call.failed:
                self.errors[call.endpoint].append(call.at)
            if call.try_id is not None:
                self.own[call.try_id].append(call)
                if call.try_id in task_of:
                    self.used[task_of[call.try_id]].add(call.endpoint)
        for (endpoint, slot), times in busy.items():
            self.series["seconds", endpoint][slot] = statistics.fmean(times)
        for t in self.tries:
            if t.failed:
                self.series["dag", t.key[0]][int(t.end // SLOT_S)] += 1
                self.series["worker", t.worker][int(t.end // SLOT_S)] += 1

    def endpoints(self, t: Ended) -> Iterable[int]:
        """Those that the try's task is known to call; all of them where that is not known."""
        return self.used.get(t.task) or {call for what, call in self.series if what == "errors"}  # type: ignore[misc]


def say(seen: Seen, asked: Iterable[Ended]) -> dict[Key, dict[str, str]]:
    """For each try, the culprit that each rule names."""
    sticks_out, top = _outliers(seen), _robust(seen)
    return {
        t.key: {
            "naive": naive(seen, t),
            "exact_key": exact_key(seen, t),
            "three_sigma": ROUTE if sticks_out(int(t.end // SLOT_S)) & set(seen.endpoints(t)) else TASK,
            "baro": top(int(t.end // SLOT_S)),
        }
        for t in asked
    }


def naive(seen: Seen, t: Ended) -> str:
    for endpoint in seen.endpoints(t):
        at = seen.errors.get(endpoint, [])
        if bisect_right(at, t.end + NEAR_S) > bisect_left(at, t.end - NEAR_S):
            return ROUTE
    return TASK


def exact_key(seen: Seen, t: Ended) -> str:
    last = {(c.endpoint, c.kind): c for c in seen.own.get(t.try_id, ())}
    if not last:
        return UNKNOWN
    return ROUTE if any(c.failed for c in last.values()) else TASK


def _windows(series: Mapping[int, float], slot: int) -> tuple[list[float], list[float]]:
    """The values of the time before, and those around the end."""
    return (
        [series.get(s, 0.0) for s in range(slot - AROUND - BEFORE, slot - AROUND)],
        [series.get(s, 0.0) for s in range(slot - AROUND, slot + AFTER + 1)],
    )


def _outliers(seen: Seen):  # type: ignore[no-untyped-def]
    """slot -> the endpoints beyond three deviations."""

    @cache
    def found(slot: int) -> frozenset[object]:
        out = set()
        for (what, name), series in seen.series.items():
            if what in ("errors", "seconds"):
                before, now = _windows(series, slot)
                if max(now) > statistics.fmean(before) + SIGMAS * max(statistics.pstdev(before), 1e-9):
                    out.add(name)
        return frozenset(out)

    return found


def _robust(seen: Seen):  # type: ignore[no-untyped-def]
    """slot -> the culprit whose series sticks out most; it always names one, as BARO does."""

    @cache
    def found(slot: int) -> str:
        best, what = -math.inf, "dag"
        for (kind, _), series in sorted(seen.series.items(), key=lambda item: (item[0][0], str(item[0][1]))):
            before, now = _windows(series, slot)
            score = robust_score(before, now)
            if score > best:
                best, what = score, kind
        return ROUTE if what in ("errors", "seconds") else TASK

    return found


def robust_score(before: Sequence[float], now: Sequence[float]) -> float:
    """How far the most extreme value of now lies from the median before, in distances of its quartiles (1 where that is 0)."""
    low, middle, high = statistics.quantiles(before, n=4, method="inclusive")
    return max(abs(value - middle) for value in now) / ((high - low) or 1.0)
