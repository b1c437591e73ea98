"""The first page: what fails now, what recovered, what is not F5, whose fault, when, and how far the answer reaches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries.dags import DagRow
from dashboards.queries.freshness import Freshness
from dashboards.queries.rows import ActionRow, Coverage, IncidentRow

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


def overview(asked: Filter, scope: Scope, now: datetime) -> Overview:
    raise NotImplementedError
