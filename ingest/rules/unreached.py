"""Rules for a call that F5's log holds no line of: it ended before it was a request. Where, and for whom else?

The task's log names a host of ours and says how far the call came (`TaskLog.stage`); F5's log is complete and has no such
request. What decides is who else reached that virtual server in the same seconds, and what F5 says of it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import exp, factorial
from statistics import median

from .bad import own_bad, speaks_of_api, speaks_of_call
from .compare import short
from .device import event_is_here, names_endpoint
from .facts import Facts, Finding, Health, Minute, Proof, Request, Route
from .words import clock, health_proof, log_proof, request_proof

TOGETHER = timedelta(seconds=15)  # what others reached so close to the failure was open at that moment
CHANCE = 1 / 400  # so seldom, by chance alone, a moment lies in so long a silence
USUAL = timedelta(minutes=10)  # how often it is asked is counted so long before the silence
MINUTE = timedelta(minutes=1)
LEAST_OTHERS = 3
KNOWN_MINUTES, FEW = 5, 0.01  # so seldom, by chance alone, so few come
MOMENT = timedelta(seconds=1)
AGAIN = tuple(timedelta(seconds=s) for s in (1, 3, 7, 15))  # when TCP asks once more for a connection (RFC 6298)
SAID = timedelta(seconds=10)
SWITCHED, SWITCHING = ("active", "standby", "failover"), timedelta(seconds=30)
GONE = ("unavailable", "offline", "disabled", "down", "forced_disabled")
BACK = ("available", "enabled", "up")
EXPIRED = "certificate has expired"


def _place(facts: Facts, *stages: str) -> Route | None:
    """The endpoint that the log names, where the call ended at one of these stages and never became a request of it."""
    log = facts.log
    if log is None or log.stage not in stages or not speaks_of_call(log) or speaks_of_api(log) or log.http_status:
        return None
    route = facts.called
    if route is None or facts.candidates:
        return None
    # What failed of another virtual server, or of Airflow's API, is not the call that the log names
    same = [r for r in own_bad(facts) if r.endpoint_id == route.endpoint_id and not r.execution]
    return None if same else route


def handshake(facts: Facts) -> Finding | None:
    """The TLS handshake failed before there was a request."""
    route = _place(facts, "tls")
    if route is None:
        return None
    at = facts.attempt.over_at
    said = [
        e for e in route.health
        if (e.state == "tls_failure" and abs(e.at - at) <= SAID and _is_about(e, facts, route))
        or (e.state == "certificate_expired" and e.at <= at)
    ]  # fmt: skip
    text = " ".join(value for _, value in facts.log.exceptions).lower() if facts.log else ""
    if not said and EXPIRED not in text and _others(facts, route):
        return None  # others speak TLS with it well: what does not fit may be this client's own
    why = said[-1].reason or said[-1].state.replace("_", " ") if said else "the task's log says so"
    return _finding(
        facts, "tls_failure", f"Route: the TLS handshake with {short(route.endpoint)} failed: {why}.",
        0.93 if said else 0.85, "virtual_server", route.endpoint, tuple(health_proof(e) for e in said[-2:]),
        _who(facts, route), route=route,
    )  # fmt: skip


def limited(facts: Facts) -> Finding | None:
    """F5 says that it refused connections: a limit was reached."""
    route = _place(facts, "connect")
    if route is None:
        return None
    at = facts.attempt.over_at
    for event in route.health:
        if event.state == "limit" and abs(event.at - at) <= SAID and event_is_here(event, route):
            return _finding(
                facts, "connection_limit", f"Route: {short(event.object)} had reached its limit at {clock(event.at)}.",
                0.93, "virtual_server", route.endpoint, (health_proof(event),), _who(facts, route), route=route,
            )  # fmt: skip
    return None


def no_member(facts: Facts) -> Finding | None:
    """F5's last word on the pool was that it had no member: it refuses connections then."""
    route = _place(facts, "connect")
    if route is None:
        return None
    states = ("no_members", "has_members")
    said = [
        e for e in route.health
        if e.f5_pool == route.f5_pool and e.state in states and e.at <= facts.attempt.over_at + timedelta(seconds=1)
    ]  # fmt: skip
    if not said or said[-1].state != "no_members":
        return None
    return _finding(
        facts, "no_member", f"Route: {short(route.f5_pool)} had no member since {clock(said[-1].at)}; connections were refused.",
        0.93, "pool", route.f5_pool, (health_proof(said[-1]),), _who(facts, route), route=route,
    )  # fmt: skip


