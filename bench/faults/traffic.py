"""One HTTP request on its way: client, virtual server, member and back; and the requests of other clients.

What each fault does on the way stands in inject.py. Times are seconds since the epoch.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.faults.world import Endpoint, Member, stream

if TYPE_CHECKING:
    from bench.faults.inject import Fault
    from bench.faults.sim import Sim

AGENTS = ("curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36",
          "okhttp/4.12.0", "Java-http-client/21.0.4", "Go-http-client/1.1", "python-requests/2.32.3")  # fmt: skip
SERVER_LIMIT_S = 20.0  # after which a balancer that answers by itself says 504


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, what became of it, and what of it the device logs."""

    at: float
    ep: Endpoint
    client: str
    method: str
    uri: str
    who: str = "other"  # try, other
    ua: str = ""
    worker: str = ""
    task: str = ""
    trace: str = ""
    corr: str = ""
    port: int = 0
    pool: str = ""
    member: Member | None = None
    status: int | None = None
    dur: float = 0.0
    bytes: int = 0
    error: str = ""  # what the client saw: status reset timeout connect_timeout refused dns proxy tls
    end: float = 0.0  # when the client knew
    asked: bool = True  # the device logs the request
    answered: bool = False  # the device logs the response
    own: bool = False  # the device made the answer
    fault: str = ""  # the fault that spoiled it
    slowed: float = 0.0  # seconds that a fault added
    reason: str = ""  # reset cause, limit, handshake text: what the device says about it
    kind: str = ""  # of the line that says it: rst limit ports tls waf tcl
    background: bool = False

    @property
    def path(self) -> str:
        return self.uri.split("?")[0]

    @property
    def failed(self) -> bool:
        return bool(self.error)


@dataclass(slots=True)
class Way:
    """The state of a request that faults change on its way."""

    limit: float
    latency: float
    order: list[Member]
    rng: random.Random
    status: int = 200
    size: float = 1.0
    hang: bool = False
    reset_after: float | None = None
    over: bool = False
    client_delay: float = 0.0
    touched: list[str] = field(default_factory=list)


def call(sim: Sim, x: Exchange, key: tuple[object, ...], limit: float, work: float = 0.0, ok: int = 200) -> Exchange:
    """Send this request now; `work` are seconds the service needs beside its usual latency. Kept in `sim.exchanges`."""
    rng = stream(sim.world.seed, *key)
    ep = x.ep
    x.port = rng.randrange(32768, 60999)
    x.pool = ep.pool
    order = sorted(ep.members, key=lambda _: rng.random())
    latency = ep.median_s * math.exp(min(2.2, rng.gauss(0.0, 1.0)) * ep.sigma) + work * rng.uniform(0.9, 1.1)
    x.bytes = x.bytes or max(120, int(ep.bytes * math.exp(rng.gauss(0.0, 0.25))))
    way = Way(limit, latency, order, rng, ok)
    acting = sim.acting(x)
    for stage in ("client", "gate", "server", "after"):
        if stage == "server":
            _choose(sim, x, way)
        for fault in acting:
            if not way.over:
                sim.effect(stage, fault, x, way)
        if way.over:
            break
    if not x.end:
        _settle(sim, x, way)
    sim.keep(x)
    return x


def spoil(x: Exchange, way: Way, fault: Fault, error: str, after: float, asked: bool = True) -> None:
    """This request ends here: the client sees `error` so many seconds later, and no answer is logged."""
    x.error, x.end, x.asked, x.fault, way.over = error, x.at + after, asked, fault.id, True
    x.dur = after


def answer(x: Exchange, way: Way, status: int, after: float, own: bool, fault_id: str = "") -> None:
    """The device or the member answers with this status, and the way ends."""
    x.status, x.dur, x.end, x.answered, x.own, way.over = status, after, x.at + after, True, own, True
    x.error = "status" if status >= 400 else ""
    x.fault = fault_id or x.fault


def _choose(sim: Sim, x: Exchange, way: Way) -> None:
    """The first member in this request's order that the monitor calls up; none: the device resets, or answers 503."""
    if way.over:
        return
    for member in way.order:
        if not sim.marked_down(member.name, x.at):
            x.member = member
            return
    fault = sim.downing(way.order[0].name, x.at)
    if sim.world.makes_own_errors:
        answer(x, way, 503, 0.001, True, fault)
        x.bytes = 217
    else:
        x.error, x.end, x.fault, way.over = "reset", x.at + 0.004, fault, True
        x.kind, x.reason = "rst", "No pool member available"


