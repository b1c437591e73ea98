"""Lines of /var/log/ltm (and gtm): members, nodes, pools and virtual servers that change, as health events.

A line is decided by its text, not by its id or its level: ids are used for several texts (010719e7), throttling notices
borrow the id of what they hold back, and "now has available members" is logged as an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ingest.parsers import f5_asm, f5_header, f5_ltm_device, f5_ltm_system, f5_ltm_traffic
from ingest.parsers.f5_header import Header, clean, unwrap
from ingest.records import HealthEvent, Other, Reject

Record = HealthEvent | Other | Reject
_DURATION = re.compile(r"(-?[0-9]{1,9})hrs?(?::(-?[0-9]{1,9})mins?(?::(-?[0-9]{1,9})secs?)?)?")
_WORDS = r"((?:forced |node |user |parent |fqdn |addr |iRule )?[a-z]+(?:-[a-z]+){0,3}(?: (?:down|disabled|up))?)"
_MEMBER = re.compile(r"Pool ([^\s]{1,512}) member ([^\s]{1,512}) (monitor|session) status ")
_SHORT_MEMBER = re.compile(r"Pool member ([^\s]{1,512}) (monitor|session) status ")
_NODE = re.compile(r"Node ([^\s]{1,512}) (?:address ([^\s]{1,128}) )?(monitor|session) status ")
_STATUS = re.compile(_WORDS + r"(?=[.\s\[]|$)")
_INSTANCE = re.compile(r"Monitor ([^\s]{1,512}) instance ([^\s]{1,512}) has been ([a-z]{1,20})")
_NO_MEMBERS = re.compile(r"No members available (?:for|in) pool ([^\s]{1,512})")
_HAS_MEMBERS = re.compile(r"Pool ([^\s]{1,512}) now has available members")
_VIRTUAL = re.compile(r"(?:SNMP_TRAP: )?Virtual ([^\s]{1,512})(?: \([^)]{0,128}\))? has become (available|unavailable)")
_ADDRESS = re.compile(
    r"Virtual Address ([^\s]{1,512}) (general|monitor) status changed from ([A-Za-z]{1,20}) to ([A-Za-z]{1,20})"
)
_VIRTUAL_STATUS = re.compile(
    r"Virtual (/[^\s]{1,512}) (?:[a-z]{1,20} ){0,6}(up|down|available|unavailable|enabled|disabled|offline)\.?$"
)
_MONITOR_WORDS = frozenset(("up", "down", "checking", "unchecked", "disabled", "forced", "unknown", "no", "maint"))
COLOURS = {
    "green": "available",
    "red": "unavailable",
    "yellow": "unavailable",
    "blue": "unchecked",
    "gray": "disabled",
    "black": "disabled",
}

# A line is taken for F5's by its message id, by a form of text that only F5 writes, by the level's word that F5's syslog
# puts between host and process, or by one of these processes. A generic pattern swallows other products (Wazuh took its
# F5 decoders out again for that reason).
_OWN = (
    r"tmm[0-9]{0,3}|mcpd|bigd|big3d|gtmd|sod|lacpd|apmd|icrd_child|tmrouted|chmand|bcm56xxd|iControlPortal\.cgi|"
    r"audit_forwarder|datasyncd|errdefsd|promptstatusd|asm_config_server\.pl"
)
_OWN_DAEMONS = re.compile(rf"(?:{_OWN})\Z")
DAEMONS = re.compile(
    rf"(?:{_OWN}|tmsh|icrd|scriptd|bd|restjavad|restnoded|alertd|clusterd|vcmpd|statsd|mgmtd|zrd|zxfrd|overdog|csyncd|"
    r"fpdd|merged|evrouted|ql|vxland|lind|iprepd|tmipsecd|keymgmtd|sdmd|websso|nlad|avrd|devmgmtd|hwpd|monpd|boot_marker)\Z"
)
_CRON = (
    "/usr/bin/diskmonitor",
    "/usr/bin/diskwearoutstat",
    "/usr/bin/updatecheck",
    "/usr/bin/phonehome_upload",
    "/usr/bin/copy_rrd",
    "/usr/share/ts/bin/",
)
_ACCESS = re.compile(
    r"/[A-Za-z0-9_.-]{1,64}/[^\s:]{1,256}:[^\s:]{1,64}:[0-9a-f]{8}: "
)  # APM: profile, partition, session


def parse(line: str, received: datetime | None = None, utc_offset: timedelta = timedelta(0)) -> Record:
    """One line, bare or from a spool file."""
    text = clean(line)
    message, received, sender = unwrap(text, received)
    header = f5_header.parse(message, received, utc_offset)
    return from_header(header, text, received, sender)


def from_header(header: Header, raw: str, received: datetime | None, sender: str = "") -> Record:
    """The record of a line whose head is already split."""
    if not is_f5(header):
        return Reject("not an F5 line: no message id, and no form that only F5 writes", raw)
    at = header.at or received
    event: dict[str, Any] | None = None
    if at is not None:
        for form in FORMS:
            event = form(header.text)
            if event is not None:
                break
    if at is None and any(form(header.text) for form in FORMS):
        return Reject("no time in the line, and the time of receipt is not known", raw)
    hostname = header.hostname or sender
    if event is None or at is None:
        return Other(
            header.at or received, hostname, header.process, header.message_id, header.severity, header.text, raw
        )
    detail = {**event.pop("detail", {}), **({"slot": header.slot} if header.slot else {})}
    if header.process:
        detail["process"] = header.process
    if header.repeated > 1 and event.get("count") is None:
        event["count"] = header.repeated
    return HealthEvent(at=at, hostname=hostname, message_id=header.message_id, detail=detail, raw=raw, **event)


def is_f5(header: Header) -> bool:
    """True for a line that only a BIG-IP writes."""
    if header.message_id or (header.level and header.process and header.hostname):
        return True
    text = header.text
    if text.startswith(("Pool /", "Node /", "Pool member ", "Rule /", "SNMP_TRAP: ", "Virtual Address ", "Monitor /")):
        return any(word in text for word in (" status ", ">: ", "has become", "state change", " instance ", "Rule /"))
    if text.startswith("No members available for pool ") or " now has available members" in text[:600]:
        return True
    if f5_asm.is_asm(text) or f5_asm.is_listed(text):
        return True
    if text.startswith("pam_bigip_authz:") or header.process.endswith(("(pam_audit)", "(mod_auth_pam)")):
        return True
    # its process supervisor, its boot marker, and tmm's own log, which names no process
    if header.level and text.startswith(
        ("Re-starting ", "---===[ ", "boot_marker : ---===[ ", "** SIG", "MCP connection ")
    ):
        return True
    if header.hostname and text.startswith("Saving running configuration..."):
        return True
    if lost_messages(text) is not None and (header.level or header.process or header.hostname):
        return True
    if header.process == "CROND" and any(command in text[:300] for command in _CRON):
        return True
    if _ACCESS.match(text):
        return True
    if header.process and header.pid is not None and _OWN_DAEMONS.match(header.process):
        return True
    return bool(header.process and DAEMONS.match(header.process) and (header.level or header.hostname))


def duration_s(text: str) -> int | None:
    """`837hrs:31mins:36sec` in seconds; negative where the device's clock was set back meanwhile."""
    match = _DURATION.search(text)
    if not match:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def _state(words: str) -> str:
    return words.strip().lower().replace(" ", "_").replace("-", "_")


