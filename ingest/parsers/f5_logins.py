"""Logins that failed, as the web server and sshd of a BIG-IP tell them in words of their own."""

from __future__ import annotations

import re
from typing import Any

_AUTHCACHE = re.compile(
    r"(?:\[[a-z_:]{1,32}\] ?){0,3}(?:\[pid [^\]]{1,32}\] ?)?\[client ([^\]\s]{1,64})\] AUTHCACHE PAM: user '([^'\n]{1,256})'"
    r"[^\n]{0,80}? - not authenticated: ([^\n,]{1,128})"
)
_SSHD = re.compile(
    r"error: PAM: ([A-Za-z ]{1,64}?) for (?:illegal user |invalid user )?([^\s]{1,256}) from ([^\s]{1,64})"
)
_PORT = re.compile(r"(\]|\.[0-9]{1,3}):[0-9]{1,5}\Z")  # of `192.0.2.7:50123` and `[2001:db8::7]:50123`


def failed(text: str, service: str) -> dict[str, Any] | None:
    """The fields of the action, or None."""
    match = _AUTHCACHE.match(text)
    if match:
        address, user, reason = match.groups()
    else:
        match = _SSHD.match(text)
        if not match:
            return None
        reason, user, address = match.groups()
    return {
        "actor": user, "verb": "login_failed", "target": service, "result": "failed", "tool": service,
        "address": _PORT.sub(r"\1", address).strip("[]"), "detail": {"reason": reason},
    }  # fmt: skip
