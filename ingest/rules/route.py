"""Rules that name the route by its requests: the Airflow API's, cut ones, those of the wrong pool, and unanswered ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ingest.records import Outcome

from . import contracts
from .bad import KNOWN, Case, is_bad, left_too_early, normal, own_bad
from .compare import short, within
from .facts import Chooser, Finding, Health, Request
from .words import answer, change_proof, clock, health_proof, how_joined, log_proof, request_proof

CHANGE_BEFORE = timedelta(minutes=15)
SAME_CUT_S = 2.0  # times as near as that are the same
MINUTE = timedelta(seconds=60)
SHORTEST_CUT_S = 10.0  # nobody sets an idle time-out below
MOST_CALLS = 8  # other bad calls of the try that a finding cites
NAMELESS = "pool of "  # what a pool is called whose name the log does not give: `pool of <virtual server>`
MOST_CHOOSERS = 3  # policies and iRules that a finding names


def finding(
    case: Case, cause: str, sentence: str, confidence: float, kind: str, component: str, **more: object
) -> Finding:
    """A finding that rests on the deciding request, with how it was joined and what the log says."""
    alike = (request_proof(r) for r in _alike(case))
    proofs = (request_proof(case.request), *alike, *more.pop("proofs", ()), *log_proof(case.facts))  # type: ignore[misc]
    reasons = (*more.pop("reasons", ()), how_joined(case))  # type: ignore[misc]
    return Finding(
        cause=cause, sentence=sentence, confidence=round(confidence * case.link_factor, 3), component_kind=kind,
        component=component, request=case.request, proofs=proofs, reasons=reasons, candidates=case.of, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _alike(case: Case) -> list[Request]:
    """Other calls of the try that ended like the deciding one: without it, the finding would rest on them."""
    request = case.request
    bad = own_bad(case.facts) if case.certain and not request.execution else []
    return [r for r in bad if r != request and (r.endpoint_id, r.outcome) == (request.endpoint_id, request.outcome)][
        -MOST_CALLS:
    ]


def api_unreachable(case: Case) -> Finding | None:
    """Any failure of the Task Execution API that is not an answer about the try's own state."""
    request = case.request
    if not request.execution or (request.outcome is Outcome.CLIENT_ERROR and not _one_member_refuses(case)):
        return None
    near = within(case.route.near, request.at - MINUTE, request.at + MINUTE)
    bad = [r for r in near if is_bad(r, case.facts)]
    events = [e for e in pool_events(case) if abs(e.at - request.at) <= timedelta(seconds=90)]
    mine = [r for r in case.facts.requests if r.execution and r != request and is_bad(r, case.facts) and not normal(r)]
    return finding(
        case, "api_unreachable",
        f"Route: the Airflow API servers behind {short(request.endpoint)} did not answer the worker: "
        f"{request.method} {request.path.rsplit('/', 1)[-1]} at {clock(request.at)}: {answer(request)}.",
        0.97, "pool", request.f5_pool or request.endpoint,
        proofs=(*(request_proof(r) for r in mine[-MOST_CALLS:]), *(health_proof(e) for e in events[:4])),
        reasons=((True, f"{len(bad)} of {len(near)} calls to the API failed within a minute of it."), *_ghost(case)),
    )  # fmt: skip


def _one_member_refuses(case: Case) -> bool:
    """Whether it is the member that does not know what the others do: a state that changed, all of them would tell."""
    request = case.request
    if request.status not in (400, 404, 410):
        return False
    seen = case.spread
    return seen.some and request.member in seen.failing


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


def during(case: Case, at: datetime, before: timedelta, after: timedelta) -> bool:
    """Whether this moment lies in the request's time, so much before its beginning or so much after its end."""
    start, end = case.span
    return start - before <= at <= end + after


