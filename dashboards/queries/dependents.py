"""Who depends on an endpoint: tasks with exact joins or verdicts there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.queries import database
from dashboards.queries.database import reading


@dataclass(frozen=True, slots=True)
class Dependent:
    endpoint_id: int
    airflow: str
    dag_id: str
    task_id: str
    requests: int
    failed: int
    tries: int
    tries_hit: int
    link: str  # how most of it was joined


@reading()
def of(endpoints: Sequence[int], start: datetime, end: datetime, scope: Scope) -> tuple[Dependent, ...]:
    """Tasks by endpoint, busiest first."""
    allowed = None if scope.dags is None else sorted(scope.dags)
    found = database.rows("dependents", {"endpoints": list(endpoints), "start": start, "end": end, "dags": allowed})
    return tuple(Dependent(**row) for row in found)
