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
from ingest.records import Outcome, method_code
from ingest.store.fast_text import Flags, Places
from ingest.store.names import Virtual
from ingest.store.request_facts import facts_by_uri
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
_TRACE = 36  # letters of a traceparent without its last part, which differs from call to call

Codes = NDArray[np.int64]


class Column(IntEnum):
    """The columns of text. Some texts hold the values of several fields; `Lane` is given what each says."""

    WHERE = auto()  # virtual server and pool: (name, address, port, pool)
    CLIENT = auto()
    SERVER = auto()  # (address, port, status)
    ASKED = auto()  # (method, host)
    TRACEPARENT = auto()
    TASK = auto()
    AGENT = auto()
    URI = auto()


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
    """Plain requests, column by column: numbers, and codes into what the texts say."""

    def __init__(
        self,
        ids: Places,
        numbers: Mapping[Number, Places],
        texts: Mapping[Column, Codes],
        said: Mapping[Column, Sequence[Any]],
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
        calls, self._call = self._both(Column.URI, Column.TASK)
        self._facts = facts_by_uri([uri for uri, _ in calls], [task for _, task in calls])
        self.facts = set(self._facts)

    def _used(self, column: Column) -> set[Any]:
        said = self._said[column]
        return {said[code] for code in np.unique(self._texts[column]).tolist()}

    def _both(self, one: Column, two: Column) -> tuple[list[tuple[Any, Any]], Codes]:
        """The different pairs of what two columns say, and which of these each request has."""
        first, second = self._said[one], self._said[two]
        both, codes = np.unique(self._texts[one] * len(second) + self._texts[two], return_inverse=True)
        pairs = zip(*(part.tolist() for part in np.divmod(both, len(second))), strict=True)
        return [(first[a], second[b]) for a, b in pairs], codes

    @property
    def newest_us(self) -> int:
        """The latest time, in microseconds since 1970."""
        return int((self._numbers[Number.SECOND] * 1_000_000 + self._numbers[Number.FRACTION]).max())

    @property
    def days(self) -> set[int]:
        """The days since 1970 that have rows."""
        return set(np.unique(self._numbers[Number.SECOND] // 86_400).tolist())

    def blocks(self, batch: Ids) -> Iterator[bytes]:
        """The rows of `ingest_request`, as COPY (COPY_COLUMNS) takes them in binary."""
        columns = self._columns(batch)
        lacks = sum((columns[name] == 0).astype(np.int64) << bit for bit, name in enumerate(MAY_LACK))
        yield COPY_BEGIN
        for case in np.unique(lacks).tolist():
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
        )[self._spot].T
        facts = np.array(
            [(batch.keys.get(fact.key or "", 0), batch.paths[fact.path], fact.link) for fact in self._facts],
            dtype=np.int64,
        )[self._call].T
        clients = np.array([batch.clients.get(client, 0) for client in said[Column.CLIENT]], dtype=np.int64)
        agents = np.array([batch.agents.get(agent, 0) for agent in said[Column.AGENT]], dtype=np.int64)
        methods = np.array([method_code(method) for method, _ in said[Column.ASKED]], dtype=np.int64)
        return {
            "line_id": self.ids,
            "ts": (numbers[Number.SECOND] - _EPOCH_S) * 1_000_000 + numbers[Number.FRACTION],
            "response_us": numbers[Number.MICROS],
            "bytes": numbers[Number.BYTES],
            **dict(zip(("endpoint_id", "f5_pool_id", "member_id", "status"), spots, strict=True)),
            **dict(zip(("try_key_id", "path_id", "link"), facts, strict=True)),
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
        cells, cell = np.unique(of_spot[self._spot] * length + minutes - low, return_inverse=True)
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
        execution = np.array([fact.is_execution for fact in self._facts], dtype=np.bool_)[self._call]
        where, agents = self._said[Column.WHERE], self._said[Column.AGENT]
        both = np.unique(self._texts[Column.WHERE][execution] * len(agents) + self._texts[Column.AGENT][execution])
        pairs = (divmod(code, len(agents)) for code in both.tolist())
        return {(Virtual(*where[place][:3]), agents[agent]) for place, agent in pairs}

    def parents(self) -> set[tuple[str, str]]:
        """(traceparent without its last part, try key) of all that have both."""
        keys, starts = _Codes({None: 0}), _Codes({"": 0})
        of_call = np.array([keys[fact.key] for fact in self._facts], dtype=np.int64)
        of_text = np.array([starts[text[:_TRACE]] for text in self._said[Column.TRACEPARENT]], dtype=np.int64)
        key, start = of_call[self._call], of_text[self._texts[Column.TRACEPARENT]]
        said, parents = list(keys), list(starts)
        both = np.unique((start * len(said) + key)[(key > 0) & (start > 0)])
        return {(parents[code // len(said)], said[code % len(said)]) for code in both.tolist()}


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
    records = np.empty(int(rows.sum()), dtype=layout)
    records["fields"] = len(SIZES)
    for name, size in SIZES.items():
        records[f"size of {name}"] = _LACKS if name in lacking else size
        if name not in lacking:
            records[name] = columns[name][rows]
    return records.tobytes()
