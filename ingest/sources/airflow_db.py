"""Airflow's metadata database, read only: task instances, their history with every UUID, runs, event logs.

Airflow promises no schema, so what is asked for is what is there: each statement names the columns that this version
has and this user may read (2.6 to 2.11, 3.0 to 3.3). The rows have the names of the REST API and are stored the same way.

No version has an index on `updated_at`, so each look reads task_instance once: on a replica that harms nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from ingest.parsers.airflow_v1 import with_true_try
from ingest.sources.airflow_pull import MOST_IDS, SETTLE, Item, Page, is_due, moment, remark, since, unseen
from ingest.sources.http import SourceRefused
from ingest.sources.postgres import Database, batches, look

BATCH = 1_000
JOBS_SINCE = timedelta(days=1)
LATE = timedelta(minutes=2)
# REST name: the column.
KEY = {"dag_id": "dag_id", "dag_run_id": "run_id", "task_id": "task_id", "map_index": "map_index"}
TRY = KEY | {
    "try_number": "try_number", "state": "state", "max_tries": "max_tries", "scheduled_when": "scheduled_dttm",
    "queued_when": "queued_dttm", "start_date": "start_date", "end_date": "end_date", "duration": "duration",
    "hostname": "hostname", "pool": "pool", "pool_slots": "pool_slots", "queue": "queue", "operator": "operator",
}  # fmt: skip
NEEDED = (*KEY.values(), "try_number", "state", "updated_at")
RUN = {
    "dag_id": "dag_id", "dag_run_id": "run_id", "state": "state", "run_type": "run_type", "queued_at": "queued_at",
    "start_date": "start_date", "end_date": "end_date", "run_after": "run_after", "logical_date": "logical_date",
    "execution_date": "execution_date", "triggered_by": "triggered_by", "triggering_user_name": "triggering_user_name",
}  # fmt: skip
EVENT = {
    "event_log_id": "id", "when": "dttm", "event": "event", "owner": "owner", "extra": "extra", "dag_id": "dag_id",
    "run_id": "run_id", "task_id": "task_id", "map_index": "map_index", "try_number": "try_number",
}  # fmt: skip
JOB = {
    "id": "id", "job_type": "job_type", "state": "state", "hostname": "hostname", "start_date": "start_date",
    "end_date": "end_date", "latest_heartbeat": "latest_heartbeat",
}  # fmt: skip
# Never the password, the login and the extra: a grant of these columns alone is enough.
CONNECTION = {"connection_id": "conn_id", "conn_type": "conn_type", "host": "host", "port": "port", "schema": "schema"}
TABLES = (
    "task_instance", "task_instance_history", "dag_run", "log", "slot_pool", "job", "dag", "dag_tag", "connection",
    "rendered_task_instance_fields",
)  # fmt: skip

COLUMNS = """
SELECT c.relname, a.attname FROM unnest(%(tables)s::text[]) AS wanted (name)
JOIN pg_class c ON c.oid = to_regclass(quote_ident(wanted.name))
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE has_column_privilege(c.oid, a.attnum, 'SELECT')"""
CLOCK = "SELECT clock_timestamp(), pg_is_in_recovery(), pg_last_xact_replay_timestamp()"
TASK_INSTANCES = """
SELECT {columns}{rendered}{place} FROM task_instance t{join}
WHERE {after} ORDER BY {order}"""
RENDERED = """
LEFT JOIN rendered_task_instance_fields r USING (dag_id, run_id, task_id, map_index)"""
# By the task instance that changed: a history row keeps the times of its try, which may be of yesterday when a person
# clears it, and its own updated_at is a copy.
HISTORY = """
SELECT {columns}{place} FROM task_instance t
JOIN task_instance_history h USING (dag_id, run_id, task_id, map_index)
WHERE {after} ORDER BY {order}"""
CHANGES = "SELECT {columns}{place} FROM {table} t WHERE {after} ORDER BY {order}"
SIMPLE = "SELECT {columns} FROM {table} t WHERE {column} >= %(since)s ORDER BY {column}"
POOLS = """
SELECT p.pool AS name, p.slots, coalesce(sum(t.used), 0)::int AS occupied_slots,
       coalesce(sum(t.used) FILTER (WHERE t.state = 'queued'), 0)::int AS queued_slots
