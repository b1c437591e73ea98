"""Texts of the ltm log about the device itself: failover, its peers, links, licence, certificates, its own processes.

Each function takes the text behind the message id and returns the fields of a HealthEvent, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]

_HA_SCORE = re.compile(r"HA Group ([^\s]{1,256}) score updated from ([0-9]{1,9}) to ([0-9]{1,9})")
_DEVICE = re.compile(r"(?:from|peer) device ([^\s,]{1,256})")
_SECONDS = re.compile(r"(?:for|after) ([0-9.]{1,20}) second")
_TRAFFIC_GROUP = re.compile(
    r"(Active|Standby|Offline|Forced offline)(?: for traffic group ([^\s]{1,256}?))?\.?\Z", re.I
)
_GROUP = re.compile(r"traffic[ -]group ([^\s]{1,256})", re.I)
_FEATURE = re.compile(r"HA ([a-z_0-9]{1,40}) ([^\s]{1,256}) fails action is ([^\n.]{1,80})\.?", re.I)
_NOW_WELL = re.compile(r"HA ([a-z_0-9]{1,40}) ([^\s]{1,256}) is now responding\.?", re.I)
_REPORTS = re.compile(r"HA reports ([a-z0-9_]{1,40}) (NOT )?ready", re.I)
_REBOOT = re.compile(r"Ha feature ([a-z_0-9]{1,40}) reboot requested", re.I)
_MIRROR = re.compile(
    r"HA Connection with peer ([^\s]{1,128})(?: for traffic-group ([^\s]{1,256}))? (established|lost)", re.I
)
_PEER = re.compile(r"CMI peer ([0-9a-fA-F.:%]{2,64})")
_CMI_UP = re.compile(r"CMI peer connection established to ([0-9a-fA-F.:%]{2,64})")
_LINK = re.compile(r"(Link|Trunk): ([^\s]{1,128}) is ([A-Z]{2,20})")
_CONFLICT = re.compile(
    r"address conflict detected for ([^\s]{1,64}) \(([^)]{1,64})\)(?: on (?:vlan )?([^\s]{1,128}))?", re.I
)
_CERTIFICATE = re.compile(
    r"Certificate '([^'\n]{0,512})' in file ([^\s]{1,512}) (expired|will expire) on ([^\n]{1,64})"
)
_RESTART = re.compile(r"Re-starting ([a-z0-9_]{1,32})")
_BOOT = re.compile(r"(?:boot_marker ?: ?)?---===\[ ?([^\n\]]{1,200}?) ?\]===---")
_BANDWIDTH = re.compile(
    r"Bandwidth utilization is ([0-9]{1,9}) Mbps, exceeded ([0-9]{1,3})% of Licensed ([0-9]{1,9}) Mbps"
)
_CLOCK = re.compile(r"Clock advanced by ([0-9]{1,12}) ticks")
_RST_LIMIT = re.compile(
    r"Limiting ([a-z ]{1,40}) (?:RST )?(?:packet )?response from ([0-9]{1,12}) to ([0-9]{1,12}) packets/sec"
    r"(?: for traffic-group ([^\s]{1,256}))?"
)

_STARTS = (
    ("No failover status messages received", "heartbeat_lost"),
    ("Failover status message received after", "heartbeat_gap"),
    ("First failover status message received", "heartbeat_first"),
    ("Not receiving status updates from peer", "peer_lost"),
    ("Receiving status updates from peer", "peer_back"),
    ("Leaving Standby", "leaving_standby"),
    ("Leaving Active", "leaving_active"),
    ("Going active", "going_active"),
    ("Going standby", "going_standby"),
    ("Going offline", "offline"),
    ("Forced offline", "offline"),
    ("Failover condition", "failover_condition"),
    ("Command: go ", "failover_command"),
    ("Traffic group ", "failover_command"),
    ("Peer's HA", "peer_changed"),
)
_STARTS_LOW = tuple((start.lower(), state) for start, state in _STARTS)


def high_availability(text: str) -> Fields | None:
    """sod: who is active, who was told to be, and whether the peer is heard."""
    match = _HA_SCORE.match(text)
    if match:
        group, before, after = match.groups()
        scores = {"from": int(before), "to": int(after)}
        return {"kind": "device", "state": "ha_score", "object": group, "was": before, "detail": scores}
    match = _TRAFFIC_GROUP.match(text) if len(text) < 400 else None
    if match:
        state = match.group(1).lower().removeprefix("forced ")
        return {"kind": "device", "state": state, "object": match.group(2) or ""}
    low = text[:60].lower()
    state = next((state for start, state in _STARTS_LOW if low.startswith(start)), "")
    if not state or (low.startswith("traffic group ") and " failover command" not in text[:600]):
        return None
    peer, seconds, group_named = (p.search(text, 0, 1_000) for p in (_DEVICE, _SECONDS, _GROUP))
    detail = {"seconds": seconds.group(1)} if seconds else {}
    named = peer or group_named
    event: Fields = {"kind": "device", "state": state, "object": named.group(1).rstrip(".") if named else ""}
    if state in (
        "failover_command",
        "leaving_active",
        "leaving_standby",
        "failover_condition",
        "peer_lost",
        "peer_back",
    ):
        event["reason"] = text[:300]
    return {**event, "detail": detail}


def features(text: str) -> Fields | None:
    """What the device watches of itself (daemons, pools, interfaces), and what it does when that fails."""
    match = _FEATURE.match(text)
    if match:
        feature, name, action = match.groups()
        detail = {"feature": feature, "action": action.strip()}
        return {"kind": "device", "state": "ha_failed", "object": name, "reason": text[:300], "detail": detail}
    match = _NOW_WELL.match(text)
    if match:
        return {"kind": "device", "state": "ha_well", "object": match.group(2), "detail": {"feature": match.group(1)}}
    match = _REPORTS.match(text)
    if match:
        return {"kind": "device", "state": "not_ready" if match.group(2) else "ready", "object": match.group(1)}
    match = _REBOOT.match(text)
    if match:
        return {"kind": "device", "state": "reboot_requested", "object": match.group(1), "reason": text[:300]}
    return None


def peers(text: str) -> Fields | None:
    """The connections to the peers: mirroring, and configuration (CMI)."""
    match = _MIRROR.match(text)
    if match:
        peer, group, what = match.groups()
        state = "mirror_lost" if what.lower() == "lost" else "mirror_up"
        return {"kind": "device", "state": state, "object": peer, "detail": {"traffic_group": group or ""}}
    if "CMI peer" not in text[:200]:
        return None
    match = _CMI_UP.match(text)
    if match:
        return {"kind": "device", "state": "peer_connected", "object": match.group(1)}
    match = _PEER.search(text, 0, 400)
    if not match:
        return None
    state = "peer_connecting" if text.startswith("Attempting") else "peer_disconnected"
    return {"kind": "device", "state": state, "object": match.group(1), "reason": text[:300]}


def network(text: str) -> Fields | None:
    match = _LINK.match(text)
    if match:
        what, name, said = match.groups()
        return {"kind": "device", "state": f"{what.lower()}_{said.lower()}", "object": name}
    match = _CONFLICT.match(text)
    if match:
        address, mac, vlan = match.groups()
        detail = {"mac": mac, "vlan": vlan or ""}
        return {"kind": "device", "state": "address_conflict", "object": address, "detail": detail}
    return None


def licence(text: str) -> Fields | None:
    """A device whose licence ended takes no traffic; certificates that end break TLS."""
    if text.startswith(("License is not operational", "Evaluation license has expired", "License has expired")):
        return {"kind": "device", "state": "licence_ended", "reason": text[:200]}
    match = _CERTIFICATE.match(text)
    if match:
        subject, file, what, date = match.groups()
        state = "certificate_expired" if what == "expired" else "certificate_expires"
        return {
            "kind": "device",
            "state": state,
            "object": file,
            "reason": date.strip(),
            "detail": {"subject": subject},
        }
    return None


def device(text: str) -> Fields | None:
    """Its processes, its clock, its memory, and whether it can send its logs."""
    match = _RESTART.match(text)
    if match:
        return {"kind": "device", "state": "restarting", "object": match.group(1)}
    match = _BOOT.match(text)
    if match:
        return {"kind": "device", "state": "booted", "object": match.group(1)}
    match = _CLOCK.match(text)
    if match:
        return {"kind": "device", "state": "clock_advanced", "detail": {"ticks": int(match.group(1))}}
    match = _BANDWIDTH.match(text)
    if match:
        rates = {"mbps": int(match.group(1)), "licensed_mbps": int(match.group(3))}
        return {"kind": "device", "state": "bandwidth_limit", "reason": text[:200], "detail": rates}
    match = _RST_LIMIT.match(text)
    if match:
        what, before, after, group = match.groups()
        limited = {"what": what, "from": int(before), "to": int(after)}
        return {
            "kind": "device",
            "state": "rst_limited",
            "object": group or "",
            "reason": text[:200],
            "detail": limited,
        }
    if text.startswith("I/O error occurred while writing; fd="):
        return {"kind": "device", "state": "log_not_sent", "reason": text[:200]}
    lower = text[:200].lower()
    if "aggressive mode" in lower and ("sweeper" in lower or "activated" in lower):
        state = "memory_relieved" if "deactivated" in lower else "memory_pressure"
        return {"kind": "device", "state": state, "reason": text[:200]}
    return None


FORMS: tuple[Callable[[str], Fields | None], ...] = (high_availability, features, peers, network, licence, device)
