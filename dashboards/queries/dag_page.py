"""One DAG: its runs, tasks, cells, endpoints, incidents, and the series of its durations over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import answers, database, dependents, narrow, splits
from dashboards.queries.dag_rows import Bucket, DagEndpoint, DagPage, RunRow, TaskCell, TaskRow
from dashboards.queries.dag_stats import rows_of, run_row
from dashboards.queries.database import reading
from dashboards.queries.incident_rows import incident_rows
from dashboards.queries.rows import Split
from ingest import models

MOST_RUNS = 200
MOST_TRIES = 5000
SLOWEST = 10
BUCKETS = 60
STEPS_S = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86400, 7 * 86400)
TRY_COLUMNS = (
    "id", "run_id", "task_id", "map_index", "try_number", "state", "airflow_pool", "queued_at", "start_at", "end_at",
    "duration_s", "verdict__culprit", "verdict__cause", "verdict__slow", "verdict__incident_id",
)  # fmt: skip


@reading()
def one(airflow: str, dag_id: str, asked: Filter, scope: Scope) -> DagPage | None:
    """`airflow` empty: the only one that has this DAG, else the first by name."""
    key = _key(airflow, dag_id, scope)
    if key is None:
        return None
    row = rows_of([key], asked)[0]
    window = {"start": asked.start, "end": asked.end, "airflows": [key[0]], "dags": [key[1]], "most": MOST_RUNS}
    found = list(reversed(database.rows("dag_runs", window)))
    tried = _tries(key, asked)
    by_run, by_task = (splits.grouped([key], asked.start, asked.end, **{by: True}) for by in ("by_run", "by_task"))
    runs = tuple(
        _run(run, row.normal_s, asked.end, by_run.get((*key, run["run_id"], ""), Split()), tried) for run in found
    )
    normals = _normals(tried)
    ids = {incident for run in runs for incident in run.incidents}
    endpoints = _endpoints(airflow=row.airflow, dag_id=dag_id, asked=asked, scope=scope)
    return DagPage(
        row=row, start=asked.start, end=asked.end, runs=runs,
        slowest=tuple(sorted(runs, key=lambda run: -(run.seconds or 0))[:SLOWEST]),
        tasks=_tasks(tried, {group[3]: split for group, split in by_task.items()}), cells=_cells(tried, normals),
        endpoints=endpoints, incidents=_incidents(ids, [e.endpoint_id for e in endpoints], asked),
        series=_series(runs, asked),
        never_started=models.DagRun.objects.filter(
            airflow_id=key[0], dag_id=dag_id, start_at=None, queued_at__gte=asked.start, queued_at__lt=asked.end
        ).count(),
    )  # fmt: skip


def _key(airflow: str, dag_id: str, scope: Scope) -> tuple[int, str] | None:
    if scope.dags is not None and dag_id not in scope.dags:
        return None
    named = narrow.names("airflow__name", airflow)
    for table in (models.Dag, models.Try):
        found = (
            table.objects.filter(named, dag_id=dag_id)
            .order_by("airflow__name")
            .values_list("airflow_id", flat=True)
            .first()
        )
        if found is not None:
            return int(found), dag_id
    return None


def _tries(key: tuple[int, str], asked: Filter) -> list[dict[str, Any]]:
    found = models.Try.objects.filter(narrow.active(asked), airflow_id=key[0], dag_id=key[1], queued_at__isnull=False)
    return list(found.order_by("-queued_at", "-id").values(*TRY_COLUMNS)[:MOST_TRIES])


def _run(
    run: dict[str, Any], normal: float | None, now: datetime, split: Split, tried: Sequence[dict[str, Any]]
) -> RunRow:
    mine = [one for one in tried if one["run_id"] == run["run_id"]]
    judged = [one for one in mine if one["verdict__culprit"]]
    plain = run_row(run, normal, now)
    return replace(
        plain, split=splits.fit(split, plain.seconds), tries=len(mine), failed=sum(map(_failed, mine)),
        culprits=dict(Counter(one["verdict__culprit"] for one in judged)),
        causes=tuple(dict.fromkeys(one["verdict__cause"] for one in reversed(judged))),
        incidents=tuple(sorted({one["verdict__incident_id"] for one in judged} - {None})),
    )  # fmt: skip


def _failed(one: dict[str, Any]) -> bool:
    return one["state"] == "failed" or (one["verdict__culprit"] is not None and not one["verdict__slow"])


def _seconds(one: dict[str, Any]) -> float | None:
    if one["start_at"] and one["end_at"]:
        return float((one["end_at"] - one["start_at"]).total_seconds())
    return one["duration_s"]


def _normals(tried: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Median of the successful tries of each task in the window."""
    times: dict[str, list[float]] = {}
    for one in tried:
        seconds = _seconds(one)
        if one["state"] == "success" and seconds is not None:
            times.setdefault(one["task_id"], []).append(seconds)
    return {task: median(values) for task, values in times.items()}


