"""What one try does once it runs: its calls to the Execution API, its own calls, its own work, and how it ends.

The order of calls is that of Airflow 3 as recorded in captures/lab1; Airflow 2 has no Execution API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from bench.faults import logs
from bench.faults.inject import Fault
from bench.faults.tasks import Failure, Try, uuid7
from bench.faults.traffic import Exchange, call
from bench.faults.world import Endpoint, stream

if TYPE_CHECKING:
    from bench.faults.sim import Sim

SDK = {
    "3.3.2": "apache-airflow-task-sdk/1.3.2 (Python/3.11.7)",
    "3.2.2": "apache-airflow-task-sdk/1.2.2 (Python/3.12.8)",
}
AGENT = "python-requests/2.34.2"
API_LIMIT_S, API_CALLS = 5.0, 5
HEARTBEAT_S = 5.0
LOST_S = 300.0  # [scheduler] task_instance_heartbeat_timeout


class Stop(Exception):
    """The try ends here with this failure."""

    def __init__(self, failure: Failure, deciding: Exchange | None = None) -> None:
        self.failure, self.deciding = failure, deciding


class ApiDown(Stop):
    """The Execution API did not answer, repeatedly."""


class Attempt:
    def __init__(self, sim: Sim, t: Try, at: float) -> None:
        self.sim, self.t, self.now = sim, t, at
        self.world = sim.world
        self.rng = stream(self.world.seed, *t.key, "work")
        self.count = 0
        self.client = self.world.proxy or self.world.workers[t.worker]

    def pause(self, seconds: float) -> None:
        self.now += seconds

    # --- the Execution API --------------------------------------------------------------------------------------

    def api(self, method: str, path: str, ok: int = 200, size: int = 330, traced: bool = True) -> None:
        """One call of the task SDK: five times at most, each with 5 s to answer."""
        if not self.world.v3:
            return
        if self.world.api is None:
            self.pause(0.03)
            return
        last: Exchange | None = None
        for n in range(API_CALLS):
            last = self._one_api(method, path, ok, size, traced)
            if path.endswith("/run") and self.t.first_run is None and last.asked:  # one that the device saw
                self.t.first_run = last.at
            self.now = last.end
            if not last.failed:
                return
            self.pause(min(2.0**n, 30.0) * self.rng.uniform(0.5, 1.0))
        raise ApiDown(logs.api_down(self.world, last, method, path), last)

    def _one_api(self, method: str, path: str, ok: int, size: int, traced: bool) -> Exchange:
        assert self.world.api is not None
        self.count += 1
        x = Exchange(
            self.now, self.world.api, self.client, method, path, "try", SDK.get(self.world.version, SDK["3.3.2"]),
            self.t.worker, trace=self.t.run.trace if traced else "", bytes=size,
            corr=uuid7(self.now, *self.t.key, self.count),
        )  # fmt: skip
        call(self.sim, x, (*self.t.key, "api", self.count), API_LIMIT_S, ok=ok)
        self.t.calls.append(x)
        return x

    def instance(self, what: str) -> str:
        return f"/execution/task-instances/{self.t.uuid}/{what}"

    def xcom(self, task_id: str, query: str = "") -> str:
        return f"/execution/xcoms/{self.t.run.dag.dag_id}/{self.t.run.run_id}/{task_id}/return_value{query}"

    def begin(self) -> None:
        """From the process's start to the first line of the task's own code."""
        self.api("PATCH", self.instance("run"), 200, 1003, traced=False)
        self.api("PUT", self.instance("heartbeat"), 204, 195, traced=False)
        self.pause(self.rng.uniform(0.1, 0.5) if self.world.v3 else self.rng.uniform(1.2, 3.0))
        before = self.t.run.dag.tasks[: self.t.run.dag.tasks.index(self.t.task)]
        if before and self.t.task.kind not in ("call", "post", "sensor"):
            self.api("GET", self.xcom(before[-1].task_id), 200, 329)
        self.api("PUT", self.instance("rtif"), 201, 341)
        self.pause(self.rng.uniform(0.01, 0.2))

    def beat(self, low: float, high: float) -> None:
        """Heartbeats of a task that works or waits from `low` to `high`; one that is lost is not repeated."""
        if self.world.v3 and self.world.api is not None:
            kept, at = self.now, low + HEARTBEAT_S
            while at < high:
                self.now = at
                self._one_api("PUT", self.instance("heartbeat"), 204, 195, False)
                at += HEARTBEAT_S + 0.02
            self.now = kept

    # --- its own calls --------------------------------------------------------------------------------------------

    def ask(self, ep: Endpoint, method: str, uri: str, limit: float, work: float = 0.0, size: int = 0) -> Exchange:
        """One outbound call; repeated as the task's code says, then it raises."""
        if self.world.v3:
            self.api("GET", f"/execution/connections/{ep.service}_http", 200, 397)
        for n in range(self.t.task.repeats + 1):
            self.count += 1
            x = Exchange(self.now, ep, self.client, method, self._wrong(uri), "try", AGENT, self.t.worker, self.t.header,
                         self.t.run.trace if self.world.v3 else "", bytes=size)  # fmt: skip
            began = self.now
            call(self.sim, x, (*self.t.key, "out", self.count), limit, work)
            self.t.calls.append(x)
            self.now = x.end
            self.beat(began, self.now)
            if not x.failed:
                return x
            if x.error == "timeout" and not x.fault and (hasty := self._hasty()):
                x.fault = hasty.id
            if n < self.t.task.repeats:
                self.pause(2.0 * (n + 1))
        raise Stop(logs.of_call(x, limit, self.t.task.kind), x)

    def _wrong(self, uri: str) -> str:
        """A deployment of the DAG that asks for what is not there."""
        t = self.t
        fault = self.sim.on_task("A6", t.run.dag.dag_id, t.task.task_id, self.now)
        if fault is None or fault.cause != "bad_request" or not uri.startswith(t.task.path):
            return uri
        return f"{t.task.path}-v9{uri[len(t.task.path) :]}"

    def _hasty(self) -> Fault | None:
        t = self.t
        return self.sim.on_task("A8", t.run.dag.dag_id, t.task.task_id, self.now - 30) or self.sim.on_task(
            "A8", t.run.dag.dag_id, t.task.task_id, self.now
        )

    def own(self, seconds: float) -> None:
        began = self.now
        self.pause(seconds * self.rng.uniform(0.7, 1.3))
        self.beat(began, self.now)


