"""Incidents: the list, and one with its tries, members, events, requests, reach and what came before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import answers, dependents, freshness, health_events, narrow, paging, requests
from dashboards.queries.database import reading
from dashboards.queries.incident_rows import RELATED, rows_of
from dashboards.queries.preceding import Preceding, preceding, subject
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
from dashboards.queries.similar import NoteRow, Similar, around
from dashboards.queries.tries import EvidenceRow, Reason, evidence, reasons
from dashboards.queries.try_rows import standing, try_row, with_verdicts
from dashboards.words import short
from ingest import models
from ingest.rules.causes import CAUSES


@dataclass(frozen=True, slots=True)
class Reach:
    """Blast radius, in task instances: hit = lost + recovered + going + waiting."""

    hit: int
    lost: int  # failed for good
    recovered: int  # a later try succeeded
    going: int  # running or queued again
    waiting: int  # for their retry
    runs: tuple[tuple[str, int], ...]  # DAG and its runs that were hit
    dags: tuple[str, ...]
    next_dags: tuple[str, ...]  # use the same endpoint, not hit
    failed_requests: int  # of the component while it lasted
    others_clients: int  # addresses that those of no known try came from
    other_endpoints: tuple[str, ...]  # of the same device group, not touched


@dataclass(frozen=True, slots=True)
class Told:
    """The row that shows how an incident began or ended."""

    kind: str  # request | health_event | verdict | silence
    at: datetime | None
    says: str
    raw: str  # as received, where it is kept
    line_id: int | None
    before: tuple[int, ...] = ()  # [bad, all] requests of the component before it, where it is a change of their rate
    since: tuple[int, ...] = ()


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
    not_part: int  # failed tries in the window that are not part of it
    preceded: tuple[ActionRow, ...]  # both layers, 30 minutes before, as the timeline draws them
    before: tuple[IncidentRow, ...]  # same fingerprint, else same pool or endpoint
    notes: tuple[NoteRow, ...]
    merged: tuple[int, ...]
    onset: Told
    ending: Told | None
    parts: tuple[IncidentRow, ...]  # of what hit the whole device
    changes: tuple[Preceding, ...]  # what preceded it on both layers, what concerns its own objects first
    similar: tuple[Similar, ...]  # past ones


KEYS = {
    "-start": paging.Key("start", datetime),
    "start": paging.Key("start", datetime, descending=False),
    "-tries": paging.Key("tries", int),
}
BEFORE = timedelta(minutes=1)  # drawn at least, so that it is seen that all was well
AFTER = timedelta(seconds=30)  # likewise, so that the recovery is seen
MARGIN = 0.1  # of its length, where that is more
SHOWN = timedelta(hours=6)  # of a long incident; the lists have the rest
MOST_TRIES = 200


@reading()
def listed(asked: Filter, scope: Scope, now: datetime) -> Page[IncidentRow]:
    cut = paging.keyset(chosen(asked, scope).select_related(*RELATED), asked, KEYS, lambda one: one)
    return Page(rows_of(list(cut.rows), now), cut.next)


def chosen(asked: Filter, scope: Scope) -> QuerySet[Any]:
    """Incidents that touch the window and fit the question."""
    base = models.Incident.objects.filter(Q(end=None) | Q(end__gte=asked.start), start__lt=asked.end, merged_into=None)
    if asked.state in ("open", "over"):
        base = base.filter(end__isnull=asked.state == "open")
    found = _narrowed(base, asked, scope)
    if found is base:
        return base
    # What hit the whole device names no route: it is found by its parts.
    return base.filter(Q(id__in=found.values("id")) | Q(id__in=found.filter(parent__isnull=False).values("parent")))


def _narrowed(found: QuerySet[Any], asked: Filter, scope: Scope) -> QuerySet[Any]:
    for field in ("culprit", "cause"):
        if getattr(asked, field):
            found = found.filter(**{f"{field}__in": asked.values(field)})
    if any(getattr(asked, field) for field in narrow.TRY_FIELDS) or scope.dags is not None:
        hit = models.Verdict.objects.filter(narrow.tries(asked, scope, at="try_row__"), incident_id=OuterRef("pk"))
        found = found.filter(Exists(hit))
    if asked.device_group:
        found = found.filter(narrow.in_group(asked, "device_group__name"))
    ids = narrow.routes(asked if asked.endpoint else asked.with_(device_group=""))
    for column in ("endpoint_id", "f5_pool_id"):
        if column in ids:
            found = found.filter(**{f"{column}__in": ids[column]})
    return found.filter(_members(ids["member_id"])) if "member_id" in ids else found


def _members(ids: list[int]) -> Q:
    """Incidents keep their members by name."""
    named = Q(pk=None)
    for name in models.Member.objects.filter(id__in=ids).values_list("name", flat=True):
        named |= Q(members__contains=[name])
    return named


@reading()
def one(incident_id: int, scope: Scope, now: datetime) -> IncidentPage | None:
    """None: there is no such incident. One that was merged has `row.merged_into`; the page redirects there."""
    kept = models.Incident.objects.select_related(*RELATED).filter(id=incident_id).first()
    if kept is None:
        return None
    others_of = around(kept, now)
    row = others_of.row
    verdicts = _verdicts(incident_id, scope)
    if scope.dags is not None and not verdicts:
        return None
    start, end = _drawn(row, now)
    lead = verdicts[0] if verdicts else None
    cause = CAUSES.get(row.cause)
    pools = [row.f5_pool_id] if row.f5_pool_id else []
    seen = requests.of_endpoint(row.endpoint_id, start, end) if row.endpoint_id else ()
    seen = requests.candidates(seen, verdicts)
    events = health_events.between(row.start - timedelta(minutes=5), end, _ids(row.endpoint_id), pools)
    hit = tuple(try_row(verdict.try_row) for verdict in verdicts)
    others = _other_tries(row, hit, seen, scope)
    fresh = freshness.watermark(now, captures={row.capture})
    changes, drawn = preceding(subject(kept, row, hit), scope)
    return IncidentPage(
        row=row, start=start, end=end, next_step=cause.next_step if cause else "",
        call=cause.call if cause else "",
        confidence=min((verdict.confidence for verdict in verdicts), default=None), links=_links(verdicts),
        reasons=reasons(lead) if lead else _seen_reasons(row, events, seen),
        evidence=evidence(lead.evidence.all()) if lead else (),
        tries=hit, other_tries=others,
        members=answers.of_endpoint(row.endpoint_id, row.start, end) if row.endpoint_id else (),
        tracks=health_events.tracks(pools, start, end, seen, known=fresh.known(row.device_group)),
        events=events,
        requests=tuple(request for request in seen if request.at >= row.start),
        requests_total=requests.counted(row.endpoint_id, row.start, end) if row.endpoint_id else 0,
        reach=_reach(row, hit, others, scope, kept.reach),
        not_part=_not_part(row, end, {one.airflow for one in hit}, scope),
        preceded=drawn, before=others_of.before,
        notes=others_of.notes, merged=others_of.merged,
        onset=_told(kept.onset), ending=_told(kept.ending) if kept.end and kept.ending else None,
        parts=others_of.parts, changes=changes, similar=others_of.similar,
    )  # fmt: skip


def _told(said: dict[str, Any]) -> Told:
    at = said.get("at")
    return Told(
        kind=said.get("kind", ""), at=datetime.fromisoformat(at) if at else None, says=said.get("says", ""),
        raw=said.get("raw", ""), line_id=said.get("line_id"), before=tuple(said.get("before", ())),
        since=tuple(said.get("since", ())),
    )  # fmt: skip


def _seen_reasons(row: IncidentRow, events: Sequence[HealthEventRow], seen: Sequence[RequestRow]) -> tuple[Reason, ...]:
    """Why there is an incident that hit no try: what the monitors said, and what requests met meanwhile."""
    said = [
        f"The monitor called {short(event.member or event.object)} {event.state.replace('_', ' ')} at {event.at:%H:%M:%S}"
        f"{f': {event.reason}' if event.reason else ''}."
        for event in events
        if event.at >= row.start and (event.member in row.members or not event.member)
    ]
    met = [one for one in seen if row.start <= one.at < (row.end or one.at + BEFORE)]
    failed = sum(one.failed for one in met)
    counted = f"{failed} of {len(met)} requests to {short(row.endpoint)} failed meanwhile; no try ended by it."
    return (*(Reason(True, text) for text in said), *([Reason(bool(failed), counted)] if row.endpoint_id else []))


def _drawn(row: IncidentRow, now: datetime) -> tuple[datetime, datetime]:
    """The window around an incident that shows its onset and, where it is over, its recovery."""
    end = row.end or max(now, row.last_evidence_at)
    margin = (end - row.start) * MARGIN
    if row.end:
        end += max(AFTER, margin)
    return row.start - max(BEFORE, margin), min(end, row.start + SHOWN)


def _ids(one: int | None) -> list[int]:
    return [one] if one else []


def _verdicts(incident_id: int, scope: Scope) -> list[Any]:
    related = ("try_row", "try_row__airflow", "endpoint", "f5_pool", "member")
    mine = Q(incident_id=incident_id) | Q(incident__parent=incident_id)
    found = models.Verdict.objects.filter(mine).select_related(*related)
    found = found.prefetch_related(standing("try_row__"))
    if scope.dags is not None:
        found = found.filter(try_row__dag_id__in=scope.dags)
    return list(found.order_by("bad_at", "id")[:MOST_TRIES])


def _links(verdicts: Sequence[Any]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for verdict in verdicts:
        counted.update({kind: int(n) for kind, n in verdict.links.items()})
    return dict(counted)


def _other_tries(
    row: IncidentRow, hit: tuple[TryRow, ...], seen: Sequence[RequestRow], scope: Scope
) -> tuple[TryRow, ...]:
    """All tries of the task instances that were hit, and those that met the same endpoint in that time."""
    same = Q(id__in={request.try_id for request in seen if request.try_id})
    runs = {(one.airflow, one.dag_id, one.run_id) for one in hit}
    for airflow, dag_id, run_id in runs:
        tasks = {one.task_id for one in hit if (one.airflow, one.dag_id, one.run_id) == (airflow, dag_id, run_id)}
        same |= Q(airflow__name=airflow, dag_id=dag_id, run_id=run_id, task_id__in=tasks)
    found = models.Try.objects.filter(same, narrow.in_scope(scope)).exclude(id__in=[one.id for one in hit])
    return tuple(try_row(one) for one in with_verdicts(found).order_by("queued_at", "id")[:MOST_TRIES])


def _reach(
    row: IncidentRow, hit: tuple[TryRow, ...], others: tuple[TryRow, ...], scope: Scope, kept: dict[str, Any]
) -> Reach:
    """Each task instance that was hit stands once, by its last try."""
    last: dict[tuple[str, str, str, str], TryRow] = {}
    wanted = {_instance(one) for one in hit}
    for one in (*hit, *others):
        key = _instance(one)
        if key in wanted and (key not in last or one.try_number > last[key].try_number):
            last[key] = one
    states = Counter(_state(one) for one in last.values())
    runs = Counter(dag for _, dag, _ in {(one.airflow, one.dag_id, one.run_id) for one in hit})
    return Reach(
        hit=len(last), lost=states["lost"], recovered=states["recovered"], going=states["going"],
        waiting=states["waiting"],
        runs=tuple(sorted(runs.items())),
        dags=row.dags, next_dags=_next_dags(row, scope), failed_requests=kept.get("failed_requests", 0),
        others_clients=kept.get("others_clients", 0), other_endpoints=_untouched(row),
    )  # fmt: skip


def _instance(one: TryRow) -> tuple[str, str, str, str]:
    return one.airflow, one.dag_id, one.run_id, one.task


def _state(one: TryRow) -> str:
    if one.state == "success":
        return "recovered"
    if one.state == "up_for_retry":
        return "waiting"
    if one.state == "failed" or one.end_at is not None:
        return "lost"
    return "going"


def _next_dags(row: IncidentRow, scope: Scope) -> tuple[str, ...]:
    """DAGs that used the same endpoint in the day before and were not hit."""
    if row.endpoint_id is None:
        return ()
    day = {
        "start": row.start - timedelta(days=1),
        "end": row.start + timedelta(minutes=1),
        "endpoints": [row.endpoint_id],
    }
    names = {one.dag_id for one in dependents.of(**day, scope=scope)}
    return tuple(sorted(names - set(row.dags)))


def _untouched(row: IncidentRow) -> tuple[str, ...]:
    group = models.Endpoint.objects.filter(group__name=row.device_group).exclude(id=row.endpoint_id)
    touched = models.Incident.objects.filter(
        Q(end=None) | Q(end__gt=row.start), start__lt=row.end or row.last_evidence_at
    )
    free = group.exclude(id__in=touched.filter(endpoint__isnull=False).values("endpoint_id"))
    return tuple(free.order_by("name").values_list("name", flat=True)[:50])


def _not_part(row: IncidentRow, end: datetime, airflows: set[str], scope: Scope) -> int:
    """Tries that failed in the same time for other reasons."""
    found = models.Try.objects.filter(narrow.in_scope(scope), end_at__gte=row.start, end_at__lt=end)
    found = found.filter(airflow__name__in=airflows) if airflows else found
    judged = found.filter(verdict__isnull=False, verdict__slow=False)
    mine = Q(verdict__incident=row.id) | Q(verdict__incident__parent=row.id)
    return judged.exclude(mine).count()
