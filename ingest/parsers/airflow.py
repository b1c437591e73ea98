"""Items of Airflow's public REST API (v2, and the shapes of v1) as records.

Every function takes one item, as a dict or as its JSON text, and never raises: what cannot be used is a Reject.
The task logs are in `airflow_log.py`.
"""

from __future__ import annotations

import ast
import json
import math
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from ingest.records import Action, AirflowPool, Connection, Dag, DagRun, DagVersion, Job, Reject, Try

Item = dict[str, Any] | str

# Only in these states is `id` the UUID of the try that `try_number` names: a row in up_for_retry already shows the
# next try's UUID beside the old try's number and times (Airflow 3.3.2), and scheduled or none may do the same.
BINDING_STATES = frozenset({"queued", "running", "deferred", "up_for_reschedule", "success", "failed"})

# Before a worker has the try, start, end, host and duration still are those of the try before it.
NOT_STARTED = frozenset({"", "scheduled", "queued"})
# Only here is end_date the end of the try; a reschedule sets it at each poke.
ENDED = frozenset(
    {"success", "failed", "up_for_retry", "upstream_failed", "skipped", "removed", "restarting", "shutdown"}
)

# Events that a task's own life writes; their `owner` is the owner of the DAG, not a person who did something.
TASK_EVENTS = frozenset({"running", "success", "failed", "up_for_retry", "up_for_reschedule", "deferred", "skipped"})

SUBJECT = ("dag_id", "run_id", "task_id", "map_index", "try_number")
CONNECTION_FIELDS = ("http_conn_id", "conn_id", "connection_id", "sql_conn_id", "ssh_conn_id")
LONGEST_VALUE = 1_000
LONGEST_RAW = 4_000
MOST_VERSIONS = 50  # a run that went through more deployments is not believed
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


def parse_task_instance(item: Item) -> Try | Reject:
    """One item of /taskInstances: a try as it is now."""
    return _parse_try(item, from_history=False)


def parse_try(item: Item) -> Try | Reject:
    """One row of /tries: the facts of one try. Its UUID stands in the table alone (`task_instance_id`), not in REST."""
    return _parse_try(item, from_history=True)


def parse_dag_run(item: Item) -> DagRun | Reject:
    """One item of /dagRuns."""
    row = _row(item)
    if isinstance(row, Reject):
        return row
    dag_id, run_id = text(row, "dag_id"), text(row, "dag_run_id", "run_id")
    if not dag_id or not run_id:
        return _reject("a DAG run without dag_id or dag_run_id", item)
    return DagRun(
        dag_id=dag_id,
        run_id=run_id,
        state=text(row, "state"),
        run_type=text(row, "run_type"),
        queued_at=instant(row.get("queued_at")),
        start_at=instant(row.get("start_date")),
        end_at=instant(row.get("end_date")),
        run_after=next(filter(None, map(instant, map(row.get, ("run_after", "logical_date", "execution_date")))), None),
        triggered_by=text(row, "triggered_by"),
        triggering_user=text(row, "triggering_user_name"),
        versions=tuple(filter(None, (_version(one, dag_id) for one in _list(row.get("dag_versions"))[:MOST_VERSIONS]))),
    )


def _version(item: Any, dag_id: str) -> DagVersion | None:
    """One of a run's `dag_versions` (Airflow 3); what is not one is left out, for the run is told without it too."""
    if not isinstance(item, dict):
        return None
    number, at = whole(item.get("version_number")), instant(item.get("created_at"))
    if number is None or at is None:
        return None
    bundle, version = text(item, "bundle_name"), text(item, "bundle_version")
    return DagVersion(dag_id, number, at, bundle, version, _raw(item)[:LONGEST_RAW])


def parse_event_log(item: Item) -> Action | Reject:
    """One item of /eventLogs: who did what in Airflow."""
    row = _row(item)
    if isinstance(row, Reject):
        return row
    at, verb = instant(row.get("when")), text(row, "event")
    if at is None or not verb:
        return _reject("an event log without a time or an event", item)
    extra = _extra(row.get("extra"))
    subject = {name: row[name] for name in SUBJECT if row.get(name) is not None}
    return Action(
        layer="airflow",
        at=at,
        actor=text(row, "owner"),
        verb=verb,
        target=_target(row),
        tool=_tool(verb, extra),
        external_id=text(row, "event_log_id"),
        detail={**clean_json(subject), **({"extra": extra} if extra else {})},
        raw=_raw(item),
    )


