"""Request lines as rows of the two big tables, in PostgreSQL's text format for COPY: the hot path.

One call formats one batch. What repeats from row to row (place, link, second) is formatted once; no object is made per
row but its text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from ingest.parsers.f5_request_log import trace_id
from ingest.records import MOST_STORED, SLOW_US, method_code, outcome
from ingest.store import names
from ingest.store.fast_rows import TRACE, Lane
from ingest.store.request_facts import Whole, facts_of
from ingest.store.rollups import Minutes

REQUEST_COLUMNS = (
    "line_id, ts, response_us, bytes, endpoint_id, f5_pool_id, member_id, status, try_key_id, path_id, link,"
    " client_id, agent_id, method, outcome"
)
DETAIL_COLUMNS = (
    "line_id, ts, response_line_id, endpoint_id, client_port, uri, host, correlation_id, trace_id, task, raw"
)
BLOCK_ROWS = 2_000
WORKERS_AGENT = "apache-airflow-task-sdk/"
LONGEST_RAW = 64 << 10
_MOST_KEPT = 100_000

_ESCAPES = str.maketrans(
    {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v", "\x00": ""}
)
null = "\\N"


class Messages(Protocol):
    """The device's own message behind a line id."""

    def __getitem__(self, line_id: int, /) -> str: ...


class Place(NamedTuple):
    """Where a request went: the ids, and the three columns as text."""

    columns: str
    endpoint_id: int
    member_id: int  # 0: none
    f5_pool_id: int | None


class _Seconds(dict[int, str]):
    """The first part of a timestamp, by second."""

    def __missing__(self, second: int) -> str:
        if len(self) > _MOST_KEPT:
            self.clear()
        text = self[second] = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}."
        return text


_second = _Seconds()


def timestamp(us: int) -> str:
    """Microseconds since 1970 as PostgreSQL reads them."""
    return f"{_second[us // 1_000_000]}{us % 1_000_000:06d}+00"


def escape(text: str) -> str:
    """Text as a column in the text format of COPY."""
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPES)


def escape_lines(text: str) -> str:
    """The same of a text of several lines."""
    return "\\n".join(map(escape, text.split("\n")))


