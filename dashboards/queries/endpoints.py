"""Endpoints: the list, and one with what its monitors believed, what requests met, how fast, and who depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.rows import ActionRow, HealthEventRow, IncidentRow, MemberAnswers, MemberTrack, Page, TryRow


@dataclass(frozen=True, slots=True)
class EndpointRow:
    id: int
    name: str
    device_group: str
    address: str
    port: int | None
    f5_pool_id: int | None
    f5_pool: str
    hosts: tuple[str, ...]
    execution_api: bool
    sees_http: bool
    logs_requests: bool
    requests: int
    client_errors: int
    server_errors: int
    unanswered: int
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    max_us: int
    members: int
    members_up: int
    open_incident: int | None
    tries_hit: int  # verdicts route or service in the window

    @property
    def failed(self) -> int:
        return self.server_errors + self.unanswered


@dataclass(frozen=True, slots=True)
class HeatColumn:
    """One minute (or bucket of minutes): answered requests by latency row, and how many failed."""

    start: datetime
    end: datetime
    counts: tuple[int, ...]  # one per latency row of EndpointPage.heat_rows
    failed: int


@dataclass(frozen=True, slots=True)
class Dependent:
    airflow: str
    dag_id: str
    task_id: str
    requests: int
    tries: int
    tries_hit: int


@dataclass(frozen=True, slots=True)
class EndpointPage:
    row: EndpointRow
    start: datetime
    end: datetime
    tracks: tuple[MemberTrack, ...]
    no_member: int  # requests for which no member was chosen
    answers: tuple[MemberAnswers, ...]
    heat_rows: tuple[tuple[int, int], ...]  # (from, to) in microseconds, fast first
    heat: tuple[HeatColumn, ...]
    dependents: tuple[Dependent, ...]
    incidents: tuple[IncidentRow, ...]
    events: tuple[HealthEventRow, ...]
    changes: tuple[ActionRow, ...]
    tries: tuple[TryRow, ...]  # hit in the window


def listed(asked: Filter, scope: Scope) -> Page[EndpointRow]:
    raise NotImplementedError


def one(endpoint_id: int, asked: Filter, scope: Scope, now: datetime) -> EndpointPage | None:
    raise NotImplementedError


def pages(asked: Filter, scope: Scope, now: datetime) -> tuple[EndpointPage, ...]:
    """Everything the page of all endpoints draws, in few queries (heat and dependents too)."""
    raise NotImplementedError
