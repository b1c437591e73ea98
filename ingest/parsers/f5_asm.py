"""Events of F5's web application firewall (ASM, Advanced WAF) in its key-value forms: which request it turned down, and why.

The forms are those of a logging profile with "Key-Value Pairs (Splunk)" as storage format: `ASM:unit_hostname="…",…`. What
it only alerts of, or lets pass, is no event here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.parsers.f5_request_kv import pairs

START = "ASM:"
STATUS = 'request_status="'


def is_asm(text: str) -> bool:
    return text.startswith(START) and STATUS in text[:8_000]


def is_listed(text: str) -> bool:
    """The comma-separated form, `ASM:"…","…"`: its fields have no names, and their order is the user's."""
    return text.startswith('ASM:"') and '","' in text[:2_000]


def blocked(text: str) -> dict[str, Any] | None:
    """The fields of a health event of the virtual server, None for what is no blocked request.

    A key that the client could write again later in the line counts where it stands first.
    """
    if not is_asm(text):
        return None
    named: dict[str, str] = {}
    for key, value in pairs(text[len(START) :])[0]:
        named.setdefault(key, value)
    return refused(named)


def refused(named: Mapping[str, str]) -> dict[str, Any] | None:
    """The same of keys and values, as Telemetry Streaming sends them on."""
    if named.get("request_status", "").lower() != "blocked":
        return None
    target = _joined(named.get("dest_ip", ""), named.get("dest_port", ""))
    reason = ", ".join(filter(None, (named.get("violations", ""), named.get("attack_type", ""))))
    support = named.get("support_id", "")
    detail = {
        "source": _joined(named.get("ip_client", ""), named.get("src_port", "")), "target": target, "support_id": support[:40],
        "policy": named.get("policy_name", "")[:200], "uri": named.get("uri", "")[:300],
    }  # fmt: skip
    words = f"{reason or 'blocked'} (support id {support[:40]})" if support else reason or "blocked"
    return {
        "kind": "virtual", "state": "waf_blocked", "object": named.get("vs_name", "") or target, "reason": words[:500],
        "detail": detail,
    }  # fmt: skip


def _joined(address: str, port: str) -> str:
    return f"{address}:{port}"[:128] if address and port else address[:128]
