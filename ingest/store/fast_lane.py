"""The fast lane of the request log: the plain lines of a chunk of airf5/1, picked and cut into columns at once.

Plain is an answer below 400 that was not slow and whose request line stands before it in the chunk, equal to the last
byte in all that both say (a device that logs answers only needs no request line). All other lines are left to the parser
and the pairer; so is what they may touch: a line of the same microsecond, or with the same client, port and URI. Thus
the outcome is that of the careful way alone. `fast_rows` makes the rows.

The pattern looks for quotes and little else, which is nearly twice as fast as to look for the names of the fields; these
are checked in the texts that hold them, once for each text, for such texts repeat from line to line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import add, itemgetter, le
from typing import Any, NamedTuple

from ingest.records import SLOW_US, Reject, RequestLine
from ingest.store.fast_rows import Column, Lane

Lines = Sequence[tuple[int, bytes]]
Parse = Callable[[str], RequestLine | Reject]

# V runs to the next quote and gives nothing back: a name and its "=", or a value. The usual time of receipt has 27 letters;
# that they hold neither quote nor blank is seen faster in two steps.
_LINES = re.compile(
    r'^(?:(?=[^"]{27} )[^ ]{27} [^ "]++ |[^ "]++ [^ "]++ )?airf5="1",kind="re(?:quest",(ts=".*)|sponse",'
    r'(ts="([0-9]{10})\.([0-9]{6})",(V"V",V"V",V"V",V"V",V"V",V)"(V",V)"([1-9][0-9]{0,4})",)'
    r'(V"V",V"V",V"V",V"V",V)"(V",V)"([0-9]{1,15})",bytes="([0-9]{1,9})",'
    r'((V"V",V"V",V)"V",traceparent="(V)",(V"V",V)"V",(V"V",V)"(V)"))$|^.*$'.replace("V", '[^"]*+'),
    re.MULTILINE,
)
_NOTHING = ("",) * _LINES.groups
_MOST_KEPT = 50_000
_PIECE = 500  # lines


class _Checked(dict[str, Any]):
    """What the texts of one column say, each read once; None for one that is not as the template has it."""

    def __init__(self, pattern: str, value: Callable[..., Any] = lambda text: text) -> None:
        super().__init__()
        self._match = re.compile(pattern.replace("V", '[^"]*')).fullmatch
        self._value = value

    def __missing__(self, text: str) -> Any:
        if len(self) >= _MOST_KEPT:
            self.clear()
        match = self._match(text)
        found = self[text] = self._value(*match.groups()) if match else None
        return found


def _number(digits: str) -> int | None:
    return int(digits) if digits else None


_CHECKED = {
    Column.WHERE: _Checked(
        'hostname="V",virtual_name="(V)",virtual_ip="(V)",virtual_port="([0-9]{0,5})",pool="(V)",client_ip=',
        lambda name, ip, port, pool: (name, ip, _number(port), pool),
    ),
    Column.CLIENT: _Checked('(V)",client_port='),
    Column.SERVER: _Checked(
        'server_ip="(V)",server_port="([0-9]{0,5})",snat_ip="V",http_statcode="([123][0-9]{2})",response_ms=',
        lambda ip, port, status: (ip, _number(port), status),
    ),
    Column.MILLIS: _Checked('([0-9]{1,12})",response_us=', lambda millis: int(millis) * 1000),
    Column.ASKED: _Checked('http_method="(V)",host="(V)",correlation_id=', lambda method, host: (method, host)),
    Column.TASK: _Checked('task="(V)",xff='),
    Column.AGENT: _Checked('ua="(V)",http_uri='),
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
    if not chunk.answers:
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


def _matches(lines: Lines) -> list[tuple[str, ...]]:
    """The groups of all lines; a piece at a time, which the processor's cache can hold."""
    found: list[tuple[str, ...]] = []
    for start in range(0, len(lines), _PIECE):
        found += _piece([raw for _, raw in lines[start : start + _PIECE]])
    return found


def _piece(raws: Sequence[bytes]) -> list[tuple[str, ...]]:
    """The groups of each line, empty where it is not of the template."""
    block = b"\n".join(raws)
    if not block.isascii() or b"\0" in block or block.count(b"\n") != len(raws) - 1:
        raws = [raw if raw.isascii() and not (b"\0" in raw or b"\n" in raw) else b"" for raw in raws]
        block = b"\n".join(raws)
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
    found: list[tuple[str, ...]] = _LINES.findall(text := block.decode("ascii"))
    if len(found) != len(raws):  # a value ran over the end of its line
        matches = map(_LINES.fullmatch, text.split("\n"))
        found = [match.groups("") if match else _NOTHING for match in matches]
    return found


