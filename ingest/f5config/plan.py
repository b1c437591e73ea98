"""What the parts are made for: a device, airf5's receiver and web server, and the virtual servers to attach to."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

POOL, LOG, LB_FAILED, HEADERS = "airf5_hsl", "airf5_request_log", "airf5_lb_failed", "airf5_headers"
PLACEHOLDER = "/Common/YOUR_VIRTUAL_SERVER"
_NAME = re.compile(r"/[A-Za-z0-9_.~%+/:-]{1,300}\Z")


class PlanRefused(ValueError):
    """Nothing can be printed for this; the sentence says what is missing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """receiver: (host, port) of airf5's receiver as the device reaches it; web: (host, port) of its web server over TLS."""

    device: str
    receiver: tuple[str, int] | None = None
    web: tuple[str, int] | None = None
    virtuals: tuple[str, ...] = ()
    sync_group: str = ""

    def receives(self) -> tuple[str, int]:
        """The receiver, as an address: a pool member is one, and a log must not wait for a name server."""
        if self.receiver is None:
            raise PlanRefused("Say where the device reaches airf5's receiver: --receiver ADDRESS:PORT.")
        host, port = self.receiver
        try:
            return str(ipaddress.ip_address(host)), port
        except ValueError:
            sentence = f"{host!r} is a name: give the receiver's IP address, which a pool member and syslog-ng need."
            raise PlanRefused(sentence) from None

    def serves(self) -> tuple[str, int]:
        """The web server."""
        if self.web is None:
            raise PlanRefused("Say where the device reaches airf5's web server: --web https://HOST[:PORT].")
        return self.web

    def attached(self) -> tuple[str, ...]:
        """The virtual servers that a profile or rule is attached to."""
        return self.virtuals or (PLACEHOLDER,)


def receiver_of(text: str) -> tuple[str, int]:
    """`192.0.2.50:5514` or `[2001:db8::50]:5514`."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536 or re.search(r"[\s\"{}\\]", host):
        raise PlanRefused(f"{text[:100]!r} is no ADDRESS:PORT.")
    return host, int(port)


def web_of(text: str) -> tuple[str, int]:
    """`https://airf5.example.com` or with a port."""
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme != "https" or parts.path not in ("", "/") or parts.username:
        raise PlanRefused(
            f"{text[:100]!r} is no address such as https://airf5.example.com (a token must not travel in clear)."
        )
    return host, port or 443


def virtual_of(text: str) -> str:
    """A full path that can stand in a command as it is."""
    if not _NAME.match(text) or "//" in text:
        raise PlanRefused(f"{text[:100]!r} is no full path such as /Common/vs_orders.")
    return text
