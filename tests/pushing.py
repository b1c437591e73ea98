"""What tests push as Telemetry Streaming does: makers of its events, the push itself, and one look at what came."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.test import Client
from django.utils import timezone

from ingest.models import Feed
from ingest.push import view
from ingest.setup import source_file
from tests.turn import ingest


def configure(spool: Path, name: str = "lb1", **more: Any) -> Feed:
    text = json.dumps([{"kind": "device", "name": name, "telemetry": True, "logs_requests": False, **more}])
    source_file.apply(source_file.parse(text, "test", spool))
    return Feed.objects.get(name=f"{name}/telemetry")


def push(token: str, body: Any, source: str = "lb1", **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True)
    known = {"Authorization": f"Bearer {token}", **headers}
    return client.generic(
        "POST", f"/ingest/telemetry/{source}", raw, content_type="", headers=known, CONTENT_LENGTH=str(len(raw))
    )


def read(feed: Feed) -> int:
    view.writer.close()
    return ingest(feed)


def a_request(number: int, **more: Any) -> dict[str, str]:
    at = timezone.now().replace(microsecond=0) - timedelta(seconds=30)
    return {
        "event_source": "response_logging", "hostname": "lb1.example.net", "client_ip": f"10.2.0.{number % 250}",
        "client_port": str(1024 + number), "server_ip": "10.1.0.1", "server_port": "80", "http_method": "GET",
        "http_uri": f"/n/{number}", "virtual_name": "/Common/vs", "http_statcode": "200", "response_ms": "5",
        "event_timestamp": at.isoformat().replace("+00:00", ".000Z"), "telemetryEventCategory": "LTM", **more,
    }  # fmt: skip


def a_pool_event(at: datetime, state: str = "down") -> dict[str, str]:
    return {
        "errdefs_msgno": "22327308", "errdefs_msg_name": "pool member modified", "hostname": "lb1.example.net",
        "Microtimestamp": str(int(at.timestamp() * 1e6)), "pool_name": "/Common/p", "pool_member": "/Common/m1",
        "POOLIP": "10.1.0.1", "POOLPort": "80", "monitor_state": state, "status_reason": "/Common/tcp: gone @2026/07/06 22",
        "telemetryEventCategory": "AVR",
    }  # fmt: skip


def a_poll(at: datetime, states: dict[str, str], **more: Any) -> dict[str, Any]:
    members = {name: {"addr": "10.1.0.1", "port": 80, "monitorStatus": state} for name, state in states.items()}
    return {
        "system": {"hostname": "lb1.example.net", "systemTimestamp": at.isoformat(), "failoverStatus": "ACTIVE"},
        "pools": {"/Common/p": {"availabilityState": "available", "members": members}},
        "virtualServers": {"/Common/vs": {"destination": "10.9.0.1:443", "pool": "/Common/p", "profiles": {}}},
        "telemetryEventCategory": "systemInfo", **more,
    }  # fmt: skip
