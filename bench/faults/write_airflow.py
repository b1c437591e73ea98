"""Airflow's side of a capture: the lists of its REST API, what was seen while it ran, and the logs of failed tries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.faults import logs
from bench.faults.sim import Sim
from bench.faults.tasks import Run, Try, iso, uuid7
from bench.faults.world import World, stream
from bench.faults.write_f5 import stamp

OPERATORS = {
    "call": ("HttpOperator", "HttpOperator"),
    "post": ("HttpOperator", "HttpOperator"),
    "sensor": ("HttpSensor", "HttpSensor"),
}
DECORATED = ("_PythonDecoratedOperator", "@task")


def write(sim: Sim, folder: Path, end: float) -> None:
    """Write airflow/."""
    world = sim.world
    (folder / "task_logs").mkdir(parents=True, exist_ok=True)
    last: dict[tuple[Any, ...], Try] = {}
    for t in sim.tries:
        last[t.key[:4]] = t
    ended = [*last.values(), *sim.scheduler.skipped]
    files: dict[str, Any] = {
        "version": {
            "version": world.version,
            "git_version": ".release:aa19d2dbb9ed187ec01957a92848d9b005e9ba9d" if world.v3 else "",
        },
        "dags": [_dag(world, d.dag_id, d.owner) for d in world.dags],
        "dagRuns": [_run(world, r, end) for r in sim.scheduler.runs],
        "taskInstances": [instance(world, t, t.state, t.uuid) for t in ended],
        "tries": [
            _history(instance(world, t, "failed" if t.state == "up_for_retry" else t.state, "")) for t in sim.tries
        ],
        "eventLogs": _events(sim),
        "pools": [_pool(name, slots) for name, slots in world.pools.items()],
        "connections": _connections(world),
        "health": _health(world, end),
    }
    if world.v3:
        files["jobs"] = _jobs(sim, end)
    for name, body in files.items():
        (folder / f"{name}.json").write_text(json.dumps(body), encoding="utf-8")
    seen = sorted(_seen(sim), key=lambda one: one[0])
    (folder / "seen.jsonl").write_text(
        "".join(json.dumps({"at": stamp(at), "ti": ti}) + "\n" for at, ti in seen), encoding="utf-8"
    )
    for t in sim.tries:
        if t.state in ("failed", "up_for_retry"):
            dag, run, task, index, number = t.key
            name = (
                ".".join(quote(part, safe="").replace(".", "%2E") for part in (dag, run, task))
                + f".{index}.{number}.json"
            )
            body = {"content": logs.content(world, t), "continuation_token": None}
            (folder / "task_logs" / name).write_text(json.dumps(body), encoding="utf-8")


def _time(world: World, at: float | None) -> str | None:
    return None if at is None else iso(at, "Z" if world.v3 else "+00:00")


def instance(world: World, t: Try, state: str, uuid: str) -> dict[str, Any]:
    """One item of /taskInstances in this state."""
    dag, run, task, index, number = t.key
    running = state in ("running", "queued", "scheduled")
    start = None if state in ("queued", "scheduled") else (t.last_start if t.start is not None else t.end)
    end = None if running else t.end
    if number == 0:
        start = end = t.end
    operator, name = OPERATORS.get(t.task.kind, DECORATED)
    out = {
        "task_id": task, "dag_id": dag, "dag_run_id": run, "map_index": index, "start_date": _time(world, start), "end_date": _time(world, end),
        "duration": round(end - start, 6) if start is not None and end is not None else None, "state": state, "try_number": number,
        "max_tries": t.task.retries, "task_display_name": task, "hostname": t.worker, "unixname": "airflow", "pool": t.task.airflow_pool,
        "pool_slots": 1, "queue": "default", "priority_weight": 1, "operator": operator,
        "queued_when": _time(world, t.queued or None), "pid": None if t.start is None else t.pid, "executor": None, "executor_config": "{}",
        "note": None, "rendered_map_index": str(index) if index >= 0 else None, "rendered_fields": _rendered(world, t), "trigger": None,
        "triggerer_job": None,
    }  # fmt: skip
    if world.v3:
        out |= {"id": uuid, "logical_date": None, "run_after": _time(world, t.run.at), "dag_display_name": dag, "operator_name": name,
                "scheduled_when": _time(world, t.scheduled), "dag_version": _version(world, dag)}  # fmt: skip
    else:
        out |= {"execution_date": _time(world, t.run.at), "sla_miss": None}
    return out


def _history(item: dict[str, Any]) -> dict[str, Any]:
    """The same as a row of /tries, which knows no UUID and no rendered fields."""
    for name in (
        "id",
        "note",
        "rendered_map_index",
        "rendered_fields",
        "trigger",
        "triggerer_job",
        "logical_date",
        "run_after",
        "execution_date",
        "sla_miss",
    ):
        item.pop(name, None)
    return item


def _rendered(world: World, t: Try) -> dict[str, Any]:
    if t.task.kind not in OPERATORS or t.task.endpoint is None:
        return {"templates_dict": None, "op_args": [], "op_kwargs": {}}
    run = quote(t.run.run_id, safe="")
    tail = {"call": f"?batch={run}", "sensor": f"/{run}"}.get(t.task.kind, "")
    out: dict[str, Any] = {
        "endpoint": f"{t.task.path.lstrip('/')}{tail}",
        "headers": {"X-Airflow-Task": t.header} if world.headers else {},
    }
    out["request_params" if t.task.kind == "sensor" else "data"] = {}
    if world.v3:
        out["http_conn_id"] = f"{t.task.endpoint.service}_http"
    return out


def _version(world: World, dag: str) -> dict[str, Any]:
    return {"id": uuid7(world.start - 3600, dag), "version_number": 1, "dag_id": dag, "bundle_name": "dags-folder", "bundle_version": None,
            "created_at": _time(world, world.start - 3600), "dag_display_name": dag, "bundle_url": None}  # fmt: skip


def _dag(world: World, dag: str, owner: str) -> dict[str, Any]:
    return {"dag_id": dag, "dag_display_name": dag, "is_paused": False, "is_stale": False, "last_parsed_time": _time(world, world.start),
            "fileloc": f"/opt/airflow/dags/{dag}.py", "description": None, "timetable_summary": None, "tags": [], "max_active_tasks": 64,
            "max_active_runs": 16, "owners": [owner], "has_import_errors": False}  # fmt: skip


def _run(world: World, r: Run, end: float) -> dict[str, Any]:
    done = r.end or end
    out: dict[str, Any] = {"dag_run_id": r.run_id, "dag_id": r.dag.dag_id, "start_date": _time(world, r.at + 0.1), "end_date": _time(world, done),
           "data_interval_start": None, "data_interval_end": None, "last_scheduling_decision": _time(world, done), "run_type": r.run_id.split("__")[0],
           "state": r.state if r.state != "running" else "success", "conf": {}, "note": None}  # fmt: skip
    if world.v3:
        return out | {"logical_date": None, "queued_at": _time(world, r.at), "duration": round(done - r.at, 5), "run_after": _time(world, r.at),
                      "triggered_by": "timetable", "triggering_user_name": None, "dag_versions": [_version(world, r.dag.dag_id)],
                      "bundle_version": None, "dag_display_name": r.dag.dag_id}  # fmt: skip
    return out | {
        "execution_date": _time(world, r.at),
        "logical_date": _time(world, r.at),
        "external_trigger": r.run_id.startswith("manual"),
    }


def _pool(name: str, slots: int) -> dict[str, Any]:
    return {"name": name, "slots": slots, "description": f"{name}", "include_deferred": False, "occupied_slots": 0, "running_slots": 0,
            "queued_slots": 0, "scheduled_slots": 0, "open_slots": slots, "deferred_slots": 0}  # fmt: skip


def _connections(world: World) -> list[dict[str, Any]]:
    return [{"connection_id": f"{ep.service}_http", "conn_type": "http", "description": None, "host": ep.host, "login": None,
             "schema": "https" if ep.tls else "http", "port": ep.port, "password": None, "extra": None}
            for ep in world.endpoints if not ep.execution]  # fmt: skip


def _health(world: World, end: float) -> dict[str, Any]:
    beat = iso(end - 3)
    return {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": beat},
            "triggerer": {"status": "healthy", "latest_triggerer_heartbeat": beat},
            "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": beat}}  # fmt: skip


def _jobs(sim: Sim, end: float) -> list[dict[str, Any]]:
    """The scheduler's lives, the triggerer's and the DAG processor's."""
    world = sim.world
    cuts = sorted((f.start + 0.5, f.end) for f in sim.faults if f.kind == "A7")
    starts = [world.start - 7200, *(back for _, back in cuts)]
    ends: list[float | None] = [*(died for died, _ in cuts), None]
    lives = [("SchedulerJob", low, high) for low, high in zip(starts, ends, strict=True)]
    lives += [("TriggererJob", world.start - 7199, None), ("DagProcessorJob", world.start - 7198, None)]
    return [{"id": n + 1, "dag_id": None, "state": "failed" if high else "running", "job_type": kind, "start_date": _time(world, low),
             "end_date": _time(world, high), "latest_heartbeat": _time(world, (high or end) - 3), "executor_class": None, "hostname": "scheduler-1",
             "unixname": "airflow", "dag_display_name": None} for n, (kind, low, high) in enumerate(lives)]  # fmt: skip


