"""The recorded incident once through everything that runs: sender, receiver, spool, beat, broker, worker, database, pages.

A demo of its own is told that a lap began 13 minutes ago, so that all of it is due at once. While it works, the
receiver, the worker and PostgreSQL are killed once each; all must go on by itself, and the result must be exact.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg
import pytest

from airf5.demo import laps, recording, sender
from ingest.capture import shift

pytestmark = [pytest.mark.own_services, pytest.mark.live, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("airf5", "ingest", "dashboards", "templates", "static", "captures", "manage.py")
AGO = timedelta(minutes=13)
START_S, DONE_S, STOP_S = 150, 150, 60
KEY = ("dag_id", "run_id", "task_id", "map_index", "try_number")
TOLD = re.compile(rb'ts="(\d+\.\d+)".*client_ip="([^"]*)",client_port="(\d*)"')
Row = dict[str, Any]


@dataclass(eq=False)
class Demo:
    """One running demo, in a home and with ports of its own."""

    home: Path
    port: int
    syslog_port: int
    lap: datetime
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def root(self) -> Path:
        """A copy of the project, for a demo collects static files into it."""
        return self.home / "project"

    @property
    def piece(self) -> laps.Piece:
        return next(one for one in laps.pieces(self.state, self.lap, self.lap) if one.part == "lap")

    @property
    def state(self) -> laps.State:
        return laps.State(self.lap, (self.lap,))

    @property
    def environment(self) -> dict[str, str]:
        ours = ("AIRF5_", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(ours) or name == "AIRF5_PG_BINDIR"
        }
        ports = {"AIRF5_PORT": str(self.port), "AIRF5_SYSLOG_PORT": str(self.syslog_port)}
        return {**kept, **ports, "AIRF5_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def begin(self) -> None:
        """Write what an earlier run would have left, and start."""
        for name in PROJECT:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, self.root / name)
        (self.home / "demo").mkdir()
        told = {"epoch": self.lap.isoformat(), "laps": [self.lap.isoformat()]}
        (self.home / "demo" / "laps.json").write_text(json.dumps(told))
        sender.write_place(self.home, self.lap - timedelta(seconds=1))
        spool = self.home / "spool" / "127.0.0.1"
        spool.mkdir(parents=True)
        (spool / "request-earlier.log").write_bytes(b"".join(earlier(self)))
        with (self.home / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", "--no-replay"],
                cwd=self.root, env=self.environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def end(self) -> None:
        """As Ctrl-C or a service manager would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_S)

    def manage(self, *words: str) -> list[Row]:
        """A command of ours beside the demo, which joins its services; the JSON lines that it prints."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database itself; nothing while it is away."""
        try:
            url = json.loads((self.home / "run" / "postgres.json").read_text())["url"]
            with psycopg.connect(url, connect_timeout=2) as connection:
                return connection.execute(statement.encode(), values or None).fetchall()
        except (OSError, ValueError, psycopg.Error):
            return []

    def status(self, path: str) -> int:
        """What a page answers; 0 when nobody does."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0

    def pid_of(self, *words: str) -> int:
        """The child of the demo with these words in its command."""
        for pid in processes_of(self.home):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == self.process.pid and set(words) <= set(command):
                return pid
        return 0

    def spooled(self) -> list[bytes]:
        """The messages in the spool, as the receiver wrote them."""
        files = sorted((self.home / "spool" / "127.0.0.1").glob("*.log"))
        return [line.split(b" ", 2)[2] for path in files for line in path.read_bytes().splitlines()]

    def last_words(self) -> str:
        """What its processes said, for a test that fails."""
        logs = [self.home / "output", *sorted((self.home / "demo" / "logs").glob("*.log"))]
        return "\n".join(f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-1500:]}" for log in logs if log.exists())


def processes_of(home: Path) -> list[int]:
    """Every process that works in this home or was started for it."""
    mark, found = f"AIRF5_HOME={home}".encode(), []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (
                Path(os.readlink(entry / "cwd")).is_relative_to(home)
                or mark in (entry / "environ").read_bytes().split(b"\0")
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float, what: str, demo: Demo, every: float = 0.25) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        assert demo.process.poll() is None, f"the demo ended\n{demo.last_words()}"
        time.sleep(every)
    pytest.fail(f"not within {seconds} s: {what}\n{demo.last_words()}")


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """A demo through which the lap went while its parts were killed."""
    home = Path(tempfile.mkdtemp(prefix="airf5-live-"))
    home.chmod(0o711)  # PostgreSQL runs as another account when we are root
    (home / "project").mkdir()
    one = Demo(home, free_port(), free_port(), datetime.now(UTC).replace(microsecond=0) - AGO)
    one.begin()
    try:
        kill_each_once(one)
        until(lambda: is_done(one), DONE_S, "the whole lap is stored and judged", one, every=1.0)
        yield one
    finally:
        if one.process.poll() is None:
            one.end()
        shutil.rmtree(home, ignore_errors=True)


def kill_each_once(demo: Demo) -> None:
    """The receiver with its first lines in hand, the worker over its first batch, PostgreSQL soon after."""
    spool = demo.home / "spool" / "127.0.0.1"
    receiver = until(lambda: demo.pid_of("receive"), START_S, "the receiver runs", demo)
    until(lambda: len(list(spool.iterdir())) > 1, START_S, "the first lines arrive", demo, every=0.001)
    os.kill(receiver, signal.SIGKILL)
    worker = until(lambda: demo.pid_of("celery", "worker"), START_S, "the worker runs", demo)
    leased = "SELECT 1 FROM ingest_feed WHERE kind = 'f5_request' AND lease_until IS NOT NULL"
    until(lambda: demo.ask(leased), START_S, "the worker reads the request log", demo, every=0.02)
    os.kill(worker, signal.SIGKILL)
    until(lambda: demo.ask("SELECT 1 FROM ingest_try LIMIT 1"), START_S, "the first tries are stored", demo, every=0.1)
    os.kill(json.loads((demo.home / "run" / "postgres.json").read_text())["pid"], signal.SIGKILL)


def is_done(demo: Demo) -> bool:
    """As many requests as were sent, and a final verdict for each try of the truth."""
    counted = demo.ask(
        "SELECT (SELECT count(*) FROM ingest_request WHERE ts < %s), (SELECT count(*) FROM ingest_verdict v"
        " JOIN ingest_try t ON t.id = v.try_row_id WHERE v.status = 'final' AND t.end_at < %s)",
        demo.lap + laps.LAP_LENGTH, demo.lap + laps.LAP_LENGTH,
    )  # fmt: skip
    return bool(counted) and counted[0][0] >= len(sent_requests(demo)) and counted[0][1] >= len(truth(demo))


@cache
def recorded() -> recording.Recording:
    return recording.load(ROOT / "captures" / "lab1")


def earlier(demo: Demo) -> list[bytes]:
    """Two spool lines of before the lap: without them nobody could say that the feed was complete by then."""
    began = demo.lap - timedelta(minutes=1)
    part, piece = "orders_sync", laps.Piece(0, "orders_sync", began, began - dict(laps.QUIET_RUNS)["orders_sync"])
    told = recording.lines_between(recorded().parts[part], piece, began - AGO, began + AGO)[:2]
    return [b"%s 127.0.0.1 %s\n" % (at.isoformat().encode(), message) for at, _, message in told]


@cache
def sent(demo: Demo) -> list[bytes]:
    """The messages of the lap, and those of before."""
    part = recorded().parts["lap"]
    long_ago, at_last = demo.lap - timedelta(days=1), demo.lap + timedelta(days=1)
    before = [line.rstrip().split(b" ", 2)[2] for line in earlier(demo)]
    return before + [message for _, _, message in recording.lines_between(part, demo.piece, long_ago, at_last)]


@cache
def sent_requests(demo: Demo) -> Counter[tuple[float, str]]:
    """Each request that the lap's lines tell of; both lines of a request have its time."""
    found = {match.groups() for message in sent(demo) if (match := TOLD.search(message))}
    return Counter((float(at), ip.decode()) for at, ip, _ in found)