def member(text: str) -> dict[str, Any] | None:
    match = _MEMBER.match(text)
    if match:
        pool, name, what = match.groups()
        return _status(text, match.end(), what, {"kind": "member", "f5_pool": pool, "member": name})
    match = _SHORT_MEMBER.match(text)
    if match:  # BIG-IP 10: no pool, no brackets
        return _status(text, match.end(), match.group(2), {"kind": "member", "member": match.group(1)})
    match = _NODE.match(text)
    if match:
        name, address, what = match.groups()
        detail = {"address": address.rstrip(".")} if address else {}
        return _status(text, match.end(), what, {"kind": "node", "object": name, "detail": detail})
    return None


def _status(text: str, pos: int, what: str, event: dict[str, Any]) -> dict[str, Any] | None:
    """`<status>. [ <monitor>: <word>; last error: … ]  [ was <before> for <time> ]`, or the status alone."""
    match = _STATUS.match(text, pos)
    if not match:
        return None
    event["state"] = _state(match.group(1))
    event.setdefault("detail", {})["status_of"] = what
    rest = text[match.end() :]
    was = rest.rfind("[ was ")
    if was >= 0:
        before, _, lasted = rest[was + 6 :].rpartition(" for ")
        event["was"] = _state(before)
        event["lasted_s"] = duration_s(lasted)
        rest = rest[:was]
    start, end = rest.find("["), rest.rfind("]")
    if start >= 0:
        _monitors(rest[start + 1 : end if end > start else len(rest)].strip(), event)
    return event


