"""The fast lane of the request log: the plain lines of a chunk of airf5/1, checked and cut into columns at once.

Plain is an answer below 400 that was not slow and whose request line stands before it in the chunk, equal to the last
byte in all that both say (a device that logs answers only needs no request line). All other lines are left to the parser
and the pairer; so is what they may touch: a line of the same microsecond, or with the same client, port and URI. Thus
the outcome is that of the careful way alone. `fast_text` looks at the bytes, `fast_rows` makes the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ingest.lines import Lines
from ingest.parsers.f5_request_kv import ORDER
from ingest.records import SLOW_US, Reject, RequestLine
from ingest.store.fast_rows import Column, Lane, Number
from ingest.store.fast_text import LONGEST, Block, Flags, Places, Spans

Parse = Callable[[str], RequestLine | Reject]

_PIECE = 16_000  # lines
_PLACE = {name: place for place, name in enumerate(ORDER)}
_QUOTES = 2 * len(ORDER)
_QUOTES_ASKED = _QUOTES - 2 * (_PLACE["http_method"] - _PLACE["client_port"] - 1)  # without what only an answer says
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
    chunk: Columns,
    waiting: Iterable[RequestLine],
    span: tuple[int, int],
    parse: Parse,
) -> Taken:
    """Pick the plain requests of these lines. `base` makes line ids of offsets; no time may lie outside of `span`."""
    if not chunk.answers:
        return Taken(None, chunk.lines, {})
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
    """Some lines: which of them are answers and requests of the template, and their columns."""

    def __init__(self, block: Block, starts: Places, ends: Places, paired: bool) -> None:
        self._block, self._starts, self._ends = block, starts, ends
        places = block.quotes(int(starts[0]), int(ends[-1]))
        begin = np.searchsorted(places, starts)
        count = np.searchsorted(places, ends) - begin
        rows = np.flatnonzero(count == _QUOTES)
        quotes = places[begin[rows] + np.arange(_QUOTES)[:, None]]
        good = self._begins(rows, quotes[0], _RESPONSE) & (quotes[-1] == ends[rows] - 1)
        for place in range(_PLACE["hostname"], len(ORDER)):
            literal = b'",%s="' % ORDER[place].encode()
            before = quotes[2 * place - 1]
            good &= (quotes[2 * place] - before == len(literal) - 1) & block.says(before, literal)
        self.at: Places = rows[good]
        quotes = quotes[:, good]
        opened, closed = quotes[::2], quotes[1::2]
        self.numbers, self.plain = self._numbers(opened, closed)
        self.texts = {
            column: Spans(opened[_PLACE[first]] + 1, closed[_PLACE[last]]) for column, (first, last) in _TEXTS.items()
        }
        self.hashes = {column: block.hashes(texts) for column, texts in self.texts.items()}
        head = Spans(opened[_PLACE["ts"]] - len("ts="), closed[_PLACE["client_port"]] + len('",'))
        asked = Spans(opened[_PLACE["http_method"]] - len("http_method="), ends[self.at])
        self.answers = _Halves(self.at, _key_of(self.numbers), head, asked)
        self.requests = self._requests(places, begin, count) if paired else None

    def _begins(self, rows: Places, first_quote: Places, literal: bytes) -> Flags:
        """Whether these lines begin as the template does, bare or after a time of receipt and a sender."""
        block, begin = self._block, first_quote - literal.index(b'"')
        start = self._starts[rows]
        sender, end = start + _STAMP + 1, begin - 1
        spooled = (end > sender) & (end - sender <= _LONGEST_SENDER)
        spooled &= block.letter(np.minimum(sender, begin) - 1, " ") & block.letter(end, " ")
        end = np.where(spooled, end, sender)
        spooled &= ~block.has_blank(start, start + _STAMP) & ~block.has_blank(sender, end)
        good: Flags = block.says(begin, literal) & ((begin == start) | spooled)
        return good

    def _requests(self, places: Places, first: Places, count: Places) -> _Halves:
        """The request lines: what they say is the same text twice cut, so that an answer can be set beside it."""
        rows = np.flatnonzero(count == _QUOTES_ASKED)
        quotes = places[first[rows]]
        good = self._begins(rows, quotes, _REQUEST)
        rows, quotes = rows[good], first[rows[good]]
        begin = places[quotes] - _REQUEST.index(b'"') + _REQUEST.index(b'ts="')
        port = 2 * _PLACE["client_port"]
        found, good = self._time_and_port(
            (begin + len('ts="'), places[quotes + 5]), (places[quotes + port] + 1, places[quotes + port + 1])
        )
        middle = places[quotes + port + 1] + len('",')
        halves = _Halves(rows, _key_of(found), Spans(begin, middle), Spans(middle, self._ends[rows]))
        return halves.of(np.flatnonzero(good))

    def _time_and_port(
        self, time: tuple[Places, Places], port: tuple[Places, Places]
    ) -> tuple[dict[Number, Places], Flags]:
        block, (start, end) = self._block, time
        found: dict[Number, Places] = {}
        high, one = block.numbers(start, start + 8)
        low, two = block.numbers(start + 8, start + 10)
        found[Number.SECOND] = high * 100 + low
        found[Number.FRACTION], three = block.numbers(start + 11, start + 17)
        found[Number.PORT], four = block.numbers(*port)
        good = (end - start == 17) & block.letter(start + 10, ".") & one & two & three & four
        return found, good & (found[Number.PORT] <= _HIGHEST_PORT)

    def _numbers(self, opened: Places, closed: Places) -> tuple[dict[Number, Places], Flags]:
        """The columns of numbers, and whether all that should be a number is one."""

        def value(name: str) -> tuple[Places, Places]:
            return opened[_PLACE[name]] + 1, closed[_PLACE[name]]

        found, plain = self._time_and_port(value("ts"), value("client_port"))
        for column, name in _NUMBERS.items():
            found[column], good = self._block.numbers(*value(name))
            plain &= good
        return found, plain


class _Halves(NamedTuple):
    """Lines of one kind: their places among the lines, a key of time and port, and two texts that both halves have."""

    at: Places
    key: Places
    head: Spans  # from the time to the client's port
    asked: Spans  # from the method on

    def of(self, rows: Places) -> _Halves:
        return _Halves(self.at[rows], self.key[rows], self.head.of(rows), self.asked.of(rows))


def _key_of(numbers: dict[Number, Places]) -> Places:
    return (numbers[Number.SECOND] * 1_000_000 + numbers[Number.FRACTION] << 10) ^ numbers[Number.PORT]


class Columns:
    """The answers among the lines of one chunk; each is plain until it is refused."""

    def __init__(self, lines: Lines, answers_only: bool) -> None:
        self.lines = lines
        self._per_request = 1 if answers_only else 2
        self._block = block = Block(lines.text)
        starts, ends = block.places(lines.starts), block.places(lines.ends)
        ends -= (ends > starts) & block.letter(ends - 1, "\r")
        foreign = np.searchsorted(starts, block.foreign(), side="right") - 1
        ends[foreign] = starts[foreign]  # so that such a line has no quotes
        ends = np.where(ends - starts > LONGEST, starts, ends)
        cuts = range(0, len(lines), _PIECE)
        pieces = [_Piece(block, starts[cut : cut + _PIECE], ends[cut : cut + _PIECE], not answers_only) for cut in cuts]
        self._at: Places = np.concatenate([piece.at + cut for piece, cut in zip(pieces, cuts, strict=True)])
        self.answers = len(self._at)
        self._plain: Flags = np.concatenate([piece.plain for piece in pieces])
        self._numbers = {number: np.concatenate([piece.numbers[number] for piece in pieces]) for number in Number}
        self._codes: dict[Column, Places] = {}
        self._said: dict[Column, list[Any]] = {}
        for column in Column:
            hashes = np.concatenate([piece.hashes[column] for piece in pieces])
            said, self._codes[column], sure = block.coded(_spans([piece.texts[column] for piece in pieces]), hashes)
            self._said[column] = list(map(_READ[column], said))
            self._plain &= sure
        self._asked = self._at if answers_only else self._pair(pieces, cuts)

    def _pair(self, pieces: Sequence[_Piece], cuts: Sequence[int]) -> Places:
        """The request line of each answer, -1 for none: it stands before the answer and says the same."""
        answers = _together([piece.answers for piece in pieces], cuts)
        requests = _together([piece.requests for piece in pieces if piece.requests is not None], cuts)
        asked = np.full(len(answers.at), -1)
        if not len(requests.at):
            self._plain[:] = False
            return asked
        order = np.argsort(requests.key, kind="stable")
        keys = requests.key[order]
        place = np.minimum(np.searchsorted(keys, answers.key), len(keys) - 1)
        again = np.minimum(place + 1, len(keys) - 1)
        good = (keys[place] == answers.key) & ((again == place) | (keys[again] != answers.key))
        found = order[place]
        good &= requests.at[found] < answers.at
        rows, found = np.flatnonzero(good), found[good]
        mine, theirs = answers.of(rows), requests.of(found)
        same = self._block.same(mine.head, theirs.head) & self._block.same(mine.asked, theirs.asked)
        asked[rows[same]] = requests.at[found[same]]
        self._plain &= asked >= 0
        return asked

    def refuse_what_is_not_plain(self, span: tuple[int, int]) -> None:
        """Refuse what failed, was slow, is out of time, or has a text that is not as the template has it."""
        for column in (Column.WHERE, Column.SERVER):
            good = np.fromiter((said is not None for said in self._said[column]), np.bool_, len(self._said[column]))
            self._plain &= good[self._codes[column]]
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
        near = np.fromiter((uri in uris for uri in said), np.bool_, len(said))[self._codes[Column.URI]]
        clients, ports = self._said[Column.CLIENT], self._numbers[Number.PORT]
        for place in np.flatnonzero(near & self._plain).tolist():
            client, uri = clients[self._codes[Column.CLIENT][place]], said[self._codes[Column.URI][place]]
            if (client, int(ports[place]), uri) in calls:
                self._plain[place] = False

    def left(self) -> Lines:
        """The lines that belong to no plain request."""
        used = np.zeros(len(self.lines), dtype=np.bool_)
        used[self._at[self._plain]] = True
        used[self._asked[self._plain]] = True
        return self.lines.chosen(~used)

    def lane(self, base: int) -> Lane | None:
        """The plain requests."""
        plain = self._plain
        if not plain.any():
            return None
        ids = self.lines.offsets[self._asked[plain]] | base
        numbers = {number: column[plain] for number, column in self._numbers.items()}
        codes = {column: column_codes[plain] for column, column_codes in self._codes.items()}
        return Lane(ids, numbers, codes, self._said, self._per_request)


def _spans(parts: Sequence[Spans]) -> Spans:
    return Spans(*map(np.concatenate, zip(*parts, strict=True)))


def _together(parts: Sequence[_Halves], cuts: Sequence[int]) -> _Halves:
    """The halves of all pieces; their places count from the first line of the chunk."""
    at = np.concatenate([part.at + cut for part, cut in zip(parts, cuts, strict=True)])
    key = np.concatenate([part.key for part in parts])
    return _Halves(at, key, _spans([part.head for part in parts]), _spans([part.asked for part in parts]))


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
