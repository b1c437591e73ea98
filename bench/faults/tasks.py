"""Airflow in the simulated world: DAG runs, slots, workers, retries, and the order in which tries happen.

One queue of tries by time; what a try does once it runs stands in attempt.py. A retry has a UUID of its own.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.faults.world import Dag, Task, stream

if TYPE_CHECKING:
    from bench.faults.sim import Sim
    from bench.faults.traffic import Exchange


@dataclass(slots=True)
class Failure:
    """Why a try ended badly, as its log tells it. `cause` is the code where no request decided."""

    kind: (
        str  # own status reset timeout connect_timeout refused dns proxy tls deadline sensor api killed silent starved
    )
    raised: list[tuple[str, str]] = field(default_factory=list)
    lines: list[tuple[str, str, str]] = field(default_factory=list)  # level, text, logger
    cause: str = ""
    fault: str = ""
    logged: bool = True
    event: str = ""  # what the event log says beside the state
    extra: str = ""


@dataclass(slots=True)
class Run:
    dag: Dag
    run_id: str
    at: float
    trace: str
    end: float = 0.0
    state: str = "running"
    step: int = 0
    open: int = 0
    broken: bool = False


@dataclass(slots=True)
class Try:
    run: Run
    task: Task
    map_index: int
    number: int
    uuid: str
    scheduled: float
    queued: float = 0.0
    start: float | None = 0.0
    end: float = 0.0
    state: str = ""
    worker: str = ""
    pid: int = 0
    first_run: float | None = None
    last_start: float | None = None  # a resume moves it
    failure: Failure | None = None
    deciding: Exchange | None = None
    calls: list[Exchange] = field(default_factory=list)
    resumes: list[tuple[float, float]] = field(default_factory=list)
    v3: bool = True
    waited: str = ""  # the fault for whose end it waited in the queue

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        return self.run.dag.dag_id, self.run.run_id, self.task.task_id, self.map_index, self.number

    @property
    def own_s(self) -> float:
        return self.end - (self.first_run if self.first_run is not None else self.queued)

    @property
    def header(self) -> str:
        dag, run, task, index, number = self.key
        return f"dag={dag};run={run};task={task};map={index};try={number}" + (f";ti={self.uuid}" if self.v3 else "")


def iso(at: float, sep: str = "+00:00") -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + sep


def uuid7(at: float, *key: object) -> str:
    rng = stream("uuid", *key)
    made = f"{int(at * 1000):012x}"
    tail = f"{rng.choice('89ab')}{rng.randrange(16**3):03x}-{rng.randrange(16**12):012x}"
    return f"{made[:8]}-{made[8:]}-7{rng.randrange(16**3):03x}-{tail}"


BACKFILL = 5  # runs of one backfill


class Scheduler:
    """Runs all DAGs of the world from its start to its end."""

    def __init__(self, sim: Sim) -> None:
        self.sim, self.world = sim, sim.world
        self.queue: list[tuple[float, int, Try]] = []
        self.seq = 0
        self.tries: list[Try] = []
        self.runs: list[Run] = []
        self.skipped: list[Try] = []  # upstream_failed: never tried
        self.slots = {name: [0.0] * size for name, size in self.world.pools.items()}

    def run(self) -> list[Try]:
        for dag in self.world.dags:
            self._runs(dag)
        while self.queue:
            _, _, t = heapq.heappop(self.queue)
            self._one(t)
        self.tries.sort(key=lambda t: (t.queued, t.key))
        return self.tries

    def _runs(self, dag: Dag) -> None:
        at, n = self.world.start + dag.first_s, 0
        while at < self.world.end - 240:
            self._begin(dag, at, n, "scheduled" if n % 4 else "manual")
            at, n = at + dag.period_s, n + 1
        for at, dag_id in self.world.backfills:
            if dag_id == dag.dag_id:
                for k in range(BACKFILL):
                    self._begin(dag, at + k * 0.7, n + k, "backfill")
                n += BACKFILL

    def _begin(self, dag: Dag, at: float, n: int, how: str) -> None:
        rng = stream(self.world.seed, dag.dag_id, n)
        when = at + rng.uniform(0, 0.4)
        trace = f"00-{rng.randrange(16**32):032x}-{rng.randrange(16**16):016x}-00"
        if not self.world.version.startswith("3.3"):  # the SDK sends it since 3.3
            trace = ""
        run = Run(dag, f"{how}__{iso(when)}", when, trace)
        self.runs.append(run)
        self._step(run, when + rng.uniform(0.1, 0.6))

    def _step(self, run: Run, at: float) -> None:
        """Schedule the instances of the next task; close the run behind the last."""
        if run.step >= len(run.dag.tasks) or run.broken:
            run.state, run.end = ("failed" if run.broken else "success"), at
            for task in run.dag.tasks[run.step :]:
                self.skipped.append(
                    Try(run, task, -1, 0, uuid7(run.at, *run.run_id, task.task_id), at, state="upstream_failed")
                )
            return
        task = run.dag.tasks[run.step]
        run.step += 1
        run.open = max(1, task.maps)
        for index in range(task.maps) if task.maps else (-1,):
            self._push(run, task, index, 1, at)

    def _push(self, run: Run, task: Task, index: int, number: int, at: float) -> None:
        down = self.sim.on_worker("A7", "", at)
        if down:
            at = down.end + stream(self.world.seed, run.run_id, task.task_id, index).uniform(1, 9)
        made = uuid7(at, run.dag.dag_id, run.run_id, task.task_id, index, number)
        self.seq += 1
        heapq.heappush(self.queue, (at, self.seq, Try(run, task, index, number, made, at, v3=self.world.v3)))

    def _one(self, t: Try) -> None:
        """Give it a slot, run it, and see what comes next."""
        from bench.faults.attempt import run_try

        rng = stream(self.world.seed, *t.key, "slot")
        slots = self.slots[t.task.airflow_pool]
        free = heapq.heappop(slots)
        t.queued = max(t.scheduled + rng.uniform(0.02, 0.1), free)
        t.worker = rng.choice(sorted(self.world.workers))
        t.pid = rng.randrange(900, 60000)
        run_try(self.sim, t, t.queued + rng.uniform(0.04, 0.25))
        heapq.heappush(slots, t.end)
        self.tries.append(t)
        again = (
            t.state == "failed" and t.number <= t.task.retries and (t.failure is None or t.failure.kind != "starved")
        )
        if again:
            t.state = "up_for_retry"
            self._push(t.run, t.task, t.map_index, t.number + 1, t.end + t.task.retry_delay_s + rng.uniform(0.1, 1.2))
            return
        t.run.open -= 1
        t.run.broken |= t.state == "failed"
        if t.run.open == 0:
            self._step(t.run, t.end + rng.uniform(0.2, 1.0))
