"""Requests without an exact key: which of them could be a try's, and which other tries they would fit as well. Pure.

The method is DESIGN section 3, kinds 3 and 4: the endpoint is one the task is known to use, the time is inside the try's
window, the log's error says the same as the F5 line, and nobody else claims the request by its path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from ingest.records import Link, Outcome, TaskLog
from ingest.rules.facts import Candidate, Request

SLACK = timedelta(seconds=0.5)  # clocks of worker and device, as far as they are not corrected


@dataclass(slots=True)
class Caller:
    """A failed or slow try that called something, with what is known of its call."""

    try_id: int
    slot: tuple[str, str, str, int]  # dag, run, task, map
    try_number: int
    lo: datetime
    hi: datetime
    endpoints: frozenset[int]
    log: TaskLog | None
    target: str = ""  # path, with the query where it is known
    seconds: float | None = None  # for a slow try: its own time
    clients: frozenset[str] = frozenset()  # addresses its exact requests came from
    fitting: list[Request] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class User:
    """A try whose rendered path is known: requests for that path while it runs are spoken for."""

    dag_id: str
    task_id: str
    target: str
    lo: datetime
    hi: datetime


def target_of(log: TaskLog | None, rendered_endpoint: str) -> str:
    """The path (and query, where it is known) that a try called."""
    if log is not None and log.url:
        parts = urlsplit(log.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
    if rendered_endpoint and "://" in rendered_endpoint:
        return target_of(TaskLog("", "", "", -1, 0, None, url=rendered_endpoint), "")
    return "/" + rendered_endpoint.lstrip("/") if rendered_endpoint else ""


def same_target(uri: str, target: str) -> bool:
    return uri == target if "?" in target else uri.split("?")[0] == target


def agrees(caller: Caller, request: Request) -> bool:
    """The line says what the log says; for a slow try, the request is most of its time."""
    log = caller.log
    if caller.seconds is not None:
        return request.seconds is not None and request.seconds >= 0.5 * caller.seconds
    if log is None:
        return False
    if log.http_status is not None:
        return request.status == log.http_status
    if log.timed_out:
        long = request.seconds is not None and log.timeout_s is not None and request.seconds > log.timeout_s
        return request.outcome is Outcome.UNANSWERED or long
    return log.connection_error and request.outcome is Outcome.UNANSWERED


def fits(
    caller: Caller, request: Request, users: Sequence[User], span: tuple[datetime, datetime], path: bool = True
) -> bool:
    """The request could be the caller's."""
    if request.execution or request.endpoint_id not in caller.endpoints or not span[0] - SLACK <= request.at <= span[1]:
        return False
    if path and caller.target and not same_target(request.uri, caller.target):
        return False
    if not agrees(caller, request):
        return False
    me = (caller.slot[0], caller.slot[2])
    return not any(
        (u.dag_id, u.task_id) != me and u.lo <= request.at <= u.hi and same_target(request.uri, u.target) for u in users
    )


def match(callers: Sequence[Caller], requests: Iterable[Request], users: Sequence[User]) -> None:
    """Fill each caller's `fitting`. Requests of another worker's address are left out where addresses tell workers apart."""
    everybody = frozenset().union(*(c.clients for c in callers)) if callers else frozenset()
    pool = list(requests)
    for caller in callers:
        strangers = everybody - caller.clients if caller.clients else frozenset()
        caller.fitting = [
            r for r in pool if r.client not in strangers and fits(caller, r, users, (caller.lo, caller.hi))
        ]  # fmt: skip


def candidates(caller: Caller, callers: Sequence[Caller]) -> tuple[Candidate, ...]:
    """The caller's fitting requests, each with the number of other tries it fits."""
    claims: dict[int, int] = defaultdict(int)
    for other in callers:
        if other is not caller:
            for request in other.fitting:
                claims[request.line_id] += 1
    everybody = frozenset().union(*(c.clients for c in callers))
    return tuple(Candidate(r, claims[r.line_id], _kind(caller, r, everybody)) for r in caller.fitting)


def _kind(caller: Caller, request: Request, everybody: frozenset[str]) -> Link:
    told_apart = len(everybody) > 1 and request.client in caller.clients
    return Link.CLIENT_AND_ENDPOINT if told_apart else Link.TIME_AND_ENDPOINT


def siblings(
    caller: Caller, callers: Sequence[Caller], requests: Iterable[Request], users: Sequence[User]
) -> tuple[int, int]:
    """(mapped tries of this run and try number that failed, bad requests that fit their time together)."""
    same = [c for c in callers if c.slot[:3] == caller.slot[:3] and c.try_number == caller.try_number]
    if caller.slot[3] < 0:
        return 0, 0
    span = min(c.lo for c in same), max(c.hi for c in same)
    return len(same), sum(fits(caller, r, users, span, path=False) for r in requests)
