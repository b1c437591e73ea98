"""One signed-in session with one Airflow: which API it has, sign-in, the server's clock, and a gentle pace.

Calls go one at a time: the API servers we read also serve the workers' heartbeats.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from ingest.sources import airflow_auth as auth
from ingest.sources.airflow_auth import APIS, KEPT, Credential, Keeper, Source, life_of, root_of
from ingest.sources.http import Answer, NotJson, SourceError, SourceRefused, ask, open_client, redact, retrying

__all__ = ["Session", "Source", "life_of", "pause_s", "root_of", "skew", "version_of"]

CLOCK_TOLERANCE = timedelta(seconds=2)  # the Date header has whole seconds
SLOW_S = 0.5
LONGEST_PAUSE_S = 5.0
FREE_CALLS = 20
SPACING_S = 0.2
Version = tuple[int, int]


class Session:
    """A client with its credential. Use it in a `with` block, and `detect` first.

    `kept` is where credentials outlive the session; a session with a transport of its own keeps its own.
    """

    def __init__(
        self,
        source: Source,
        *,
        transport: httpx.BaseTransport | None = None,
        kept: Keeper | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.source = source
        self.now = now
        self.sleep = sleep
        self.skew = timedelta(0)  # what to add to our clock to get the server's
        self.calls = 0
        self.api = source.api if source.api in APIS else APIS[0]
        self.version: Version | None = None
        self._usual_s = 0.0
        self._kept = kept if kept is not None else KEPT if transport is None else {}
        self._client = open_client(
            root_of(source.base_url),
            allow=source.options.get("allow") or (),
            verify=source.options.get("verify", True),
            proxy=source.options.get("proxy"),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._client.close()

    def detect(self, first: str = "") -> dict[str, Any]:
        """What /version says, of the API that is there; `first` is the one that was there last time."""
        asked = (self.source.api,) if self.source.api in APIS else tuple(sorted(APIS, key=lambda api: api != first))
        told: list[SourceError] = []
        for self.api in asked:
            try:
                body = self.get_open("/version").body
            except (SourceRefused, NotJson) as error:
                told.append(error)
                continue
            if isinstance(body, dict) and isinstance(body.get("version"), str):
                self.version = version_of(body["version"])
                return {**body, "api": self.api}
            told.append(NotJson(f"/api/{self.api}/version told no version: is this the address of an Airflow?"))
        raise next((error for error in told if error.status != 404), self._nothing_there(asked))

    def get(self, path: str, params: Mapping[str, Any] | None = None, **limits: Any) -> Answer:
        """One GET of the API, signed in; where we are not known any more, it signs in again once."""
        place = auth.place_of(self.source, self.api)
        kept = self._kept.get(place)
        if kept is None or (kept.renew_at is not None and self.now() >= kept.renew_at):
            kept = self._sign_in(place)
        try:
            return self._ask(path, params, kept, **limits)
        except SourceRefused as error:
            if not self._forgot_us(error, kept):
                raise
        return self._ask(path, params, self._sign_in(place), **limits)

    def get_open(self, path: str) -> Answer:
        """One GET of what needs no credentials (version, health); a managed Airflow wants its token for them too."""
        headers = auth.bearer(self.source.token).headers if self.source.token else None
        return self._paced(lambda: ask(self._client, "GET", f"/api/{self.api}{path}", headers=headers))

    def server_now(self) -> datetime:
        """Our clock, corrected by what the server's Date header said."""
        return self.now() + self.skew

    def at_least(self, major: int, minor: int) -> bool:
        """Whether this Airflow is certainly that new."""
        return self.version is not None and self.version >= (major, minor)

    def _ask(self, path: str, params: Mapping[str, Any] | None, kept: Credential, **limits: Any) -> Answer:
        where = f"/api/{self.api}{path}"
        return self._paced(lambda: ask(self._client, "GET", where, params=params, headers=kept.headers, **limits))

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

    def _sign_in(self, place: str) -> Credential:
        self._kept.pop(place, None)
        fresh = auth.sign_in(self._client, self.source, self.api, self._paced, self.now())
        auth.keep(self._kept, place, fresh)
        return fresh

    def _forgot_us(self, error: SourceRefused, kept: Credential) -> bool:
        """Whether a refusal means that our credential has ended, and not that our role lacks something."""
        method = auth.method_of(self.source, self.api)
        if method == "bearer" or error.status not in ((401,) if self.api == "v2" else (401, 403)):
            return False
        return self.api == "v2" or not auth.knows_us(self._client, self.api, kept, self._paced)

    def _nothing_there(self, asked: tuple[str, ...]) -> SourceError:
        root = redact(root_of(self.source.base_url))
        tried = " nor ".join(f"/api/{api}" for api in asked)
        return SourceRefused(f"{root} has no {tried}: give the address of Airflow's own web server.", 404)


def version_of(text: str) -> Version | None:
    """(2, 11) of "2.11.2" or "2.11.2+composer"; None where it is no such thing."""
    parts = text.split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (IndexError, ValueError):
        return None


def skew(server_time: datetime, ours: datetime) -> timedelta:
    """How far the server's clock is ahead; zero within what whole seconds can tell."""
    difference = server_time + timedelta(seconds=0.5) - ours
    return difference if abs(difference) > CLOCK_TOLERANCE else timedelta(0)


def pause_s(elapsed_s: float, usual_s: float, calls: int) -> float:
    """How long to leave the server alone after an answer: as long as it took once it gets slow, a little in a row."""
    if usual_s and elapsed_s > max(2 * usual_s, SLOW_S):
        return min(elapsed_s, LONGEST_PAUSE_S)
    return SPACING_S if calls > FREE_CALLS else 0.0
