"""The recording, cut into the parts that the demo tells, each ready to be shifted to its moment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airf5.demo.laps import LAP_BEGINS, LAP_ENDS, QUIET_RUNS, Piece
from ingest.capture import Capture, read_capture, shift

TRACE_ID = re.compile(rb'traceparent="00-([0-9a-f]{32})')
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a spool file, with the moment it was received."""

    at: datetime
    file: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """One part: Airflow's side as one JSON text, F5's side as lines in order of time."""

    airflow: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """All parts by name, and the lists that are not tied to one."""

    parts: dict[str, Part]
    version: Item
    dags: list[Item]
    pools: list[Item]
    connections: list[Item]
    jobs: list[Item]


def load(folder: Path) -> Recording:
    """Read a capture and cut it."""
    capture = read_capture(folder)
    lines = _lines(capture)
    later = [run for run in capture.airflow["dagRuns"] if _at(run["queued_at"]) >= LAP_BEGINS]
    parts = {
        "lap": Part(
            _airflow(capture, later, LAP_BEGINS), tuple(one for one in lines if LAP_BEGINS <= one.at <= LAP_ENDS)
        )
    }
    for dag_id, _ in QUIET_RUNS:
        run = next(run for run in capture.airflow["dagRuns"] if run["dag_id"] == dag_id)
        parts[dag_id] = Part(_airflow(capture, [run], None), tuple(_of_run(capture, run, lines)))
    lists = {name: capture.airflow.get(name) or [] for name in ("dags", "pools", "connections", "jobs")}
    return Recording(parts, capture.airflow.get("version") or {}, **lists)


def tell(part: Part, piece: Piece) -> dict[str, list[Item]]:
    """Airflow's side of a part at the moment of a piece."""
    return dict(json.loads(_told(part.airflow, piece.delta, piece.number)))


@lru_cache(maxsize=600)
def _told(text: str, delta: timedelta, number: int) -> str:
    return shift(text, delta, number)


def lines_between(part: Part, piece: Piece, since: datetime, until: datetime) -> list[tuple[datetime, str, bytes]]:
    """(moment, file, message) of what the device sends in (since, until] of this piece."""
    return [
        (line.at + piece.delta, line.file, shift(line.raw, piece.delta, piece.number).split(b" ", 2)[2])
        for line in part.lines
        if since < line.at + piece.delta <= until
    ]


def _airflow(capture: Capture, runs: list[Item], since: datetime | None) -> str:
    """The rows of these runs; of a lap also the events that belong to no run."""
    keys = {(run["dag_id"], run["dag_run_id"]) for run in runs}

    def mine(item: Item, name: str = "dag_run_id") -> bool:
        return (item.get("dag_id"), item.get(name)) in keys

    found = {
        "dagRuns": runs,
        "taskInstances": list(filter(mine, capture.airflow["taskInstances"])),
        "tries": list(filter(mine, capture.airflow["tries"])),
        "seen": [one["ti"] for one in capture.seen if mine(one["ti"])],
        "eventLogs": [
            event
            for event in capture.airflow["eventLogs"]
            if mine(event, "run_id") or (since and not event.get("run_id") and _at(event["when"]) >= since)
        ],
        "jobs": capture.airflow["jobs"] if since else [],
        "task_logs": [log for log in capture.task_logs if mine(log, "run_id")],
    }
    return json.dumps(found)


def _of_run(capture: Capture, run: Item, lines: list[Line]) -> Iterable[Line]:
    """The lines of one run: they name it or one of its tries, or carry the trace that such a line carries."""
    run_id = run["dag_run_id"]
    tries = [
        ti["id"]
        for ti in capture.airflow["taskInstances"]
        if (ti["dag_id"], ti["dag_run_id"]) == (run["dag_id"], run_id)
    ]
    tokens = [token.encode() for token in (run_id, quote(run_id, safe="."), *tries)]
    traces: set[bytes] = set()
    for line in lines:
        if any(token in line.raw for token in tokens) and (match := TRACE_ID.search(line.raw)):
            traces.add(match[1])
    tokens += traces
    return (line for line in lines if any(token in line.raw for token in tokens))


def _lines(capture: Capture) -> list[Line]:
    found = [
        Line(_at(raw.split(b" ", 1)[0].decode()), name, raw)
        for name, content in capture.f5.items()
        for raw in content.splitlines()
        if raw.count(b" ") >= 2
    ]
    return sorted(found, key=lambda line: line.at)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