def _settle(sim: Sim, x: Exchange, way: Way) -> None:
    """What the client and the device see of a request that a member took."""
    fault = way.touched[-1] if way.touched else ""
    x.dur = way.latency
    x.bytes = max(1, int(x.bytes * way.size))
    if way.reset_after is not None and way.reset_after < way.limit:
        x.error, x.end, x.fault = "reset", x.at + way.reset_after, fault
        x.dur = way.reset_after
        if sim.world.makes_own_errors and x.kind == "rst_client":
            x.status, x.answered = way.status, True  # such a balancer does not log that the client is gone
        elif sim.world.makes_own_errors:
            x.status, x.answered, x.own, x.error, x.bytes = 502, True, True, "status", 207
        return
    if way.hang or way.latency + way.client_delay > way.limit:
        x.error, x.end = "timeout", x.at + way.limit
        x.fault = fault if way.hang or x.slowed else ""  # what only changes the answer does not make it late
        if sim.world.makes_own_errors and way.hang:
            x.status, x.answered, x.own, x.dur = 504, True, True, SERVER_LIMIT_S
            if way.limit > SERVER_LIMIT_S:
                x.error, x.end = "status", x.at + SERVER_LIMIT_S
        elif not way.hang and (way.latency <= way.limit or sim.world.makes_own_errors):
            x.status, x.answered = way.status, True  # it left in time and came too late, or the balancer did not see
        return
    x.status, x.answered, x.end = way.status, True, x.at + way.latency + way.client_delay
    if way.status >= 400:
        x.error, x.fault = "status", fault
        x.bytes = 22 + way.status % 7
    elif fault:
        x.fault = fault


def others(sim: Sim) -> None:
    """The requests of other clients, their bursts, and the errors that are nobody's fault."""
    world = sim.world
    for ep in world.endpoints:
        _others_of(sim, ep, world.start, world.end, ep.rate, "other")
    for n, (start, end, index) in enumerate(world.bursts):
        ep = world.endpoints[index]
        _others_of(sim, ep, start, end, max(20.0, 3 * ep.rate), f"burst{n}")
    _background(sim)


def _others_of(sim: Sim, ep: Endpoint, start: float, end: float, rate: float, name: str) -> None:
    world = sim.world
    rng = stream(world.seed, ep.service, name)
    at, n = start + rng.expovariate(rate / 60), 0
    while at < end:
        client = world.proxy or rng.choice(world.clients)
        uri = (
            f"/ui/status?c={n}"
            if ep.execution
            else f"/{ep.service}{rng.choice(('', '/list', '/items/SKU', '/status'))}"
        )
        method = "POST" if rng.random() < 0.12 else "GET"
        tail = f"{n % 40:03d}" if uri.endswith("SKU") else ""
        x = Exchange(at, ep, client, method, uri + tail, ua=rng.choice(AGENTS))
        call(sim, x, (ep.service, name, n), 60.0)
        at, n = at + rng.expovariate(rate / 60), n + 1


def _background(sim: Sim) -> None:
    """Errors that others make: bad addresses, their own bugs, clients that leave."""
    world = sim.world
    if not world.background:
        return
    rng = stream(world.seed, "background")
    at, n = world.start + rng.expovariate(world.background / 60), 0
    while at < world.end:
        ep = rng.choice(world.endpoints)
        x = Exchange(at, ep, world.proxy or rng.choice(world.clients), "GET", f"/{ep.service}/old/{n % 17}",
                     ua=rng.choice(AGENTS), port=rng.randrange(32768, 60999), pool=ep.pool, background=True)  # fmt: skip
        x.member, x.bytes = rng.choice(ep.members), 31
        x.status = rng.choice((404, 404, 404, 400, 401, 500, 503, 0))
        x.dur = ep.median_s * rng.uniform(0.3, 2.0)
        x.error, x.end, x.answered = "status", at + x.dur, True
        if x.status == 0:
            x.status, x.answered, x.error = None, False, "reset"
        if not sim.marked_down(x.member.name, at):
            sim.keep(x)
        at, n = at + rng.expovariate(world.background / 60), n + 1
