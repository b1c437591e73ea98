"""False alarms, recall and dated onsets of the watch on latency, on made-up endpoints: `python -m bench.latency_watch`.

Healthy weeks have hours and days that differ, drift, minutes that jitter together, odd minutes, backfills, deployments
that take two minutes and change the level a little, and maintenance without traffic. A shift multiplies all times from a
random instant on, for ten minutes. Every figure is of this simulation, with one-sided 95 % bounds.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from ingest.histogram import BOUNDS, BUCKETS  # noqa: E402
from ingest.watch import series as watch  # noqa: E402
from ingest.watch.chance import onset as onset_of  # noqa: E402
from ingest.watch.series import REOPEN  # noqa: E402
from ingest.watch.usual import Hour, Usual, made_of  # noqa: E402

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)  # the week that is watched
WEEKS, DAY = 4, 1440
EDGES = np.log(np.array(BOUNDS, dtype=np.float64))
FACTORS, RATES, SIGMAS = (1.5, 2.0, 3.0), (30, 60, 300), (0.4, 0.6, 0.8)
LONG = 10  # minutes a shift lasts
REOPEN_MINUTES = int(REOPEN.total_seconds()) // 60  # what comes again so soon is the same finding


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one made-up endpoint is like."""

    median_us: float
    sigma: float
    rate: float  # requests a minute at noon of a working day
    night: float  # share of it at night
    swing: float  # latency by hour of the day, as a share
    jitter: float  # of minutes
    drift: float  # over hours
    errors: float


def an_endpoint(rng: random.Random, rate: float = 0, sigma: float = 0) -> Endpoint:
    return Endpoint(
        math.exp(rng.uniform(math.log(5_000), math.log(1_500_000))), sigma or rng.uniform(0.3, 0.9),
        rate or math.exp(rng.uniform(math.log(2), math.log(600))), rng.uniform(0.1, 1.0), rng.uniform(0.0, 0.3),
        rng.uniform(0.01, 0.08), rng.uniform(0.0, 0.06), rng.choice((0.0, 0.0005, 0.003)),
    )  # fmt: skip