class Batch:
    """The requests of one batch with every name they use as an id; makes rows, minutes and what is to be learned."""

    def __init__(self, wholes: list[Whole], group_id: int, scope: str = "", lane: Lane | None = None) -> None:
        self.wholes = wholes
        self.lane = lane  # plain requests beside them
        self.scope = scope  # the capture's name, "" for what is live
        self.minutes = Minutes()
        self.bad: list[tuple[Whole, int]] = []  # (request, endpoint id) of those with a detail row
        self.facts = [facts_of(whole[1]) for whole in wholes]
        lines = [whole[1] for whole in wholes]
        wanted = {(line[3], line[4], line[5], line[6], line[9], line[10]) for line in lines}
        facts, agents, clients = set(self.facts), {line[22] for line in lines}, {line[7] for line in lines}
        paths, keys = {fact.path for fact in facts}, {fact.key for fact in facts if fact.key is not None}
        if lane is not None:  # every name is asked for once: the cap on new ones is one for the batch
            wanted |= lane.places
            paths |= lane.paths
            keys |= lane.keys
            agents |= lane.agents
            clients |= lane.clients
        self.endpoints = names.endpoints(group_id, {names.Virtual(*place[:3]) for place in wanted})
        self.places = self._places(group_id, wanted)
        self.paths = names.texts(names.PATH, paths)
        self.agents = names.texts(names.AGENT, agents)
        self.clients = names.texts(names.CLIENT, clients)
        self.keys = names.try_keys(scope, keys)
        self.links = {
            fact: f"{self.keys[fact.key] if fact.key is not None else null}\t{self.paths[fact.path]}\t{fact.link}"
            for fact in facts
        }

    def _places(self, group_id: int, wanted: set[tuple[Any, ...]]) -> dict[Any, Place]:
        # A member belongs to a pool; where the template does not log the pool, to a nameless one of this endpoint
        pool_of = {key: key[3] or (f"pool of {key[0] or key[1]}" if key[4] else "") for key in wanted}
        pools = names.f5_pools(group_id, {name for name in pool_of.values() if name})
        servers = {key: names.Server(pools[pool_of[key]], key[4], key[5]) for key in wanted if key[4]}
        members = names.members(set(servers.values()))
        places = {}
        for key in wanted:
            endpoint_id = self.endpoints[names.Virtual(*key[:3])]
            pool_id, member_id = pools.get(pool_of[key]), members.get(servers[key]) if key in servers else None
            columns = f"{endpoint_id}\t{pool_id or null}\t{member_id or null}"
            places[key] = Place(columns, endpoint_id, member_id or 0, pool_id)
        return places

    def requests(self) -> Iterator[bytes]:
        """The rows of `ingest_request` but the lane's, in blocks; also counts the minutes and gathers `bad`."""
        rows: list[str] = []
        links = self.links
        places, clients, agents, seconds = self.places, self.clients, self.agents, _second
        minutes: defaultdict[tuple[int, int, int], list[int]] = self.minutes.times
        for whole, fact in zip(self.wholes, self.facts, strict=True):
            _, ts, _, name, ip, port, pool, client, _, server, server_port, _, status, us, size, method = whole[1][:16]
            columns, endpoint_id, member_id, _ = places[name, ip, port, pool, server, server_port]
            end = "0\n"
            if status is None or us is None or status >= 400 or us >= SLOW_US or whole[1][23]:
                end = self._not_plain(whole, endpoint_id, member_id)
            else:
                minutes[endpoint_id, member_id, ts // 60_000_000].append(us)
            rows.append(
                f"{whole[0]}\t{seconds[ts // 1_000_000]}{ts % 1_000_000:06d}+00\t{null if us is None else min(us, MOST_STORED)}\t"
                f"{null if size is None else min(size, MOST_STORED)}\t{columns}\t{null if status is None else status}\t"
                f"{links[fact]}\t{clients[client]}\t{agents[whole[1][22]]}\t"
                f"{method_code(method)}\t{end}"
            )
            if len(rows) >= BLOCK_ROWS:
                yield "".join(rows).encode()
                rows.clear()
        yield "".join(rows).encode()

    def _not_plain(self, whole: Whole, endpoint_id: int, member_id: int) -> str:
        line = whole.line
        how = outcome(line.status, line.response_us, answered=line.kind == "response")
        if how > 0 or line.suspect:
            self.bad.append((whole, endpoint_id))
        self.minutes.count((endpoint_id, member_id, line.ts_us // 60_000_000), how, line.response_us)
        return f"{int(how)}\n"

    def details(self, raw: Messages) -> bytes:
        """The rows of `ingest_request_detail` of the bad requests; `raw` holds the messages of their lines."""
        return "".join(self._detail(whole, endpoint_id, raw) for whole, endpoint_id in self.bad).encode(
            "utf-8", "replace"
        )

    @staticmethod
    def _detail(whole: Whole, endpoint_id: int, raw: Messages) -> str:
        line_id, line, response_id = whole
        ids = dict.fromkeys(pk for pk in (line_id, response_id) if pk is not None)
        texts = (
            line.uri,
            line.host,
            line.correlation_id,
            trace_id(line.traceparent) or "",
            line.task,
        )
        messages = escape_lines("\n".join(raw[pk] for pk in ids)[:LONGEST_RAW])
        port = null if line.client_port is None else line.client_port
        start = f"{line_id}\t{timestamp(line.ts_us)}\t{null if response_id is None else response_id}\t{endpoint_id}\t{port}\t"
        return start + "\t".join(map(escape, texts)) + f"\t{messages}\n"

    def learned(self) -> tuple[dict[int, set[str]], set[int], dict[str, int]]:
        """What the lines teach: hosts by endpoint, endpoints of the Execution API, and tries by trace id."""
        hosts: dict[int, set[str]] = defaultdict(set)
        said = {(line[3:6], line[16]) for _, line, _ in self.wholes if not line[23]}
        for virtual, host in said if self.lane is None else said | self.lane.hosts():
            if host:
                hosts[self.endpoints[names.Virtual(*virtual)]].add(host.lower())
        both = zip(self.wholes, self.facts, strict=True)
        calls = {(whole[1][3:6], whole[1][22]) for whole, fact in both if fact.is_execution}
        if self.lane is not None:
            calls |= self.lane.calls()
        execution = {
            self.endpoints[names.Virtual(*virtual)] for virtual, agent in calls if agent.startswith(WORKERS_AGENT)
        }
        both = zip(self.wholes, self.facts, strict=True)
        # Without the last part, which differs from call to call
        parents = {(whole[1][19][:TRACE], fact.key) for whole, fact in both if fact.key is not None and whole[1][19]}
        if self.lane is not None:
            parents |= self.lane.parents()
        traces: dict[str, int] = {}
        for parent, key in sorted(parents):
            trace = trace_id(f"{parent}{'0' * 16}-00") if len(key) == len(parent) == 36 else None
            if trace:
                traces.setdefault(names.scoped_key(self.scope, trace), self.keys[key])
        return hosts, execution, traces
