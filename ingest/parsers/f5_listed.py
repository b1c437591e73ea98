"""What a whole answer lists: every pool, member and virtual server that a device has. Else nothing, never a part of it.

Who compares two lists concludes that what is not in the second was deleted, so an answer that may lack something is no
list: pages that do not add up, rows without a name, members that were not expanded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ingest.parsers.f5_icontrol import names, text


class Key(NamedTuple):
    """One object by the names that a device gives it."""

    kind: str  # pool | member | virtual
    name: str  # of the pool or virtual server; of a member its pool's
    member: str = ""

    @property
    def partition(self) -> str:
        """/Common of /Common/shop.app/pool_orders."""
        return "/".join(self.name.split("/")[:2])


class Listed(NamedTuple):
    """What an answer lists, and of which pools it lists the members."""

    keys: frozenset[Key]
    expanded: frozenset[str] = frozenset()


def pools(answer: Any) -> Listed | None:
    """/mgmt/tm/ltm/pool?expandSubcollections=true. A pool without members has a reference without items, which is also
    how one looks that was not expanded: it counts as empty where another pool of the answer was expanded."""
    rows = _rows(answer)
    if rows is None:
        return None
    keys, expanded, empty = set(), set(), set()
    for row in rows:
        pool = names(row)
        keys.add(Key("pool", pool))
        reference = row.get("membersReference")
        members = reference.get("items") if isinstance(reference, dict) else None
        if isinstance(members, list):
            told = [names(one) for one in members if isinstance(one, dict)]
            if len(told) == len(members) and all(told):
                expanded.add(pool)
                keys |= {Key("member", pool, member) for member in told}
        elif isinstance(reference, dict) and "items" not in reference:
            empty.add(pool)
    return Listed(frozenset(keys), frozenset(expanded | (empty if expanded else set())))


def virtuals(answer: Any) -> Listed | None:
    """/mgmt/tm/ltm/virtual."""
    rows = _rows(answer)
    return None if rows is None else Listed(frozenset(Key("virtual", names(row)) for row in rows))


def _rows(answer: Any) -> list[dict[str, Any]] | None:
    """The named items of a collection that is there as a whole and is not empty: without rights it looks empty."""
    rows = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and names(row) for row in rows):
        return None
    if ("nextLink" in answer or "totalItems" in answer) and answer.get("totalItems") != len(rows):
        return None
    return rows


def polled_pools(found: dict[str, Any]) -> Listed | None:
    """The poller's output: pools with a map of members. One whose members it does not tell is not expanded."""
    told = found.get("pools")
    if not isinstance(told, dict) or not _are_named(told):
        return None
    members = {text(name): row.get("members") for name, row in told.items()}
    full = {name: some for name, some in members.items() if isinstance(some, dict) and some and _are_named(some)}
    keys = {Key("pool", name) for name in members}
    keys |= {Key("member", pool, text(one)) for pool, some in full.items() for one in some}
    return Listed(frozenset(keys), frozenset(full))


def polled_virtuals(found: dict[str, Any]) -> Listed | None:
    """The poller's output: virtual servers."""
    told = found.get("virtualServers")
    if not isinstance(told, dict) or not _are_named(told):
        return None
    return Listed(frozenset(Key("virtual", text(name)) for name in told))


def _are_named(told: dict[str, Any]) -> bool:
    return bool(told) and all(text(name) and isinstance(row, dict) for name, row in told.items())


def gone(before: Iterable[Key], now: Listed) -> set[Key]:
    """What was listed and is not any more. A partition of which nothing is listed may be hidden from us: it stays."""
    seen = {key.partition for key in now.keys if key.kind != "member"}
    there = {key.name for key in now.keys if key.kind == "pool"}
    out = set()
    for key in before:
        if key in now.keys or key.partition not in seen:
            continue
        if key.kind != "member" or key.name in now.expanded or key.name not in there:
            out.add(key)
    return out
