"""A recorded BIG-IP: iControl REST as tests/samples/f5_icontrol has it, with tokens, rights and bad days."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from ingest.sources.f5_rest import INSTEAD, READINGS
from ingest.sources.f5_session import LOGIN, TOKENS, Target

SAMPLES = Path(__file__).parent / "samples" / "f5_icontrol"
PASSWORD = "correct horse"
TARGET = Target("bigip-1", "https://bigip-1.example.com", "airf5", PASSWORD)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def sample(name: str) -> Any:
    """The recorded answer of a reading."""
    return json.loads((SAMPLES / f"{name.replace('/', '_')}.json").read_text())


class Clock:
    """Our time, which stands until it is moved."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class RecordedDevice:
    """Answers like a BIG-IP. `instead` maps a path to what it answers in place of the recording."""

    def __init__(self, clock: Clock | None = None, *, life_s: int = 1200, pause_s: float = 0.0) -> None:
        self.clock, self.life_s, self.pause_s = clock or Clock(), life_s, pause_s
        self.answers = {one.path: sample(one.name) for one in READINGS}
        self.instead: dict[str, tuple[int, Any]] = {
            INSTEAD["failover"].path: (404, {"code": 404, "message": "not asked for in this recording"})
        }
        self.refuse: dict[str, bytes] = {}  # paths that are answered 403 with this body
        self.ahead = timedelta(seconds=3)
        self.tokens: set[str] = set()
        self.given = 0
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    def calls(self, path: str) -> int:
        return self.asked.count(path)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().partition("?")[0]
        with self._lock:
            self.asked.append(path)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            time.sleep(self.pause_s)
            return self._answer(request, path)
        finally:
            with self._lock:
                self.at_once -= 1

    def _answer(self, request: httpx.Request, path: str) -> httpx.Response:
        if path in self.refuse:
            return httpx.Response(403, content=self.refuse[path], headers={"Content-Type": "application/json"})
        if path in self.instead:
            status, body = self.instead[path]
            return httpx.Response(status, **({"json": body} if isinstance(body, dict | list) else {"html": body}))
        if path == LOGIN:
            return self._login(json.loads(request.content))
        token = request.headers.get("X-F5-Auth-Token", "")
        if token not in self.tokens:
            return httpx.Response(401, json={"code": 401, "message": "X-F5-Auth-Token does not exist."})
        if path.startswith(TOKENS):
            self.tokens.discard(path.removeprefix(TOKENS))
            return httpx.Response(200, json={"token": "given back"})
        if path not in self.answers:
            words = "01020036:3: The requested object was not found."
            return httpx.Response(404, json={"code": 404, "message": words, "errorStack": [], "apiError": 3})
        body = json.dumps(self._now(path)).encode()  # as a device may write it: any character as an escape
        return httpx.Response(200, content=body, headers={"Content-Type": "application/json; charset=UTF-8"})

    def _now(self, path: str) -> Any:
        if path != "/mgmt/tm/sys/clock":
            return self.answers[path]
        device = (self.clock() + self.ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.loads(json.dumps(self.answers[path]).replace("2026-11-22T09:38:36Z", device))

    def _login(self, body: dict[str, str]) -> httpx.Response:
        if (body.get("username"), body.get("password")) != (TARGET.username, PASSWORD):
            return httpx.Response(401, json={"code": 401, "message": "Authentication failed."})
        self.given += 1
        token = f"TOKEN{self.given:021d}"
        self.tokens.add(token)
        told = {"token": token, "name": token, "userName": "airf5", "timeout": self.life_s, "partition": "[All]"}
        return httpx.Response(200, json={"username": "airf5", "loginProviderName": "tmos", "token": told})
