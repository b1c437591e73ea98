"""Merge observations of tries: an ended try never goes back, and a UUID is bound only where that is certain.

Observations may come in any order and twice. Times that a resume moves (queued, started) keep their earliest value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from ingest import models, records
from ingest.models import Try, TryKey
from ingest.store.names import scoped_key

LOCK = 0x41465452  # advisory lock space of the tries
Key = tuple[str, str, str, int, int]
Instance = tuple[str, str, str, int]
LONGEST_STATE = Try._meta.get_field("state").max_length  # an Airflow to come may have states of its own
KEY_FIELDS = ("dag_id", "run_id", "task_id", "map_index", "try_number")

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
JUDGED = frozenset({"success", "failed"})
# The row of a retried try shows these for a moment; the try itself is over and failed.
FAILED_ONES = frozenset({"up_for_retry", "restarting", "shutdown"})
# Not queued yet: the number may be the old try's or the next one's.
NOT_QUEUED = frozenset({"", "none", "scheduled"})

BINDINGS = {"": 0, "history": 1, "task_log": 2, "rest": 3, "database": 4}  # from weak to strong
EARLIEST = ("scheduled_at", "queued_at", "start_at")
WORDS = ("hostname", "airflow_pool", "queue", "operator", "conn_id", "path")
WORTH_JUDGING = ("state", "end_at", "ti_id", "queued_at", "start_at")
# The index of try_once leads to each instance.
OF_INSTANCES = f"""
SELECT t.* FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[]) AS k (dag_id, run_id, task_id, map_index)
JOIN {Try._meta.db_table} t ON t.airflow_id = %s AND t.dag_id = k.dag_id AND t.run_id = k.run_id
 AND t.task_id = k.task_id AND t.map_index = k.map_index"""
FIELDS = tuple(field.name for field in Try._meta.concrete_fields if field.name not in ("id", "airflow", *KEY_FIELDS))


def save_tries(airflow: models.Airflow, observed: Sequence[tuple[datetime, records.Try]]) -> int:
    """Merge these observations, each with its time; the number of those that said something new."""
    useful = [(at, seen) for at, seen in observed if seen.try_number >= 1 and seen.state not in NOT_QUEUED]
    if not useful:
        return 0
    _alone(airflow)
    rows = _load(airflow, {key_of(seen)[:4] for _, seen in useful})
    changed: dict[Key, Try] = {}
    unbound: list[str] = []
    news = 0
    for at, seen in sorted(useful, key=lambda pair: pair[0]):
        key = key_of(seen)
        row, before = rows.get(key), None
        if row is None:
            row = rows[key] = Try(airflow=airflow, **dict(zip(KEY_FIELDS, key, strict=True)), seen_at=at)
        else:
            before = _facts(row)
        old_id = row.ti_id
        merge(row, seen, at)
        if before != _facts(row):
            news += 1
            changed[key] = row
        if old_id and old_id != row.ti_id:
            unbound.append(str(old_id))
    want_more(rows, {key_of(seen)[:4] for _, seen in useful}, changed, any(seen.from_history for _, seen in useful))
    written = _write(changed.values())
    scope = scope_of(airflow)
    TryKey.objects.filter(key__in=[scoped_key(scope, key) for key in unbound]).update(try_row=None)
    _bind(scope, written)
    return news


def key_of(seen: records.Try | records.TaskLog) -> Key:
    """The natural key of a try within its Airflow."""
    return seen.dag_id[:250], seen.run_id[:250], seen.task_id[:250], seen.map_index, seen.try_number


def key_text(key: Key) -> str:
    """The key under which a request without a UUID names its try."""
    return json.dumps(list(key), ensure_ascii=False, separators=(",", ":"))


def merge(row: Try, seen: records.Try, at: datetime) -> None:
    """Merge one observation into the row."""
    state = "failed" if seen.state in FAILED_ONES else seen.state[:LONGEST_STATE]
    newer = row.seen_at is None or at >= row.seen_at or not row.state
    before = {name: getattr(row, name) for name in WORTH_JUDGING}
    was_over, is_over = row.state in ENDED, state in ENDED
    moves_on = not row.state or (newer and (is_over or not was_over)) or (is_over and not was_over)
    if moves_on:
        row.state = state
    for name in EARLIEST:
        times = [moment for moment in (getattr(row, name), getattr(seen, name)) if moment]
        setattr(row, name, min(times, default=None))
    if seen.end_at and (moves_on or row.end_at is None):
        row.end_at, row.duration_s = seen.end_at, seen.duration_s
    for name in WORDS:
        value = getattr(seen, name)[: Try._meta.get_field(name).max_length]
        if value and (newer or not getattr(row, name)):
            setattr(row, name, value)
    for name in ("max_tries", "pool_slots", "rendered"):
        value = getattr(seen, name)
        if value is not None and (newer or getattr(row, name) is None):
            setattr(row, name, value)
    if seen.ti_id:
        bind(row, seen.ti_id, "database" if seen.from_history else "rest")  # only a table's history row has one
    row.seen_at = max(row.seen_at, at) if row.seen_at else at
    if row.state == "failed" and not row.log_state:
        row.log_state = Try.LogState.WANTED
    if row.state in JUDGED and any(getattr(row, name) != value for name, value in before.items()):
        row.judge = True


def bind(row: Try, ti_id: str, how: str) -> None:
    """Bind a UUID, unless one is known at least as well."""
    if BINDINGS[how] > BINDINGS[row.ti_id_from]:
        row.ti_id, row.ti_id_from = UUID(ti_id), how


def want_more(rows: dict[Key, Try], instances: Iterable[Instance], changed: dict[Key, Try], from_history: bool) -> None:
    """Ask for the history of a task instance whose earlier tries are missing or were never seen to end."""
    by_instance: dict[Instance, dict[int, Try]] = {}
    for key, row in rows.items():
        by_instance.setdefault(key[:4], {})[key[4]] = row
    for instance in instances:
        tries = by_instance[instance]
        last = max(tries)
        complete = all(number in tries and tries[number].state in ENDED for number in range(1, last))
        for number, row in tries.items():
            wanted = number == last and not complete and not from_history
            if row.history_wanted != wanted:
                row.history_wanted = wanted
                changed[(*instance, number)] = row


def save_task_logs(airflow: models.Airflow, logs: list[records.TaskLog], at: datetime) -> int:
    """What the logs of these tries say, and the UUIDs they name; a log of an unknown try is left out."""
    _alone(airflow)
    rows = _load(airflow, {key_of(log)[:4] for log in logs})
    known = dict(models.TaskLog.objects.filter(try_row__in=rows.values()).values_list("try_row_id", "facts"))
    changed: dict[Key, Try] = {}
    fresh = []
    for log in logs:
        row = rows.get(key_of(log))
        if row is None:
            continue
        facts = json.loads(json.dumps(asdict(log), default=str))
        was, row.log_failed = row.log_state, 0
        row.log_state = Try.LogState.FETCHED if log.found else Try.LogState.ABSENT
        if log.ti_id:
            bind(row, log.ti_id, "task_log")
        if known.get(row.pk) == facts and was == row.log_state:
            continue
        row.judge = row.judge or row.state in JUDGED
        changed[key_of(log)] = row
        fresh.append(models.TaskLog(try_row=row, facts=facts, fetched_at=at))
    models.TaskLog.objects.bulk_create(
        fresh, update_conflicts=True, unique_fields=("try_row",), update_fields=("facts", "fetched_at")
    )
    _bind(scope_of(airflow), _write(changed.values()))
    return len(fresh)


def scope_of(airflow: models.Airflow) -> str:
    """The capture that this Airflow belongs to, "" for a live one."""
    return airflow.feeds.values_list("capture", flat=True).first() or ""


def bind_keys(airflow: models.Airflow, keys: Iterable[Key]) -> None:
    """Point the keys that requests show, UUID or names, at their tries."""
    wanted = set(keys)
    rows = _load(airflow, {key[:4] for key in wanted})
    _bind(scope_of(airflow), [rows[key] for key in wanted if key in rows])


def _bind(scope: str, rows: Iterable[Try]) -> None:
    wanted: dict[str, int] = {}
    for row in rows:
        wanted[key_text((row.dag_id, row.run_id, row.task_id, row.map_index, row.try_number))] = row.pk
        if row.ti_id:
            wanted[str(row.ti_id)] = row.pk
    TryKey.objects.bulk_create(
        [TryKey(key=scoped_key(scope, text), try_row_id=pk) for text, pk in sorted(wanted.items())],
        update_conflicts=True,
        unique_fields=("key",),
        update_fields=("try_row",),
    )


def _alone(airflow: models.Airflow) -> None:
    """Until the transaction ends: whole rows are written, and an Airflow may be read by REST and from its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK, airflow.pk))


def _load(airflow: models.Airflow, instances: Iterable[Instance]) -> dict[Key, Try]:
    """All tries of these task instances. By whole keys: the runs of many DAGs have the same name, as all daily ones do."""
    keys = sorted(set(instances))
    found = Try.objects.raw(OF_INSTANCES, [*map(list, zip(*keys, strict=True)), airflow.pk]) if keys else ()
    return {(row.dag_id, row.run_id, row.task_id, row.map_index, row.try_number): row for row in found}


def _facts(row: Try) -> list[Any]:
    return [getattr(row, name) for name in FIELDS if name != "seen_at"]


def _write(rows: Iterable[Try]) -> list[Try]:
    """The rows as they were written, with their ids."""
    return Try.objects.bulk_create(
        [_without_id(row) for row in rows],
        update_conflicts=True,
        unique_fields=("airflow", *KEY_FIELDS),
        update_fields=FIELDS,
        batch_size=500,
    )


def _without_id(row: Try) -> Try:
    """A copy without its id, so that the natural key alone decides between insert and update."""
    copy = Try(airflow_id=row.airflow_id)
    for field in Try._meta.concrete_fields:
        if not field.primary_key:
            setattr(copy, field.attname, getattr(row, field.attname))
    return copy
