"""Incidents as the rows that lists show, with the DAGs they hit, in two queries however many there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from dashboards.queries.rows import IncidentRow
from dashboards.queries.try_rows import cause_name
from ingest import models
from ingest.rules.causes import CAUSES

RELATED = ("endpoint", "f5_pool", "device_group")


def incident_rows(found: QuerySet[Any], now: datetime) -> tuple[IncidentRow, ...]:
    return rows_of(list(found.select_related(*RELATED)), now)


def rows_of(found: list[Any], now: datetime) -> tuple[IncidentRow, ...]:
    """Needs select_related(*RELATED)."""
    if not found:
        return ()
    hit: dict[int, list[tuple[str, str]]] = {}
    verdicts = models.Verdict.objects.filter(incident_id__in=[one.id for one in found])
    for incident, dag, sentence in verdicts.values_list("incident_id", "try_row__dag_id", "sentence").order_by(
        "bad_at", "id"
    ):
        hit.setdefault(incident, []).append((dag, sentence))
    return tuple(_row(one, hit.get(one.id, []), now) for one in found)


def _row(one: Any, hit: list[tuple[str, str]], now: datetime) -> IncidentRow:
    end = one.end or max(now, one.start)
    return IncidentRow(
        id=one.id, state="over" if one.end else "open", culprit=one.culprit, cause=one.cause,
        cause_name=cause_name(one.cause),
        component_kind=one.component_kind, component=one.component, sentence=_sentence(one, hit),
        device_group=one.device_group.name if one.device_group else "",
        endpoint_id=one.endpoint_id, endpoint=one.endpoint.name if one.endpoint else "",
        f5_pool_id=one.f5_pool_id, f5_pool=one.f5_pool.name if one.f5_pool else "", members=tuple(one.members),
        start=one.start, end=one.end, last_evidence_at=one.last_evidence_at, seconds=(end - one.start).total_seconds(),
        tries=one.tries, dags=tuple(dict.fromkeys(dag for dag, _ in hit)), acknowledged_by=one.acknowledged_by,
        acknowledged_at=one.acknowledged_at, merged_into=one.merged_into_id, capture=one.capture,
    )  # fmt: skip


def _sentence(one: Any, hit: list[tuple[str, str]]) -> str:
    """What happened: the cause's sentence, with the members' names. Single verdicts speak of one try only."""
    cause = CAUSES.get(one.cause)
    text = cause.sentence if cause else (hit[0][1] if hit else one.cause.replace("_", " "))
    names = [str(name).rsplit("/", 1)[-1] for name in one.members]
    return f"{' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}: {text}" if names else text
