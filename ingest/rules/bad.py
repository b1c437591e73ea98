"""Which of a try's requests decide: the bad ones that nothing cured and that agree with what the task's log says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from statistics import median
from urllib.parse import urlsplit

from ingest.records import Link, Outcome, TaskLog

from .compare import Spread, is_failed, spread
from .facts import Candidate, Facts, Request, Route

# [workers] execution_api_timeout of Airflow's task SDK: after 5 s the client leaves and calls again.
EXECUTION_TIMEOUT_S = 5.0
KNOWN = 5  # earlier answers to a path, before what it usually takes counts as known
OWN_LIMITS = ("AirflowTaskTimeout", "AirflowSensorTimeout", "TaskDeferralTimeout")
# The end of a mapped XCom list is a 404 by design; a missing XCom or Variable is the task's business, not the route's.
_NORMAL_404 = re.compile(r"^/execution/(xcoms|variables|connections|assets|task-reschedules)/")


@dataclass(frozen=True)
class Case:
    """One try with the request that decides, and how sure we are that it is this try's."""

    facts: Facts
    request: Request
    route: Route
    certain: bool  # an exact link
    of: int = 1  # how many tries share the evidence (siblings)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From when the request came to when it was over: its answer, the try's next call, or the try's end."""
        request, end = self.request, self.facts.attempt.over_at
        if request.over_at is not None:
            return request.at, request.over_at
        later = [r.at for r in self.facts.requests if r.at > request.at and not r.execution]
        return request.at, max(request.at, min([end, *later])) if self.certain else request.at

    @cached_property
    def spread(self) -> Spread:
        """Over which members what became of the request is spread; counted once, for all rules that ask."""
        return spread(self.route, self.request, is_failed(self.request))

    @property
    def f5_pool(self) -> str:
        """The pool that was asked; where the log names none, the virtual server's."""
        named = self.request.f5_pool
        return self.route.f5_pool if not named or named.startswith("pool of ") else named

    @property
    def link_factor(self) -> float:
        """What a link that is not exact takes off the confidence."""
        return 1.0 if self.certain else (0.9 if self.of == 1 else 0.85)


def normal(request: Request) -> bool:
    """An error answer that is part of ordinary work."""
    return request.status == 404 and bool(_NORMAL_404.match(request.path))


def gave_up(request: Request, facts: Facts) -> bool:
    """The client had left before the answer came: its own limit, the SDK's, or the end of the try."""
    if request.outcome is Outcome.UNANSWERED or request.seconds is None:
        return False
    if request.execution:
        return request.seconds > EXECUTION_TIMEOUT_S
    log = facts.log
    if log and log.timed_out and log.timeout_s and request.seconds >= 0.98 * log.timeout_s:
        return True
    # What was asked after its end was not waited for by the try: somebody ended it while it ran
    end, over = facts.attempt.over_at, request.over_at
    return over is not None and request.at <= end and over > end + timedelta(seconds=0.5)


def is_bad(request: Request, facts: Facts) -> bool:
    """Failed, never answered, or answered too late for this client."""
    if normal(request):
        return False
    return request.outcome not in (Outcome.OK, Outcome.SLOW) or gave_up(request, facts)


def cured(request: Request, facts: Facts) -> bool:
    """A later call of the same kind went well: the client's own retry absorbed the error."""
    return any(
        later.at > request.at
        and later.method == request.method
        and later.endpoint_id == request.endpoint_id
        and _same_path(request, later)
        and not is_bad(later, facts)
        for later in facts.requests
    )


def _same_path(one: Request, other: Request) -> bool:
    """Of what went well the template alone is kept; in a call of the Execution API it stands for the try's own id."""
    return one.uri.split("?")[0] == other.uri.split("?")[0] or (one.execution and one.path == other.path)


def own_bad(facts: Facts) -> list[Request]:
    """The bad requests of this try that nothing cured, in time order. Suspect lines never count."""
    if "own" not in facts.bad:
        facts.bad["own"] = [r for r in _bad(facts) if not cured(r, facts) and not _too_late(r, facts)]
    return facts.bad["own"]


def _bad(facts: Facts) -> list[Request]:
    if "all" not in facts.bad:
        facts.bad["all"] = [r for r in facts.requests if not r.suspect and is_bad(r, facts)]
    return facts.bad["all"]


def _too_late(request: Request, facts: Facts) -> bool:
    """Asked after the try's end: a process that somebody had ended already; only its report to Airflow belongs there."""
    return not request.execution and request.at > facts.attempt.over_at + timedelta(seconds=0.5)


def absorbed(facts: Facts) -> list[Request]:
    return [r for r in _bad(facts) if cured(r, facts)]


