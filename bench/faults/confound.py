"""What of a run is logged at all, and how: loss, gaps, late lines, clocks that are off, templates that say less.

`emit` gives the lines as they reach the collector; the oracle and the writers see nothing else of the device.
"""

from __future__ import annotations

import bisect
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.faults.device import Said, said, unit_of
from bench.faults.traffic import Exchange
from bench.faults.world import World, stream

if TYPE_CHECKING:
    from bench.faults.sim import Sim


@dataclass(slots=True, eq=False)
class Row:
    """One request in the log: which of its two lines arrived, when, and from which unit."""

    x: Exchange
    unit: int
    request: float | None  # receive time of the request line; None: it is not there
    response: float | None

    @property
    def at(self) -> float:
        return self.x.at


@dataclass(slots=True)
class Emitted:
    """Both logs as they arrived. `rows` by endpoint in order of time."""

    rows: dict[int, list[Row]] = field(default_factory=dict)
    times: dict[int, list[float]] = field(default_factory=dict)
    by_exchange: dict[int, Row] = field(default_factory=dict)
    said: list[tuple[float, Said]] = field(default_factory=list)

    def near(self, endpoint: int, low: float, high: float) -> list[Row]:
        times = self.times.get(endpoint, [])
        return self.rows.get(endpoint, [])[bisect.bisect_left(times, low) : bisect.bisect_right(times, high)]


def emit(sim: Sim) -> Emitted:
    """The lines of this run that reach the collector."""
    world, out = sim.world, Emitted()
    rng = stream(world.seed, world.name, "lines")
    for x in sim.exchanges:
        unit = unit_of(sim, x.at, x.ep.device)
        sent = x.at + 0.002
        request = sent if x.asked and world.template != "response" else None
        response = x.at + x.dur + 0.002 if x.answered else None
        row = Row(x, unit, *(_arrives(world, at, rng) for at in (request, response)))
        if row.request is None and row.response is None:
            continue
        out.rows.setdefault(x.ep.index, []).append(row)
        out.by_exchange[id(x)] = row
    for index, rows in out.rows.items():
        out.times[index] = [row.at for row in rows]
    for one in said(sim):
        at = _arrives(world, one.at + 0.001, rng)
        if at is not None:
            out.said.append((at, one))
    return out


def _arrives(world: World, at: float | None, rng: random.Random) -> float | None:
    """When a line sent then arrives; None if it is lost or falls into the gap."""
    late, lost = rng.random() * world.late_s, rng.random() < world.loss
    if at is None or lost or (world.gap and world.gap[0] <= at < world.gap[1]):
        return None
    return at + late


def device_time(world: World, at: float) -> float:
    """What the device's clock shows at this moment."""
    return at + world.skew_s + world.drift * (at - world.start)
