"""Keyset paging: a cursor is the sort values of the last row shown, so a page costs the same wherever it lies."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import F, Q, QuerySet

from dashboards.filters import Filter, FilterError, iso
from dashboards.queries.rows import Page

Row = TypeVar("Row")
_BIGGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Key:
    """One order of a list: a column (then the id), its type, and its direction."""

    column: str
    kind: type
    descending: bool = True


def encode(sort: str, values: Sequence[Any]) -> str:
    plain = [iso(value) if isinstance(value, datetime) else value for value in values]
    text = json.dumps([sort, *plain], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, sort: str, kinds: Sequence[type]) -> list[Any]:
    """The values of a cursor; anything that is not one of ours for this order is refused."""
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        of, *values = json.loads(text)
        if of != sort or len(values) != len(kinds):
            raise ValueError(of)
        return [_read(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, TypeError, binascii.Error, UnicodeError, RecursionError, OverflowError):
        raise FilterError(
            "after", "after is no cursor of this list and order; take it from the “next” of a page."
        ) from None


def _read(value: Any, kind: type) -> Any:
    if kind is datetime:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError(value)
        return at
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind or (kind is int and abs(value) > _BIGGEST) or (kind is str and "\x00" in value):
        raise ValueError(value)
    return value


def keyset(queryset: QuerySet[Any], asked: Filter, keys: dict[str, Key], row: Callable[[Any], Row]) -> Page[Row]:
    """One page of a queryset in the asked order; ties are broken by id, in the same direction."""
    key = keys[asked.sort]
    way = "lt" if key.descending else "gt"
    if asked.after:
        value, last_id = decode(asked.after, asked.sort, (key.kind, int))
        # The first condition is implied by the second; it is the one an index can use.
        queryset = queryset.filter(**{f"{key.column}__{way}e": value}).filter(
            Q(**{f"{key.column}__{way}": value}) | Q(**{key.column: value, f"id__{way}": last_id})
        )
    order = [F(key.column).desc(), F("id").desc()] if key.descending else [F(key.column).asc(), F("id").asc()]
    found = list(queryset.order_by(*order)[: asked.limit + 1])
    return page(found, asked, lambda item: (getattr(item, key.column), item.id), row)


def page(
    found: Sequence[Any], asked: Filter, values: Callable[[Any], Sequence[Any]], row: Callable[[Any], Row]
) -> Page[Row]:
    """A page of what was found with one row more than asked."""
    more = len(found) > asked.limit
    shown = found[: asked.limit]
    return Page(tuple(row(item) for item in shown), encode(asked.sort, values(shown[-1])) if more and shown else "")


def keyset_in_memory(items: Sequence[Row], asked: Filter, value: Callable[[Row], tuple[Any, ...]]) -> Page[Row]:
    """One page of a list that is small (DAGs, endpoints, feeds) and sorted by what was computed.

    `value` gives (sort value, unique words …), all of a kind; the list comes sorted in the asked order.
    """
    start = 0
    if asked.after:
        kinds = [type(part) for part in value(items[0])] if items else [str]
        last = tuple(decode(asked.after, asked.sort, kinds)) if items else ()
        descending = asked.sort.startswith("-")
        start = next((n for n, item in enumerate(items) if _later(value(item), last, descending)), len(items))
    shown = items[start : start + asked.limit]
    more = len(items) > start + asked.limit
    return Page(tuple(shown), encode(asked.sort, value(shown[-1])) if more else "")


def _later(this: tuple[Any, ...], last: tuple[Any, ...], descending: bool) -> bool:
    """After `last` in an order by the first value in its direction, then by the words upwards."""
    if this[0] != last[0]:
        return bool(this[0] < last[0]) if descending else bool(this[0] > last[0])
    return this[1:] > last[1:]
