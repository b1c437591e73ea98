"""The fast lane of the request log: the plain lines of a chunk of airf5/1, checked and cut into columns at once.

Plain is an answer below 400 that was not slow and whose request line stands before it in the chunk, equal to the last
byte in all that both say (a device that logs answers only needs no request line). All other lines are left to the parser
and the pairer; so is what they may touch: a line of the same microsecond, or with the same client, port and URI. Thus
the outcome is that of the careful way alone. `fast_text` looks at the bytes, `fast_rows` makes the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, compress
from operator import add
from typing import Any, NamedTuple

import numpy as np

from ingest.records import SLOW_US, Reject, RequestLine
from ingest.store.fast_rows import Column, Lane, Number
from ingest.store.fast_text import Block, Codes, Flags, Places

Lines = Sequence[tuple[int, bytes]]
Parse = Callable[[str], RequestLine | Reject]

_PIECE = 1_000  # lines: what the cache of a processor holds
_FIELDS = (
    *(
        "airf5",
        "kind",
        "ts",
        "hostname",
        "virtual_name",
        "virtual_ip",
        "virtual_port",
        "pool",
        "client_ip",
        "client_port",
    ),
    *(
        "server_ip",
        "server_port",
        "snat_ip",
        "http_statcode",
        "response_ms",
        "response_us",
        "bytes",
        "http_method",
        "host",
    ),
    *("correlation_id", "traceparent", "task", "xff", "ua", "http_uri"),
)
_PLACE = {name: place for place, name in enumerate(_FIELDS)}
_QUOTES = 2 * len(_FIELDS)
_KIND = b'airf5="1",kind="%s",ts="'
_RESPONSE, _REQUEST = _KIND % b"response", _KIND % b"request"
_STAMP = 27  # letters of the time of receipt that a receiver writes
_LONGEST_SENDER = 64
_HIGHEST_PORT = 99_999  # the parser takes five digits
# The texts of each column: from the value of one field to that of another.
_TEXTS = {
    Column.WHERE: ("virtual_name", "pool"),
    Column.CLIENT: ("client_ip", "client_ip"),
    Column.SERVER: ("server_ip", "http_statcode"),
    Column.ASKED: ("http_method", "host"),
    Column.TRACEPARENT: ("traceparent", "traceparent"),
    Column.TASK: ("task", "task"),
    Column.AGENT: ("ua", "ua"),
    Column.URI: ("http_uri", "http_uri"),
}
_NUMBERS = {
    Number.PORT: "client_port",
    Number.MILLIS: "response_ms",
    Number.MICROS: "response_us",
    Number.BYTES: "bytes",
}


class Taken(NamedTuple):
    """The plain requests, the lines that are left, and those of them that were parsed already, by offset."""

    lane: Lane | None
    left: Lines
    parsed: dict[int, RequestLine | Reject]


def take(
    base: int,
    lines: Lines,
    waiting: Iterable[RequestLine],
    span: tuple[int, int],
    parse: Parse,
    answers_only: bool = False,
) -> Taken:
    """Pick the plain requests of these lines. `base` makes line ids of offsets; no time may lie outside of `span`."""
    chunk = _Chunk(lines, answers_only)
    if not len(chunk.at):
        return Taken(None, lines, {})
    chunk.refuse_what_is_not_plain(span)
    waiting = list(waiting)
    parsed: dict[int, RequestLine | Reject] = {}
    chunk.refuse_times(_others(chunk.left(), parsed, parse, waiting))
    chunk.refuse_calls(_others(chunk.left(), parsed, parse, waiting))
    return Taken(chunk.lane(base), chunk.left(), parsed)


def _others(left: Lines, parsed: dict[int, RequestLine | Reject], parse: Parse, waiting: list[RequestLine]) -> Any:
    """The lines that the pairer will see."""
    for offset, raw in left:
        if offset not in parsed:
            parsed[offset] = parse(raw.decode("utf-8", "replace"))
    return [*waiting, *(line for line in parsed.values() if isinstance(line, RequestLine))]


class _Piece:
    """Some lines: which of them are answers of the template, their columns, and what each line says of its request."""

    def __init__(self, lines: Sequence[bytes], codes: dict[Column, Codes], paired: bool) -> None:
        text = b"".join(lines)
        if not text.isascii() or b"\0" in text:
            lines = [raw if raw.isascii() and b"\0" not in raw else b"" for raw in lines]
        self._block = block = Block(lines)
        places, first, count = block.quotes()
        self.requests = self._requests(places, first, count) if paired else {}
        rows = np.flatnonzero(count == _QUOTES)
        quotes = places[first[rows] + np.arange(_QUOTES)[:, None]]
        good = self._begins(rows, quotes[0], _RESPONSE) & (quotes[-1] == block.ends[rows] - 1)
        for place in range(_PLACE["hostname"], len(_FIELDS)):
            literal = b'",%s="' % _FIELDS[place].encode()
            before = quotes[2 * place - 1]
            good &= (quotes[2 * place] - before == len(literal) - 1) & block.says(before, literal)
        self.at: Places = rows[good]
        self._quotes = quotes[:, good]
        self.asked = self._asked() if paired else []
        self.numbers, self.plain = self._numbers()
        self.texts = {
            column: np.fromiter(map(codes[column].__getitem__, self._texts(*names)), np.int64, len(self.at))
            for column, names in _TEXTS.items()
        }

    def _begins(self, rows: Places, first_quote: Places, literal: bytes) -> Flags:
        """Whether these lines begin as the template does, bare or after a time of receipt and a sender."""
        block, begin = self._block, first_quote - literal.index(b'"')
        start = block.starts[rows]
        sender, end = start + _STAMP + 1, begin - 1
        spooled = (end > sender) & (end - sender <= _LONGEST_SENDER)
        spooled &= block.is_blank(np.minimum(sender, begin) - 1) & block.is_blank(end)
        end = np.where(spooled, end, sender)
        spooled &= ~block.has_blank(start, start + _STAMP) & ~block.has_blank(sender, end)
        return block.says(begin, literal) & ((begin == start) | spooled)

    def _requests(self, places: Places, first: Places, count: Places) -> dict[int, bytes]:
        """All that each request line says from its time on, by line."""
        rows = np.flatnonzero(count > 0)
        quote = places[first[rows]]
        good = self._begins(rows, quote, _REQUEST)
        rows, start = rows[good], quote[good] - _REQUEST.index(b'"') + _REQUEST.index(b'ts="')
        return dict(zip(rows.tolist(), self._block.texts(start, self._block.ends[rows]), strict=True))

    def _asked(self) -> list[bytes]:
        """All that each answer repeats of its request line."""
        opened, closed = self._quotes[::2], self._quotes[1::2]
        heads = self._block.texts(opened[_PLACE["ts"]] - len("ts="), closed[_PLACE["client_port"]] + len('",'))
        asked = opened[_PLACE["http_method"]] - len("http_method=")
        return list(map(add, heads, self._block.texts(asked, self._block.ends[self.at])))

    def _texts(self, first: str, last: str) -> Iterator[bytes]:
        opened, closed = self._quotes[2 * _PLACE[first]], self._quotes[2 * _PLACE[last] + 1]
        return self._block.texts(opened + 1, closed)

    def _numbers(self) -> tuple[dict[Number, Places], Flags]:
        """The columns of numbers, and whether all that should be a number is one."""
        block, opened, closed = self._block, self._quotes[::2], self._quotes[1::2]
        found: dict[Number, Places] = {}
        time, end = opened[_PLACE["ts"]] + 1, closed[_PLACE["ts"]]
        high, one = block.numbers(time, time + 8)
        low, two = block.numbers(time + 8, time + 10)
        found[Number.SECOND] = high * 100 + low
        found[Number.FRACTION], three = block.numbers(time + 11, time + 17)
        plain = (end - time == 17) & block.is_point(time + 10) & one & two & three
        for column, name in _NUMBERS.items():
            found[column], good = block.numbers(opened[_PLACE[name]] + 1, closed[_PLACE[name]])
            plain &= good
        return found, plain & (found[Number.PORT] <= _HIGHEST_PORT)


class _Chunk:
    """The answers among the lines of one chunk; each is plain until it is refused."""

    def __init__(self, lines: Lines, answers_only: bool) -> None:
        self._lines = lines
        self._per_request = 1 if answers_only else 2
        codes = {column: Codes() for column in Column}
        raws = [raw for _, raw in lines]
        starts = range(0, len(raws), _PIECE)
        pieces = [_Piece(raws[start : start + _PIECE], codes, not answers_only) for start in starts]
        self.at: Places = np.concatenate([piece.at + start for piece, start in zip(pieces, starts, strict=True)])
        self._plain: Flags = np.concatenate([piece.plain for piece in pieces])
        self._numbers = {number: np.concatenate([piece.numbers[number] for piece in pieces]) for number in Number}
        self._texts = {column: np.concatenate([piece.texts[column] for piece in pieces]) for column in Column}
        self._said = {column: list(map(_READ[column], codes[column])) for column in Column}
        self._asked = self.at if answers_only else self._pair(pieces, starts)

    def _pair(self, pieces: Sequence[_Piece], starts: Sequence[int]) -> Places:
        """The request line of each answer, -1 for none: it stands before the answer and says the same, once."""
        requests: dict[bytes, int] = {}
        twice = []
        for piece, start in zip(pieces, starts, strict=True):
            for place, tail in piece.requests.items():
                if requests.setdefault(tail, start + place) != start + place:
                    twice.append(tail)
        for tail in twice:
            requests[tail] = -1
        asked = chain.from_iterable(piece.asked for piece in pieces)
        found = np.fromiter((requests.get(tail, -1) for tail in asked), np.int64, len(self.at))
        found[found > self.at] = -1
        self._plain &= found >= 0
        return found

    def refuse_what_is_not_plain(self, span: tuple[int, int]) -> None:
        """Refuse what failed, was slow, is out of time, or has a text that is not as the template has it."""
        for column in (Column.WHERE, Column.SERVER):
            good = np.fromiter((said is not None for said in self._said[column]), np.bool_, len(self._said[column]))
            self._plain &= good[self._texts[column]]
        # As the parser: only the ms are whole, or the us are a mere fraction
        took, whole = self._numbers[Number.MICROS], self._numbers[Number.MILLIS] * 1_000
        self._numbers[Number.MICROS] = took = np.where(took + 1_000 <= whole, whole, took)
        low, high = span[0] // 1_000_000 + 1, span[1] // 1_000_000 - 1
        seconds = self._numbers[Number.SECOND]
        self._plain &= (took < SLOW_US) & (seconds >= low) & (seconds <= high)

    def refuse_times(self, others: list[RequestLine]) -> None:
        """Refuse what shares its microsecond with another line: that may be the same request, or say it again."""
        times = self._numbers[Number.SECOND] * 1_000_000 + self._numbers[Number.FRACTION]
        there, places, often = np.unique(times, return_inverse=True, return_counts=True)
        taken = np.isin(there, [line.ts_us for line in others]) | (often > 1)
        self._plain &= ~taken[places]

    def refuse_calls(self, others: list[RequestLine]) -> None:
        """Refuse what the pairer could match with another line, whose time differs: the same client, port and URI."""
        calls = {(line.client_ip, line.client_port, line.uri) for line in others}
        uris = {uri for _, _, uri in calls}
        said = self._said[Column.URI]
        near = np.fromiter((uri in uris for uri in said), np.bool_, len(said))[self._texts[Column.URI]]
        clients, ports = self._said[Column.CLIENT], self._numbers[Number.PORT]
        for place in np.flatnonzero(near & self._plain).tolist():
            client, uri = clients[self._texts[Column.CLIENT][place]], said[self._texts[Column.URI][place]]
            if (client, int(ports[place]), uri) in calls:
                self._plain[place] = False

    def left(self) -> Lines:
        """The lines that belong to no plain request."""
        used = np.zeros(len(self._lines), dtype=np.bool_)
        used[self.at[self._plain]] = True
        used[self._asked[self._plain]] = True
        return list(compress(self._lines, (~used).tolist()))

    def lane(self, base: int) -> Lane | None:
        """The plain requests."""
        plain = self._plain
        if not plain.any():
            return None
        ids = np.fromiter((self._lines[place][0] for place in self._asked[plain].tolist()), np.int64) | base
        numbers = {number: column[plain] for number, column in self._numbers.items()}
        texts = {column: codes[plain] for column, codes in self._texts.items()}
        return Lane(ids, numbers, texts, self._said, self._per_request)


def _text(raw: bytes) -> str:
    return raw.decode("ascii")


def _where(raw: bytes) -> tuple[str, str, int | None, str] | None:
    name, _, address, _, port, _, pool = _text(raw).split('"')
    return (name, address, int(port) if port else None, pool) if _is_port(port) else None


def _server(raw: bytes) -> tuple[str, int | None, int] | None:
    address, _, port, _, _, _, status = _text(raw).split('"')
    good = _is_port(port) and len(status) == 3 and status.isdigit() and status[0] in "123"
    return (address, int(port) if port else None, int(status)) if good else None


def _is_port(text: str) -> bool:
    return len(text) <= 5 and (text.isdigit() or not text)


def _asked(raw: bytes) -> tuple[str, str]:
    method, _, host = _text(raw).split('"')
    return method, host


_READ: dict[Column, Callable[[bytes], Any]] = dict.fromkeys(Column, _text)
_READ |= {Column.WHERE: _where, Column.SERVER: _server, Column.ASKED: _asked}
