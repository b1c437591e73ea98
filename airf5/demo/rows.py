"""What Airflow's REST API would show of a recorded run at a given moment: pure.

The states between scheduling and end are derived from the recorded times, with the trap of Airflow 3.3: between the
end of a try and the scheduling of its retry the row keeps the old number and times, but already has the next UUID.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Item = dict[str, Any]
Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Subject:
    """One task instance of the recording with all its tries, oldest first, and the UUID of each."""

    latest: Item
    tries: tuple[Item, ...]
    ids: dict[int, str]
    created: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """A row as it is shown, and when it last changed (a filter of the API, never in the row)."""

    row: Item
    updated_at: datetime


def key_of(item: Item) -> Key:
    """What names a task instance."""
    return item["dag_id"], item["dag_run_id"], item["task_id"], item["map_index"]


def subjects(told: dict[str, list[Item]]) -> dict[Key, Subject]:
    """The task instances of a told part."""
    created = {(run["dag_id"], run["dag_run_id"]): _at(run["queued_at"]) for run in told["dagRuns"]}
    tries: dict[Key, list[Item]] = {}
    for row in told["tries"]:
        tries.setdefault(key_of(row), []).append(row)
    ids: dict[Key, dict[int, str]] = {}
    for item in (*told["seen"], *told["taskInstances"]):
        ids.setdefault(key_of(item), {})[item["try_number"]] = item["id"]
    return {
        key_of(item): Subject(
            latest=item,
            tries=tuple(sorted(tries.get(key_of(item), ()), key=lambda row: row["try_number"])),
            ids=ids[key_of(item)],
            created=created[item["dag_id"], item["dag_run_id"]],
        )
        for item in told["taskInstances"]
    }


def show(subject: Subject, now: datetime) -> Shown | None:
    """The row of a task instance at this moment; None before its run exists."""
    if now < subject.created:
        return None
    begun = [row for row in subject.tries if _steps(row)[0] <= now]
    if not begun:
        settled = _moment(subject.latest["end_date"]) or subject.created
        if not subject.tries and now >= settled:  # upstream_failed, skipped: final without a try
            return Shown(subject.latest, settled)
        return Shown(_blank(subject), subject.created)
    row, is_last = begun[-1], begun[-1] is subject.tries[-1]
    scheduled, queued, started, ended = _steps(row)
    shown = _merged(subject, row)
    if now >= ended:
        if not is_last:
            following = subject.ids.get(row["try_number"] + 1, shown["id"])
            return Shown({**shown, "state": "up_for_retry", "id": following}, ended)
        return Shown({**shown, "state": subject.latest["state"]}, ended)
    unfinished = {**shown, "end_date": None, "duration": None}
    if now >= started:
        return Shown({**unfinished, "state": "running"}, started)
    waiting = {**unfinished, "start_date": None, "hostname": "", "pid": None, "rendered_fields": None}
    if now >= queued:
        return Shown({**waiting, "state": "queued"}, queued)
    return Shown({**waiting, "state": "scheduled", "queued_when": None}, scheduled)


def history(subject: Subject, now: datetime) -> list[Item]:
    """The rows of /tries: the ended ones, and the current one as it is; no UUID, no rendered fields."""
    rows: list[Item] = []
    for row in subject.tries:
        scheduled, _, started, ended = _steps(row)
        if now >= ended:
            rows.append(row)
        elif now >= scheduled:
            state = "running" if now >= started else "queued"
            rows.append({**row, "state": state, "end_date": None, "duration": None})
    return rows


def try_has_ended(subject: Subject, try_number: int, now: datetime) -> bool:
    """Whether this try is over at this moment."""
    return any(row["try_number"] == try_number and _steps(row)[3] <= now for row in subject.tries)


def show_run(run: Item, now: datetime) -> Shown | None:
    """A DAG run at this moment."""
    queued, started, ended = _at(run["queued_at"]), _moment(run["start_date"]), _moment(run["end_date"])
    if now < queued:
        return None
    if ended and now >= ended:
        return Shown(run, ended)
    unfinished = {**run, "end_date": None, "duration": None}
    if started and now >= started:
        return Shown({**unfinished, "state": "running"}, started)
    return Shown({**unfinished, "state": "queued", "start_date": None}, queued)


def show_job(job: Item, now: datetime) -> Item | None:
    """A job at this moment; one that has not ended has just sent its heartbeat."""
    started, ended = _moment(job["start_date"]), _moment(job["end_date"])
    if started and now < started:
        return None
    if ended and now >= ended:
        return job
    beat = now.isoformat().replace("+00:00", "Z")
    return {**job, "state": "running", "end_date": None, "latest_heartbeat": beat}


def _merged(subject: Subject, row: Item) -> Item:
    """The full row for one of the tries; what names the last try in the rendered fields names this one instead."""
    number = row["try_number"]
    own, last = str(subject.ids.get(number, subject.latest["id"])), subject.latest
    rendered = last["rendered_fields"]
    if number != last["try_number"] and rendered:
        text = json.dumps(rendered).replace(last["id"], own).replace(f"try={last['try_number']};", f"try={number};")
        rendered = json.loads(text)
    return {**last, **row, "id": own, "rendered_fields": rendered}


def _blank(subject: Subject) -> Item:
    nothing = dict.fromkeys(("state", "scheduled_when", "queued_when", "start_date", "end_date", "duration", "pid"))
    first = subject.ids[min(subject.ids)]
    return {**subject.latest, **nothing, "id": first, "try_number": 0, "hostname": "", "rendered_fields": None}


def _steps(row: Item) -> tuple[datetime, datetime, datetime, datetime]:
    """Scheduled, queued, started, ended, in order: a deferral queues a try again after its start."""
    ended = _at(row["end_date"])
    started = _moment(row["start_date"]) or ended
    queued = min(_moment(row["queued_when"]) or started, started)
    return min(_moment(row["scheduled_when"]) or queued, queued), queued, started, ended


def _moment(text: str | None) -> datetime | None:
    return _at(text) if text else None


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
