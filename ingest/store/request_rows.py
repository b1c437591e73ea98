"""Request lines as rows of the two big tables, in PostgreSQL's text format for COPY: the hot path.

One call formats one batch. What repeats from row to row (place, link, second) is formatted once; no object is made per
row but its text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from ingest.pairing import Pair
from ingest.parsers.f5_request_log import link_key, path_template, trace_id
from ingest.records import SLOW_US, Link, RequestLine, outcome
from ingest.store import names
from ingest.store.rollups import Minutes

REQUEST_COLUMNS = (
    "line_id, ts, response_us, bytes, endpoint_id, f5_pool_id, member_id, try_key_id, path_id, link, client_id,"
    " agent_id, client_port, status, method, outcome, suspect"
)
DETAIL_COLUMNS = "line_id, ts, response_line_id, endpoint_id, uri, host, correlation_id, trace_id, task, raw"
BLOCK_ROWS = 2_000
LONGEST_RAW = 64 << 10
_MOST_KEPT = 100_000

_ESCAPES = str.maketrans(
    {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v", "\x00": ""}
)
null = "\\N"
# What lies at these places of a RequestLine is the same in both lines of a request, where both templates log it.
_TARGET, _ASKED = slice(2, 9), slice(15, 24)


class _Methods(dict[str, str]):
    """The client writes the method: cut to the column, escaped, and not kept beyond what is usual."""

    def __missing__(self, method: str) -> str:
        text = escape(method[:10].encode("utf-8", "replace").decode())
        if len(self) < 1_000:
            self[method] = text
        return text


_method = _Methods()


class Messages(Protocol):
    """The device's own message behind a line id."""

    def __getitem__(self, line_id: int, /) -> str: ...


class Whole(NamedTuple):
    """One request, ready to be stored: its identity, its merged line, and the line id of its response."""

    line_id: int
    line: RequestLine
    response_line_id: int | None


class Facts(NamedTuple):
    """What a URI and a task header say, whoever sent them."""

    path: str
    link: int
    key: str | None
    is_execution: bool


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
_facts: dict[tuple[str, str], Facts] = {}


def timestamp(us: int) -> str:
    """Microseconds since 1970 as PostgreSQL reads them."""
    return f"{_second[us // 1_000_000]}{us % 1_000_000:06d}+00"


def escape(text: str) -> str:
    """Text as a column in the text format of COPY."""
    return text.translate(_ESCAPES)


def merged(pair: Pair) -> Whole:
    """The two lines of one request as one, each field from the line that has it; the time is the request's."""
    request, response, request_id, response_id = pair
    if request is None or response is None:
        line_id = request_id if request_id is not None else response_id
        return Whole(line_id, request or response, response_id)  # type: ignore[arg-type]  # one of them is there
    if request[1] == response[1] and request[_ASKED] == response[_ASKED] and request[_TARGET] == response[_TARGET]:
        return Whole(request_id, response, response_id)  # type: ignore[arg-type]
    fields = [mine if mine not in ("", None) else other for mine, other in zip(response, request, strict=True)]
    line = RequestLine(*fields)._replace(ts_us=request.ts_us, suspect=request.suspect or response.suspect)
    # Two keys that differ: somebody wrote one of them into a line that is not his
    if {link_key(one) for one in (request, response)} - {None} != {link_key(line)} - {None}:
        line = line._replace(suspect=True)
    return Whole(request_id, line, response_id)  # type: ignore[arg-type]


def facts_of(line: RequestLine) -> Facts:
    """Path and link of a line; kept, because URIs repeat. A suspect line has the path alone."""
    if line.suspect:
        return Facts(path_template(line.uri), Link.NONE, None, False)
    found = _facts.get((line.uri, line.task))
    if found is None:
        kind, key = link_key(line) or (Link.NONE, None)
        if len(_facts) > _MOST_KEPT:
            _facts.clear()
        found = Facts(path_template(line.uri), int(kind), key, line.uri.startswith("/execution/"))
        _facts[line.uri, line.task] = found
    return found