class _Chunk:
    """The answers among the lines of one chunk; each is plain until it is refused."""

    def __init__(self, lines: Lines, answers_only: bool) -> None:
        self._lines = lines
        found = _matches(lines)
        starts = list(map(itemgetter(1), found))
        self._at = list(compress(range(len(lines)), starts))
        self.answers = len(self._at)
        self._rows = list(compress(found, starts))
        self._columns: list[Sequence[Any]] = list(zip(*self._rows, strict=True))
        self._plain = [True] * self.answers
        self._asked: list[int | None] = list(self._at)  # which line is the request's
        self._per_request = 1 if answers_only else 2
        if self.answers and not answers_only:
            self._pair(list(map(itemgetter(0), found)))

    def _pair(self, tails: list[str]) -> None:
        requests = dict(zip(tails, range(len(tails)), strict=True))
        requests.pop("", None)
        if len(requests) != len(tails) - tails.count(""):
            for tail, times in Counter(tails).items():
                if times > 1:
                    requests.pop(tail, None)
        columns = self._columns
        self._asked = list(map(requests.get, map(add, columns[Column.START], columns[Column.END])))
        self._refuse(i for i, (q, a) in enumerate(zip(self._asked, self._at, strict=True)) if q is None or q > a)

    def _refuse(self, places: Iterable[int]) -> None:
        for place in places:
            self._plain[place] = False

    def refuse_what_is_not_plain(self, span: tuple[int, int]) -> None:
        """Refuse what failed, was slow, is out of time, or has a text that is not as the template has it."""
        columns = self._columns
        for column, checked in _CHECKED.items():
            bad = {text for text in set(columns[column]) if checked[text] is None}
            if bad:
                self._refuse(i for i, text in enumerate(columns[column]) if text in bad)
        took = list(map(int, columns[Column.MICROS]))
        checked = _CHECKED[Column.MILLIS]
        # As the parser: only the ms are whole, or the us are a mere fraction
        floor = {text: (checked[text] or 0) - 1_000 for text in set(columns[Column.MILLIS])}
        lows = list(map(floor.__getitem__, columns[Column.MILLIS]))
        if any(map(le, took, lows)):
            took = [us if us > low else low + 1_000 for us, low in zip(took, lows, strict=True)]
        columns[Column.MICROS] = took
        if max(took) >= SLOW_US:
            self._refuse(i for i, us in enumerate(took) if us >= SLOW_US)
        low, high = span[0] // 1_000_000 + 1, span[1] // 1_000_000 - 1
        seconds = columns[Column.SECOND]
        if int(min(seconds)) < low or int(max(seconds)) > high:
            self._refuse(i for i, second in enumerate(seconds) if not low <= int(second) <= high)

    def refuse_times(self, others: list[RequestLine]) -> None:
        """Refuse what shares its microsecond with another line: that may be the same request, or say it again."""
        times = [start[4:21] for start in self._columns[Column.START]]
        taken = {f"{line[1] // 1_000_000:010d}.{line[1] % 1_000_000:06d}" for line in others}
        if len(set(times)) < len(times):
            taken.update(time for time, often in Counter(times).items() if often > 1)
        self._refuse(i for i, time in enumerate(times) if time in taken)

    def refuse_calls(self, others: list[RequestLine]) -> None:
        """Refuse what the pairer could match with another line, whose time differs: the same client, port and URI."""
        calls = {(line[7], str(line[8]), line[17]) for line in others}
        uris = {uri for _, _, uri in calls}
        columns, clients = self._columns, _CHECKED[Column.CLIENT]
        same = [i for i, uri in enumerate(columns[Column.URI]) if uri in uris]
        self._refuse(
            i
            for i in same
            if (clients[columns[Column.CLIENT][i]], columns[Column.PORT][i], columns[Column.URI][i]) in calls
        )

    def left(self) -> Lines:
        """The lines that belong to no plain request."""
        used = {*compress(self._at, self._plain), *compress(self._asked, self._plain)}
        return [self._lines[i] for i in sorted({*range(len(self._lines))} - used)]

    def lane(self, base: int) -> Lane | None:
        """The plain requests."""
        if not any(self._plain):
            return None
        ids = [base | self._lines[i][0] for i in compress(self._asked, self._plain)]  # type: ignore[index]  # paired
        columns: list[Sequence[Any]] = list(zip(*compress(self._rows, self._plain), strict=True))
        columns[Column.MICROS] = list(compress(self._columns[Column.MICROS], self._plain))
        checked = {column: {text: known[text] for text in set(columns[column])} for column, known in _CHECKED.items()}
        return Lane(ids, columns, checked, self._per_request)
