"""Rules that name the route: what F5 did or said, and members that differ from their pool."""

from __future__ import annotations

from datetime import timedelta

from ingest.records import Outcome

from .bad import Case, is_bad, left_too_early
from .compare import failed, short
from .facts import Finding, Health, Route
from .words import answer, change_proof, clock, health_proof, how_joined, log_proof, request_proof

CHANGE_BEFORE = timedelta(minutes=5)
OVERLOADED = timedelta(seconds=60)  # so long after its word a device is still short of what it lacked
SHORT = ("memory_pressure", "clock_advanced")
MOST_CHOOSERS = 3  # policies and iRules that a finding names


def finding(
    case: Case, cause: str, sentence: str, confidence: float, kind: str, component: str, **more: object
) -> Finding:
    """A finding that rests on the deciding request, with how it was joined and what the log says."""
    proofs = (request_proof(case.request), *more.pop("proofs", ()), *log_proof(case.facts))  # type: ignore[misc]
    reasons = (*more.pop("reasons", ()), how_joined(case))  # type: ignore[misc]
    return Finding(
        cause=cause, sentence=sentence, confidence=round(confidence * case.link_factor, 3), component_kind=kind,
        component=component, request=case.request, proofs=proofs, reasons=reasons, candidates=case.of, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def api_unreachable(case: Case) -> Finding | None:
    """Any failure of the Task Execution API that is not an answer about the try's own state."""
    request = case.request
    if not request.execution or request.outcome is Outcome.CLIENT_ERROR:
        return None
    near = [r for r in case.route.near if abs(r.at - request.at) <= timedelta(seconds=60)]
    bad = [r for r in near if is_bad(r, case.facts)]
    events = [e for e in pool_events(case) if abs(e.at - request.at) <= timedelta(seconds=90)]
    return finding(
        case, "api_unreachable",
        f"Route: the Airflow API servers behind {short(request.endpoint)} did not answer the worker: "
        f"{request.method} {request.path.rsplit('/', 1)[-1]} at {clock(request.at)}: {answer(request)}.",
        0.97, "pool", request.f5_pool or request.endpoint,
        proofs=tuple(health_proof(e) for e in events[:4]),
        reasons=((True, f"{len(bad)} of {len(near)} calls to the API failed within a minute of it."), *_ghost(case)),
    )  # fmt: skip


def _ghost(case: Case) -> list[tuple[bool, str]]:
    """The call did its work though its answer was lost: what Airflow then said to the repeated one."""
    request = case.request
    again = [
        r for r in case.facts.requests
        if r.status == 409 and r.at > request.at and r.method == request.method and r.path == request.path
    ]  # fmt: skip
    if not again:
        return []
    return [
        (True, f"It was asked again at {clock(again[0].at)} and refused with 409: the first call had done its work.")
    ]


def said_by_f5(case: Case) -> Finding | None:
    """F5 logged why: a reset cause, a limit, exhausted ports, a failed handshake."""
    request = case.request
    causes = {
        "reset_sent": "reset_by_f5",
        "port_exhaustion": "port_exhaustion",
        "limit": "connection_limit",
        "tls_failure": "tls_failure",
    }
    for event in case.route.health:
        cause = causes.get(event.state)
        if cause is None or abs(event.at - request.at) > timedelta(seconds=5) or not failed(request):
            continue
        if not event_is_here(event, case.route):
            continue  # a limit of another virtual server, ports towards somebody else's members
        if cause in ("reset_by_f5", "tls_failure") and not _names_client(event, case):
            continue
        cause = _reset_cause(event) if cause == "reset_by_f5" else cause
        return finding(
            case, cause, f"Route: the BIG-IP logged at {clock(event.at)}: {event.reason or event.state.replace('_', ' ')}.",
            0.95, "virtual_server", request.endpoint, proofs=(health_proof(event),),
        )  # fmt: skip
    return None


def event_is_here(event: Health, route: Route) -> bool:
    """The event is about this virtual server, its pool, or one of its members, as far as it names one at all."""
    if event.kind == "member":
        return event.f5_pool == route.f5_pool if event.f5_pool else _is_a_member(event.object, route)
    if event.kind == "virtual":
        return not event.object or names_endpoint(event.object, route)
    towards = (
        [w.strip("(),") for w in event.raw.partition(" to ")[2].split()[:1]] if event.state == "port_exhaustion" else []
    )
    known = any(_address(m).count(".") == 3 for m in route.members)
    return not towards or not known or any(_is_a_member(w, route) for w in towards)


def names_endpoint(name: str, route: Route) -> bool:
    """The full path, the plain name or an address of the virtual server."""
    return name in (route.endpoint, short(route.endpoint)) or name in route.addresses


def _is_a_member(name: str, route: Route) -> bool:
    return any(short(name) == short(m) or name == m for m in route.members)


def _address(member: str) -> str:
    return short(member).rpartition(":")[0]


def answered_by_f5(case: Case) -> Finding | None:
    """An answer that no member gave, where the log names the members of others: a firewall, a policy or an iRule."""
    request, route = case.request, case.route
    if route.makes_own_errors or request.member or request.status is None or request.status < 400:
        return None
    asked = [r for r in (*route.near, *route.before) if r.member]
    if len(asked) < 3:
        return None  # this log may not name members at all
    same = [r for r in route.near if not r.member and r.status == request.status]
    cause = "waf_block" if request.status < 500 else "reset_by_f5"
    return finding(
        case, cause, f"Route: the BIG-IP itself answered {request.status} at {clock(request.at)}; no member was asked.",
        0.9, "virtual_server", request.endpoint,
        reasons=((True, f"{len(same)} answers like it name no member; {len(asked)} other requests around it do."),
                 *_answering(case)),
    )  # fmt: skip


def _answering(case: Case) -> list[tuple[bool, str]]:
    rules = sorted({short(c.by) for c in case.route.choosers})[:MOST_CHOOSERS]
    return [(True, f"Policies and iRules of this virtual server: {', '.join(rules)}.")] if rules else []


def device_overload(case: Case) -> Finding | None:
    """The device said that it was short of memory or time, and the request got no answer from a member."""
    request = case.request
    if not failed(request) or request.member:
        return None
    for event in case.route.health:
        if (
            event.kind == "device"
            and event.state in SHORT
            and timedelta(seconds=-5) <= request.at - event.at <= OVERLOADED
        ):
            said = event.reason or event.state.replace("_", " ")
            return finding(
                case, "device_overload", f"Route: {case.route.device} was overloaded: {said} at {clock(event.at)}.",
                0.88, "device", case.route.device, proofs=(health_proof(event),),
            )  # fmt: skip
    return None


def _names_client(event: Health, case: Case) -> bool:
    """The event is about this connection, or at least about this client (whole address, not a part of a longer one)."""
    address, port = case.request.client, case.request.client_port
    words = event.raw.replace("->", " ").replace(",", " ").replace(";", " ").split()
    return any(w == f"{address}:{port}" or w == f"{address}.{port}" or w == address for w in words)


def _reset_cause(event: Health) -> str:
    text = event.reason.lower()
    if "pool member" in text or "no local listener" in text:
        return "no_member"
    if "timeout" in text or "expired" in text or "idle" in text:
        return "idle_timeout"
    if "rst from remote" in text or "reset by peer" in text:
        return "reset_by_server"
    return "reset_by_f5"


def failover(case: Case) -> Finding | None:
    """The device group changed its active unit within half a minute of the failure."""
    request = case.request
    for event in case.route.health:
        near = timedelta(seconds=-10) <= request.at - event.at <= timedelta(seconds=30)
        if event.kind == "device" and event.state in ("active", "standby", "failover") and near and failed(request):
            return finding(
                    case, "failover", 
                    f"Route: {case.route.device} changed to {event.state} at {clock(event.at)}; the request fell into it.",
                    0.9, "device", case.route.device, proofs=(health_proof(event),),
                )  # fmt: skip
    return None


def idle_timeout(case: Case) -> Finding | None:
    """Several long requests were cut after the same time, shorter ones were answered."""
    request, cuts = case.request, case.route.cuts
    if request.outcome is not Outcome.UNANSWERED or len(cuts) < 3:
        return None
    mine = (case.facts.attempt.over_at - request.at).total_seconds()
    same = [c for c in cuts if abs(c - mine) <= 2.0]
    longest = max((r.seconds or 0 for r in case.route.near if r.outcome is Outcome.OK), default=0)
    if mine < 20 or len(same) < 3 or longest > mine:
        return None
    return finding(
        case, "idle_timeout", f"Route: requests to {short(request.endpoint)} were cut after {mine:.0f} s each.",
        0.9, "virtual_server", request.endpoint,
        reasons=((True, f"{len(same)} of {len(cuts)} unanswered requests ended after {mine:.0f} s; "
                        f"the longest answer took {longest:.0f} s."),),
    )  # fmt: skip


def misroute(case: Case) -> Finding | None:
    """The request went to a pool this path never went to before."""
    request, route = case.request, case.route
    usual = [r.f5_pool for r in route.before if r.f5_pool]
    if request.outcome is Outcome.UNANSWERED or len(usual) < 5 or not request.f5_pool or request.f5_pool in usual:
        return None
    return finding(
        case, "misroute",
        f"Route: {request.path} went to {short(request.f5_pool)}; before, it always went to {short(usual[-1])}.",
        0.93, "virtual_server", request.endpoint,
        reasons=(
            (True, f"0 of {len(usual)} earlier requests for this path went to {short(request.f5_pool)}."), *_chosen(case)
        ),
        proofs=tuple(change_proof(c) for c in route.changes if timedelta() <= request.at - c.at <= CHANGE_BEFORE)[:2],
    )  # fmt: skip


def _chosen(case: Case) -> list[tuple[bool, str]]:
    """The policies and iRules that name this pool; where none does, those that compute one."""
    choosers, pool = case.route.choosers, case.request.f5_pool
    found = [c for c in choosers if c.f5_pool == pool] or [c for c in choosers if not c.f5_pool]
    words = {"policy": ("policy", "in its rule"), "irule": ("iRule", "on")}
    return [
        (
            True,
            f"As configured now, the {words[c.kind][0]} {short(c.by)} "
            f"{f'sends to {short(pool)}' if c.f5_pool else 'computes a pool'} {words[c.kind][1]} {c.rule}.",
        )
        for c in found[:MOST_CHOOSERS]
    ]


def config_change(case: Case) -> Finding | None:
    """The route's configuration changed minutes before its first failure, and it was well until then."""
    request, route = case.request, case.route
    changes = [c for c in route.changes if timedelta() <= request.at - c.at <= CHANGE_BEFORE]
    if not changes or not failed(request):
        return None
    change = changes[-1]
    after = [r for r in route.near if r.at >= change.at]
    before = [r for r in route.near if change.at - CHANGE_BEFORE <= r.at < change.at]
    bad_after, bad_before = sum(map(failed, after)), sum(map(failed, before))
    if len(before) < 3 or bad_before or bad_after < 0.8 * len(after):
        return None
    return finding(
        case, "config_change",
        f"Route: {change.actor} changed {change.target} at {clock(change.at)}; every request was well before and fails since.",
        0.9, "virtual_server", request.endpoint, proofs=(change_proof(change),),
        reasons=((True, f"Failed before the change: 0 of {len(before)}; after it: {bad_after} of {len(after)}."),),
    )  # fmt: skip


def unanswered(case: Case) -> Finding | None:
    """Asked and never answered, and nothing says by whom it was closed."""
    request = case.request
    if request.outcome is not Outcome.UNANSWERED or left_too_early(case):
        return None
    near = [r for r in case.route.near if abs(r.at - request.at) <= timedelta(seconds=60)]
    lost = sum(r.outcome is Outcome.UNANSWERED for r in near)
    return finding(
        case, "unanswered",
        f"Route: the request reached {short(request.endpoint)} at {clock(request.at)} and no answer left it; "
        "which side closed it was not logged.",
        0.85, "virtual_server", request.endpoint,
        reasons=((True, f"{lost} of {len(near)} requests to it stayed without an answer within a minute."),),
    )  # fmt: skip


def pool_events(case: Case) -> list[Health]:
    return [e for e in case.route.health if e.f5_pool == case.request.f5_pool and e.f5_pool]
