"""The rows that the DAG pages show, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dashboards.queries.rows import IncidentRow, Split


@dataclass(frozen=True, slots=True)
class RunRow:
    run_id: str
    run_type: str
    state: str
    start: datetime | None
    end: datetime | None
    seconds: float | None  # so far, where it runs
    times_normal: float | None
    split: Split
    tries: int
    failed: int
    culprits: dict[str, int]  # its tries with a verdict
    causes: tuple[str, ...]
    incidents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DagRow:
    airflow: str
    dag_id: str
    is_paused: bool
    tags: tuple[str, ...]
    owners: tuple[str, ...]
    runs: int
    runs_failed: int
    tries: int
    failed: int
    culprits: dict[str, int]
    p50_s: float | None  # of finished runs in the window
    p95_s: float | None
    p99_s: float | None
    normal_s: float | None  # median of its successful runs, 30 days before the window's end
    latest: RunRow | None
    times_normal: float | None  # of the latest run
    history: tuple[RunRow, ...]  # newest last, at most 30, for the sparkline
    split: Split  # sum of the window's tries
    mostly: str  # where most of it went, in words


@dataclass(frozen=True, slots=True)
class TaskRow:
    task_id: str
    airflow_pool: str
    tries: int
    failed: int
    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    split: Split


@dataclass(frozen=True, slots=True)
class TaskCell:
    """One task in one run: its last try's end, how it stands against the task's normal."""

    run_id: str
    task_id: str
    state: str
    seconds: float | None
    times_normal: float | None
    tries: int
    culprit: str
    try_id: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """One stretch of time of the series: runs that began in it."""

    start: datetime
    end: datetime
    runs: int
    failed: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    split: Split


@dataclass(frozen=True, slots=True)
class DagEndpoint:
    endpoint_id: int
    name: str
    how: str  # how we know: header, uuid …
    requests: int
    failed: int
    p50_us: int | None
    max_us: int | None


@dataclass(frozen=True, slots=True)
class DagPage:
    row: DagRow
    start: datetime
    end: datetime
    runs: tuple[RunRow, ...]  # oldest first, at most 200
    slowest: tuple[RunRow, ...]
    tasks: tuple[TaskRow, ...]
    cells: tuple[TaskCell, ...]
    endpoints: tuple[DagEndpoint, ...]
    incidents: tuple[IncidentRow, ...]
    series: tuple[Bucket, ...]
    never_started: int  # runs queued in the window that no try began
