"""An Airflow 3 that answers what it is told to hold, and badly on request. Shapes as recorded from a real one."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

TOKEN = "chaos-token"
DAG = "chaos"
FAULTS = ("500", "503 page", "429", "hang", "cut json", "wrong gzip", "login page", "endless", "reset")
TRIES = re.compile(r"/dags/[^/]+/dagRuns/([^/]+)/taskInstances/([^/]+)/tries")
Item = dict[str, Any]


@dataclass(slots=True)
class Airflow:
    """What there is: task instances, each seen from a moment on, as a row is that commits late."""

    rows: list[tuple[float, datetime, Item]] = field(default_factory=list)  # seen from, updated at, task instance
    fault: str = ""
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, run: str, count: int, late_s: float = 0.0, failed: int = 0) -> None:
        """New ended task instances, which a query sees `late_s` after the time that they say they changed."""
        now = datetime.now(UTC)
        with self.lock:
            for number in range(count):
                start = now - timedelta(seconds=20 + number % 7)
                self.rows.append((
                    time.monotonic() + late_s, now,
                    {
                        "id": str(uuid.UUID(int=time.time_ns() << 60 | number)), "dag_id": DAG, "dag_run_id": run,
                        "task_id": f"task_{number}", "map_index": -1, "state": "failed" if number < failed else "success",
                        "try_number": 1, "max_tries": 0, "start_date": _iso(start), "end_date": _iso(now),
                        "queued_when": _iso(start), "scheduled_when": _iso(start), "duration": 20.0, "hostname": "worker-1",
                        "pool": "default_pool", "pool_slots": 1, "queue": "default", "operator": "HttpOperator",
                        "rendered_fields": {}, "run_after": _iso(start),
                    },
                ))  # fmt: skip

    def truth(self) -> dict[tuple[str, str, int], tuple[str, str, str]]:
        """(run, task, try) to (state, start, end) of every row."""
        with self.lock:
            return {
                (r["dag_run_id"], r["task_id"], r["try_number"]): (r["state"], r["start_date"], r["end_date"])
                for _, _, r in self.rows
            }

    def forgive(self, stored: list[tuple[Any, ...]]) -> None:
        """Forget the task instances that nobody has stored: a planted bug has lost them."""
        there = {(run, task) for run, task in stored}
        with self.lock:
            self.rows = [row for row in self.rows if (row[2]["dag_run_id"], row[2]["task_id"]) in there]

    def seen(self, since: str) -> list[Item]:
        """What a query sees now, in order of the ids."""
        moment = datetime.fromisoformat(since) if since else datetime.min.replace(tzinfo=UTC)
        with self.lock:
            return [item for at, changed, item in self.rows if at <= time.monotonic() and changed >= moment]

    def body(self, path: str, query: dict[str, str]) -> Item | None:
        """The answer to one question; None where there is nothing."""
        if path == "/version":
            return {"version": "3.3.2", "git_version": None}
        if path == "/monitor/health":
            alive = {"status": "healthy", "latest_scheduler_heartbeat": _iso(datetime.now(UTC))}
            return {"metadatabase": {"status": "healthy"}, "scheduler": alive}
        if path == "/dags/~/dagRuns/~/taskInstances":
            return _page("task_instances", self.seen(query.get("updated_at_gte", "")), query, self.fault == "endless")
        if path == "/dags/~/dagRuns":
            return {"dag_runs": [], "total_entries": 0}
        if path in ("/pools", "/jobs", "/dags", "/connections"):
            return {path[1:]: [], "total_entries": 0}
        if path == "/eventLogs":
            return {"event_logs": [], "total_entries": 0}
        if match := TRIES.fullmatch(path):
            run, task = map(unquote, match.groups())
            found = [item for item in self.seen("") if (item["dag_run_id"], item["task_id"]) == (run, task)]
            return {"task_instances": found, "total_entries": len(found)}
        return None


def _page(name: str, items: list[Item], query: dict[str, str], endless: bool) -> Item:
    limit, total = int(query.get("limit", 100)), len(items)
    if "cursor" not in query:
        start = int(query.get("offset", 0))
        return {name: items[start : start + limit], "total_entries": total}
    if endless:
        return {name: items[:limit], "next_cursor": uuid.uuid4().hex, "previous_cursor": None}
    after = query["cursor"]
    rest = [item for item in items if item["id"] > after]
    following = rest[limit - 1]["id"] if len(rest) > limit else None
    return {name: rest[:limit], "next_cursor": following, "previous_cursor": None}


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    told: Airflow

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.told.answered += 1
        body = self.told.body(parts.path.removeprefix("/api/v2"), dict(parse_qsl(parts.query, keep_blank_values=True)))
        raw = json.dumps(body if body is not None else {"detail": "Not Found"}).encode()
        if self.told.fault and self.told.fault != "endless":
            return self._badly(self.told.fault, raw)
        return self._send(200 if body is not None else 404, raw)

    def _badly(self, fault: str, raw: bytes) -> None:
        if fault == "hang":
            time.sleep(3)
            return self._send(500, b"{}")
        if fault == "reset":
            self.close_connection = True
            return None
        if fault == "cut json":
            return self._send(200, raw[: len(raw) * 2 // 3])
        if fault == "wrong gzip":
            packed = gzip.compress(raw)  # cut short, or not packed at all
            return self._send(200, packed[: len(packed) // 2] if self.told.answered % 2 else raw, encoding="gzip")
        if fault == "login page":
            return self._send(200, b"<!DOCTYPE html><html><form>Sign in</form></html>", kind="text/html")
        if fault == "503 page":
            return self._send(503, b"<html>Bad gateway</html>", kind="text/html")
        return self._send(int(fault), b'{"detail": "chaos"}', retry_after="1" if fault == "429" else "")

    def _send(
        self, status: int, raw: bytes, kind: str = "application/json", encoding: str = "", retry_after: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (("Content-Encoding", encoding), ("Retry-After", retry_after)):
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that is killed in the middle of a question is no news here."""


def serve(told: Airflow) -> tuple[ThreadingHTTPServer, int]:
    """Answer on a free port of 127.0.0.1, in a thread."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"told": told}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, int(server.server_address[1])
