"""The probe of rights: each REST endpoint that airf5 uses is asked once, and what is refused is told with what it costs.

The same calls as a pull makes, each for one row, by the same session, guard and credentials.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ingest import airflow_feed, icontrol_feed
from ingest.doctor.findings import FAIL, OK, WARN, Finding
from ingest.models import Feed
from ingest.sources import airflow_db, airflow_details, f5_icontrol, f5_rest, postgres
from ingest.sources.airflow_pull import DAG_RUNS, TASK_INSTANCES, TryKey, items_of
from ingest.sources.airflow_session import Session
from ingest.sources.http import SourceError, SourceRefused

SKEWED = timedelta(seconds=5)
PATIENCE_S = 60.0
OLDEST_AIRFLOW = (2, 6)
FINAL = ("success", "failed", "upstream_failed", "skipped")
OP = "a role with read access to it; in Airflow's own role table that is Op"

# path -> (the list in its answer, needed: without it nothing can be judged, what it costs when it is refused, the right)
LISTS: dict[str, tuple[str, bool, str, str]] = {
    TASK_INSTANCES: (
        "task_instances", True, "no try is known, so nothing can be judged", "read access to task instances (Viewer)",
    ),
    DAG_RUNS: (
        "dag_runs", True, "runs are not known: pages of DAGs and who started a run stay empty",
        "read access to DAG runs (Viewer)",
    ),
    "/dags": ("dags", True, "owners, tags and whether a DAG is paused are not shown", "read access to DAGs (Viewer)"),
    "/pools": (
        "pools", False, "that a try waited for a slot of a full pool cannot be told, and looks like a slow scheduler",
        "read access to pools (Viewer; up to Airflow 2.6 Op)",
    ),
    "/connections": (
        "connections", False,
        "a task's connection does not lead to its virtual server by itself: requests without our header or the "
        "Execution API are joined by time only", f"read access to connections: {OP}",
    ),
    "/eventLogs": (
        "event_logs", False, "who cleared, triggered or changed what is not in the audit list",
        "read access to audit logs (Airflow 3: Viewer; Airflow 2.9 to 2.11: Admin, or an own role with it)",
    ),
    "/jobs": (
        "jobs", False, "a scheduler or triggerer that died is seen late, by its health only",
        "read access to jobs (Viewer)",
    ),
}  # fmt: skip
NOT_IN_V1 = frozenset({"/jobs"})
HEALTH = {"v2": "/monitor/health", "v1": "/health"}


def of_feed(feed: Feed) -> Iterator[Finding]:
    """The probe that fits this feed; nothing for one that is not asked over the network."""
    if feed.kind == Feed.Kind.AIRFLOW_API:
        yield from airflow(feed)
    elif feed.kind == Feed.Kind.AIRFLOW_DB:
        yield from database(feed)
    elif feed.kind == Feed.Kind.F5_REST:
        yield from icontrol(feed)
    elif feed.kind == Feed.Kind.F5_ICONTROL:
        yield from _snapshot(feed)


def airflow(feed: Feed, **session: Any) -> Iterator[Finding]:
    """Connection, version, clock and rights of one Airflow's REST API."""
    name = feed.airflow.name if feed.airflow else feed.name
    try:
        with Session(airflow_feed.source_of(feed), **session) as opened:
            yield from _reached(name, opened)
            rows: list[dict[str, Any]] = []
            for path in LISTS:
                yield from _list(name, opened, path, rows)
            yield from _details(name, opened, rows)
    except SourceError as error:
        yield Finding(FAIL, name, error.sentence, _advice(error))


def _reached(name: str, session: Session) -> Iterator[Finding]:
    began = time.monotonic()
    told = session.detect()
    took = time.monotonic() - began
    yield Finding(OK, name, f"Airflow {told['version']} answers by /api/{session.api}.", seconds=took)
    if session.version is not None and session.version < OLDEST_AIRFLOW:
        yield Finding(
            WARN, name, f"Airflow {told['version']} is older than any that airf5 was tried with.",
            "Expect gaps, or upgrade it to 2.6 or later.",
        )  # fmt: skip
    if abs(session.skew) > SKEWED:
        yield Finding(
            WARN, name, f"Its clock is {session.skew.total_seconds():+.1f} s from ours.",
            "Let both machines follow one time server: joins by time need it.",
        )  # fmt: skip
    try:
        session.get_open(HEALTH[session.api])
    except SourceError as error:
        yield Finding(
            WARN, name, f"{HEALTH[session.api]} is not told: {error.sentence}",
            "Without it a scheduler that stands still is not told from a route that does.",
        )  # fmt: skip