def run_try(sim: Sim, t: Try, at: float) -> None:
    """Run this try from `at`: fills in its times, calls, state and failure."""
    starved = sim.on_worker("A4", t.worker, at)
    if starved and t.run.at >= starved.start - 60:
        return _starve(sim, t, at, starved)
    t.start = t.last_start = at
    run = Attempt(sim, t, at)
    try:
        run.begin()
        _faults_of_the_task(run)
        BODIES[t.task.kind](run)
        _after_the_body(run)
        if t.map_index >= 0:
            run.api("PATCH", run.instance("rendered-map-index"), 204, 195)
        if t.task.kind != "sensor" and sim.world.v3:
            query = f"?map_index={t.map_index}" if t.map_index >= 0 else ""
            run.api("POST", run.xcom(t.task.task_id, query), 201, 316)
        run.api("PATCH", run.instance("state"), 204, 195)
        t.state, t.end = "success", run.now
    except Stop as stop:
        _fail(run, stop)
    _killed(run)


def _fail(run: Attempt, stop: Stop) -> None:
    t, world = run.t, run.world
    t.state, t.failure, t.deciding = "failed", stop.failure, stop.deciding
    t.end = run.now
    if stop.failure.kind in ("killed", "silent"):
        return
    if stop.deciding is not None and stop.deciding.ep.execution and stop.deciding.uri.endswith("/run"):
        t.failure.event, t.failure.logged = "state mismatch", False
        t.start = None
        return
    run.pause(0.02)
    t.end = run.now
    try:
        run.api("PATCH", run.instance("state"), 204, 195, traced=False)
    except ApiDown as lost:
        t.end = run.now + LOST_S
        t.failure.event, t.deciding = "heartbeat timeout", t.deciding or lost.deciding
    if world.v3 and world.api is None:
        t.end = run.now


def _starve(sim: Sim, t: Try, at: float, fault: Fault) -> None:
    """No worker takes it: it stays queued until the scheduler gives it up, or until the fault ends."""
    limit = sim.world.queued_timeout_s
    if fault.end - at < limit:
        t.queued, t.waited = at, fault.id
        return run_try(sim, t, fault.end + stream(sim.world.seed, *t.key).uniform(0.2, 4.0))
    t.start, t.end, t.state, t.worker = None, at + limit + 5, "failed", ""
    t.failure = Failure("starved", cause="slot_starvation", fault=fault.id, logged=False,
                        event="stuck in queued tries exceeded",
                        extra="Task was requeued more than 0 times and will be failed.")  # fmt: skip
    return None


def _faults_of_the_task(run: Attempt) -> None:
    t, sim = run.t, run.sim
    dag, task = t.run.dag.dag_id, t.task.task_id
    if (f := sim.on_task("A1", dag, task, run.now)) and f.variant == "before":
        run.own(0.4)
        raise Stop(logs.own_error(t, f.variant, f.id))
    if f := sim.on_task("A13", dag, task, run.now):
        limit = t.task.deadline_s or f.factor
        run.own(0.0)
        began = run.now
        run.pause(limit)
        run.beat(began, run.now)
        raise Stop(logs.deadline(t, f.id, f.variant))
    if run.rng.random() < 0.004 and t.task.kind in ("code", "multi"):
        raise Stop(logs.own_error(t, "before", ""))