def _tasks(tried: Sequence[dict[str, Any]], split: dict[str, Split]) -> tuple[TaskRow, ...]:
    tasks: dict[str, list[dict[str, Any]]] = {}
    for one in tried:
        tasks.setdefault(one["task_id"], []).append(one)
    return tuple(_task(task, mine, split.get(task, Split())) for task, mine in sorted(tasks.items()))


def _task(task: str, mine: list[dict[str, Any]], split: Split) -> TaskRow:
    times = sorted(seconds for one in mine if (seconds := _seconds(one)) is not None)
    at = {q: times[min(len(times) - 1, int(q * len(times)))] if times else None for q in (0.5, 0.95)}
    return TaskRow(
        task_id=task, airflow_pool=mine[0]["airflow_pool"], tries=len(mine), failed=sum(map(_failed, mine)),
        p50_s=at[0.5], p95_s=at[0.95], max_s=times[-1] if times else None, split=split,
    )  # fmt: skip


def _cells(tried: Sequence[dict[str, Any]], normals: dict[str, float]) -> tuple[TaskCell, ...]:
    """One a task and run; of mapped tasks and retries the worst try stands for all."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in tried:
        groups.setdefault((one["run_id"], one["task_id"]), []).append(one)
    return tuple(_cell(run, task, mine, normals.get(task)) for (run, task), mine in sorted(groups.items()))


def _cell(run: str, task: str, mine: list[dict[str, Any]], normal: float | None) -> TaskCell:
    worst = max(mine, key=lambda one: (_failed(one), _seconds(one) or 0.0))
    seconds = _seconds(worst)
    return TaskCell(
        run_id=run, task_id=task, state=worst["state"], seconds=seconds,
        times_normal=seconds / normal if seconds is not None and normal else None, tries=len(mine),
        culprit=worst["verdict__culprit"] or "", try_id=worst["id"],
    )  # fmt: skip


def _endpoints(airflow: str, dag_id: str, asked: Filter, scope: Scope) -> tuple[DagEndpoint, ...]:
    """The endpoints it used, with what it met there; latencies are the endpoint's own."""
    everywhere = list(models.Endpoint.objects.values_list("id", "name"))
    used = dependents.of([id for id, _ in everywhere], asked.start, asked.end, scope)
    mine = [one for one in used if (one.airflow, one.dag_id) == (airflow, dag_id)]
    names, found = dict(everywhere), []
    for endpoint in sorted({one.endpoint_id for one in mine}):
        parts = [one for one in mine if one.endpoint_id == endpoint]
        total = answers.total(answers.minutes([endpoint], asked.start, asked.end))
        found.append(DagEndpoint(
            endpoint, names[endpoint], parts[0].link, sum(p.requests for p in parts), sum(p.failed for p in parts),
            total["p50_us"], total["max_us"],
        ))  # fmt: skip
    return tuple(found)


def _incidents(ids: set[int], endpoints: Sequence[int], asked: Filter) -> tuple[Any, ...]:
    """Those that hit it, and those of its endpoints in the window that did not."""
    touching = models.Incident.objects.filter(start__lt=asked.end, merged_into=None).exclude(end__lt=asked.start)
    found = touching.filter(endpoint_id__in=endpoints) | models.Incident.objects.filter(id__in=ids)
    return incident_rows(found.order_by("-start", "-id")[:50], asked.end)


def _series(runs: Sequence[RunRow], asked: Filter) -> tuple[Bucket, ...]:
    """Stretches of a round length, at most 60; empty ones too, so that a gap is seen."""
    length = (asked.end - asked.start).total_seconds()
    step = next((s for s in STEPS_S if length / s <= BUCKETS), STEPS_S[-1])
    begin = datetime.fromtimestamp(asked.start.timestamp() // step * step, tz=asked.start.tzinfo)
    found: list[Bucket] = []
    while begin < asked.end:
        end = begin + timedelta(seconds=step)
        found.append(_bucket(begin, end, [run for run in runs if run.start and begin <= run.start < end]))
        begin = end
    return tuple(found)


def _bucket(start: datetime, end: datetime, runs: Sequence[RunRow]) -> Bucket:
    times = sorted(run.seconds for run in runs if run.seconds is not None and run.end is not None)
    at = {q: times[min(len(times) - 1, int(q * len(times)))] if times else None for q in (0.5, 0.95, 0.99)}
    failed = sum(run.state == "failed" for run in runs)
    return Bucket(start, end, len(runs), failed, at[0.5], at[0.95], at[0.99], splits.add(run.split for run in runs))