def idle_timeout(case: Case) -> Finding | None:
    """Several long requests were cut after the same time, shorter ones were answered."""
    request, attempt, log = case.request, case.facts.attempt, case.facts.log
    if request.outcome is not Outcome.UNANSWERED or log is None or not log.connection_error or log.timed_out:
        return None  # clients that give up by a limit of their own leave the same time as well
    mine = (attempt.over_at - request.at).total_seconds()
    longest = max((r.seconds or 0 for r in case.route.near if r.outcome is Outcome.OK), default=0)
    of, same = _same_time(case)
    if mine < SHORTEST_CUT_S or len(same) < 3 or longest > mine:
        return None
    return finding(
        case, "idle_timeout", f"Route: requests to {short(request.endpoint)} were cut after {mine:.0f} s each.",
        0.9, "virtual_server", request.endpoint,
        reasons=((True, f"{len(same)} of {of} ended after the same time, {min(same):.0f} to {max(same):.0f} s; "
                        f"the longest answer took {longest:.0f} s."),),
    )  # fmt: skip


def _same_time(case: Case) -> tuple[str, list[float]]:
    """(what was counted, the seconds that lie near this one's) by requests of known tries, else by the task's tries.

    All of them mix the clocks of the device and of Airflow alike, so they are compared as they are.
    """
    request, attempt, route = case.request, case.facts.attempt, case.route
    lasted = (attempt.end_at - request.at).total_seconds()
    same = [c for c in route.cuts if abs(c - lasted) <= SAME_CUT_S]
    if len(same) >= 3 or attempt.start_at is None:
        return f"{len(route.cuts)} unanswered requests", same
    ran = (attempt.end_at - attempt.start_at).total_seconds()
    runs = [r for r in route.runs if abs(r - ran) <= SAME_CUT_S]
    return f"{len(route.runs)} tries of this task whose connection was broken off", runs


def misroute(case: Case) -> Finding | None:
    """The request went to a pool that no contract of its path expects; without one, where this path never went before."""
    request, route = case.request, case.route
    if request.outcome is Outcome.UNANSWERED or not request.f5_pool:
        return None
    path = request.path
    if contracts.that_count(route.contracts, path, request.at):
        broken = contracts.broken_by(route.contracts, request.f5_pool, path, request.at)
        if broken is None:
            return None
        usual = " or ".join(sorted(short(name) for name in broken.expects(request.at)))
        before, proof = f"its contract says {usual}", contracts.says(broken, request.at)
        confidence = 0.96 if broken.source == contracts.DECLARED else 0.94
    else:
        seen = [r.f5_pool for r in route.before if r.f5_pool]
        if len(seen) >= 5 and request.f5_pool not in seen:
            before, confidence = f"before, it always went to {short(seen[-1])}", 0.93
            proof = f"0 of {len(seen)} earlier requests for this path went to {short(request.f5_pool)}."
        elif found := _elsewhere(case):
            (before, proof), confidence = found, 0.94
        elif moved := _moved(case):
            (before, proof), confidence = moved, 0.88
        else:
            return None
    return finding(
        case, "misroute", f"Route: {path} went to {_where(case)}; {before}.",
        confidence, "virtual_server", request.endpoint, reasons=((True, proof), *_chosen(case)),
        proofs=tuple(change_proof(c) for c in route.changes if timedelta() <= request.at - c.at <= CHANGE_BEFORE)[:2],
    )  # fmt: skip


def _named(pool: str) -> bool:
    return bool(pool) and not pool.startswith(NAMELESS)


def _where(case: Case) -> str:
    request = case.request
    if home := case.route.homes.get(request.member):
        return f"{short(request.member)} of {' and '.join(map(short, home))}"
    return short(request.f5_pool if _named(request.f5_pool) else request.member)


