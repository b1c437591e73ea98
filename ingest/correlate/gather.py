"""Gather the facts of a batch of tries of one Airflow: about twenty statements however many tries there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest import records
from ingest.completeness.clocks import Clocks
from ingest.completeness.skew import NONE, Skew
from ingest.models import Airflow, Endpoint
from ingest.rules import bad
from ingest.rules.facts import Attempt, Candidate, Change, Coverage, Facts, Job, Request

from . import lacks, load, loose
from .around import NEAR, USUAL, merged
from .routes import Place, Routes, addresses, routes_of
from .tries import TryRow, others
from .world import World

BEFORE_RUN = timedelta(minutes=10)


@dataclass(slots=True)
class Batch:
    """What is loaded once for all tries of the batch."""

    airflow: Airflow
    world: World
    tries: Sequence[TryRow]
    logs: dict[int, records.TaskLog]
    exact: dict[int, list[Request]]
    lo: datetime
    hi: datetime
    medians: dict[int, tuple[int, float | None]] = field(default_factory=dict)
    callers: dict[int, loose.Caller] = field(default_factory=dict)
    match: loose.Match = field(default_factory=lambda: loose.Match([], [], []))
    clocks: Clocks = field(default_factory=Clocks)
    led: dict[tuple[str, int | None], frozenset[int]] = field(default_factory=dict)
    ahead: dict[str, dict[int, Skew]] = field(default_factory=dict)

    @property
    def endpoints(self) -> dict[int, Endpoint]:
        return self.world.endpoints

    def lead_to(self, host: str, port: int | None) -> frozenset[int]:
        """The endpoints that this host and port lead to; looked up once."""
        if (host, port) not in self.led:
            self.led[host, port] = lead_to(self.endpoints, host, port)
        return self.led[host, port]


def facts_of(
    airflow: Airflow,
    world: World,
    tries: Sequence[TryRow],
    slow: dict[int, bool],
    medians: dict[int, tuple[int, float | None]],
) -> list[Facts]:
    """The Facts of each try, in the order given.

    `slow`: which of them succeeded slowly; `medians`: (samples, seconds) of their
    tasks.
    """
    batch = _load(airflow, world, tries)
    batch.medians = medians
    _find_loose(batch, slow)
    first = [_facts(batch, t, slow.get(t.pk, False)) for t in tries]
    focus = [place for f in first for place in _focus(batch, f)]
    called = [place for f in first for place in _unreached(batch, f)]
    changes, events = _actions(batch, [place.at for place in (*focus, *called)])
    routes, reached = routes_of(airflow.pk, world, focus, called, changes)
    jobs = load.jobs(airflow.pk, batch.lo - BEFORE_RUN, batch.hi)
    gaps = _lacks(batch)
    return [_complete(batch, f, (routes, reached), events, jobs, gaps) for f in first]


def _load(airflow: Airflow, world: World, tries: Sequence[TryRow]) -> Batch:
    clocks = world.clocks(airflow)
    lo = min(t.span[0] for t in tries) - timedelta(seconds=5) - clocks.farthest
    hi = max(t.span[1] for t in tries) + timedelta(minutes=2) + clocks.farthest
    logs = {t.pk: t.log for t in tries if t.log is not None}
    exact = load.exact_requests(tries, world.feed_names)
    return Batch(airflow, world, tries, logs, _usual_clients(exact, tries), lo, hi, clocks=clocks)


def _actions(batch: Batch, times: Sequence[datetime]) -> tuple[list[Change], dict[tuple[str, str], list[Change]]]:
    """F5's changes around these times, and what Airflow logged of the batch's DAGs."""
    devices = {name for e in batch.endpoints.values() for name, _ in batch.world.devices[e.group_id]}
    changed = (min(times) - USUAL, max(times) + NEAR) if times else None
    heard = batch.lo - BEFORE_RUN, batch.hi + BEFORE_RUN
    return load.actions(devices, changed, batch.airflow.name, {t.dag_id for t in batch.tries}, heard)


def _usual_clients(exact: dict[int, list[Request]], tries: Sequence[TryRow]) -> dict[int, list[Request]]:
    """Whoever reaches a virtual server can forge a key: exact requests from a stranger's address are left out.

    A stranger is an address that never made a UUID call while most of the try's calls came from another. A deferred
    task's trigger runs in another process, maybe on another host: its header is not measured by this.
    """
    workers = {r.client for found in exact.values() for r in found if r.link is records.Link.UUID}
    deferrable = {t.pk for t in tries if t.defers}
    out: dict[int, list[Request]] = defaultdict(list)
    for try_id, found in exact.items():
        calls: dict[str, int] = defaultdict(int)
        for r in found:
            if r.link is records.Link.UUID:
                calls[r.client] += 1
        main = max(calls, key=lambda c: (calls[c], c), default="")
        for r in found:
            stranger = r.client != main and 3 * calls.get(r.client, 0) < calls[main] if main else False
            if r.link is records.Link.HEADER:
                stranger = (
                    bool(workers) and r.client not in workers and try_id not in deferrable and calls.get(main, 0) >= 3
                )
            if not stranger:
                out[try_id].append(r)
    return out


# Tries without an exact key to their calls


def _find_loose(batch: Batch, slow: dict[int, bool]) -> None:
    """Callers of the whole time, their windows, the bad requests in them, and who claims which."""
    peers, users = _others(batch)
    logs = dict(batch.logs) | {t.pk: t.log for t in peers if t.log is not None}
    hosts, named = load.known_hosts(batch.airflow.pk, {t.dag_id for t in batch.tries})
    learned = _learned(batch, peers, named)
    for t in (*batch.tries, *peers):
        called = _called(batch, logs.get(t.pk), hosts.get(t.conn_id)) or learned.get((t.dag_id, t.task_id), frozenset())
        caller = _caller(batch, t, logs.get(t.pk), called, slow.get(t.pk, False))
        if caller is not None:
            batch.callers[t.pk] = caller
    callers = list(batch.callers.values())
    windows = merged(
        (e, *loose.by_device((c.lo, c.hi + loose.SLACK), c.clocks.get(e, NONE))) for c in callers for e in c.endpoints
    )
    batch.match = loose.Match(callers, load.failed_requests(windows, batch.world.feed_names), users)


def _others(batch: Batch) -> tuple[list[TryRow], list[loose.User]]:
    """Tries of the batch's time: those that failed and are not in the batch, and the paths that tries are known to call."""
    peers, calling = others(batch.airflow.pk, [t.pk for t in batch.tries], batch.lo, batch.hi)
    users = [
        loose.User(
            c.dag_id, c.task_id, loose.target_of(None, c.endpoint), c.start_at, c.end_at, _clocks(batch, c.hostname)
        )
        for c in calling
    ]
    return peers, users


