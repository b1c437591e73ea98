"""What every list of DAGs says of each: runs, failures, durations, its own normal, where the time went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from dashboards.filters import Filter
from dashboards.queries import database, narrow, splits
from dashboards.queries.dag_rows import DagRow, RunRow
from dashboards.queries.rows import Split
from ingest import models

HISTORY = 30
DagKey = tuple[int, str]  # airflow id, DAG id


def rows_of(keys: Sequence[DagKey], asked: Filter) -> list[DagRow]:
    """In seven statements, however many DAGs."""
    if not keys:
        return []
    which = {"airflows": [key[0] for key in keys], "dags": [key[1] for key in keys]}
    window = {"start": asked.start, "end": asked.end, **which}
    stats = {(row["airflow_id"], row["dag_id"]): row for row in database.rows("dag_stats", window)}
    runs: dict[DagKey, list[dict[str, Any]]] = {}
    for row in database.rows("dag_runs", {**window, "most": HISTORY}):
        runs.setdefault((row["airflow_id"], row["dag_id"]), []).append(row)
    tried, spent = counts(keys, asked), splits.grouped(keys, asked.start, asked.end)
    kept = {(dag.airflow_id, dag.dag_id): dag for dag in models.Dag.objects.filter(dag_id__in=set(which["dags"]))}
    airflows = dict(models.Airflow.objects.values_list("id", "name"))
    return [
        _row(airflows[key[0]], key, kept.get(key), stats.get(key, {}), runs.get(key, []), tried.get(key, Counter()),
             spent.get((*key, "", ""), Split()), asked.end)
        for key in keys
    ]  # fmt: skip


def counts(keys: Sequence[DagKey], asked: Filter) -> dict[DagKey, Counter[str]]:
    """Tries of the window by DAG: all, failed, and by the culprit of their verdict."""
    found = models.Try.objects.filter(
        narrow.active(asked), queued_at__isnull=False, dag_id__in={key[1] for key in keys}
    )
    grouped = (
        found.order_by()
        .values_list("airflow_id", "dag_id", "verdict__culprit")
        .annotate(
            n=Count("id"), failed=Count("id", filter=Q(state="failed") | Q(verdict__isnull=False, verdict__slow=False))
        )
    )
    sums: dict[DagKey, Counter[str]] = {}
    for airflow, dag, culprit, n, failed in grouped:
        sums.setdefault((airflow, dag), Counter()).update({"tries": n, "failed": failed, culprit or "": n})
    return sums


def _row(
    airflow: str,
    key: DagKey,
    dag: Any,
    stats: dict[str, Any],
    runs: list[dict[str, Any]],
    tried: Counter[str],
    split: Split,
    now: datetime,
) -> DagRow:
    normal = stats.get("normal_s")
    history = tuple(run_row(run, normal, now) for run in reversed(runs))
    latest = history[-1] if history else None
    return DagRow(
        airflow=airflow, dag_id=key[1], is_paused=bool(dag and dag.is_paused), tags=tuple(dag.tags) if dag else (),
        owners=tuple(dag.owners) if dag else (), runs=stats.get("runs", 0), runs_failed=stats.get("runs_failed", 0),
        tries=tried["tries"], failed=tried["failed"],
        culprits={name: tried[name] for name in ("route", "service", "task", "unknown")},
        p50_s=stats.get("p50_s"), p95_s=stats.get("p95_s"), p99_s=stats.get("p99_s"), normal_s=normal, latest=latest,
        times_normal=latest.times_normal if latest else None, history=history, split=split, mostly=splits.mostly(split),
    )  # fmt: skip


def run_row(run: dict[str, Any], normal: float | None, now: datetime, split: Split | None = None) -> RunRow:
    """A run without what its tries say."""
    start, end = run["start_at"], run["end_at"]
    seconds = max(0.0, ((end or max(now, start)) - start).total_seconds()) if start else None
    return RunRow(
        run_id=run["run_id"], run_type=run["run_type"], state=run["state"], start=start, end=end, seconds=seconds,
        times_normal=seconds / normal if seconds is not None and normal else None, split=split or Split(),
        tries=0, failed=0, culprits={}, causes=(), incidents=(),
    )  # fmt: skip