def _same_target(log: TaskLog, request: Request, route: Route | None) -> bool:
    """The URL, or host and port, in the log is the request's."""
    if log.url:
        parts = urlsplit(log.url)
        if parts.path and parts.path != request.uri.split("?")[0] and request.uri != request.path:
            return False
    if log.host and route is not None and route.addresses:
        with_port = f"{log.host}:{log.port}" if log.port else log.host
        return with_port in route.addresses or log.host in route.addresses
    return True


def agrees(facts: Facts, request: Request) -> bool:
    """The task log's error says the same as this line of F5's log."""
    log = facts.log
    if log is None:
        return False
    if speaks_of_api(log):
        return request.execution
    if request.execution:
        return _is_what_timed_out(facts, log, request)
    if log.stage:
        return False  # a call that ended before it was a request left no line, and the log speaks of another one
    if not _same_target(log, request, facts.routes.get(request.endpoint_id)):
        return False
    if own_limit(log):
        over = request.over_at
        return over is None or over > facts.attempt.over_at - timedelta(seconds=0.2)
    if log.http_status is not None:
        return request.status == log.http_status
    if log.timed_out:
        return request.outcome is Outcome.UNANSWERED or gave_up(request, facts)
    return log.connection_error and request.outcome is Outcome.UNANSWERED


def _is_what_timed_out(facts: Facts, log: TaskLog, request: Request) -> bool:
    """The log's time-out names no host, as the task SDK's own client does, and no outbound call of the try went badly.

    Not a heartbeat: the process that sends these does not break off the task's code.
    """
    if not log.timed_out or log.host or log.url or log.stage or own_limit(log) or request.path.endswith("/heartbeat"):
        return False
    late = request.outcome is Outcome.UNANSWERED or gave_up(request, facts)
    return late and all(r.execution for r in own_bad(facts)) and not facts.candidates


def left_too_early(case: Case) -> bool:
    """The client's limit ran out, and no answer to this path that is known ever came within it."""
    log = case.facts.log
    if log is None or not log.timed_out or not log.timeout_s:
        return False
    known = [
        r.seconds
        for r in (*case.route.before, *case.route.near)
        if r.path == case.request.path and r.seconds is not None
    ]
    return bool(known) and min(known) >= 0.98 * log.timeout_s


def speaks_of_api(log: TaskLog) -> bool:
    """The error is one of the Task Execution API's client, not of an outbound call."""
    text = " ".join(f"{kind} {value}" for kind, value in log.exceptions)
    return "API_SERVER_ERROR" in text or "/execution/" in text


def own_limit(log: TaskLog) -> bool:
    return any(kind in OWN_LIMITS for kind, _ in log.exceptions)


def speaks_of_call(log: TaskLog | None) -> bool:
    """The log says that a call failed (and not, or not only, the task's own code)."""
    return log is not None and (log.http_status is not None or log.timed_out or log.connection_error)


def deciding(facts: Facts) -> Case | None:
    """The request this try's failure rests on, None where no request failed or none can be told."""
    bad = own_bad(facts)
    log = facts.log
    agreeing = [r for r in bad if agrees(facts, r)]
    if not agreeing and log is not None and speaks_of_api(log):
        # Its log says that a call to Airflow failed for good; that it could report its end later on cures nothing
        agreeing = [r for r in absorbed(facts) if r.execution]
    if agreeing:
        return _case(facts, lost_reply(facts, agreeing[-1]) or agreeing[-1])
    if log is not None and log.exceptions and not speaks_of_call(log) and not own_limit(log):
        return None  # the code raised something else: a failed call was swallowed, if there was one
    if speaks_of_call(log) and not speaks_of_api(log):  # type: ignore[arg-type]
        return by_time(facts)
    if bad and not (log and log.exceptions):
        # Airflow's word that it should not run any more ended it, and with it what was under way
        told = [r for r in bad if r.execution and r.status in (404, 409)] if log and log.killed else []
        serious = told or [r for r in bad if r.outcome is not Outcome.CLIENT_ERROR] or bad
        return _case(facts, lost_reply(facts, serious[-1]) or serious[-1])
    return None


def lost_reply(facts: Facts, request: Request) -> Request | None:
    """The call whose answer did not arrive, though the server did its work: repeated, it was refused with 409 (a ghost)."""
    if request.status != 409 or request.method == "GET":
        return None
    path = request.uri.split("?")[0]
    earlier = [
        r for r in facts.requests
        if r.at < request.at and r.method == request.method and r.uri.split("?")[0] == path and not r.suspect
        and r.status != 409 and is_bad(r, facts)
    ]  # fmt: skip
    return earlier[-1] if earlier else None


