"""Incidents as the rows that lists show, with the DAGs they hit, in two queries however many there are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Q, QuerySet

from dashboards.queries.rows import IncidentRow
from dashboards.queries.try_rows import cause_name
from dashboards.words import NBSP, became, dur, full_stop, listed, many, short, unprefixed
from ingest import models
from ingest.rules.causes import CAUSES

SAME = timedelta(seconds=5)  # monitors of one failure speak within this time
RELATED = ("endpoint", "f5_pool", "device_group")


def incident_rows(found: QuerySet[Any], now: datetime) -> tuple[IncidentRow, ...]:
    return rows_of(list(found.select_related(*RELATED)), now)


def rows_of(found: list[Any], now: datetime) -> tuple[IncidentRow, ...]:
    """Needs select_related(*RELATED)."""
    if not found:
        return ()
    hit: dict[int, list[_Hit]] = {}
    ids = [one.id for one in found]
    verdicts = models.Verdict.objects.filter(Q(incident_id__in=ids) | Q(incident__parent_id__in=ids))
    columns = ("incident_id", "incident__parent_id", "try_row__dag_id", "sentence", "confidence")
    for incident, parent, *rest in verdicts.values_list(*columns).order_by("bad_at", "id"):
        for one in (incident, parent):
            hit.setdefault(one, []).append(_Hit(*rest))
    parents = models.Incident.objects.filter(parent__in=ids, merged_into=None)
    parts = dict(parents.order_by().values_list("parent_id").annotate(n=Count("id")))
    outages = _outages([one for one in found if one.id not in hit])
    return tuple(_row(one, hit.get(one.id, []), outages.get(one.id, ""), parts.get(one.id, 0), now) for one in found)


class _Hit(NamedTuple):
    """A verdict of an incident."""

    dag_id: str
    sentence: str
    confidence: float


def _outages(found: list[Any]) -> dict[int, str]:
    """Why the monitor took the members of these incidents out, in its own words."""
    if not found:
        return {}
    times = [one.start for one in found]
    events = models.HealthEvent.objects.filter(
        f5_pool_id__in={one.f5_pool_id for one in found}, at__gte=min(times), at__lte=max(times) + SAME, reason__gt=""
    )
    said: dict[int, str] = {}
    for event in events.select_related("member").order_by("-at", "-id"):
        for one in found:
            same = event.f5_pool_id == one.f5_pool_id and one.start <= event.at <= one.start + SAME
            if same and (event.member is None or event.member.name in one.members):
                said[one.id] = event.reason
    return said


def _row(one: Any, hit: list[_Hit], outage: str, parts: int, now: datetime) -> IncidentRow:
    end = one.end or max(now, one.start)
    reach = one.reach
    return IncidentRow(
        id=one.id, state="over" if one.end else "open", culprit=one.culprit, cause=one.cause,
        cause_name=cause_name(one.cause),
        component_kind=one.component_kind, component=one.component,
        sentence=_sentence(one, hit, outage, parts, end),
        device_group=one.device_group.name if one.device_group else "",
        endpoint_id=one.endpoint_id, endpoint=one.endpoint.name if one.endpoint else "",
        f5_pool_id=one.f5_pool_id, f5_pool=one.f5_pool.name if one.f5_pool else "", members=tuple(one.members),
        start=one.start, end=one.end, last_evidence_at=one.last_evidence_at, seconds=(end - one.start).total_seconds(),
        tries=one.tries, dags=tuple(dict.fromkeys(one.dag_id for one in hit)), acknowledged_by=one.acknowledged_by,
        acknowledged_at=one.acknowledged_at, merged_into=one.merged_into_id, capture=one.capture,
        parent=one.parent_id, parts=parts, first_hit_at=one.first_hit_at, noticed_at=one.noticed_at,
        ended_by=str(one.ending.get("says", "")) if one.end else "", airflow_pools=tuple(reach.get("airflow_pools", ())),
        runs=reach.get("runs", 0), runs_in_flight=reach.get("runs_in_flight", 0),
        others_failed=reach.get("others_failed", 0), shared_endpoints=tuple(reach.get("shared_endpoints", ())),
        messages=one.messages, airflow_messages=reach.get("airflow_messages", 0),
        f5_messages=reach.get("f5_messages", 0), noise=became(one.messages), withdrawn_at=one.withdrawn_at,
    )  # fmt: skip


def _sentence(one: Any, hit: list[_Hit], outage: str, parts: int, end: datetime) -> str:
    if one.withdrawn_at is not None:
        return f"Withdrawn: all that {cause_name(one.cause)} of {short(one.component)} rested on was judged otherwise."
    if parts:
        said = f"{cause_name(one.cause)} of {short(one.component)} hit {many(parts, 'route')}"
        return full_stop(f"{said[:1].upper()}{said[1:]}: {_verdict_sentence(hit)}" if hit else said)
    return _verdict_sentence(hit) if hit else _outage_sentence(one, outage, end)


def _verdict_sentence(hit: list[_Hit]) -> str:
    """What the surest of its verdicts says, the first of equals."""
    return full_stop(unprefixed(max(hit, key=lambda one: one.confidence).sentence))


def _outage_sentence(one: Any, reason: str, end: datetime) -> str:
    """What is known of an incident that hit nobody: who was out, for how long, and what the monitor said."""
    pool = short(one.f5_pool.name) if one.f5_pool else ""
    members = listed([short(str(name)) for name in one.members])
    lasted = dur((end - one.start).total_seconds()).replace(NBSP, " ")  # as verdicts are written
    if one.cause in ("no_member", "api_unreachable") and pool:
        happened = f"{pool} {'had' if one.end else 'has had'} no member for {lasted}"
    elif members and one.cause == "member_down":
        were = ("was" if len(one.members) == 1 else "were") if one.end else "has been"
        were = "have been" if were == "has been" and len(one.members) > 1 else were
        happened = f"{members}{f' of {pool}' if pool else ''} {were} down for {lasted}"
    else:
        cause = CAUSES.get(one.cause)
        text = cause.sentence.rstrip(".") if cause else one.cause.replace("_", " ")
        happened = f"{members or pool or short(one.component)}: {text}"
    return f"{happened}{f' ({reason})' if reason else ''}; no try was hit{'' if one.end else ' yet'}."
