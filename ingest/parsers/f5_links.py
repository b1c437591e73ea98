"""What a request says of its try: Execution API paths, X-Airflow-Task, traceparent; and templates of paths."""

from __future__ import annotations

import json
import re
from typing import NamedTuple
from urllib.parse import unquote

from ingest.records import Link, RequestLine

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")
_VERB = re.compile(r"[a-z][a-z0-9_-]{0,40}\Z")
_LONG_HEX = re.compile(r"[0-9a-fA-F]{12,}\Z")
_NUMBER_TAIL = re.compile(r"[0-9]+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_RUN = ("scheduled__", "manual__", "backfill__", "dataset_triggered__", "asset_triggered__", "asset_materialization__")
_LONGEST = 200
# The header's parts, in the order our plugin writes them.
_PARTS = ("dag", "run", "task", "map", "try", "ti")


class ExecutionCall(NamedTuple):
    """One call of the Task Execution API, read from its path. Parts that the path does not name are None."""

    kind: str  # run, heartbeat, state, rtif, start_date, xcom, connection, variable, … or other
    uuid: str | None = None
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    key: str | None = None  # of the XCom, variable or connection


def uuid_of(text: str) -> str | None:
    """A UUID in lower case, or None."""
    return text.lower() if len(text) == 36 and _UUID.match(text) else None


def _execution_path(uri: str) -> tuple[list[str], str] | None:
    path, _, query = uri.partition("?")
    if path.startswith(("http://", "https://")):
        path = "/" + path.partition("://")[2].partition("/")[2]
    start = path.find("/execution/")
    # The API may be mounted under a prefix ([api] base_url with a path), never behind another word of the same path
    if start < 0 or path.count("/", 0, start) > 3:
        return None
    # Run ids carry "+" and ":" as they are: decoding before the split would turn an escaped "/" into a separator
    return path[start + len("/execution/") :].split("/"), query


def execution_call(uri: str) -> ExecutionCall | None:
    """The call that this URI makes of the Task Execution API; None for any other URI."""
    if "/execution/" not in uri:
        return None
    found = _execution_path(uri)
    if found is None:
        return None
    parts, query = found
    head = parts[0]
    if head in ("task-instances", "task-reschedules") and len(parts) >= 2:
        uuid = uuid_of(parts[1])
        what = parts[2] if len(parts) == 3 and _VERB.match(parts[2]) else ""
        return ExecutionCall(what if uuid and what else "other", uuid if what else None)
    if head == "xcoms" and len(parts) >= 5:
        dag, run, task, key = (unquote(part) for part in parts[1:5])
        return ExecutionCall("xcom", None, dag, run, task, _map_index(query), key)
    if head in ("connections", "variables") and len(parts) >= 2:
        return ExecutionCall(head[:-1], key=unquote("/".join(parts[1:])))
    return ExecutionCall("other")


def _map_index(query: str) -> int | None:
    for part in query.split("&")[:20]:
        if part.startswith("map_index="):
            text = part[10:]
            digits = text[1:] if text.startswith("-") else text
            return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None
    return None


def try_identity(header: str) -> dict[str, str]:
    """The parts of an X-Airflow-Task value, by name; {} where it is not one.

    `dag=…;run=…;task=…;map=…;try=…;ti=…`: the keys come in this order, so a `;` inside a value ends nothing, and a part
    that stands out of order belongs to the value before it. A value in which a separator occurs twice is refused.
    """
    if not header.startswith("dag=") or len(header) > 4_000:
        return {}
    found: dict[str, str] = {}
    name, start = "dag", 4
    for following in _PARTS[1:]:
        separator = f";{following}="
        place = header.find(separator, start)
        if place < 0:
            continue  # `ti` is absent where the sender does not know it
        if header.find(separator, place + 1) >= 0:
            return {}
        found[name] = header[start:place]
        name, start = following, place + len(separator)
    found[name] = header[start:]
    return found


def natural_key(parts: dict[str, str]) -> str | None:
    """`["dag","run","task",map,try]` as compact JSON: the try's key where no UUID is known."""
    try:
        row = [parts["dag"], parts["run"], parts["task"], int(parts.get("map") or "-1"), int(parts["try"])]
    except (KeyError, ValueError):
        return None
    if not (row[0] and row[1] and row[2]):
        return None
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def link_key(line: RequestLine) -> tuple[Link, str] | None:
    """The try that this line names exactly, by UUID or by its natural key; nothing may rest on a suspect line."""
    if line.suspect:
        return None
    if "/execution/task-" in line.uri:
        call = execution_call(line.uri)
        if call is not None and call.uuid:
            return Link.UUID, call.uuid
    if line.task:
        parts = try_identity(line.task)
        if parts.get("ti"):
            uuid = uuid_of(parts["ti"])
            return (Link.HEADER, uuid) if uuid else None
        key = natural_key(parts) if parts else None
        return (Link.HEADER, key) if key else None
    return None


def trace_id(traceparent: str) -> str | None:
    """The trace id of a W3C traceparent, or None."""
    match = _TRACEPARENT.match(traceparent.lower()) if len(traceparent) == 55 else None
    return match.group(1) if match and match.group(1) != "0" * 32 else None


def path_template(uri: str) -> str:
    """The URI without its query, what differs from call to call replaced, as safe text of at most 200 characters."""
    path = uri[:2_000].partition("?")[0].partition("#")[0]
    if path.startswith(("http://", "https://")):
        path = "/" + path.partition("://")[2].partition("/")[2]
    parts = path.split("/")
    if len(parts) >= 7 and parts[1] == "execution" and parts[2] == "xcoms":
        parts[3:7] = parts[3], "{run}", parts[5], parts[6]  # XCom names tell the route's use, its run does not
        return _safe("/".join(parts[:7] + [_part(part) for part in parts[7:]]))
    if len(parts) >= 3 and parts[1] == "execution" and parts[2] in ("connections", "variables"):
        return _safe(path)
    return _safe("/".join(_part(part) for part in parts))


def _part(part: str) -> str:
    if not part:
        return part
    if part.startswith(_RUN):
        return "{run}"
    if uuid_of(part):
        return "{uuid}"
    if part.isascii() and part.isdigit():
        return "{n}"
    if len(part) >= 12 and _LONG_HEX.match(part):
        return "{n}"
    return _NUMBER_TAIL.sub("{n}", part) if _counted(part) else part


def _counted(part: str) -> bool:
    """`SKU0042`, `item-17`: a name with a number of two or more digits at its end; `v2` and `utf8` stay."""
    return len(part) > 3 and part[-2:].isascii() and part[-2:].isdigit()


def _safe(text: str) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8", "replace")
    return _UNSAFE.sub("\ufffd", text)[:_LONGEST]
