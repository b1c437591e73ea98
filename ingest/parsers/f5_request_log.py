"""Request-log lines: the template airf5/1 on its fast path, and the door to every other form we know.

A line of airf5/1 whose values hold no quote is matched by one pattern of literals and negated classes, first to last
byte: nothing a client writes can move a field there. Only other lines go to the careful scanner (`f5_request_kv`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ingest.parsers import f5_request_forms, f5_request_kv
from ingest.parsers.f5_header import clean, split_spool, unwrap
from ingest.parsers.f5_links import (
    ExecutionCall,
    execution_call,
    link_key,
    natural_key,
    path_template,
    trace_id,
    try_identity,
)
from ingest.parsers.f5_request_fields import status_code
from ingest.parsers.f5_request_template import Template, compile_template, parse_line, parse_message
from ingest.records import Reject, RequestLine

__all__ = [
    "ExecutionCall",
    "Template",
    "compile_template",
    "execution_call",
    "link_key",
    "natural_key",
    "parse",
    "parse_line",
    "path_template",
    "split_spool",
    "trace_id",
    "try_identity",
]

_HEAD = r'(?:[^ "]+ [^ "]+ )?airf5="1",kind="%s",ts="([0-9]{1,11})\.?([0-9]{0,6})",'
_WHERE = r'(hostname="[^"]*",virtual_name="[^"]*",virtual_ip="[^"]*",virtual_port="[0-9]{0,5}",pool="[^"]*"),'
_CLIENT = r'client_ip="([^"]*)",client_port="([0-9]{0,5})",'
_SERVER = r'(server_ip="[^"]*",server_port="[0-9]{0,5}",snat_ip="[^"]*",http_statcode="[0-9]{0,3}"),'
_ANSWER = r'response_ms="([0-9]{0,12})",response_us="([0-9]{0,15})",bytes="([0-9]{0,18})",'
_ASKED = (
    r'(http_method="[^"]*",host="[^"]*"),correlation_id="([^"]*)",traceparent="([^"]*)",task="([^"]*)",'
    r'(xff="[^"]*",ua="[^"]*"),http_uri="([^"]*)"\r?\n?\Z'
)
_RESPONSE = re.compile(_HEAD % "response" + _WHERE + _CLIENT + _SERVER + _ANSWER + _ASKED)
_REQUEST = re.compile(_HEAD % "request" + _WHERE + _CLIENT + _ASKED)

_MOST_KEPT = 8_192
_MOST_INTS = 131_072  # a stream of new values must not fill the memory


class _Kept(dict[str, tuple[Any, ...]]):
    """Runs of neighbouring fields that repeat from line to line, split once; also makes their strings shared ones."""

    def __init__(self, split: Callable[[list[str]], tuple[Any, ...]]) -> None:
        super().__init__()
        self._split = split

    def __missing__(self, text: str) -> tuple[Any, ...]:
        if len(self) >= _MOST_KEPT:
            self.clear()
        value = self[text] = self._split(text.split('"'))
        return value


class _Ints(dict[str, int | None]):
    """int() costs more than a look-up, and ports, seconds and times repeat."""

    def __missing__(self, digits: str) -> int | None:
        if len(self) >= _MOST_INTS:
            self.clear()
        value = self[digits] = int(digits) if digits else None  # digits only, by the pattern
        return value


_int = _Ints()
_where = _Kept(lambda p: (p[1], p[3], p[5], _int[p[7]], p[9]))
_server = _Kept(lambda p: (p[1], _int[p[3]], p[5], status_code(p[7])))
_asked = _Kept(lambda p: (p[1], p[3]))
_agent = _Kept(lambda p: (p[1], p[3]))
_new = tuple.__new__
_NO_SERVER = ("", None, "", None, None, None)


def parse(line: str, received: datetime | None = None) -> RequestLine | Reject:
    """One line, bare or from a spool file, of any form known without its template."""
    if line.isascii() and "\x00" not in line:
        found = _fast(line)
        if found is not None:
            return found
    return _careful(line, received)


def _fast(line: str) -> RequestLine | None:
    match = _RESPONSE.match(line)
    if match is not None:
        sec, frac, where, ip, port, server, ms, us, size, asked, correlation, trace, task, agent, uri = match.groups()
        took, millis = _int[us], _int[ms]
        if millis is not None and (took is None or took + 1000 <= millis * 1000):
            took = millis * 1000  # only the ms are whole, or the us are a mere fraction
        answer = (*_server[server], took, _int[size])
        kind = "response"
    else:
        match = _REQUEST.match(line)
        if match is None:
            return None
        sec, frac, where, ip, port, asked, correlation, trace, task, agent, uri = match.groups()
        answer = _NO_SERVER
        kind = "request"
    return _new(  # RequestLine._make without its length check
        RequestLine,
        (
            kind,
            _int[sec] * 1_000_000 + (int(frac) if frac else 0),  # type: ignore[operator]  # never empty
            *_where[where],
            ip,
            _int[port],
            *answer,
            *_asked[asked],
            uri,
            correlation,
            trace,
            task,
            *_agent[agent],
            False,
        ),
    )


def _careful(line: str, received: datetime | None) -> RequestLine | Reject:
    text = clean(line)
    message, received, _ = unwrap(text, received)
    if not message.strip():
        return Reject("an empty line", text)
    found = _fast(message) or f5_request_kv.parse(message, received) or f5_request_forms.parse(message, received)
    if found is None:
        return Reject("not a request-log line of a known form; give its template", text)
    return Reject(found, text) if isinstance(found, str) else found


def parse_with(templates: tuple[Template, ...], line: str, received: datetime | None = None) -> RequestLine | Reject:
    """The line under the first of these templates that it fits, else under any form that is known."""
    text = clean(line)
    message, received, _ = unwrap(text, received)
    if len(templates) > 1:  # one that fits as it stands goes before one that the line can be cut to
        templates = tuple(sorted(templates, key=lambda one: one.pattern.match(message) is None))
    for template in templates:
        found = parse_message(template, message, received)
        if isinstance(found, RequestLine):
            return found
    known = parse(line, received)
    if isinstance(known, Reject) and templates:
        return Reject("the line does not fit the template, nor any known form", text)
    return known
