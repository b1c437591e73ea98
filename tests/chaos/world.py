"""A whole airf5 of its own: its services, sources, processes and database, with devices that send to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos import airflow
from tests.chaos.lines import TEMPLATE
from tests.chaos.machine import CLONE_NEWNS, ROOT, Process, libc
from tests.chaos.sending import DEVICES, PUSHED, Sending

START_S = 120.0
ROOMY = "size=3g"  # of memory, as far as it is used
TIGHT_BYTES = 256 << 10


class World(Sending):
    """Start with `begin`, end with `end`. All of it happens in the main thread: services end with the thread that began them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.airflow = airflow.Airflow()
        self.small = False  # whether one folder of the spool, and the database, have disks of their own
        self.database_disk = Path()
        self._connection: psycopg.Connection[Any] | None = None

    # Beginning and end

    def begin(self) -> None:
        """Make the home, the services, the tables and the sources, and start the processes."""
        server, port = airflow.serve(self.airflow)
        self._server = server
        self.port, self.syslog_port = _free_port(), _free_port()
        for name in [name for name in os.environ if name.startswith(("AIRF5_", "DATABASE_URL", "REDIS_URL"))]:
            if name != "AIRF5_PG_BINDIR":
                del os.environ[name]
        os.environ |= {
            "AIRF5_HOME": str(self.home), "AIRF5_PORT": str(self.port), "AIRF5_SYSLOG_PORT": str(self.syslog_port),
            "AIRF5_WEB_WORKERS": "1", "CHAOS_TOKEN": airflow.TOKEN, "DJANGO_SETTINGS_MODULE": "airf5.settings",
            "AIRF5_LOG_LEVEL": "INFO",
        }  # fmt: skip
        self.small = self._own_disks()
        import django

        django.setup()
        from django.core.management import call_command

        from airf5 import embedded, keyring

        embedded.ensure(database=True, broker=True)
        call_command("migrate", verbosity=0, interactive=False)
        keyring.load(make=True)
        self._make_sources(f"http://127.0.0.1:{port}")
        self.environment = {
            **os.environ, **embedded.environment(), "AIRF5_CHAOS": str(self.place), "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent / "site"), str(ROOT))),
        }  # fmt: skip
        self._start()

    def _own_disks(self) -> bool:
        """A small file system under one folder of the spool and one under the database, in a mount name space of ours."""
        from airf5.embedded import place

        folder = self.spool / DEVICES["small"]
        folder.mkdir(parents=True)
        user = place.account()
        version = place.postgres_version(place.postgres_programs(user), user)
        self.database_disk = place.postgres_folder(version, user)
        return (
            libc.unshare(CLONE_NEWNS) == 0
            and _mount("--make-rprivate", "/")
            and _mount("-t", "tmpfs", "-o", "size=1m", "none", str(folder))
            and _mount("-t", "tmpfs", "-o", f"{ROOMY},mode=711", "none", str(self.database_disk))
        )

    def fill_database_disk(self) -> None:
        """Leave next to no room where PostgreSQL writes."""
        disk = os.statvfs(self.database_disk)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        if not _mount("-o", f"remount,size={used + TIGHT_BYTES}", str(self.database_disk)):
            raise AssertionError("the database's disk cannot be made smaller")

    def free_database_disk(self) -> None:
        """As much room as before."""
        _mount("-o", f"remount,{ROOMY}", str(self.database_disk))

    def no_room_said(self) -> int:
        """How often PostgreSQL has said that its disk is full."""
        return (self.database_disk / "log").read_bytes().count(b"No space left on device")

    def _make_sources(self, url: str) -> None:
        from ingest.setup import source_file

        device = {"kind": "device", "hostname": "bigip-chaos.example.net"}
        sources = [
            {"kind": "airflow", "name": "chaos-airflow", "url": url, "auth": "bearer", "token": "env:CHAOS_TOKEN",
             "poll_seconds": 1, "allow": ["127.0.0.1/32"]},
            {**device, "name": "tcp", "sender": DEVICES["tcp"]},
            {**device, "name": "small", "sender": DEVICES["small"]},
            {**device, "name": "files", "spool": "files"},
            {**device, "name": "late", "spool": "late", "logs_requests": False},
            {**device, "name": PUSHED, "telemetry": True, "logs_requests": False},
        ]  # fmt: skip
        source_file.apply(source_file.parse(json.dumps(sources), "chaos", self.spool))
        self.mend(False)
        from ingest.models import Feed
        from ingest.push import tokens

        self.token = tokens.create(Feed.objects.get(kind=Feed.Kind.F5_TELEMETRY), "chaos")
        self.feeds = dict(Feed.objects.values_list("name", "pk"))

    def mend(self, mended: bool) -> None:
        """Whether the template of the device `late` is known."""
        template = TEMPLATE if mended else None
        from ingest.models import Feed

        feed = Feed.objects.get(device__name="late", kind=Feed.Kind.F5_REQUEST)
        feed.config = {key: value for key, value in feed.config.items() if key != "template"}
        feed.config |= {"template": template} if template else {}
        feed.save(update_fields=["config"])

    def _start(self) -> None:
        python, manage = sys.executable, str(ROOT / "manage.py")
        celery = [python, "-m", "celery", "-A", "airf5"]
        schedule = str(self.home / "beat-schedule")
        self.processes = [
            Process("receive", [python, manage, "receive"]),
            Process("worker", [*celery, "worker", "-c", "2", "-l", "info"]),
            Process("beat", [*celery, "beat", "-l", "info", "-s", schedule, "--pidfile="]),
            Process(
                "web",
                [python, "-m", "gunicorn", "-b", f"127.0.0.1:{self.port}", "--threads", "4", "airf5.wsgi:application"],
            ),
        ]
        (self.home / "logs").mkdir()
        for process in self.processes:
            self.spawn(process)
        self.until(self._is_up, START_S, "everything runs")

    def _is_up(self) -> bool:
        return self.answers() and bool(self.ask("SELECT 1 FROM ingest_feed WHERE last_ok_at IS NOT NULL"))

    def answers(self) -> bool:
        """Whether the receiver and the web server take connections."""
        for port in (self.syslog_port, self.port):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return False
        return True

    def end(self, keep: bool = False) -> None:
        """Stop everything; the home goes, unless somebody wants to look at it."""
        from airf5 import embedded

        self._server.shutdown()
        for process in self.processes:
            self.kill_group(process, signal.SIGKILL)
        for process in self.processes:
            if process.running:
                process.running.wait()
        if self._connection:
            self._connection.close()
        embedded.stop()
        if self.small:
            for disk in (self.spool / DEVICES["small"], self.database_disk):
                subprocess.run(["umount", str(disk)], check=False)
        if keep:
            print(f"Kept: {self.home}")
        else:
            shutil.rmtree(self.home, ignore_errors=True)

    def forget(self) -> None:
        """What a planted bug has spoilt is not looked at again."""
        self.known.clear()
        self.senders.clear()
        self.pushers.clear()
        self.airflow.forgive(self.ask("SELECT run_id, task_id FROM ingest_try"))

    # The database

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database itself; nothing while it is away."""
        try:
            if self._connection is None or self._connection.closed:
                url = self.environment["DATABASE_URL"]
                self._connection = psycopg.connect(url, connect_timeout=2, autocommit=True)
            return self._connection.execute(statement.encode(), values or None).fetchall()
        except psycopg.Error:
            if self._connection:
                self._connection.close()
            self._connection = None
            return []

    def change(self, statement: str, *values: object) -> None:
        """Change something in the database."""
        assert self._connection is not None
        self._connection.execute(statement.encode(), values or None)


def _mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], stderr=subprocess.DEVNULL, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
