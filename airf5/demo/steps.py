"""The steps of `manage.py demo`: what it prepares, which processes it runs and what it tells at the end."""

from __future__ import annotations

import importlib.util
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings

from airf5.demo.supervisor import Program

AIRFLOW = "demo-airflow"
DEVICE = "demo-bigip"
AIRFLOW_USER = "airf5"
USER = "demo"
HOST = "127.0.0.1"
RECORDING = "lab1"
RETENTION = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demo lives and listens."""

    root: Path
    home: Path
    capture: Path
    spool: Path
    bind: str
    port: int
    syslog_port: int
    replay_port: int

    @property
    def airflow_password(self) -> Path:
        """The file that both the replayed Airflow and our source take the password from."""
        return self.home / "demo" / "airflow-password"

    @property
    def url(self) -> str:
        """Where the page is; an address that means all interfaces is not one to open."""
        host = "localhost" if self.bind in ("0.0.0.0", "::", "") else self.bind
        return f"http://{host}:{self.port}/"


def places() -> Places:
    """From the settings. The replayed Airflow takes any free port: only our own worker asks it."""
    root, home = Path(settings.BASE_DIR), Path(settings.AIRF5_HOME)
    return Places(
        root=root,
        home=home,
        spool=Path(settings.AIRF5_SPOOL_DIR),
        capture=root / "captures" / RECORDING,
        bind=str(getattr(settings, "AIRF5_BIND", HOST)),
        port=int(getattr(settings, "AIRF5_PORT", 8000)),
        syslog_port=int(settings.AIRF5_SYSLOG_PORT),
        replay_port=free_port(),
    )


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_taken(bind: str, port: int) -> bool:
    """Whether somebody else listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError:
            return True
    return False


def kept_secret(file: Path) -> str:
    """The secret in this file, made on the first call and readable by its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_text().strip()
    with os.fdopen(handle, "w") as opened:
        made = secrets.token_urlsafe(12)
        opened.write(made + "\n")
    return made


def make_user(password: str) -> None:
    """The demo's user. It is an admin of this demo, so that every page can be tried."""
    from django.contrib.auth import get_user_model

    user, _ = get_user_model().objects.get_or_create(username=USER, defaults={"is_staff": True, "is_superuser": True})
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])


def register_sources(where: Places) -> None:
    """The same door a person uses: nothing that reads them knows that this is a demo."""
    from ingest.actions import configure_source

    api: dict[str, Any] = {
        "base_url": f"http://{HOST}:{where.replay_port}",
        "username": AIRFLOW_USER,
        "password": f"file:{where.airflow_password}",
        "poll_s": 5,
        "allow": [f"{HOST}/32"],  # loopback is called only where a source lists it
        "options": {"first_hours": 2},
    }
    configure_source("airflow_api", f"{AIRFLOW} API", AIRFLOW, None, api, USER)
    # The recorded balancer was one that answers 502 to 504 itself
    device = {"makes_own_errors": True, "hostname": "bigip-lab-1.example.net"}
    snapshot = {"folder": str(where.capture / "f5" / "icontrol"), **device}
    configure_source("f5_icontrol", f"{DEVICE} iControl snapshot", None, DEVICE, snapshot, USER)
    for kind, what in (("request", "request log"), ("ltm", "ltm log"), ("audit", "audit log")):
        followed = {"glob": [str(where.spool / HOST / f"{kind}-*")], **device}
        configure_source(f"f5_{kind}", f"{DEVICE} {what}", None, DEVICE, followed, USER)


def recording_is_due() -> bool:
    """Whether the page would be empty: nothing was told in the last hour, by an earlier start or by a lap."""
    from ingest.actions import route_failed_since

    return not route_failed_since(datetime.now(UTC) - timedelta(hours=1))


def forget_old_recordings() -> None:
    """What the demo keeps is a day: recordings read by earlier starts go."""
    from ingest.actions import forget_captures

    forget_captures(f"{RECORDING}-2", datetime.now(UTC) - RETENTION, USER)


def programs(where: Places, airflow_password: str) -> list[Program]:
    """Everything that runs: the product's own five processes, and the two that stand for Airflow and the BIG-IP."""
    python, manage = sys.executable, str(where.root / "manage.py")
    home, capture = str(where.home), str(where.capture)
    celery = [python, "-m", "celery", "-A", "airf5"]
    schedule = str(where.home / "demo" / "beat-schedule")
    return [
        Program("web", web_command(where)),
        Program("worker", [*celery, "worker", "-c", "2", "-l", "info"]),
        Program("beat", [*celery, "beat", "-l", "info", "-s", schedule, "--pidfile="]),
        Program("receive", [python, manage, "receive"]),
        Program(
            "airflow",
            [python, "-m", "airf5.demo.replay_server", str(where.replay_port), capture, home, AIRFLOW_USER],
            secret=airflow_password,
        ),
        Program(
            "bigip", [python, "-m", "airf5.demo.sender", HOST, str(where.syslog_port), capture, home, str(where.spool)]
        ),
    ]


def web_command(where: Places) -> list[str]:
    """The production server that is installed."""
    if importlib.util.find_spec("granian"):
        listen = ["--host", where.bind, "--port", str(where.port)]
        return [sys.executable, "-m", "granian", "--interface", "wsgi", *listen, "airf5.wsgi:application"]
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "-b",
        f"{where.bind}:{where.port}",
        "--threads",
        "4",
        "airf5.wsgi:application",
    ]


def child_environment(where: Places, extra: Mapping[str, str]) -> dict[str, str]:
    """What the children need to find the project and the services."""
    path = os.pathsep.join(filter(None, (str(where.root), os.environ.get("PYTHONPATH"))))
    days = str(RETENTION.days)
    kept = {f"AIRF5_RETENTION_{what}_DAYS": days for what in ("REQUESTS", "MINUTES", "HOURS", "AUDIT")}
    return {**os.environ, **kept, **extra, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
