"""What the log of one try says about its end: the structured JSON of Airflow 3, the text of Airflow 2.

`parse_task_log` never raises and never keeps a whole log. The work is: read events, choose the failure that decides,
and look in its texts for status, time-out, connection error, host and URL.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from ingest.parsers.airflow import clean, instant, uuid_text, whole
from ingest.parsers.airflow_errors import (
    CONNECTION_ERRORS,
    CONNECTION_LOST,
    TIMED_OUT,
    TIMEOUTS,
    Raised,
    first_status,
    is_own,
    place,
    stage,
    timeout_s,
    waits,
)
from ingest.records import TaskLog

LONGEST_LINE = 500
MOST_LINES = 20
MOST_EXCEPTIONS = 12
MOST_EVENTS = 50_000
MOST_PAIRS = 1_000  # hosts of one log
LONGEST_TEXT = 4_000_000

FAILED = "Task failed with exception"
LOUD = frozenset({"error", "critical", "warning"})
NOISE = ("py.warnings", "secrets_masker")
PRINTED = ("task.stdout", "task.stderr")

CORRELATION = re.compile(r"correlation-id['\"]?\s*[=:]\s*['\"]?([0-9a-f]{8}-[0-9a-f-]{27})", re.IGNORECASE)
KILLED = re.compile(
    r"SIGKILL|SIGTERM|terminated by signal|return code -\d+|zombie|state mismatch|Task killed!"
    r"|heartbeat (?:timeout|time-out)|did not emit heartbeat|Heartbeat recovered too late",
    re.IGNORECASE,
)
LOST = re.compile(
    r"log file not found|could not read served logs|log file does not exist|error fetching the logs", re.IGNORECASE
)
TRIGGER_FACTS = (re.compile(r"'status_code': \d+"), re.compile(r"'url': '[^'?]+"), re.compile(r"'status': '\w+'"))
STAMPED = re.compile(r"^\[(\d{4}-\d\d-\d\d[T ][\d:.,]+(?:[+-]\d{4}|Z)?)\] \{[^}]*\} (\w+) - (.*)$")
# A whole document as a literal takes the compiler seconds a megabyte where somebody has thought of it; texts do not.
_TEXT = r"""('(?:[^'\\\n]++|\\.)*+'|"(?:[^"\\\n]++|\\.)*+")"""
PAIR = re.compile(rf"\s*+\(\s*+{_TEXT}\s*+,\s*+{_TEXT}\s*+\)\s*+([,\]])", re.DOTALL)
FRAME = re.compile(r'^\s+File "([^"]+)", line \d+')
RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$")


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a log; `raised` holds the exceptions it carries, outermost first."""

    at: datetime | None
    level: str
    logger: str
    text: str
    raised: tuple[Raised, ...] = ()
    exit_code: int | None = None


def parse_task_log_item(item: dict[str, Any]) -> TaskLog:
    """A task log as the Airflow source hands it out: the key of the try, `found` and `content`."""
    content = item.get("content") if item.get("found", True) else None
    return parse_task_log(
        content,
        dag_id=str(item.get("dag_id", "")),
        run_id=str(item.get("run_id", "")),
        task_id=str(item.get("task_id", "")),
        map_index=-1 if (map_index := whole(item.get("map_index"))) is None else map_index,
        try_number=whole(item.get("try_number")) or 0,
    )


def key_of_file(name: str) -> dict[str, Any] | None:
    """The try of a capture's `{dag}.{run}.{task}.{map}.{try}.json`, whose parts are percent-encoded."""
    parts = name.removesuffix(".json").split(".")
    if len(parts) != 5 or whole(parts[3]) is None or whole(parts[4]) is None:
        return None
    dag_id, run_id, task_id = map(unquote, parts[:3])
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "map_index": int(parts[3]),
        "try_number": int(parts[4]),
    }


