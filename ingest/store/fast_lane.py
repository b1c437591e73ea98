"""The fast lane of the request log: the plain lines of a chunk of airf5/1, checked and cut into columns at once.

Plain is an answer whose request line stands before it in the chunk, equal to the last byte in all that both say (a device
that logs answers only needs no request line). All other lines are left to the parser and the pairer; so is what they may
touch: a line of the same microsecond, or with the same client, port and URI. Thus the outcome is that of the careful way
alone. Of what is plain, the few that failed or were slow are parsed too, for they get a row in words; nobody needs to
look for their other half. `fast_text` looks at the bytes, `fast_rows` makes the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from ingest.lines import Lines
from ingest.parsers.f5_request_kv import ORDER
from ingest.records import SLOW_US, Reject, RequestLine
from ingest.store.fast_rows import TRACE, Column, Lane, Number
from ingest.store.fast_said import FIELDS, PLACE, READ
from ingest.store.fast_text import LONGEST, Block, Flags, Places, Spans
from ingest.store.request_facts import CALL, MOST_VERB, VERB, Whole

Parse = Callable[[str], RequestLine | Reject]

_PIECE = 8_000  # lines
_QUOTES = 2 * len(ORDER)
_QUOTES_ASKED = _QUOTES - 2 * (PLACE["http_method"] - PLACE["client_port"] - 1)  # without what only an answer says
_KIND = b'airf5="1",kind="%s",ts="'
_RESPONSE, _REQUEST = _KIND % b"response", _KIND % b"request"
_STAMP = 27  # letters of the time of receipt that a receiver writes
_LONGEST_SENDER = 64
_HIGHEST_PORT = 99_999  # the parser takes five digits
_MOST_PATH = 512  # bytes of a URI in which the beginning of its query is looked for
_UUID = 36
_LITERALS = {name: b'",%s="' % name.encode() for name in ORDER}
_NUMBERS = {
    Number.PORT: "client_port",
    Number.MILLIS: "response_ms",
    Number.MICROS: "response_us",
    Number.BYTES: "bytes",
}
_INSIDE = {
    name
    for first, last in FIELDS.values()
    for name in ORDER[PLACE[first] + 1 : PLACE[last] + 1]  # what stands between these is looked at once a text
}
_BEFORE = np.array([len(_LITERALS[name]) - 1 for name in ORDER[PLACE["hostname"] :]])


class Taken(NamedTuple):
    """The plain requests, those of them that did not go well with their lines, and the lines that are left."""

    lane: Lane | None
    failed: list[Whole]
    raw: dict[int, bytes]  # the lines of the failed, by their ids
    left: Lines
    parsed: dict[int, RequestLine | Reject]  # what was parsed of these already, by offset


def take(
    base: int,
    chunk: Columns,
    waiting: Iterable[RequestLine],
    span: tuple[int, int],
    parse: Parse,
) -> Taken:
    """Pick the plain requests of these lines. `base` makes line ids of offsets; no time may lie outside of `span`."""
    if not chunk.answers:
        return Taken(None, [], {}, chunk.lines, {})
    chunk.refuse_what_is_not_plain(span)
    waiting = list(waiting)
    parsed: dict[int, RequestLine | Reject] = {}
    chunk.refuse_times(_others(chunk.left(), parsed, parse, waiting))
    chunk.refuse_calls(_others(chunk.left(), parsed, parse, waiting))
    return Taken(chunk.lane(base), *chunk.failed(base, parse), chunk.left(), parsed)


def _others(
    left: Lines, parsed: dict[int, RequestLine | Reject], parse: Parse, waiting: list[RequestLine]
) -> list[RequestLine]:
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
        self.at, quotes = self._answers(places, begin, count)
        opened, closed = quotes[::2], quotes[1::2]
        self.numbers, self.plain = self._numbers(opened, closed)
        texts = {
            column: Spans(opened[PLACE[first]] + 1, closed[PLACE[last]]) for column, (first, last) in FIELDS.items()
        }
        # Of what differs from call to call as little as possible: each different text costs much more than its copies
        start, end = texts[Column.TRACEPARENT]
        texts[Column.TRACEPARENT] = Spans(start, np.minimum(end, start + TRACE))
        self.uri = Spans(opened[PLACE["http_uri"]] + 1, closed[PLACE["http_uri"]])
        self.calls, texts[Column.UUID], texts[Column.PATH] = self._paths()
        self.texts = texts
        self.codes = {column: block.coded(spans) for column, spans in texts.items()}
        head = Spans(opened[PLACE["ts"]] - len("ts="), closed[PLACE["client_port"]] + len('",'))
        asked = Spans(opened[PLACE["http_method"]] - len("http_method="), ends[self.at])
        self.answers = _Halves(self.at, _key_of(self.numbers), head, asked)
        self.requests = self._requests(places, begin, count) if paired else None

    def _answers(self, places: Places, begin: Places, count: Places) -> tuple[Places, Places]:
        """The lines with the template of an answer, and the places of their quotes, quote by quote."""
        rows = np.flatnonzero(count == _QUOTES)
        quotes = _neighbours(places, begin[rows], _QUOTES)
        first = PLACE["hostname"]
        good = (quotes[2 * first :: 2] - quotes[2 * first - 1 : -1 : 2] == _BEFORE[:, None]).all(axis=0)
        good &= quotes[-1] == self._ends[rows] - 1
        if not good.all():
            rows, quotes = rows[good], quotes[:, good]
        good = self._begins(rows, quotes[0], _RESPONSE)
        for name in ORDER[first:]:
            if name not in _INSIDE:
                good &= self._block.says(quotes[2 * PLACE[name] - 1], _LITERALS[name])
        return (rows, quotes) if good.all() else (rows[good], quotes[:, good])

    def _begins(self, rows: Places, first_quote: Places, literal: bytes) -> Flags:
        """Whether these lines begin as the template does, bare or after a time of receipt and a sender."""
        block, begin = self._block, first_quote - literal.index(b'"')
        start = self._starts[rows]
        sender, end = start + _STAMP + 1, begin - 1
        spooled = (end > sender) & (end - sender <= _LONGEST_SENDER)
        spooled &= block.letter(np.minimum(sender, begin) - 1, " ") & block.letter(end, " ")
        end = np.where(spooled, end, sender)
        spooled &= ~block.has_blank_in(start, _STAMP) & ~block.has_blank(Spans(sender, end))
        good: Flags = block.says(begin, literal) & ((begin == start) | spooled)
        return good

    def _paths(self) -> tuple[Flags, Spans, Spans]:
        """Which URIs are calls that name a try, the UUIDs of these, and what the path of each says beside it."""
        block, (start, end) = self._block, self.uri
        size, before = end - start, len(CALL)
        calls: Flags = (size > before + _UUID) & (size <= before + _UUID + MOST_VERB)
        rows = np.flatnonzero(calls)
        calls[rows] = block.says(start[rows], CALL.encode()) & block.letter(start[rows] + before + _UUID, "/")
        uuid = np.where(calls, start + before, end), np.where(calls, start + before + _UUID, end)
        path = np.where(calls, start + before + _UUID, start), end.copy()
        rows = np.flatnonzero(~calls)
        # Up to the question mark and with it: no word of the query says anything of a try or of the path
        query = block.first("?", self.uri.of(rows), _MOST_PATH)
        path[1][rows] = np.minimum(query + 1, end[rows])
        return calls, Spans(*uuid), Spans(*path)

    def _requests(self, places: Places, first: Places, count: Places) -> _Halves:
        """The request lines: what they say is the same text twice cut, so that an answer can be set beside it."""
        rows = np.flatnonzero(count == _QUOTES_ASKED)
        good = self._begins(rows, places[first[rows]], _REQUEST)
        rows = rows[good]
        quotes = first[rows]
        begin = places[quotes] - _REQUEST.index(b'"') + _REQUEST.index(b'ts="')
        second, fraction, good = self._block.instants(Spans(begin + len('ts="'), places[quotes + 5]))
        middle = places[quotes + 2 * PLACE["client_port"] + 1] + len('",')
        key = _key_of({Number.SECOND: second, Number.FRACTION: fraction})
        halves = _Halves(rows, key, Spans(begin, middle), Spans(middle, self._ends[rows]))
        return halves if good.all() else halves.of(np.flatnonzero(good))

    def _numbers(self, opened: Places, closed: Places) -> tuple[dict[Number, Places], Flags]:
        """The columns of numbers, and whether all that should be a number is one."""

        def value(name: str) -> Spans:
            return Spans(opened[PLACE[name]] + 1, closed[PLACE[name]])

        found: dict[Number, Places] = {}
        found[Number.SECOND], found[Number.FRACTION], plain = self._block.instants(value("ts"))
        for column, name in _NUMBERS.items():
            found[column], good = self._block.numbers(value(name))
            plain &= good
        return found, plain & (found[Number.PORT] <= _HIGHEST_PORT)


def _neighbours(places: Places, first: Places, number: int) -> Places:
    """So many neighbours of these places, from each of them on: one row for each neighbour."""
    if not len(first):
        return np.zeros((number, 0), dtype=np.int64)
    size = places.itemsize
    wide = np.ndarray((len(places) - number + 1,), dtype=f"V{number * size}", buffer=places, strides=(size,))
    return np.ascontiguousarray(wide[first].view(places.dtype).reshape(-1, number).T)


class _Halves(NamedTuple):
    """Lines of one kind: their places among the lines, a key of their time, and two texts that both halves have."""

    at: Places
    key: Places
    head: Spans  # from the time to the client's port
    asked: Spans  # from the method on

    def of(self, rows: Places) -> _Halves:
        return _Halves(self.at[rows], self.key[rows], self.head.of(rows), self.asked.of(rows))


def _key_of(numbers: dict[Number, Places]) -> Places:
    return numbers[Number.SECOND] * 1_000_000 + numbers[Number.FRACTION]


class Columns:
    """The answers among the lines of one chunk; each is plain until it is refused."""

    def __init__(self, lines: Lines, answers_only: bool) -> None:
        self.lines = lines
        self._per_request = 1 if answers_only else 2
        self._block = block = Block(lines.text)
        starts, ends = lines.starts, lines.ends
        ends = ends - ((ends > starts) & block.letter(np.maximum(ends - 1, 0), "\r"))
        foreign = np.searchsorted(starts, block.foreign(), side="right") - 1
        if len(foreign):
            ends[foreign] = starts[foreign]  # so that such a line has no quotes
        ends = np.where(ends - starts > LONGEST, starts, ends)
        cuts = range(0, len(lines), _PIECE)
        pieces = [_Piece(block, starts[cut : cut + _PIECE], ends[cut : cut + _PIECE], not answers_only) for cut in cuts]
        self._at: Places = np.concatenate([piece.at + cut for piece, cut in zip(pieces, cuts, strict=True)])
        self.answers = len(self._at)
        self._plain: Flags = np.concatenate([piece.plain for piece in pieces])
        self._calls: Flags = np.concatenate([piece.calls for piece in pieces])
        self._uri = _spans([piece.uri for piece in pieces])
        self._numbers = {number: np.concatenate([piece.numbers[number] for piece in pieces]) for number in Number}
        self._codes: dict[Column, Places] = {}
        self._said: dict[Column, list[Any]] = {}
        for column in Column:
            self._codes[column], said = _together(block, pieces, column)
            self._said[column] = list(map(READ[column], map(str, said, repeat("ascii"))))
        self._asked = self._at if answers_only else self._pair(pieces, cuts)

    def _pair(self, pieces: Sequence[_Piece], cuts: Sequence[int]) -> Places:
        """The request line of each answer, -1 for none: it stands before the answer and says the same."""
        answers = _joined([piece.answers for piece in pieces], cuts)
        requests = _joined([piece.requests for piece in pieces if piece.requests is not None], cuts)
        asked = np.full(len(answers.at), -1)
        if not len(requests.at):
            self._plain[:] = False
            return asked
        order = np.argsort(requests.key, kind="stable")  # they come in this order, nearly
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
        """Refuse what is out of time, or has a text that is not as the template has it."""
        for column in (Column.WHERE, Column.SERVER, Column.ASKED, Column.UUID):
            said = self._said[column]
            good = np.fromiter((one is not None for one in said), np.bool_, len(said))
            if not good.all():
                self._plain &= good[self._codes[column]]
        verbs = np.fromiter((VERB.fullmatch(path) is not None for path in self._said[Column.PATH]), np.bool_)
        self._plain &= ~self._calls | verbs[self._codes[Column.PATH]]
        # As the parser: only the ms are whole, or the us are a mere fraction
        took, whole = self._numbers[Number.MICROS], self._numbers[Number.MILLIS] * 1_000
        self._numbers[Number.MICROS] = took = np.where(took + 1_000 <= whole, whole, took)
        low, high = span[0] // 1_000_000 + 1, span[1] // 1_000_000 - 1
        seconds = self._numbers[Number.SECOND]
        self._plain &= (seconds >= low) & (seconds <= high)
        server = self._said[Column.SERVER]
        well = np.fromiter((one is not None and one[2] < 400 for one in server), np.bool_, len(server))
        self._well = well[self._codes[Column.SERVER]] & (took < SLOW_US)

    def refuse_times(self, others: list[RequestLine]) -> None:
        """Refuse what shares its microsecond with another line: that may be the same request, or say it again."""
        times = _key_of(self._numbers)
        order = np.sort(times)
        taken = [line.ts_us for line in others] + order[1:][order[1:] == order[:-1]].tolist()
        self._plain &= ~_among(times, taken)

    def refuse_calls(self, others: list[RequestLine]) -> None:
        """Refuse what the pairer could match with another line, whose time differs: the same client, port and URI."""
        calls = {(line.client_ip, line.client_port, line.uri) for line in others}
        code = {client: place for place, client in enumerate(self._said[Column.CLIENT])}
        sought = [
            code[client] << 20 | port
            for client, port, _ in calls
            if client in code and port is not None and port <= _HIGHEST_PORT
        ]
        near = _among(self._codes[Column.CLIENT] << 20 | self._numbers[Number.PORT], sought)
        rows = np.flatnonzero(near & self._plain)
        for place, raw in zip(rows.tolist(), self._block.cut(self._uri.of(rows)), strict=True):
            client, port = self._said[Column.CLIENT][self._codes[Column.CLIENT][place]], self._numbers[Number.PORT]
            if (client, int(port[place]), raw.decode("ascii")) in calls:
                self._plain[place] = False

    def left(self) -> Lines:
        """The lines that belong to no plain request."""
        left = np.ones(len(self.lines), dtype=np.bool_)
        left[self._at[self._plain]] = False
        left[self._asked[self._plain]] = False
        return self.lines.chosen(left)

    def failed(self, base: int, parse: Parse) -> tuple[list[Whole], dict[int, bytes]]:
        """The plain requests that did not go well, and their lines."""
        rows = np.flatnonzero(self._plain & ~self._well)
        found, raw = [], {}
        for asked, at in zip(self._asked[rows].tolist(), self._at[rows].tolist(), strict=True):
            (asked_at, request), (answered_at, response) = self.lines[asked], self.lines[at]
            line = parse(response.decode("ascii"))
            assert isinstance(line, RequestLine)
            found.append(Whole(base | asked_at, line, base | answered_at))
            raw[base | asked_at], raw[base | answered_at] = request, response
        return found, raw

    def lane(self, base: int) -> Lane | None:
        """The plain requests that went well."""
        good = np.flatnonzero(self._plain & self._well)
        if not len(good):
            return None
        ids = self.lines.offsets[self._asked[good]] | base
        numbers = {number: column[good] for number, column in self._numbers.items()}
        codes = {column: column_codes[good] for column, column_codes in self._codes.items()}
        return Lane(ids, numbers, codes, self._said, self._calls[good], self._per_request)


def _among(values: Places, some: Sequence[int]) -> Flags:
    """Which of these values are among some others."""
    if not some:
        return np.zeros(len(values), dtype=np.bool_)
    sought = np.sort(np.array(some, dtype=np.int64))
    place = np.minimum(np.searchsorted(sought, values), len(sought) - 1)
    found: Flags = sought[place] == values
    return found


def _spans(parts: Sequence[Spans]) -> Spans:
    return Spans(*map(np.concatenate, zip(*parts, strict=True)))


def _joined(parts: Sequence[_Halves], cuts: Sequence[int]) -> _Halves:
    """The halves of all pieces; their places count from the first line of the chunk."""
    at = np.concatenate([part.at + cut for part, cut in zip(parts, cuts, strict=True)])
    key = np.concatenate([part.key for part in parts])
    return _Halves(at, key, _spans([part.head for part in parts]), _spans([part.asked for part in parts]))


def _together(block: Block, pieces: Sequence[_Piece], column: Column) -> tuple[Places, list[bytes]]:
    """What all pieces say in this column, each different text once, and which of them each answer has."""
    texts: list[bytes] = []
    codes: list[Places] = []
    for piece in pieces:
        first, code = piece.codes[column]
        codes.append(code + len(texts))
        texts += block.cut(piece.texts[column].of(first))
    different = dict.fromkeys(texts)
    if len(different) < len(texts):
        place = dict(zip(different, range(len(different)), strict=True))
        return np.fromiter(map(place.__getitem__, texts), np.int64, len(texts))[np.concatenate(codes)], list(different)
    return np.concatenate(codes), texts