def levels(one: Endpoint, minutes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(log of the median's factor, requests expected, share that fails) of each minute of healthy weeks from Monday on."""
    at = np.arange(minutes)
    day = 0.5 - 0.5 * np.cos(2 * np.pi * at / DAY)  # 0 at midnight, 1 at noon
    working = (at // DAY) % 7 < 5
    busy = (one.night + (1 - one.night) * day) * np.where(working, 1.0, 0.5)
    level = one.swing * day * np.where(working, 1.0, 0.4)
    keep = math.exp(-1 / 240)
    level += _walk(rng.normal(0, one.drift * math.sqrt(1 - keep * keep), minutes), keep)
    level += _walk(rng.normal(0, one.jitter * math.sqrt(1 - 0.25), minutes), 0.5)
    odd = rng.random(minutes) < 1 / 700
    level[odd] += rng.uniform(0.3, 1.0, int(odd.sum()))
    failing = np.full(minutes, one.errors)
    for start in _times(rng, minutes, 3 * DAY):  # deployments
        level[start : start + 2] += rng.uniform(0.2, 0.5)
        level[start:] += rng.normal(0, 0.03)
        failing[start : start + 2] += 0.02
    for start in _times(rng, minutes, 4 * DAY):  # backfills
        length = int(rng.integers(20, 180))
        busy[start : start + length] *= rng.uniform(2, 8)
        level[start : start + length] += rng.uniform(0.0, 0.1)
    for start in _times(rng, minutes, 10 * DAY):  # maintenance
        busy[start : start + int(rng.integers(10, 60))] = 0
    return level, one.rate * busy, failing


def _walk(steps: np.ndarray, keep: float) -> np.ndarray:
    out, now = np.empty_like(steps), 0.0
    for n, step in enumerate(steps.tolist()):
        now = now * keep + step
        out[n] = now
    return out


def _times(rng: np.random.Generator, minutes: int, every: int) -> list[int]:
    return sorted(rng.integers(0, minutes, rng.poisson(minutes / every)).tolist())


def _below(x: np.ndarray) -> np.ndarray:
    """The normal distribution function (Abramowitz and Stegun 7.1.26, to 1.5e-7)."""
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    half = 0.5 * poly * np.exp(-z * z)
    return np.where(x > 0, 1 - half, half)


def usual_of(
    one: Endpoint, level: np.ndarray, rate: np.ndarray, failing: np.ndarray, rng: np.random.Generator
) -> Usual | None:
    """What is usual after four weeks."""
    hours = []
    for hour in range(WEEKS * 7 * 24):
        part = slice(hour * 60, hour * 60 + 60)
        n = int(rng.poisson(rate[part].sum()))
        middle = math.log(one.median_us) + float(level[part].mean())
        wide = math.hypot(one.sigma, float(level[part].std()))
        below = np.concatenate(([0.0], _below((EDGES - middle) / wide), [1.0]))
        histogram = rng.multinomial(n, np.diff(below)).tolist()
        start = MONDAY - timedelta(weeks=WEEKS) + timedelta(hours=hour)
        hours.append(Hour(start, histogram, n, int(rng.binomial(n, failing[part].mean()))))
    return made_of(hours)


def healthy_minutes(
    one: Endpoint, usual: Usual, level: np.ndarray, rate: np.ndarray, failing: np.ndarray, rng: np.random.Generator
) -> Iterator[watch.Minute]:
    """The counts of each minute, drawn at once."""
    edges = EDGES[[bound - 1 for bound in usual.bounds]]
    middle = math.log(one.median_us) + level
    below = _below((edges[None, :] - middle[:, None]) / one.sigma)
    shares = np.diff(np.concatenate((np.zeros((len(level), 1)), below, np.ones((len(level), 1))), axis=1), axis=1)
    counts = rng.poisson(rate)
    parts = rng.multinomial(counts, np.clip(shares, 0, 1) / shares.sum(axis=1, keepdims=True))
    over = parts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    failed = rng.binomial(counts, failing)
    first = watch.minute_of(MONDAY)
    for n, (count, above, bad) in enumerate(zip(counts.tolist(), over.tolist(), failed.tolist(), strict=True)):
        yield watch.Minute(first + n, count, tuple(above), count, bad)


def false_alarms(endpoints: int, days: int, seed: int) -> tuple[int, int, dict[str, int], float]:
    """(alarms that began, endpoint days, alarms by side, seconds of the watch itself)."""
    sides: dict[str, int] = {}
    watched, seconds = 0, 0.0
    for number in range(endpoints):
        py, rng = random.Random(f"{seed}/{number}"), np.random.default_rng([seed, number])
        one = an_endpoint(py)
        level, rate, failing = levels(one, (WEEKS * 7 + days) * DAY, rng)
        past = WEEKS * 7 * DAY
        usual = usual_of(one, level[:past], rate[:past], failing[:past], rng)
        if usual is None:
            continue
        watched += days
        week = list(healthy_minutes(one, usual, level[past:], rate[past:], failing[past:], rng))
        began = time.perf_counter()
        for side in watched_through(watch.Series(usual), week):
            sides[side] = sides.get(side, 0) + 1
        seconds += time.perf_counter() - began
    return sum(sides.values()), watched, sides, seconds


def watched_through(series: watch.Series, minutes: list[watch.Minute]) -> Iterator[str]:
    """The side of each finding that begins, as the watch opens, keeps and reopens them (`ingest/watch/minutes.py`)."""
    open_now: dict[str, str] = {}  # by kind: the side
    last: dict[str, int] = {}  # by kind: the minute up to which the last finding went on
    for minute in minutes:
        if not minute.requests:
            continue
        series.next(minute)
        if open_now:
            series.mark(1)
            for kind, side in list(open_now.items()):
                if series.lasts(side):
                    last[kind] = minute.number
                else:
                    del open_now[kind]
                    series.is_over(kind, last[kind] + 1)
        else:
            series.learn()
        for alarm in series.alarms():
            if alarm.kind in open_now:
                continue
            series.mark(alarm.last - alarm.first + 1)
            if alarm.first - last.get(alarm.kind, 0) > REOPEN_MINUTES:
                yield alarm.side
            open_now[alarm.kind], last[alarm.kind] = alarm.side, alarm.last


def shifted(one: Endpoint, factor: float, seed: tuple[int, ...]) -> tuple[float | None, float | None]:
    """(minutes from the onset to the alarm, seconds from the onset to the date given), None where it was not found."""
    rng = np.random.default_rng(list(seed))
    before, after = 36 * 60, LONG + 3  # minutes
    level, rate, failing = levels(one, WEEKS * 7 * DAY, rng)
    usual = usual_of(one, level, rate, failing, rng)
    assert usual is not None
    start = MONDAY + timedelta(days=1)  # Tuesday; the shift comes on Wednesday noon
    minutes = before + after
    count = rng.poisson(one.rate, minutes)
    at = np.sort(np.repeat(np.arange(minutes), count) + rng.random(int(count.sum())))
    onset = before + rng.random()
    jitter = _walk(rng.normal(0, one.jitter * math.sqrt(0.75), minutes), 0.5)
    place = at.astype(int)
    middle = math.log(one.median_us) + one.swing + jitter[place]
    middle += np.where((at >= onset) & (at < onset + LONG), math.log(factor), 0.0)
    bucket = np.searchsorted(EDGES, rng.normal(middle, one.sigma), side="right")
    series = watch.Series(usual)
    for n in range(minutes):
        mine = bucket[place == n]
        histogram = np.bincount(mine, minlength=BUCKETS).tolist()
        series.next(watch.counted(watch.minute_of(start) + n, histogram, len(mine), 0, usual.bounds))
        series.learn()
        if n < before:
            continue
        for alarm in series.alarms():
            first = alarm.first - watch.minute_of(start)
            near = (at >= first - 2) & (at < min(first + 4, n + 1))
            calls = [
                (start + timedelta(minutes=float(t)), series.mark_of(alarm, int(b), False))
                for t, b in zip(at[near], bucket[near], strict=True)
            ]
            dated = onset_of(calls, alarm.marks)
            wrong = None if dated is None else (dated - start).total_seconds() - onset * 60
            return n + 1 - onset, wrong
    return None, None


def at_most(events: int) -> float:
    """The upper 95 % bound of a Poisson mean of which so many were seen."""
    low, high = float(events), events + 20.0 + 4 * math.sqrt(events)
    for _ in range(60):
        mean = (low + high) / 2
        chance = sum(math.exp(-mean + n * math.log(mean) - math.lgamma(n + 1)) for n in range(events + 1))
        low, high = (mean, high) if chance > 0.05 else (low, mean)
    return high


def at_least(good: int, of: int) -> float:
    """The lower 95 % bound (Wilson) of a share."""
    z, p = 1.6449, good / of
    return (p + z * z / (2 * of) - z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))) / (1 + z * z / of)


def shifts(each: int, seed: int) -> list[dict[str, Any]]:
    """Recall and error of the onset, by factor, rate and width."""
    found: list[dict[str, Any]] = []
    for factor in FACTORS if each else ():
        for rate in RATES:
            for sigma in SIGMAS:
                told = [
                    shifted(an_endpoint(random.Random(f"{seed}/{factor}/{rate}/{sigma}/{n}"), rate, sigma), factor,
                            (seed, int(factor * 10), rate, int(sigma * 10), n))
                    for n in range(each)
                ]  # fmt: skip
                after = sorted(minutes for minutes, _ in told if minutes is not None)
                wrong = sorted(abs(error) for _, error in told if error is not None)
                found.append({
                    "factor": factor, "rate": rate, "sigma": sigma, "shifts": each, "found": len(after),
                    "recall": len(after) / max(1, each), "recall_at_least": round(at_least(len(after), each), 4),
                    "minutes_median": round(after[len(after) // 2], 1) if after else None,
                    "onset_error_p90_s": round(wrong[int(0.9 * (len(wrong) - 1))], 1) if wrong else None,
                })  # fmt: skip
    return found


def main() -> int:
    """Print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=600)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--each", type=int, default=60, help="shifts of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="write it to bench/results")
    asked = parser.parse_args()
    alarms, days, sides, seconds = false_alarms(asked.endpoints, asked.days, asked.seed)
    result: dict[str, Any] = {
        "what": "simulation: the watch on latency and errors", "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(), "seed": asked.seed, "alpha_a_minute": watch.ALPHA,
        "healthy": {
            "endpoint_days": days, "false_alarms": alarms, "by_side": sides,
            "a_day_and_1000_endpoints": round(1000 * alarms / max(1, days), 3),
            "at_most": round(1000 * at_most(alarms) / max(1, days), 3), "goal": 1.0,
            "us_a_minute": round(1e6 * seconds / max(1, days) / DAY, 1),
        },
    }  # fmt: skip
    print(json.dumps(result["healthy"]), flush=True)
    result["shifts"] = shifts(asked.each, asked.seed)
    for row in result["shifts"]:
        print(json.dumps(row))
    total, good = sum(r["shifts"] for r in result["shifts"]), sum(r["found"] for r in result["shifts"])
    result["recall"] = {
        "found": good,
        "of": total,
        "share": round(good / total, 4),
        "at_least": round(at_least(good, total), 4),
        "goal": 0.98,
    }
    print(json.dumps(result["recall"]))
    if asked.keep:
        path = ROOT / "bench" / "results" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-latency-watch.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"Kept as {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
