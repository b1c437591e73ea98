"""One signed-in session with one Airflow 3: token, re-login, the server's clock, and a gentle pace.

Calls go one at a time: the API servers we read also serve the workers' heartbeats.
"""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from ingest.sources.http import Answer, SourceRefused, ask, open_client, redact, retrying

API = "/api/v2"
RENEW_AT = 0.8  # of the token's life
UNKNOWN_LIFE = timedelta(hours=1)
CLOCK_TOLERANCE = timedelta(seconds=2)  # the Date header has whole seconds
SLOW_S = 0.5
LONGEST_PAUSE_S = 5.0
FREE_CALLS = 20
SPACING_S = 0.2


@dataclass(frozen=True, slots=True)
class Source:
    """One Airflow to read. With `token` (issued elsewhere) there is no login.

    options: verify (bool or a CA file), proxy, page_limit, overlap_s, first_hours, most_details.
    """

    name: str
    base_url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)


class Session:
    """A client with its token. Use it in a `with` block."""

    def __init__(
        self,
        source: Source,
        *,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.source = source
        self.now = now
        self.sleep = sleep
        self.skew = timedelta(0)  # what to add to our clock to get the server's
        self.calls = 0
        self._usual_s = 0.0
        self._token = source.token
        self._renew_at: datetime | None = None
        self._client = open_client(
            root_of(source.base_url),
            verify=source.options.get("verify", True),
            proxy=source.options.get("proxy"),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._client.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, **limits: Any) -> Answer:
        """One GET under /api/v2, signed in; a 401 signs in again once (the token may have been revoked)."""
        if not self._token or (self._renew_at and self.now() >= self._renew_at):
            self._sign_in()
        try:
            return self._ask(path, params, **limits)
        except SourceRefused as error:
            if error.status != 401 or self.source.token:
                raise
            self._sign_in()
            return self._ask(path, params, **limits)

    def get_open(self, path: str) -> Answer:
        """One GET of what needs no credentials (version, health)."""
        return self._paced(lambda: ask(self._client, "GET", API + path))

    def server_now(self) -> datetime:
        """Our clock, corrected by what the server's Date header said."""
        return self.now() + self.skew

    def _ask(self, path: str, params: Mapping[str, Any] | None, **limits: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"}
        return self._paced(lambda: ask(self._client, "GET", API + path, params=params, headers=headers, **limits))

    def _paced(self, call: Callable[[], Answer]) -> Answer:
        # crc32, not hash(): the waits of one source must not depend on the process.
        answer = retrying(call, seed=zlib.crc32(self.source.name.encode()) + self.calls, sleep=self.sleep)
        self.calls += 1
        if answer.server_time is not None:
            self.skew = skew(answer.server_time, self.now())
        pause = pause_s(answer.elapsed_s, self._usual_s, self.calls)
        self._usual_s = answer.elapsed_s if not self._usual_s else 0.8 * self._usual_s + 0.2 * answer.elapsed_s
        if pause:
            self.sleep(pause)
        return answer

    def _sign_in(self) -> None:
        if self.source.token:
            return
        if not self.source.username:
            raise SourceRefused(f"{self.source.name} has neither a token nor a user name: configure one.", 401)
        login = {"username": self.source.username, "password": self.source.password}
        try:
            answer = retrying(lambda: ask(self._client, "POST", "/auth/token", body=login), sleep=self.sleep)
        except SourceRefused as error:
            raise _login_refused(self.source, error) from error
        token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
        if not isinstance(token, str) or not token:
            raise SourceRefused(f"{self.source.name} signed us in without giving a token: use a static token instead.")
        self._token = token
        self._renew_at = self.now() + life_of(token) * RENEW_AT


def root_of(base_url: str) -> str:
    """The address before /api/v2, whichever of both was configured."""
    return base_url.strip().rstrip("/").removesuffix(API)


def skew(server_time: datetime, ours: datetime) -> timedelta:
    """How far the server's clock is ahead; zero within what whole seconds can tell."""
    difference = server_time + timedelta(seconds=0.5) - ours
    return difference if abs(difference) > CLOCK_TOLERANCE else timedelta(0)


def pause_s(elapsed_s: float, usual_s: float, calls: int) -> float:
    """How long to leave the server alone after an answer: as long as it took once it gets slow, a little in a row."""
    if usual_s and elapsed_s > max(2 * usual_s, SLOW_S):
        return min(elapsed_s, LONGEST_PAUSE_S)
    return SPACING_S if calls > FREE_CALLS else 0.0


def life_of(token: str) -> timedelta:
    """How long a JWT lives, read without verifying it (it is the server's to verify)."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        life = timedelta(seconds=float(claims["exp"]) - float(claims["iat"]))
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return UNKNOWN_LIFE
    return life if life > timedelta(0) else UNKNOWN_LIFE


def _login_refused(source: Source, error: SourceRefused) -> SourceRefused:
    if error.status in (401, 403):
        return SourceRefused(f"{source.name} does not accept user {source.username!r}: check name and password.", 401)
    if error.status == 404:
        root = redact(root_of(source.base_url))
        return SourceRefused(f"{root} has no /auth/token: is it the address of an Airflow 3? Or give a token.", 404)
    return error
