"""The answers of the replayed Airflow, as pure functions of the told pieces, the query and the moment.

Every habit of the real one that costs a reader something is kept: pages are clamped to 100 without a word, unknown
parameters are ignored, ordering by updated_at is refused, and the list of pools shows only now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airf5.demo import laps, recording, rows

Item = dict[str, Any]
Query = Mapping[str, str]

MOST = 100
LOOK_BACK = timedelta(minutes=90)
ORDERS = frozenset({"id", "state", "duration", "start_date", "end_date", "map_index", "try_number", "run_after"})


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(slots=True)
class World:
    """The recording and the state of its laps, as seen at one moment."""

    recording: recording.Recording
    state: laps.State
    now: datetime
    told: list[dict[str, list[Item]]] = field(init=False)

    def __post_init__(self) -> None:
        found = laps.pieces(self.state, self.now - LOOK_BACK, self.now)
        self.told = [recording.tell(self.recording.parts[piece.part], piece) for piece in found]

    def subjects(self) -> Iterable[rows.Subject]:
        """All task instances of all pieces."""
        return (subject for told in self.told for subject in rows.subjects(told).values())

    def find(self, key: rows.Key) -> tuple[rows.Subject, dict[str, list[Item]]]:
        """One task instance and the piece it is in."""
        for told in self.told:
            if any((run["dag_id"], run["dag_run_id"]) == key[:2] for run in told["dagRuns"]):
                subject = rows.subjects(told).get(key)
                if subject is not None:
                    return subject, told
        raise ApiError(404, "Task Instance not found")


def task_instances(world: World, query: Query) -> Item:
    """/dags/~/dagRuns/~/taskInstances"""
    _check_order(query)
    shown = (rows.show(subject, world.now) for subject in world.subjects())
    return _page(_changed(shown, query), query, "task_instances", lambda row: str(row["id"]))


def dag_runs(world: World, query: Query) -> Item:
    """/dags/~/dagRuns"""
    shown = (rows.show_run(run, world.now) for told in world.told for run in told["dagRuns"])
    return _page(_changed(shown, query), query, "dag_runs", lambda row: f"{row['run_after']} {row['dag_id']}")


def task_instance(world: World, key: rows.Key) -> Item:
    """One task instance."""
    shown = rows.show(world.find(key)[0], world.now)
    if shown is None:
        raise ApiError(404, "Task Instance not found")
    return shown.row


def tries(world: World, key: rows.Key) -> Item:
    """The history of one task instance."""
    found = rows.history(world.find(key)[0], world.now)
    return {"task_instances": found, "total_entries": len(found)}


def log(world: World, key: rows.Key, try_number: int) -> Item:
    """The log of one try, once it is over."""
    subject, told = world.find(key)
    if not rows.try_has_ended(subject, try_number, world.now):
        raise ApiError(404, "Log not found")
    wanted = (*key, try_number)
    for one in told["task_logs"]:
        if (one["dag_id"], one["run_id"], one["task_id"], one["map_index"], one["try_number"]) == wanted:
            return {"content": one["content"], "continuation_token": None}
    return {"content": [{"event": "::group::Log message source details"}], "continuation_token": None}


def event_logs(world: World, query: Query) -> Item:
    """/eventLogs, by offset only."""
    after, before = _moment(query.get("after")), _moment(query.get("before"))
    found = [
        event
        for told in world.told
        for event in told["eventLogs"]
        if (when := datetime.fromisoformat(event["when"])) <= world.now
        and (after is None or when > after)
        and (before is None or when < before)
    ]
    found.sort(key=lambda event: event["event_log_id"])
    return _by_offset(found, query, "event_logs")


def pools(world: World, query: Query) -> Item:
    """/pools: occupied slots are those of this moment."""
    running: dict[str, int] = {}
    for subject in world.subjects():
        shown = rows.show(subject, world.now)
        if shown and shown.row["state"] == "running":
            running[shown.row["pool"]] = running.get(shown.row["pool"], 0) + shown.row["pool_slots"]
    found = []
    for pool in world.recording.pools:
        used = min(running.get(pool["name"], 0), pool["slots"])
        found.append({**pool, "occupied_slots": used, "running_slots": used, "open_slots": pool["slots"] - used})
    return _by_offset(found, query, "pools")


def jobs(world: World, query: Query) -> Item:
    """/jobs: those of the latest lap, and before the first one the recorded ones that never ended."""
    latest = next((told["jobs"] for told in reversed(world.told) if told["jobs"]), None)
    told = latest or [job for job in world.recording.jobs if job["end_date"] is None]
    return _by_offset([job for one in told if (job := rows.show_job(one, world.now))], query, "jobs")


def health(world: World) -> Item:
    """/monitor/health"""
    beat = world.now.isoformat()
    parts = {name: {"status": "healthy", f"latest_{name}_heartbeat": beat} for name in ("scheduler", "triggerer")}
    return {"metadatabase": {"status": "healthy"}, **parts}


def plain(items: list[Item], query: Query, name: str) -> Item:
    """A list that does not change: dags, connections."""
    return _by_offset(items, query, name)


def _changed(found: Iterable[rows.Shown | None], query: Query) -> list[Item]:
    since, until = _moment(query.get("updated_at_gte")), _moment(query.get("updated_at_lte"))
    ended = _moment(query.get("end_date_gte")), _moment(query.get("end_date_lte"))
    state = query.get("state")
    return [
        shown.row
        for shown in found
        if shown is not None
        and (since is None or shown.updated_at >= since)
        and (until is None or shown.updated_at <= until)
        and (state is None or shown.row["state"] == state)
        and _ended(shown.row, *ended)
    ]


def _ended(row: Item, since: datetime | None, until: datetime | None) -> bool:
    """As Airflow filters by end_date: what still runs ends now."""
    at = _moment(row.get("end_date")) or datetime.now(UTC)
    return (since is None or at >= since) and (until is None or at <= until)


def _page(found: list[Item], query: Query, name: str, order: Callable[[Item], str]) -> Item:
    """One page by cursor where `cursor` is given, else by offset; a cursor is the place in the order."""
    found.sort(key=order)
    if "cursor" not in query:
        return _by_offset(found, query, name)
    left = [row for row in found if order(row) > query["cursor"]]
    page = left[: _limit(query)]
    following = order(page[-1]) if len(left) > len(page) else None
    return {name: page, "total_entries": len(found), "total_entries_limit": 50_000, "next_cursor": following}


def _by_offset(found: list[Item], query: Query, name: str) -> Item:
    offset = _number(query.get("offset"), 0)
    return {name: found[offset : offset + _limit(query)], "total_entries": len(found)}


def _limit(query: Query) -> int:
    return min(_number(query.get("limit"), 50), MOST)


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdigit():
        raise ApiError(422, "Input should be a valid integer")
    return int(text)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ApiError(422, "Input should be a valid datetime") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_order(query: Query) -> None:
    order = query.get("order_by", "id").lstrip("-")
    if order not in ORDERS:
        raise ApiError(400, f"Ordering with '{order}' is disallowed or the attribute does not exist on the model")
