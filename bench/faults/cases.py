"""The plan: which worlds a split holds, which faults happen in each, and which confounders lie over it.

`plans(split, seed, size)` is what the bench runs; `stage(plan)` makes the world and its faults, the same each time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bench.faults.inject import Fault
from bench.faults.kinds import KINDS, UNSEEN
from bench.faults.pick import Target, choose
from bench.faults.world import Shape, World, build, stream

SPLITS = ("dev", "validation", "held_out", "storms")
SIZES = {
    "small": {"dev": 10, "validation": 10, "held_out": 10, "storms": 3},
    "full": {"dev": 50, "validation": 50, "held_out": 80, "storms": 12},
}
CASES = 20  # of a world
# Kinds that fail all that meets them, for worlds in which one fault fails hundreds of tries
STORMS, STORM_CASES = ("N3", "N5", "N9", "N11", "N13", "N14", "N15", "N18", "N20", "A5", "A6"), 8
WARM_S, EACH_S = 660.0, 190.0
TUNED = Shape()
HELD_OUT = Shape(
    endpoints=(20, 60), members=(1, 8), workers=(2, 9), dags=(9, 16), hours=(1.0, 1.0), rate=(3.0, 30.0), median_s=(0.01, 0.9),
    intervals=(5, 10, 30), versions=("3.3.2", "3.2.2", "2.11.2", "2.11.2"),
)  # fmt: skip


STORMY = Shape(
    endpoints=(8, 14), dags=(8, 12), maps=(60, 120), rate=(10.0, 30.0), versions=("3.3.2", "2.11.2"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """One world to be written: `name` is safe as a folder name, `kinds` are its cases in order of time."""

    name: str
    split: str
    seed: int
    kinds: tuple[str, ...]
    confounders: tuple[str, ...] = field(default=())


def plans(split: str, seed: int, size: str = "small") -> list[Plan]:
    """The worlds of a split: every kind about equally often, confounders on about two worlds of three."""
    if split not in SPLITS:
        raise ValueError(f"{split!r} is no split: {', '.join(SPLITS)}.")
    kinds = [k for k in KINDS if split == "held_out" or k not in UNSEEN]
    if split == "held_out":
        kinds += ["N1:node", "N19", "A12"]
    cases = CASES
    if split == "storms":
        kinds, cases = list(STORMS), STORM_CASES
    rng = stream(seed, split, "plan")
    deck: list[str] = []
    out = []
    for n in range(SIZES[size][split]):
        while len(deck) < cases:
            fresh = list(kinds)
            rng.shuffle(fresh)
            deck += fresh
        drawn, deck = tuple(deck[:cases]), deck[cases:]
        laid = ("background", "overlap") if split == "storms" else _confounders(rng)
        out.append(Plan(f"{split.replace('_', '-')}-{seed}-{n:03d}", split, seed, drawn, laid))
    return out


CONFOUNDERS = (
    "skew", "drift", "local_time", "loss", "gap", "declared_gap", "late", "shared_address", "no_headers", "overlap", "background",
    "busy_background", "response_only", "ts_template", "reset_causes", "own_errors", "one_request",
)  # fmt: skip


def _confounders(rng: random.Random) -> tuple[str, ...]:
    if rng.random() < 0.3:
        return ("reset_causes",) if rng.random() < 0.4 else ()
    weights = (3, 1, 2, 2, 1, 1, 2, 2, 4, 4, 4, 2, 1, 1, 4, 2, 2)
    return tuple(sorted(set(rng.choices(CONFOUNDERS, weights, k=rng.choice((1, 2, 2, 3))))))


def stage(plan: Plan) -> tuple[World, list[Fault]]:
    """The world of a plan and the faults that happen in it."""
    rng = stream(plan.seed, plan.name, "stage")
    number = int(plan.name.rsplit("-", 1)[1])
    day = datetime(2026, 2, 1, tzinfo=UTC) + timedelta(days=(plan.seed * 37 + number) % 240, hours=number * 7 % 20)
    start = (day + timedelta(seconds=rng.randrange(3600))).timestamp()
    world = build(plan.name, plan.seed, start, {"held_out": HELD_OUT, "storms": STORMY}.get(plan.split, TUNED))
    world.end = start + WARM_S + EACH_S * len(plan.kinds) + 300
    _lay_over(world, plan, rng)
    for dag in world.dags:
        for task in dag.tasks:
            if task.endpoint is not None and task.endpoint.interval == 5 and rng.random() < 0.4:
                task.endpoint.interval = rng.choice((10, 30))
    return world, _faults(world, plan, rng)


def _lay_over(world: World, plan: Plan, rng: random.Random) -> None:
    """Set what the confounders of this plan change."""
    has = set(plan.confounders)
    far = plan.split == "held_out"
    world.confounders = sorted(has)
    world.background = rng.choice((0.5, 2.0, 5.0)) if "background" in has else 0.1
    if "busy_background" in has:
        world.background = rng.choice((15.0, 30.0, 60.0))
    if "skew" in has:
        world.skew_s = rng.choice((0.5, -2.0, 5.0, -5.0, 30.0, -30.0, 120.0)) * (1.1 if far else 1.0)
    world.drift = rng.choice((2e-5, -2e-4)) if "drift" in has else 0.0
    world.utc_offset_s = rng.choice((7200, -18000, 19800)) if "local_time" in has else 0
    world.loss = rng.choice((0.01, 0.1, 0.1, 0.5) if not far else (0.02, 0.15, 0.4)) if "loss" in has else 0.0
    world.late_s = rng.choice((5.0, 60.0, 900.0)) if "late" in has else 0.0
    world.proxy = "10.45.0.2" if "shared_address" in has else ""
    world.headers = "no_headers" not in has and "ts_template" not in has
    world.template = "response" if "response_only" in has else "ts" if "ts_template" in has else "airf5"
    world.makes_own_errors = "own_errors" in has and world.template == "airf5"
    world.reset_causes = "reset_causes" in has
    length = rng.uniform(240, 700)
    if "declared_gap" in has:
        world.gap, world.declared_gap = (world.end - length - 300, world.end + 3600), True
    elif "gap" in has:
        low = rng.uniform(world.start + WARM_S, world.end - length - 300)
        world.gap = (low, low + length)
    if "one_request" in has:
        for ep in world.endpoints:
            ep.rate = min(ep.rate, 0.6)


def _faults(world: World, plan: Plan, rng: random.Random) -> list[Fault]:
    """One fault a slot; with `overlap` some begin while the one before still acts, on another path or the same."""
    out: list[Fault] = []
    at = world.start + WARM_S
    for n, name in enumerate(plan.kinds):
        kind, _, variant = name.partition(":")
        begins = at + rng.uniform(0, 40)
        if "overlap" in plan.confounders and out and rng.random() < 0.4:
            begins = max(out[-1].start + 5, begins - rng.uniform(60, 180))
        if kind != "H1":
            to = Target(world, rng, out, alone="overlap" not in plan.confounders)
            fault = choose(to, f"F{n + 1:02d}", kind, variant, begins)
            if fault is not None:
                out.append(fault)
        else:
            _healthy(world, rng, begins)
        at += EACH_S
    return out


def _healthy(world: World, rng: random.Random, at: float) -> None:
    """Nothing is wrong: other clients come in a burst, or somebody runs a DAG for past days."""
    world.bursts.append((at, at + rng.uniform(60, 180), rng.choice(world.endpoints).index))
    quick = [dag.dag_id for dag in world.dags if all(task.kind not in ("bulk", "wait") for task in dag.tasks)]
    if quick:
        world.backfills.append((at + 5, rng.choice(quick)))
