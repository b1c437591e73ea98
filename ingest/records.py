"""The words of the project as plain values: what parsers return, what the store saves and what the rules read.

Nothing here touches a database, a clock or a network. Times are aware UTC datetimes unless a field says otherwise.
A record and its table share a name, so write `records.Try` and `models.Try`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from ingest.device_records import Profile


@dataclass(frozen=True, slots=True)
class Reject:
    """A line or row that cannot be used: kept whole, with a reason that a person understands."""

    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Other:
    """A line that is F5's for certain (header and message id, or a known keyword form) but of no kind we judge by."""

    at: datetime | None
    hostname: str
    process: str
    message_id: str
    severity: str
    text: str
    raw: str


class RequestLine(NamedTuple):
    """One line of an LTM request log: a request, its response, or (response-only logging) both in one.

    A NamedTuple, because millions of them are made. `ts_us` is the device's time in microseconds since 1970 (UTC).
    Text that the device left empty is ""; numbers that it left empty or mistyped are None (never 0).
    """

    kind: str  # "request" or "response"
    ts_us: int
    hostname: str
    virtual_name: str
    virtual_ip: str
    virtual_port: int | None
    f5_pool: str
    client_ip: str
    client_port: int | None
    server_ip: str
    server_port: int | None
    snat_ip: str
    status: int | None
    response_us: int | None
    bytes: int | None
    method: str
    host: str
    uri: str
    correlation_id: str
    traceparent: str
    task: str  # the value of X-Airflow-Task
    xff: str
    user_agent: str
    suspect: bool  # a key occurs twice or out of the template's order: no exact link may rest on this line


class Outcome(IntEnum):
    """How a request ended, as far as the device's log tells. Stored in `request.outcome`; > 0 stands in the partial index."""

    OK = 0
    SLOW = 1  # answered below 400, but after SLOW_US
    CLIENT_ERROR = 2  # 4xx
    SERVER_ERROR = 3  # 5xx
    UNANSWERED = 4  # a request line, its try or its connection is over, and no response line


SLOW_US = 3_000_000


def outcome(status: int | None, response_us: int | None, answered: bool = True) -> Outcome:
    """The outcome of a request with this status; `status` None with an answer means the template does not log it."""
    if not answered:
        return Outcome.UNANSWERED
    if status is not None and status >= 500:
        return Outcome.SERVER_ERROR
    if status is not None and status >= 400:
        return Outcome.CLIENT_ERROR
    return Outcome.SLOW if response_us is not None and response_us >= SLOW_US else Outcome.OK


class Link(IntEnum):
    """How we know that a request belongs to a try, from certain to weak (DESIGN section 3)."""

    SUSPECT = -1  # the line may be forged: nothing is believed that it says of a try
    NONE = 0
    UUID = 1
    HEADER = 2
    RUN_AND_TIME = 3
    CLIENT_AND_ENDPOINT = 4
    TIME_AND_ENDPOINT = 5