def _elsewhere(case: Case) -> tuple[str, str] | None:
    """(before, proof) where a member answered badly that the device names in another pool alone.

    A request log tells the virtual server's own pool, whichever one a policy or an iRule sent the request to.
    """
    request, route = case.request, case.route
    home = route.homes.get(request.member, ())
    if request.status is None or request.status < 400 or not home or case.f5_pool in home:
        return None
    well = [
        r for r in (*route.near, *route.before) if r.path == request.path and r.status is not None and r.status < 400
    ]
    usual = sorted({r.member for r in well if r.member and r.member not in route.homes})
    if len(well) < KNOWN or any(r.member == request.member for r in well) or not usual:
        return None
    return (
        f"before, {' or '.join(map(short, usual))} answered it",
        f"{short(request.member)} is a member of {' and '.join(map(short, home))}, not of {short(case.f5_pool)}; "
        f"{len(well)} answers to this path that went well came from others.",
    )


def _moved(case: Case) -> tuple[str, str] | None:
    """(before, counts in words) of a request whose path has too little of a past, where others went the same way.

    By the pool, where other paths of the virtual server went to another one until then. Where the log names no pool, by
    the members: several that never answered here before, and answer badly what the usual ones answered well.
    """
    request, route = case.request, case.route
    if request.status is None or request.status < 400:
        return None
    if _named(request.f5_pool):
        pools: dict[str, set[str]] = {}
        for r in route.near:
            if r.f5_pool and r.f5_pool != request.f5_pool and r.at < request.at:
                pools.setdefault(r.path, set()).add(r.f5_pool)
        went = [r for r in route.near if r.f5_pool == request.f5_pool and r.path in pools]
        if not went or any(r.status is not None and r.status < 400 for r in went):
            return None
        usual = sorted(set().union(*(pools[r.path] for r in went)))
        return (
            f"this virtual server's requests went to {' or '.join(map(short, usual))} until {clock(went[0].at)}",
            f"{len(went)} requests of paths that went to {' or '.join(map(short, usual))} went to "
            f"{short(request.f5_pool)} as well, and none was answered well.",
        )
    at_home = {r.member for r in (*route.near, *route.before) if r.member and r.status is not None and r.status < 400}
    strange = [r for r in route.near if r.member and r.member not in at_home]
    members, known = sorted({r.member for r in strange}), len([r for r in route.before if r.member in at_home])
    if request.member in at_home or len(members) < 2 or len(at_home) < 2 or known < 5:
        return None
    return (
        f"before, {' or '.join(sorted(map(short, at_home)))} answered it",
        f"{len(strange)} answers around it came from {' and '.join(map(short, members))}, which answered nothing here well; "
        f"{known} earlier answers to this path came from the usual members.",
    )


def _chosen(case: Case) -> list[tuple[bool, str]]:
    return [(True, text) for text in chosen_by(case.route.choosers, case.request.f5_pool)]


def chosen_by(choosers: Sequence[Chooser], pool: str) -> list[str]:
    """The policies and iRules that name this pool, in words; where none does, those that compute one."""
    found = [c for c in choosers if c.f5_pool == pool] or [c for c in choosers if not c.f5_pool]
    words = {"policy": ("policy", "in its rule"), "irule": ("iRule", "on")}
    return [
        f"As configured now, the {words[c.kind][0]} {short(c.by)} "
        f"{f'sends to {short(pool)}' if c.f5_pool else 'computes a pool'} {words[c.kind][1]} {c.rule}."
        for c in found[:MOST_CHOOSERS]
    ]


def unanswered(case: Case) -> Finding | None:
    """Asked and never answered, and nothing says by whom it was closed."""
    request = case.request
    if request.outcome is not Outcome.UNANSWERED or left_too_early(case):
        return None
    near = within(case.route.near, request.at - MINUTE, request.at + MINUTE)
    lost = sum(r.outcome is Outcome.UNANSWERED for r in near)
    return finding(
        case, "unanswered",
        f"Route: the request reached {short(request.endpoint)} at {clock(request.at)} and no answer left it; "
        "which side closed it was not logged.",
        0.85, "virtual_server", request.endpoint,
        reasons=((True, f"{lost} of {len(near)} requests to it stayed without an answer within a minute."),),
    )  # fmt: skip


def pool_events(case: Case) -> list[Health]:
    """What was said of the pool and its members, by name."""
    return [e for e in case.route.health if e.f5_pool and e.f5_pool == case.f5_pool]
