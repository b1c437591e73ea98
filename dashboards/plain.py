"""Rows as plain values for JSON and CSV: dataclasses become dicts, instants RFC 3339 in UTC (pure)."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from dashboards.filters import iso

# A cell that begins like this is a formula to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def plain(value: Any) -> Any:
    """The value as JSON knows it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind: Any = type(value)
        return {name: plain(getattr(value, name)) for name in names(kind)}
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return value


def is_row(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint)


@cache
def names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def columns(kind: type) -> tuple[tuple[str, ...], ...]:
    """The columns of a table of these rows, as ways into the row; nested rows are spread, lists of rows left out."""
    found: list[tuple[str, ...]] = []
    hints = get_type_hints(kind)
    for name in names(kind):
        inner: Any = without_none(hints[name])
        if is_row(inner):
            found += [(name, *way) for way in columns(inner)]
        elif not any(dataclasses.is_dataclass(part) for part in get_args(inner)):
            found.append((name,))
    return tuple(found)


def without_none(hint: Any) -> Any:
    """X of `X | None`; anything else as it is."""
    if get_origin(hint) in (Union, UnionType):
        kinds = [part for part in get_args(hint) if part is not type(None)]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def cells(row: Any) -> list[Any]:
    """The row's cells, in the order of its columns, safe to open in a spreadsheet."""
    kind: Any = type(row)
    return [cell(_at(row, way)) for way in columns(kind)]


def _at(row: Any, way: tuple[str, ...]) -> Any:
    for name in way:
        row = getattr(row, name, None)
    return row


def cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, dict):
        return safe(json.dumps(plain(value), ensure_ascii=False, sort_keys=True)) if value else ""
    if isinstance(value, list | tuple):
        return safe("; ".join(str(plain(part)) for part in value))
    return safe(str(value))


def safe(text: str) -> str:
    """No formula: an apostrophe before what would be one. A NUL cannot stand in a CSV file."""
    text = text.replace("\x00", "\ufffd")
    return f"'{text}" if text.startswith(FORMULA) else text
