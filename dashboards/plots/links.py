"""Addresses that marks lead to (pure): the row itself, or the list of the rows behind a mark."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode


def incident(ident: int) -> str:
    return f"/incidents/{ident}/"


def attempt(ident: int) -> str:
    return f"/tries/{ident}/"


def endpoint(ident: int) -> str:
    return f"/endpoints/{ident}/"


def rows(page: str, start: datetime, end: datetime, **narrow: str) -> str:
    """The list `page` between two instants, narrowed; parameters without a value are left out."""
    query = {"from": _iso(start), "to": _iso(end), **{name: value for name, value in narrow.items() if value}}
    return f"/{page}/?{urlencode(query)}"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
