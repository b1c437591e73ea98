"""Save what Airflow's REST API told: items merge on their natural keys, so the same page twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import Model

from airf5.accounts.audit import fingerprint
from airf5.accounts.models import UserAction
from ingest import models, records
from ingest.parsers import airflow as parsers
from ingest.parsers.airflow_log import parse_task_log_item
from ingest.store.feeds import Counts, Rejected
from ingest.store.tries import save_task_logs, save_tries

Item = dict[str, Any]


def save(airflow: models.Airflow, kind: str, items: Sequence[Item], at: datetime) -> Counts:
    """Save the items of one page as they were seen at this time; `kind` is a kind of `airflow_api.Page`."""
    if kind == "version":
        return _save_version(airflow, items)
    if kind == "health":
        return _save_health(airflow, items)
    parse, write = KINDS[kind]
    parsed = [parse(item) for item in items]
    counts = Counts(read=len(items))
    counts.rejects = [Rejected(None, at, one.reason, one.raw) for one in parsed if isinstance(one, records.Reject)]
    good = [one for one in parsed if not isinstance(one, records.Reject)]
    counts.rows = write(airflow, good, at)
    counts.repeated = len(good) - counts.rows
    return counts


def save_seen(airflow: models.Airflow, seen: Iterable[tuple[datetime, Item]]) -> Counts:
    """Observations of task instances, each with the time at which it was made."""
    counts = Counts()
    observed: list[tuple[datetime, records.Try]] = []
    for at, item in seen:
        counts.read += 1
        parsed = parsers.parse_task_instance(item)
        if isinstance(parsed, records.Reject):
            counts.rejects.append(Rejected(None, at, parsed.reason, parsed.raw))
        else:
            observed.append((at, parsed))
    counts.rows = save_tries(airflow, observed)
    counts.repeated = len(observed) - counts.rows
    return counts


def _save_version(airflow: models.Airflow, items: Sequence[Item]) -> Counts:
    """Version, and which API told it (v1 or v2, beside Airflow's own answer)."""
    told = items[0] if items else {}
    known = {"version": str(told.get("version") or "")[:40], "api": str(told.get("api") or "")[:4]}
    news = {name: value for name, value in known.items() if value and value != getattr(airflow, name)}
    for name, value in news.items():
        setattr(airflow, name, value)
    if news:
        airflow.save(update_fields=list(news))
    return Counts(read=len(items), rows=int(bool(news)), repeated=len(items) - int(bool(news)))


def _save_health(airflow: models.Airflow, items: Sequence[Item]) -> Counts:
    health = parsers.clean_json(items[0]) if items else airflow.health
    changed = health != airflow.health
    if changed:
        airflow.health = health
        airflow.save(update_fields=["health"])
    return Counts(read=len(items), rows=int(changed), repeated=len(items) - int(changed))


def _write_tries(airflow: models.Airflow, tries: list[records.Try], at: datetime) -> int:
    return save_tries(airflow, [(at, one) for one in tries])


def _write_dag_runs(airflow: models.Airflow, runs: list[records.DagRun], at: datetime) -> int:
    rows = [{name: value for name, value in asdict(run).items() if name != "versions"} for run in runs]
    versions = [asdict(version) for run in runs for version in run.versions]
    _upsert(models.DagVersion, airflow, ("dag_id", "number"), versions)
    return _upsert(models.DagRun, airflow, ("dag_id", "run_id"), rows)


def _write_dags(airflow: models.Airflow, dags: list[records.Dag], at: datetime) -> int:
    rows = [{**asdict(dag), "tags": list(dag.tags), "owners": list(dag.owners)} for dag in dags]
    return _upsert(models.Dag, airflow, ("dag_id",), rows)


def _write_pools(airflow: models.Airflow, pools: list[records.AirflowPool], at: datetime) -> int:
    return _upsert(models.AirflowPool, airflow, ("name",), [asdict(pool) for pool in pools])


def _write_connections(airflow: models.Airflow, connections: list[records.Connection], at: datetime) -> int:
    return _upsert(models.Connection, airflow, ("conn_id",), [asdict(connection) for connection in connections])


def _write_jobs(airflow: models.Airflow, jobs: list[records.Job], at: datetime) -> int:
    return _upsert(models.Job, airflow, ("job_id",), [asdict(job) for job in jobs])


def _write_event_logs(airflow: models.Airflow, actions: list[records.Action], at: datetime) -> int:
    rows = [action_row(action, airflow.name) for action in actions]
    natural = [row.fingerprint for row in rows]
    known = set(UserAction.objects.filter(fingerprint__in=natural).values_list("fingerprint", flat=True))
    fresh = {row.fingerprint: row for row in rows if row.fingerprint not in known}
    UserAction.objects.bulk_create(fresh.values(), ignore_conflicts=True)
    return len(fresh)


def action_row(action: records.Action, source: str, line_id: int | None = None, says: str = "") -> UserAction:
    """An audit fact as a row. Airflow's own id makes it one fact; without one, all that it `says` does."""
    own = (action.external_id,) if action.layer == "airflow" and action.external_id else ()
    text = says or action.raw
    natural = own or (action.at.isoformat(), action.actor, action.verb, action.target, action.external_id, text)
    return UserAction(
        layer=action.layer,
        source=source[:200],
        at=action.at,
        actor=action.actor[:250],
        verb=action.verb[:80],
        target=action.target[:500],
        dag_id=str(action.detail.get("dag_id") or "")[:250],
        result=action.result[:60],
        address=action.address[:64],
        tool=action.tool[:60],
        external_id=action.external_id[:120],
        detail=action.detail,
        line_id=line_id,
        raw=action.raw,
        fingerprint=fingerprint(action.layer, source, *natural),
    )


def _upsert(model: type[Model], airflow: models.Airflow, key: tuple[str, ...], rows: list[Item]) -> int:
    """Create or update these rows of one Airflow; the number of those that are new or different."""
    cut = {field.name: field.max_length for field in model._meta.get_fields() if getattr(field, "max_length", None)}
    wanted: dict[tuple[Any, ...], Item] = {}
    for row in rows:
        short = {name: value[: cut[name]] for name, value in row.items() if isinstance(value, str) and name in cut}
        wanted[tuple({**row, **short}[name] for name in key)] = {**row, **short}
    if not wanted:
        return 0
    near = {f"{name}__in": {place[index] for place in wanted} for index, name in enumerate(key)}
    manager = model._default_manager
    known = {tuple(getattr(old, name) for name in key): old for old in manager.filter(airflow=airflow, **near)}
    changed = [row for place, row in wanted.items() if place not in known or _differs(known[place], row)]
    manager.bulk_create(
        [model(airflow=airflow, **row) for row in changed],
        update_conflicts=True,
        unique_fields=("airflow", *key),
        update_fields=[name for name in next(iter(wanted.values())) if name not in key],
    )
    return len(changed)


def _differs(old: Model, row: Item) -> bool:
    return any(getattr(old, name) != value for name, value in row.items())


Writer = Callable[[models.Airflow, list[Any], datetime], int]

KINDS: dict[str, tuple[Callable[[Item], Any], Writer]] = {
    "dags": (parsers.parse_dag, _write_dags),
    "dag_runs": (parsers.parse_dag_run, _write_dag_runs),
    "task_instances": (parsers.parse_task_instance, _write_tries),
    "tries": (parsers.parse_try, _write_tries),
    "task_logs": (parse_task_log_item, save_task_logs),
    "event_logs": (parsers.parse_event_log, _write_event_logs),
    "pools": (parsers.parse_pool, _write_pools),
    "connections": (parsers.parse_connection, _write_connections),
    "jobs": (parsers.parse_job, _write_jobs),
}
