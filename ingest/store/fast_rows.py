"""The plain requests of a chunk, as columns: the names they use, their rows for COPY, their minutes, what they teach.

Rows go to PostgreSQL in its binary format, in which a row whose columns are all there has one fixed layout: that of a
numpy record. Rows that lack the same columns lack the same fields, so there is one block of records for each such case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum, auto
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.histogram import BOUNDS, BUCKETS
from ingest.records import Link, Outcome, method_code
from ingest.store.fast_text import Flags, Places, numbered
from ingest.store.names import Virtual
from ingest.store.request_facts import Facts, call_path, facts_of_path, link_of_task
from ingest.store.rollups import Minutes, Tally

COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"
# The columns of ingest_request with the bytes of each, and those that a row may lack.
SIZES = {
    "line_id": 8, "ts": 8, "try_key_id": 8, "response_us": 4, "bytes": 4, "endpoint_id": 4, "f5_pool_id": 4,
    "member_id": 4, "client_id": 4, "path_id": 4, "agent_id": 4, "status": 2, "outcome": 2, "link": 2, "method": 2,
}  # fmt: skip
MAY_LACK = ("try_key_id", "f5_pool_id", "member_id")
COPY_COLUMNS = ", ".join(SIZES)
_EPOCH_S = 946_684_800  # PostgreSQL counts from 2000-01-01
_LACKS = 0xFFFFFFFF  # a length of -1 says that there is no value
_DENSE = 1 << 16  # so many possible values are told apart by a table
TRACE = 36  # letters of a traceparent without its last part, which differs from call to call

Codes = NDArray[np.int64]


class Column(IntEnum):
    """The columns of text. Some texts hold the values of several fields; `Lane` is given what each says."""

    WHERE = auto()  # virtual server and pool: (name, address, port, pool)
    CLIENT = auto()
    SERVER = auto()  # (address, port, status)
    ASKED = auto()  # (method, host)
    TRACEPARENT = auto()  # its first TRACE letters
    TASK = auto()
    AGENT = auto()
    UUID = auto()  # of the try that the path names, in lower case; "" where it names none in the usual way
    PATH = auto()  # the URI up to its query; behind the UUID, where there is one


class Number(IntEnum):
    """The columns of numbers."""

    SECOND = auto()
    FRACTION = auto()  # of the second, in microseconds
    PORT = auto()  # the client's
    MILLIS = auto()
    MICROS = auto()
    BYTES = auto()


class Ids(Protocol):
    """The ids of the names, as `request_rows.Batch` knows them."""

    minutes: Minutes
    places: Mapping[Any, Any]
    clients: Mapping[str, int]
    agents: Mapping[str, int]
    paths: Mapping[str, int]
    keys: Mapping[str, int]


class Lane:
    """Plain requests that went well, column by column: numbers, and codes into what the texts say.

    `calls` says which of them name a try by the UUID in their path.
    """

    def __init__(
        self,
        ids: Places,
        numbers: Mapping[Number, Places],
        texts: Mapping[Column, Codes],
        said: Mapping[Column, Sequence[Any]],
        calls: Flags,
        lines_each: int,
    ) -> None:
        self.ids = ids
        self.lines = len(ids) * lines_each
        self._numbers = numbers
        self._texts = texts
        self._said = said
        self._spots, self._spot = self._both(Column.WHERE, Column.SERVER)
        # What the keys of `Batch.places` are, for each spot
        self._places = [(*where, *server[:2]) for where, server in self._spots]
        self.places = set(self._places)
        self.agents = self._used(Column.AGENT)
        self.clients = self._used(Column.CLIENT)
        self._facts_of(calls)

    def _facts_of(self, calls: Flags) -> None:
        """What `facts_of` says of each request, in columns: its path, its link, its try key, and whether it is a call."""
        tasks, keys = self._said[Column.TASK], _Codes({None: 0})
        cases, case = numbered(2 * self._texts[Column.PATH] + calls, 2 * len(self._said[Column.PATH]))
        paths = [(self._said[Column.PATH][code >> 1], code & 1) for code in cases.tolist()]
        facts = [Facts(call_path(path), Link.UUID, None, True) if call else facts_of_path(path) for path, call in paths]
        self._paths, self._case = [fact.path for fact in facts], case
        key_of_path = np.array([keys[fact.key] for fact in facts], dtype=np.int64)[case]
        silent = np.array([not task for task in tasks], dtype=np.bool_)[self._texts[Column.TASK]]
        headed = ~calls & (key_of_path == 0) & ~silent  # else the path says it, or nothing does
        code, task = numbered(self._texts[Column.TASK][headed], len(tasks))
        links = [link_of_task(tasks[place]) for place in code.tolist()]
        uuids, uuid = numbered(self._texts[Column.UUID][calls], len(self._said[Column.UUID]))
        self._key = key_of_path
        self._key[headed] = np.array([keys[key] for _, key in links], dtype=np.int64)[task]
        self._key[calls] = np.array([keys[self._said[Column.UUID][place]] for place in uuids.tolist()], np.int64)[uuid]
        self._link = np.array([fact.link for fact in facts], dtype=np.int64)[case]
        self._link[headed] = np.array([int(link) for link, _ in links], dtype=np.int64)[task]
        by_path = [fact.path.startswith("/execution/") for fact in facts]
        self._execution = np.array([fact.is_execution for fact in facts], dtype=np.bool_)[case]
        self._execution[headed] = np.array(by_path, dtype=np.bool_)[case[headed]]
        self._keys: list[Any] = list(keys)
        self.keys = set(self._keys[1:])
        self.paths = set(self._paths)

    def _used(self, column: Column) -> set[Any]:
        said = self._said[column]
        return {said[code] for code in numbered(self._texts[column], len(said))[0].tolist()}

    def _both(self, one: Column, two: Column) -> tuple[list[tuple[Any, Any]], Codes]:
        """The different pairs of what two columns say, and which of these each request has."""
        first, second = self._said[one], self._said[two]
        both, codes = _different(self._texts[one] * len(second) + self._texts[two], len(first) * len(second))
        pairs = zip(*(part.tolist() for part in np.divmod(both, len(second))), strict=True)
        return [(first[a], second[b]) for a, b in pairs], codes

    @property
    def newest_us(self) -> int:
        """The latest time, in microseconds since 1970."""
        return int((self._numbers[Number.SECOND] * 1_000_000 + self._numbers[Number.FRACTION]).max())

    @property
    def days(self) -> set[int]:
        """The days since 1970 that have rows."""
        days = self._numbers[Number.SECOND] // 86_400
        low = int(days.min())
        return {low + day for day in _different(days - low, int(days.max()) - low + 1)[0].tolist()}

    def blocks(self, batch: Ids) -> Iterator[bytes]:
        """The rows of `ingest_request`, as COPY (COPY_COLUMNS) takes them in binary."""
        columns = self._columns(batch)
        lacks = sum((columns[name] == 0).astype(np.int64) << bit for bit, name in enumerate(MAY_LACK))
        yield COPY_BEGIN
        for case in np.flatnonzero(np.bincount(lacks)).tolist():
            lacking = {name for bit, name in enumerate(MAY_LACK) if case >> bit & 1}
            yield _records(columns, lacks == case, lacking)
        yield COPY_END

    def _columns(self, batch: Ids) -> dict[str, Codes]:
        """The columns of all rows; 0 where a row lacks one."""
        numbers, texts, said = self._numbers, self._texts, self._said
        places = [batch.places[place] for place in self._places]
        spots = np.array(
            [
                (place.endpoint_id, place.f5_pool_id or 0, place.member_id, server[2])
                for place, (_, server) in zip(places, self._spots, strict=True)
            ],
            dtype=np.int64,
        ).T
        keys = np.array([0, *map(batch.keys.__getitem__, self._keys[1:])], dtype=np.int64)
        paths = np.array([batch.paths[path] for path in self._paths], dtype=np.int64)
        clients = np.array([batch.clients.get(client, 0) for client in said[Column.CLIENT]], dtype=np.int64)
        agents = np.array([batch.agents.get(agent, 0) for agent in said[Column.AGENT]], dtype=np.int64)
        methods = np.array([method_code(asked[0]) if asked else 0 for asked in said[Column.ASKED]], dtype=np.int64)
        return {
            "line_id": self.ids,
            "ts": (numbers[Number.SECOND] - _EPOCH_S) * 1_000_000 + numbers[Number.FRACTION],
            "response_us": numbers[Number.MICROS],
            "bytes": numbers[Number.BYTES],
            **{
                name: spot[self._spot]
                for name, spot in zip(("endpoint_id", "f5_pool_id", "member_id", "status"), spots, strict=True)
            },
            "try_key_id": keys[self._key],
            "path_id": paths[self._case],
            "link": self._link,
            "client_id": clients[texts[Column.CLIENT]],
            "agent_id": agents[texts[Column.AGENT]],
            "method": methods[texts[Column.ASKED]],
            "outcome": np.full(len(self.ids), Outcome.OK),
        }

    def count(self, batch: Ids) -> None:
        """Add the times to the batch's minutes."""
        found = [batch.places[place] for place in self._places]
        spots = sorted({(place.endpoint_id, place.member_id) for place in found})
        number = {spot: place for place, spot in enumerate(spots)}
        of_spot = np.array([number[place.endpoint_id, place.member_id] for place in found], dtype=np.int64)
        minutes = self._numbers[Number.SECOND] // 60
        low, took = int(minutes.min()), self._numbers[Number.MICROS]
        length = int(minutes.max()) - low + 1
        cells, cell = _different(of_spot[self._spot] * length + minutes - low, len(spots) * length)
        buckets = np.searchsorted(np.array(BOUNDS), took, side="right")
        counts = np.bincount(cell * BUCKETS + buckets, minlength=len(cells) * BUCKETS).reshape(-1, BUCKETS)
        sums = np.bincount(cell, weights=took)  # exact: far below 2 ** 53
        most = np.zeros(len(cells), dtype=np.int64)
        np.maximum.at(most, cell, took)
        for place, histogram in enumerate(counts.tolist()):
            spot, minute = divmod(int(cells[place]), length)
            batch.minutes.add((*spots[spot], low + minute), Tally(int(sums[place]), int(most[place]), histogram))

    def hosts(self) -> set[tuple[Any, str]]:
        """(virtual server, host) of all."""
        both, _ = self._both(Column.WHERE, Column.ASKED)
        return {(Virtual(*where[:3]), host) for where, (_, host) in both}

    def calls(self) -> set[tuple[Any, str]]:
        """(virtual server, agent) of all calls of the Execution API."""
        where, agents = self._said[Column.WHERE], self._said[Column.AGENT]
        both = self._texts[Column.WHERE][self._execution] * len(agents) + self._texts[Column.AGENT][self._execution]
        pairs = (divmod(code, len(agents)) for code in _different(both, len(where) * len(agents))[0].tolist())
        return {(Virtual(*where[place][:3]), agents[agent]) for place, agent in pairs}

    def parents(self) -> set[tuple[str, str]]:
        """(traceparent without its last part, try key) of all that have both."""
        starts, said = self._said[Column.TRACEPARENT], self._keys
        there = np.array([bool(start) for start in starts], dtype=np.bool_)[self._texts[Column.TRACEPARENT]]
        there &= self._key > 0
        both = self._texts[Column.TRACEPARENT][there] * len(said) + self._key[there]
        codes = _different(both, len(starts) * len(said))[0].tolist()
        return {(starts[code // len(said)], said[code % len(said)]) for code in codes}


def _different(values: Codes, size: int) -> tuple[Codes, Codes]:
    """The different values (from 0 up to `size`) in order, and the place of each value among them."""
    if size <= _DENSE:
        return numbered(values, size)
    order = np.argsort(values)
    inner = values[order]
    new = np.ones(len(inner), dtype=np.bool_)
    new[1:] = inner[1:] != inner[:-1]
    place = np.empty(len(inner), dtype=np.int64)
    place[order] = np.cumsum(new) - 1
    return inner[new], place


class _Codes(dict[Any, int]):
    """Numbers for what is met, in the order of first sight."""

    def __missing__(self, key: Any) -> int:
        code = self[key] = len(self)
        return code


def _records(columns: Mapping[str, Codes], rows: Flags, lacking: set[str]) -> bytes:
    """These rows in the binary format of COPY: the number of fields, then each with its length before it."""
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, size in SIZES.items():
        layout.append((f"size of {name}", ">u4"))
        if name not in lacking:
            layout.append((name, f">i{size}"))
    one = np.zeros(1, dtype=layout)
    one["fields"] = len(SIZES)
    for name, size in SIZES.items():
        one[f"size of {name}"] = _LACKS if name in lacking else size
    records = np.repeat(one, int(np.count_nonzero(rows)))
    for name in SIZES:
        if name not in lacking:
            records[name] = columns[name][rows]
    return records.tobytes()
