"""A small world for tests of the fault bench."""

from __future__ import annotations

from bench.faults.inject import Fault
from bench.faults.pick import Target, choose
from bench.faults.world import Shape, World, build, stream

START = 1_790_000_000.0
SMALL = Shape(endpoints=(4, 4), members=(3, 3), workers=(2, 2), dags=(10, 10), versions=("3.3.2",))
BEGIN_S, LENGTH_S = 300.0, 200.0
# Which DAGs a kind needs to meet something, and what else must be so.
STYLES = {
    "N8": "bulk", "N19": "sync", "A1": "fanout", "A2": "fanout", "A3": "deadline", "A8": "heavy", "A9": "heavy", "A12": "fanout",
    "A13": "deadline", "A7": "deadline", "N13": "bulk", "N18": "fanout",
}  # fmt: skip


def a_world(kind: str, seed: int = 1) -> World:
    """Small, dense and without the Execution API: one DAG that runs every 30 s for ten minutes."""
    world = build(f"test-{kind}", seed, START, SMALL)
    world.api, world.end = None, START + BEGIN_S + LENGTH_S + 240
    world.endpoints = [ep for ep in world.endpoints if not ep.execution]
    world.reset_causes, world.queued_timeout_s = kind in ("N5", "N7", "N8"), 60.0
    world.devices = world.devices if kind != "N13" else build("x", 3, START, SMALL).devices[:1] * 2
    style = STYLES.get(kind, "fanout")
    world.dags = [dag for dag in world.dags if f"_{style}_" in dag.dag_id][:1]
    for ep in world.endpoints:
        ep.rate = 2.0
    for dag in world.dags:
        dag.period_s, dag.first_s = (30.0, 3.0) if style != "bulk" else (60.0, 3.0)
        for task in dag.tasks:
            task.limit_s = task.limit_s if task.kind in ("bulk", "heavy") else 6.0
            if task.endpoint is not None:
                task.endpoint.interval, task.endpoint.median_s, task.endpoint.rate = 10, 0.1, 20.0
    return world


def a_fault(world: World, kind: str, variant: str = "", seed: int = 0) -> Fault:
    fault = choose(Target(world, stream("test", kind, seed), []), "F01", kind, variant, START + BEGIN_S + 7 * seed)
    assert fault is not None
    fault.end = max(fault.end, fault.start + LENGTH_S) if kind not in ("N13", "A7") else fault.end
    return fault
