"""`make chaos`: bounded and seeded; `ARGS=--long` for the long form, `ARGS=--planted` for the ten planted bugs.

The exit code is 0 when nothing was lost, twice or altered, every point was hit and every bug was caught.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.report import Figure, table
from tests.chaos import oracle, planted, points, rounds
from tests.chaos.oracle import Found
from tests.chaos.world import World

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results"
PATIENCE_S, CALM_S = 60.0, 2.5
MOST_S = 900.0  # the short form, on a machine that does ten other things
MOST_ROUNDS = 3  # for a planted bug


class Done(NamedTuple):
    """One round."""

    name: str
    seconds: float
    resumed_s: float
    lines: int
    found: Found


class Caught(NamedTuple):
    """One planted bug."""

    name: str
    rounds: int
    words: str


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    seed = asked.seed or int.from_bytes(os.urandom(4), "big")
    print(f"Seed {seed}", flush=True)
    world = World(seed)
    began, bad = time.monotonic(), True
    try:
        world.begin()
        print(f"Everything runs after {time.monotonic() - began:.0f} s", flush=True)
        bad = _planted(world, seed) if asked.planted else _suite(world, asked, began)
    finally:
        world.end(keep=bad and asked.keep)
    print(
        f"{'FAILED' if bad else 'Passed'} in {time.monotonic() - began:.0f} s. Again: make chaos ARGS='--seed {seed}'"
    )
    return int(bad)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the one that a failed run printed")
    parser.add_argument("--long", type=int, nargs="?", const=20, default=0, metavar="MINUTES", help="so many minutes")
    parser.add_argument("--planted", action="store_true", help="the ten planted bugs, one by one")
    parser.add_argument("--only", default="", help="rounds whose name contains this")
    parser.add_argument("--keep", action="store_true", help="keep the home of a run that failed")
    parser.add_argument("--no-result", action="store_true", help="do not write to bench/results")
    return parser.parse_args()


# The suite


def _suite(world: World, asked: argparse.Namespace, began: float) -> bool:
    every: list[tuple[str, rounds.Round]] = [
        (f"points: {group.name}", lambda world, group=group: rounds.at_points(world, group))  # type: ignore[misc]
        for group in points.POINTS
    ]
    every += rounds.SHORT.items()
    every = [one for one in every if asked.only in one[0]]
    if not world.small and any(name.startswith("disk full") for name, _ in every):
        print("SKIPPED: full disks. They need root and a mount name space, which are not to be had here.", flush=True)
        every = [one for one in every if not one[0].startswith("disk full")]
    done: list[Done] = []
    for name, run in every:
        if not asked.long and time.monotonic() - began > MOST_S:
            print(f"WRONG: no time left for {name}")
            done.append(Done(name, 0.0, 0.0, 0, Found(other=["not run"])))
            continue
        done.append(_round(world, name, run))
    while asked.long and time.monotonic() - began < asked.long * 60 and all(one.found.clean for one in done):
        done.append(_round(world, *world.rng.choice(every)))
    last = oracle.look(world, _streams(world))
    wrong = _true_sums(world)
    hit = {point for point, _, _ in world.hits()}
    missed = [] if asked.only else [point for point in points.ALL if point not in hit]
    for problem in (*wrong, *(f"nobody came by {point}" for point in missed)):
        print(f"WRONG: {problem}")
    if not last.clean:
        print(f"WRONG at the end: {last.words}")
    figures = _figures(world, done, last, len(hit & set(points.ALL)))
    print("\n" + table(figures))
    if not (asked.no_result or asked.only):
        _keep(figures, world.seed, bool(asked.long))
    return bool(wrong or missed or not last.clean or not all(one.found.clean for one in done))


def _round(world: World, name: str, run: rounds.Round, patience_s: float = PATIENCE_S) -> Done:
    before, began = world.streams, time.monotonic()
    problem = ""
    try:
        run(world)
    except (TimeoutError, AssertionError) as error:
        problem = str(error)
    world.disarm()
    ended = time.monotonic()
    found = _settle(world, before, patience_s)
    found.other += [problem] if problem else []
    resumed = time.monotonic() - ended - (CALM_S if found.clean else 0.0)
    streams = _streams(world)[-(world.streams - before) :] if world.streams > before else []
    one = Done(name, time.monotonic() - began, max(0.0, resumed), sum(len(s.made) for s in streams), found)
    print(
        f"{one.name:36} {one.lines:6} lines  {one.seconds:5.1f} s  resumed {one.resumed_s:4.1f} s  {found.words}",
        flush=True,
    )
    return one


def _settle(world: World, before: int, patience_s: float) -> Found:
    """Wait until the database holds what this round sent, and a little longer: what comes twice comes late."""
    end = time.monotonic() + patience_s
    calm_since = 0.0
    while True:
        world.pause(0.3)
        delivered = world.deliver()
        found = oracle.look(world, [one for one in _streams(world) if one.number > before])
        if not delivered:
            found.other.append("not all is delivered")
        if found.hopeless or time.monotonic() > end:
            return found
        if not found.clean:
            calm_since = 0.0
        elif not calm_since:
            calm_since = time.monotonic()
        elif time.monotonic() - calm_since > CALM_S:
            return found


def _streams(world: World) -> list[rounds.Stream]:
    return sorted(world.known, key=lambda one: one.number)


def _true_sums(world: World) -> list[str]:
    end = time.monotonic() + 20
    while (wrong := oracle.sums(world)) and time.monotonic() < end:
        world.pause(0.5)
    return wrong


def _figures(world: World, done: list[Done], last: Found, hit: int) -> list[Figure]:
    resumed = sorted(one.resumed_s for one in done)
    p95 = resumed[max(0, math.ceil(0.95 * len(resumed)) - 1)] if resumed else 0.0
    lost, twice, altered = (
        max(len(getattr(last, what)), sum(len(getattr(one.found, what)) for one in done))
        for what in ("lost", "twice", "altered")
    )
    lines = sum(len(one.made) for one in world.known)
    return [
        Figure("chaos: rounds", len(done), ""),
        Figure("chaos: processes killed", world.kills, ""),
        Figure("chaos: points between durable steps hit", hit, "", f"all {len(points.ALL)}"),
        Figure("chaos: requests sent", lines, ""),
        Figure("chaos: tries told", len(world.airflow.truth()), ""),
        Figure("chaos: lost", lost, "", "0"),
        Figure("chaos: twice", twice, "", "0"),
        Figure("chaos: altered", altered, "", "0"),
        Figure("chaos: lines sent again after a broken connection", sum(one.again for one in world.senders), ""),
        Figure("chaos: seconds to resume, p95", p95, "s", "<= 15"),
    ]


# The planted bugs


def _planted(world: World, seed: int) -> bool:
    caught = []
    for bug in planted.BUGS:
        world.rng = random.Random(f"{seed}:{bug.name}")
        plant = world.place / "planted" / bug.name
        for number in range(1, MOST_ROUNDS + 1):  # noqa: B007
            plant.touch()
            try:
                one = _round(world, f"planted: {bug.name}", bug.round, 20.0)
            finally:
                plant.unlink()
            world.forget()
            if one.found.lost or one.found.twice or one.found.altered:
                break
        words = one.found.words if one.found.lost or one.found.twice or one.found.altered else ""
        caught.append(Caught(bug.name, number, words))
        world.mend(False)
        world.pause(2.0)
    print()
    for bug, one in zip(planted.BUGS, caught, strict=True):
        print(f"{bug.name:20} {bug.what:62} {f'caught in round {one.rounds}' if one.words else 'NOT CAUGHT'}")
    print(f"\n{sum(bool(one.words) for one in caught)} of {len(caught)} planted bugs caught")
    return not all(one.words for one in caught)


def _keep(figures: list[Figure], seed: int, long: bool) -> None:
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    result = {
        "at": now.isoformat(timespec="seconds"), "python": platform.python_version(), "cores": os.cpu_count(),
        "load": os.getloadavg()[0], "seed": seed, "small": not long, "figures": [figure._asdict() for figure in figures],
    }  # fmt: skip
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}-chaos{'-long' if long else ''}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nKept as {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
