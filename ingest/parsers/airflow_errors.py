"""What the texts of an error say: status, time-out, lost connection, where the call went, whose code raised it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ingest.parsers.airflow import clean, whole

LONGEST = 500

TIMEOUTS = frozenset(
    {
        "ReadTimeout",
        "ConnectTimeout",
        "Timeout",
        "PoolTimeout",
        "WriteTimeout",
        "TimeoutError",
        "ReadTimeoutError",
        "ConnectTimeoutError",
        "ServerTimeoutError",
        "SocketTimeoutError",
        "ConnectionTimeoutError",
        "TimeoutException",
    }
)
CONNECTION_ERRORS = frozenset(
    {
        "ConnectionError",
        "ConnectionResetError",
        "ConnectionRefusedError",
        "ConnectionAbortedError",
        "BrokenPipeError",
        "ProtocolError",
        "RemoteDisconnected",
        "RemoteProtocolError",
        "ConnectError",
        "ReadError",
        "WriteError",
        "MaxRetryError",
        "NewConnectionError",
        "SSLError",
        "SSLCertVerificationError",
        "ProxyError",
        "ClientConnectorDNSError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "ClientProxyConnectionError",
        "NameResolutionError",
        "ChunkedEncodingError",
        "IncompleteRead",
        "ClientConnectorError",
        "ClientOSError",
        "ServerDisconnectedError",
        "NetworkError",
        "gaierror",
    }
)
# Raised by what a DAG's author wrote even where the last frame is in a library that was called with wrong values.
PROGRAMMING_ERRORS = frozenset(
    {
        "TypeError",
        "KeyError",
        "ValueError",
        "IndexError",
        "AttributeError",
        "ZeroDivisionError",
        "NameError",
        "AssertionError",
        "UnboundLocalError",
        "UnicodeDecodeError",
        "RecursionError",
    }
)

STATUS = re.compile(
    r"^(?P<a>[1-5]\d\d):[A-Z]"  # 503:Service Unavailable (HttpHook)
    r"|\b(?P<b>[45]\d\d) (?:Server|Client) Error\b"  # 503 Server Error: … for url: … (requests)
    r"|(?:Server|Client) error '(?P<c>[45]\d\d)\b"  # Server error '503 Service Unavailable' for url (httpx)
    r"|'status_code': (?P<d>[45]\d\d)\b"  # API_SERVER_ERROR: {'status_code': 409, …
    r"|^(?P<e>[45]\d\d), message="  # aiohttp
)
TIMED_OUT = re.compile(
    r"\b(?:read |connect(?:ion)? )?timed out\b|'exception_type': '\w{0,60}?Timeout\w{0,60}'", re.IGNORECASE
)
TIMEOUT_S = re.compile(r"\((?:read|connect) timeout=([\d.]+)\)|\btime-?out=([\d.]+)")
CONNECTION_LOST = re.compile(
    r"Connection aborted|Connection reset|Connection refused|RemoteDisconnected|Remote end closed|Server disconnected"
    r"|Network is unreachable|No route to host|Name or service not known|Cannot connect to host"
    r"|'exception_type': '(?:ReadError|ConnectError|WriteError|RemoteProtocolError|CloseError)'",
    re.IGNORECASE,
)
# How far a call came that never was a request, the plainest word first: in the order of a connection's life.
_STAGES = (
    ("resolve", r"NameResolutionError|gaierror|Name or service not known|Temporary failure in name resolution"
                r"|Failed to resolve|nodename nor servname|No address associated with hostname|Domain name not found"),
    ("proxy", r"ProxyError|Cannot connect to proxy|Unable to connect to proxy|Tunnel connection failed"),
    ("tls", r"SSLError|SSLCertVerificationError|CERTIFICATE_VERIFY_FAILED|certificate verify failed|\[SSL[:\]]"
            r"|handshake failure|(?:SSL|TLS) handshake|certificate has expired"),
    ("connect", r"ConnectTimeout|connect timeout=|Connection refused|ConnectionRefusedError|NewConnectionError"
                r"|No route to host|Network is unreachable|Cannot connect to host|Connection to \S+ timed out|ConnectError"),
)  # fmt: skip
STAGES = tuple((name, re.compile(words, re.IGNORECASE)) for name, words in _STAGES)
URL = re.compile(r"\b(?:for url:?|url=(?:URL\()?)\s*['\"]?(https?://[^\s'\"<>)]+)", re.IGNORECASE)
POOL = re.compile(r"HTTPS?Connection(?:Pool)?\(host='([^']+)', port=(\d+)\)(?:: .*?with url: (\S+))?")
CONNECT_TO = re.compile(r"Cannot connect to host ([\w.\-]+):(\d+)")

LIBRARY = re.compile(r"/(?:site|dist)-packages/")
AIRFLOW = re.compile(r"/(?:site|dist)-packages/airflow/|/src/airflow/")
CLIENT = re.compile(r"/(?:urllib3|requests|httpx|httpcore|aiohttp)/")
WAITING = frozenset({"getresponse", "urlopen", "create_connection", "handle_request", "handle_async_request"})
STANDARD = re.compile(r"^<frozen |/lib(?:64)?/python\d[\d.]*/(?!(?:site|dist)-packages/)")


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception of a traceback: its type, its text, the files of its frames (innermost last)."""

    kind: str
    text: str
    files: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()  # of the same frames; a 2.x text log is read without them