def parse_dag(item: Item) -> Dag | Reject:
    """One item of /dags."""
    row = _row(item)
    if isinstance(row, Reject):
        return row
    if not text(row, "dag_id"):
        return _reject("a DAG without dag_id", item)
    tags = (text(tag, "name") if isinstance(tag, dict) else clean(str(tag)) for tag in _list(row.get("tags")))
    return Dag(
        dag_id=text(row, "dag_id"),
        is_paused=row.get("is_paused") is True,
        tags=tuple(filter(None, tags)),
        owners=tuple(clean(str(owner)) for owner in _list(row.get("owners")) if owner),
    )


def parse_pool(item: Item) -> AirflowPool | Reject:
    """One item of /pools: a slot pool as it is now."""
    row = _row(item)
    if isinstance(row, Reject):
        return row
    if not text(row, "name"):
        return _reject("a pool without a name", item)
    return AirflowPool(
        name=text(row, "name"),
        slots=whole(row.get("slots")),
        occupied=whole(row.get("occupied_slots")),
        queued=whole(row.get("queued_slots")),
    )


def parse_connection(item: Item) -> Connection | Reject:
    """One item of /connections; `host` may hold a scheme, a port and a path (http://reports:8080/x)."""
    row = _row(item)
    if isinstance(row, Reject):
        return row
    if not text(row, "connection_id", "conn_id"):
        return _reject("a connection without connection_id", item)
    scheme, host, port = split_host(text(row, "host"))
    return Connection(
        conn_id=text(row, "connection_id", "conn_id"),
        conn_type=text(row, "conn_type"),
        host=host,
        port=whole(row.get("port")) or port,
        schema=text(row, "schema") or scheme,
    )


def parse_job(item: Item) -> Job | Reject:
    """One item of /jobs: a scheduler, triggerer or DAG processor."""
    row = _row(item)
    if isinstance(row, Reject):
        return row
    job_id = whole(row.get("id"))
    if job_id is None:
        return _reject("a job without an id", item)
    return Job(
        job_id=job_id,
        job_type=text(row, "job_type"),
        state=text(row, "state"),
        hostname=text(row, "hostname"),
        start_at=instant(row.get("start_date")),
        end_at=instant(row.get("end_date")),
        heartbeat_at=instant(row.get("latest_heartbeat")),
    )


def _parse_try(item: Item, from_history: bool) -> Try | Reject:
    row = _row(item)
    if isinstance(row, Reject):
        return row
    dag_id, run_id, task_id = text(row, "dag_id"), text(row, "dag_run_id", "run_id"), text(row, "task_id")
    if not (dag_id and run_id and task_id):
        return _reject("a task instance without dag_id, dag_run_id or task_id", item)
    state = text(row, "state")
    started, ended = state not in NOT_STARTED, state in ENDED
    map_index = whole(row.get("map_index"))
    rendered = row.get("rendered_fields")
    rendered = rendered if isinstance(rendered, dict) else None
    binds = state in BINDING_STATES and not from_history
    return Try(
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=-1 if map_index is None else map_index,
        try_number=whole(row.get("try_number")) or 0,
        state=state,
        ti_id=uuid_text(row.get("task_instance_id") if from_history else row.get("id") if binds else None),
        max_tries=whole(row.get("max_tries")),
        scheduled_at=instant(row.get("scheduled_when")),
        queued_at=instant(row.get("queued_when")),
        start_at=instant(row.get("start_date")) if started else None,
        end_at=instant(row.get("end_date")) if ended else None,
        duration_s=number(row.get("duration")) if ended else None,
        hostname=text(row, "hostname") if started else "",
        airflow_pool=text(row, "pool"),
        pool_slots=whole(row.get("pool_slots")),
        queue=text(row, "queue"),
        operator=text(row, "operator"),
        conn_id=_conn_id(rendered),
        path=_path(rendered),
        rendered=_slim(rendered),
        from_history=from_history,
    )


def instant(value: Any) -> datetime | None:
    """An RFC 3339 time as aware UTC; Airflow writes Z, +00:00 and (in monitor/health) both. A datetime may stand there."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text(row: dict[str, Any], *names: str) -> str:
    """The first of these fields that holds something, as clean text."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return clean(str(value))
    return ""


