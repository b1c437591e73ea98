"""What the rules read: the facts about one try, gathered by ingest.correlate. Plain values, no database, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ingest.records import Link, Outcome, TaskLog

from .contracts import Contract


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the rules see it: a row of `request` with its names, and of `request_detail` where there is one."""

    line_id: int
    at: datetime
    endpoint_id: int
    endpoint: str
    f5_pool: str
    member: str  # "" : no member was chosen, or it was not logged
    client: str
    client_port: int | None
    method: str
    path: str  # template
    uri: str  # whole, where it is kept; else the template
    status: int | None
    outcome: Outcome
    response_us: int | None
    bytes: int | None
    link: Link
    suspect: bool = False
    raw: str = ""
    feed: str = ""

    @property
    def execution(self) -> bool:
        """A call of Airflow's Task Execution API."""
        return "/execution/" in self.path

    @property
    def over_at(self) -> datetime | None:
        """When its answer left, None without an answer."""
        if self.outcome is Outcome.UNANSWERED:
            return None
        return self.at + timedelta(microseconds=self.response_us or 0)

    @property
    def seconds(self) -> float | None:
        return None if self.response_us is None else self.response_us / 1e6


@dataclass(frozen=True, slots=True)
class Health:
    """One health event of the pool, a member of it, the virtual server or the device."""

    at: datetime
    kind: str
    state: str
    f5_pool: str
    member: str
    object: str
    reason: str
    line_id: int | None
    raw: str
    feed: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One user action on F5's configuration, or one event of Airflow about the try."""

    at: datetime
    actor: str
    verb: str
    target: str
    raw: str
    line_id: int | None = None
    feed: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Chooser:
    """A place in a policy or an iRule of the virtual server that chooses a pool, as the device is configured now."""

    by: str  # full path of the policy or iRule
    kind: str  # policy | irule
    rule: str  # the policy's rule, the iRule's event
    f5_pool: str  # "": computed while it runs


@dataclass(frozen=True, slots=True)
class Job:
    """A scheduler process of the try's Airflow."""

    job_type: str
    state: str
    end_at: datetime | None
    heartbeat_at: datetime | None


@dataclass(frozen=True, slots=True)
class Minute:
    """What an endpoint was asked in one minute, how much of it a server's error answered, and how much nothing."""

    start: datetime
    requests: int
    errors: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint around the time of interest."""

    endpoint_id: int
    endpoint: str
    f5_pool: str
    device: str
    makes_own_errors: bool
    members: tuple[str, ...]  # all members known
    addresses: frozenset[str]  # "host:port" and "host" that lead here
    near: tuple[Request, ...] = ()  # every request of this endpoint near the deciding one, in time order
    before: tuple[Request, ...] = ()  # answered well, same path, earlier: what is normal
    health: tuple[Health, ...] = ()
    changes: tuple[Change, ...] = ()
    cuts: tuple[float, ...] = ()  # seconds after which unanswered requests of known tries ended
    choosers: tuple[Chooser, ...] = ()  # who but the virtual server itself sends its requests to a pool
    contracts: tuple[Contract, ...] = ()  # to which pools its paths go, learned or declared, as far as switched on
    minutes: tuple[Minute, ...] = ()  # the half hour before, in order of time
    rules: tuple[str, ...] = ()  # the iRules of the virtual server, as configured now
    runs: tuple[float, ...] = ()  # seconds that tries of this task ran whose connection was broken off, within an hour
    homes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of which pools an address:port is a member
    spoke: tuple[datetime, ...] = ()  # of one called in vain: minutes in which others of the device were asked


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request that could be this try's, joined by time and endpoint only."""

    request: Request
    others: int  # how many other tries it would fit as well
    link: Link


@dataclass(frozen=True, slots=True)
class Attempt:
    """The try itself."""

    try_id: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    ti_id: str | None
    state: str
    queued_at: datetime | None
    start_at: datetime | None
    end_at: datetime
    operator: str
    conn_id: str
    path: str
    hostname: str
    airflow_pool: str
    slow: bool = False
    own_s: float | None = None
    median_s: float | None = None
    samples: int = 0
    siblings: int = 0  # mapped tries of the same run and try number that failed, this one included
    ahead: timedelta = timedelta(0)  # of the worker's clock, the clock of the devices that its requests crossed
    clients: frozenset[str] = frozenset()  # addresses that its calls with its UUID came from

    @property
    def over_at(self) -> datetime:
        """Its end by the devices' clock, to compare with their lines."""
        return self.end_at + self.ahead


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the logs reach around this try."""

    f5_feeds: bool  # any request log is read
    gap: str = ""  # why a needed feed is incomplete in the window, in words
    known_host: bool | None = None  # the host named by the log is an endpoint of ours; None: no host is named
    sees_outbound: bool = True
    thin: str = ""  # few lines of a needed feed are missing in the window, and how many is known: in words
    scattered: bool = False  # what is missing are single lines here and there: that makes no silence
    also: tuple[str, ...] = ()  # what other logs of the device lack: named, and nothing rests on it


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one judgement rests on."""

    attempt: Attempt
    log: TaskLog | None
    requests: tuple[Request, ...]  # by exact links, in time order
    candidates: tuple[Candidate, ...]
    sibling_candidates: int  # bad requests that fit the siblings' time
    routes: dict[int, Route]
    events: tuple[Change, ...]
    jobs: tuple[Job, ...]
    coverage: Coverage
    called: Route | None = None  # the endpoint its log names, around the try's end, where no request fits the call
    # Its bad requests, once they were looked for (bad.py): nearly every rule asks for them
    bad: dict[str, list[Request]] = field(default_factory=dict, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """One row a finding rests on, and what it shows."""

    kind: str
    at: datetime | None
    says: str
    raw: str
    line_id: int | None = None
    feed: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's judgement about one try."""

    cause: str
    sentence: str
    confidence: float
    component_kind: str = ""
    component: str = ""
    acquitted: bool = False
    request: Request | None = None
    members: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    reasons: tuple[tuple[bool, str], ...] = ()  # (speaks for it?, sentence with its counts)
    candidates: int = 1
    rule: str = ""
    place: Route | None = None  # the endpoint, where no request decides
