"""Pairs the request line and the response line of one HTTP request. Pure: waiting halves are values.

    pairer = Pairer(waiting, recent)         # halves that earlier batches left over, and the pairs of the last batch
    for line_id, line in batch:              # in file order
        pairer.add(line, line_id)
    pairer.pairs                             # list[Pair]: whole rows, and responses of feeds that log no requests
    pairer.repeated                          # list[int]: line ids that say again what another line said
    pairer.waiting()                         # list[Half]: what still waits; the others are done

The key is (hostname, client ip, client port, device time): the template writes the time of the request in both lines.
Where the times differ or have 1 s resolution, halves meet by virtual server, client, method and URI, oldest first; a
keep-alive connection asks in sequence, so order is right there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from ingest.records import RequestLine

Key = tuple[str | int | None, ...]
Loose = tuple[str, str, int | None, str, str]

# How far the times of two halves without a common time may lie apart: requests take time, DATE_HTTP has 1 s.
LOOSE_US = 600 * 1_000_000
_MOST_TRIED = 64  # halves looked at for one line: a client that asks one URI for ever must not slow us down


class Half(NamedTuple):
    """A line that waits for its other half."""

    line_id: int
    line: RequestLine


class Pair(NamedTuple):
    """One HTTP request: both lines, or the one there is."""

    request: RequestLine | None
    response: RequestLine | None
    request_line_id: int | None
    response_line_id: int | None


def key_of(line: RequestLine) -> Key:
    return line[2], line[7], line[8], line[1]  # hostname, client_ip, client_port, ts_us; by place, because it is fast


def _loose(line: RequestLine) -> Loose:
    return line.virtual_name, line.client_ip, line.client_port, line.method, line.uri


class Pairer:
    """Pairs one device feed's lines. With `response_only` a response needs no request line and is a row at once."""

    def __init__(self, waiting: Iterable[Half] = (), recent: Iterable[Pair] = (), response_only: bool = False) -> None:
        self.pairs: list[Pair] = []
        self.repeated: list[int] = []
        self.response_only = response_only
        self._requests: dict[Key, Half] = {}
        self._responses: dict[Key, Half] = {}
        self._done: dict[Key, Pair] = {}  # to know a line that is repeated
        # waiting halves by their loose key, made when first needed: most feeds never need it
        self._by_loose: dict[Loose, deque[Half]] | None = None
        for half in waiting:
            self._wait(half)
        for pair in recent:
            self._done[key_of(pair.request or pair.response)] = pair  # type: ignore[arg-type]  # one of them is there

    def add(self, line: RequestLine, line_id: int) -> None:
        """Take one line: it completes a pair, waits, or is repeated."""
        key = (line[2], line[7], line[8], line[1])
        if line[0] == "response":
            other = self._requests.get(key)
            # method and URI too: with times of 1 s resolution one key has several requests
            if other is not None and other[1][17] == line[17] and other[1][15] == line[15]:
                del self._requests[key]
                self._done[key] = pair = Pair(other[1], line, other[0], line_id)
                self.pairs.append(pair)
            else:
                self._lone_response(key, Half(line_id, line))
        elif not self._responses and key not in self._requests and key not in self._done:
            self._requests[key] = half = Half(line_id, line)  # the usual way: a request comes before its response
            if self._by_loose is not None:
                self._index(half)
        else:
            self._other_request(key, Half(line_id, line))

    def _lone_response(self, key: Key, half: Half) -> None:
        done, waiting = self._done.get(key), self._responses.get(key)
        if (done is not None and done.response == half.line) or (waiting is not None and waiting.line == half.line):
            self.repeated.append(half.line_id)
        elif self.response_only:
            self._finish(Pair(None, half.line, None, half.line_id))
        else:
            other = self._take_loose(half.line) or self._take_rewritten(key, half.line)
            if other is not None:
                self._finish(Pair(other.line, half.line, other.line_id, half.line_id))
            else:
                self._wait(half)

    def _other_request(self, key: Key, half: Half) -> None:
        done, waiting = self._done.get(key), self._requests.get(key)
        if (done is not None and done.request == half.line) or (waiting is not None and waiting.line == half.line):
            self.repeated.append(half.line_id)
            return
        other = self._responses.get(key)
        if other is not None and (other.line.method, other.line.uri) == (half.line.method, half.line.uri):
            del self._responses[key]
        else:
            other = self._take_loose(half.line) or self._take_rewritten(key, half.line)
        if other is not None:  # the response line came first: two collectors, or UDP
            self._finish(Pair(half.line, other.line, half.line_id, other.line_id))
        else:
            self._wait(half)

    def _finish(self, pair: Pair) -> None:
        self.pairs.append(pair)
        for line in (pair.request, pair.response):
            if line is not None:
                self._done[key_of(line)] = pair

    def _store(self, line: RequestLine) -> dict[Key, Half]:
        return self._requests if line.kind == "request" else self._responses

    def _wait(self, half: Half) -> None:
        store, key = self._store(half.line), key_of(half.line)
        if key in store:  # another line has this key (1 s resolution): it waits beside it
            key = (*key, half.line_id)
        store[key] = half
        if self._by_loose is not None:
            self._index(half)

    def _index(self, half: Half) -> None:
        if self._by_loose is not None:
            self._by_loose.setdefault(_loose(half.line), deque()).append(half)

    def _take_loose(self, line: RequestLine) -> Half | None:
        """The oldest half of the other kind with the same client, method, URI and a possible time; it waits no more."""
        store = self._responses if line.kind == "request" else self._requests
        if not store or not line.uri:
            return None
        if self._by_loose is None:
            self._by_loose = {}
            for half in sorted((*self._requests.values(), *self._responses.values()), key=lambda h: h.line.ts_us):
                self._index(half)
        candidates = self._by_loose.get(_loose(line))
        while candidates and self._place(candidates[0]) is None:
            candidates.popleft()
        for place, half in enumerate(candidates or ()):
            if place >= _MOST_TRIED:
                break
            fits = half.line.kind != line.kind and _one_unit(half.line, line) and _near(half.line, line)
            if fits and self._forget(half):
                del candidates[place]  # type: ignore[union-attr]  # it was iterated
                return half
        return None

    def _take_rewritten(self, key: Key, line: RequestLine) -> Half | None:
        """The half with exactly this client, port and microsecond, whose URI an iRule changed between the two lines."""
        if line.client_port is None or line.ts_us % 1_000_000 == 0:
            return None
        store = self._responses if line.kind == "request" else self._requests
        other = store.get(key)
        if other is None or other.line.method != line.method:
            return None
        return store.pop(key)

    def _place(self, half: Half) -> Key | None:
        store, key = self._store(half.line), key_of(half.line)
        for place in (key, (*key, half.line_id)):
            found = store.get(place)
            if found is not None and found.line_id == half.line_id:
                return place
        return None

    def _forget(self, half: Half) -> bool:
        place = self._place(half)
        if place is None:
            return False
        del self._store(half.line)[place]
        return True

    def waiting(self) -> list[Half]:
        """The halves that still wait, in the order of their lines."""
        return sorted((*self._requests.values(), *self._responses.values()), key=lambda half: half.line_id)


def _one_unit(one: RequestLine, two: RequestLine) -> bool:
    """Two units of a pair may write into one log; some templates name the unit in one of the two lines only."""
    return not one.hostname or not two.hostname or one.hostname == two.hostname


def _near(half: RequestLine, line: RequestLine) -> bool:
    """The response is not before its request (1 s is the resolution of $DATE_HTTP), nor impossibly late."""
    request, response = (half, line) if half.kind == "request" else (line, half)
    return -1_000_000 <= response.ts_us - request.ts_us <= LOOSE_US