def _events(sim: Sim) -> list[dict[str, Any]]:
    """The event log: each start and end of a try, runs that people triggered, and what the scheduler gave up."""
    world = sim.world
    told: list[tuple[float, str, tuple[Any, ...], str | None, str | None]] = []
    for r in sim.scheduler.runs:
        if r.run_id.startswith("manual"):
            told.append(
                (
                    r.at,
                    "trigger_dag_run",
                    (r.dag.dag_id, None, None, None, None),
                    "admin",
                    '{"logical_date": null, "method": "POST"}',
                )
            )
    for t in sim.tries:
        dag, run, task, index, number = t.key
        who, host = t.run.dag.owner, json.dumps({"host_name": t.worker})
        at = (dag, run, task, index, number)
        if t.start is not None:
            told.append(((t.first_run or t.start) + 0.02, "running", at, who, host))
            told += [(gone, "up_for_reschedule", at, who, host) for _, gone in t.resumes]
            told += [(back + 0.05, "running", at, who, host) for back, _ in t.resumes[1:]]
        if t.failure and t.failure.event:
            told.append((t.end - 0.01, t.failure.event, at, None, t.failure.extra or None))
        if not (t.failure and t.failure.event):
            told.append((t.end - 0.005, t.state, at, who, host))
    told.sort(key=lambda one: (one[0], str(one[2])))
    return [_event(world, 1000 + n, *one) for n, one in enumerate(told)]


