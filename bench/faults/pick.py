"""What each fault acts on in a world, and how hard: endpoint, members, task or worker, share, factor and length."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bench.faults.inject import Fault
from bench.faults.world import Dag, Endpoint, Member, Task, World


@dataclass(slots=True)
class Target:
    world: World
    rng: random.Random
    others: list[Fault]
    at: float = 0.0
    alone: bool = True  # not on a path where another fault still acts

    def called(self) -> list[Endpoint]:
        """Endpoints that tasks call."""
        found = {t.endpoint.index: t.endpoint for d in self.world.dags for t in d.tasks if t.endpoint is not None}
        return list(found.values()) or [e for e in self.world.endpoints if not e.execution]

    def endpoint(self, members: int = 1) -> Endpoint:
        fit = [e for e in self.called() if len(e.members) >= members] or self.called()
        busy = {f.ep.index for f in self.others if f.ep is not None and f.end + 30 > self.at}
        free = [e for e in fit if not self.alone or e.index not in busy] or fit
        return self.rng.choices(free, [self.calls(e) for e in free])[0]

    def calls(self, ep: Endpoint) -> float:
        """About how many calls of tasks it gets in a second."""
        return sum(max(1, t.maps) / d.period_s for d in self.world.dags for t in d.tasks if t.endpoint is ep) + 1e-6

    def task(self, *kinds: str) -> tuple[Dag, Task] | None:
        fit = [(d, t) for d in self.world.dags for t in d.tasks if t.kind in kinds]
        return self.rng.choice(fit) if fit else None

    def worker(self) -> str:
        return self.rng.choice(sorted(self.world.workers))

    def some(self, ep: Endpoint, most: int = 1) -> list[Member]:
        return self.rng.sample(ep.members, min(most, len(ep.members)))


def choose(to: Target, fault_id: str, kind: str, variant: str, at: float) -> Fault | None:
    """The fault of this kind that begins now; None where this world has nothing it could act on."""
    to.at = at
    fault = Fault(fault_id, kind, variant, at, at + to.rng.uniform(*(LONG_S if kind in FEW else SHORT_S)))
    if not CHOICES[kind](to, fault):
        return None
    dag = next((d for d in to.world.dags if d.dag_id == fault.dag_id), None)
    if dag is not None:  # long enough for a run or two to meet it
        fault.end = max(fault.end, at + dag.period_s * 1.4)
    return fault


SHORT_S, LONG_S = (70.0, 180.0), (130.0, 250.0)
FEW = ("N1", "N2", "N4", "N7", "N12", "N16", "N17", "N19", "A12")  # only a part of the requests meets them


def _on_member(to: Target, f: Fault, api: float = 0.0) -> bool:
    if to.world.api is not None and to.rng.random() < api:
        f.ep = to.world.api
    else:
        f.ep = to.endpoint(2)
    f.members = to.some(f.ep)
    return len(f.ep.members) >= 2


def _down(to: Target, f: Fault) -> bool:
    f.variant = f.variant or to.rng.choice(("refused", "refused", "hang"))
    draws = [
        (_on_member(to, f, 0.1), f.ep, f.members) for _ in range(3)
    ]  # the longer its monitor takes, the more is met
    ok, f.ep, f.members = max(draws, key=lambda one: (one[0], one[1].interval if one[1] else 0))
    assert f.ep is not None
    if not f.ep.execution and to.rng.random() < 0.7:
        f.ep.interval = 30
    f.end = max(f.end, f.start + f.ep.noticed_s + 30)
    return ok


def _grey(to: Target, f: Fault) -> bool:
    f.variant = to.rng.choice(("status", "status", "status", "hang", "reset")) if f.kind == "N2" else "status"
    f.share = 1.0 if f.kind == "N6" else to.rng.choice((1.0, 1.0, 0.6, 0.3))
    f.status = to.rng.choice((500, 502, 503) if f.kind == "N6" else (500, 503, 503, 404))
    if f.kind == "N6":
        f.end = f.start + to.rng.uniform(50, 150)
    return _on_member(to, f, 0.1 if f.kind == "N2" else 0.0)


def _all_down(to: Target, f: Fault) -> bool:
    f.variant = to.rng.choice(("down", "down", "disabled"))
    f.ep = to.world.api if to.world.api is not None and to.rng.random() < 0.25 else to.endpoint()
    f.members = list(f.ep.members)
    if f.variant == "down":
        f.end = max(f.end, f.start + f.ep.noticed_s + 40)
    return True


def _slow_member(to: Target, f: Fault) -> bool:
    ok = _on_member(to, f)
    assert f.ep is not None
    f.factor = max(to.rng.choice((8.0, 20.0, 60.0, 200.0)), to.rng.uniform(6, 30) / f.ep.median_s)
    return ok


def _by_f5(to: Target, f: Fault) -> bool:
    f.ep, f.share = to.endpoint(), to.rng.choice((1.0, 0.7, 0.4))
    f.variant = to.rng.choice(("No server selected", "No route to host", "Policy reject"))
    return True


def _resets(to: Target, f: Fault) -> bool:
    f.variant, f.share = to.rng.choice(("reset", "reset", "client")), to.rng.choice((1.0, 0.6))
    f.cause = "unanswered" if f.variant == "client" else ""
    return _on_member(to, f)


def _idle(to: Target, f: Fault) -> bool:
    found = to.task("bulk")
    if found is None or found[1].endpoint is None:
        return False
    f.ep, f.factor = found[1].endpoint, max(10.0, found[1].own_s * to.rng.uniform(0.4, 0.75))
    f.variant = to.rng.choice(("profile", "silent"))
    f.end = f.start + 400
    return True


def _tls(to: Target, f: Fault) -> bool:
    f.ep, f.variant = to.endpoint(), to.rng.choice(("cert", "cipher"))
    f.ep.tls = True
    return True


def _misroute(to: Target, f: Fault) -> bool:
    f.ep = to.endpoint()
    others = [e for e in to.world.endpoints if e is not f.ep and not e.execution]
    f.other = to.rng.choice(others)
    f.variant, f.status, f.share = to.rng.choice(("policy", "silent")), to.rng.choice((404, 404, 400, 405)), 0.7
    return True


def _vip(to: Target, f: Fault) -> bool:
    f.ep, f.variant = to.endpoint(), to.rng.choice(("disabled", "route"))
    return True


def _flap(to: Target, f: Fault) -> bool:
    f.variant, f.share = "reset", 0.9
    ok = _on_member(to, f)
    f.end = f.start + to.rng.uniform(150, 240)
    return ok


def _failover(to: Target, f: Fault) -> bool:
    f.factor = to.rng.uniform(6, 28)
    return len(to.world.devices) >= 2


def _config(to: Target, f: Fault) -> bool:
    f.ep, f.variant = to.endpoint(), to.rng.choice(("irule", "snat", "profile"))
    return True


def _exhausted(to: Target, f: Fault) -> bool:
    f.ep, f.share, f.variant = (
        to.endpoint(),
        to.rng.choice((0.9, 0.6, 0.4)),
        to.rng.choice(("ports", "connections", "rate")),
    )
    f.cause = "port_exhaustion" if f.variant == "ports" else "connection_limit"
    return True


def _loss(to: Target, f: Fault) -> bool:
    f.ep, f.share = to.endpoint(), to.rng.choice((0.2, 0.4, 0.6))
    return True


def _delay(to: Target, f: Fault) -> bool:
    ok = _on_member(to, f)
    f.variant = to.rng.choice(("server", "member", "client")) if ok else "server"
    f.factor = to.rng.uniform(7, 25)
    f.cause = {"server": "service_slow", "member": "slow_member", "client": "undecided"}[f.variant]
    return True


def _waf(to: Target, f: Fault) -> bool:
    found = to.task("post", "call", "fan", "sensor")
    if found is None:
        return False
    f.ep, f.task, f.dag_id, f.variant = found[1].endpoint, found[1], found[0].dag_id, to.rng.choice(("page", "reset"))
    return True


def _mtu(to: Target, f: Fault) -> bool:
    found = to.task("post")
    if found is None:
        return False
    f.ep = found[1].endpoint
    return True


def _overload(to: Target, f: Fault) -> bool:
    f.share, f.end = to.rng.choice((0.25, 0.5)), f.start + to.rng.uniform(40, 100)
    return True


def _code(to: Target, f: Fault) -> bool:
    found = to.task("fan", "multi", "code", "heavy")
    assert found is not None
    f.dag_id, f.task = found[0].dag_id, found[1]
    f.variant = to.rng.choice(("before", "after"))
    return True


def _killed(to: Target, f: Fault) -> bool:
    found = to.task("wait", "bulk", "heavy", "multi", "code")
    if found is None:
        return False
    f.dag_id, f.task, f.variant = found[0].dag_id, found[1], to.rng.choice(("signal", "silent"))
    return True


def _starved(to: Target, f: Fault) -> bool:
    f.worker, f.end = "", f.start + to.world.queued_timeout_s + to.rng.uniform(20, 60)
    return True


def _service(to: Target, f: Fault) -> bool:
    f.ep, f.share, f.status = to.endpoint(), to.rng.choice((1.0, 1.0, 0.7)), to.rng.choice((500, 502, 503))
    return True


def _refused(to: Target, f: Fault) -> bool:
    found = to.task("call", "post", "fan", "multi")
    if found is None:
        return False
    f.dag_id, f.task, f.ep = found[0].dag_id, found[1], found[1].endpoint
    f.status = to.rng.choice((401, 403, 429, 404, 422))
    f.cause = "service_refused" if f.status in (401, 403, 429) else "bad_request"
    return True


def _scheduler(to: Target, f: Fault) -> bool:
    f.end = f.start + to.rng.uniform(40, 150)
    return True


def _hasty(to: Target, f: Fault) -> bool:
    found = to.task("heavy")
    if found is None:
        return False
    f.dag_id, f.task, f.factor = found[0].dag_id, found[1], float(round(found[1].own_s * 0.5, 1))
    f.end = f.start + 250
    return True


def _bigger(to: Target, f: Fault) -> bool:
    found = to.task("bulk", "heavy")
    if found is None:
        return False
    f.dag_id, f.task, f.ep, f.factor = found[0].dag_id, found[1], found[1].endpoint, to.rng.uniform(4, 6)
    f.end = f.start + 300
    return True


def _slow_service(to: Target, f: Fault) -> bool:
    f.ep, f.factor, f.share = to.endpoint(), to.rng.choice((3.0, 8.0)), to.rng.uniform(4, 25)
    return True


def _worker_names(to: Target, f: Fault) -> bool:
    named = any(not e.host[0].isdigit() for e in to.called())
    f.worker, f.variant = to.worker(), to.rng.choice(("dns", "dns", "proxy")) if named else "proxy"
    return len(to.world.workers) >= 2


def _worker_network(to: Target, f: Fault) -> bool:
    f.worker, f.variant, f.share = to.worker(), "cut", 1.0
    return len(to.world.workers) >= 2


def _third_party(to: Target, f: Fault) -> bool:
    found = to.task("call", "fan", "heavy", "sensor")
    if found is None:
        return False
    f.task, f.ep, f.variant = found[1], found[1].endpoint, to.rng.choice(("status", "slow"))
    f.status, f.factor, f.share = to.rng.choice((502, 504)), to.rng.uniform(12, 30), 0.9
    f.cause = "service_slow" if f.variant == "slow" else "service_failing"
    return True


def _deadline(to: Target, f: Fault) -> bool:
    found = to.task("wait", "code")
    if found is None:
        return False
    f.dag_id, f.task, f.factor, f.variant = found[0].dag_id, found[1], 60.0, to.rng.choice(("task", "sensor"))
    return True


CHOICES: dict[str, Callable[[Target, Fault], bool]] = {
    "N1": _down,
    "N2": _grey,
    "N3": _all_down,
    "N4": _slow_member,
    "N5": _by_f5,
    "N6": _grey,
    "N7": _resets,
    "N8": _idle,
    "N9": _tls,
    "N10": _misroute,
    "N11": _vip,
    "N12": _flap,
    "N13": _failover,
    "N14": _config,
    "N15": _exhausted,
    "N16": _loss,
    "N17": _delay,
    "N18": _waf,
    "N19": _mtu,
    "N20": _overload,
    "A1": _code,
    "A2": _code,
    "A3": _killed,
    "A4": _starved,
    "A5": _service,
    "A6": _refused,
    "A7": _scheduler,
    "A8": _hasty,
    "A9": _bigger,
    "A10": _slow_service,
    "A11": _worker_names,
    "A12": _third_party,
    "A13": _deadline,
    "A14": _worker_network,
}
