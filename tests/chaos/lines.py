"""Numbered log lines and what has to become of each: the truth that the database is held against.

A stream is one client address; a line's place in it is the microsecond of its time. Every other field is computed from
both, so that a row that was altered is seen.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

STEP_US = 1_000
AGO_US = 60_000_000
IDLE_US = 400_000_000  # a request as old as this is given up as soon as it is read
HOST = "bigip-chaos.example.net"
TEMPLATE = (
    "hsl ${DATE_YYYY}-$DATE_MM-${DATE_DD}T${TIME_HMS}.$TIME_USECS$TIME_OFFSET $CLIENT_IP:$CLIENT_PORT $VIRTUAL_NAME "
    '"$HTTP_METHOD $HTTP_URI" $HTTP_STATCODE $RESPONSE_USECS $RESPONSE_SIZE'
)
PAIR, LONE_REQUEST, LONE_RESPONSE, GIVEN_UP = "pair", "half", "response", "given up"
Key = tuple[str, int]  # client address, time in microseconds


@dataclass(frozen=True, slots=True)
class Truth:
    """The row that has to be there, once. `waits`: it may be a waiting half as well."""

    method: str
    status: int | None
    response_us: int | None
    size: int | None
    uri: str
    waits: bool = False


@dataclass(slots=True)
class Stream:
    """Lines of one client; `made` is what has to become of those that were made so far."""

    number: int
    seed: int
    base_us: int = 0
    made: dict[Key, Truth] = field(default_factory=dict)
    seq: int = 0
    owed: list[tuple[int, bytes]] = field(default_factory=list)  # answers that come some lines later

    def __post_init__(self) -> None:
        self.base_us = int(time.time() * 1000) * 1000 - AGO_US

    @property
    def client(self) -> str:
        return f"10.77.{self.number // 250}.{self.number % 250 + 1}"

    def lines(self, count: int, rng: random.Random) -> list[bytes]:
        """About so many further messages: request and response lines, some of them alone."""
        out: list[bytes] = []
        while len(out) < count:
            self.seq += 1
            kind = {11: LONE_REQUEST, 13: LONE_RESPONSE, 17: GIVEN_UP}.get(self.seq % 20, PAIR)
            request, response = self._messages(kind)
            if kind != LONE_RESPONSE:
                out.append(request)
            if kind == LONE_RESPONSE:
                out.append(response)
            elif kind == PAIR:
                self.owed.append((self.seq + rng.randrange(12), response))
            out += self._due(self.seq)
        return out

    def rest(self) -> list[bytes]:
        """The answers that are still owed."""
        return self._due(1 << 62)

    def answers(self, count: int) -> list[bytes]:
        """Lines of `TEMPLATE`, which nobody can read who does not know it."""
        out = []
        for _ in range(count):
            self.seq += 1
            self._messages(LONE_RESPONSE)
            at = self.base_us + self.seq * STEP_US
            told = self.made[(self.client, at)]
            when = datetime.fromtimestamp(at // 1_000_000, UTC)
            out.append(
                f"hsl {when:%Y-%m-%dT%H:%M:%S}.{at % 1_000_000:06d}+0000 {self.client}:{20_000 + self.seq} /Common/late "
                f'"{told.method} {told.uri}" {told.status} {told.response_us} {told.size}'.encode()
            )
        return out

    def events(self, count: int) -> bytes:
        """One body of Telemetry Streaming."""
        out = []
        for _ in range(count):
            self.seq += 1
            at = self.base_us + self.seq * STEP_US
            status, took_ms, uri = self._status(), 1 + self.seq % 900, f"/chaos/{self.number}/{self.seq}"
            self.made[(self.client, at)] = Truth("GET", status, took_ms * 1000, None, uri)
            when = datetime.fromtimestamp(at // 1_000_000, UTC)
            out.append({
                "event_source": "response_logging", "hostname": HOST, "client_ip": self.client,
                "client_port": str(1024 + self.seq % 60_000), "server_ip": "10.2.0.1", "server_port": "80",
                "http_method": "GET", "http_uri": uri, "virtual_name": "/Common/pushed", "http_statcode": str(status),
                "response_ms": str(took_ms), "telemetryEventCategory": "LTM",
                "event_timestamp": f"{when:%Y-%m-%dT%H:%M:%S}.{at // 1000 % 1000:03d}Z",
            })  # fmt: skip
        return json.dumps(out).encode()

    def _due(self, seq: int) -> list[bytes]:
        due = [message for at, message in self.owed if at <= seq]
        self.owed = [one for one in self.owed if one[0] > seq]
        return due

    def _status(self) -> int:
        return {3: 404, 7: 503}.get(self.seq % 20, 200)

    def _messages(self, kind: str) -> tuple[bytes, bytes]:
        seq, method = self.seq, "POST" if self.seq % 3 == 0 else "GET"
        at = self.base_us + seq * STEP_US - (IDLE_US if kind == GIVEN_UP else 0)
        uri, status, took, size = f"/chaos/{self.number}/{seq}", self._status(), 1_000 + seq * 7, 100 + seq * 3
        answered = kind in (PAIR, LONE_RESPONSE)
        self.made[(self.client, at)] = Truth(
            method, status if answered else None, took if answered else None, size if answered else None, uri,
            waits=kind == LONE_REQUEST,
        )  # fmt: skip
        where = (
            f'ts="{at // 1_000_000}.{at % 1_000_000:06d}",hostname="{HOST}",virtual_name="/Common/vs_{seq % 5}",'
            f'virtual_ip="10.1.0.{seq % 5 + 10}",virtual_port="443",pool="/Common/pool_{seq % 5}",'
            f'client_ip="{self.client}",client_port="{20_000 + seq % 40_000}",'
        )
        asked = (
            f'http_method="{method}",host="service.example.net",correlation_id="",traceparent="",task="",xff="",'
            f'ua="chaos",http_uri="{uri}"'
        )
        answer = (
            f'server_ip="10.2.0.{seq % 4 + 1}",server_port="8080",snat_ip="",http_statcode="{status}",'
            f'response_ms="{took // 1000}",response_us="{took}",bytes="{size}",'
        )
        return (
            f'airf5="1",kind="request",{where}{asked}'.encode(),
            f'airf5="1",kind="response",{where}{answer}{asked}'.encode(),
        )


def spooled(messages: list[bytes], sender: str) -> bytes:
    """Messages as a receiver writes them."""
    out = []
    for message in messages:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        out.append(f"{now} {sender} ".encode() + message + b"\n")
    return b"".join(out)
