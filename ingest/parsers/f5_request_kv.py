"""Request-log lines of the form `key="value",…`: airf5/1 when it needs care, and Telemetry Streaming's documented pair.

The device escapes nothing. F5's own rule is followed (Telemetry Streaming, event listener): a value runs to the last
`",` before the next `="`. The first occurrence of a key wins; a line that breaks the rules of its template is suspect.
"""

from __future__ import annotations

import re
from datetime import datetime

from ingest.parsers.f5_request_fields import CLIENT_KEYS, EXACT_KEYS, RESPONSE_KEYS, normal, request_line
from ingest.records import RequestLine

ORDER = [
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
    "server_ip",
    "server_port",
    "snat_ip",
    "http_statcode",
    "response_ms",
    "response_us",
    "bytes",
    "http_method",
    "host",
    "correlation_id",
    "traceparent",
    "task",
    "xff",
    "ua",
    "http_uri",
]
_PLACE = {key: place for place, key in enumerate(ORDER)}
_FIRST_CLIENT_KEY = _PLACE["http_method"]

_FIRST = re.compile(r'(?:^|[\s,:;])([A-Za-z0-9_.-]{1,64})="')
_NEXT = re.compile(r'", ?([A-Za-z0-9_.-]{1,64})="')
_RULE = re.compile(r"Rule /[^\s]{1,256} <[A-Z0-9_]{1,40}>: ")
_MOST_PAIRS = 2_000  # F5's own cap (constants.EVENT_LISTENER)
# What Telemetry Streaming tells the events of other modules by: ASM, APM, AFM, CGNAT, AVR.
OTHER_MODULES = frozenset(
    ("policy_name", "access_profile", "acl_policy_name", "dos_attack_id", "lsn_event", "f5_asm", "eoctimestamp")
)


def pairs(message: str) -> tuple[list[tuple[str, str]], bool]:
    """The keys and values in order, and whether the last value has its closing quote."""
    head = _FIRST.search(message, 0, 400)
    if not head:
        return [], False
    found: list[tuple[str, str]] = []
    key, start = head.group(1), head.end()
    for match in _NEXT.finditer(message, start):
        found.append((key, message[start : match.start()]))
        key, start = match.group(1), match.end()
        if len(found) >= _MOST_PAIRS:
            break
    last = message[start:].rstrip("\r\n, ")
    closed = last.endswith('"')
    found.append((key, last[:-1] if closed else last))
    return found, closed


def parse(message: str, received: datetime | None) -> RequestLine | str | None:
    """The line's RequestLine; a reason if it is of this form and cannot be used; None if it is of another form."""
    found, closed = pairs(message)
    if not found or _said_by_client(message, found[0][0]):
        return None
    if normal(found[0][0]) == "airf5":
        return _airf5(found, closed, received)
    values, suspect = _any_order(found)
    if OTHER_MODULES & values.keys():
        return None
    asked = any(values.get(key) for key in ("http_uri", "http_method", "http_request", "uri"))
    if (not asked and "event_source" not in values) or not ("client_ip" in values or "virtual_name" in values):
        return None
    forged = "kind" in values and "event_source" in values  # two templates in one line
    return request_line(values, received, suspect or forged or not closed)


def _said_by_client(message: str, key: str) -> bool:
    """An iRule logs something else before this key: that, and what follows, can be what a client sent."""
    place = message.find(f'{key}="')
    rule = _RULE.search(message, 0, place) if place > 0 else None
    return rule is not None and rule.end() < place


def _airf5(found: list[tuple[str, str]], closed: bool, received: datetime | None) -> RequestLine | str:
    """airf5/1: the template gives each key its place, so a key at another place was not written by the device."""
    if found[0][1] != "1":
        return f"a template airf5/{found[0][1][:20]}, which this version does not know"
    values: dict[str, str] = {}
    suspect = not closed  # a line that was cut may end inside any value
    reached = -1
    for key, value in found:
        place = _PLACE.get(key, -1)
        if key in values or (place >= 0 and place < reached) or (place < 0 and reached >= _FIRST_CLIENT_KEY):
            suspect = True
            if place < _FIRST_CLIENT_KEY <= reached:
                continue  # only the device writes this key, and it writes it before all that a client writes
        values.setdefault(key, value)
        reached = max(reached, place)
    if values.get("kind") == "request" and RESPONSE_KEYS & values.keys():
        suspect = True
    if values.get("kind") not in ("request", "response"):
        return "an airf5/1 line without its kind"
    return request_line(values, received, suspect)


def _any_order(found: list[tuple[str, str]]) -> tuple[dict[str, str], bool]:
    """Nobody knows which key is the device's: a repeated key, or one for exact links behind client text, is suspect."""
    values: dict[str, str] = {}
    suspect = client_text = False
    for raw_key, value in found:
        key = normal(raw_key)
        if key in values or (key in EXACT_KEYS and client_text):
            suspect = True
        values.setdefault(key, value)
        client_text = client_text or key in CLIENT_KEYS
    return values, suspect
