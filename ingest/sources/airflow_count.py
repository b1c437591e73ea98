"""How many task instances ended in an interval, by Airflow's own count: a check of what was pulled, two small calls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ingest.sources.airflow_pull import TASK_INSTANCES, object_of
from ingest.sources.airflow_session import Session, Source
from ingest.sources.http import SourceUnavailable

ENDED = ("success", "failed")


def ended(source: Source, start: datetime, end: datetime, api: str = "", **session: Any) -> int:
    """Task instances of /api/v1 or v2 that are success or failed and ended in start <= t < end."""
    span = {"end_date_gte": start.isoformat(), "end_date_lte": (end - timedelta(microseconds=1)).isoformat()}
    found = 0
    with Session(source, **session) as opened:
        opened.detect(api)
        for state in ENDED:
            body = object_of(opened.get(TASK_INSTANCES, {**span, "state": state, "limit": 1}).body, TASK_INSTANCES)
            total = body.get("total_entries")
            if not isinstance(total, int) or isinstance(total, bool):
                raise SourceUnavailable(f"{source.name} does not say how many task instances there are.")
            found += total
    return found
