"""The first page: what fails now, what recovered, what is not F5, whose fault, when, and how far the answer reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from airf5.accounts.roles import Scope
from dashboards.fields import CULPRITS
from dashboards.filters import Filter
from dashboards.queries import audit, coverage, dags, database, freshness, incidents, narrow
from dashboards.queries.dag_rows import DagRow
from dashboards.queries.database import reading
from dashboards.queries.freshness import Freshness
from dashboards.queries.incident_rows import incident_rows
from dashboards.queries.rows import ActionRow, Coverage, IncidentRow
from dashboards.queries.try_rows import cause_name
from ingest import models

CELLS = 60


@dataclass(frozen=True, slots=True)
class CulpritCount:
    """Tries by whose fault it was; `causes` most frequent first."""

    culprit: str
    tries: int
    causes: tuple[tuple[str, str, int], ...]  # code, name, tries


@dataclass(frozen=True, slots=True)
class NotF5:
    """A DAG that fails by itself."""

    airflow: str
    dag_id: str
    cause: str
    cause_name: str
    tries: int
    sentence: str  # of its newest verdict
    try_id: int


@dataclass(frozen=True, slots=True)
class Cell:
    start: datetime
    end: datetime
    requests: int  # whole minutes shared out evenly where a cell is shorter
    failed: int
    route: int = 0
    service: int = 0
    task: int = 0
    unknown: int = 0
    complete: bool = True  # False: before the feed began, in a gap, or not yet arrived


@dataclass(frozen=True, slots=True)
class Lane:
    """One endpoint's cells; `endpoint_id` None: verdicts without an endpoint."""

    endpoint_id: int | None
    name: str
    device_group: str
    cells: tuple[Cell, ...]
    incidents: tuple[IncidentRow, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    at: datetime
    coverage: Coverage
    failing: tuple[IncidentRow, ...]
    recovered: tuple[IncidentRow, ...]
    not_f5: tuple[NotF5, ...]
    culprits: tuple[CulpritCount, ...]  # always the four, in the order of fields.CULPRITS
    verdicts: int
    cell_s: float
    lanes: tuple[Lane, ...]
    changes: tuple[ActionRow, ...]  # what F5's people changed in the window
    incidents: tuple[IncidentRow, ...]
    dags: tuple[DagRow, ...]  # slowest against their own normal first, at most ten
    freshness: Freshness


MOST_INCIDENTS, MOST_DAGS, MOST_CAUSES = 50, 10, 5


@reading()
def overview(asked: Filter, scope: Scope, now: datetime) -> Overview:
    found = incident_rows(incidents.chosen(asked, scope).order_by("-start", "-id")[:MOST_INCIDENTS], now)
    verdicts = judged(asked, scope)
    fresh = freshness.freshness(now, asked)
    ran = [row for row in dags.every(asked, scope) if row.runs]
    slowest = sorted(ran, key=lambda row: (-(row.times_normal or 0), row.airflow, row.dag_id))
    return Overview(
        at=now, coverage=coverage.coverage(asked, scope),
        failing=tuple(one for one in found if one.state == "open" and not one.parent),
        recovered=tuple(one for one in found if one.state == "over" and not one.parent),
        not_f5=not_f5(verdicts),
        culprits=_culprits(verdicts),
        verdicts=len(verdicts), cell_s=(asked.end - asked.start).total_seconds() / CELLS,
        lanes=_lanes(verdicts, found, asked, scope, fresh),
        changes=audit.between(asked.start, asked.end, layers=("f5",)),
        incidents=found, dags=tuple(slowest[:MOST_DAGS]), freshness=fresh,
    )  # fmt: skip


JUDGED = (
    "id", "airflow__name", "dag_id", "end_at", "queued_at", "verdict__culprit", "verdict__cause", "verdict__sentence",
    "verdict__endpoint_id", "verdict__bad_at", "verdict__slow",
)  # fmt: skip


def judged(asked: Filter, scope: Scope) -> list[dict[str, Any]]:
    """The verdicts of the tries that were active in the window, newest first."""
    found = narrow.try_rows(asked, scope).filter(verdict__isnull=False)
    return list(found.order_by("-end_at", "-id").values(*JUDGED))


def not_f5(judged: Sequence[dict[str, Any]]) -> tuple[NotF5, ...]:
    """DAGs whose tries failed by themselves, most first."""
    own: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in judged:
        if one["verdict__culprit"] == "task":
            own.setdefault((one["airflow__name"], one["dag_id"], one["verdict__cause"]), []).append(one)
    ordered = sorted(own.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        NotF5(airflow, dag, cause, cause_name(cause), len(tries), tries[0]["verdict__sentence"], tries[0]["id"])
        for (airflow, dag, cause), tries in ordered
    )


def _culprits(judged: Sequence[dict[str, Any]]) -> tuple[CulpritCount, ...]:
    found = []
    for culprit in CULPRITS:
        causes = Counter(one["verdict__cause"] for one in judged if one["verdict__culprit"] == culprit)
        top = tuple((code, cause_name(code), n) for code, n in causes.most_common(MOST_CAUSES))
        found.append(CulpritCount(culprit, sum(causes.values()), top))
    return tuple(found)


def _lanes(
    judged: Sequence[dict[str, Any]], found: Sequence[IncidentRow], asked: Filter, scope: Scope, fresh: Freshness
) -> tuple[Lane, ...]:
    """One lane an endpoint that had traffic, a verdict or an incident; last the verdicts without an endpoint."""
    allowed = narrow.endpoint_ids(asked)
    parameters = {"start": asked.start, "end": asked.end, "cells": CELLS, "endpoints": allowed}
    traffic: dict[int, dict[int, tuple[int, int]]] = {}
    exact = (asked.end - asked.start) / CELLS < timedelta(minutes=1)
    for row in database.rows("strip_exact" if exact else "strip", parameters):
        traffic.setdefault(row["endpoint_id"], {})[row["cell"]] = (row["requests"], row["failed"])
    verdicts: dict[int | None, list[dict[str, Any]]] = {}
    for one in judged:
        verdicts.setdefault(one["verdict__endpoint_id"], []).append(one)
    ids = set(traffic) | set(verdicts) - {None} | {one.endpoint_id for one in found if one.endpoint_id}
    if narrow.about_tries(asked) or asked.f5_pool or asked.member or scope.dags is not None:
        ids &= set(verdicts) | narrow.used_endpoints(asked, scope)
    names = models.Endpoint.objects.filter(Q(id__in=ids)).order_by("name", "group__name")
    lanes = [
        _lane((id, name, group), traffic.get(id, {}), verdicts.get(id, []), found, asked, fresh)
        for id, name, group in names.values_list("id", "name", "group__name")
    ]
    return (*lanes, _lane((None, "no endpoint involved", ""), {}, verdicts.get(None, []), found, asked, fresh))


def _lane(
    whose: tuple[int | None, str, str], traffic: dict[int, tuple[int, int]], judged: Sequence[dict[str, Any]],
    found: Sequence[IncidentRow], asked: Filter, fresh: Freshness,
) -> Lane:  # fmt: skip
    endpoint, name, group = whose
    step = (asked.end - asked.start) / CELLS
    culprits: dict[int, Counter[str]] = {}
    for one in judged:
        at = one["verdict__bad_at"] or one["end_at"] or one["queued_at"]
        place = min(CELLS - 1, max(0, (at - asked.start) // step))
        culprits.setdefault(place, Counter())[one["verdict__culprit"]] += 1
    cells = tuple(
        _cell(asked.start + step * n, step, traffic.get(n, (0, 0)), culprits.get(n, Counter()), fresh)
        for n in range(CELLS)
    )
    mine = (
        tuple(one for one in found if one.endpoint_id == endpoint)
        if endpoint
        else tuple(i for i in found if not i.endpoint_id)
    )
    return Lane(endpoint, name, group, cells, mine)


def _cell(start: datetime, step: timedelta, traffic: tuple[int, int], culprits: Counter[str], fresh: Freshness) -> Cell:
    end = start + step
    words = {name: culprits[name] for name in CULPRITS}
    return Cell(start, end, *traffic, **words, complete=fresh.covers(start, end))
