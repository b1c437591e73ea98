"""Requests without an exact key: which of them could be a try's, and which other tries they would fit as well. Pure.

The method is DESIGN section 3, kinds 3 and 4: the endpoint is one the task is known to use, the time is inside the try's
window, the log's error says the same as the F5 line, and nobody else claims the request by its path.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from ingest.completeness.skew import NONE, Skew
from ingest.records import Link, Outcome, TaskLog
from ingest.rules.facts import Candidate, Request

SLACK = timedelta(seconds=0.5)  # clocks of worker and device, as far as they are not corrected
Moments = tuple[datetime, datetime]


def by_device(span: Moments, skew: Skew) -> Moments:
    """A time of a worker as the device's clock shows it, as much wider as that is uncertain."""
    return span[0] + skew.shift - max(SLACK, skew.error), span[1] + skew.shift + skew.error


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
    clocks: Mapping[int, Skew] = field(default_factory=dict)  # by endpoint: how far its device is ahead of the worker


@dataclass(frozen=True, slots=True)
class User:
    """A try whose rendered path is known: requests for that path while it runs are spoken for."""

    dag_id: str
    task_id: str
    target: str
    lo: datetime
    hi: datetime
    clocks: Mapping[int, Skew] = field(default_factory=dict)

    def runs_at(self, request: Request) -> bool:
        ahead = self.clocks.get(request.endpoint_id, NONE).shift
        return self.lo + ahead <= request.at <= self.hi + ahead


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
    if log is None or log.stage:  # a call that ended before it was a request left no line
        return False
    if log.http_status is not None:
        return request.status == log.http_status
    if log.timed_out:
        long = request.seconds is not None and log.timeout_s is not None and request.seconds > log.timeout_s
        return request.outcome is Outcome.UNANSWERED or long
    return log.connection_error and request.outcome is Outcome.UNANSWERED


class Users:
    """Who else is known to ask for a path while it runs: such a request is spoken for."""

    def __init__(self, users: Iterable[User]) -> None:
        self._by_target: dict[str, list[User]] = defaultdict(list)
        for user in users:
            self._by_target[user.target].append(user)
        self._of: dict[int, frozenset[tuple[str, str]]] = {}

    def of(self, request: Request) -> frozenset[tuple[str, str]]:
        """The tasks that may have made this request."""
        if request.line_id not in self._of:
            targets = {request.uri, request.uri.split("?")[0]}  # with the query, and for users that name none
            self._of[request.line_id] = frozenset(
                (u.dag_id, u.task_id)
                for target in targets
                for u in self._by_target.get(target, ())
                if u.runs_at(request) and same_target(request.uri, target)
            )
        return self._of[request.line_id]


class Match:
    """Which requests fit which callers. Requests of another worker's address are left out where addresses tell them apart."""

    def __init__(self, callers: Sequence[Caller], requests: Iterable[Request], users: Iterable[User]) -> None:
        self.users = Users(users)
        self._everybody = frozenset().union(*(c.clients for c in callers))
        self._by_endpoint: dict[int, list[Request]] = defaultdict(list)
        for request in sorted(requests, key=lambda r: (r.at, r.line_id)):
            if not request.execution:
                self._by_endpoint[request.endpoint_id].append(request)
        self._times = {endpoint: [r.at for r in found] for endpoint, found in self._by_endpoint.items()}
        self._siblings: dict[tuple[str, str, str, int], list[Caller]] = defaultdict(list)
        self._claims: Counter[int] = Counter()
        for caller in callers:
            self._siblings[(*caller.slot[:3], caller.try_number)].append(caller)
            strangers = self._everybody - caller.clients if caller.clients else frozenset()
            fitting = self._fitting(caller, (caller.lo, caller.hi))
            fitting = [r for r in fitting if r.client not in strangers]
            # Where its own address asked, what another one asked is not its own; where not, a proxy may stand between
            caller.fitting = [r for r in fitting if r.client in caller.clients] or fitting
            self._claims.update(r.line_id for r in caller.fitting)

    def _fitting(self, caller: Caller, span: tuple[datetime, datetime], path: bool = True) -> list[Request]:
        """The requests in this time that could be the caller's, in time order."""
        me, out = (caller.slot[0], caller.slot[2]), []
        for endpoint in caller.endpoints:
            times = self._times.get(endpoint, [])
            lo, hi = by_device(span, caller.clocks.get(endpoint, NONE))
            for r in self._by_endpoint.get(endpoint, [])[bisect_left(times, lo) : bisect_right(times, hi)]:
                if path and caller.target and not same_target(r.uri, caller.target):
                    continue
                if agrees(caller, r) and self.users.of(r) <= {me}:
                    out.append(r)
        return sorted(out, key=lambda r: (r.at, r.line_id))

    def candidates(self, caller: Caller) -> tuple[Candidate, ...]:
        """The caller's fitting requests, each with the number of other tries it fits."""
        return tuple(Candidate(r, self._claims[r.line_id] - 1, self._kind(caller, r)) for r in caller.fitting)

    def _kind(self, caller: Caller, request: Request) -> Link:
        told_apart = len(self._everybody) > 1 and request.client in caller.clients
        return Link.CLIENT_AND_ENDPOINT if told_apart else Link.TIME_AND_ENDPOINT

    def siblings(self, caller: Caller) -> tuple[int, int]:
        """(mapped tries of this run and try number that failed, bad requests that fit their time together)."""
        if caller.slot[3] < 0:
            return 0, 0
        same = self._siblings[(*caller.slot[:3], caller.try_number)]
        span = min(c.lo for c in same), max(c.hi for c in same)
        return len(same), len(self._fitting(caller, span, path=False))
