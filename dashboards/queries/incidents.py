"""Incidents: the list, and one with its tries, members, events, requests, reach and what came before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.rows import (
    ActionRow,
    HealthEventRow,
    IncidentRow,
    MemberAnswers,
    MemberTrack,
    Page,
    RequestRow,
    TryRow,
)
from dashboards.queries.tries import EvidenceRow, Reason


@dataclass(frozen=True, slots=True)
class Reach:
    """Blast radius, in task instances: hit = lost + recovered + going + waiting."""

    hit: int
    lost: int  # failed for good
    recovered: int  # a later try succeeded
    going: int  # running or queued again
    waiting: int  # for their retry
    dags: tuple[str, ...]
    next_dags: tuple[str, ...]  # use the same endpoint, not hit
    other_endpoints: tuple[str, ...]  # of the same device group, not touched


@dataclass(frozen=True, slots=True)
class NoteRow:
    at: datetime
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class IncidentPage:
    row: IncidentRow
    start: datetime  # the window drawn: a little before the onset
    end: datetime
    next_step: str
    call: str
    confidence: float | None  # the lowest of its tries' verdicts
    links: dict[str, int]  # how its tries were joined
    reasons: tuple[Reason, ...]
    evidence: tuple[EvidenceRow, ...]  # of the first try hit
    tries: tuple[TryRow, ...]  # hit by it, by first failure
    other_tries: tuple[TryRow, ...]  # same endpoint, same time, well; and later tries of those hit
    members: tuple[MemberAnswers, ...]  # since the onset, good ones too
    tracks: tuple[MemberTrack, ...]
    events: tuple[HealthEventRow, ...]
    requests: tuple[RequestRow, ...]  # to the endpoint since the onset, oldest first
    requests_total: int
    reach: Reach
    noise: int  # failed tries in the window that are not part of it
    preceded: tuple[ActionRow, ...]  # both layers, 30 minutes before
    before: tuple[IncidentRow, ...]  # same fingerprint, else same pool or endpoint
    notes: tuple[NoteRow, ...]
    merged: tuple[int, ...]


def listed(asked: Filter, scope: Scope, now: datetime) -> Page[IncidentRow]:
    raise NotImplementedError


def one(incident_id: int, scope: Scope, now: datetime) -> IncidentPage | None:
    """None: there is no such incident. One that was merged has `row.merged_into`; the page redirects there."""
    raise NotImplementedError
