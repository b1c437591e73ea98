"""DAGs: how often they failed, how slow they are against their own normal, and where the time went."""

from __future__ import annotations

from typing import Any

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import narrow, paging
from dashboards.queries.dag_page import one
from dashboards.queries.dag_rows import Bucket, DagEndpoint, DagPage, DagRow, RunRow, TaskCell, TaskRow
from dashboards.queries.dag_stats import DagKey, rows_of
from dashboards.queries.database import reading
from dashboards.queries.rows import Page
from ingest import models

__all__ = ["Bucket", "DagEndpoint", "DagPage", "DagRow", "RunRow", "TaskCell", "TaskRow", "every", "listed", "one"]


@reading()
def listed(asked: Filter, scope: Scope) -> Page[DagRow]:
    found = every(asked, scope)
    value = _SORTS[asked.sort or "dag"]
    ordered = sorted(found, key=lambda row: (row.airflow, row.dag_id))
    if asked.sort in ("dag", "-dag", ""):
        ordered.sort(key=lambda row: row.dag_id, reverse=asked.sort == "-dag")
    else:
        ordered.sort(key=lambda row: -value(row))
    return paging.keyset_in_memory(ordered, asked, lambda row: (value(row), row.airflow, row.dag_id))


_SORTS: dict[str, Any] = {
    "dag": lambda row: row.dag_id,
    "-dag": lambda row: row.dag_id,
    "-tries": lambda row: float(row.tries),
    "-failed": lambda row: float(row.failed),
    "-p95": lambda row: float(row.p95_s or 0),
    "-times_normal": lambda row: float(row.times_normal or 0),
}


@reading()
def every(asked: Filter, scope: Scope) -> list[DagRow]:
    """All DAGs of a question; there are thousands at most."""
    return rows_of(_keys(asked, scope), asked)


def _keys(asked: Filter, scope: Scope) -> list[DagKey]:
    """With a question about tries: the DAGs of those tries; without one: all that are known."""
    deep = any(
        getattr(asked, field)
        for field in (
            "device_group",
            "task",
            "run",
            "airflow_pool",
            "f5_pool",
            "endpoint",
            "member",
            "state",
            "culprit",
            "cause",
        )
    )
    tried = narrow.try_rows(asked, scope).order_by().values_list("airflow_id", "dag_id").distinct()
    if deep:
        return sorted(tried)
    named = narrow.names("airflow__name", asked.airflow) & narrow.names("dag_id", asked.dag) & narrow.in_scope(scope)
    known = models.Dag.objects.filter(named).values_list("airflow_id", "dag_id")
    return sorted(set(known) | set(tried))