class Batch:
    """The requests of one batch with every name they use as an id; makes rows, minutes and what is to be learned."""

    def __init__(self, wholes: list[Whole], group_id: int, scope: str = "") -> None:
        self.wholes = wholes
        self.scope = scope  # the capture's name, "" for what is live
        self.minutes = Minutes()
        self.bad: list[tuple[Whole, int]] = []  # (request, endpoint id) of those with a detail row
        self.facts = [facts_of(whole[1]) for whole in wholes]
        lines = [whole[1] for whole in wholes]
        self.endpoints = names.endpoints(group_id, {names.Virtual(*line[3:6]) for line in lines})
        self.places = self._places(group_id, lines)
        self.paths = names.texts(names.PATH, {fact[0] for fact in self.facts})
        self.agents = names.texts(names.AGENT, {line[22] for line in lines})
        self.clients = names.texts(names.CLIENT, {line[7] for line in lines})
        self.keys = names.try_keys(scope, {fact[2] for fact in self.facts if fact[2] is not None})

    def _places(self, group_id: int, lines: list[RequestLine]) -> dict[tuple[object, ...], Place]:
        wanted = {(line[3], line[4], line[5], line[6], line[9], line[10]) for line in lines}
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
        """The rows of `ingest_request`, in blocks; also counts the minutes and gathers `bad`."""
        rows: list[str] = []
        links = self._links()
        places, clients, agents, seconds = self.places, self.clients, self.agents, _second
        minutes: defaultdict[tuple[int, int, int], list[int]] = self.minutes.times
        for whole, fact in zip(self.wholes, self.facts, strict=True):
            (_, ts, _, name, ip, port, pool, client, client_port, server, server_port, _, status, us, size, method) = (
                whole[1][:16]
            )
            columns, endpoint_id, member_id, _ = places[name, ip, port, pool, server, server_port]
            end = "0\tf\n"
            if status is None or us is None or status >= 400 or us >= SLOW_US or whole[1][23]:
                end = self._not_plain(whole, endpoint_id, member_id)
            else:
                minutes[endpoint_id, member_id, ts // 60_000_000].append(us)
            rows.append(
                f"{whole[0]}\t{seconds[ts // 1_000_000]}{ts % 1_000_000:06d}+00\t{null if us is None else us}\t"
                f"{null if size is None else size}\t{columns}\t{links[fact]}\t{clients[client]}\t{agents[whole[1][22]]}\t"
                f"{null if client_port is None else client_port}\t{null if status is None else status}\t"
                f"{_method[method]}\t{end}"
            )
            if len(rows) >= BLOCK_ROWS:
                yield "".join(rows).encode()
                rows.clear()
        yield "".join(rows).encode()

    def _links(self) -> dict[Facts, str]:
        """Try key, path and link as text, for each of the batch's facts."""
        paths, keys = self.paths, self.keys
        return {
            fact: f"{keys[fact[2]] if fact[2] is not None else null}\t{paths[fact[0]]}\t{fact[1]}"
            for fact in set(self.facts)
        }

    def _not_plain(self, whole: Whole, endpoint_id: int, member_id: int) -> str:
        line = whole.line
        how = outcome(line.status, line.response_us, answered=line.kind == "response")
        if how > 0 or line.suspect:
            self.bad.append((whole, endpoint_id))
        self.minutes.count((endpoint_id, member_id, line.ts_us // 60_000_000), how, line.response_us)
        return f"{int(how)}\t{'t' if line.suspect else 'f'}\n"

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
            "\n".join(raw[pk] for pk in ids),
        )
        start = f"{line_id}\t{timestamp(line.ts_us)}\t{null if response_id is None else response_id}\t{endpoint_id}\t"
        return start + "\t".join(escape(text[:LONGEST_RAW]) for text in texts) + "\n"

    def learned(self) -> tuple[dict[int, set[str]], set[int], dict[str, int]]:
        """What the lines teach: hosts by endpoint, endpoints of the Execution API, and tries by trace id."""
        hosts: dict[int, set[str]] = defaultdict(set)
        for virtual, host in {(names.Virtual(*line[3:6]), line[16]) for _, line, _ in self.wholes if not line[23]}:
            if host:
                hosts[self.endpoints[virtual]].add(host.lower())
        execution: set[int] = set()
        traces: dict[str, int] = {}
        for whole, fact in zip(self.wholes, self.facts, strict=True):
            line = whole[1]
            if fact[3] and line[22].startswith("apache-airflow-task-sdk/"):
                execution.add(self.endpoints[names.Virtual(*line[3:6])])
            if line[19] and fact[2] is not None and len(fact[2]) == 36:
                trace = trace_id(line[19])
                if trace:
                    traces.setdefault(names.scoped_key(self.scope, trace), self.keys[fact[2]])
        return hosts, execution, traces
