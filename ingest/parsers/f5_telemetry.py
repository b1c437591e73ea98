"""One JSON document of F5 Telemetry Streaming: re-emitted log events, and the poller's picture of pools and members."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NamedTuple

from ingest.parsers import f5_asm, f5_audit, f5_ltm, f5_polled, times
from ingest.parsers.f5_header import clean, unwrap
from ingest.parsers.f5_header import parse as parse_header
from ingest.parsers.f5_request_fields import EXACT_KEYS, normal, number, request_line
from ingest.parsers.f5_request_kv import pairs
from ingest.records import Action, HealthEvent, MemberState, Other, Reject, RequestLine, VirtualServer

Record = RequestLine | HealthEvent | Action | MemberState | VirtualServer | Other | Reject
_LONGEST_RAW = 16_384
_TAG = re.compile(r"airf5-push=([0-9a-f]{32}):([0-9]{1,6})/([0-9]{1,6}):([0-9]{1,7}) ")
_MESSAGE_ID = re.compile(r"([0-9a-fA-F]{8}):[0-7]:?\Z")
_STATES = {"forced-down": "forced_down", "user-down": "forced_down", "node-down": "node_down"}


class Pushed(NamedTuple):
    """One line of a pushed batch, as `ingest/push/spool.py` wrote it."""

    digest: str
    number: int  # from 0
    total: int
    torn: bool  # less of it is there than was written
    message: str


def pushed(message: str) -> Pushed | None:
    """The tag before a pushed message, and the message; None for one without a tag."""
    match = _TAG.match(message)
    if match is None:
        return None
    text = message[match.end() :]
    torn = len(text.encode("utf-8", "replace")) < int(match[4])
    return Pushed(match[1], int(match[2]), int(match[3]), torn, text)


def parse(document: str | dict[str, Any], received: datetime | None = None) -> list[Record]:
    """The records of one document, as text or as the object it holds. Never empty, never raises."""
    if isinstance(document, str):
        raw, received, _ = unwrap(clean(document), received)
        one = pushed(raw)
        raw = one.message if one else raw
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            return [Reject("not JSON", raw)]
    else:
        found, raw = document, clean(_dump(document))
    if not isinstance(found, dict):
        return [Reject("a Telemetry Streaming document is a JSON object", raw[:_LONGEST_RAW])]
    category = str(found.get("telemetryEventCategory", ""))
    if category == "systemInfo" or isinstance(found.get("pools"), dict):
        return [*f5_polled.parse(found, raw[:_LONGEST_RAW], received)]
    if category in ("syslog", "event") or (not category and isinstance(found.get("data"), str)):
        return [_text(found, raw, received)]
    return [_event(found, raw, received)]


def parse_pairs(message: str, received: datetime | None = None) -> Record | None:
    """A pool event as the device sends it, `<0>Jul  6 22:37:15 host BigIP:EOCtimestamp="…",…`; None for other text."""
    if "errdefs_msg_name=" not in message and "telemetryEventCategory=" not in message:
        return None
    found, _ = pairs(message)
    values: dict[str, Any] = {}
    for key, value in found:
        values.setdefault(key, value)
    values.setdefault("telemetryEventCategory", "")
    record = _event(values, message, received)
    return None if isinstance(record, Reject) else record


def _dump(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        return ""


def _flat(found: dict[str, Any]) -> dict[str, str]:
    # JSON's escapes can hold what the line could not: NUL, half a surrogate pair
    return {clean(str(key)): clean(value if isinstance(value, str) else _dump(value)) for key, value in found.items()}


def _text(found: dict[str, Any], raw: str, received: datetime | None) -> Record:
    """`{"data": "<134>Jul  6 …", "telemetryEventCategory": "syslog"}`: the line as it was."""
    line = found.get("data")
    if not isinstance(line, str) or not line.strip():
        return Reject("a Telemetry Streaming event without data", raw[:_LONGEST_RAW])
    header = parse_header(clean(line), received)
    hostname = clean(str(found.get("hostname", "")))
    if f5_audit.find(header) is not None:
        return f5_audit.from_header(header, clean(line), received, hostname)
    return f5_ltm.from_header(header, clean(line), received, hostname)


def _event(found: dict[str, Any], raw: str, received: datetime | None) -> Record:
    values = _flat(found)
    named = {normal(key): value for key, value in values.items()}
    name = named.get("errdefs_msg_name", "")
    if name in ("pool member modified", "pool modified"):
        return _pool_event(named, name, raw, received)
    if named.get("event_source") in ("request_logging", "response_logging") or (
        named.get("telemetryeventcategory") == "LTM" and named.get("http_method") and named.get("virtual_name")
    ):
        line = request_line(named, received, _untrusted(values, named))
        return Reject(line, raw[:_LONGEST_RAW]) if isinstance(line, str) else line
    if named.get("telemetryeventcategory") == "LTM" and named.get("http_method") and "vip" in named:
        line = request_line(_of_irule(named), received, _untrusted(values, named))
        return Reject(line, raw[:_LONGEST_RAW]) if isinstance(line, str) else line
    if "telemetryeventcategory" in named:
        return _other_event(named, name, raw, received)
    return Reject("JSON, but not an event of Telemetry Streaming", raw[:_LONGEST_RAW])


def _of_irule(named: dict[str, str]) -> dict[str, str]:
    """The keys of Splunk's iRule: "/Common/pool 10.1.1.1 8090", what [LB::server] says, is called the virtual server."""
    pool = named.get("virtual_server", "").partition(" ")[0]
    kind = "response" if named.get("http_status") else "request"
    return {**named, "virtual_server": "", "pool": pool if pool.startswith("/") else "", "kind": kind}


