"""f5-auto: finds out what one line is (request log, ltm, audit, Telemetry Streaming) and parses it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ingest.parsers import f5_audit, f5_header, f5_ltm, f5_request_log, f5_telemetry, times
from ingest.parsers.f5_header import clean, unwrap
from ingest.parsers.f5_request_fields import normal
from ingest.parsers.f5_request_kv import OTHER_MODULES, pairs
from ingest.records import Action, HealthEvent, MemberState, Other, Reject, RequestLine, VirtualServer

Record = RequestLine | HealthEvent | Action | MemberState | VirtualServer | Other | Reject


def parse_auto(
    line: str, received: datetime | None = None, utc_offset: timedelta = times.NO_OFFSET
) -> Record | list[Record]:
    """The line's record; a Telemetry Streaming document may hold several."""
    raw = clean(line)
    message, received, sender = unwrap(raw, received)
    if not message.strip():
        return Reject("an empty line", raw)
    if message.lstrip().startswith("{") and _is_telemetry(message):
        found = f5_telemetry.parse(message, received)
        return found[0] if len(found) == 1 else found
    header = f5_header.parse(message, received, utc_offset)
    # A syslog head with a message id is the device's own; its text may quote anything, a request line too.
    if not header.message_id and "AUDIT - " not in header.text[:10]:
        line_found = f5_request_log.parse(message, received)
        if isinstance(line_found, RequestLine):
            return line_found
    action = f5_audit.from_message(message, header, raw, received, sender, utc_offset)
    if isinstance(action, Action):
        return action
    found_ltm = f5_ltm.from_header(header, raw, received, sender)
    if isinstance(found_ltm, Reject):
        event = f5_telemetry.parse_pairs(message, received) or _other_module(message, raw, header, received)
        if isinstance(event, HealthEvent | Other):
            event = replace(event, raw=raw)  # of a line all is kept, however long
        return event or Reject("not a line of F5 in any form that is known", raw)
    if isinstance(found_ltm, Other) and isinstance(action, Other):
        return action  # the same, with secrets masked
    return found_ltm


# Keyword forms that only F5 writes, of modules that we do not judge by (ASM, AFM, PSM, DNS iRules), and the keys by which
# Telemetry Streaming tells the events of ASM, APM, AFM, CGNAT and AVR.
_MODULES = ("CEF:0|F5|", "ASM:f5_asm=", ",f5_irule=")
_TIMES = ("date_time", "event_timestamp", "eoctimestamp")


def _other_module(message: str, raw: str, header: f5_header.Header, received: datetime | None) -> Other | None:
    at, hostname = header.at, header.hostname
    if not any(word in message[:400] for word in _MODULES):
        values = {normal(key): value for key, value in pairs(message)[0]}
        if not OTHER_MODULES & values.keys():
            return None
        at = next(filter(None, (times.any_time(values.get(key, "")) for key in _TIMES)), at)
        hostname = values.get("hostname") or values.get("unit_hostname") or hostname
    elif not hostname and ",f5_irule=" in header.text[:300]:  # a relay's name is glued to the first comma
        hostname = header.text.partition(",")[0]
    return Other(at or received, hostname, header.process, "", header.severity, header.text, raw)


def _is_telemetry(message: str) -> bool:
    return any(
        key in message for key in ('"telemetryEventCategory"', '"event_source"', '"virtualServers"', '"errdefs_msg')
    )
