"""Rules that compare the members of a pool, and what its monitors said of them: who was out, who differs from the others."""

from __future__ import annotations

from datetime import timedelta

from ingest.records import Outcome

from .bad import Case, gave_up
from .compare import CUT, failed, short, spread, within
from .facts import Finding, Health, Request
from .route import during, finding, pool_events
from .slow import one_slow_member
from .words import change_proof, clock, gave_up_words, health_proof, request_proof

MONITOR_LATE = timedelta(seconds=36)  # a monitor of interval 10 s and time-out 31 s notices as late as this
FLAPPING, FLAP_NEAR, AROUND_FLAP = timedelta(minutes=5), timedelta(seconds=20), timedelta(seconds=30)
CLOSE, MOST_OTHERS = timedelta(seconds=10), 3  # good answers of others that a finding cites, where they mostly lie
DOWN = ("down", "node_down", "forced_down", "forced_disabled", "disabled", "unavailable")


def no_member(case: Case) -> Finding | None:
    """The pool had none: F5's own log says so, or all known members were out, or a proxy answered 503 for none."""
    request, route = case.request, case.route
    if request.member or not failed(request):
        return None
    said = _no_member_said(case)
    out = _out_members(case)
    all_out = bool(route.members) and set(out) >= set(route.members)
    if said is None and not all_out:
        return None
    proofs = [health_proof(said)] if said else []
    proofs += [health_proof(e) for e in out.values()]
    why = _why_out(list(out.values()))
    return finding(
        case, "no_member",
        f"Route: {short(case.f5_pool)} had no member{why}. The BIG-IP did what it was told.",
        0.98 if said else 0.93, "pool", case.f5_pool, members=tuple(sorted(out)), proofs=tuple(proofs),
        reasons=((True, f"{len(out)} of {len(route.members)} members were out at {clock(request.at)}."),),
    )  # fmt: skip


