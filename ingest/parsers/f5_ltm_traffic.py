"""Texts of the ltm and gtm logs about traffic and the device: limits, resets, TLS, failover, GSLB, lost messages.

Each function takes the text behind the message id and returns the fields of a HealthEvent, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]

_TOKEN = r"([^\s]{1,512})"
_HELD = re.compile(r"Re-enabling general logging; held ([0-9]{1,12}) messages?")
_SUPPRESSED = re.compile(r"Suppressed ([0-9]{1,12}) messages? from ([^\s]{1,256})")
_THROTTLED = (
    "Per-invocation log rate exceeded; throttling",
    "Cumulative log rate exceeded!",
    "Resuming log processing at this invocation",
)
_RESUMED = re.compile(r"Resuming log processing at this invocation; held ([0-9]{1,12}) messages?")
_RST = re.compile(r"RST sent from ([^\s,]{1,128}) to ([^\s,]{1,128}), (?:\[([^\]]{1,64})\] ?)?")
_PORTS = re.compile(
    r"Inet (?:port find called for pg|port exhaustion on) ([^\s]{1,128}) to ([^\s]{1,128})(?: \(proto ([0-9]{1,3})\))?"
)
_MEMBER_RATE = re.compile(r"Pool member ([^\s]{1,256}) exceeded configured rate limit")
_VIRTUAL_RATE = re.compile(r"Virtual ([^\s]{1,512}) exceeded configured rate limit")
_REMOTE = re.compile(r"remote IP ([^\s,]{1,128})(?:,? port ([0-9]{1,5}))?")
_LOCAL = re.compile(r"local IP ([^\s,]{1,128})(?:,? port ([0-9]{1,5}))?")
_HANDSHAKE = re.compile(r"SSL Handshake failed for (?:TCP|UDP|SCTP) ([^\s]{1,128}) -> ([^\s]{1,128})")
_CIPHERS = re.compile(r"No shared ciphers between SSL peers ([^\s]{1,256})")
_CONNECTION_ERROR = re.compile(r"(?:([^\s]{1,128}) -> ([^\s]{1,128}): |\(null connflow\): )?Connection error: ")
_SYNCOOKIE = re.compile(r"Syncookie (threshold|counter|HW mode|SW mode) ")
_OF_VIRTUAL = re.compile(r"(?:virtual|server|for virtual|vip) = ?([^\s,]{1,512})")
_HEADER_SIZE = re.compile(r"HTTP header \(?([0-9]{1,12})\)? exceeded maximum allowed (?:size|number) of ([0-9]{1,12})")
_NAMED = re.compile(r"(vip|pool|server_ip|client_ip)=([^\s)]{1,512})")
_GTM_MEMBER = re.compile(
    r"(?:SNMP_TRAP: )?Pool \(?([^\s()]{1,512})\)? member \(?([^\s()]{1,512})\)?(?: \(ip:port=([^\s)]{1,128})\))?"
    r" (state change |enabled|disabled)"
)
_GTM_OBJECT = re.compile(
    r"SNMP_TRAP: (Pool|Wide IP|Wideip|VS|Virtual Server|Server|Data [Cc]enter|Link|Box|Prober)"
    r" \(?([^\s()]{1,512})\)?(?: \((?:ip(?::port)?=)?([^\s)]{1,128})\))?"
    r"(?: \(Server [^\s)]{1,256}\))? (?:[a-z]{1,12} ){0,2}?(state change |enabled|disabled)"
)
_ARROW = re.compile(r"([A-Za-z]{2,20}) -{1,2}> ([A-Za-z]{2,20})")
_GTM_MONITOR = re.compile(
    r"Monitor instance ([^\s]{1,512}) ([^\s]{1,128}) ([A-Z]{2,20}) -{1,2}> ([A-Z]{2,20})(?: from ([^\s]{1,256}))?"
)
_HA_SCORE = re.compile(r"HA Group ([^\s]{1,256}) score updated from ([0-9]{1,9}) to ([0-9]{1,9})")
_DEVICE = re.compile(r"from device ([^\s]{1,256})")
_SECONDS = re.compile(r"(?:for|after) ([0-9.]{1,20}) second")
_TRAFFIC_GROUP = re.compile(r"(Active|Standby|Offline)(?: for traffic group ([^\s]{1,256}?))?\.?$")
_RESTART = re.compile(r"Re-starting ([a-z0-9_]{1,32})")
_CLOCK = re.compile(r"Clock advanced by ([0-9]{1,12}) ticks")
_RST_LIMIT = re.compile(
    r"Limiting ([a-z ]{1,40}) (?:RST )?(?:packet )?response from ([0-9]{1,12}) to ([0-9]{1,12}) packets/sec"
    r"(?: for traffic-group ([^\s]{1,256}))?"
)
_MEMBER_COLOUR = {
    "green": "up",
    "red": "down",
    "yellow": "unavailable",
    "blue": "checking",
    "gray": "disabled",
    "black": "disabled",
}
_OBJECT_COLOUR = {
    "green": "available",
    "red": "unavailable",
    "yellow": "unavailable",
    "blue": "unchecked",
    "gray": "disabled",
    "black": "disabled",
}


def lost_messages(text: str) -> Fields | None:
    """Notices that stand in for messages the device did not write; they carry the id of what they replace."""
    if text.startswith(("Re-enabling general logging", "Suppressed ", *_THROTTLED)):
        match = _HELD.match(text) or _SUPPRESSED.match(text) or _RESUMED.match(text)
        if match is None and text.startswith(("Suppressed ", "Re-enabling")):
            return None
        count = int(match.group(1)) if match else None
        return {"kind": "device", "state": "lost_messages", "count": count, "reason": text[:200]}
    return None


def reset(text: str) -> Fields | None:
    match = _RST.match(text)
    if not match:
        return None
    source, target, code = match.groups()
    reason = text[match.end() :].strip()
    detail = {"source": source, "target": target, "code": code or ""}
    return {"kind": "virtual", "state": "reset_sent", "object": source, "reason": reason[:500], "detail": detail}


def port_exhaustion(text: str) -> Fields | None:
    match = _PORTS.match(text)
    if not match:
        return None
    source, target, proto = match.groups()
    detail = {"source": source, "target": target, "proto": proto or ""}
    return {"kind": "device", "state": "port_exhaustion", "object": source, "member": target, "detail": detail}


def limit(text: str) -> Fields | None:
    match = _MEMBER_RATE.match(text)
    if match:
        return {
            "kind": "member",
            "state": "limit",
            "member": match.group(1),
            "reason": "rate",
            "detail": {"limit": "rate"},
        }
    match = _VIRTUAL_RATE.match(text)
    if match:
        return {
            "kind": "virtual",
            "state": "limit",
            "object": match.group(1),
            "reason": "rate",
            "detail": {"limit": "rate"},
        }
    if "onnection limit exceeded" not in text[:2_000]:
        return None
    local, remote = _LOCAL.search(text, 0, 2_000), _REMOTE.search(text, 0, 2_000)
    detail = {"limit": "connection", "source": _joined(remote), "target": _joined(local)}
    return {"kind": "virtual", "state": "limit", "object": _joined(local), "reason": "connection", "detail": detail}


def _joined(match: re.Match[str] | None) -> str:
    if not match:
        return ""
    return f"{match.group(1)}:{match.group(2)}" if match.group(2) else match.group(1)


def tls(text: str) -> Fields | None:
    match = _HANDSHAKE.match(text)
    if match:
        source, target = match.groups()
        detail = {"source": source, "target": target}
        return {
            "kind": "virtual",
            "state": "tls_failure",
            "object": target,
            "reason": "handshake failed",
            "detail": detail,
        }
    match = _CIPHERS.match(text)
    if match:
        peers = match.group(1).rstrip(".")
        source, _, target = peers.rpartition(":")
        detail = {"source": source, "target": target}
        return {
            "kind": "virtual",
            "state": "tls_failure",
            "object": target,
            "reason": "no shared ciphers",
            "detail": detail,
        }
    match = _CONNECTION_ERROR.match(text)
    if match:
        source, target = match.groups()
        detail = {"source": source or "", "target": target or ""}
        reason = text[match.end() :].strip()[:500]
        return {"kind": "virtual", "state": "tls_failure", "object": target or "", "reason": reason, "detail": detail}
    return None


def syncookie(text: str) -> Fields | None:
    match = _SYNCOOKIE.match(text)
    if not match:
        return None
    found = _OF_VIRTUAL.search(text, 0, 2_000)
    state = "syncookie_off" if " exited" in text[:300] else "syncookie_on"
    return {"kind": "virtual", "state": state, "object": found.group(1) if found else "", "reason": text[:200]}


def http_limits(text: str) -> Fields | None:
    match = _HEADER_SIZE.match(text)
    state = "header_too_large" if match else ""
    if not match and "Server sends too much data" in text[:300]:
        state = "server_sent_too_much"
    if not state:
        return None
    named = dict(_NAMED.findall(text[:4_000]))
    return {
        "kind": "virtual",
        "state": state,
        "object": named.get("vip", ""),
        "f5_pool": named.get("pool", ""),
        "reason": text[:300],
        "detail": named,
    }


def gtm(text: str) -> Fields | None:
    """GSLB messages: `state change green --> red`, with either arrow."""
    match = _GTM_MEMBER.match(text)
    if match:
        pool, name, address, what = match.groups()
        event: Fields = {
            "kind": "member",
            "f5_pool": pool,
            "member": address or name,
            "object": name,
            "detail": {"gtm": True},
        }
        return _gtm_state(text, match.end(), what, event, _MEMBER_COLOUR)
    match = _GTM_OBJECT.match(text)
    if match:
        what, name, address, change = match.groups()
        kind = {"Pool": "pool", "VS": "virtual", "Virtual Server": "virtual"}.get(what, "device")
        event = {"kind": kind, "object": name, "detail": {"gtm": True, "type": what, "address": address or ""}}
        if kind == "pool":
            event["f5_pool"] = name
        return _gtm_state(text, match.end(), change, event, _OBJECT_COLOUR)
    match = _GTM_MONITOR.match(text)
    if match:
        monitor, instance, before, after, source = match.groups()
        return {
            "kind": "member",
            "state": after.lower(),
            "member": instance,
            "monitor": monitor,
            "monitor_state": after.lower(),
            "was": before.lower(),
            "reason": _bracket(text, match.end()).removeprefix("state:").removeprefix("state ").strip(),
            "detail": {"gtm": True, "from": source or ""},
        }
    return None


def _gtm_state(text: str, pos: int, what: str, event: Fields, colours: dict[str, str]) -> Fields | None:
    if what != "state change ":
        return {**event, "state": what}
    match = _ARROW.match(text, pos)
    if not match:
        return None
    before, after = match.group(1).lower(), match.group(2).lower()
    event.update(state=colours.get(after, after), was=colours.get(before, before))
    reason = _bracket(text, match.end())
    event["reason"] = reason
    event["detail"].update({"from_colour": before, "to_colour": after})
    monitor = re.match(r"Monitor ([^\s]{1,512}) from ([^\s]{1,256}) : (?:state: ?)?", reason)
    if monitor:
        event.update(monitor=monitor.group(1), reason=reason[monitor.end() :].strip())
    return event


def _bracket(text: str, pos: int) -> str:
    start, end = text.find("(", pos), text.rfind(")")
    return text[start + 1 : end].strip() if 0 <= start < end else ""


def high_availability(text: str) -> Fields | None:
    match = _HA_SCORE.match(text)
    if match:
        group, before, after = match.groups()
        detail = {"from": int(before), "to": int(after)}
        return {"kind": "device", "state": "ha_score", "object": group, "was": before, "detail": detail}
    state = ""
    for start, meaning in _HEARTBEAT:
        if text.startswith(start):
            state = meaning
            break
    if state:
        device, seconds = _DEVICE.search(text, 0, 1_000), _SECONDS.search(text, 0, 1_000)
        waited = {"seconds": seconds.group(1)} if seconds else {}
        return {"kind": "device", "state": state, "object": device.group(1) if device else "", "detail": waited}
    match = _TRAFFIC_GROUP.match(text) if len(text) < 400 else None
    if match:
        return {"kind": "device", "state": match.group(1).lower(), "object": match.group(2) or ""}
    return None


_HEARTBEAT = (
    ("No failover status messages received", "heartbeat_lost"),
    ("Failover status message received after", "heartbeat_gap"),
    ("First failover status message received", "heartbeat_first"),
    ("Leaving Standby", "leaving_standby"),
    ("Leaving Active", "leaving_active"),
    ("Going active", "going_active"),
    ("Going standby", "going_standby"),
    ("Going offline", "offline"),
    ("Forced offline", "offline"),
    ("Failover condition", "failover_condition"),
    ("Peer's HA", "peer_changed"),
)


def device(text: str) -> Fields | None:
    match = _RESTART.match(text)
    if match:
        return {"kind": "device", "state": "restarting", "object": match.group(1)}
    match = _CLOCK.match(text)
    if match:
        return {"kind": "device", "state": "clock_advanced", "detail": {"ticks": int(match.group(1))}}
    match = _RST_LIMIT.match(text)
    if match:
        what, before, after, group = match.groups()
        detail = {"what": what, "from": int(before), "to": int(after)}
        return {"kind": "device", "state": "rst_limited", "object": group or "", "reason": text[:200], "detail": detail}
    lower = text[:200].lower()
    if "aggressive mode" in lower and ("sweeper" in lower or "activated" in lower):
        state = "memory_relieved" if "deactivated" in lower else "memory_pressure"
        return {"kind": "device", "state": state, "reason": text[:200]}
    return None


FORMS: tuple[Callable[[str], Fields | None], ...] = (
    reset,
    port_exhaustion,
    limit,
    tls,
    syncookie,
    http_limits,
    gtm,
    high_availability,
    device,
)
