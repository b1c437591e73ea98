"""One run of a world with a set of faults: who is acting on a request, which member is marked down, what happened.

The same world with one fault less is its twin. `others=False` leaves out the traffic that no try depends on.
"""

from __future__ import annotations

from bench.faults.inject import EFFECTS, Fault
from bench.faults.tasks import Scheduler, Try
from bench.faults.traffic import Exchange, Way, others
from bench.faults.world import World, stream

FLAP_S = 16.0  # a monitor that flaps asks often
AHEAD_S = 400.0  # a failover cuts what began so long before it


class Sim:
    """State and results of one run: `exchanges`, `tries`, `scheduler`."""

    def __init__(self, world: World, faults: list[Fault], with_others: bool = True) -> None:
        self.world, self.faults = world, faults
        self.exchanges: list[Exchange] = []
        self._by_endpoint: dict[int, list[Fault]] = {}
        self._everywhere = [f for f in faults if f.ep is None]
        for fault in faults:
            if fault.ep is not None:
                self._by_endpoint.setdefault(fault.ep.index, []).append(fault)
        self._down = marked(world, faults)
        self.scheduler = Scheduler(self)
        self.tries: list[Try] = self.scheduler.run()
        if with_others:
            others(self)
        self.exchanges.sort(key=lambda x: (x.at, x.ep.index, x.port))

    def acting(self, x: Exchange) -> list[Fault]:
        found = [*self._by_endpoint.get(x.ep.index, ()), *self._everywhere]
        return [f for f in found if (f.start - AHEAD_S if f.kind == "N13" else f.start) <= x.at < f.end]

    def effect(self, stage: str, fault: Fault, x: Exchange, way: Way) -> None:
        effect = EFFECTS.get((fault.kind, stage))
        if effect is not None:
            effect(self, fault, x, way)

    def on_task(self, kind: str, dag_id: str, task_id: str, at: float) -> Fault | None:
        """The fault of this kind that acts on this task now."""
        for f in self.faults:
            if f.kind == kind and f.over(at) and f.dag_id == dag_id and (f.task is None or f.task.task_id == task_id):
                return f
        return None

    def on_worker(self, kind: str, worker: str, at: float) -> Fault | None:
        return next((f for f in self.faults if f.kind == kind and f.over(at) and f.worker in ("", worker)), None)

    def marked_down(self, member: str, at: float) -> bool:
        return any(low <= at < high for low, high, _ in self._down.get(member, ()))

    def downing(self, member: str, at: float) -> str:
        return next((fault for low, high, fault in self._down.get(member, ()) if low <= at < high), "")

    @property
    def down(self) -> dict[str, list[tuple[float, float, str]]]:
        return self._down

    def keep(self, x: Exchange) -> None:
        if x.asked or x.answered or x.who == "try":
            self.exchanges.append(x)


def marked(world: World, faults: list[Fault]) -> dict[str, list[tuple[float, float, str]]]:
    """When the monitors (or a person) hold each member down: (from, to, fault) by member name."""
    down: dict[str, list[tuple[float, float, str]]] = {}
    for f in faults:
        if f.kind not in ("N1", "N3", "N12") or f.ep is None:
            continue
        for m in f.members:
            rng = stream(world.seed, f.id, m.name)
            if f.variant == "disabled":
                spans = [(f.start, f.end)]
            elif f.kind == "N12":
                spans, at = [], f.start + FLAP_S + rng.uniform(0, 5)
                while at < f.end:
                    spans.append((at, min(at + rng.uniform(8, 20), f.end)))
                    at = spans[-1][1] + FLAP_S + rng.uniform(2, 12)
            else:
                low = f.start + f.ep.noticed_s - rng.uniform(0, f.ep.interval)
                spans = [(low, f.end + rng.uniform(0.5, f.ep.interval))] if low < f.end else []
            down.setdefault(m.name, []).extend((low, high, f.id) for low, high in spans)
    return down