# Stored as the place in this row, counted from 1; 0 for any other word, which the kept line still shows.
METHODS = (
    *("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL"),
    *("COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "REPORT", "PURGE", "QUERY"),
)
_METHOD_CODES = {name: place for place, name in enumerate(METHODS, 1)}


def method_code(name: str) -> int:
    """The number an HTTP method is stored by."""
    return _METHOD_CODES.get(name, 0)


def method_name(code: int) -> str:
    """The HTTP method of this number; "other" for one that is not in METHODS."""
    return METHODS[code - 1] if 0 < code <= len(METHODS) else "other"


TORN = "the end of this line was not written"  # how the reason of such a reject begins: nobody can read it again
MOST_STORED = 2**31 - 1  # response times (35 minutes) and sizes (2 GiB) at or above it are stored as it


@dataclass(frozen=True, slots=True)
class HealthEvent:
    """One change of a member, node, pool or virtual server.

    kind: member | node | pool | virtual | virtual_address | device
    state: up | down | node_down | forced_down | checking | unchecked | disabled | forced_disabled | enabled |
           no_members | has_members | available | unavailable | active | standby | reset_sent | limit | port_exhaustion |
           tls_failure | lost_messages | … (what the message says, in snake case)
    """

    at: datetime
    hostname: str
    kind: str
    state: str
    message_id: str
    f5_pool: str = ""
    member: str = ""  # "/Common/orders2:9000", or address:port
    object: str = ""  # the full name of the node, virtual server or address the line is about
    monitor: str = ""
    monitor_state: str = ""  # what the monitor itself says: "up" in `forced down. [ /Common/tcp: up ]`
    reason: str = ""  # the monitor's last error, without its @date
    was: str = ""  # the state before
    lasted_s: int | None = None  # how long it was in that state
    count: int | None = None  # messages held back, for lost_messages
    detail: dict[str, Any] = field(default_factory=dict)
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One audit fact of either layer: who did what to which object. Becomes a row of accounts.UserAction."""

    layer: str  # airflow | f5
    at: datetime
    actor: str
    verb: str  # create, modify, delete, run, login, login_failed, trigger_dag_run, clear, …
    target: str
    result: str = ""  # ok | failed | "" where it is not said
    address: str = ""  # where the actor came from, if the line says so
    tool: str = ""  # tmsh, tmui, icrd, rest_api, cli, ui …
    external_id: str = ""  # event_log_id, or transaction and step
    detail: dict[str, Any] = field(default_factory=dict)
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt of one task instance, as Airflow's REST API tells it (one observation).

    `ti_id` is set only when this observation may bind a UUID to this try number (facts/airflow.md: not in
    up_for_retry, scheduled or none, where REST can already show the next try's UUID).
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: str
    ti_id: str | None = None
    max_tries: int | None = None
    scheduled_at: datetime | None = None
    queued_at: datetime | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    duration_s: float | None = None
    hostname: str = ""
    airflow_pool: str = ""
    pool_slots: int | None = None
    queue: str = ""
    operator: str = ""
    conn_id: str = ""
    path: str = ""  # the rendered endpoint, without the leading slash or query
    rendered: dict[str, Any] | None = None
    from_history: bool = False  # a row of /tries: final facts of an ended try, with a UUID from the database alone


@dataclass(frozen=True, slots=True)
class DagVersion:
    """One version of a DAG, made by Airflow 3 when its code changed: what a deployment left behind."""

    dag_id: str
    number: int
    at: datetime
    bundle: str = ""
    bundle_version: str = ""  # a commit, where the bundle has them
    raw: str = ""


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    run_type: str = ""
    queued_at: datetime | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    run_after: datetime | None = None
    triggered_by: str = ""
    triggering_user: str = ""
    versions: tuple[DagVersion, ...] = ()  # that it ran with


@dataclass(frozen=True, slots=True)
class TaskLog:
    """What the structured log of one try says about its end (size-capped, never the whole log)."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    ti_id: str | None
    exceptions: tuple[tuple[str, str], ...] = ()  # (type, text), outermost first
    lines: tuple[str, ...] = ()  # error and warning events that can decide, oldest first, capped
    own_code: bool = False  # the innermost frames of the traceback are the DAG's own file
    http_status: int | None = None  # the status the client saw
    timed_out: bool = False
    timeout_s: float | None = None  # "read timeout=8"
    connection_error: bool = False  # reset, aborted, refused, no answer
    stage: str = ""  # where a connection ended that carried no request: resolve, proxy, tls, connect; "" where it stood
    host: str = ""  # host of the URL or pool named in the error
    port: int | None = None
    url: str = ""
    correlation_ids: tuple[str, ...] = ()
    killed: bool = False  # ended by a signal, zombie, heartbeat time-out
    in_call: bool = False  # the traceback ends in a library that waits for a network's answer
    ended_at: datetime | None = None
    found: bool = True  # False: the log is gone or the try never ran


@dataclass(frozen=True, slots=True)
class Dag:
    dag_id: str
    is_paused: bool = False
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AirflowPool:
    name: str
    slots: int | None = None
    occupied: int | None = None
    queued: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    conn_id: str
    conn_type: str = ""
    host: str = ""  # host alone, without scheme
    port: int | None = None
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    job_id: int
    job_type: str
    state: str
    hostname: str = ""
    start_at: datetime | None = None
    end_at: datetime | None = None
    heartbeat_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberState:
    """One pool member as iControl REST shows it."""

    f5_pool: str
    member: str
    address: str
    port: int | None
    state: str  # up | down | unchecked | user-down | …
    session: str  # monitor-enabled | user-enabled | user-disabled | …
    monitor: str = ""


@dataclass(frozen=True, slots=True)
class VirtualServer:
    name: str
    address: str
    port: int | None
    f5_pool: str = ""
    enabled: bool = True
    hosts: tuple[str, ...] = ()
    sees_http: bool = True
    logs_requests: bool = True
    profiles: tuple[Profile, ...] | None = None  # None: the answer does not tell them
    policies: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()  # iRules, in their order
