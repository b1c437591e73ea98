"""A pushed body becomes lines for the spool: unpacked, decoded and split, each within bounds. No database, no files.

One object, an array of objects, objects one after another (a line each or not), or the bare text of an event. All of
a body is taken or nothing; what is wrong with it is one sentence and a status.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

MOST_PACKED = 4 << 20  # bytes as sent
MOST_BYTES = 16 << 20  # bytes unpacked
MOST_VALUES = 500_000  # a value is some 100 bytes in memory, however short it was written
MOST_ITEMS = 10_000
MOST_MEMBERS = 64  # of one gzip stream
DEEPEST = 64
LONGEST_LINE = 200 << 10  # below the longest line that the follower takes whole

_TEXT = re.compile(rb'<[0-9]{1,3}>|[A-Za-z0-9_.$-]{1,64}="')  # how an event begins that is sent as it was
_NEXT_TEXT = re.compile(rb"\r?\n(?=<[0-9]{1,3}>|event_source=|airf5=)")
_SPACE = re.compile(r"[ \t\r\n]*")


class BodyRefused(Exception):
    """The body cannot be taken; `status` is HTTP's, the words are for the sender."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


def unpack(raw: bytes, encoding: str = "") -> bytes:
    """The body without its gzip, whether or not a header told of it; at most MOST_BYTES."""
    told = [word for word in encoding.lower().replace(" ", "").split(",") if word not in ("", "identity")]
    if told and told not in (["gzip"], ["x-gzip"]):
        raise BodyRefused(415, "Content-Encoding may be gzip or identity, nothing else.")
    packed = raw.startswith(b"\x1f\x8b")
    if told and not packed:
        raise BodyRefused(400, "Content-Encoding says gzip, and the body is not gzip.")
    if not packed:
        return raw  # the caller has counted it
    out = _gunzip(raw)
    if out.startswith(b"\x1f\x8b"):
        raise BodyRefused(400, "The body is packed twice.")
    return out


def _gunzip(raw: bytes) -> bytes:
    parts: list[bytes] = []
    size = 0
    for _ in range(MOST_MEMBERS):
        one = zlib.decompressobj(31)
        try:
            part = one.decompress(raw, MOST_BYTES + 1 - size)
        except zlib.error:
            raise BodyRefused(400, "The body is broken gzip.") from None
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise BodyRefused(
                413, f"The body is longer than {MOST_BYTES >> 20} MB unpacked: send fewer events at once."
            )
        if not one.eof:
            raise BodyRefused(400, "The body's gzip ends too early.")
        raw = one.unused_data
        if not raw.strip(b"\x00"):
            return b"".join(parts)
    raise BodyRefused(400, f"The body's gzip has more than {MOST_MEMBERS} members.")


def lines(body: bytes) -> tuple[int, list[bytes]]:
    """How many events the body holds, and the lines they become: an event is one line unless it is too long for one."""
    if not body.strip():
        raise BodyRefused(400, "The body is empty.")
    if _TEXT.match(body):
        return _text_lines(body)
    if body.count(b",") + body.count(b"{") + body.count(b"[") > MOST_VALUES:
        raise BodyRefused(413, f"The body holds more than {MOST_VALUES:,} values: send fewer events at once.")
    count, out = 0, []
    for written, item in _items(_decoded(body)):
        count += 1
        if count > MOST_ITEMS:
            raise BodyRefused(413, f"The body holds more than {MOST_ITEMS:,} events: send fewer at once.")
        if not isinstance(item, dict):
            raise BodyRefused(400, f"Event {count} is not a JSON object.")
        if _too_deep(item):
            raise BodyRefused(400, f"Event {count} is nested more than {DEEPEST} levels deep.")
        out += _as_lines(count, item, written)
    return count, out


def _text_lines(body: bytes) -> tuple[int, list[bytes]]:
    """Events as the device wrote them; a line end within one is data."""
    events = [event for event in _NEXT_TEXT.split(body) if event.strip()]
    if len(events) > MOST_ITEMS:
        raise BodyRefused(413, f"The body holds more than {MOST_ITEMS:,} events: send fewer at once.")
    out = []
    for number, event in enumerate(events, 1):
        shown = event.rstrip(b"\r\n\x00").replace(b"\r", b"\\r").replace(b"\n", b"\\n").replace(b"\x00", b"\\0")
        if len(shown) > LONGEST_LINE:
            raise _too_long(number)
        out.append(shown)
    return len(events), out


def _decoded(body: bytes) -> str:
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        raise BodyRefused(415, "The body is no text in UTF-8, UTF-16 or UTF-32.") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _items(text: str) -> Iterator[tuple[str, Any]]:
    """Each event with the text it was written as (empty inside an array)."""
    at = _skip(text, 0)
    while at < len(text):
        try:
            found, end = _DECODER.raw_decode(text, at)
        except RecursionError:
            raise BodyRefused(400, f"The body is nested more than {DEEPEST} levels deep.") from None
        except json.JSONDecodeError as error:
            raise BodyRefused(400, f"The body is not JSON: {error.msg} at character {error.pos + 1}.") from None
        except ValueError:  # NaN, or an integer of thousands of digits
            raise BodyRefused(400, "The body is not JSON: it holds a number that is none.") from None
        if isinstance(found, list):
            yield from (("", item) for item in found)
        else:
            yield text[at:end], found
        at = _skip(text, end)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _too_deep(item: Any) -> bool:
    level = [item]
    for _ in range(DEEPEST):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _as_lines(number: int, item: dict[str, Any], written: str) -> list[bytes]:
    verbatim = written and "\n" not in written and "\r" not in written
    line = written.encode() if verbatim else _dumped(item)
    if len(line) <= LONGEST_LINE:
        return [line]
    if not isinstance(item.get("pools"), dict) and not isinstance(item.get("virtualServers"), dict):
        raise _too_long(number)
    parts = [_dumped(part) for part in _poller_parts(item)]
    if any(len(part) > LONGEST_LINE for part in parts):
        raise _too_long(number)
    return parts


def _dumped(item: Any) -> bytes:
    return json.dumps(item, separators=(",", ":")).encode("ascii")  # escapes keep what UTF-8 cannot hold


def _poller_parts(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A poller's output in pieces that are whole by themselves: the device's name and clock in each of them."""
    system = item.get("system")
    short = {key: value for key, value in system.items() if _is_short(value)} if isinstance(system, dict) else {}
    for piece in _pieces(item, LONGEST_LINE // 2):
        yield {**piece, "system": piece.get("system", short)}


def _pieces(value: dict[str, Any], room: int) -> Iterator[dict[str, Any]]:
    """An object in pieces of about `room` bytes: its plain values in each, what it contains spread over them."""
    if len(_dumped(value)) <= room or room < 1024:
        yield value
        return
    own = {key: one for key, one in value.items() if _is_short(one)}
    room -= len(_dumped(own))
    group: dict[str, Any] = {}
    size = 0
    for key, one in value.items():
        if key in own:
            continue
        for piece in _pieces(one, room) if isinstance(one, dict) else (one,):
            length = len(_dumped({key: piece}))
            if group and (key in group or size + length > room):
                yield {**own, **group}
                group, size = {}, 0
            group[key] = piece
            size += length
    yield {**own, **group}


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list) and (not isinstance(value, str) or len(value) <= 1_000)


def _too_long(number: int) -> BodyRefused:
    return BodyRefused(413, f"Event {number} is longer than {LONGEST_LINE >> 10} KB.")
