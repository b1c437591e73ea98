"""Names as numbers: each name that requests repeat is stored once, and known by its id after that.

A batch asks for all its names of one kind at once; what this process has not met costs one round trip. Ids enter the
process's memory only when the transaction that made them has committed: a batch that is rolled back leaves none behind.
Within one transaction kinds are asked for in one order, and names in their own, so that two workers cannot deadlock.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any, NamedTuple

from django.db import connection, transaction

from airf5.sql import load
from ingest.store import arrays

Key = Any
# A scanner can send any number of paths and agents. What a batch brings beyond this is stored under one name.
MOST_NEW = 2_000
OTHER = "(other)"
_MOST_KNOWN = 200_000


class Text(NamedTuple):
    """A table of single texts."""

    table: str
    column: str
    capped: bool = True
    longest: int = 200  # letters that the column takes


CLIENT = Text("ingest_client", "address", longest=64)
PATH = Text("ingest_path", "template")
AGENT = Text("ingest_agent", "name")
TRY_KEY = Text("ingest_trykey", "key", capped=False)

_known: dict[str, dict[Key, int]] = {}


def forget() -> None:
    """Empty this process's memory: after the tables were emptied behind its back."""
    _known.clear()


def _keep(kind: str, found: dict[Key, int]) -> None:
    known = _known.setdefault(kind, {})
    if len(known) + len(found) > _MOST_KNOWN:
        known.clear()
    known.update(found)


def _known_or_asked(kind: str, wanted: Collection[Key], ask: Any) -> dict[Key, int]:
    """The ids of these names: from memory, the others from `ask(missing) -> dict`."""
    known = _known.get(kind, {})
    ids = {name: known[name] for name in wanted if name in known}
    missing = [name for name in wanted if name not in ids]
    if missing:
        found = ask(missing)
        ids.update(found)
        transaction.on_commit(partial(_keep, kind, found))
    return ids


def texts(kind: Text, wanted: Collection[str]) -> dict[str, int]:
    """The ids of these texts, made where they are new."""
    return _known_or_asked(kind.table, wanted, partial(_ask_texts, kind))


def try_keys(scope: str, wanted: Collection[str]) -> dict[str, int]:
    """The ids of these try keys. A capture's keys are its own: two captures of one run hold the same UUIDs."""
    if not scope:
        return texts(TRY_KEY, wanted)
    ids = texts(TRY_KEY, {scoped_key(scope, key) for key in wanted})
    return {key: ids[scoped_key(scope, key)] for key in wanted}


def scoped_key(scope: str, key: str) -> str:
    """A try key, or trace id, as it is stored: with the capture's name before it, where it is a capture's."""
    return f"{scope}/{key}" if scope else key


def _ask_texts(kind: Text, missing: list[str]) -> dict[str, int]:
    if not kind.capped:
        return _intern(kind, missing)
    short = {name: name[: kind.longest] for name in missing}
    if len(missing) > MOST_NEW:
        there = _intern(kind, sorted({*list(short.values())[:MOST_NEW], OTHER}))
        return {name: there.get(cut, there[OTHER]) for name, cut in short.items()}
    there = _intern(kind, sorted(set(short.values())))
    return {name: there[cut] for name, cut in short.items()}


def _intern(kind: Text, names: Iterable[str]) -> dict[str, int]:
    statement = load("intern_text").format(table=kind.table, column=kind.column)
    return _until_all(statement, sorted(names))


def _until_all(statement: str, names: list[str]) -> dict[str, int]:
    """Run an interning statement; again for names that another worker committed while it ran (each run sees more)."""
    found: dict[str, int] = {}
    while len(found) < len(names):
        with connection.cursor() as cursor:
            cursor.execute(statement, {"names": arrays.texts(name for name in names if name not in found)})
            found.update(cursor.fetchall())
    return found


class Virtual(NamedTuple):
    """A virtual server as a request line shows it."""

    name: str
    address: str
    port: int | None


class Server(NamedTuple):
    """A pool member as a request line shows it."""

    f5_pool_id: int
    address: str
    port: int | None


def endpoints(group_id: int, wanted: Collection[Virtual]) -> dict[Virtual, int]:
    """The endpoints of these virtual servers; one that the log does not name is found, or named, by its address."""
    ids = _known_or_asked("endpoint", [(group_id, *virtual) for virtual in wanted], _ask_endpoints)
    return {Virtual(*key[1:]): value for key, value in ids.items()}


def _ask_endpoints(missing: list[Key]) -> dict[Key, int]:
    rows = sorted(missing, key=lambda key: (key[0], key[1], key[2], key[3] or 0))
    return _ask_rows("intern_endpoints", rows, ("groups", "names", "addresses", "ports"))


def f5_pools(group_id: int, wanted: Collection[str]) -> dict[str, int]:
    """The pools of these names."""
    ids = _known_or_asked("f5_pool", [(group_id, name) for name in wanted], _ask_f5_pools)
    return {key[1]: value for key, value in ids.items()}


def _ask_f5_pools(missing: list[Key]) -> dict[Key, int]:
    return _ask_rows("intern_f5_pools", sorted(missing), ("groups", "names"))


def members(wanted: Collection[Server]) -> dict[Server, int]:
    """The members at these addresses; one of which no name is known is called address:port."""
    ids = _known_or_asked("member", wanted, _ask_members)
    return {Server(*key): value for key, value in ids.items()}


def _ask_members(missing: list[Key]) -> dict[Key, int]:
    plain = {key: (key[0], plain_address(key[1]), key[2]) for key in missing}
    rows = sorted(set(plain.values()), key=lambda key: (key[0], key[1], key[2] or 0))
    there = _ask_rows("intern_members", rows, ("pools", "addresses", "ports"))
    return {key: there[row] for key, row in plain.items()}


def _ask_rows(name: str, rows: list[Key], columns: tuple[str, ...]) -> dict[Key, int]:
    """Like `_until_all` for names of several columns; the statement answers with the place of each row."""
    statement = load(name)
    found: dict[Key, int] = {}
    while len(found) < len(rows):
        left = [row for row in rows if row not in found]
        parameters = dict(zip(columns, map(list, zip(*left, strict=True)), strict=True))
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            found.update((left[place - 1], pk) for place, pk in cursor.fetchall())
    return found


def plain_address(text: str) -> str:
    """An address without its route domain (10.0.0.5%1), in its shortest form; as it is, where it is none."""
    text = text.partition("%")[0]
    try:
        return str(ipaddress.ip_address(text)) if ":" in text else text[:64]
    except ValueError:
        return text[:64]


def traces(pairs: dict[str, int]) -> None:
    """Remember which try's call carried each of these trace ids; the first one stays."""
    known = _known.get("trace", {})
    fresh = sorted((trace, key) for trace, key in pairs.items() if trace not in known)
    if not fresh:
        return
    ids, keys = map(list, zip(*fresh, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_trace (trace_id, try_key_id) SELECT * FROM unnest(%s::text[], %s::bigint[])"
            " ON CONFLICT (trace_id) DO NOTHING",
            [arrays.texts(ids), arrays.numbers(keys)],
        )
    transaction.on_commit(partial(_keep, "trace", dict(fresh)))
