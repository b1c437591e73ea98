"""Texts of the ltm and gtm logs about traffic: limits, resets, TLS, HTTP, iRules, GSLB, and lost messages.

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
_RELAY_LOST = re.compile(
    r"(?:imuxsock|imjournal|imudp|imtcp|action)[^\n]{0,80}?(?:lost ([0-9]{1,12}) messages|: ([0-9]{1,12}) messages lost)"
)
_AGAIN = re.compile(r"last message repeated ([0-9]{1,12}) times?\.?\Z")
_RESUMED = re.compile(r"Resuming log processing at this invocation; held ([0-9]{1,12}) messages?")
_RST = re.compile(r"RST sent from ([^\s,]{1,128}) to ([^\s,]{1,128}), (?:\[([^\]]{1,64})\] ?)?")
_PORTS = re.compile(
    r"Inet (?:port find called for pg|port exhaustion on) ([^\s]{1,128}) to ([^\s]{1,128})(?: \(proto ([0-9]{1,3})\))?"
)
_MEMBER_RATE = re.compile(r"Pool member ([^\s]{1,256}) exceeded configured rate limit")
_VIRTUAL_RATE = re.compile(r"Virtual ([^\s]{1,512}) exceeded configured rate limit")
_MEMBER_FULL = re.compile(
    r"(?:Warning, )?[Pp]ool member IP ([^\s]{1,128}) port ([^\s]{1,16}) for pool ([^\s]{1,512}) has reached its connection limit"
)
_REMOTE = re.compile(r"remote IP ([^\s,]{1,128})(?:,? port ([0-9]{1,5}))?")
_LOCAL = re.compile(r"local IP ([^\s,]{1,128})(?:,? port ([0-9]{1,5}))?")
_HANDSHAKE = re.compile(r"SSL Handshake failed for (?:TCP|UDP|SCTP) (?:from )?([^\s]{1,128}) (?:->|to) ([^\s]{1,128})")
_CIPHERS = re.compile(r"No shared ciphers between SSL peers ([^\s]{1,256})")
_CONNECTION_ERROR = re.compile(
    r"(?:(?:clientside |serverside )?([^\s]{1,128}) -> ([^\s]{1,128}): |\(null connflow\): )?Connection error: "
)
_INSECURE = re.compile(
    r"Connection attempt (to|from) insecure SSL (?:server|client)[^\n]{0,80}? aborted: ([^\s]{1,128})"
)
_SYNCOOKIE = re.compile(r"Syncookie (threshold|counter|HW mode|SW mode) ")
_SERVER_NAME = re.compile(r" server name = ?([^\s,]{1,512})")
_OF_VIRTUAL = re.compile(r"(?:virtual|server|for virtual|vip) = ?([^\s,]{1,512})")
_HEADER_SIZE = re.compile(
    r"HTTP header \(?([0-9]{1,12}|count)\)? exceeded maximum allowed (?:size|number|count) of [0-9]{1,12}"
)
_NAMED = re.compile(r"(vip|pool|server_ip|client_ip)=([^\s)]{1,512})")
_GTM_MEMBER = re.compile(
    r"(?:SNMP_TRAP: )?Pool \(?([^\s()]{1,512})\)? member \(?([^\s()]{1,512})\)?(?: \(ip:port=([^\s)]{1,128})\))?"
    r" (state change |enabled|disabled)"
)
_PROBER = re.compile(
    r"(?:SNMP_TRAP: )?Prober [Pp]ool \(?([^\s()]{1,512})\)? member \(?([^\s()]{1,512})\)? (state change |enabled|disabled)"
)
_GTM_OBJECT = re.compile(
    r"(?:SNMP_TRAP: )?(Prober [Pp]ool|Pool|Wide IP|Wideip|VS|Virtual Server|Server|Data [Cc]enter|Link|Box|Prober)"
    r" \(?([^\s()]{1,512})\)?(?: \((?:ip(?::port)?=)?([^\s)]{1,128})\))?"
    r"(?: \(Server [^\s)]{1,256}\))? (?:[a-z]{1,12} ){0,2}?(state change |enabled|disabled)"
)
_SYNC_GROUP = re.compile(
    r"(?:SNMP_TRAP: )?BIG-IP (?:GTM|DNS) ([^\s]{1,256}) \(([^)]{1,128})\) (joined|left|leaving|joining) sync group ([^\s]{1,256})"
)
_CHANGED = re.compile(
    r"((?:[A-Z][A-Za-z]{1,20} ){0,3})([^\s]{1,512}) (?:changed state|state changed) from ([A-Za-z]{2,20}) "
    r"to ([A-Za-z]{2,20})\.?\Z"
)
_ARROW = re.compile(r"([A-Za-z]{2,20}) -{1,2}> ([A-Za-z]{2,20})")
_GTM_MONITOR = re.compile(
    r"Monitor instance ([^\s]{1,512}) ([^\s]{1,128}) ([A-Z]{2,20}) -{1,2}> ([A-Z]{2,20})(?: from ([^\s]{1,256}))?"
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
    """Notices that stand in for messages that were not written; the device's carry the id of what they replace.

    syslogd's "last message repeated" and rsyslog's own losses count too: a relay in between says them.
    """
    count: str | None = None
    if text.startswith(_THROTTLED):
        match = _RESUMED.match(text)
        count = match.group(1) if match else None
    else:
        match = _HELD.match(text) or _SUPPRESSED.match(text) or _AGAIN.match(text) or _RELAY_LOST.match(text)
        if match is None:
            return None
        count = next(filter(None, match.groups()))
    return {"kind": "device", "state": "lost_messages", "count": int(count) if count else None, "reason": text[:200]}


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
    match = _MEMBER_FULL.match(text)
    if match:
        address, port, pool = match.groups()
        event: Fields = {"kind": "member", "state": "limit", "member": f"{address}:{port}", "f5_pool": pool}
        return {**event, "reason": "connection", "detail": {"limit": "connection"}}
    rejected = text.startswith("Packet rejected ")
    limited = "onnection limit exceeded" in text[:2_000]
    if not limited and not rejected:
        return None
    local, remote = _LOCAL.search(text, 0, 2_000), _REMOTE.search(text, 0, 2_000)
    if not limited:  # a packet to a port that nothing listens on, or that a filter turned down
        detail = {"source": _joined(remote), "target": _joined(local)}
        reason = text.rpartition(": ")[2].rstrip(".")[:200]
        return {
            "kind": "virtual",
            "state": "packet_rejected",
            "object": _joined(local),
            "reason": reason,
            "detail": detail,
        }
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


def insecure(text: str) -> Fields | None:
    """The other side cannot renegotiate safely (RFC 5746), so the device gave the connection up."""
    match = _INSECURE.match(text)
    if not match:
        return None
    side, peer = match.groups()
    detail = {"source" if side == "from" else "target": peer}
    return {"kind": "virtual", "state": "tls_peer_refused", "object": "", "reason": text[:300], "detail": detail}


def certificate(text: str) -> Fields | None:
    """The certificate of the other side did not hold."""
    if not text.startswith("Peer cert verify error: "):
        return None
    return {"kind": "virtual", "state": "tls_peer_untrusted", "object": "", "reason": text[:300], "detail": {}}


def syncookie(text: str) -> Fields | None:
    match = _SYNCOOKIE.match(text)
    if not match:
        return None
    found = _SERVER_NAME.search(text, 0, 2_000) or _OF_VIRTUAL.search(text, 0, 2_000)
    state = "syncookie_off" if " exited" in text[:300] else "syncookie_on"
    return {"kind": "virtual", "state": state, "object": found.group(1) if found else "", "reason": text[:200]}


def http_limits(text: str) -> Fields | None:
    match = _HEADER_SIZE.match(text)
    state = "header_too_large" if match else ""
    if not match and "Server sends too much data" in text[:300]:
        state = "server_sent_too_much"
    elif text.startswith("http_process_state_") and "Invalid action" in text[:300]:
        state = "http_state_error"
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


_RULE_ERROR = re.compile(r"TCL error: ([^\s]{1,256}) (?:<([A-Z0-9_]{1,48})>(?: - | )?|- )")
_ABORTED = re.compile(
    r"(?:Pending rule|Rule|TCL error:) ?([^\s]{1,256}) <([A-Z0-9_]{1,48})> aborted for ([^\s]{1,128}) -> ([^\s]{1,128})"
)

_ABORTED_FOR = re.compile(r"([^\s]{1,128}) -> ([^\s]{1,128})\s*$")


def rule_error(text: str) -> Fields | None:
    """An iRule that failed: the device resets the connection."""
    match = _ABORTED.match(text)
    if match:
        name, event, source, target = match.groups()
        detail = {"event": event, "source": source, "target": target}
        return {"kind": "device", "state": "rule_aborted", "object": name, "reason": "aborted", "detail": detail}
    match = _RULE_ERROR.match(text)
    if match:
        name, event = match.groups()
        reason = " ".join(text[match.end() : match.end() + 600].replace("#012", " ").replace("\\n", " ").split())
        return {
            "kind": "device",
            "state": "rule_error",
            "object": name,
            "reason": reason[:500],
            "detail": {"event": event or "", **_aborted_for(text)},
        }
    return None


def _aborted_for(text: str) -> Fields:
    """The connection that the failing iRule cost, where the message ends with it."""
    match = _ABORTED_FOR.match(text[-300:].rpartition(" aborted for ")[2])
    return {"source": match.group(1), "target": match.group(2)} if match else {}


def prober(text: str) -> Fields | None:
    """GSLB's own probers, in pools of their own."""
    match = _PROBER.match(text)
    if not match:
        return None
    pool, name, change = match.groups()
    detail = {"gtm": True, "type": "Prober Pool member", "pool": pool}
    return _gtm_state(text, match.end(), change, {"kind": "device", "object": name, "detail": detail}, _OBJECT_COLOUR)


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
    match = _SYNC_GROUP.match(text)
    if match:
        name, address, what, group = match.groups()
        detail = {"gtm": True, "address": address, "sync_group": group}
        return {"kind": "device", "state": f"sync_group_{what}", "object": name, "detail": detail}
    match = _CHANGED.match(text)
    if match:
        what, name, before, after = match.groups()
        event = {"kind": "device", "object": name, "detail": {"gtm": True, "type": what.strip()}}
        return {**event, "state": _coloured(after), "was": _coloured(before)}
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
    monitor = re.match(r"Monitor ([^\s]{1,512})(?: from [^\s]{1,256})? : (?:state:? ?)?", reason)
    if monitor:
        event.update(monitor=monitor.group(1), reason=reason[monitor.end() :].strip())
    return event


def _coloured(word: str) -> str:
    return _OBJECT_COLOUR.get(word.lower(), word.lower())


def _bracket(text: str, pos: int) -> str:
    start, end = text.find("(", pos), text.rfind(")")
    return text[start + 1 : end].strip() if 0 <= start < end else ""


FORMS: tuple[Callable[[str], Fields | None], ...] = (
    reset,
    port_exhaustion,
    limit,
    tls,
    insecure,
    certificate,
    syncookie,
    http_limits,
    rule_error,
    prober,
    gtm,
)