@dataclass(frozen=True, slots=True)
class Place:
    """Where an error says the call went."""

    host: str = ""
    port: int | None = None
    url: str = ""


def first_status(texts: list[str]) -> int | None:
    for words in texts:
        if found := STATUS.search(words):
            return int(found[found.lastgroup or 0])
    return None


def stage(raised: list[tuple[str, str]], texts: list[str]) -> str:
    """Where a connection ended that carried no request: resolve, proxy, tls, connect; "" once it stood, or unknown."""
    words = "\n".join([*(f"{kind}: {text}" for kind, text in raised), *texts])[:20_000]
    return next((name for name, pattern in STAGES if pattern.search(words)), "")


def timeout_s(texts: list[str]) -> float | None:
    for words in texts:
        if found := TIMEOUT_S.search(words):
            try:
                return float(found[1] or found[2])
            except ValueError:
                continue
    return None


def place(texts: list[str]) -> Place:
    """Host, port and URL, from the first text that names them; a URL says more than a host."""
    for words in texts:
        if found := URL.search(words):
            return _of_url(found[1])
    for words in texts:
        if found := POOL.search(words) or CONNECT_TO.search(words):
            url = (found[3] or "") if found.re is POOL else ""
            return Place(clean(found[1])[:LONGEST], whole(found[2]), url[:LONGEST])
    return Place()


def _of_url(url: str) -> Place:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return Place(url=url[:LONGEST])
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # never keep user:password
    return Place(host, port, shown[:LONGEST])


def waits(outermost: Raised) -> bool:
    """Whether it was raised while a client library waited for an answer: a limit of the task ran out inside a call."""
    return bool(WAITING & set(outermost.functions[-8:])) or any(CLIENT.search(name) for name in outermost.files[-8:])


def is_own(outermost: Raised) -> bool:
    """Whether what the DAG's author wrote raised it: its file is the innermost frame that is nobody else's.

    Frames of the standard library are passed over (`json.loads` of a bad text), frames of other libraries only for
    the errors that wrong values cause; a library's own errors may well be about a network.
    """
    for name in reversed(outermost.files):
        if AIRFLOW.search(name):
            return False
        if STANDARD.search(name) or (LIBRARY.search(name) and outermost.kind in PROGRAMMING_ERRORS):
            continue
        return not LIBRARY.search(name)
    return False