def _learned(
    batch: Batch, peers: Sequence[TryRow], named: Sequence[tuple[str, str, load.Host]]
) -> dict[tuple[str, str], frozenset[int]]:
    """The endpoints each task is known to use: from its tries' exact requests, and from the hosts its logs ever named."""
    out: dict[tuple[str, str], set[int]] = defaultdict(set)
    for t in (*batch.tries, *peers):
        mine = out[t.dag_id, t.task_id]
        mine.update(r.endpoint_id for r in batch.exact.get(t.pk, ()) if not r.execution)
    for dag_id, task_id, host in named:
        out[dag_id, task_id] |= batch.lead_to(*host)
    return {task: frozenset(found) for task, found in out.items()}


def _caller(
    batch: Batch, t: TryRow, log: records.TaskLog | None, endpoints: frozenset[int], slow: bool
) -> loose.Caller | None:
    """The try as a caller: only if its log does not speak of something else than a call."""
    if t.end_at is None or (log is not None and log.exceptions and not bad.speaks_of_call(log)):
        return None
    if not endpoints:
        if log is None or not log.connection_error or bad.speaks_of_api(log):
            return None
        # A reset names neither host nor path: any virtual server that tasks call, if it alone fits
        endpoints = frozenset(batch.endpoints)
    # start_date is right for a plain try; only what resumes (sensors, deferred tasks) moves it
    resumes = "Sensor" in t.operator or t.start_at is None or t.defers
    lo = t.span[0] if resumes else t.start_at
    clients = frozenset(r.client for r in batch.exact.get(t.pk, ()) if r.link is records.Link.UUID)
    told = str((batch.airflow.workers or {}).get(t.hostname) or "")  # where nothing else tells its worker's address
    clients = clients or frozenset({told} - {""})
    return loose.Caller(
        t.pk, (t.dag_id, t.run_id, t.task_id, t.map_index), t.try_number, lo, t.end_at, endpoints, log,
        loose.target_of(log, t.endpoint), (t.own_s or t.duration_s) if slow else None, clients, clocks=_clocks(batch, t.hostname),
    )  # fmt: skip


def _clocks(batch: Batch, hostname: str) -> dict[int, Skew]:
    """By endpoint, how far its device is ahead of this worker; empty where nothing is known."""
    if batch.clocks and hostname not in batch.ahead:
        batch.ahead[hostname] = {e.pk: batch.clocks.between(e.group_id, hostname) for e in batch.endpoints.values()}
    return batch.ahead.get(hostname, {})


def _ahead(batch: Batch, t: TryRow, caller: loose.Caller | None) -> timedelta:
    """How far the devices that the try's requests crossed are ahead of its worker: where they differ, the least of it."""
    if not batch.clocks:
        return timedelta(0)
    mine = {r.endpoint_id for r in batch.exact.get(t.pk, ())} | (caller.endpoints if caller else frozenset())
    groups = {batch.endpoints[pk].group_id for pk in mine if pk in batch.endpoints}
    return min((batch.clocks.between(g, t.hostname).shift for g in groups), key=abs, default=timedelta(0))


def lead_to(endpoints: dict[int, Endpoint], host: str, port: int | None) -> frozenset[int]:
    """The endpoints that this host and port lead to."""
    host = host.lower()
    exact = frozenset(e.pk for e in endpoints.values() if port and f"{host}:{port}" in addresses(e))
    if exact or not host:
        return exact
    return frozenset(
        e.pk for e in endpoints.values() if host in addresses(e) and (not port or not e.port or e.port == port)
    )


