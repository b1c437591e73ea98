"""Tries: the list, and one with everything that is known about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models as db
from django.utils import timezone

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import answers, narrow, paging, requests
from dashboards.queries.database import reading
from dashboards.queries.incident_rows import incident_rows
from dashboards.queries.reviews import HistoryRow, history, reviews
from dashboards.queries.rows import EvidenceRow, IncidentRow, MemberAnswers, Page, RequestRow, ReviewRow, Split, TryRow
from dashboards.queries.splits import split_of
from dashboards.queries.try_rows import try_row, with_verdicts
from ingest import models
from ingest.rules.causes import CAUSES


@dataclass(frozen=True, slots=True)
class Reason:
    supports: bool  # False: speaks against
    text: str


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
    candidates: tuple[RequestRow, ...]  # joined by time: what the verdict rests on without a key
    log: dict[str, Any] | None  # facts of the task log (records.TaskLog)
    log_state: str
    ti_id_from: str
    path: str
    rendered: dict[str, Any] | None
    history: tuple[HistoryRow, ...]  # answers that were replaced, oldest first
    reviews: tuple[ReviewRow, ...]  # what people said of it, newest first, withdrawn ones too
    siblings: tuple[TryRow, ...]  # all tries of this task, this one too, by number
    members: tuple[MemberAnswers, ...]  # of the verdict's endpoint, in the try's minutes
    incident: IncidentRow | None
    normal_s: float | None  # median of the task's successful tries


KEYS = {
    "-queued": paging.Key("queued_at", datetime),
    "queued": paging.Key("queued_at", datetime, descending=False),
    "-duration": paging.Key("lasted", float),
}
NORMAL_DAYS = timedelta(days=30)
SLACK = timedelta(minutes=5)  # an answer may come after the try gave up; clocks differ


chosen = narrow.try_rows


@reading()
def listed(asked: Filter, scope: Scope) -> Page[TryRow]:
    found = with_verdicts(chosen(asked, scope))
    if asked.sort == "-duration":
        found = found.annotate(lasted=db.functions.Coalesce("duration_s", 0.0, output_field=db.FloatField()))
    return paging.keyset(found, asked, KEYS, try_row)


@reading()
def one(try_id: int, scope: Scope) -> TryPage | None:
    found = with_verdicts(models.Try.objects.filter(narrow.in_scope(scope), id=try_id)).select_related("log").first()
    if found is None:
        return None
    start, end = window(found)
    verdict = getattr(found, "verdict", None)
    joined = requests.of_try(found.id, start, end)
    endpoint = verdict.endpoint_id if verdict else None
    log = getattr(found, "log", None)
    incidents = (
        incident_rows(models.Incident.objects.filter(id=verdict.incident_id), timezone.now())
        if verdict and verdict.incident_id
        else ()
    )
    judged = judgement(verdict) if verdict else None
    return TryPage(
        row=try_row(found), judgement=judged, requests=joined,
        candidates=requests.deciding(verdict) if verdict and not _exact(verdict, joined) else (),
        log=log.facts if log else None, log_state=found.log_state, ti_id_from=found.ti_id_from, path=found.path,
        rendered=found.rendered, history=history(found.id, verdict, judged.evidence if judged else ()),
        reviews=reviews(found.id, verdict), siblings=tuple(_siblings(found)),
        members=_members(endpoint, verdict.bad_at or found.end_at or end) if endpoint else (),
        incident=incidents[0] if incidents else None, normal_s=_normal(found),
    )  # fmt: skip


def _exact(verdict: Any, joined: tuple[RequestRow, ...]) -> bool:
    """Whether the request that decided is among those that carry the try's key."""
    return any(row.at == verdict.bad_at for row in joined)


@reading()
def by_key(airflow: str, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> int | None:
    """The id of a try by its natural key, for links."""
    key = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index, "try_number": try_number}
    return models.Try.objects.filter(airflow__name=airflow, **key).values_list("id", flat=True).first()


def window(one: Any) -> tuple[datetime, datetime]:
    """The time in which a try's requests can lie."""
    first = one.queued_at or one.start_at or one.seen_at
    return first - SLACK, (one.end_at or one.seen_at) + SLACK


def _members(endpoint_id: int, at: datetime) -> tuple[MemberAnswers, ...]:
    """What all members answered around the deciding request."""
    return answers.of_endpoint(endpoint_id, at - timedelta(minutes=1), at + timedelta(minutes=1))


def judgement(verdict: Any) -> Judgement:
    cause = CAUSES.get(verdict.cause)
    return Judgement(
        reasons=reasons(verdict), evidence=evidence(verdict.evidence.all()),
        next_step=cause.next_step if cause else "", call=cause.call if cause else "",
        candidates=verdict.candidates, absorbed=verdict.absorbed, requests=verdict.requests,
        split=split_of(verdict.split), rule=verdict.rule, rule_version=verdict.rule_version,
        judged_at=verdict.judged_at,
    )  # fmt: skip


def reasons(verdict: Any) -> tuple[Reason, ...]:
    return tuple(Reason(bool(reason.get("for", True)), str(reason.get("text", ""))) for reason in verdict.reasons)


def evidence(found: Iterable[Any]) -> tuple[EvidenceRow, ...]:
    return tuple(EvidenceRow(e.position, e.feed, e.kind, e.line_id, e.at, e.link, e.says, e.raw) for e in found)


def _siblings(one: Any) -> Iterable[TryRow]:
    same = {name: getattr(one, name) for name in ("airflow_id", "dag_id", "run_id", "task_id", "map_index")}
    return map(try_row, with_verdicts(models.Try.objects.filter(**same)).order_by("try_number"))


def _normal(one: Any) -> float | None:
    """Median of the task's successful tries in the 30 days before."""
    until = one.queued_at or one.seen_at
    same = models.Try.objects.filter(airflow_id=one.airflow_id, dag_id=one.dag_id, task_id=one.task_id, state="success")
    times = same.filter(end_at__gte=until - NORMAL_DAYS, end_at__lt=until, duration_s__isnull=False)
    sorted_times = sorted(times.order_by("-end_at").values_list("duration_s", flat=True)[:1000])
    return float(sorted_times[len(sorted_times) // 2]) if sorted_times else None