def _other_event(named: dict[str, str], name: str, raw: str, received: datetime | None) -> HealthEvent | Other:
    """A request that the web application firewall turned down is an event; what other modules tell is kept."""
    stamps = ("event_timestamp", "date_time", "f5telemetry_timestamp")
    at = next(filter(None, (times.any_time(named.get(key, "")) for key in stamps)), received)
    hostname, message_id = named.get("hostname", "") or named.get("unit_hostname", ""), named.get("errdefs_msgno", "")
    match = _MESSAGE_ID.match(message_id)
    message_id = match.group(1).lower() if match else message_id
    event = f5_asm.refused(named) if named.get("policy_name") else None
    if event is not None and at is not None:
        return HealthEvent(at=at, hostname=hostname, message_id=message_id, raw=raw[:_LONGEST_RAW], **event)
    text = name or named.get("telemetryeventcategory", "")
    return Other(at, hostname, "", message_id, "", text, raw[:_LONGEST_RAW])


def _untrusted(values: dict[str, str], named: dict[str, str]) -> bool:
    """Telemetry Streaming has cut the line into keys, and a client may have written some of them.

    Where it kept the line itself, repeated keys tell; where not, a key for exact links is not believed.
    """
    original = values.get("originalRawData", "")
    if original:
        keys = [normal(key) for key, _ in pairs(clean(original))[0]]
        if len(set(keys)) < len(keys):
            return True
    return any(named.get(key) for key in EXACT_KEYS)


def _pool_event(named: dict[str, str], name: str, raw: str, received: datetime | None) -> Record:
    """AVR's "pool member modified" and "pool modified" (22327308 and 22327305), with epoch microseconds."""
    micros = times.epoch_us(named.get("microtimestamp", "")) or times.epoch_us(named.get("eoctimestamp", ""))
    at = times.from_us(micros) if micros else received
    if at is None:
        return Reject("no time in the event, and the time of receipt is not known", raw[:_LONGEST_RAW])
    hostname, message_id = named.get("hostname", ""), named.get("errdefs_msgno", "")
    pool = named.get("pool_name", "")
    reason = _reason(named.get("status_reason", ""))
    availability = named.get("availability_state", "")
    detail: dict[str, Any] = {
        "availability": availability,
        "enabled": named.get("enabled_state", named.get("state", "")),
    }
    raw = raw[:_LONGEST_RAW]
    if name == "pool modified":
        available = number(named.get("available_members", ""))
        detail["available_members"] = available
        state = "no_members" if available == 0 else ("has_members" if available else availability or "unknown")
        return HealthEvent(at, hostname, "pool", state, message_id, f5_pool=pool, reason=reason, detail=detail, raw=raw)
    node, port = named.get("pool_member", ""), named.get("poolport", "")
    detail.update(address=named.get("poolip", ""), session=named.get("session_status", ""))
    monitor, _, text = reason.partition(": ")
    if not monitor.startswith("/") or " " in monitor:
        monitor, text = "", reason
    status = named.get("monitor_state", "") or availability
    return HealthEvent(
        at,
        hostname,
        "member",
        _STATES.get(status, status.replace("-", "_").replace(" ", "_")) or "unknown",
        message_id,
        f5_pool=pool,
        member=f"{node}:{port}" if port else node,
        monitor=monitor,
        monitor_state=status,
        reason=text,
        detail=detail,
        raw=raw,
    )


def _reason(text: str) -> str:
    at = text.rfind("@")
    return (text[:at] if at >= 0 and text[at + 1 : at + 5].isdigit() else text).strip()
