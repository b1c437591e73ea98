"""Where airf5 may call: the one guard that every outgoing client passes.

A name is resolved once for each client and the address is pinned, while TLS still checks the name: what a name server
says later changes nothing. Loopback, link-local, multicast and cloud metadata addresses are denied unless the source's
`allow` names a range inside of them; private addresses are where Airflows and BIG-IPs live, so they are not denied.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator, Sequence

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

# Networks that a name must not lead to by surprise, with the words for a person. The metadata services of clouds give
# credentials to whoever asks from inside: AWS, Azure, Google and others 169.254.169.254 (link-local), AWS over IPv6
# fd00:ec2::254, Google fd20:ce::254, Oracle fd00:c1::a9fe:a9fe, Scaleway fd00:42::42, Azure's wire server 168.63.129.16,
# Alibaba's 100.100.100.200, Oracle's older 192.0.0.192.
DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(text), words)
    for text, words in (
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("0.0.0.0/8", "no address of a host"),
        ("::/128", "no address of a host"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata service"),
        ("fe80::/10", "link-local"),
        ("fd00:ec2::/32", "a cloud's metadata service"),
        ("fd20:ce::254/128", "a cloud's metadata service"),
        ("fd00:c1::a9fe:a9fe/128", "a cloud's metadata service"),
        ("fd00:42::42/128", "a cloud's metadata service"),
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("100.100.100.200/32", "a cloud's metadata service"),
        ("192.0.0.192/32", "a cloud's metadata service"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Denied(httpx.TransportError):
    """An address that this source is not allowed to be called at; `ask` turns it into a SourceRefused."""


def refusal(address: str, allow: Sequence[str] = ()) -> str:
    """Why this address must not be called, or "" where it may. `allow`: CIDR ranges; empty: all that is not denied."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no IP address"
    ranges = [ipaddress.ip_network(text) for text in allow]
    for one in _meanings(found):
        holding = [network for network in ranges if one.version == network.version and one in network]
        denied = [(network, words) for network, words in DENIED if one.version == network.version and one in network]
        # A wide range such as 0.0.0.0/0 is not meant to open what is denied: that takes a range inside of it.
        for network, words in denied:
            if not any(_inside(mine, network) for mine in holding):
                return words
        if ranges and not holding:
            return "not in the address ranges allowed for this source"
    return ""


def _inside(mine: Network, network: Network) -> bool:
    return mine.version == network.version and mine.prefixlen >= network.prefixlen and mine[0] in network


def _meanings(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that an IPv6 one stands for. A mapped one is its IPv4 address and no other."""
    if not isinstance(address, ipaddress.IPv6Address):
        yield address
        return
    mapped = address.ipv4_mapped
    if mapped is not None:
        yield mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address in _NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        yield from address.teredo


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, each once, in the resolver's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def addresses(host: str, port: int, allow: Sequence[str], lookup: Resolve = resolve) -> list[str]:
    """The addresses of this host that may be called; Denied with the reason when there is none."""
    try:
        found = lookup(host, port)
    except (OSError, UnicodeError) as error:
        raise httpx.ConnectError(f"Name or service not known: {error}") from error
    reasons = {address: refusal(address, allow) for address in found}
    fine = [address for address in found if not reasons[address]]
    if not fine:
        told = "; ".join(f"{address} is {words}" for address, words in reasons.items()) or "it has no address"
        raise Denied(f"{host} is not called: {told}. If it is meant, list its range under `allow` of this source.")
    return fine


class GuardedTransport(httpx.BaseTransport):
    """Sends requests to the pinned address of their host, with the host's name in TLS and in the Host header.

    By way of a proxy the proxy resolves the name, so nothing can be pinned: proxy and target are both checked.
    """

    def __init__(
        self, inner: httpx.BaseTransport, allow: Sequence[str] = (), proxy: str | None = None, lookup: Resolve = resolve
    ) -> None:
        self._inner = inner
        self._allow = tuple(allow)
        self._proxy = httpx.URL(proxy) if proxy else None
        self._lookup = lookup
        self._pinned: dict[tuple[str, int], list[str]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, to the first allowed address that takes the connection."""
        if request.url.scheme not in ("http", "https"):
            raise Denied(f"{request.url.scheme}:// is not called: only http and https are.")
        if self._proxy is not None:
            return self._through_proxy(request, self._proxy)
        pinned = self._addresses(request.url)
        for address in list(pinned):
            try:
                response = self._inner.handle_request(_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == pinned[-1]:
                    raise
                continue
            pinned[:] = [address, *(other for other in pinned if other != address)]
            return response
        raise httpx.ConnectError("no address took the connection")

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _addresses(self, url: httpx.URL) -> list[str]:
        where = (url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))
        if where not in self._pinned:
            self._pinned[where] = addresses(*where, self._allow, self._lookup)
        return self._pinned[where]

    def _through_proxy(self, request: httpx.Request, proxy: httpx.URL) -> httpx.Response:
        self._addresses(proxy)
        with contextlib.suppress(httpx.ConnectError):  # a name that only the proxy knows
            self._addresses(request.url)
        return self._inner.handle_request(request)


def _to(request: httpx.Request, address: str) -> httpx.Request:
    """The same request, addressed to an IP. The Host header is there already and keeps the name."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )
