"""Rules that name the route: what F5 did or said, and members that differ from their pool."""

from __future__ import annotations

from datetime import timedelta

from ingest.records import Outcome

from .bad import Case, gave_up, is_bad, left_too_early
from .compare import failed, is_failed, one_slow_member, short, spread, usual_seconds
from .facts import Finding, Health
from .words import answer, change_proof, clock, gave_up_words, health_proof, how_joined, log_proof, request_proof

CUT = timedelta(seconds=1)  # ltm times are cut to the second: what it tells of happened up to a second later
MONITOR_LATE = timedelta(seconds=20)  # a monitor of interval 5 s and time-out 16 s notices as late as this
CHANGE_BEFORE = timedelta(minutes=5)
DOWN = ("down", "node_down", "forced_down", "forced_disabled", "disabled", "unavailable")
UP = ("up", "enabled", "available")


def finding(case: Case, cause: str, sentence: str, confidence: float, kind: str, component: str, **more: object) -> Finding:
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
    events = [e for e in _pool_events(case) if abs(e.at - request.at) <= timedelta(seconds=90)]
    return finding(
        case, "api_unreachable",
        f"Route: the Airflow API servers behind {short(request.endpoint)} did not answer the worker: "
        f"{request.method} {request.path.rsplit('/', 1)[-1]} at {clock(request.at)}: {answer(request)}.",
        0.97, "pool", request.f5_pool or request.endpoint,
        proofs=tuple(health_proof(e) for e in events[:4]),
        reasons=((True, f"{len(bad)} of {len(near)} calls to the API failed within a minute of it."),),
    )  # fmt: skip


def no_member(case: Case) -> Finding | None:
    """The pool had none: F5's own log says so, or all known members were out, or a proxy answered 503 for none."""
    request, route = case.request, case.route
    if request.member or not failed(request):
        return None
    said = _no_member_said(case)
    out = _out_members(case)
    by_proxy = route.makes_own_errors and request.status == 503
    all_out = bool(route.members) and set(out) >= set(route.members)
    if said is None and not all_out and not by_proxy:
        return None
    proofs = [health_proof(said)] if said else []
    proofs += [health_proof(e) for e in out.values()]
    why = _why_out(list(out.values()))
    return finding(
        case, "no_member",
        f"Route: {short(request.f5_pool)} had no member{why}. The BIG-IP did what it was told.",
        0.98 if said else 0.93, "pool", request.f5_pool, members=tuple(sorted(out)), proofs=tuple(proofs),
        reasons=((True, f"{len(out)} of {len(route.members)} members were out at {clock(request.at)}."),),
    )  # fmt: skip


def _why_out(events: list[Health]) -> str:
    if not events:
        return ""
    disabled = [e for e in events if "disabled" in e.state]
    names = "both" if len(events) == 2 else ("it" if len(events) == 1 else f"all {len(events)}")
    if len(disabled) == len(events):
        return f"; {names} had been disabled by an operator"
    reasons = {e.reason for e in events if e.reason}
    with_words = f" with: {reasons.pop()}" if len(reasons) == 1 else ""
    return f"; {names} failed {'its' if len(events) == 1 else 'their'} monitor{with_words}"