@cache
def truth(demo: Demo) -> dict[tuple[Any, ...], Row]:
    """What really happened, of the runs that began in the lap, in this lap's times and identifiers."""
    folder = ROOT / "captures" / "lab1"
    text = (folder / "truth.json").read_text()
    runs = json.loads((folder / "airflow" / "dagRuns.json").read_text())
    later = {
        (run["dag_id"], run["dag_run_id"])
        for run in runs
        if datetime.fromisoformat(run["queued_at"]) >= laps.LAP_BEGINS
    }
    mine = [row for row in json.loads(text)["tries"] if (row["dag_id"], row["run_id"]) in later]
    told = json.loads(shift(json.dumps(mine), demo.piece.delta, demo.piece.number))
    return {tuple(row[name] for name in KEY): row for row in told}


@cache
def said(demo: Demo) -> dict[tuple[Any, ...], Row]:
    rows = demo.manage("verdicts", "--airflow", "demo-airflow")
    return {tuple(row[name] for name in KEY): row for row in rows}


def test_every_line_is_in_the_spool_once(demo: Demo) -> None:
    there = Counter(demo.spooled())
    assert Counter(sent(demo)) - there == Counter()
    assert max(there.values()) == 1


def test_every_request_is_stored_once(demo: Demo) -> None:
    rows = demo.ask(
        "SELECT ts, address FROM ingest_request JOIN ingest_client c ON c.id = client_id WHERE ts < %s",
        demo.lap + laps.LAP_LENGTH,
    )
    assert Counter((round(at.timestamp(), 6), address) for at, address in rows) == sent_requests(demo)


