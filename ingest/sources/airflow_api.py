"""Airflow's public REST API, page by page: what changed since the last pull, and details of the tries asked for.

`read` walks a whole pull of /api/v2 or, for an Airflow 2, of /api/v1 (`airflow_v1.py`), whichever is there. It knows no
database: the caller saves each page together with its cursor. A cursor that is lost or old only means that rows come
again, and they merge on their natural keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ingest.sources import airflow_v1
from ingest.sources.airflow_details import fetch_wanted
from ingest.sources.airflow_pull import (
    DAG_RUNS,
    FIRST_HOURS,
    MOST_IDS,
    SETTLE,
    TASK_INSTANCES,
    Item,
    Page,
    Pull,
    TryKey,
    Wanted,
    is_due,
    list_or_note,
    moment,
    note,
    object_of,
    pages,
    pull_changes,
    remark,
    unseen,
)
from ingest.sources.airflow_session import Session, Source
from ingest.sources.http import SourceRefused

__all__ = ["FIRST_HOURS", "SETTLE", "Page", "Pull", "TryKey", "Wanted", "read", "start"]

LEAST_STEP = timedelta(minutes=2)  # more than any sensible overlap, so that each pull gets on
MOST_EVENT_PAGES = 50  # a pull: a long audit log must not hold up the tries


def read(source: Source, cursor: Item | None, wanted: Wanted | None = None, **session: Any) -> Iterator[Page]:
    """One pull. The task instances come last but for details: their last page carries `complete_to`."""
    with Session(source, **session) as opened:
        pull, version = start(opened, cursor)
        yield Page("version", [version], pull.advance("api", opened.api))
        v1 = opened.api == "v1"
        yield from airflow_v1.pull_small_lists(pull) if v1 else pull_small_lists(pull)
        if source.tries_elsewhere:
            yield Page("health", [], complete_to=pull.began - SETTLE)
        else:
            yield from airflow_v1.pull_big_lists(pull) if v1 else pull_big_lists(pull)
        yield from fetch_wanted(opened, wanted or Wanted())


def start(session: Session, cursor: Item | None) -> tuple[Pull, Item]:
    """Begin a pull: the first call is the cheapest one, its Date header tells Airflow's clock, its answer the API."""
    began = session.now()
    version = session.detect(str((cursor or {}).get("api", "")))
    return Pull(session, began + session.skew, dict(cursor or {})), version


def pull_small_lists(pull: Pull) -> Iterator[Page]:
    """Health, pools and jobs as they are now; DAGs and connections every ten minutes."""
    session = pull.session
    yield Page("health", [object_of(session.get_open("/monitor/health").body, "/monitor/health")])
    yield from list_or_note(session, "pools", "/pools", "pools")
    yield from list_or_note(session, "jobs", "/jobs", "jobs")
    if not is_due(pull.cursor.get("slow_lists"), pull.began):
        return
    yield from list_or_note(session, "dags", "/dags", "dags")
    yield from list_or_note(session, "connections", "/connections", "connections")
    yield Page("dags", [], pull.advance("slow_lists", pull.began.isoformat()))


def pull_big_lists(pull: Pull) -> Iterator[Page]:
    """Event logs, runs and task instances that are new or changed."""
    yield from pull_event_logs(pull)
    yield from pull_changes(pull, "dag_runs", DAG_RUNS, {}, keyset=True)
    yield from pull_task_instances(pull)


def pull_event_logs(pull: Pull) -> Iterator[Page]:
    """New event logs. Ids are given before the commit, so a smaller one may come later: the overlap is deduplicated."""
    known: dict[int, None] = dict.fromkeys(pull.cursor.get("event_log_ids") or ())
    since = pull.since("event_logs")
    params = {"order_by": "event_log_id", "after": since.isoformat()}
    try:
        for count, chunk in enumerate(pages(pull.session, "/eventLogs", "event_logs", params), 1):
            fresh = unseen(chunk.items, known)
            pull.advance("event_log_ids", list(known)[-MOST_IDS:])
            reached = moment(chunk.items[-1].get("when"))
            behind = chunk.following is not None and reached is not None and reached < pull.began
            if behind and reached is not None:
                pull.advance("event_logs", reached.isoformat())
            if fresh or behind:
                yield Page("event_logs", fresh, dict(pull.cursor) if behind else None)
            if behind and reached is not None and count >= MOST_EVENT_PAGES and reached - since > LEAST_STEP:
                yield remark(
                    "/eventLogs", f"A long event log is read bit by bit: it is known to {reached.isoformat()}."
                )
                return
    except SourceRefused as error:
        if error.status == 401:
            raise
        yield note("/eventLogs", error)
        return
    yield Page("event_logs", [], pull.advance("event_logs", pull.began.isoformat()))


def pull_task_instances(pull: Pull) -> Iterator[Page]:
    """Task instances that changed. `updated_at` is a filter only: no row shows it and ordering by it is refused."""
    for page in pull_changes(pull, "task_instances", TASK_INSTANCES, {}, keyset=True):
        through = moment(pull.cursor.get("task_instances")) if not page.items and page.cursor else None
        yield Page(page.kind, page.items, page.cursor, complete_to=through - SETTLE if through else None)