def answered_for_none(case: Case) -> Finding | None:
    """A balancer that answers itself says 503 when it chose no member; said after what it gives as a reason."""
    request, route = case.request, case.route
    if request.member or not route.makes_own_errors or request.status != 503:
        return None
    same = [r for r in route.near if not r.member and r.status == 503]
    return finding(
        case, "no_member", f"Route: {short(case.f5_pool)} had no member that could take the request.",
        0.9, "pool", case.f5_pool,
        reasons=((True, f"{len(same)} answers around it are 503 and name no member."),),
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


def member_down(case: Case) -> Finding | None:
    """The member that failed was marked down by its monitor, even seconds later."""
    request = case.request
    if not failed(request):
        return None
    for event in pool_events(case):
        mine = event.member == request.member if request.member else True
        in_time = during(case, event.at, timedelta(seconds=2), MONITOR_LATE)
        if event.kind == "member" and event.state in ("down", "node_down") and mine and in_time:
            return finding(
                case, "member_down",
                f"Route: {short(event.member)} of {short(case.f5_pool)} was down; its monitor noticed at {clock(event.at)}, "
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
        f"Route: {_list(members)} of {short(case.f5_pool)} took the request and broke the connection off.",
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
    elif request.outcome is Outcome.UNANSWERED and _waited_in_vain(case):
        found = one_slow_member(case.route, request)
        if found is None:
            return None
        member, words = found
    else:
        return None
    took = f"{request.seconds:.1f} s" if request.seconds else "longer than the client waited"
    return finding(
        case, "slow_member",
        f"Route: {short(member)} of {short(case.f5_pool)} was slow ({took}). {gave_up_words(case)}"
        "The other members answered at once.",
        0.95 if request.member else 0.85, "member", member, members=(member,), reasons=((True, words),),
        proofs=tuple(
            request_proof(r, f"{short(r.member)} answered in {r.seconds or 0:.1f} s") for r in _others(case, member)
        ),
    )  # fmt: skip


def _waited_in_vain(case: Case) -> bool:
    log = case.facts.log
    return case.facts.attempt.slow or (log is not None and log.timed_out)


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
    if not added:
        return None
    seen = case.spread
    if not seen.some or request.member not in seen.failing:
        return None
    change = added[-1]
    return finding(
        case, "wrong_member",
        f"Route: {short(request.member)} was added to {short(case.f5_pool)} by {change.actor} "
        f"at {clock(change.at)} and answers {request.status}.",
        0.95, "member", request.member, members=(request.member,), proofs=(change_proof(change),),
        reasons=((True, f"Bad answers: {seen.words()}."),),
    )  # fmt: skip


def monitor_flap(case: Case) -> Finding | None:
    """A member went out and in several times around the failure."""
    request = case.request
    if not failed(request):
        return None
    turns: dict[str, list[Health]] = {}
    for event in pool_events(case):
        if event.kind == "member" and event.state in ("up", "down") and during(case, event.at, FLAPPING, FLAPPING):
            turns.setdefault(event.member, []).append(event)
    now = {m: seen for m, seen in turns.items() if any(during(case, e.at, FLAP_NEAR, MONITOR_LATE) for e in seen)}
    member = max(now, key=lambda m: (len(now[m]), m), default="")
    if not member or len(turns[member]) < 4 or (request.member and request.member != member):
        return None  # who went out and in a while ago, or was not asked, is not what failed
    around = within(case.route.near, request.at - AROUND_FLAP, request.at + AROUND_FLAP)
    if len(around) >= 3 and not any(r.outcome is Outcome.OK and r.member and r.member != member for r in around):
        return None  # nor can it be where nobody else answers either
    return finding(
        case, "monitor_flap",
        f"Route: {short(member)} of {short(case.f5_pool)} went out and in {len(turns[member])} times in 10 minutes.",
        0.85, "member", member, members=(member,), proofs=tuple(health_proof(e) for e in turns[member][:6]),
    )  # fmt: skip


def member_grey(case: Case) -> Finding | None:
    """One member fails while its monitor passes and the others answer well."""
    request = case.request
    if not request.member or request.outcome not in (Outcome.SERVER_ERROR, Outcome.CLIENT_ERROR):
        return None
    if request.outcome is Outcome.CLIENT_ERROR and (request.status not in (400, 404, 410) or not _is_there(case)):
        return None
    seen = case.spread
    if not seen.some or request.member not in seen.failing:
        return None
    return finding(
        case, "member_grey",
        f"Route: {short(request.member)} of {short(case.f5_pool)} answered {request.status} "
        "while its monitor passed and the other members were well.",
        0.96 * seen.sure, "member", request.member, members=seen.failing,
        reasons=((True, f"Bad answers: {seen.words()}."), (True, "No monitor of this pool marked it down.")),
        proofs=tuple(request_proof(r, f"{short(r.member)} answered {r.status}") for r in _others(case, request.member)),
    )  # fmt: skip


def _is_there(case: Case) -> bool:
    """Others answered the very same path well: what one member does not find is there."""
    request = case.request
    known = [r for r in (*case.route.before, *case.route.near) if r.path == request.path and r.member != request.member]
    return any(r.status is not None and r.status < 400 for r in known)


def _others(case: Case, member: str) -> list[Request]:
    """The good answers of other members that are nearest in time: the other half of the proof."""
    at, near, found = case.request.at, case.route.near, []
    for rows in (within(near, at - CLOSE, at + CLOSE), near):
        found = [r for r in rows if r.member and r.member != member and r.outcome is Outcome.OK]
        if len(found) >= MOST_OTHERS:
            break
    return sorted(found, key=lambda r: (abs(r.at - at), r.line_id))[:MOST_OTHERS]


def _no_member_said(case: Case) -> Health | None:
    """The last word of F5 on the pool at that time was that it had no member."""
    last = None
    for event in pool_events(case):
        slack = CUT if event.state == "no_members" else timedelta()
        if event.state in ("no_members", "has_members") and event.at <= case.request.at + slack:
            last = event
    return last if last is not None and last.state == "no_members" else None


def _out_members(case: Case) -> dict[str, Health]:
    """The members that were down or disabled when the request came."""
    state: dict[str, Health] = {}
    for event in pool_events(case):
        slack = CUT if event.state in DOWN else timedelta()
        if event.kind == "member" and event.at <= case.request.at + slack:
            state[event.member] = event
    return {member: event for member, event in sorted(state.items()) if event.state in DOWN}


def _list(members: tuple[str, ...]) -> str:
    names = [short(m) for m in members]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