def _list(name: str, session: Session, path: str, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    key, needed, costs, right = LISTS[path]
    shown = (
        path.replace("/~", "")
        .replace("/dags/dagRuns/taskInstances", "/taskInstances")
        .replace("/dags/dagRuns", "/dagRuns")
    )
    if session.api == "v1" and path in NOT_IN_V1:
        return
    began = time.monotonic()
    try:
        query = {"limit": 1} if path != TASK_INSTANCES else {"limit": 20}
        items = items_of(session.get(path, query).body, key, path)
    except SourceRefused as error:
        if error.status == 401:
            raise
        level = FAIL if needed else WARN
        yield Finding(level, name, f"{shown} is refused ({error.status}): {costs}.", f"Give airf5's user {right}.")
        return
    rows += items if path == TASK_INSTANCES else []
    yield Finding(OK, name, f"{shown} may be read.", seconds=time.monotonic() - began)


def _details(name: str, session: Session, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """History and log of one try that ended, when there is one."""
    ended = [row for row in rows if row.get("state") in FINAL and isinstance(row.get("try_number"), int)]
    ended = [row for row in ended if row["try_number"] > 0] or ended
    if not ended:
        yield Finding(
            OK, name, "Task logs and histories were not asked for: no try has ended yet.",
            "Test again once a task has run, to know that its log may be read.",
        )  # fmt: skip
        return
    one = ended[0]
    words = (str(one.get(field) or "") for field in ("dag_id", "dag_run_id", "task_id"))
    index = one.get("map_index")
    key = TryKey(*words, index if isinstance(index, int) else -1, max(1, one["try_number"]))
    try:
        log = airflow_details.fetch_log(session, key)
        if log["found"]:
            yield Finding(OK, name, "Task logs may be read.")
        else:
            yield Finding(
                WARN, name, "Task logs may be asked for, but the one of a recent try is not there.",
                "See that Airflow keeps its logs where its web server finds them (remote logging, serve_logs).",
            )  # fmt: skip
    except SourceRefused as error:
        yield Finding(
            WARN, name, f"Task logs are refused ({error.status}): a try without an exact key stays unjudged, because its "
            "error cannot be set against F5's line.", "Give airf5's user read access to task logs (Viewer).",
        )  # fmt: skip
    try:
        airflow_details.fetch_tries(session, key)
    except SourceRefused as error:
        yield Finding(
            WARN, name, f"Histories of tries are refused ({error.status}): an earlier try that was not seen in time is lost.",
            "Give airf5's user read access to task instances (Viewer).",
        )  # fmt: skip


# What a table of Airflow's database is needed for; without task_instance nothing is known.
TABLES = {
    "task_instance_history": "UUIDs of earlier tries, and with them their requests, are lost",
    "dag_run": "runs, and who started them, are not known",
    "log": "who cleared, triggered or changed what is not in the audit list",
    "slot_pool": "that a try waited for a slot of a full pool cannot be told",
    "job": "a scheduler that died is not named as a cause",
    "dag": "owners and whether a DAG is paused are not shown",
    "connection": "a task's connection does not lead to its virtual server by itself",
    "rendered_task_instance_fields": "what a task called is not known from its rendered fields",
}


def database(feed: Feed) -> Iterator[Finding]:
    """Connection and rights of a direct read of Airflow's metadata database."""
    name = feed.airflow.name if feed.airflow else feed.name
    began = time.monotonic()
    try:
        with postgres.look(airflow_feed.database_of(feed)) as connection:
            told = connection.execute(airflow_db.COLUMNS, {"tables": list(airflow_db.TABLES)}).fetchall()
            replica = connection.execute("SELECT pg_is_in_recovery()").fetchone()
    except SourceError as error:
        yield Finding(FAIL, name, error.sentence, _advice(error))
        return
    yield Finding(OK, name, "Its metadata database answers.", seconds=time.monotonic() - began)
    if not replica or not replica[0]:
        yield Finding(
            WARN, name, "This database is no replica: each look reads all of task_instance in Airflow's own one.",
            "Give the address of a read replica.",
        )  # fmt: skip
    have = {(table, column) for table, column in told}
    missing = [column for column in airflow_db.NEEDED if ("task_instance", column) not in have]
    if missing:
        yield Finding(
            FAIL, name, f"task_instance.{missing[0]} may not be read: no try is known, so nothing can be judged.",
            "Grant the user SELECT on task_instance; is it the metadata database of an Airflow 2.6 or later?",
        )  # fmt: skip
    readable = {table for table, _ in have}
    for table, costs in TABLES.items():
        if table not in readable:
            yield Finding(
                WARN, name, f"{table} may not be read, or is not there: {costs}.", f"Grant the user SELECT on {table}."
            )
    fine = sorted(readable)
    if fine and not missing:
        yield Finding(OK, name, f"{', '.join(fine)} may be read.")


# What a device's reading is needed for; what is not listed is "not shown".
COSTS = {
    "clock": "its clock is not compared with ours, and joins by time are less sure",
    "member_stats": "states and counters of members come from its log alone, and the request log cannot be recounted",
    "failover": "that another unit took over is seen in its log alone",
    "virtual_stats": "the request log cannot be recounted against the virtual servers' own counters: losses go unseen",
    "pool": "pools and members are known only as far as the log names them",
    "virtual": "virtual servers, their pools and profiles are known only as far as the log names them",
    "policy": "that a policy chose another pool cannot be told",
    "rule": "that an iRule chose another pool or answered itself cannot be told",
    "request_log": "whether the log profile is complete cannot be checked",
    "http": "a virtual server that sees no HTTP cannot be told from one without requests",
    "certificate": "an expired certificate is not named as a cause",
    "user": "who may change the device is not shown",
    "syslog": "whether its syslog reaches us cannot be checked",
}
AUDITOR = "Give the user the role auditor on all partitions."


def icontrol(feed: Feed) -> Iterator[Finding]:
    """Connection and rights of one device's iControl REST."""
    name = feed.device.name if feed.device else feed.name
    try:
        for reply in f5_rest.read(icontrol_feed.session_of(feed), f5_rest.READINGS, PATIENCE_S):
            yield _of_reply(name, reply)
    except SourceError as error:
        yield Finding(FAIL, name, error.sentence, _advice(error))


def _of_reply(name: str, reply: f5_rest.Reply) -> Finding:
    what, path = reply.reading.what, reply.reading.path
    costs = COSTS.get(reply.reading.name, f"{what} are not shown")
    if reply.outcome == "told":
        return Finding(OK, name, f"{path} tells {what}.", seconds=reply.elapsed_s)
    if reply.outcome == "absent":
        return Finding(
            OK, name, f"{path} is not there ({what}): an older version, or a module that is not provisioned."
        )
    if reply.outcome == "refused":
        return Finding(WARN, name, f"{path} is refused: {costs}. {reply.sentence}", AUDITOR)
    if reply.outcome == "skipped":
        return Finding(WARN, name, f"{path} was not asked any more: {costs}.", "Mend what failed before it.")
    return Finding(FAIL, name, reply.sentence, _advice(reply.error) if reply.error else "")


def _snapshot(feed: Feed) -> Iterator[Finding]:
    """The folder with snapshots can be read."""
    name = feed.device.name if feed.device else feed.name
    try:
        f5_icontrol.read(str(feed.config.get("folder") or ""))
    except SourceError as error:
        yield Finding(FAIL, name, error.sentence, "See that the folder is there for the worker, and filled.")
    else:
        yield Finding(OK, name, "Its folder with snapshots of iControl REST is readable.")


def _advice(error: SourceError) -> str:
    if error.status == 401:
        return "Correct the user name and give the password or token again."
    if error.status == 404:
        return "Correct the address."
    if "is not called" in error.sentence:
        return "Add the range to the addresses this source may be called at, if it is meant."
    if "certificate" in error.sentence:
        return (
            "Name the CA file as options.verify. Switching the check off shows the password to whoever is in between."
        )
    if "with the password or token" in error.sentence or "again" in error.sentence:
        return "Make the secret readable for the worker, or give it again."
    return "See that the address is right and that nothing between airf5 and it drops the packets."
