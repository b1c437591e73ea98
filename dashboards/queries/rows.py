"""The rows that more than one subject shows, as frozen dataclasses. Times are aware UTC, ids are database ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a list; `next` is the cursor of the page after it, empty at the end."""

    rows: tuple[Row, ...]
    next: str = ""
    note: str = ""  # why a page may be shorter than asked


@dataclass(frozen=True, slots=True)
class RequestRow:
    line_id: int
    at: datetime
    endpoint_id: int
    endpoint: str
    f5_pool: str
    member_id: int | None
    member: str  # "" no member was chosen, or it was not logged
    client: str
    client_port: int | None  # kept where the outcome is not ok
    method: str
    path: str  # the whole URI where it is kept (outcome not ok), else the path with its variable parts replaced
    status: int | None
    outcome: str  # ok slow client_error server_error unanswered
    took_us: int | None
    bytes: int | None
    link: str  # none uuid header run_and_time client_and_endpoint time_and_endpoint
    suspect: bool
    try_id: int | None = None
    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int | None = None
    try_number: int | None = None
    host: str = ""
    correlation_id: str = ""
    raw: str = ""
    device_group: str = ""
    airflow: str = ""  # of its try

    @property
    def end(self) -> datetime | None:
        return None if self.took_us is None else self.at + timedelta(microseconds=self.took_us)

    @property
    def failed(self) -> bool:
        return self.outcome in ("server_error", "unanswered")


@dataclass(frozen=True, slots=True)
class VerdictRow:
    status: str  # final provisional
    culprit: str
    cause: str
    cause_name: str
    sentence: str
    component_kind: str
    component: str
    route_acquitted: bool
    confidence: float
    slow: bool
    endpoint_id: int | None = None
    endpoint: str = ""
    f5_pool_id: int | None = None
    f5_pool: str = ""
    member_id: int | None = None
    member: str = ""
    incident_id: int | None = None
    bad_at: datetime | None = None
    links: dict[str, int] = field(default_factory=dict)
    waiting_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    position: int
    feed: str
    kind: str
    line_id: int | None
    at: datetime | None
    link: str
    says: str
    raw: str


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What a person said of a verdict, and of which one."""

    id: int
    at: datetime
    author: str
    says: str  # confirmed overturned
    culprit: str  # what was right instead; "" where it was confirmed
    cause: str
    cause_name: str
    component: str
    words: str
    about_culprit: str  # what the verdict said when it was reviewed
    about_cause: str
    about_cause_name: str
    about_component: str
    about_rule: str
    about_rule_version: str
    about_status: str
    about_confidence: float
    earlier: bool  # the verdict says something else since
    agrees: bool  # what the verdict says now is what this person says
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""

    @property
    def instead(self) -> str:
        """What was right, in words: as far as the person said it."""
        said = self.culprit if not self.cause else f"{self.culprit}, {self.cause_name}"
        return f"{said}: {self.component}" if self.component else said


@dataclass(frozen=True, slots=True)
class TryRow:
    id: int
    airflow: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: str
    ti_id: str
    airflow_pool: str
    operator: str
    conn_id: str
    hostname: str
    scheduled_at: datetime | None
    queued_at: datetime | None
    start_at: datetime | None
    end_at: datetime | None
    duration_s: float | None
    max_tries: int | None = None
    verdict: VerdictRow | None = None
    review: ReviewRow | None = None  # the newest word on the verdict that was not withdrawn

    @property
    def task(self) -> str:
        return f"{self.task_id}[{self.map_index}]" if self.map_index >= 0 else self.task_id


@dataclass(frozen=True, slots=True)
class IncidentRow:
    id: int
    state: str  # open over
    culprit: str
    cause: str
    cause_name: str
    component_kind: str
    component: str
    sentence: str  # what happened, in words
    device_group: str
    endpoint_id: int | None
    endpoint: str
    f5_pool_id: int | None
    f5_pool: str
    members: tuple[str, ...]
    start: datetime
    end: datetime | None
    last_evidence_at: datetime
    seconds: float  # so far, where it is open
    tries: int
    dags: tuple[str, ...]
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    merged_into: int | None = None
    capture: str = ""
    parent: int | None = None  # the incident of the whole device that this one is part of
    parts: int = 0  # incidents that are part of this one
    first_hit_at: datetime | None = None  # `start` is the onset, dated from the data
    noticed_at: datetime | None = None  # by a monitor
    ended_by: str = ""  # the row that ended it, in words
    airflow_pools: tuple[str, ...] = ()
    runs: int = 0  # hit
    runs_in_flight: int = 0  # of DAGs that use the endpoint, the hit ones among them
    others_failed: int = 0  # failed requests of no known try
    shared_endpoints: tuple[str, ...] = ()  # that ask the same members
    messages: int = 0  # that Airflow and F5 would have sent
    airflow_messages: int = 0
    f5_messages: int = 0
    noise: str = ""  # "41 messages became 1"
    withdrawn_at: datetime | None = None  # all it rested on was judged otherwise


@dataclass(frozen=True, slots=True)
class HealthEventRow:
    id: int
    at: datetime
    device: str
    kind: str
    state: str
    was: str
    message_id: str
    object: str
    f5_pool_id: int | None
    f5_pool: str
    member_id: int | None
    member: str
    endpoint_id: int | None
    endpoint: str
    monitor: str
    reason: str
    lasted_s: int | None
    count: int
    raw: str = ""


@dataclass(frozen=True, slots=True)
class ActionRow:
    id: int
    layer: str
    source: str
    at: datetime
    actor: str
    verb: str
    target: str
    dag_id: str
    result: str
    address: str
    tool: str
    external_id: str
    detail: dict[str, Any]
    line_id: int | None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch in which something was in one state; `end` is the watermark or the window's end where it lasts."""

    start: datetime
    end: datetime
    state: str  # up down disabled removed unknown
    reason: str = ""
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class MemberAnswers:
    """What the requests of one endpoint met at one member. `member_id` 0: no member was chosen or logged."""

    endpoint_id: int
    endpoint: str
    member_id: int
    member: str
    requests: int
    ok: int  # answered below 400
    client_errors: int
    server_errors: int
    unanswered: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    max_us: int
    device_group: str = ""

    @property
    def failed(self) -> int:
        return self.server_errors + self.unanswered