def said_by_f5(case: Case) -> Finding | None:
    """F5 logged why: a reset cause, a limit, exhausted ports, a failed handshake."""
    request = case.request
    causes = {"reset_sent": "reset_by_f5", "port_exhaustion": "port_exhaustion", "limit": "connection_limit", "tls_failure": "tls_failure"}
    for event in case.route.health:
        cause = causes.get(event.state)
        if cause is None or abs(event.at - request.at) > timedelta(seconds=5) or not failed(request):
            continue
        if cause in ("reset_by_f5", "tls_failure") and not _names_client(event, case):
            continue
        cause = _reset_cause(event) if cause == "reset_by_f5" else cause
        return finding(
            case, cause, f"Route: the BIG-IP logged at {clock(event.at)}: {event.reason or event.state.replace('_', ' ')}.",
            0.95, "virtual_server", request.endpoint, proofs=(health_proof(event),),
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
        if event.kind == "device" and event.state in ("active", "standby", "failover") and failed(request):
            if timedelta(seconds=-10) <= request.at - event.at <= timedelta(seconds=30):
                return finding(
                    case, "failover", f"Route: {case.route.device} changed to {event.state} at {clock(event.at)}; the request fell into it.",
                    0.9, "device", case.route.device, proofs=(health_proof(event),),
                )  # fmt: skip
    return None


def idle_timeout(case: Case) -> Finding | None:
    """Several long requests were cut after the same time, shorter ones were answered."""
    request, cuts = case.request, case.route.cuts
    if request.outcome is not Outcome.UNANSWERED or len(cuts) < 3:
        return None
    mine = (case.facts.attempt.end_at - request.at).total_seconds()
    same = [c for c in cuts if abs(c - mine) <= 2.0]
    longest = max((r.seconds or 0 for r in case.route.near if r.outcome is Outcome.OK), default=0)
    if mine < 20 or len(same) < 3 or longest > mine:
        return None
    return finding(
        case, "idle_timeout", f"Route: requests to {short(request.endpoint)} were cut after {mine:.0f} s each.",
        0.9, "virtual_server", request.endpoint,
        reasons=((True, f"{len(same)} of {len(cuts)} unanswered requests ended after {mine:.0f} s; the longest answer took {longest:.0f} s."),),
    )  # fmt: skip


def misroute(case: Case) -> Finding | None:
    """The request went to a pool this path never went to before."""
    request, route = case.request, case.route
    usual = [r.f5_pool for r in route.before if r.f5_pool]
    if request.outcome is Outcome.UNANSWERED or len(usual) < 5 or not request.f5_pool or request.f5_pool in usual:
        return None
    return finding(
        case, "misroute", f"Route: {request.path} went to {short(request.f5_pool)}; before, it always went to {short(usual[-1])}.",
        0.93, "virtual_server", request.endpoint,
        reasons=((True, f"0 of {len(usual)} earlier requests for this path went to {short(request.f5_pool)}."),),
        proofs=tuple(change_proof(c) for c in route.changes if timedelta() <= request.at - c.at <= CHANGE_BEFORE)[:2],
    )  # fmt: skip


def member_down(case: Case) -> Finding | None:
    """The member that failed was marked down by its monitor, even seconds later."""
    request = case.request
    if not failed(request):
        return None
    for event in _pool_events(case):
        mine = event.member == request.member if request.member else True
        in_time = -timedelta(seconds=2) <= event.at - request.at <= MONITOR_LATE
        if event.kind == "member" and event.state in ("down", "node_down") and mine and in_time:
            return finding(
                case, "member_down",
                f"Route: {short(event.member)} of {short(request.f5_pool)} was down; its monitor noticed at {clock(event.at)}, "
                f"{max(0, (event.at - request.at).total_seconds()):.0f} s after the request.",
                0.95 if request.member else 0.8, "member", event.member, members=(event.member,), proofs=(health_proof(event),),
                reasons=((True, f"Its monitor: {event.reason or 'down'}."),),
            )  # fmt: skip
    return None


def reset_by_server(case: Case) -> Finding | None:
    """A balancer that answers itself says 502 when the member took the request and broke off."""
    request = case.request
    if not (case.route.makes_own_errors and request.status == 502 and request.member):
        return None
    seen = spread(case.route, request, lambda r: r.status == 502)
    members = seen.failing or (request.member,)
    return finding(
        case, "reset_by_server",
        f"Route: {_list(members)} of {short(request.f5_pool)} took the request and broke the connection off.",
        0.95, "member", request.member, members=members, reasons=((True, f"Broken off: {seen.words()}."),),
    )  # fmt: skip


def slow_member(case: Case) -> Finding | None:
    """One member was far slower than the others, whether the client waited or gave up."""
    request = case.request
    if request.member and _too_slow(case):
        limit = 0.5 * (request.seconds or 0)
        seen = spread(case.route, request, lambda r: (r.seconds or 0) >= limit)
        if not seen.some or request.member not in seen.failing:
            return None
        member, words = request.member, f"As slow as that: {seen.words()}."
    elif request.outcome is Outcome.UNANSWERED and case.facts.log and case.facts.log.timed_out:
        found = one_slow_member(case.route, request)
        if found is None:
            return None
        member, words = found
    else:
        return None
    took = f"{request.seconds:.1f} s" if request.seconds else "longer than the client waited"
    return finding(
        case, "slow_member",
        f"Route: {short(member)} of {short(request.f5_pool)} was slow ({took}). {gave_up_words(case)}The other members answered at once.",
        0.95 if request.member else 0.85, "member", member, members=(member,), reasons=((True, words),),
        proofs=tuple(request_proof(r, f"{short(r.member)} answered in {r.seconds or 0:.1f} s") for r in _others(case, member)[:3]),
    )  # fmt: skip


def _too_slow(case: Case) -> bool:
    request = case.request
    if request.seconds is None or request.outcome not in (Outcome.OK, Outcome.SLOW):
        return False
    return gave_up(request, case.facts) or case.facts.attempt.slow


def wrong_member(case: Case) -> Finding | None:
    """A member that was added minutes before answers badly what the others answer well."""
    request = case.request
    if not request.member or request.outcome not in (Outcome.SERVER_ERROR, Outcome.CLIENT_ERROR):
        return None
    added = [
        c for c in case.route.changes
        if timedelta() <= request.at - c.at <= timedelta(hours=1) and c.verb in ("create", "modify")
        and short(request.member).split(":")[0] in c.text and ("add" in c.text or c.verb == "create")
    ]  # fmt: skip
    seen = spread(case.route, request, is_failed(request))
    if not added or not seen.some or request.member not in seen.failing:
        return None
    change = added[-1]
    return finding(
        case, "wrong_member",
        f"Route: {short(request.member)} was added to {short(request.f5_pool)} by {change.actor} at {clock(change.at)} and answers {request.status}.",
        0.95, "member", request.member, members=(request.member,), proofs=(change_proof(change),),
        reasons=((True, f"Bad answers: {seen.words()}."),),
    )  # fmt: skip


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


def monitor_flap(case: Case) -> Finding | None:
    """A member went out and in several times around the failure."""
    request = case.request
    if not failed(request):
        return None
    turns: dict[str, list[Health]] = {}
    for event in _pool_events(case):
        if event.kind == "member" and event.state in ("up", "down") and abs(event.at - request.at) <= timedelta(minutes=10):
            turns.setdefault(event.member, []).append(event)
    member = max(turns, key=lambda m: (len(turns[m]), m), default="")
    if not member or len(turns[member]) < 4:
        return None
    return finding(
        case, "monitor_flap", f"Route: {short(member)} of {short(request.f5_pool)} went out and in {len(turns[member])} times within 20 minutes.",
        0.85, "member", member, members=(member,), proofs=tuple(health_proof(e) for e in turns[member][:6]),
    )  # fmt: skip


def member_grey(case: Case) -> Finding | None:
    """One member fails while its monitor passes and the others answer well."""
    request = case.request
    if not request.member or request.outcome not in (Outcome.SERVER_ERROR, Outcome.CLIENT_ERROR):
        return None
    if request.outcome is Outcome.CLIENT_ERROR and request.status not in (400, 404, 410):
        return None
    seen = spread(case.route, request, is_failed(request))
    if not seen.some or request.member not in seen.failing:
        return None
    return finding(
        case, "member_grey",
        f"Route: {short(request.member)} of {short(request.f5_pool)} answered {request.status} while its monitor passed and the other members were well.",
        0.96 * seen.sure, "member", request.member, members=seen.failing,
        reasons=((True, f"Bad answers: {seen.words()}."), (True, "No monitor of this pool marked it down.")),
        proofs=tuple(request_proof(r, f"{short(r.member)} answered {r.status}") for r in _others(case, request.member)[:3]),
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
        f"Route: the request reached {short(request.endpoint)} at {clock(request.at)} and no answer left it; which side closed it was not logged.",
        0.85, "virtual_server", request.endpoint,
        reasons=((True, f"{lost} of {len(near)} requests to it stayed without an answer within a minute."),),
    )  # fmt: skip


def usual_limit(case: Case) -> Finding | None:
    """The client's own limit lies below what this path usually takes: the task's time-out, not the route's."""
    request, log = case.request, case.facts.log
    usual = usual_seconds(case.route)
    if usual is None or log is None or not log.timed_out or not log.timeout_s or usual < 0.8 * log.timeout_s:
        return None
    return finding(
        case, "task_timeout",
        f"Task: it gives up after {log.timeout_s:g} s, but this path usually takes {usual:.1f} s.",
        0.9, "caller", case.facts.attempt.task_id, acquitted=True,
        reasons=((True, f"Median of {len(case.route.before)} earlier answers: {usual:.1f} s."),),
    )  # fmt: skip


def _others(case: Case, member: str) -> list:  # type: ignore[type-arg]
    """Good answers of other members, nearest in time first: the other half of the proof."""
    request = case.request
    good = [r for r in case.route.near if r.member and r.member != member and r.outcome is Outcome.OK]
    return sorted(good, key=lambda r: (abs(r.at - request.at), r.line_id))


def _pool_events(case: Case) -> list[Health]:
    return [e for e in case.route.health if e.f5_pool == case.request.f5_pool and e.f5_pool]


def _no_member_said(case: Case) -> Health | None:
    """The last word of F5 on the pool at that time was that it had no member."""
    last = None
    for event in _pool_events(case):
        if event.state == "no_members" and event.at <= case.request.at + CUT:
            last = event
        elif event.state == "has_members" and event.at <= case.request.at:
            last = event
    return last if last is not None and last.state == "no_members" else None


def _out_members(case: Case) -> dict[str, Health]:
    """The members that were down or disabled when the request came."""
    state: dict[str, Health] = {}
    for event in _pool_events(case):
        slack = CUT if event.state in DOWN else timedelta()
        if event.kind == "member" and event.at <= case.request.at + slack:
            state[event.member] = event
    return {member: event for member, event in sorted(state.items()) if event.state in DOWN}


def _list(members: tuple[str, ...]) -> str:
    names = [short(m) for m in members]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