def clean(value: str) -> str:
    """Without NUL and lone surrogates, which PostgreSQL and UTF-8 do not take."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def clean_json(value: Any) -> Any:
    """The same for a JSON value, at every depth; what JSON cannot hold becomes text."""
    if isinstance(value, dict):
        return {clean(str(key)): clean_json(kept) for key, kept in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(kept) for kept in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else clean(str(value))


def whole(value: Any) -> int | None:
    """An int that fits its column, also from its text; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = int(value)
    except (ValueError, OverflowError):
        return None
    return result if abs(result) < 2**31 else None


def number(value: Any) -> float | None:
    """A finite float or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if abs(result) < 1e12 else None


def uuid_text(value: Any) -> str | None:
    """The canonical text of a UUID, None where it is none."""
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def split_host(value: str) -> tuple[str, str, int | None]:
    """(scheme, host, port) of `http://reports:8080/x`, `reports:8080` or `reports`."""
    try:
        parts = urlsplit(value if "://" in value else f"//{value}")
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", value, None


def _conn_id(rendered: dict[str, Any] | None) -> str:
    found = (value for name in CONNECTION_FIELDS if isinstance(value := (rendered or {}).get(name), str))
    return clean(next(found, ""))


def _path(rendered: dict[str, Any] | None) -> str:
    """The path a task asks for, as it will stand in the URI: no leading slash, no query."""
    endpoint = (rendered or {}).get("endpoint")
    if not isinstance(endpoint, str):
        return ""
    if "://" in endpoint:
        endpoint = endpoint.split("://", 1)[1].partition("/")[2]
    return clean(endpoint.partition("?")[0].partition("#")[0].lstrip("/"))


def _slim(rendered: dict[str, Any] | None) -> dict[str, Any] | None:
    """The rendered fields without secrets and without anything long: they are for reading, not for keeping data."""
    if not rendered:
        return None
    slim: dict[str, Any] = {}
    for name, value in list(rendered.items())[:40]:
        if name == "headers" and isinstance(value, dict):
            value = {key: "***" if str(key).lower() in SECRET_HEADERS else kept for key, kept in value.items()}
        value = clean_json(value)
        shown = json.dumps(value, ensure_ascii=False)
        slim[clean(str(name))] = value if len(shown) <= LONGEST_VALUE else shown[:LONGEST_VALUE] + "…"
    return slim


def _target(row: dict[str, Any]) -> str:
    """`dag/run/task[map]#try`, as far as the event names them."""
    target = "/".join(filter(None, (text(row, "dag_id"), text(row, "run_id", "dag_run_id"), text(row, "task_id"))))
    map_index, try_number = whole(row.get("map_index")), whole(row.get("try_number"))
    if map_index is not None and map_index >= 0:
        target += f"[{map_index}]"
    return f"{target}#{try_number}" if try_number else target


def _tool(verb: str, extra: dict[str, Any]) -> str:
    if verb in TASK_EVENTS:
        return "task"
    if verb.startswith("cli_"):
        return "cli"
    return "rest_api" if verb.startswith("api.") or "method" in extra else ""


def _extra(value: Any) -> dict[str, Any]:
    """The `extra` of an event: a JSON string, on 2.6 the repr of a dict, else plain words."""
    if isinstance(value, dict):
        return dict(clean_json(value))
    if not isinstance(value, str) or not value.strip():
        return {}
    for read in (json.loads, ast.literal_eval):
        try:
            found = clean_json(read(value))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, dict) else {"text": found}
    return {"text": clean(value)}


def _row(item: Any) -> dict[str, Any] | Reject:
    """The item as a dict, read from its JSON text where it is a text."""
    if isinstance(item, str):
        try:
            item = json.loads(item)
        except (ValueError, RecursionError):
            return _reject("not JSON", item)
    return item if isinstance(item, dict) else _reject("not a JSON object", item)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _raw(item: Any) -> str:
    return clean(item) if isinstance(item, str) else json.dumps(clean_json(item), ensure_ascii=False)


def _reject(reason: str, item: Any) -> Reject:
    return Reject(reason, _raw(item)[:LONGEST_RAW])
