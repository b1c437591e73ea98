"""Changes of lines and documents that keep most of their shape, each a pure function of a few numbers.

Thus one and the same change can be drawn by Hypothesis (which then finds the smallest one) and by a plain generator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

TOKENS = (
    *('"', '",', '="', '",kind="response', '",task="dag=d;run=r;task=t;map=-1;try=1', ',f5_irule=X-HTTP,', "\\", "\\n", "#012"),
    *("\x00", "\r", "\x1b[0m", "\u202e", "\u2028", "\ufffd", "\ud800", "\udcff", "\U0001f4a9", "\ufeff", "é", "\x85", "\t"),
    *("Feb 30 25:61:61", "@9999/99/99 99:99:99.", "@2026/02/29 00:00:60.", "9999-12-31T23:59:60Z", "0000-00-00"),
    *("[31/Dec/9999:23:59:60 -2359]", "Fri, 31 Feb 9999 24:00:00 GMT", "12-31 23:59:59 ", "2026-11-22T09:25:10Z 10.0.0.1 "),
    *("9" * 30, "-1", "1e999", "NaN", "Infinity", "0x7fffffff", "18446744073709551616", "0" * 40 + "1", "\u0664\u0662"),
    *("{" * 400, "[" * 400, '{"a":' * 200, "]" * 50, "(((", "{}", "null", "[]", '"\\ud800"', "\\u0000"),
    *(" - transaction #", " { ", "[Status=", "AUDIT - ", "RAW: ", "cmd_data=", "password ", "[ssl_acc] ", "CEF:0|F5|BIG-IP|"),
    *("01070638:5: ", "Pool /C/p member /C/m:1 monitor status ", "down. [ /C/x: down; last error: ", " ] [ was up for "),
    *("-1hrs:-1mins:-1secs", "message repeated 99999999999 times: [ ", "Re-enabling general logging; held 999999999999"),
    *("Rule /C/r <HTTP_REQUEST>: ", "TCL error: /C/r <X> - ", "SNMP_TRAP: Pool (", "state change green --> red (", "<191>"),
    *("/execution/task-instances/01a20292-e55e-7256-bf6c-250866266e5a/run", "%00", "%2F..%2F", "::1%eth0", "2001:db8::1.443", ""),
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63, 10**400, 1.5, 1e308, float("nan"), float("inf"), "", "x", "\x00", "\ud800", [], {}, [[]],
    [None], {"": None}, "9" * 400, "2026-02-30T25:61:61Z", "2026-11-22T09:25:10+99:99", "Infinity", "\u202e", ["a"] * 50,
    {"a": {"a": {"a": {}}}}, "A" * 70_000,
)  # fmt: skip
_PAIR = re.compile(r"[A-Za-z_.-]{1,40}=\"?[^\",\s]{0,80}\"?,?|\[[^\]]{0,80}\]|[0-9]{1,20}|[^\s]{1,40}")
_NUMBER = re.compile(r"[0-9]{1,20}")


LONGEST = 65_536  # the receiver cuts what is longer


class Change(NamedTuple):
    """One change: which, where (as parts of a million), and with what."""

    what: int
    at: int
    to: int
    token: int


def _place(text: str, part: int) -> int:
    return part * len(text) // 1_000_000


def _span(text: str, change: Change) -> tuple[int, int]:
    a, b = _place(text, change.at), _place(text, change.to)
    return min(a, b), max(a, b)


def _token(change: Change) -> str:
    return TOKENS[change.token % len(TOKENS)]


def cut_tail(text: str, change: Change) -> str:
    return text[: _place(text, change.at)]


def cut_head(text: str, change: Change) -> str:
    return text[_place(text, change.at) :]


def drop(text: str, change: Change) -> str:
    a, b = _span(text, change)
    return text[:a] + text[min(b, a + 40) :]


def insert(text: str, change: Change) -> str:
    a = _place(text, change.at)
    return text[:a] + _token(change) + text[a:]


def replace_one(text: str, change: Change) -> str:
    """One field, bracket, number or word becomes a token."""
    found = list(_PAIR.finditer(text, _place(text, change.at)))[:1]
    return text[: found[0].start()] + _token(change) + text[found[0].end() :] if found else text + _token(change)


def double(text: str, change: Change) -> str:
    """One field stands twice, the second time further on."""
    found = _PAIR.search(text, _place(text, change.at))
    if found is None:
        return text + text
    b = max(found.end(), _place(text, change.to))
    return text[:b] + found.group() + text[b:]


def repeat(text: str, change: Change) -> str:
    """One field very often, or one token very often: a line of up to 64 KiB."""
    found = _PAIR.search(text, _place(text, change.at))
    piece = (found.group() if found and change.to % 2 else _token(change)) or "x"
    times = min(65_536 // len(piece), 1 + change.to % 20_000)
    end = found.end() if found else len(text)
    return text[:end] + piece * times + text[end:]


def swap(text: str, change: Change) -> str:
    """Two parts change places."""
    a, b = _span(text, change)
    return text[b:] + text[a:b] + text[:a]


def number(text: str, change: Change) -> str:
    """A number becomes an impossible one."""
    found = _NUMBER.search(text, _place(text, change.at))
    odd = ("9" * 25, "0", "99999", "-5", "65536", "18446744073709551616", "00", "1.5", "٣")[change.token % 9]
    return text[: found.start()] + odd + text[found.end() :] if found else text + odd


def bytes_flipped(text: str, change: Change) -> str:
    """Some bytes are others, and the text is what a lenient reader makes of them."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for step in range(1 + change.token % 4):
        if data:
            data[(_place(text, change.at) + step * 7) % len(data)] = (change.to + step * 31) % 256
    return data.decode("utf-8", ("replace", "surrogateescape", "backslashreplace")[change.token % 3])


