"""Texts of the ltm log about hardware, disks, memory, watchdogs and daemons of the device, told by a table of patterns.

`told` takes the text behind the message id and returns the fields of a HealthEvent, or None. Texts are those of F5's
articles on failover, hardware, licences of TLS and clustering, and of its certification guides.
"""

from __future__ import annotations

import re
from typing import Any

Fields = dict[str, Any]
_LONGEST = 300

# (state, pattern); the first group, where there is one, is the object. Every pattern begins with plain words.
_FORMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (state, re.compile(pattern))
    for state, pattern in (
        # high availability
        ("going_active", r"Activating traffic group ([^\s]{1,256})"),
        ("leaving_offline", r"Leaving [Oo]ffline "),
        ("links_down", r"Sod requests links down"),
        ("links_up", r"(?:Tmm ready|Bcm56xxd and lacpd connected) - links up"),
        ("watchdog_enabled", r"Watchdog touch enabled"),
        ("watchdog_disabled", r"Watchdog touch disabled"),
        ("watchdog_started", r"Overdog daemon startup"),
        ("watchdog_stopped", r"Overdog daemon shutdown"),
        ("watchdog_late", r"Overdog scheduling exceeded "),
        ("reboot_requested", r"Overdog daemon requests reboot"),
        ("failsafe", r"Switchboard failsafe action indicated by ([^\s,]{1,64})"),
        ("daemon_killed", r"Killing ([^\s]{1,64}) pid [0-9]{1,10}"),
        ("peer_hello", r"Received CMI hello from ([^\s]{1,256})"),
        ("peer_lost", r"CMI heartbeat timer expired(?:, status: ([^\s]{1,256}))?"),
        ("peer_disconnected", r"iControl connection to ([^\s]{1,128}) failed"),
        ("mirror_refused", r"HA Connection detected dissimilar peer: "),
        ("cluster_error", r"Cluster error: "),
        # its own processes
        ("restarting", r"MCP [Cc]onnection (?:expired|aborted), exiting"),
        ("mcpd_ready", r"Initialization complete\. The MCP is up and running"),
        ("shutting_down", r"shutting down for system (?:shutdown|reboot)"),
        ("core_dumped", r"Started writing core file: ([^\s]{1,256})"),
        ("crashed", r"\*\* (SIG[A-Z]{2,8}) \*\*"),
        ("out_of_memory", r"(?:\[[^\]]{1,20}\] )?Out of memory: Kill(?:ed)? process [0-9]{1,10} \(([^)]{1,64})\)"),
        ("query_slow", r"MCPD query response exceeding "),
        # hardware and disks
        ("hardware_error", r"Device error: ([^\s:]{1,64})"),
        ("hardware_error", r"Hardware Error\(([^)]{1,64})\): "),
        ("hardware_alarm", r"(Blade [0-9]{1,3}) hardware sensor (?:critical )?alarm"),
        ("hardware_alarm", r"(Chassis (?:fan|power supply) [^\s:]{1,16}): status \([0-9]{1,3}\) is bad"),
        ("disk_full", r"Disk partition ([^\s]{1,128}) has (?:only|less than) [0-9]{1,3}% free"),
        # limits and TLS
        ("tls_limit", r"SSL transaction \(TPS\) rate limit reached"),
        ("icmp_limited", r"Warning, ICMP error limit reached"),
        ("tls_profile_error", r"Profile ([^\s]{1,512}) - cannot load key/cert/chain"),
        ("tls_profile_error", r"Cipher [^\s]{1,64} negotiated is not configured in profile ([^\s]{1,512})"),
        ("syncookie_on", r"Syncookie embryonic connection counter [0-9]{1,12} exceeded sys threshold"),
    )
)
_STARTS = (
    "Activating ", "Leaving ", "Sod ", "Tmm ready", "Bcm56xxd ", "Watchdog ", "Overdog ", "Switchboard ", "Killing ",
    "Received CMI ", "CMI ", "iControl ", "HA Connection detected", "Cluster ", "MCP ", "Initialization ",
    "shutting down ", "Started writing ", "** SIG", "Out of memory", "[", "MCPD ", "Device error", "Hardware Error",
    "Blade ", "Chassis ", "Disk partition ", "SSL transaction ", "Warning, ICMP", "Profile ", "Cipher ",
    "Syncookie embryonic",
)  # fmt: skip


def told(text: str) -> Fields | None:
    """The event of a text in one of the table's forms."""
    if not text.startswith(_STARTS):
        return None
    for state, pattern in _FORMS:
        match = pattern.match(text)
        if match:
            name = (match.group(1) or "").rstrip(".") if match.re.groups else ""
            return {"kind": "device", "state": state, "object": name, "reason": text[:_LONGEST]}
    return None
