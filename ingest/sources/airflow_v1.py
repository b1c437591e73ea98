"""A pull of Airflow 2 by /api/v1, in what differs from v2: no order and no keyset on task instances, no jobs, other paths.

The list of task instances has no order, so that its pages may repeat and leave out rows while tasks run. It has no
maximum either: each answer is asked for whole, over a span of time that is halved until everything in it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from ingest.parsers.airflow_v1 import with_true_try
from ingest.sources.airflow_pull import (
    DAG_RUNS,
    MOST_IDS,
    PAGE_LIMIT,
    SETTLE,
    TASK_INSTANCES,
    Item,
    Page,
    Pull,
    is_due,
    items_of,
    list_or_note,
    moment,
    note,
    object_of,
    pages,
    pull_changes,
    remark,
    unseen,
)
from ingest.sources.http import SourceRefused, SourceUnavailable

SPAN_LIMIT = 1_000  # rows of one answer, about 2.5 ms each
LONGEST_ANSWER = 20_000  # rows, where many share a moment: still within the longest body
SHORTEST_SPAN = timedelta(seconds=1)
MOST_SPANS = 64  # of one split
ATTEMPTS = 3
MOST_EVENT_PAGES = 50
NO_JOBS = "Airflow 2 has no list of jobs: that a scheduler died is seen in its health only."
NO_TRIES = "Airflow 2.6 to 2.9 keeps the latest try only: an earlier one that was not seen in time is known by its log."


def pull_small_lists(pull: Pull) -> Iterator[Page]:
    """Health and pools as they are now; DAGs and connections every ten minutes; what this Airflow does not tell."""
    session = pull.session
    yield Page("health", [object_of(session.get_open("/health").body, "/health")])
    yield from list_or_note(session, "pools", "/pools", "pools")
    yield remark("/jobs", NO_JOBS)
    if not session.at_least(2, 10):  # nor does its database
        yield remark("/tries", NO_TRIES)
    if is_due(pull.cursor.get("slow_lists"), pull.began):
        yield from list_or_note(session, "dags", "/dags", "dags")
        yield from list_or_note(session, "connections", "/connections", "connections")
        yield Page("dags", [], pull.advance("slow_lists", pull.began.isoformat()))


def pull_big_lists(pull: Pull) -> Iterator[Page]:
    """Event logs, runs and task instances that are new or changed."""
    yield from pull_event_logs(pull)
    yield from pull_changes(pull, "dag_runs", DAG_RUNS, {})
    yield from pull_task_instances(pull)


def pull_event_logs(pull: Pull) -> Iterator[Page]:
    """New event logs, the newest first until what is known: 2.6 to 2.8 filter by nothing, and every version orders so."""
    since = pull.since("event_logs")
    known: dict[int, None] = dict.fromkeys(pull.cursor.get("event_log_ids") or ())
    through = False
    try:
        query = {"order_by": "-event_log_id"}
        for count, chunk in enumerate(pages(pull.session, "/eventLogs", "event_logs", query), 1):
            new = [item for item in chunk.items if (moment(item.get("when")) or pull.began) >= since]
            if fresh := unseen(new, known):
                yield Page("event_logs", fresh)
            through = chunk.following is None or not new
            if through or count >= MOST_EVENT_PAGES:
                break
        else:
            through = True
    except SourceRefused as error:
        if error.status == 401:
            raise
        yield note("/eventLogs", error)
        return
    if not through:
        most = MOST_EVENT_PAGES * PAGE_LIMIT
        yield remark("/eventLogs", f"More than {most} entries since {since.isoformat()}: the older ones were not read.")
    pull.advance("event_log_ids", sorted(known, reverse=True)[:MOST_IDS])
    yield Page("event_logs", [], pull.advance("event_logs", pull.began.isoformat()))


def pull_task_instances(pull: Pull) -> Iterator[Page]:
    """Task instances that changed; up to 2.9 a second time by their end, which does not move `updated_at` there."""
    old = not pull.session.at_least(2, 10)
    walks = [("updated_at", "task_instances"), ("end_date", "task_instances_ended")]
    for name, watermark in walks if old else walks[:1]:
        for items, reached in spans(pull, name, pull.since(watermark)):
            # What lies before is through, also if this pull is cut off.
            cursor = pull.advance(watermark, reached.isoformat()) if reached else None
            yield Page("task_instances", [with_true_try(item) for item in items] if old else items, cursor)
        yield Page("task_instances", [], pull.advance(watermark, pull.began.isoformat()))
    yield Page("task_instances", [], dict(pull.cursor), complete_to=pull.began - SETTLE)


def spans(pull: Pull, name: str, since: datetime) -> Iterator[tuple[list[Item], datetime | None]]:
    """The rows whose `name` is since this moment, each answer whole; with the moment up to which all has come.

    The last span is open: a row that changes meanwhile is in it, or comes with the next pull.
    """
    waiting: list[tuple[datetime, datetime | None]] = [(since, None)]
    limit = int(pull.session.source.options.get("page_limit", SPAN_LIMIT))
    while waiting:
        start, end = waiting.pop(0)
        items, total = _ask(pull, name, start, end, limit)
        if len(items) >= total:
            if items or end:
                yield items, end
            continue
        upto = end or max(pull.began, start)
        if upto - start > SHORTEST_SPAN:
            parts = min(MOST_SPANS, 1 + 2 * total // max(len(items), 1), (upto - start) // SHORTEST_SPAN + 1)
            step = (upto - start) / max(parts, 2)
            marks = [start + step * number for number in range(max(parts, 2))] + [upto]
            waiting[:0] = [*pairwise(marks), *([(upto, None)] if end is None else [])]
            continue
        yield _whole(pull, name, (start, end), total), end


def _whole(pull: Pull, name: str, span: tuple[datetime, datetime | None], total: int) -> list[Item]:
    """All rows of a moment that cannot be divided, in one answer as long as it takes."""
    for _ in range(ATTEMPTS):
        items, total = _ask(pull, name, *span, min(total + total // 10 + PAGE_LIMIT, LONGEST_ANSWER))
        if len(items) >= total:
            return items
    raise SourceUnavailable(
        f"{TASK_INSTANCES} gives {len(items)} of {total} rows that changed at {span[0].isoformat()}, and has no order "
        "to page by: allow a larger page in front of Airflow, or read its database."
    )


def _ask(pull: Pull, name: str, start: datetime, end: datetime | None, limit: int) -> tuple[list[Item], int]:
    """One answer: the rows that came, and how many there are."""
    params: Item = {"limit": limit, f"{name}_gte": start.isoformat()}
    if end is not None:
        params[f"{name}_lte"] = end.isoformat()
    body = pull.session.get(TASK_INSTANCES, params).body
    items = items_of(body, "task_instances", TASK_INSTANCES)
    total = body.get("total_entries")
    return items, total if isinstance(total, int) else len(items)
