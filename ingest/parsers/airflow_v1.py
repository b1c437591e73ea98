"""What Airflow 2 says differently: try numbers that lag behind up to 2.9, and an ended try told by its log alone.

Found by running 2.6.3, 2.9.3, 2.10.5 and 2.11.2; the states over time are in tests/samples/airflow/v1.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from ingest.parsers.airflow import instant, whole
from ingest.parsers.airflow_log import pairs_of

Item = dict[str, Any]

# Up to 2.9 the number is raised when a worker starts the try and lowered again where it waits in between.
NOT_YET_RAISED = frozenset({"scheduled", "queued", "deferred", "up_for_reschedule"})

LINE = re.compile(r"^\[(\d{4}-\d\d-\d\dT[\d:.]+(?:[+-]\d{4}|Z))\] \{[^}]*\} \w+ - (.*)$", re.MULTILINE)
STARTED = re.compile(r"Starting attempt (\d+) of \d+")
ENDED = re.compile(r"Marking task as (UP_FOR_RETRY|FAILED|SUCCESS|SKIPPED)\b")


def with_true_try(item: Item) -> Item:
    """A task instance of 2.6 to 2.9 with the number of the try that its state is about."""
    number = whole(item.get("try_number"))
    state = item.get("state")
    if number is None or not (state is None or isinstance(state, str)) or state not in NOT_YET_RAISED:
        return item
    return {**item, "try_number": number + 1}


def try_of_log(log: Item) -> Item | None:
    """An ended try as its log tells it, in the shape of a row of /tries; None where the log does not tell its end.

    log: the key of the try and `content`, as `airflow_details.fetch_log` returns it.
    """
    host, text = _host_and_text(log.get("content"))
    started = ended = None
    state = ""
    for line in LINE.finditer(text):
        if started is None and (match := STARTED.search(line[2])) and int(match[1]) == log.get("try_number"):
            started = instant(line[1])
        if match := ENDED.search(line[2]):
            ended, state = instant(line[1]), match[1]
    if started is None or ended is None or ended < started:
        return None
    return {
        "dag_id": log.get("dag_id"),
        "dag_run_id": log.get("run_id"),
        "task_id": log.get("task_id"),
        "map_index": log.get("map_index"),
        "try_number": log.get("try_number"),
        "state": "failed" if state == "UP_FOR_RETRY" else state.lower(),
        "start_date": started.isoformat(),
        "end_date": ended.isoformat(),
        "duration": (ended - started) / timedelta(seconds=1),
        "hostname": host,
    }


def _host_and_text(content: Any) -> tuple[str, str]:
    """(host, text) of a 2.x log: the repr of [(host, text)], or a plain text whose first line is the host."""
    if not isinstance(content, str):
        return "", ""
    if pairs := pairs_of(content):
        return pairs[-1][0], "\n".join(text for _, text in pairs)
    first, _, rest = content.partition("\n")
    return (first.strip(), rest) if first and " " not in first.strip() and not first.startswith("[") else ("", content)
