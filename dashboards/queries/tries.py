"""Tries: the list, and one with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.rows import IncidentRow, MemberAnswers, Page, RequestRow, Split, TryRow


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
class Reason:
    supports: bool  # False: speaks against
    text: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    replaced_at: datetime
    answer: dict[str, Any]
    why: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What stands behind a verdict."""

    reasons: tuple[Reason, ...]
    evidence: tuple[EvidenceRow, ...]
    next_step: str
    call: str
    candidates: int
    absorbed: int
    requests: int
    split: Split
    rule: str
    rule_version: str
    judged_at: datetime


@dataclass(frozen=True, slots=True)
class TryPage:
    row: TryRow  # its verdict is row.verdict
    judgement: Judgement | None
    requests: tuple[RequestRow, ...]  # exact joins, oldest first
    log: dict[str, Any] | None  # facts of the task log (records.TaskLog)
    log_state: str
    ti_id_from: str
    path: str
    rendered: dict[str, Any] | None
    history: tuple[HistoryRow, ...]
    siblings: tuple[TryRow, ...]  # all tries of this task, this one too, by number
    members: tuple[MemberAnswers, ...]  # of the verdict's endpoint, in the try's minutes
    incident: IncidentRow | None
    normal_s: float | None  # median of the task's successful tries


def listed(asked: Filter, scope: Scope) -> Page[TryRow]:
    raise NotImplementedError


def one(try_id: int, scope: Scope) -> TryPage | None:
    raise NotImplementedError


def by_key(airflow: str, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> int | None:
    """The id of a try by its natural key, for links."""
    raise NotImplementedError