def _after_the_body(run: Attempt) -> None:
    """Code that fails on what it was given, though every answer was well."""
    t, sim = run.t, run.sim
    for kind in ("A1", "A2"):
        if f := sim.on_task(kind, t.run.dag.dag_id, t.task.task_id, run.now):
            run.pause(0.05)
            raise Stop(logs.own_error(t, "data" if kind == "A2" else f.variant, f.id))


def _killed(run: Attempt) -> None:
    """A worker that kills its processes, or a scheduler that takes them along: what was to come later did not happen."""
    t, sim = run.t, run.sim
    for f in sim.faults:
        if t.start is None or f.kind not in ("A3", "A7"):
            continue
        if f.kind == "A3":
            hit = f.over(t.start) and f.dag_id == t.run.dag.dag_id and f.task is t.task
            died = t.start + 0.6 * (t.end - t.start)
        else:
            died = f.start + 0.5
            hit = t.start < died < t.end
        if not hit:
            continue
        gone = {id(x) for x in t.calls if x.at > died}
        t.calls = [x for x in t.calls if x.at <= died]
        sim.exchanges = [x for x in sim.exchanges if id(x) not in gone] if gone else sim.exchanges
        for x in t.calls:
            if x.end > died:  # the client is gone: a BIG-IP gives up the request, and logs no answer
                x.end, x.dur, x.fault, x.answered = died, died - x.at, f.id, x.answered and sim.world.makes_own_errors
        t.state, t.deciding = "failed", None
        if f.kind == "A3":
            t.failure = logs.killed(f.id, f.variant)
            t.end = died + (1.0 if f.variant == "signal" else LOST_S)
        else:
            t.failure = Failure("silent", cause="scheduler_down", fault=f.id, logged=True, event="heartbeat timeout",
                                extra=logs.HEARTBEAT_TEXT)  # fmt: skip
            t.end = max(died + LOST_S, f.end + 10)


# --- what each kind of task does -----------------------------------------------------------------------------------


def _limit(run: Attempt) -> float:
    """The read time-out of its calls, lowered where somebody lowered it."""
    t = run.t
    fault = run.sim.on_task("A8", t.run.dag.dag_id, t.task.task_id, run.now)
    return fault.factor if fault else t.task.limit_s


def _call(run: Attempt) -> None:
    assert run.t.task.endpoint is not None
    run.ask(run.t.task.endpoint, "GET", f"{run.t.task.path}?batch={quote(run.t.run.run_id, safe='')}", _limit(run))


def _post(run: Attempt) -> None:
    assert run.t.task.endpoint is not None
    run.ask(run.t.task.endpoint, "POST", run.t.task.path, _limit(run))


def _fan(run: Attempt) -> None:
    assert run.t.task.endpoint is not None
    run.own(0.2)
    run.ask(run.t.task.endpoint, "GET", f"{run.t.task.path}{run.t.map_index:03d}", _limit(run))


def _multi(run: Attempt) -> None:
    task = run.t.task
    assert task.endpoint is not None
    for n in range(3):
        ep = task.second if n == 1 and task.second is not None else task.endpoint
        path = task.path if ep is task.endpoint else f"/{ep.service}/lookup"
        run.ask(ep, "GET", f"{path}?n={n}", _limit(run))
        run.own(0.3)


def _heavy(run: Attempt) -> None:
    assert run.t.task.endpoint is not None
    run.ask(run.t.task.endpoint, "GET", run.t.task.path, _limit(run), work=run.t.task.own_s)


def _bulk(run: Attempt) -> None:
    assert run.t.task.endpoint is not None
    run.ask(run.t.task.endpoint, "GET", run.t.task.path, run.t.task.limit_s, work=run.t.task.own_s, size=4_000_000)


def _sensor(run: Attempt) -> None:
    """Pokes, goes away and comes back: a reschedule moves start_date."""
    t = run.t
    assert t.task.endpoint is not None
    pokes = 2
    for n in range(pokes):
        if n:
            run.api("PATCH", run.instance("state"), 204, 195)
            t.resumes.append((t.last_start or run.now, run.now))
            run.pause(run.rng.uniform(11, 15))
            t.last_start = run.now
            run.begin()
        run.api("GET", f"/execution/task-reschedules/{t.uuid}/start_date?try_number={t.number}", 200, 306)
        run.ask(t.task.endpoint, "GET", f"{t.task.path}/{quote(t.run.run_id, safe='')}", _limit(run))


def _code(run: Attempt) -> None:
    if run.t.task.kind == "wait":
        run.api("PUT", f"/execution/variables/last_{run.t.task.task_id}", 201, 320)
    run.own(run.t.task.own_s)


BODIES: dict[str, Callable[[Attempt], None]] = {
    "call": _call, "post": _post, "fan": _fan, "multi": _multi, "heavy": _heavy, "bulk": _bulk, "sensor": _sensor,
    "code": _code, "wait": _code,
}  # fmt: skip