def _monitors(text: str, event: dict[str, Any]) -> None:
    """`/Common/http: down; last error: …, /Common/tcp: up`: the first monitor that is not up is the event's."""
    monitors = []
    for part in _split_monitors(text):
        name, _, rest = part.partition(": ")
        word, marker, error = rest.partition("; last error:")
        monitors.append((name.strip(), _state(word.strip(" ;,.")), _reason(error, name.strip()) if marker else ""))
    if not monitors:
        return
    name, state, reason = next((m for m in monitors if m[1] != "up"), monitors[0])
    event.update(monitor=name, monitor_state=state, reason=reason)
    if len(monitors) > 1:
        event["detail"]["monitors"] = [{"monitor": m, "state": s, "reason": r} for m, s, r in monitors]


def _split_monitors(text: str) -> list[str]:
    """At each `, <name>: <state word>`; an error's own text may hold commas."""
    parts: list[str] = []
    start = pos = 0
    while True:
        comma = text.find(", ", pos)
        if comma < 0 or len(parts) >= 50:
            break
        name, colon, after = text[comma + 2 : comma + 600].partition(": ")
        word = after.partition(" ")[0].rstrip(";,.")
        if colon and name and not any(c.isspace() for c in name) and word in _MONITOR_WORDS:
            parts.append(text[start:comma])
            start = comma + 2
        pos = comma + 2
    parts.append(text[start:])
    return [part for part in parts if ": " in part]


def _reason(error: str, monitor: str) -> str:
    error = error.strip()
    if error.startswith(monitor + ":"):
        error = error[len(monitor) + 1 :]
    at = error.rfind("@")
    if at >= 0 and error[at + 1 : at + 5].isdigit():
        error = error[:at]
    return error.strip(" ,")


def pool(text: str) -> dict[str, Any] | None:
    match = _NO_MEMBERS.match(text)
    if match:
        return {"kind": "pool", "state": "no_members", "f5_pool": match.group(1).rstrip(".")}
    match = _HAS_MEMBERS.match(text)
    if match:
        return {"kind": "pool", "state": "has_members", "f5_pool": match.group(1)}
    return None


def virtual(text: str) -> dict[str, Any] | None:
    match = _VIRTUAL.match(text)
    if match:
        return {"kind": "virtual", "state": match.group(2), "object": match.group(1)}
    match = _ADDRESS.match(text)
    if match:
        name, what, before, after = match.groups()
        detail = {"status_of": what, "from": before, "to": after}
        return {
            "kind": "virtual_address",
            "state": _coloured(after),
            "object": name,
            "was": _coloured(before),
            "detail": detail,
        }
    match = _VIRTUAL_STATUS.match(text) if len(text) < 1_000 else None
    if match:
        return {"kind": "virtual", "state": _state(match.group(2)), "object": match.group(1)}
    return None


def _coloured(word: str) -> str:
    return COLOURS.get(word.lower(), word.lower())


def monitor_instance(text: str) -> dict[str, Any] | None:
    match = _INSTANCE.match(text)
    if not match:
        return None
    name, instance, status = match.groups()
    return {"kind": "member", "state": f"monitor_{status}", "member": instance, "monitor": name}


def lost_messages(text: str) -> dict[str, Any] | None:
    return f5_ltm_traffic.lost_messages(text)


FORMS: tuple[Callable[[str], dict[str, Any] | None], ...] = (
    lost_messages,
    member,
    pool,
    virtual,
    monitor_instance,
    f5_asm.blocked,
    *f5_ltm_traffic.FORMS,
    *f5_ltm_device.FORMS,
    f5_ltm_system.told,
)
