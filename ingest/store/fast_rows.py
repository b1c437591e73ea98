"""The plain requests of a chunk, as columns: the names they use, their rows for COPY, their minutes, what they teach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol

from ingest.records import method_code
from ingest.store.names import Virtual
from ingest.store.request_facts import Facts, facts_by_uri
from ingest.store.rollups import Minutes

BLOCK_ROWS = 2_000


class Column(IntEnum):
    """The groups of a line. Some texts hold a name beside the value; what they say is in `Lane.checked`."""

    START = 1  # from the time to the client's port
    SECOND = 2
    FRACTION = 3
    WHERE = 4
    CLIENT = 5
    PORT = 6
    SERVER = 7
    MILLIS = 8
    MICROS = 9
    BYTES = 10
    END = 11  # from the method to the URI
    ASKED = 12
    TRACEPARENT = 13
    TASK = 14
    AGENT = 15
    URI = 16


class Ids(Protocol):
    """The ids of the names, and the texts that `request_rows.Batch` makes of them."""

    minutes: Minutes

    @property
    def names(self) -> tuple[Mapping[Any, Any], Mapping[str, int], Mapping[str, int]]:
        """Places, clients and agents."""

    @property
    def links(self) -> Mapping[Facts, str]:
        """Try key, path and link, as text."""


class Lane:
    """Plain requests: one list a column, all of one length."""

    def __init__(
        self,
        ids: list[int],
        columns: Sequence[Sequence[Any]],
        checked: Mapping[Column, Mapping[str, Any]],
        lines_each: int,
    ) -> None:
        self.ids = ids
        self.lines = len(ids) * lines_each
        self._columns = columns
        self._checked = checked
        self.agents = set(checked[Column.AGENT].values())
        self.clients = set(checked[Column.CLIENT].values())
        where, server = checked[Column.WHERE], checked[Column.SERVER]
        self._spots = {
            spot: (*where[spot[0]], *server[spot[1]])
            for spot in set(zip(columns[Column.WHERE], columns[Column.SERVER], strict=True))
        }
        self.places = {spot[:6] for spot in self._spots.values()}  # what the keys of `Batch.places` are
        tasks = checked[Column.TASK]
        self._facts = facts_by_uri(columns[Column.URI], list(map(tasks.__getitem__, columns[Column.TASK])))
        self.facts = set(self._facts)

    @property
    def newest_us(self) -> int:
        """The latest time, in microseconds since 1970."""
        times = zip(self._columns[Column.SECOND], self._columns[Column.FRACTION], strict=True)
        second, fraction = max(times)
        return int(second) * 1_000_000 + int(fraction)

    @property
    def days(self) -> set[int]:
        """The days since 1970 that have rows."""
        return {int(second) // 86_400 for second in set(self._columns[Column.SECOND])}

    def rows(self, batch: Ids, second: Mapping[int, str]) -> Iterator[str]:
        """The rows of `ingest_request`, in the order of REQUEST_COLUMNS."""
        columns, checked, (places, client_ids, agent_ids) = self._columns, self._checked, batch.names
        seconds = {text: second[int(text)] for text in set(columns[Column.SECOND])}
        clients = {text: client_ids[client] for text, client in checked[Column.CLIENT].items()}
        agents = {text: agent_ids[agent] for text, agent in checked[Column.AGENT].items()}
        ends = {text: f"{method_code(asked[0])}\t0\n" for text, asked in checked[Column.ASKED].items()}
        spots = {spot: f"{places[said[:6]].columns}\t{said[6]}" for spot, said in self._spots.items()}
        links = batch.links
        each = zip(
            self.ids,
            *(columns[c] for c in (Column.SECOND, Column.FRACTION, Column.MICROS, Column.BYTES)),
            map(spots.__getitem__, zip(columns[Column.WHERE], columns[Column.SERVER], strict=True)),
            map(links.__getitem__, self._facts),
            *(columns[c] for c in (Column.CLIENT, Column.AGENT, Column.ASKED)),
            strict=True,
        )
        return (
            f"{line_id}\t{seconds[sec]}{fraction}+00\t{us}\t{size}\t{spot}\t{link}\t{clients[client]}\t{agents[agent]}\t"
            f"{ends[asked]}"
            for line_id, sec, fraction, us, size, spot, link, client, agent, asked in each
        )

    def count(self, batch: Ids) -> None:
        """Add the times to the batch's minutes."""
        columns, places = self._columns, batch.names[0]
        minutes = {text: int(text) // 60 for text in set(columns[Column.SECOND])}
        where = {spot: places[said[:6]][1:3] for spot, said in self._spots.items()}
        times: defaultdict[Any, list[int]] = defaultdict(list)
        spots = zip(columns[Column.WHERE], columns[Column.SERVER], strict=True)
        for key, us in zip(
            zip(map(where.__getitem__, spots), map(minutes.__getitem__, columns[Column.SECOND]), strict=True),
            columns[Column.MICROS],
            strict=True,
        ):
            times[key].append(us)
        for ((endpoint_id, member_id), minute), some in times.items():
            batch.minutes.times[endpoint_id, member_id, minute] += some

    def hosts(self) -> set[tuple[Any, str]]:
        """(virtual server, host) of all."""
        where, asked = self._checked[Column.WHERE], self._checked[Column.ASKED]
        both = set(zip(self._columns[Column.WHERE], self._columns[Column.ASKED], strict=True))
        return {(Virtual(*where[place][:3]), asked[what][1]) for place, what in both}

    def calls(self) -> set[tuple[Any, str]]:
        """(virtual server, agent) of all calls of the Execution API."""
        if not any(fact.is_execution for fact in self.facts):
            return set()
        where, agents = self._checked[Column.WHERE], self._checked[Column.AGENT]
        each = zip(self._columns[Column.WHERE], self._columns[Column.AGENT], self._facts, strict=True)
        both = {(place, agent) for place, agent, fact in each if fact.is_execution}
        return {(Virtual(*where[place][:3]), agents[agent]) for place, agent in both}

    def parents(self) -> set[tuple[str, str]]:
        """(traceparent without its last part, try key) of all that have both."""
        starts = [parent[:36] for parent in self._columns[Column.TRACEPARENT]]
        both = set(zip(starts, self._facts, strict=True))
        return {(parent, fact.key) for parent, fact in both if parent and fact.key is not None}
