"""The one HTTP client: time-outs, a cap on bodies, back-off, and errors a person can act on.

SourceError                 something between us and a source went wrong
├── SourceUnavailable       not now: try again, after `retry_after_s` where the source said so
│   └── NotJson             something answered, but no API: a login page, a proxy, another service
└── SourceRefused           the source said no: only a person can change that (`status` tells how it said it)

Every error is one sentence that says what happened and what to do; none ever holds a token or a password.
"""

from __future__ import annotations

import json
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from ingest.sources import guard

CONNECT_S, READ_S, TOTAL_S = 10.0, 30.0, 120.0
LARGEST_BODY = 32 * 1024 * 1024
LARGEST_PAGE = 1024 * 1024
LONGEST_DETAIL = 200

TRY_AGAIN = frozenset({408, 425, 429})
SECRETS = re.compile(r"(?i)(bearer\s+|basic\s+)[\w.+/=~-]+|eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=//)[^/@\s]+:[^/@\s]+(?=@)")


class SourceError(Exception):
    """A source could not be read."""

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


class SourceUnavailable(SourceError):
    """The source does not answer, or not as it should; later it may."""

    def __init__(self, sentence: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(sentence, status)
        self.retry_after_s = retry_after_s


class NotJson(SourceUnavailable):
    """What answered is no API: a login page, a proxy, another service."""


class SourceRefused(SourceError):
    """The source answered no; asking again will not help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer: the body, the server's clock (its Date header) and how long it took. A plain one's body is its text."""

    body: Any
    status: int
    server_time: datetime | None
    elapsed_s: float
    size: int = 0  # bytes of the body


def open_client(
    base_url: str,
    *,
    allow: Sequence[str] = (),
    verify: bool | str = True,
    proxy: str | None = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A client for one source, which calls the address ranges `allow` only (ingest/sources/guard.py).

    Redirects are not followed: they would carry credentials to another address. verify: True, False or a CA file.
    """
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    try:
        trusted = ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
        if transport is None:
            inner = httpx.HTTPTransport(verify=trusted, proxy=proxy, trust_env=False, limits=limits)
            transport = guard.GuardedTransport(inner, allow, proxy)
        return httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            headers={"User-Agent": "airf5", "Accept": "application/json"},
        )
    except (httpx.InvalidURL, ValueError, OSError) as error:
        raise SourceRefused(f"The address or TLS setting cannot be used ({error}): correct it.") from error


def ask(
    client: httpx.Client,
    method: str,
    path: str,
    *,
    params: Mapping[str, Any] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    largest: int = LARGEST_BODY,
    plain: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """One request, one JSON answer, or a SourceError that says why not. With `plain`, text/plain is an answer too."""
    question = {"params": params, "json": body, "headers": headers}
    response, raw, elapsed_s = _exchange(client, method, path, largest, clock, **question)
    return _answer(response, raw, _where(client, path), elapsed_s, plain)


def ask_page(client: httpx.Client, method: str, path: str, *, form: Mapping[str, str] | None = None) -> tuple[int, str]:
    """One request for a page that people see: (status, text), whatever the status. Cookies stay in the client."""
    response, raw, _ = _exchange(client, method, path, LARGEST_PAGE, time.monotonic, data=form)
    return response.status_code, raw.decode("utf-8", "replace")


def knock(
    client: httpx.Client, method: str, path: str, body: Any, headers: Mapping[str, str]
) -> tuple[int, Mapping[str, str], float]:
    """One request whose answer counts whatever it is: (status, headers in lower case, seconds)."""
    question = {"json": body, "headers": headers}
    response, _, elapsed_s = _exchange(client, method, path, LARGEST_PAGE, time.monotonic, **question)
    return response.status_code, {name.lower(): value for name, value in response.headers.items()}, elapsed_s


def _exchange(
    client: httpx.Client, method: str, path: str, largest: int, clock: Callable[[], float], **question: Any
) -> tuple[httpx.Response, bytes, float]:
    """One request: the response, its body and how many seconds it took."""
    began, where = clock(), _where(client, path)
    try:
        with client.stream(method, path, **question) as response:
            raw = _read(response, largest, began, clock, where)
    except httpx.TimeoutException as error:
        raise SourceUnavailable(
            f"{where} did not answer within {READ_S:.0f} s: it is overloaded or a firewall drops the packets."
        ) from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise SourceRefused(f"{client.base_url} is no HTTP address: write it as https://host:port.") from error
    except httpx.TransportError as error:
        raise _transport_error(where, error) from error
    except httpx.DecodingError as error:
        raise SourceUnavailable(
            f"{where} answered bytes that cannot be unpacked as its Content-Encoding says: something on the way broke them."
        ) from error
    return response, raw, clock() - began


def _where(client: httpx.Client, path: str) -> str:
    return f"{client.base_url.host or 'the source'} {path}"


def back_off_s(attempt: int, seed: int, retry_after_s: float | None = None, longest_s: float = 300.0) -> float:
    """Seconds to wait before try `attempt` + 1 (counted from 1): doubling, with a jitter drawn from the seed.

    A Retry-After is obeyed; the jitter only lengthens it.
    """
    jitter = random.Random(f"{seed}:{attempt}").random()
    if retry_after_s is not None:
        return min(max(retry_after_s, 0.0), longest_s) * (1 + 0.1 * jitter)
    return float(min(longest_s, 2.0 ** min(attempt, 16)) * (0.5 + 0.5 * jitter))


def retrying(
    call: Callable[[], Answer],
    *,
    attempts: int = 3,
    seed: int = 0,
    sleep: Callable[[float], None] = time.sleep,
    patience_s: float = 10.0,
) -> Answer:
    """The answer of `call`, tried again a few times; a wait beyond `patience_s` is the scheduler's to make."""
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except NotJson:
            raise
        except SourceUnavailable as error:
            wait = back_off_s(attempt, seed, error.retry_after_s)
            if attempt == attempts or wait > patience_s:
                raise
            sleep(wait)
    raise AssertionError("unreachable")


def redact(words: str) -> str:
    """A text without bearer tokens, JWTs and user:password@ of addresses."""
    return SECRETS.sub(lambda match: f"{match[1] or ''}***", words)


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which may be a number or an HTTP date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    moment = http_date(value)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as aware UTC."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _read(response: httpx.Response, largest: int, began: float, clock: Callable[[], float], where: str) -> bytes:
    """The body, at most `largest` bytes and TOTAL_S seconds of it: the read time-out alone lets a slow drip pass."""
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > largest:
            raise SourceRefused(f"{where} answered more than {largest // 2**20} MB: ask for smaller pages.", 413)
        if clock() - began > TOTAL_S:
            raise SourceUnavailable(f"{where} did not finish its answer within {TOTAL_S:.0f} s: it is overloaded.")
    return b"".join(parts)


def _answer(response: httpx.Response, raw: bytes, where: str, elapsed_s: float, plain: bool = False) -> Answer:
    server_time = http_date(response.headers.get("date"))
    kind = response.headers.get("content-type", "").lower()
    is_html = "html" in kind or raw[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))
    if response.status_code >= 300:
        raise _status_error(response, raw, where, is_html)
    if plain and kind.startswith("text/plain"):
        return Answer(raw.decode("utf-8", "replace"), response.status_code, server_time, elapsed_s)
    if is_html:
        raise NotJson(
            f"{where} answered an HTML page instead of JSON: is this the address of the API, or a login page before it?"
        )
    if kind and "json" not in kind:
        raise NotJson(f"{where} answered {kind.partition(';')[0]} instead of JSON: is this the API's address?")
    try:
        return Answer(json.loads(raw), response.status_code, server_time, elapsed_s, len(raw))
    except (ValueError, RecursionError) as error:
        raise SourceUnavailable(
            f"{where} answered JSON that is cut or broken ({len(raw)} bytes): something on the way ended it early."
        ) from error


def _status_error(response: httpx.Response, raw: bytes, where: str, is_html: bool) -> SourceError:
    status = response.status_code
    said = "" if is_html else _detail(raw)
    if status in TRY_AGAIN:
        wait = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
        return SourceUnavailable(f"{where} answered {status}: it asks us to come back later.{said}", status, wait)
    if status >= 500:
        page = " with an HTML page, perhaps of a proxy before it" if is_html else ""
        return SourceUnavailable(f"{where} answered {status}{page}: see whether the service is up.{said}", status)
    if status < 400:
        target = urlsplit(response.headers.get("location", ""))._replace(query="", fragment="").geturl()
        return SourceRefused(
            f"{where} redirects to {redact(target) or 'another address'}: configure the address it leads to.", status
        )
    advice = {
        401: "the credentials are missing, wrong or expired: check user name, password or token.",
        403: "the user may not read this: give its role the permission, or leave this part out.",
        404: "there is nothing at this address: check the address and the version of the API.",
    }.get(status, "it does not accept the question: check the version of the API.")
    return SourceRefused(f"{where} answered {status}: {advice}{said}", status)


def _detail(raw: bytes) -> str:
    """What the source itself says: `detail` or `message` of a JSON error, else nothing."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    words = found.get("detail") or found.get("message") or found.get("title")
    if not isinstance(words, str):
        return ""
    storable = words.encode("utf-8", "replace").decode("utf-8").replace("\x00", " ")
    return f" It says: {redact(storable)[:LONGEST_DETAIL]}"


def _transport_error(where: str, error: httpx.TransportError) -> SourceError:
    if isinstance(error, guard.Denied):
        return SourceRefused(str(error))
    words = redact(str(error))[:LONGEST_DETAIL]
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return SourceRefused(f"{where} shows a certificate that is not trusted: give the CA file of its issuer.")
    if "Name or service not known" in words or "getaddrinfo" in words or "name resolution" in words:
        return SourceUnavailable(f"The host name of {where} is not known: check the address and the DNS.")
    if isinstance(error, httpx.ConnectError):
        return SourceUnavailable(f"{where} takes no connection ({words}): is it running, and is the port right?")
    return SourceUnavailable(f"{where} ended the connection before its answer was complete ({words}).")