@dataclass(frozen=True, slots=True)
class MemberTrack:
    """One lane: what the monitor believed (spans), and the requests that matter at it (failed or slow)."""

    member_id: int
    member: str
    f5_pool_id: int
    f5_pool: str
    state: str  # as last known
    session: str
    spans: tuple[Span, ...]
    requests: tuple[RequestRow, ...] = ()
    device_group: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """Where the time went, in seconds, in stacking order."""

    wait: float = 0.0  # for a slot: scheduled to queued
    queued: float = 0.0  # queued to running
    own: float = 0.0
    api: float = 0.0  # Airflow's own API through F5
    endpoints: dict[str, float] = field(default_factory=dict)  # other endpoints through F5, by name
    lost: float = 0.0  # tries that failed by route or service, and the wait for the retry; in one try, failed requests
    unexplained: float | None = (
        None  # of one try: above what its task's own code usually takes; None: that is not known
    )
    usual_s: float | None = None  # what that code usually takes
    usual_of: int = 0  # by so many successful tries

    @property
    def total(self) -> float:
        parts = (
            self.wait,
            self.queued,
            self.own,
            self.api,
            *self.endpoints.values(),
            self.lost,
            self.unexplained or 0.0,
        )
        return round(sum(parts), 3)  # of one try each is of whole milliseconds


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the answer reaches (DESIGN section 1)."""

    tries: int
    crossing: int  # cross F5 and can be judged
    no_path: int  # nothing of them crosses F5
    unknown: int  # not yet known: running, or a feed is incomplete
    sentence: str