def _called(batch: Batch, log: records.TaskLog | None, connection: tuple[str, int | None] | None) -> frozenset[int]:
    if log is not None and log.host:
        return batch.lead_to(log.host, log.port)
    return batch.lead_to(*connection) if connection and connection[0] else frozenset()


# Facts, first without and then with their routes


def _facts(batch: Batch, t: TryRow, slow: bool) -> Facts:
    """Everything but the routes: enough to say which requests are bad."""
    caller = batch.callers.get(t.pk)
    found: tuple[Candidate, ...] = batch.match.candidates(caller) if caller else ()
    siblings, fitting = batch.match.siblings(caller) if caller else (0, 0)
    samples, median = batch.medians.get(t.pk, (0, None))
    attempt = Attempt(
        t.pk, t.dag_id, t.run_id, t.task_id, t.map_index, t.try_number, str(t.ti_id) if t.ti_id else None, t.state, t.queued_at,
        t.start_at, t.end_at, t.operator, t.conn_id, t.path, t.hostname, t.airflow_pool, slow, t.own_s, median,  # type: ignore[arg-type]
        samples, siblings, _ahead(batch, t, caller),
        frozenset(r.client for r in batch.exact.get(t.pk, ()) if r.link is records.Link.UUID),
    )  # fmt: skip
    exact = tuple(batch.exact.get(t.pk, ()))
    return Facts(attempt, batch.logs.get(t.pk), exact, found, fitting, {}, (), (), Coverage(bool(batch.endpoints)))


def _focus(batch: Batch, facts: Facts) -> list[Place]:
    """The requests around which the other requests of their endpoints matter, the deciding ones last; else where it called."""
    out = [c.request for c in facts.candidates[:3]]
    if facts.attempt.slow:
        out += sorted((r for r in facts.requests if (r.seconds or 0) > 1), key=lambda r: r.seconds or 0)[-2:]
        out += [r for r in facts.requests if bad.is_bad(r, facts)][:2]
    else:
        wrong = bad.own_bad(facts)
        out += wrong[-3:] + [r for r in wrong if bad.agrees(facts, r)][-1:]
    me, task = facts.attempt.try_id, (facts.attempt.dag_id, facts.attempt.task_id)
    return [Place(me, r.endpoint_id, r.at, r.f5_pool, r.path, task) for r in out if r.endpoint_id in batch.endpoints]


def _unreached(batch: Batch, facts: Facts) -> list[Place]:
    """Where the log says that it called, and no line of F5's log is of that call."""
    log = facts.log
    if log is None or not log.stage or not log.host or facts.candidates or bad.speaks_of_api(log):
        return []
    found, attempt = sorted(batch.lead_to(log.host, log.port)), facts.attempt
    task = attempt.dag_id, attempt.task_id
    return [Place(attempt.try_id, endpoint, attempt.over_at, "", "", task) for endpoint in found[:1]]


def _lacks(batch: Batch) -> dict[int, lacks.Lacks]:
    """What needed feeds lack in each try's window."""
    windows = [lacks.Window(*t.span, _groups(batch, t)) for t in batch.tries]
    return {
        t.pk: lack
        for t, lack in zip(batch.tries, lacks.among(batch.world.feeds, batch.world.gaps, windows), strict=True)
    }


def _groups(batch: Batch, t: TryRow) -> frozenset[int]:
    """The device groups that the call named by the task's log can have crossed; none: any."""
    log = batch.logs.get(t.pk)
    if log is None or not log.host or not bad.speaks_of_call(log) or bad.speaks_of_api(log):
        return frozenset()
    return frozenset(batch.endpoints[pk].group_id for pk in batch.lead_to(log.host, log.port))


def _complete(
    batch: Batch,
    facts: Facts,
    routes: tuple[Routes, Routes],
    events: dict[tuple[str, str], list[Change]],
    jobs: tuple[Job, ...],
    gaps: dict[int, lacks.Lacks],
) -> Facts:
    attempt, log = facts.attempt, facts.log
    mine = [*events.get((attempt.dag_id, attempt.task_id), ()), *events.get((attempt.dag_id, ""), ())]
    named = [e for e in mine if attempt.run_id in e.target or attempt.run_id in e.text]
    known = bool(batch.lead_to(log.host, log.port)) if log is not None and log.host else None
    lack = gaps.get(attempt.try_id, lacks.Lacks())
    coverage = Coverage(
        bool(batch.endpoints), lack.gap, known, thin=lack.thin, also=lack.also, scattered=lack.scattered
    )
    return Facts(
        attempt, log, facts.requests, facts.candidates, facts.sibling_candidates, routes[0].get(attempt.try_id, {}),
        tuple(sorted(named, key=lambda e: (e.at, e.verb))), jobs, coverage,
        next(iter(routes[1].get(attempt.try_id, {}).values()), None),
    )  # fmt: skip