def parse_task_log(answer: Any, *, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> TaskLog:
    """The answer of `…/logs/{n}` (the body, or its `content` alone) as the facts that can decide."""
    content = answer.get("content") if isinstance(answer, dict) and "content" in answer else answer
    entries = _entries(content)
    events = _events(entries)
    spoken = [event for event in events if not event.logger.startswith(PRINTED)]
    raised = _deciding(events)
    texts = [one.text for one in raised] or [event.text for event in spoken if event.level in LOUD]
    kinds = {one.kind for one in raised}
    timed_out = bool(kinds & TIMEOUTS) or any(map(TIMED_OUT.search, texts))
    lost = bool(kinds & CONNECTION_ERRORS) or any(map(CONNECTION_LOST.search, texts))
    status = first_status(texts)
    where = place(texts)
    stamps = [event.at for event in events if event.at]
    return TaskLog(
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=map_index,
        try_number=try_number,
        ti_id=_ti_id(entries, try_number),
        exceptions=tuple((one.kind, one.text[:LONGEST_LINE]) for one in raised[:MOST_EXCEPTIONS]),
        lines=_lines(events, bool(raised)),
        own_code=bool(raised) and not timed_out and not lost and status is None and is_own(raised[0]),
        http_status=status,
        timed_out=timed_out,
        timeout_s=timeout_s(texts) if timed_out else None,
        connection_error=lost and not timed_out and status is None,
        stage=stage([(one.kind, one.text) for one in raised], texts) if lost or timed_out else "",
        host=where.host,
        port=where.port,
        url=where.url,
        correlation_ids=_correlation_ids(events),
        killed=any(KILLED.search(event.text) or (event.exit_code or 0) < 0 for event in spoken),
        in_call=bool(raised) and waits(raised[0]),
        ended_at=max(stamps) if stamps else None,
        found=bool(stamps) or (bool(events) and not any(LOST.search(event.text) for event in events)),
    )


# --- from the answer to events -------------------------------------------------------------------------------------


def pairs_of(content: str) -> list[tuple[str, str]]:
    """The (host, text) of a log of 2.x by JSON, which is their repr; [] where it is none. Whole: a piece cannot be read."""
    found: list[tuple[str, str]] = []
    place, sign = 1, "," if content.startswith("[(") else ""
    while sign == "," and len(found) < MOST_PAIRS:
        pair = PAIR.match(content, place)
        if pair is None:
            return []
        try:
            found.append((ast.literal_eval(pair[1]), ast.literal_eval(pair[2])))
        except (ValueError, SyntaxError, MemoryError):  # an escape that is none
            return []
        place, sign = pair.end(), pair[3]
    return found if sign == "]" and not content[place : place + 1].strip() else []


def _entries(content: Any) -> list[Any]:
    """The entries of a log: dicts of 3.x, or one text of 2.x (there often the repr of [(host, text)])."""
    if isinstance(content, list):
        return content[-MOST_EVENTS:]
    if not isinstance(content, str):
        return []
    if pairs := pairs_of(content):
        return [text[-LONGEST_TEXT:] for _, text in pairs]
    content = content[-LONGEST_TEXT:]
    if content.startswith("{"):  # application/x-ndjson
        return [entry for line in content.splitlines() if (entry := _json(line)) is not None][-MOST_EVENTS:]
    return [content]


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _events(entries: list[Any]) -> list[Event]:
    events: list[Event] = []
    for entry in entries:
        if isinstance(entry, dict):
            events.append(_event(entry))
        elif isinstance(entry, str):
            events += _events_of_text(entry)
        elif isinstance(entry, list | tuple) and len(entry) == 2:
            events += _events_of_text(str(entry[1]))
    return events


def _event(entry: dict[str, Any]) -> Event:
    details = entry.get("error_detail")
    return Event(
        at=instant(entry.get("timestamp")),
        level=str(entry.get("level") or "").lower(),
        logger=str(entry.get("logger") or ""),
        text=clean(str(entry.get("event") or "")) + _of_trigger(entry),
        raised=tuple(_raised(details)) if isinstance(details, list) else (),
        exit_code=whole(entry.get("exit_code")),
    )


def _of_trigger(entry: dict[str, Any]) -> str:
    """A deferred HTTP call's answer stands only in the event its trigger fired: its status and URL, nothing else."""
    result = entry.get("result")
    if not isinstance(result, str) or not str(entry.get("event")).startswith("Trigger fired"):
        return ""
    found = [match[0] for name in TRIGGER_FACTS if (match := name.search(result))]
    return f": {', '.join(found)}" if found else ""


def _raised(details: list[Any], depth: int = 0) -> list[Raised]:
    """The exceptions of error_detail, which lists the outermost first and nests exception groups."""
    found: list[Raised] = []
    for detail in details[:MOST_EXCEPTIONS]:
        if not isinstance(detail, dict):
            continue
        told = detail.get("frames")
        frames = [frame for frame in told if isinstance(frame, dict)] if isinstance(told, list) else []
        files = [str(frame.get("filename", "")) for frame in frames]
        functions = [str(frame.get("name", "")) for frame in frames]
        kind = clean(str(detail.get("exc_type") or "")).rpartition(".")[2]
        found.append(Raised(kind, clean(str(detail.get("exc_value") or "")), tuple(files), tuple(functions)))
        nested = detail.get("exceptions")
        if isinstance(nested, list) and depth < 3:
            for inner in nested:
                found += _raised(inner if isinstance(inner, list) else [inner], depth + 1)
    return found


def _events_of_text(log: str) -> list[Event]:
    """The entries of a 2.x text log; what follows a stamped line belongs to it."""
    events: list[Event] = []
    head: tuple[datetime | None, str, str] = (None, "", "")
    body: list[str] = []

    def close() -> None:
        if head[2] or body:
            raised = tuple(_tracebacks(body))
            shown = head[2] if raised or not body else "\n".join([head[2], *body]).strip()
            events.append(Event(head[0], head[1], "", clean(shown), raised))

    for line in log.splitlines()[-MOST_EVENTS:]:
        stamped = STAMPED.match(line)
        if stamped is None:
            body.append(line)
            continue
        close()
        head, body = (instant(stamped[1].replace(",", ".")), stamped[2].lower(), stamped[3]), []
    close()
    return events


def _tracebacks(lines: list[str]) -> list[Raised]:
    """The chain of a printed traceback; Python prints the innermost first, we want the outermost first."""
    chain: list[Raised] = []
    files: list[str] | None = None
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            files = []
        elif files is not None and (frame := FRAME.match(line)):
            files.append(frame[1])
        elif files is not None and (raised := RAISED.match(line)):
            chain.append(Raised(raised[1].rpartition(".")[2], clean(raised[2] or ""), tuple(files)))
            files = None
    return chain[::-1]


# --- from events to facts ------------------------------------------------------------------------------------------


def _deciding(events: list[Event]) -> tuple[Raised, ...]:
    """The exceptions that ended the try: a deferred try has several parts, its last failure counts.

    "Failed to report terminal task state" comes after it and is its consequence, unless it is all there is.
    """
    failures = [event for event in events if event.raised]
    ended = [event for event in failures if event.text.startswith(FAILED)]
    return (ended or failures)[-1].raised if failures else ()


def _lines(events: list[Event], has_failure: bool) -> tuple[str, ...]:
    """The loud events; a log that breaks off without one is told by its last words."""
    loud = [
        _line(event)
        for event in events
        if event.level in LOUD and not any(noise in event.logger for noise in NOISE) and event.text
    ]
    if not loud and not has_failure:
        told = [event for event in events if event.at and event.text and not event.text.startswith("::endgroup::")]
        loud = [_line(event) for event in told[-4:]]
        if told and told[-1].text.startswith("::group::Pre Execute"):
            loud.append("The log ends here: the process was started and did not reach the task's code.")
    half = MOST_LINES // 2
    return tuple(loud if len(loud) <= MOST_LINES else [*loud[:half], *loud[-half:]])


def _line(event: Event) -> str:
    shown = event.text
    if event.raised:
        shown += f": {event.raised[0].kind}: {event.raised[0].text}"
    if event.exit_code is not None:
        shown += f" (exit code {event.exit_code})"
    return shown[:LONGEST_LINE]


def _correlation_ids(events: list[Event]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for event in events:
        for words in (event.text, *(one.text for one in event.raised)):
            found.update(dict.fromkeys(CORRELATION.findall(words)))
    return tuple(found)[:MOST_LINES]


def _ti_id(entries: list[Any], try_number: int) -> str | None:
    for entry in entries:
        if not isinstance(entry, dict) or whole(entry.get("try_number")) not in (None, try_number):
            continue
        if ti_id := uuid_text(entry.get("ti_id")):
            return ti_id
    return None
