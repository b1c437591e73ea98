"""One signed-in session with one BIG-IP's iControl REST: one token for all calls, at most two of them at a time.

A device hands out 100 tokens a user and forgets none before its time, so a token is kept as long as it lives, given
back when it is replaced and when the session ends. restjavad restarts by itself and answers 401, 404 and 503 meanwhile:
those are told apart from "not allowed" and "not there".
"""

from __future__ import annotations

import ipaddress
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from ingest.sources.http import Answer, SourceError, SourceRefused, SourceUnavailable, ask, open_client

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses, and the one of a token is the token

LOGIN = "/mgmt/shared/authn/login"
TOKENS = "/mgmt/shared/authz/tokens/"
RENEW_AT = 0.8  # of the token's life
USUAL_LIFE = timedelta(seconds=1200)
FRESH_S = 60.0  # a token this young that is refused is not too old: the role lacks the right
AT_ONCE = 2
TOKENS_FULL_S = 600.0
LARGEST_ANSWER = 64 * 1024 * 1024

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,512}\Z")
_STARTING = re.compile(r"(?i)URI path[^.]{0,300}not registered|restarting|not available yet|lost.{0,20}mcpd")


class NotAllowed(SourceRefused):
    """The user's role may not read this; other parts may be readable."""


class NotThere(SourceRefused):
    """The device has no such part: an older version, or a module that is not provisioned."""


@dataclass(frozen=True, slots=True)
class Target:
    """One device to ask. `allow`: CIDR ranges it may be called at; `verify`: True, False or a CA file."""

    name: str
    base_url: str
    username: str
    password: str = field(repr=False)
    verify: bool | str = True
    allow: Sequence[str] = ()


@dataclass(slots=True)
class Spent:
    """What the calls of a session cost so far."""

    calls: int = 0
    logins: int = 0
    bytes: int = 0
    seconds: float = 0.0


