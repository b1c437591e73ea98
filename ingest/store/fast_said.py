"""What the texts of the fast lane's columns say: each different text of a chunk is read once, as the parser would read it.

Some columns span several fields with what the template writes between them; here that is compared too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ingest.parsers.f5_links import uuid_of
from ingest.parsers.f5_request_kv import ORDER
from ingest.store.fast_rows import Column

PLACE = {name: place for place, name in enumerate(ORDER)}
# From the value of which field to that of which other the text of a column goes.
FIELDS = {
    Column.WHERE: ("hostname", "pool"),
    Column.CLIENT: ("client_ip", "client_ip"),
    Column.SERVER: ("server_ip", "http_statcode"),
    Column.ASKED: ("http_method", "host"),
    Column.TRACEPARENT: ("traceparent", "traceparent"),
    Column.TASK: ("task", "task"),
    Column.AGENT: ("ua", "ua"),
}


def _values(text: str, column: Column) -> list[str] | None:
    """The values from one field to another, if what stands between them is as in the template."""
    parts = text.split('"')
    first, last = FIELDS[column]
    names = ORDER[PLACE[first] + 1 : PLACE[last] + 1]
    return parts[::2] if parts[1::2] == [f",{name}=" for name in names] else None


def _where(text: str) -> tuple[str, str, int | None, str] | None:
    values = _values(text, Column.WHERE)
    if values is None or not _is_port(values[3]):
        return None
    _, name, address, port, pool = values
    return name, address, int(port) if port else None, pool


def _server(text: str) -> tuple[str, int | None, int] | None:
    values = _values(text, Column.SERVER)
    if values is None or not _is_port(values[1]):
        return None
    address, port, _, status = values
    good = len(status) == 3 and status.isdigit() and status[0] != "0"
    return (address, int(port) if port else None, int(status)) if good else None


def _is_port(text: str) -> bool:
    return len(text) <= 5 and (text.isdigit() or not text)


def _asked(text: str) -> tuple[str, ...] | None:
    values = _values(text, Column.ASKED)
    return None if values is None else tuple(values)


def _uuid(text: str) -> str | None:
    """In lower case; "" where the path names none, None where that is no UUID."""
    return uuid_of(text) if text else ""


READ: dict[Column, Callable[[str], Any]] = dict.fromkeys(Column, str)
READ |= {Column.WHERE: _where, Column.SERVER: _server, Column.ASKED: _asked, Column.UUID: _uuid}
