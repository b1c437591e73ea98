"""A whole airf5 of its own: services, processes that are started again when they die, and what is sent to them."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psycopg

from tests.chaos import airflow
from tests.chaos.lines import TEMPLATE, Stream, spooled

ROOT = Path(__file__).resolve().parents[2]
DEVICES = {"tcp": "127.0.0.1", "small": "127.0.0.2", "files": "files", "late": "late"}  # and the folder of its logs
PUSHED = "pushed"
RESTART_S = 0.5
START_S = 120.0
CLONE_NEWNS, PR_SET_PDEATHSIG = 0x00020000, 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Process:
    """One process of the product that has to run."""

    name: str
    command: Sequence[str]
    running: subprocess.Popen[bytes] | None = None
    died_at: float = 0.0


@dataclass(slots=True)
class Sender:
    """A device that logs by TCP. What the receiver had not made durable when a connection broke, it sends again."""

    stream: Stream
    source: str
    sent: list[bytes] = field(default_factory=list)
    waits: list[bytes] = field(default_factory=list)
    connection: socket.socket | None = None
    receiver: int = 0
    again: int = 0


@dataclass(slots=True)
class Pusher:
    """Telemetry Streaming: a body is sent until it is answered, and now and then again later."""

    stream: Stream
    waits: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)


class World:
    """Start with `begin`, end with `end`. All of it happens in the main thread: services end with the thread that began them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.home = Path(tempfile.mkdtemp(prefix="airf5-chaos-"))
        self.home.chmod(0o711)  # PostgreSQL runs as another account when we are root
        self.place = self.home / "chaos"
        for name in ("armed", "planted"):
            (self.place / name).mkdir(parents=True)
        self.spool = self.home / "spool"
        self.airflow = airflow.Airflow()
        self.processes: list[Process] = []
        self.kills = 0
        self.streams = 0
        self.known: list[Stream] = []
        self.small = False  # whether one folder of the spool is a disk of its own
        self.senders: list[Sender] = []
        self.pushers: list[Pusher] = []
        self.handed: dict[str, int] = {"files": 0, "late": 0}  # lines written into files, by device
        self.services_wanted = True
        self._connection: psycopg.Connection[Any] | None = None

    # Beginning and end

    def begin(self) -> None:
        """Make the home, the services, the tables and the sources, and start the processes."""
        self.small = self._own_disk()
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

    def _own_disk(self) -> bool:
        """A small file system under one folder of the spool, in a mount name space of ours."""
        folder = self.spool / DEVICES["small"]
        folder.mkdir(parents=True)
        if _libc.unshare(CLONE_NEWNS) != 0:
            return False
        quiet = {"stderr": subprocess.DEVNULL, "check": False}
        private = subprocess.run(["mount", "--make-rprivate", "/"], **quiet)  # type: ignore[call-overload]
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], **quiet)  # type: ignore[call-overload]
        return private.returncode == 0 and mounted.returncode == 0

    def _make_sources(self, url: str) -> None:
        from ingest import source_file

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
            self._spawn(process)
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
            self._kill_group(process, signal.SIGKILL)
        for process in self.processes:
            if process.running:
                process.running.wait()
        if self._connection:
            self._connection.close()
        embedded.stop()
        if self.small:
            subprocess.run(["umount", str(self.spool / DEVICES["small"])], check=False)
        if keep:
            print(f"Kept: {self.home}")
        else:
            shutil.rmtree(self.home, ignore_errors=True)

    # Processes

    def _spawn(self, process: Process) -> None:
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with (self.home / "logs" / f"{process.name}.log").open("ab") as log:
            process.running = subprocess.Popen(
                process.command, env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip

    def tend(self) -> None:
        """What a service manager does: what died is started again."""
        from airf5 import embedded

        if self.services_wanted:
            with contextlib.suppress(embedded.EmbeddedError):
                embedded.ensure(database=True, broker=True)
        now = time.monotonic()
        for process in self.processes:
            if process.running and process.running.poll() is not None:
                self._kill_group(process, signal.SIGKILL)
                process.running, process.died_at = None, now
            if process.running is None and now - process.died_at > RESTART_S:
                self._spawn(process)

    @staticmethod
    def _kill_group(process: Process, number: signal.Signals) -> None:
        if process.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.running.pid, number)

    def pid(self, name: str) -> int:
        """The process of this name, or 0 while it is away."""
        found = next(one for one in self.processes if one.name == name).running
        return found.pid if found and found.poll() is None else 0

    def children(self, name: str) -> list[int]:
        """The children of a process: of the worker those that do the work."""
        parent = self.pid(name)
        with contextlib.suppress(OSError):
            return [int(one) for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
        return []

    def kill(self, name: str) -> None:
        """kill -9 of one kind of process; `child` is one of the worker's."""
        pids = self.children("worker") if name == "child" else [self.pid(name)]
        if pids and all(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(pids), signal.SIGKILL)
                self.kills += 1

    def service(self, name: str) -> int:
        """The pid of postgres or valkey."""
        return int(json.loads((self.home / "run" / f"{name}.json").read_text())["pid"])

    def stop(self, *names: str) -> Callable[[], None]:
        """SIGSTOP processes with their children; what is returned lets them go on."""
        pids = [pid for name in names for pid in (self.pid(name), *self.children(name)) if pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

        def go_on() -> None:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        return go_on

    # Points and bugs

    def arm(self, *points: str, action: str = "kill") -> None:
        """The next process that comes by each of these points dies, or stops, there."""
        for point in points:
            fresh = self.place / f"{point}.new"
            fresh.write_text(action, "ascii")
            fresh.rename(self.place / "armed" / point)

    def armed(self) -> list[str]:
        """Points that nobody has come by yet."""
        return sorted(path.name for path in (self.place / "armed").iterdir())

    def disarm(self) -> None:
        """Arm nothing any more."""
        for path in (self.place / "armed").iterdir():
            path.unlink(missing_ok=True)

    def hits(self) -> list[tuple[str, str, int]]:
        """(point, action, pid) of what was reached so far."""
        try:
            rows = [line.split() for line in (self.place / "hits").read_text("ascii").splitlines()]
        except FileNotFoundError:
            return []
        return [(point, action, int(pid)) for point, action, pid in rows]

    def cut_power(self, *names: str) -> None:
        """Kill these processes, and take from the spool what was not synced, as if the machine had stopped."""
        for name in names:
            for pid in (self.pid(name), *self.children(name)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.kills += 1
        for name in names:
            if running := next(one for one in self.processes if one.name == name).running:
                running.wait()
        synced: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in (self.place / "synced").read_text().splitlines():
                size, _, path = line.partition(" ")
                synced[path] = max(synced.get(path, 0), int(size))
        for folder in ("127.0.0.1", "push"):
            for file in (self.spool / folder).rglob("*.log"):
                kept = synced.get(str(file), 0)
                if kept < file.stat().st_size:
                    os.truncate(file, kept)

    # What is sent

    def stream(self) -> Stream:
        """A client that has not been seen yet."""
        self.streams += 1
        self.known.append(Stream(self.streams, self.seed))
        return self.known[-1]

    def forget(self) -> None:
        """What a planted bug has spoilt is not looked at again."""
        self.known.clear()
        self.senders.clear()
        self.pushers.clear()
        self.airflow.forgive(self.ask("SELECT run_id, task_id FROM ingest_try"))

    def sender(self, device: str = "tcp") -> Sender:
        """A device that logs by TCP."""
        one = Sender(self.stream(), DEVICES[device])
        self.senders.append(one)
        return one

    def pusher(self) -> Pusher:
        """A Telemetry Streaming that pushes."""
        one = Pusher(self.stream())
        self.pushers.append(one)
        return one

    def send(self, sender: Sender, messages: list[bytes]) -> None:
        """Send by TCP, as far as that goes now; the rest waits for `deliver`."""
        sender.waits += messages
        receiver = self.pid("receive")
        if sender.connection and sender.receiver != receiver:
            self._broken(sender)
        try:
            if sender.connection is None:
                if not receiver:
                    return
                sender.connection = socket.create_connection(("127.0.0.1", self.syslog_port), 0.5, (sender.source, 0))
                sender.connection.settimeout(0.5)
                sender.receiver = receiver
                missing = self.undelivered(sender)
                sender.again += len(missing)
                sender.waits, sender.sent = (
                    missing + sender.waits,
                    [one for one in sender.sent if one not in set(missing)],
                )
            while sender.waits:
                one = sender.waits[0]
                sender.connection.sendall(one + b"\n")
                sender.sent.append(sender.waits.pop(0))
        except OSError:
            self._broken(sender)

    def _broken(self, sender: Sender) -> None:
        if sender.connection:
            sender.connection.close()
        sender.connection = None

    def undelivered(self, sender: Sender) -> list[bytes]:
        """What was sent and does not stand in the spool, whole and unaltered."""
        there = set(self.spool_messages(sender.source))
        return [one for one in sender.sent if one not in there]

    def spool_messages(self, folder: str) -> list[bytes]:
        """Every whole line of the request log below this folder, without its head."""
        out = []
        for file in sorted((self.spool / folder).glob("request*.log")):
            data = file.read_bytes()
            out += [
                line.split(b" ", 2)[2] for line in data[: data.rfind(b"\n") + 1].splitlines() if line.count(b" ") > 1
            ]
        return out

    def write(self, path: Path, stream: Stream, messages: list[bytes], device: str, torn_s: float = 0.0) -> None:
        """Write lines into a file as a receiver does, now and then in two pieces; with `torn_s` always, so far apart."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = spooled(messages, "10.0.0.1")
        self.handed[device] += len(messages)
        with path.open("ab", buffering=0) as file:
            middle = self.rng.randrange(len(data)) if data and (torn_s or self.rng.random() < 0.5) else 0
            file.write(data[:middle])
            if middle and (torn_s or self.rng.random() < 0.3):
                self.pause(torn_s or 0.3)
            file.write(data[middle:])

    def push(self, pusher: Pusher, body: bytes | None = None) -> None:
        """Push a body, and those that were not answered; now and then one of the answered once more."""
        if body is not None:
            pusher.waits.append(body)
        for one in list(pusher.waits):
            if not self.post(one):
                return
            pusher.waits.remove(one)
            pusher.answered.append(one)
            if self.rng.random() < 0.25:
                self.post(self.rng.choice(pusher.answered))

    def post(self, body: bytes) -> bool:
        """Whether the product says that it has this body."""
        address = f"http://127.0.0.1:{self.port}/ingest/telemetry/{PUSHED}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            with urlopen(Request(address, body, headers), timeout=3) as answer:
                return bool(answer.status == 200)
        except (HTTPError, URLError, OSError):
            return False

    def deliver(self) -> bool:
        """Get rid of what still waits; True when all is with the product."""
        for sender in self.senders:
            if sender.waits or sender.receiver != self.pid("receive"):
                if sender.receiver != self.pid("receive") and not sender.waits and not self.undelivered(sender):
                    continue
                self.send(sender, [])
        for pusher in self.pushers:
            self.push(pusher)
        return not any(one.waits or self.undelivered(one) for one in self.senders) and not any(
            p.waits for p in self.pushers
        )

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

    # Time

    def pause(self, seconds: float) -> None:
        """Let time pass, and tend."""
        end = time.monotonic() + seconds
        while True:
            self.tend()
            if time.monotonic() >= end:
                return
            time.sleep(0.1)

    def until(self, condition: Callable[[], Any], seconds: float, what: str) -> Any:
        """Wait for something; an error that says what did not come."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds:.0f} s: {what}")
            self.pause(0.2)
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