def test_the_batches_add_up_to_what_was_received(demo: Demo) -> None:
    read, rows, halves, repeated, rejected, feeds = demo.ask(
        "SELECT sum(read), sum(rows), sum(halves), sum(repeated), sum(rejected), count(DISTINCT feed_id)"
        " FROM ingest_batch b JOIN ingest_feed f ON f.id = b.feed_id WHERE f.kind IN ('f5_request', 'f5_ltm', 'f5_audit')"
    )[0]
    assert feeds >= 2 and (repeated, rejected) == (0, 0)
    assert read == rows + halves and read >= len(sent(demo))
    files = sum(path.read_bytes().count(b"\n") for path in (demo.home / "spool" / "127.0.0.1").glob("*.log"))
    assert files - 300 < read <= files  # the healthy runs go on while we look


def test_every_try_is_judged_as_the_truth_says(demo: Demo) -> None:
    real, found = truth(demo), said(demo)
    mine = {key: found.get(key, {}) for key in real}
    words = ("culprit", "cause")
    assert {k: [v.get(w) for w in words] for k, v in mine.items()} == {
        k: [v[w] for w in words] for k, v in real.items()
    }
    assert {row["status"] for row in mine.values()} == {"final"} and not any(
        row["waiting_for"] for row in mine.values()
    )
    assert set(found) == set(real)


def test_each_fault_is_one_incident(demo: Demo) -> None:
    found = said(demo)
    blamed = {key: row["fault"] for key, row in truth(demo).items() if row["culprit"] in ("route", "service")}
    pairs = {(fault, found[key]["incident"]) for key, fault in blamed.items()}
    assert len(pairs) == len(set(blamed.values())) == len({incident for _, incident in pairs})
    incidents = demo.manage("incidents")
    hit_nobody = [one for one in incidents if not one["tries"]]
    assert len(incidents) == len(pairs) + len(hit_nobody) and [one["cause"] for one in hit_nobody] == ["member_down"]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/login/"])
def test_its_pages_answer(demo: Demo, path: str) -> None:
    until(lambda: demo.status(path) == 200, 20, f"{path} answers 200", demo)


def test_what_was_killed_was_started_again(demo: Demo) -> None:
    output = (demo.home / "output").read_text()
    for name in ("worker", "receive"):
        assert output.count(f"{name} ended (signal SIGKILL)") == 1
    assert " ended (exit code" not in output


def test_nothing_of_it_outlives_it(demo: Demo) -> None:
    assert len(processes_of(demo.home)) > 8
    demo.end()
    assert demo.process.returncode == 0
    assert processes_of(demo.home) == []