def _case(facts: Facts, request: Request) -> Case | None:
    route = facts.routes.get(request.endpoint_id)
    return None if route is None else Case(facts, request, route, certain=True)


def by_time(facts: Facts) -> Case | None:
    """Without an exact link: a request that alone fits, or as many that fit the siblings as siblings failed."""
    fitting = [c for c in facts.candidates if c.request.endpoint_id in facts.routes]
    if len(fitting) == 1 and fitting[0].others == 0:
        return _by_time_case(facts, fitting[0], 1)
    siblings = facts.attempt.siblings
    if facts.attempt.map_index >= 0 and fitting and siblings > 0 and facts.sibling_candidates == siblings:
        return _by_time_case(facts, fitting[0], siblings)
    return None


def _by_time_case(facts: Facts, candidate: Candidate, of: int) -> Case:
    request = candidate.request
    return Case(facts, request, facts.routes[request.endpoint_id], certain=False, of=of)


def slowing(facts: Facts) -> Case | None:
    """The request that took most of a slow try's extra time, alone or with others of its endpoint that went badly.

    Slower than its path usually is, or failed and repeated until it went well.
    """
    own, usual = facts.attempt.own_s, facts.attempt.median_s
    if own is None or usual is None:
        return None
    exact, extra = [r for r in facts.requests if not r.suspect], own - usual
    best = max(exact, key=lambda r: _lost(r, facts), default=None)
    if best is not None and _lost(best, facts) >= 0.5 * extra:
        return _case(facts, best)
    # First what failed, then with it what took longer than usual: of one endpoint together
    for these in ([r for r in exact if is_bad(r, facts) and not normal(r)], exact):
        lost = {e: _together([r for r in these if r.endpoint_id == e], facts) for e in {r.endpoint_id for r in these}}
        worst = max(lost, key=lambda e: (lost[e], -e), default=None)
        if worst is not None and lost[worst] >= 0.5 * extra:
            return _case(facts, max((r for r in these if r.endpoint_id == worst), key=lambda r: _lost(r, facts)))
    if any(r.link in (Link.UUID, Link.HEADER) and not r.execution for r in exact) or _waited(facts) >= 0.5 * extra:
        return None
    found = by_time(facts)
    return found if found is not None and _within(found.request, facts) else None


def _waited(facts: Facts) -> float:
    """Seconds until a worker began with it, as Airflow tells them, where its own time counts from the queue."""
    attempt = facts.attempt
    if attempt.start_at is None or attempt.queued_at is None or attempt.own_s is None:
        return 0.0
    whole = (attempt.end_at - attempt.queued_at).total_seconds()
    return (attempt.start_at - attempt.queued_at).total_seconds() if abs(whole - attempt.own_s) <= 1.0 else 0.0


def _within(request: Request, facts: Facts) -> bool:
    """Asked while the try ran, and over by its end: else it is another one's."""
    attempt, slack = facts.attempt, timedelta(seconds=1)
    began = (attempt.start_at or attempt.queued_at or attempt.end_at) + attempt.ahead
    return began - slack <= request.at and (request.over_at or request.at) <= attempt.over_at + slack


def _together(requests: list[Request], facts: Facts) -> float:
    """Seconds that these requests cost together: from each to what cured it, times that overlap counted once."""
    total, until = 0.0, None
    for r in requests:
        end = r.at + timedelta(seconds=_lost(r, facts))
        start = r.at if until is None else max(r.at, until)
        total += max(0.0, (end - start).total_seconds())
        until = end if until is None else max(until, end)
    return total


def _lost(request: Request, facts: Facts) -> float:
    """Seconds this request took from the try beyond what its path usually takes; for a failed one, until what cured it.

    What nothing cured and nobody answered took until the try asked the next time, at most.
    """
    if not is_bad(request, facts):
        return max(0.0, (request.seconds or 0.0) - _usual(request, facts))
    later = [r for r in facts.requests if r.at > request.at]
    cured_by = [r for r in later if r.method == request.method and r.path == request.path and not is_bad(r, facts)]
    until = cured_by or (later if request.outcome is Outcome.UNANSWERED else [])
    return (until[0].at - request.at).total_seconds() if until else request.seconds or 0.0


def _usual(request: Request, facts: Facts) -> float:
    """The median of earlier answers to the same path, 0 where too few are known."""
    route = facts.routes.get(request.endpoint_id)
    known = [r.seconds for r in route.before if r.path == request.path and r.seconds is not None] if route else []
    return median(known) if len(known) >= KNOWN else 0.0
