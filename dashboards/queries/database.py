"""How the read side asks PostgreSQL: read only, bounded in time, with the long statements in dashboards/sql/."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection, transaction

from airf5.sql import load

TIMEOUT_MS = 15_000
_reading: ContextVar[bool] = ContextVar("reading", default=False)


@contextmanager
def reading() -> Iterator[None]:
    """A read-only transaction that no statement can hold longer than 15 s; also a decorator; nests without cost."""
    if _reading.get():
        yield
        return
    token = _reading.set(True)
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}; SET LOCAL transaction_read_only = on")
            yield
    finally:
        _reading.reset(token)


def rows(name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a statement of dashboards/sql/, as dicts by column."""
    with connection.cursor() as cursor:
        cursor.execute(load(name), parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
