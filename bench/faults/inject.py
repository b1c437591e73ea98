"""What each fault does to a request on its way, and to the state of members.

An effect is a function of (sim, fault, exchange, way) under (kind, stage). The stages: `client` before the device sees
anything, `gate` on the device, `server` at the member, `after` when the answer is on its way. Chance comes from a stream
of the fault and the request, so that a twin without the fault differs by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.faults.traffic import Exchange, Way, answer, spoil
from bench.faults.world import Endpoint, Member, Task, stream

if TYPE_CHECKING:
    from bench.faults.sim import Sim

RTO_S = (1.0, 3.0, 7.0, 15.0)  # after how long a SYN or segment that was lost is sent again, and again


@dataclass(slots=True)
class Fault:
    id: str
    kind: str
    variant: str
    start: float
    end: float
    ep: Endpoint | None = None
    members: list[Member] = field(default_factory=list)
    share: float = 1.0
    factor: float = 1.0
    other: Endpoint | None = None
    task: Task | None = None
    dag_id: str = ""
    worker: str = ""
    status: int = 500
    device: int = 0
    cause: str = ""  # where a variant has another cause than its kind

    def over(self, at: float) -> bool:
        return self.start <= at < self.end


Effect = Callable[["Sim", Fault, Exchange, Way], None]


def chance(sim: Sim, fault: Fault, x: Exchange) -> float:
    return stream(sim.world.seed, fault.id, round(x.at * 1000), x.client, x.uri).random()


def _hit(sim: Sim, fault: Fault, x: Exchange) -> bool:
    return fault.share >= 1.0 or chance(sim, fault, x) < fault.share


# --- client: the device sees nothing of it -------------------------------------------------------------------------


def _worker_names(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.worker == fault.worker and not x.ep.execution:
        spoil(
            x, way, fault, "dns" if fault.variant == "dns" else "proxy", 0.03 if fault.variant == "dns" else 0.4, False
        )


def _worker_network(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.worker == fault.worker and _hit(sim, fault, x):
        spoil(x, way, fault, "connect_timeout", min(way.limit, 10.0), False)


def _vip_gone(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if fault.variant == "disabled":
        spoil(x, way, fault, "refused", 0.003, False)
    else:
        spoil(x, way, fault, "connect_timeout", min(way.limit, 10.0), False)


def _handshake(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if _hit(sim, fault, x):
        spoil(x, way, fault, "tls", 0.04, False)
        x.kind, x.reason = "tls", fault.variant


def _failover_gap(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    """Until the other unit has the addresses, a SYN is sent again and again."""
    if x.ep.device != fault.device or not fault.start <= x.at < fault.start + fault.factor:
        return
    wait = next((s for s in RTO_S if x.at + s >= fault.start + fault.factor), 30.0)
    if wait >= min(way.limit, 10.0):
        spoil(x, way, fault, "connect_timeout", min(way.limit, 10.0), False)
        return
    x.at += wait
    x.slowed += wait
    way.touched.append(fault.id)


def _client_delay(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if fault.variant == "client" and x.who == "try":
        way.client_delay += fault.factor
        x.slowed += fault.factor
        way.touched.append(fault.id)


# --- gate: the device itself ---------------------------------------------------------------------------------------


def _cut(sim: Sim, fault: Fault, x: Exchange, way: Way, kind: str, reason: str, after: float = 0.003) -> None:
    """The device ends it: a reset and no answer, or the 503 of one that answers by itself."""
    if sim.world.makes_own_errors:
        answer(x, way, 503, after, True, fault.id)
        x.bytes = 217
    else:
        spoil(x, way, fault, "reset", after)
    x.kind, x.reason = kind, reason


def _reset_by_f5(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if _hit(sim, fault, x):
        _cut(sim, fault, x, way, "rst", fault.variant)


def _misroute(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    assert fault.other is not None
    if x.who == "try" or _hit(sim, fault, x):
        x.pool = fault.other.pool
        way.order = sorted(fault.other.members, key=lambda m: stream(sim.world.seed, x.port, m.name).random())
        way.status = fault.status
        way.touched.append(fault.id)


def _broken_config(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if fault.variant == "snat":
        way.hang = True
        way.touched.append(fault.id)
    else:
        _cut(sim, fault, x, way, "tcl" if fault.variant == "irule" else "rst", "TCL error (connection rejected)")


def _exhausted(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if _hit(sim, fault, x):
        kind = "ports" if fault.variant == "ports" else "limit"
        _cut(sim, fault, x, way, kind, fault.variant)


def _waf(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    assert fault.task is not None
    if x.who == "try" and x.path.startswith(fault.task.path):
        if fault.variant == "page":
            answer(x, way, 403, 0.004, True, fault.id)
            x.bytes = 246
        else:
            spoil(x, way, fault, "reset", 0.004)
        x.kind, x.reason = "waf", str(stream(sim.world.seed, fault.id, x.at).randrange(10**18, 10**19))


def _large_body(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.method == "POST":
        way.hang = True
        way.touched.append(fault.id)


def _overload(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.ep.device == fault.device:
        if _hit(sim, fault, x):
            _cut(sim, fault, x, way, "overload", "Flow expired (sweeper)", 0.5)
        else:
            _slow(x, way, fault, 0.2 + 0.8 * chance(sim, fault, x))


# --- server --------------------------------------------------------------------------------------------------------


def _slow(x: Exchange, way: Way, fault: Fault, seconds: float) -> None:
    way.latency += seconds
    x.slowed += seconds
    way.touched.append(fault.id)


def _dead_member(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.member not in fault.members:
        return
    way.touched.append(fault.id)
    if fault.variant == "hang":
        way.hang = True
    else:
        way.reset_after = 0.002
        x.kind, x.reason = "rst", "{peer} TCP RST from remote system"


def _grey(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.member not in fault.members or not _hit(sim, fault, x):
        return
    way.touched.append(fault.id)
    if fault.variant == "hang":
        way.hang = True
    elif fault.variant == "reset":
        way.reset_after = way.latency * 0.6
        x.kind, x.reason = "rst", "{peer} TCP RST from remote system"
    else:
        way.status = fault.status


def _slow_member(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.member in fault.members:
        _slow(x, way, fault, way.latency * (fault.factor - 1))


def _client_reset(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if _hit(sim, fault, x):
        way.touched.append(fault.id)
        way.reset_after = way.latency * 0.5
        x.kind, x.reason = "rst_client", "TCP RST from remote system"


def _resets(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    (_client_reset if fault.variant == "client" else _grey)(sim, fault, x, way)


def _failing_service(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if _hit(sim, fault, x):
        way.status = fault.status
        way.touched.append(fault.id)


def _refusing(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    assert fault.task is not None
    if x.who == "try" and x.path.startswith(fault.task.path) and x.task.startswith(f"dag={fault.dag_id};"):
        way.status = fault.status
        way.touched.append(fault.id)


def _slow_service(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    _slow(x, way, fault, way.latency * (fault.factor - 1) + fault.share)


def _third_party(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    assert fault.task is not None
    if not x.path.startswith(fault.task.path):
        return
    if fault.variant == "slow":
        _slow(x, way, fault, fault.factor)
    elif _hit(sim, fault, x):
        way.status = fault.status
        way.touched.append(fault.id)


def _more_data(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    assert fault.task is not None
    if x.who == "try" and x.path == fault.task.path and x.task.startswith(f"dag={fault.dag_id};"):
        _slow(x, way, fault, way.latency * (fault.factor - 1))
        way.size *= fault.factor


def _loss(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    drawn = chance(sim, fault, x)
    if drawn < fault.share * 0.4:
        way.hang = True
        way.touched.append(fault.id)
    elif drawn < fault.share:
        _slow(x, way, fault, RTO_S[int(drawn * 1000) % 3])


def _path_delay(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if fault.variant == "server" or (fault.variant == "member" and x.member in fault.members):
        _slow(x, way, fault, fault.factor * (0.7 + 0.6 * chance(sim, fault, x)))


# --- after ---------------------------------------------------------------------------------------------------------


def _idle_cut(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if way.latency > fault.factor:
        way.touched.append(fault.id)
        way.reset_after = fault.factor
        x.kind, x.reason = "rst", "Flow expired (sweeper)"


def _failover_cut(sim: Sim, fault: Fault, x: Exchange, way: Way) -> None:
    if x.ep.device == fault.device and x.at < fault.start <= x.at + way.latency:
        way.touched.append(fault.id)
        way.reset_after = fault.start - x.at + 0.2


EFFECTS: dict[tuple[str, str], Effect] = {
    ("A11", "client"): _worker_names, ("A14", "client"): _worker_network, ("N11", "client"): _vip_gone,
    ("N9", "client"): _handshake, ("N13", "client"): _failover_gap, ("N17", "client"): _client_delay,
    ("N5", "gate"): _reset_by_f5, ("N10", "gate"): _misroute, ("N14", "gate"): _broken_config,
    ("N15", "gate"): _exhausted, ("N18", "gate"): _waf, ("N19", "gate"): _large_body, ("N20", "gate"): _overload,
    ("N1", "server"): _dead_member, ("N2", "server"): _grey, ("N3", "server"): _dead_member, ("N4", "server"): _slow_member,
    ("N6", "server"): _grey, ("N7", "server"): _resets, ("N12", "server"): _grey, ("A5", "server"): _failing_service,
    ("A6", "server"): _refusing, ("A9", "server"): _more_data, ("A10", "server"): _slow_service,
    ("A12", "server"): _third_party, ("N16", "server"): _loss, ("N17", "server"): _path_delay,
    ("N8", "after"): _idle_cut, ("N13", "after"): _failover_cut,
}  # fmt: skip
