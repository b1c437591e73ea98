"""Rules that name the service behind the route: all members alike, or a refusal of this caller."""

from __future__ import annotations

from ingest.records import Outcome

from .bad import Case, gave_up
from .compare import short, spread
from .facts import Finding, Request
from .route import finding
from .slow import all_slow, slower_than_usual, some_slow
from .words import gave_up_words

REFUSALS = (401, 403, 407, 429)


def service_failing(case: Case) -> Finding | None:
    """All members that were asked fail alike."""
    request = case.request
    if request.outcome is not Outcome.SERVER_ERROR or not request.member:
        return None
    seen = case.spread
    if not seen.all_alike and not _mixed(
        seen.share(request.member) if request.member in seen.asked else 0.0, seen.well, seen.asked
    ):
        return None
    return finding(
        case, "service_failing",
        f"Service: behind {short(request.endpoint)} it answers {request.status} from every member that was "
        "asked; the route is well.",
        0.92, "service", request.f5_pool, acquitted=True, members=seen.failing,
        reasons=((True, f"Failed within a minute: {seen.words()}."),),
    )  # fmt: skip


def _mixed(share: float, well: tuple[str, ...], asked: dict[str, int]) -> bool:
    """Several members fail now and then and none stands out."""
    return share > 0 and not well and len(asked) >= 2


def service_slow(case: Case) -> Finding | None:
    """All members are slow alike, whether the client waited or gave up."""
    request, log = case.request, case.facts.log
    limit = log.timeout_s if log and log.timed_out and log.timeout_s else None
    if request.outcome is Outcome.UNANSWERED and (limit or case.facts.attempt.slow):
        found = all_slow(case.route, request, limit)
        if found is None:
            return _partly_slow(case, limit)
        waited = f"the {limit:g} s that the client waited" if limit else "the client waited"
        members, words, took, sure = *found, f"longer than {waited}. ", 0.82
    elif request.member and request.seconds is not None and _too_slow(case):
        half = 0.5 * request.seconds
        seen = spread(case.route, request, lambda r: (r.seconds or 0) >= half)
        if not seen.all_alike or not (case.facts.attempt.slow or slower_than_usual(case.route, request)):
            return None
        members, words, sure = seen.failing, f"As slow as that: {seen.words()}", 0.9
        took = f"as long ({request.seconds:.1f} s). {gave_up_words(case)}"
    else:
        return None
    return finding(
        case, "service_slow", f"Service: every member behind {short(request.endpoint)} took {took}The route is well.",
        sure, "service", request.f5_pool, acquitted=True, members=members, reasons=((True, f"{words}."),),
    )  # fmt: skip


def _partly_slow(case: Case, limit: float | None) -> Finding | None:
    """Only a part of what was asked is slow, on whichever member: something that not every request needs."""
    request = case.request
    found = some_slow(case.route, request, limit) if limit else None
    if found is None:
        return None
    return finding(
        case, "service_slow",
        f"Service: behind {short(request.endpoint)} a part of the answers took longer than the {limit:g} s that the "
        "client waited, whichever member gave them. The route is well.",
        0.8, "service", request.f5_pool, acquitted=True, members=found.members, reasons=((True, f"{found.words}."),),
    )  # fmt: skip


def _too_slow(case: Case) -> bool:
    late = gave_up(case.request, case.facts) or case.facts.attempt.slow
    return late and case.request.outcome in (Outcome.OK, Outcome.SLOW)


def service_refused(case: Case) -> Finding | None:
    """401, 403, 407 or 429 to this caller."""
    request = case.request
    if request.status not in REFUSALS or request.execution:
        return None
    others = [r for r in case.route.near if r.status is not None and r.status < 400]
    return finding(
        case, "service_refused",
        f"Service: it refused this caller{_as_whom(case)} with {request.status} ({_refusal(request)}); the route is well.",
        0.93, "service", request.f5_pool or request.endpoint, acquitted=True,
        reasons=((True, f"{len(others)} of {len(case.route.near)} other requests to it were answered well at that time."),),
    )  # fmt: skip


def _as_whom(case: Case) -> str:
    connection = case.facts.attempt.conn_id
    return f" (connection {connection})" if connection else ""


def _refusal(request: Request) -> str:
    return {401: "not logged in", 403: "not allowed", 407: "proxy login missing", 429: "too many requests"}[
        request.status or 401
    ]


def bad_request(case: Case) -> Finding | None:
    """400, 404, 410, 422 and the like from a healthy member: the caller asked for what is not there."""
    request = case.request
    if request.outcome is not Outcome.CLIENT_ERROR or request.execution or request.status in REFUSALS:
        return None
    well = [r for r in case.route.near if r.status is not None and r.status < 400]
    before = [r for r in case.route.before if r.status is not None and r.status < 400]
    if before and not request.uri.startswith(request.path):
        before = [r for r in before if r.uri == request.uri]
    if len(before) >= 5:
        return None  # the same path was well before: the caller did not change, somebody else did
    return finding(
        case, "bad_request",
        f"Task: it asked for {request.uri[:100]}, and the service answered correctly with {request.status}.",
        0.93, "caller", case.facts.attempt.task_id, acquitted=True,
        reasons=((True, f"{len(well)} of {len(case.route.near)} requests to the same virtual server "
                        "were answered well at that time."),),
    )  # fmt: skip
