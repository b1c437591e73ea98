"""Truth by twin run: a try is caused by a fault if it goes badly with the fault and not without it.

Faults that are far from each other in time are left out together, so that two or three twins tell of all of them.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from bench.faults.confound import Emitted
from bench.faults.inject import Fault
from bench.faults.kinds import KINDS, UNSEEN, culprit
from bench.faults.oracle import Oracle
from bench.faults.sim import Sim
from bench.faults.tasks import Try
from bench.faults.traffic import Exchange
from bench.faults.write_f5 import stamp

TAIL_S = 420.0  # retries and lost heartbeats reach so far beyond a fault's end
SLOW_FACTOR, SLOW_EXTRA_S, SLOW_SAMPLES = 2.0, 10.0, 5
HAIR = 1.1  # nearer to the limit it is asked of nobody


def slow(tries: list[Try]) -> tuple[set[Any], set[Any]]:
    """Keys of successful tries that took more than twice their task's median and 10 s over it; and of those on the edge."""
    by_task: dict[tuple[str, str], list[Try]] = {}
    for t in tries:
        if t.state == "success":
            by_task.setdefault(t.key[0::2][:2], []).append(t)
    sure, edge = set(), set()
    for same in by_task.values():
        same.sort(key=lambda t: t.end)
        for n, t in enumerate(same):
            if t.own_s * HAIR <= SLOW_EXTRA_S:
                continue
            before = [o.own_s for o in same[:n]]
            later = [o.own_s for o in same if o is not t]
            if all(_is_slow(t.own_s / HAIR, found) for found in (before, later)):
                sure.add(t.key)
            elif any(_is_slow(t.own_s * HAIR, found) for found in (before, later)):
                edge.add(t.key)
    return sure, edge


def _is_slow(own: float, others: list[float]) -> bool:
    return len(others) >= SLOW_SAMPLES and own > SLOW_FACTOR * median(others) and own > median(others) + SLOW_EXTRA_S


def bad_keys(sim: Sim) -> tuple[set[Any], set[Any]]:
    sure, edge = slow(sim.tries)
    return {t.key for t in sim.tries if t.state in ("failed", "up_for_retry")} | sure, edge


def classes(faults: list[Fault]) -> list[list[Fault]]:
    """Faults in as few groups as can be, no two of a group near each other in time."""
    out: list[list[Fault]] = []
    for f in sorted(faults, key=lambda f: f.start):
        for group in out:
            if all(f.start > g.end + 60 for g in group):
                group.append(f)
                break
        else:
            out.append([f])
    return out


def causes(sim: Sim, bad: set[Any]) -> dict[Any, set[str]]:
    """By try: the faults without which it would have gone well."""
    found: dict[Any, set[str]] = {}
    for group in classes(sim.faults):
        out = {f.id for f in group}
        twin = Sim(sim.world, [f for f in sim.faults if f.id not in out], with_others=False)
        still, _ = bad_keys(twin)
        for t in sim.tries:
            if t.key in bad and t.key not in still:
                near = [f for f in group if f.start - 400 <= t.end and (t.queued or t.end) <= f.end + TAIL_S]
                if near:
                    found.setdefault(t.key, set()).update(f.id for f in near)
    return found


def deciding(t: Try, is_slow: bool) -> Exchange | None:
    """The request on which the try's end, or most of its lost time, rests."""
    if not is_slow:
        return t.deciding
    touched = [x for x in t.calls if x.fault]
    return max(touched, key=lambda x: (x.end - x.at, x.at), default=None)


def truth(sim: Sim, emitted: Emitted, about: dict[str, Any]) -> dict[str, Any]:
    """The content of truth.json."""
    bad, edge = bad_keys(sim)
    caused = causes(sim, bad)
    faults = {f.id: f for f in sim.faults}
    rows: list[dict[str, Any]] = []
    groups: dict[str, list[str]] = {}
    unclear: list[Any] = []
    oracle = Oracle(sim.world, emitted, [t for t in sim.tries if t.key in bad])
    for t in sim.tries:
        if t.key not in bad:
            continue
        is_slow = t.state == "success"
        x = deciding(t, is_slow)
        fault = _fault(t, x, faults)
        if fault is not None and fault.id not in caused.get(t.key, ()):
            unclear.append(t.key)  # it met this fault, and goes badly without it too
            continue
        rows.append(_row(sim, oracle, t, x, fault, is_slow))
        if fault is not None:
            groups.setdefault(fault.id, []).append(t.uuid)
    listed = [_fault_row(sim, f) for f in sim.faults]
    return {
        "world": {**about, "tries": len(sim.tries), "unclear": len(unclear)},
        "faults": listed,
        "tries": rows,
        "incidents": [{"fault": f, "tries": tries} for f, tries in sorted(groups.items())],
        "ignored": sorted([list(key) for key in (*edge, *unclear)], key=str),
    }


def _fault(t: Try, x: Exchange | None, faults: dict[str, Fault]) -> Fault | None:
    """The fault that the deciding request, the failure or the wait met."""
    mark = x.fault if x is not None and x.fault else (t.failure.fault if t.failure else "")
    if mark in faults:
        return faults[mark]
    return faults.get(t.waited) if t.failure is None else None  # who waits leaves no mark on a request


