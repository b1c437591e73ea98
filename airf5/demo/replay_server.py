"""An HTTP server that answers as an Airflow 3 whose past is the recording: `python -m airf5.demo.replay_server`."""

from __future__ import annotations

import base64
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airf5.demo import api, laps, recording
from airf5.demo.api import ApiError, World

TOKEN_S = 3600
LARGEST_BODY = 64 * 1024
CORRELATION = re.compile(r"[0-9a-f-]{36}")
ONE = re.compile(r"/dags/([^/~]+)/dagRuns/([^/~]+)/taskInstances/([^/]+?)(?:/(\d+))?(/tries|/logs/(\d+))?")
LISTS: dict[str, Callable[[World, Mapping[str, str]], Any]] = {
    "/dags": lambda world, query: api.plain(world.recording.dags, query, "dags"),
    "/dags/~/dagRuns": api.dag_runs,
    "/dags/~/dagRuns/~/taskInstances": api.task_instances,
    "/eventLogs": api.event_logs,
    "/pools": api.pools,
    "/connections": lambda world, query: api.plain(world.recording.connections, query, "connections"),
    "/jobs": api.jobs,
}


class ReplayServer(ThreadingHTTPServer):
    """Holds the recording, the place of the lap state and who may sign in."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], told: recording.Recording, home: Path, user: str, password: str
    ) -> None:
        super().__init__(address, Handler)
        self.told = told
        self.home = home
        self.user = user
        self.password = password
        self.tokens: dict[str, float] = {}
        self.lock = threading.Lock()  # one answer at a time: the cache of told pieces is shared

    def sign_in(self, login: Any) -> str | None:
        """A fresh token for the right name and password."""
        given = login if isinstance(login, dict) else {}
        if given.get("username") != self.user or not secrets.compare_digest(
            str(given.get("password")).encode(), self.password.encode()
        ):
            return None
        issued = int(time.time())
        claims = {"sub": self.user, "iat": issued, "exp": issued + TOKEN_S, "jti": secrets.token_hex(8)}
        token = f"{_encoded({'alg': 'HS512', 'typ': 'JWT'})}.{_encoded(claims)}.{secrets.token_urlsafe(32)}"
        with self.lock:
            self.tokens = {kept: until for kept, until in self.tokens.items() if until > issued}
            self.tokens[token] = issued + TOKEN_S
        return token

    def knows(self, header: str | None) -> bool:
        """Whether an Authorization header carries a token of ours that still lives."""
        return self.tokens.get((header or "").removeprefix("Bearer "), 0) > time.time()

    def world(self) -> World:
        """What there is to see now."""
        now = datetime.now(UTC)
        return World(self.told, laps.load(self.home, now), now)


class Handler(BaseHTTPRequestHandler):
    """Turns requests into calls of `airf5.demo.api`."""

    server: ReplayServer
    protocol_version = "HTTP/1.1"
    timeout = 60
    server_version = "uvicorn"
    sys_version = ""

    def do_POST(self) -> None:
        """Signing in is all that is posted."""
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(min(length, LARGEST_BODY))
        if urlsplit(self.path).path != "/auth/token":
            return self._send(405, {"detail": "Method Not Allowed"})
        try:
            token = self.server.sign_in(json.loads(raw))
        except ValueError:
            return self._send(422, {"detail": "JSON decode error"})
        if token is None:
            return self._send(401, {"detail": "Invalid credentials"})
        return self._send(201, {"access_token": token})

    def do_PUT(self) -> None:
        """A worker's call without its token, as the loop-back test makes one: refused, with its correlation id."""
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LARGEST_BODY))
        return self._send(401, {"detail": "Not authenticated"}, self.headers.get("correlation-id"))

    def do_GET(self) -> None:
        """Everything else is read."""
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api/v2")
        if path == "/version":
            return self._send(200, self.server.told.version)
        if path == "/monitor/health":
            return self._send(200, api.health(self.server.world()))
        if not self.server.knows(self.headers.get("Authorization")):
            return self._send(401, {"detail": "Not authenticated"})
        try:
            with self.server.lock:
                body = answer(self.server.world(), path, dict(parse_qsl(parts.query, keep_blank_values=True)))
        except ApiError as error:
            return self._send(error.status, {"detail": error.detail})
        return self._send(200, body)

    def _send(self, status: int, body: Any, correlation: str | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        if correlation and CORRELATION.fullmatch(correlation):
            self.send_header("correlation-id", correlation)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the demo's terminal is for its reader."""


def answer(world: World, path: str, query: Mapping[str, str]) -> Any:
    """The body for one path below /api/v2."""
    if path in LISTS:
        return LISTS[path](world, query)
    match = ONE.fullmatch(path)
    if match is None:
        raise ApiError(404, "Not Found")
    dag_id, run_id, task_id = (unquote(part) for part in match.group(1, 2, 3))
    index = match[4] or query.get("map_index") or "-1"
    key = (dag_id, run_id, task_id, int(index) if index.lstrip("-").isdigit() else -1)
    if match[6]:
        return api.log(world, key, int(match[6]))
    return api.tries(world, key) if match[5] else api.task_instance(world, key)


def _encoded(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def serve(port: int, capture: Path, home: Path, user: str, password: str) -> None:
    """Answer until the process is stopped. Only this machine may ask."""
    ReplayServer(("127.0.0.1", port), recording.load(capture), home, user, password).serve_forever()


if __name__ == "__main__":
    # The password comes by standard input: arguments can be seen by every user of the machine.
    serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], sys.stdin.readline().strip())