class Session:
    """The clients of one device with their token. `close` gives the token back."""

    def __init__(
        self,
        target: Target,
        *,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not target.username or not target.password:
            raise SourceRefused(f"{target.name} has no user name or no password: configure both.", 401)
        if _is_clear(target.base_url):
            raise SourceRefused(f"{target.name} would get the password in clear: write its address as https://.", 401)
        self.target, self.now, self.clock = target, now, clock
        self.spent = Spent()
        self.token_since: datetime | None = None
        self._token = ""
        self._renew_at: datetime | None = None
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._clients: queue.SimpleQueue[httpx.Client] = queue.SimpleQueue()
        for _ in range(AT_ONCE):
            self._clients.put(
                open_client(root_of(target.base_url), verify=target.verify, allow=target.allow, transport=transport)
            )

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """One GET, signed in. NotAllowed, NotThere, SourceUnavailable or SourceRefused say in words why not."""
        token = self._signed_in()
        try:
            return self._ask("GET", path, params=params, token=token)
        except SourceRefused as error:
            if error.status != 401:
                raise told_apart(error) from error
            if not _is_about_token(error) and (_is_about_rights(error) or self._age_s() < FRESH_S):
                raise _not_allowed(error) from error
        return self._again(path, params, token)

    def close(self) -> None:
        """Give the token back and end the connections; nothing that goes wrong here matters."""
        self._give_back(self._token)
        self._token = ""
        while not self._clients.empty():
            self._clients.get().close()

    def _again(self, path: str, params: Mapping[str, Any] | None, refused: str) -> Answer:
        token = self._signed_in(refused)
        try:
            return self._ask("GET", path, params=params, token=token)
        except SourceRefused as error:
            if error.status != 401:
                raise told_apart(error) from error
            if _is_about_token(error):
                sentence = (
                    f"{self.target.name} forgets a token as soon as it gave it: ask one unit, not a cluster's address."
                )
                raise SourceUnavailable(sentence, 401) from error
            raise _not_allowed(error) from error

    def _signed_in(self, refused: str = "") -> str:
        """A token that is good for now and is not the one that was refused."""
        with self._lock:
            too_old = self._renew_at is not None and self.now() >= self._renew_at
            if not self._token or too_old or self._token == refused:
                self._sign_in()
            return self._token

    def _sign_in(self) -> None:
        old, self._token = self._token, ""
        self._give_back(old)
        body = {"username": self.target.username, "password": self.target.password, "loginProviderName": "tmos"}
        try:
            self.spent.logins += 1
            answer = self._ask("POST", LOGIN, body=body)
        except SourceRefused as error:
            raise _login_refused(self.target, error) from error
        told = answer.body.get("token") if isinstance(answer.body, dict) else None
        token = told.get("token") if isinstance(told, dict) else None
        if not isinstance(told, dict) or not isinstance(token, str) or not _TOKEN.match(token):
            raise SourceRefused(f"{self.target.name} signed us in without giving a token: is it a BIG-IP?", 401)
        self._token, self.token_since = token, self.now()
        self._renew_at = self.token_since + _life(told.get("timeout")) * RENEW_AT

    def _give_back(self, token: str) -> None:
        if not token:
            return
        try:
            self._ask("DELETE", TOKENS + quote(token, safe=""), token=token)
        except SourceError:
            return  # it dies by itself; and the error's sentence would hold the token

    def _ask(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None, token: str = ""
    ) -> Answer:
        client, began, size = self._clients.get(), self.clock(), 0
        headers = {"X-F5-Auth-Token": token} if token else None
        try:
            answer = ask(client, method, path, params=params, body=body, headers=headers, largest=LARGEST_ANSWER)
            size = answer.size
            return answer
        finally:
            self._clients.put(client)
            with self._counting:
                self.spent.calls += 1
                self.spent.bytes += size
                self.spent.seconds += self.clock() - began

    def _age_s(self) -> float:
        return (self.now() - self.token_since).total_seconds() if self.token_since else 0.0


def _is_clear(base_url: str) -> bool:
    """Whether a password would travel unencrypted; on this machine it may."""
    parts = urlsplit(base_url)
    try:
        near = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        near = False
    return parts.scheme == "http" and not near


def root_of(base_url: str) -> str:
    """The address before /mgmt, whichever of both was configured."""
    return re.sub(r"/mgmt(/tm)?/?\Z", "", base_url.strip()).rstrip("/")


def tilde(full_path: str) -> str:
    """A full path as iControl wants it in an address: `/Common/a.app/p%10` is `~Common~a.app~p%2510`."""
    return quote(full_path.replace("/", "~"), safe="~:.-_")


def told_apart(error: SourceRefused) -> SourceError:
    """403, 404 and what a restarting restjavad answers are three different things."""
    if error.status == 403:
        return _not_allowed(error)
    # iControl's own 404 says in JSON what was not found; a page, or an unknown path under /mgmt/tm, is a restart.
    starting = _STARTING.search(error.sentence) or (error.status == 404 and "It says:" not in error.sentence)
    if starting and error.status in (400, 404, 500):
        return SourceUnavailable(
            "The device's REST service is starting up: it knows none of its paths yet.", error.status
        )
    if error.status in (404, 400, 501):
        return NotThere(error.sentence, error.status)
    return error


def _is_about_token(error: SourceRefused) -> bool:
    """`X-F5-Auth-Token does not exist.`, `… has expired`: then a new one helps."""
    return "token" in error.sentence.partition("It says:")[2].lower()


def _is_about_rights(error: SourceRefused) -> bool:
    """`Authorization failed: user=… resource=… verb=GET`: a role without the right is answered 401, not only 403."""
    return "Authorization failed" in error.sentence


def _not_allowed(error: SourceRefused) -> NotAllowed:
    return NotAllowed(error.sentence, 403)


def _life(timeout: Any) -> timedelta:
    """How long a token lives: the device says so in seconds (1 to 36,000)."""
    fine = isinstance(timeout, int) and not isinstance(timeout, bool) and 0 < timeout <= 36_000
    return timedelta(seconds=timeout) if fine else USUAL_LIFE


def _login_refused(target: Target, error: SourceRefused) -> SourceError:
    if "maximum active login tokens" in error.sentence:
        sentence = (
            f"{target.name} gives user {target.username!r} no token: 100 are open already. They die by themselves within "
            "20 minutes; use this user for airf5 alone."
        )
        return SourceUnavailable(sentence, error.status, TOKENS_FULL_S)
    if error.status in (401, 403):
        sentence = (
            f"{target.name} does not accept user {target.username!r}: check name, password and that it is not locked."
        )
        return SourceRefused(sentence, 401)
    found = told_apart(error)
    if isinstance(found, NotThere):
        return SourceRefused(
            f"{target.name} has no {LOGIN}: is {root_of(target.base_url)} a BIG-IP's management address?", 404
        )
    return found