def _event(
    world: World, number: int, at: float, name: str, key: tuple[Any, ...], owner: str | None, extra: str | None
) -> dict[str, Any]:
    dag, run, task, index, attempt = key
    out = {"event_log_id": number, "when": _time(world, at), "dag_id": dag, "task_id": task, "run_id": run, "map_index": index, "try_number": attempt,
           "event": name, "owner": owner, "extra": extra}  # fmt: skip
    if world.v3:
        return out | {"logical_date": None, "dag_display_name": dag, "task_display_name": task}
    return out | {"execution_date": None}


def _seen(sim: Sim) -> list[tuple[float, dict[str, Any]]]:
    """Polls of 2 to 15 s: most tries were seen running, and every one at its end."""
    out: list[tuple[float, dict[str, Any]]] = []
    world = sim.world
    following = {t.key: t for t in sim.tries}
    for t in sim.tries:
        rng = stream(world.seed, *t.key, "seen")
        poll = rng.uniform(0.2, 15.0)
        if t.start is not None and t.start + poll < t.end:
            out.append((t.start + poll, instance(world, t, "running", t.uuid)))
        elif t.start is None and t.queued + poll < t.end:
            out.append((t.queued + poll, instance(world, t, "queued", t.uuid)))
        uuid = t.uuid
        if t.state == "up_for_retry":  # REST shows the next try's UUID already
            after = following.get((*t.key[:4], t.key[4] + 1))
            uuid = after.uuid if after else uuid
        out.append((t.end + rng.uniform(0.2, 5.0), instance(world, t, t.state, uuid)))
    return out