def failover(facts: Facts) -> Finding | None:
    """The device group changed its active unit while the call waited for a connection."""
    route = _place(facts, "connect")
    if route is None:
        return None
    began, end = _tried(facts)
    said = [
        e for e in route.health
        if e.kind == "device" and e.state in SWITCHED and began - SWITCHING <= e.at <= end + SAID
    ]  # fmt: skip
    if not said:
        return None
    words = f"changed to {said[-1].state} at {clock(said[-1].at)}"
    return _finding(
        facts, "failover", f"Route: {route.device} {words}; no connection came about.",
        0.85, "device", route.device, (health_proof(said[-1]),), _who(facts, route), route=route,
    )  # fmt: skip


def vip_unreachable(facts: Facts) -> Finding | None:
    """Nobody reached the virtual server, or F5 says that it was switched off."""
    route = _place(facts, "resolve", "connect")
    if route is None:
        return None
    gone, silence = _gone(route, facts), _silence(route, facts)
    if gone is None and silence is None:
        return None
    how = "its name could not be resolved" if _stage(facts) == "resolve" else "no connection could be made"
    why = f"; F5 says that it was {gone.state.replace('_', ' ')} at {clock(gone.at)}" if gone else ""
    return _finding(
        facts, "vip_unreachable", f"Route: {short(route.endpoint)} could not be reached: {how}{why}.",
        0.95 if gone else 0.88, "virtual_server", route.endpoint, (health_proof(gone),) if gone else (),
        (True, _silent_words(silence) if silence else "F5's own log says since when."), route=route,
    )  # fmt: skip


def worker_network(facts: Facts) -> Finding | None:
    """Others reached the virtual server in the same seconds: what failed lies between this worker and the network."""
    route = _place(facts, "resolve", "connect", "proxy")
    if route is None:
        return None
    others, apart, stage = _others(facts, route), _told_apart(facts), _stage(facts)
    if stage != "proxy" and (len(others) < LEAST_OTHERS or not _all_the_while(facts, others)):
        return None  # a proxy is the client's own, whoever else comes through
    if stage != "proxy" and _fewer_than_usual(facts, route):
        return None  # one who came through while all the others did not does not say that it was open
    if stage == "connect" and facts.attempt.clients and not apart:
        return None  # where the same address reached it, that one connection failed is nobody's for certain
    what = {"resolve": "could not resolve its name", "proxy": "could not get through its proxy"}
    meanwhile = f", while others reached {short(route.endpoint)}" if others else f" to {short(route.endpoint)}"
    return _finding(
        facts, "worker_network",
        f"Task: {facts.attempt.hostname or 'the worker'} {what.get(stage, 'could not connect to it')}{meanwhile}.",
        0.9 if apart else 0.82, "worker", facts.attempt.hostname,
        tuple(request_proof(r, f"{r.client} reached it at {clock(r.at)}") for r in others[:3]),
        _who(facts, route), acquitted=bool(others),
    )  # fmt: skip


def _stage(facts: Facts) -> str:
    return facts.log.stage if facts.log else ""


def _finding(
    facts: Facts, cause: str, sentence: str, confidence: float, kind: str, component: str, proofs: tuple[Proof, ...],
    reason: tuple[bool, str], acquitted: bool = False, route: Route | None = None,
) -> Finding:  # fmt: skip
    ended = (
        "F5's log is complete and holds no request of this try that failed: the call ended before it was one "
        f"({_stage(facts)})."
    )
    return Finding(
        cause, sentence, confidence, kind, component, acquitted, proofs=(*proofs, *log_proof(facts)),
        reasons=(reason, (True, ended)), place=route,
    )  # fmt: skip


def _told_apart(facts: Facts) -> bool:
    """The worker's own address is known, and others have another."""
    mine, route = facts.attempt.clients, facts.called
    return bool(mine) and route is not None and any(r.client not in mine for r in route.near)


def _others(facts: Facts, route: Route) -> list[Request]:
    """Answered requests of other clients in the same seconds; of anybody's where clients cannot be told apart."""
    apart, (began, end) = _told_apart(facts), _tried(facts)
    found = [r for r in route.near if began - TOGETHER <= r.at <= end + TOGETHER]
    return [r for r in found if r.status is not None and (not apart or r.client not in facts.attempt.clients)]


def _tried(facts: Facts) -> tuple[datetime, datetime]:
    """From when to when the call waited for its connection: one limit, where the log names it."""
    end = facts.attempt.over_at
    return end - timedelta(seconds=(facts.log.timeout_s if facts.log else None) or 0), end