def _row(sim: Sim, oracle: Oracle, t: Try, x: Exchange | None, fault: Fault | None, is_slow: bool) -> dict[str, Any]:
    told = oracle.tell(t, fault, x, is_slow, True)
    bare = oracle.tell(t, fault, x, is_slow, False)
    kind = KINDS[fault.kind] if fault else KINDS["A1"]
    really = (
        (fault.cause or kind.cause) if fault else (t.failure.cause if t.failure and t.failure.cause else "undecided")
    )
    if fault and x is not None and x.ep.execution and fault.kind not in ("A14", "N13"):
        really = "api_unreachable"
    dag, run, task, index, number = t.key
    component = _component(sim, t, x, fault, told.cause)[0]
    return {
        "ti_id": t.uuid if sim.world.v3 else None,
        "dag_id": dag,
        "run_id": run,
        "task_id": task,
        "map_index": index,
        "try_number": number,
        "culprit": told.culprit,
        "cause": told.cause,
        "fault": fault.id if fault else None,
        "culprit_no_header": bare.culprit,
        "kind": fault.kind if fault else ("A1" if really == "task_error" else "H1"),
        "component_kind": component[0],
        "component": component[1],
        "accepted": sorted({told.cause, *told.accepted}),
        "components": {c: _component(sim, t, x, fault, c) for c in sorted({told.cause, *told.accepted})},
        "identifiable": told.identifiable,
        "really": {"culprit": _guilty(fault, really), "cause": really},
        "slow": is_slow,
        "confounders": sim.world.confounders,
        "at": stamp(t.end),
    }


def _guilty(fault: Fault | None, cause: str) -> str:
    """Whose fault it was in fact. A delay on the client's side is the route's, though no log has a word for it."""
    return "route" if fault and (fault.kind, fault.variant) == ("N17", "client") else culprit(cause)


OF_CAUSE = {  # whom a cause names, where that is not what its kind of fault acts on
    "unanswered": "virtual_server", "service_slow": "virtual_server", "service_failing": "virtual_server",
    "service_refused": "virtual_server", "connection_limit": "virtual_server", "misroute": "virtual_server",
    "config_change": "virtual_server", "reset_by_f5": "virtual_server", "no_member": "f5_pool", "api_unreachable": "f5_pool",
    "slow_member": "member", "member_grey": "member", "member_down": "member", "reset_by_server": "member",
    "monitor_flap": "member", "failover": "device", "device_overload": "device", "bad_request": "caller",
}  # fmt: skip
NAMELESS = ("unanswered", "reset_by_server", "member_down", "member_grey", "slow_member")


def _component(sim: Sim, t: Try, x: Exchange | None, fault: Fault | None, cause: str) -> list[tuple[str, str]]:
    """Who is at fault where this is the cause: kinds, and names as the logs call them, the best first.

    A request without an answer names no member: then the virtual server or the pool is as right as the member at fault.
    """
    if culprit(cause) == "unknown" or fault is None:
        return [("code", t.task.task_id) if cause == "task_error" else ("", "")]
    kind = OF_CAUSE.get(cause, KINDS[fault.kind].component)
    place = x.ep if x is not None else fault.ep
    pool, vs = (place.pool, place.vs) if place else ("", "")
    if fault.members and kind == "member":
        found = [("member", m.name) for m in fault.members]
    else:
        names = {
            "member": x.member.name if x and x.member else "", "f5_pool": pool, "virtual_server": vs, "path": vs, "service": vs,
            "device": sim.world.devices[fault.device].name, "worker": t.worker, "scheduler": "scheduler",
            "slot_pool": t.task.airflow_pool, "caller": t.task.task_id, "code": t.task.task_id,
        }  # fmt: skip
        found = [(kind, names.get(kind, ""))]
    if cause in NAMELESS and x is not None and not (x.answered and x.member):
        found += [("virtual_server", vs), ("f5_pool", pool), *(("member", m.name) for m in fault.members)]
    return list(dict.fromkeys(found))


def _fault_row(sim: Sim, f: Fault) -> dict[str, Any]:
    kind = KINDS[f.kind]
    cause = f.cause or kind.cause
    return {
        "id": f.id,
        "kind": f.kind,
        "variant": f.variant,
        "twin": kind.twin,
        "culprit": culprit(cause) if cause else None,
        "cause": cause or None,
        "endpoint": f.ep.vs if f.ep else None,
        "f5_pool": f.ep.pool if f.ep else None,
        "members": [m.name for m in f.members],
        "start": stamp(f.start),
        "end": stamp(f.end),
        "component_kind": kind.component,
        "component": f.members[0].name
        if kind.component == "member" and f.members
        else (f.ep.vs if f.ep else f.worker or f.dag_id),
        "confounders": sim.world.confounders,
        "unseen": f.kind in UNSEEN or f"{f.kind}:{f.variant}" in UNSEEN,
    }