def case(text: str, change: Change) -> str:
    a, b = _span(text, change)
    return text[:a] + text[a:b].swapcase() + text[b:]


CHANGES: tuple[Callable[[str, Change], str], ...] = (
    cut_tail, cut_head, drop, insert, insert, replace_one, double, repeat, swap, number, bytes_flipped, case,
)  # fmt: skip


def line(seed: str, changes: Sequence[Change]) -> str:
    """The seed after these changes."""
    for change in changes:
        seed = CHANGES[change.what % len(CHANGES)](seed, change)[:LONGEST]
    return seed


def _walk(document: Any, number: int) -> tuple[Any, ...]:
    """The way to one value of the document, which the number chooses."""
    path: list[Any] = []
    while isinstance(document, dict | list) and document:
        size = len(document)
        key = list(document)[number % size] if isinstance(document, dict) else number % size
        path.append(key)
        document = document[key]
        number = (number // size + number * 31) % 999_983
        if number % 5 == 0:
            break
    return tuple(path)


def document(seed: Any, changes: Sequence[Change]) -> Any:
    """A copy of the document in which some values are others, gone, or under another name."""
    copy = json.loads(json.dumps(seed))
    for change in changes:
        path = _walk(copy, change.at)
        if not path:
            copy = _odd(copy, change) if change.what % 8 == 0 else copy
            continue
        holder = copy
        for step in path[:-1]:
            holder = holder[step]
        kind = change.what % 6
        if kind == 0:
            del holder[path[-1]]
        elif kind == 1 and isinstance(holder, dict):
            holder[_token(change)] = holder.pop(path[-1])
        else:
            holder[path[-1]] = _odd(holder[path[-1]], change)
    return copy


def _odd(value: Any, change: Change) -> Any:
    """Another value, or a text that is changed as a line is."""
    if isinstance(value, str) and change.to % 3:
        return line(value, [change])
    if change.to % 5 == 0:
        return [value]
    return deepcopy(VALUES[change.token % len(VALUES)])