FROM slot_pool p LEFT JOIN (
    SELECT pool, state, sum(pool_slots) AS used FROM task_instance
    WHERE state IN ('running', 'queued', 'deferred') GROUP BY pool, state
) t ON t.pool = p.pool AND (t.state <> 'deferred' OR {deferred})
GROUP BY p.pool, p.slots"""
DAGS = """
SELECT d.dag_id, d.is_paused, d.owners,
       ARRAY(SELECT name FROM dag_tag WHERE dag_tag.dag_id = d.dag_id ORDER BY name) AS tags
FROM dag d WHERE {alive}"""


@dataclass(slots=True)
class _Look:
    """One look: the connection, what can be read, the moment of the snapshot, and the cursor as it grows."""

    database: Database
    connection: psycopg.Connection[tuple[Any, ...]]
    have: Mapping[str, frozenset[str]]
    began: datetime
    cursor: Item

    def since(self, name: str) -> datetime:
        return since(self.cursor.get(name), self.began, self.database.options)

    def advance(self, name: str, value: Any) -> Item:
        self.cursor = {**self.cursor, name: value}
        return dict(self.cursor)

    def walk(self, name: str) -> tuple[datetime, list[Any], datetime]:
        """From when to ask, after which row of that moment where the last look was cut off, and when the walk began."""
        cut = self.cursor.get(f"{name}_walk")
        if isinstance(cut, dict) and (changed := moment(cut.get("since"))) and (began := moment(cut.get("began"))):
            return changed, list(cut.get("key") or ()), began
        return self.since(name), [], self.began

    def rows(self, name: str, query: sql.Composed, **values: Any) -> Iterator[list[Item]]:
        return batches(self.connection, f"airf5_{name}", query, values, BATCH)

    @property
    def api(self) -> str:
        """The generation: only from 3.0 on a task instance has a UUID."""
        return "v2" if "id" in self.have["task_instance"] else "v1"


def read(database: Database, cursor: Item | None) -> Iterator[Page]:
    """One look at the database: pages as a pull of the REST API gives them, the task instances last."""
    with look(database) as connection:
        began, late = _moment_of(connection)
        have = _columns(connection)
        if missing := [name for name in NEEDED if name not in have.get("task_instance", ())]:
            raise SourceRefused(
                f"The database of {database.name} has no task_instance.{missing[0]} that this user may read: is it the "
                "metadata database of an Airflow 2.6 or later, and is SELECT granted?"
            )
        one = _Look(database, connection, have, began, dict(cursor or {}))
        yield Page("version", [{"api": one.api}])
        if late:
            yield remark("replica", f"The replica is {late.total_seconds():.0f} s behind its primary.")
        yield from _small(one)
        yield from _event_logs(one)
        yield from _dag_runs(one)
        yield from _history(one)
        yield from _task_instances(one)


def _small(one: _Look) -> Iterator[Page]:
    """Pools and jobs as they are now; DAGs and connections every ten minutes."""
    if _readable(one, "slot_pool", ("pool", "slots")):
        yield Page("pools", _all(one, "pools", _pools(one)))
    else:
        yield _no_rights("slot_pool")
    if _readable(one, "job", ("id", "job_type", "latest_heartbeat")):
        # Up to 2.11 each try of a task has a row of its own there, which is no process of Airflow's.
        query = sql.SQL(SIMPLE).format(
            columns=_named(JOB, one.have["job"]), table=sql.Identifier("job"), column=sql.SQL("latest_heartbeat")
        )
        found = _all(one, "jobs", query, since=one.began - JOBS_SINCE)
        yield Page("jobs", [job for job in found if not str(job["job_type"]).startswith("LocalTask")])
    else:
        yield _no_rights("job")
    if not is_due(one.cursor.get("slow_lists"), one.began):
        return
    if _readable(one, "dag", ("dag_id", "is_paused", "owners")) and _readable(one, "dag_tag", ("dag_id", "name")):
        yield Page("dags", [_dag(dag) for dag in _all(one, "dags", _dags(one))])
    else:
        yield _no_rights("dag")
    if _readable(one, "connection", tuple(CONNECTION.values())):
        query = sql.SQL("SELECT {} FROM connection t").format(_named(CONNECTION, one.have["connection"]))
        yield Page("connections", _all(one, "connections", query))
    else:
        yield _no_rights("connection")
    yield Page("dags", [], one.advance("slow_lists", one.began.isoformat()))


def _event_logs(one: _Look) -> Iterator[Page]:
    """New event logs, by their time, which is indexed; what the overlap shows again is left out by its id."""
    if not _readable(one, "log", ("id", "dttm", "event")):
        yield _no_rights("log")
        return
    known: dict[int, None] = dict.fromkeys(one.cursor.get("event_log_ids") or ())
    parts = {"columns": _named(EVENT, one.have["log"]), "table": sql.Identifier("log")}
    for page in _changes(one, "event_logs", "event_logs", CHANGES, "t.dttm", ("t.id",), parts):
        fresh = unseen(page.items, known)
        yield Page("event_logs", fresh, one.advance("event_log_ids", list(known)[-MOST_IDS:]))


def _dag_runs(one: _Look) -> Iterator[Page]:
    if not _readable(one, "dag_run", ("dag_id", "run_id", "updated_at")):
        yield _no_rights("dag_run")
        return
    parts = {"columns": _named(RUN, one.have["dag_run"]), "table": sql.Identifier("dag_run")}
    for page in _changes(one, "dag_runs", "dag_runs", CHANGES, "t.updated_at", ("t.dag_id", "t.run_id"), parts):
        yield Page(page.kind, [_run(run) for run in page.items], page.cursor)


def _history(one: _Look) -> Iterator[Page]:
    """The ended tries of every task instance that changed; from 3.0 on with their UUID."""
    have = one.have.get("task_instance_history", frozenset())
    if "try_number" not in have:
        if one.api == "v2" or "executor" in one.have["task_instance"]:  # there is one, and we may not read it
            yield _no_rights("task_instance_history")
        return
    columns = _named(TRY, have, "h")
    if "task_instance_id" in have:
        columns += sql.SQL(", h.task_instance_id::text")
    keys = (*(f"t.{name}" for name in KEY.values()), "h.try_number")
    yield from _changes(one, "tries", "histories", HISTORY, "t.updated_at", keys, {"columns": columns})


def _task_instances(one: _Look) -> Iterator[Page]:
    """The task instances that changed. Up to 2.9 `updated_at` is not moved when a worker ends a try, so its times count."""
    have = one.have["task_instance"]
    old = one.api == "v1" and "executor" not in have  # 2.10 brought the column, and put updated_at right
    rendered = _readable(one, "rendered_task_instance_fields", ("rendered_fields",))
    if not rendered:
        yield _no_rights("rendered_task_instance_fields")
    columns = _named(TRY, have) + (sql.SQL(", t.id::text AS id") if one.api == "v2" else sql.SQL(""))
    parts = {
        "columns": columns,
        "rendered": sql.SQL(", r.rendered_fields" if rendered else ""),
        "join": sql.SQL(RENDERED if rendered else ""),
    }
    changed = "greatest(t.updated_at, t.start_date, t.end_date)" if old else "t.updated_at"
    keys, began = tuple(f"t.{name}" for name in KEY.values()), one.walk("task_instances")[2]
    for page in _changes(one, "task_instances", "task_instances", TASK_INSTANCES, changed, keys, parts):
        yield Page(page.kind, [with_true_try(item) for item in page.items], page.cursor) if old else page
    yield Page("task_instances", [], dict(one.cursor), complete_to=began - SETTLE)


def _changes(
    one: _Look, kind: str, name: str, query: str, changed: str, keys: Sequence[str], parts: Mapping[str, sql.Composable]
) -> Iterator[Page]:
    """Rows by the time of their change and their key, each batch with how far that is; the last page moves the watermark.

    A look that is cut off goes on behind the very row it came to, however many rows have one time (one UPDATE gives
    thousands the same), and without an overlap: with one it would read the same rows for ever where a turn holds fewer.
    The overlap is before the moment at which the whole walk was begun, and is read by the walk after this one.
    """
    since, key, began = one.walk(name)
    place = [sql.SQL(changed), *map(sql.SQL, keys)]
    order = sql.SQL(", ").join(place)
    after = sql.SQL("{} >= %(since)s").format(place[0])
    values: dict[str, Any] = {"since": since}
    if len(key) == len(keys):
        marks = sql.SQL(", ").join(sql.Placeholder(f"key_{n}") for n in range(len(key)))
        after += sql.SQL(" AND ({}) > (%(since)s, {})").format(order, marks)
        values |= {f"key_{n}": value for n, value in enumerate(key)}
    names = ["changed", *(f"key_{n}" for n in range(len(keys)))]
    shown = sql.SQL("").join(
        sql.SQL(", {} AS {}").format(what, sql.Identifier(word)) for what, word in zip(place, names, strict=True)
    )
    whole = sql.SQL(query).format(place=shown, after=after, order=order, **parts)
    for items in one.rows(name, whole, **values):
        changed_at, *last = (items[-1][word] for word in names)
        cut = {"since": changed_at.isoformat(), "key": last, "began": began.isoformat()}
        rest = [{word: value for word, value in item.items() if word not in names} for item in items]
        yield Page(kind, rest, one.advance(f"{name}_walk", cut))
    one.cursor = {word: value for word, value in one.cursor.items() if word != f"{name}_walk"}
    yield Page(kind, [], one.advance(name, began.isoformat()))


def _moment_of(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[datetime, timedelta]:
    """The moment that the snapshot shows, and how far a replica is behind where that is worth saying.

    An idle primary looks like a replica that is behind; an Airflow is never idle, its heartbeats are written.
    """
    row = connection.execute(CLOCK).fetchone()
    assert row is not None
    now, replica, replayed = row
    shown = min(now, replayed) if replica and replayed is not None else now
    return shown.astimezone(UTC), now - shown if now - shown > LATE else timedelta(0)


def _columns(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, frozenset[str]]:
    """The columns that this user may read, by table."""
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(COLUMNS, {"tables": list(TABLES)}):
        found.setdefault(table, set()).add(column)
    return {table: frozenset(columns) for table, columns in found.items()}


def _named(wanted: Mapping[str, str], have: frozenset[str], table: str = "t") -> sql.Composed:
    """The columns that are there, under their names of the REST API."""
    return sql.SQL(", ").join(
        sql.SQL("{}.{} AS {}").format(sql.Identifier(table), sql.Identifier(column), sql.Identifier(name))
        for name, column in wanted.items()
        if column in have
    )


def _pools(one: _Look) -> sql.Composed:
    deferred = "p.include_deferred" if "include_deferred" in one.have["slot_pool"] else "false"
    return sql.SQL(POOLS).format(deferred=sql.SQL(deferred))


def _dags(one: _Look) -> sql.Composed:
    have = one.have["dag"]
    alive = (
        "NOT coalesce(d.is_stale, false)" if "is_stale" in have else "d.is_active" if "is_active" in have else "true"
    )
    return sql.SQL(DAGS).format(alive=sql.SQL(alive))


def _dag(item: Item) -> Item:
    """`owners` is one text in the table and a list in the REST API."""
    return {**item, "owners": [owner.strip() for owner in str(item["owners"] or "").split(",") if owner.strip()]}


def _run(run: Item) -> Item:
    """The table has the name of the enum (REST_API), the REST API its value (rest_api)."""
    return run | ({"triggered_by": run["triggered_by"].lower()} if run.get("triggered_by") else {})


def _all(one: _Look, name: str, query: sql.Composed, **values: Any) -> list[Item]:
    return [item for items in one.rows(name, query, **values) for item in items]


def _readable(one: _Look, table: str, columns: Sequence[str]) -> bool:
    return set(columns) <= one.have.get(table, frozenset())


def _no_rights(table: str) -> Page:
    return remark(table, f"The user may not read the table {table}, or it is not there: grant SELECT on it.", 403)