def _all_the_while(facts: Facts, others: list[Request]) -> bool:
    """Others came through while it tried: before it gave up and after, or before it tried again and after."""
    began, end = _tried(facts)
    inside = [r.at for r in others if began <= r.at <= end]
    if len(inside) >= LEAST_OTHERS and any(min(inside) <= began + again <= max(inside) for again in AGAIN):
        return True
    return any(r.at <= began + MOMENT for r in others) and any(r.at >= end - MOMENT for r in others)


def _fewer_than_usual(facts: Facts, route: Route) -> bool:
    """Far fewer requests came while it tried, and in the minute before, than in so many seconds of the half hour before."""
    tried, end = _tried(facts)
    began = tried - MINUTE
    known = [m.requests for m in route.minutes if m.start + MINUTE <= began]
    if len(known) < KNOWN_MINUTES:
        return False
    usual = median(known) * (end - began).total_seconds() / MINUTE.total_seconds()
    seen = sum(began <= r.at <= end for r in route.near)
    return exp(-usual) * sum(usual**k / factorial(k) for k in range(seen + 1)) <= FEW


def _silence(route: Route, facts: Facts) -> tuple[float, float] | None:
    """(seconds, requests to be expected in them) while nobody reached it, the call among them, longer than by chance.

    A moment lies in a silence of x expected requests with chance (1 + x) e^-x: long ones hold more moments than short ones.
    """
    began, end = _tried(facts)
    earlier, later = [r.at for r in route.near if r.at < end], [r.at for r in route.near if r.at >= end]
    counted = [m for m in route.minutes if m.start + MINUTE <= began]
    last = max(earlier) if earlier else max((m.start + MINUTE for m in counted), default=None)
    if last is None or last > began + MOMENT or not _log_spoke(facts, route, last, min(later, default=None)):
        return None
    silent = ((min(later) if later else end) - last).total_seconds()
    expected = silent * _rate(last, earlier, counted)
    return (silent, expected) if (1 + expected) * exp(-expected) <= CHANCE else None


def _log_spoke(facts: Facts, route: Route, last: datetime, until: datetime | None) -> bool:
    """The device's log told of others meanwhile, or of this try itself: else it is the log that is silent."""
    moments = [*route.spoke, *(r.at for r in facts.requests)]
    return any(last <= at and (until is None or at < until) for at in moments)


def _rate(last: datetime, earlier: list[datetime], counted: list[Minute]) -> float:
    """Requests a second until then: of whole minutes and of the requests near the call, the lower where both are known."""
    minutes = [m for m in counted if last - USUAL <= m.start and m.start + MINUTE <= last]
    told = [(sum(m.requests for m in minutes), min((m.start for m in minutes), default=last)),
            (len(earlier), min(earlier, default=last))]  # fmt: skip
    spans = [(number, (last - since).total_seconds()) for number, since in told]
    return min((number / seconds for number, seconds in spans if seconds >= MINUTE.total_seconds()), default=0.0)


def _silent_words(silence: tuple[float, float]) -> str:
    seconds, expected = silence
    return f"Nobody reached it for {seconds:.0f} s around the call; about {expected:.0f} requests were to be expected."


def _gone(route: Route, facts: Facts) -> Health | None:
    """What F5 said last of the virtual server or its address before the call was over, if it was out then.

    Its times are cut to the second: what it says of a return may be of a second later.
    """
    said = [e for e in route.health if e.kind in ("virtual", "virtual_address") and names_endpoint(e.object, route)]
    over = facts.attempt.over_at
    mine = [e for e in said if (e.state in GONE and e.at <= over) or (e.state in BACK and e.at + MOMENT <= over)]
    return mine[-1] if mine and mine[-1].state in GONE else None


def _is_about(event: Health, facts: Facts, route: Route) -> bool:
    """The event names this worker's address, or the virtual server's."""
    words = event.raw.replace("->", " ").replace(",", " ").split()
    hosts = {w.rpartition(":")[0] or w for w in words} | set(words)
    return bool(hosts & facts.attempt.clients) or bool(set(words) & route.addresses)


def _who(facts: Facts, route: Route) -> tuple[bool, str]:
    others = _others(facts, route)
    clients = len({r.client for r in others})
    return True, (
        f"{len(others)} requests of {clients} {'other clients' if _told_apart(facts) else 'client addresses'} to "
        f"{short(route.endpoint)} were answered within {TOGETHER.seconds} s of it."
    )
