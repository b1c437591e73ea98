"""The embedded services: owned by one process, joined by others, gone with their owner, and their data kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from airf5.embedded import place
from airf5.embedded.process import free_port, started_at

pytestmark = [pytest.mark.own_services, pytest.mark.long]

ROOT = Path(__file__).resolve().parent.parent.parent
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

# Calls ensure() for each line it reads, and says what it found; ends, as a program does, with its input.
PROGRAM = """
import json, os, sys
from airf5 import embedded
for line in sys.stdin:
    if line.strip() == "fork":
        if not os.fork():
            sys.exit(0)  # runs what is registered for the exit, as a careless child does
        os.wait()
    try:
        found = embedded.ensure(broker=True, durable=False)
        answer = {"database": found.database_url, "broker": found.broker_url, "owner": found.owner}
        print(json.dumps(answer), flush=True)
    except embedded.EmbeddedError as error:
        print(json.dumps({"error": str(error)}), flush=True)
"""


class Process:
    """A process of airf5 with this home."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRF5_", "DATABASE_", "REDIS_"))}
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=environment | {"AIRF5_HOME": str(home)} | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ensure(self, order: str = "ensure") -> dict[str, Any]:
        assert self.popen.stdin and self.popen.stdout
        self.popen.stdin.write(f"{order}\n")
        self.popen.stdin.flush()
        found: dict[str, Any] = json.loads(self.popen.stdout.readline())
        return found

    def services(self) -> dict[str, int]:
        """The pids of the two servers."""
        states = {name: self.home / "run" / f"{name}.json" for name in ("postgres", "valkey")}
        return {name: json.loads(path.read_text())["pid"] for name, path in states.items()}

    def kill(self) -> None:
        self.popen.kill()
        self.end()

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self.popen.communicate(timeout=60)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home that other accounts can pass through, as root's must be; made once, for it takes a second."""
    with tempfile.TemporaryDirectory(prefix="airf5-embedded-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "home"


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in reversed(started):
        process.end()


def _start(processes: list[Process], home: Path, **variables: str) -> tuple[Process, dict[str, Any]]:
    process = Process(home, **variables)
    processes.append(process)
    return process, process.ensure()


def _all_gone(pids: list[int], seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while any(started_at(pid) for pid in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _family(pid: int) -> list[int]:
    """A server and its children."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text("utf-8", "replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def _remember(url: str, word: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [word])


def _words(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT word FROM kept")}


def test_a_killed_owner_leaves_no_process_and_loses_no_data(home: Path, processes: list[Process]) -> None:
    owner, found = _start(processes, home)
    assert found["owner"]
    _remember(found["database"], "before the kill")
    with redis.Redis.from_url(found["broker"]) as client:
        client.set("kept", "before the kill")
    pids = [pid for server in owner.services().values() for pid in _family(server)]
    assert len(pids) > 5
    owner.kill()
    assert _all_gone(pids)
    _, again = _start(processes, home)
    assert "before the kill" in _words(again["database"])
    with redis.Redis.from_url(again["broker"]) as client:
        assert client.get("kept") == b"before the kill"


def test_an_owner_that_ends_stops_its_services_and_the_next_keeps_the_port(
    home: Path, processes: list[Process]
) -> None:
    owner, found = _start(processes, home)
    pids = list(owner.services().values())
    owner.end()
    assert not any(started_at(pid) for pid in pids)
    assert not list((home / "run").glob("*.json"))
    _, again = _start(processes, home)
    assert again == found


def test_later_processes_join_and_leave_without_a_trace(home: Path, processes: list[Process]) -> None:
    owner, found = _start(processes, home)
    joiner, joined = _start(processes, home)
    assert joined == found | {"owner": False}
    joiner.end()
    assert owner.ensure() == found
    assert psycopg.connect(found["database"]).close() is None


def test_a_joiner_takes_over_from_an_owner_that_was_killed(home: Path, processes: list[Process]) -> None:
    owner, found = _start(processes, home)
    joiner, _ = _start(processes, home)
    _remember(found["database"], "handed over")
    owner.kill()
    taken = joiner.ensure()
    assert taken["owner"]
    assert taken["database"] == found["database"]  # the port too, so that what children were told stays true
    assert "handed over" in _words(taken["database"])


def test_many_processes_at_once_agree_on_one_owner(home: Path, processes: list[Process]) -> None:
    processes += [Process(home) for _ in range(4)]
    for process in processes:
        assert process.popen.stdin
        process.popen.stdin.write("ensure\n")
        process.popen.stdin.flush()
    answers = [json.loads(process.popen.stdout.readline()) for process in processes if process.popen.stdout]
    assert len({answer["database"] for answer in answers}) == len({answer["broker"] for answer in answers}) == 1
    assert 1 <= sum(answer["owner"] for answer in answers) <= 2  # each of the two services has one


def test_a_server_that_died_is_started_again(home: Path, processes: list[Process]) -> None:
    owner, _ = _start(processes, home)
    before = owner.services()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    assert _all_gone(list(before.values()))
    found = owner.ensure()
    assert not set(before.values()) & set(owner.services().values())
    assert psycopg.connect(found["database"]).close() is None


def test_a_forked_child_that_ends_stops_nothing(home: Path, processes: list[Process]) -> None:
    owner, _ = _start(processes, home)
    before = owner.services()
    owner.ensure("fork")
    assert owner.services() == before


def test_a_pid_file_that_names_somebody_else_does_not_stop_the_start(home: Path, processes: list[Process]) -> None:
    first, _ = _start(processes, home)
    data = next(home.glob("postgres-*")) / "data"
    written = (data / "postmaster.pid").read_text()
    first.end()
    user = place.account()
    with subprocess.Popen(["sleep", "60"], **({"user": user[0], "group": user[1]} if user else {})) as sleeper:
        (data / "postmaster.pid").write_text(re.sub(r"\A\d+", str(sleeper.pid), written))
        _, found = _start(processes, home)
        sleeper.kill()
    assert found.get("owner"), found


def test_a_port_that_was_taken_meanwhile_is_left_alone(home: Path, processes: list[Process]) -> None:
    import socket

    first, found = _start(processes, home)
    first.end()
    taken = psycopg.conninfo.conninfo_to_dict(found["database"])["port"]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(taken)))
        other.listen()
        assert free_port(int(taken)) != int(taken)
        _, again = _start(processes, home)
    assert psycopg.conninfo.conninfo_to_dict(again["database"])["port"] != taken


def test_passwords_are_asked_for_and_shown_nowhere(home: Path, processes: list[Process]) -> None:
    owner, found = _start(processes, home)
    secrets = [(home / name).read_text() for name in ("database_password", "broker_password")]
    for path in [*home.glob("*_password"), *(home / "run").glob("*.json"), home / "valkey" / "valkey.conf"]:
        assert path.stat().st_mode & 0o077 == 0, path
    for pid in owner.services().values():
        line = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(secret in line for secret in secrets)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(found["database"].replace(secrets[0], "guessed"))
    with (
        pytest.raises(redis.AuthenticationError),
        redis.Redis.from_url(re.sub(":[^:@]+@", "", found["broker"])) as client,
    ):
        client.ping()


def test_the_database_speaks_utf8_and_utc_and_listens_here_only(home: Path, processes: list[Process]) -> None:
    _, found = _start(processes, home)
    with psycopg.connect(found["database"]) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("server_encoding", "timezone", "listen_addresses", "unix_socket_directories")
        }
        upper = connection.execute("SELECT upper('é')").fetchone()
    assert [row[0] for row in shown.values() if row] == ["UTF8", "UTC", "127.0.0.1", ""]
    assert upper == ("É",)


def test_a_deep_home_is_no_trouble(processes: list[Process]) -> None:
    with tempfile.TemporaryDirectory(prefix="airf5-embedded-") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder).joinpath(*["a folder with a rather long name"] * 5, "home")
        assert len(str(home)) > 150
        process, found = _start(processes, home)
        assert found.get("owner"), found
        process.end()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account run PostgreSQL")
def test_root_keeps_the_data_elsewhere_when_the_home_is_closed_to_others(processes: list[Process]) -> None:
    with tempfile.TemporaryDirectory(prefix="airf5-embedded-") as folder:  # 0700
        home = Path(folder) / "home"
        before = set(place.shared_folder().glob("data/*"))
        process, found = _start(processes, home)
        assert found.get("owner"), found
        made = set(place.shared_folder().glob("data/*")) - before
        assert len(made) == 1
        process.end()
        shutil.rmtree(made.pop())


def test_addresses_in_the_environment_replace_the_embedded_services(tmp_path: Path, processes: list[Process]) -> None:
    given = {"DATABASE_URL": "postgresql://me@db.example.org/airf5", "REDIS_URL": "redis://cache.example.org/0"}
    _, found = _start(processes, tmp_path / "home", **given)
    assert found == {"database": given["DATABASE_URL"], "broker": given["REDIS_URL"], "owner": False}
    assert not (tmp_path / "home").exists()


def test_a_folder_without_postgresql_is_named(tmp_path: Path, processes: list[Process]) -> None:
    _, found = _start(processes, tmp_path / "home", AIRF5_PG_BINDIR=str(tmp_path))
    assert found["error"].startswith(f"There is no PostgreSQL in {tmp_path} that can be run")


def test_an_old_postgresql_is_refused(home: Path, processes: list[Process]) -> None:
    programs = home.parent / "old"
    programs.mkdir()
    programs.chmod(0o755)
    (programs / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.2'\n")
    (programs / "postgres").chmod(0o755)
    _, found = _start(processes, home, AIRF5_PG_BINDIR=str(programs))
    assert found == {"error": f"PostgreSQL in {programs} has version 14; 15 or newer is needed."}


@pytest.mark.skipif(not DEBIAN_15.is_dir(), reason="no PostgreSQL 15 of Debian here")
def test_a_postgresql_of_the_system_takes_the_place_of_ours(home: Path, processes: list[Process]) -> None:
    process, found = _start(processes, home, AIRF5_PG_BINDIR=str(DEBIAN_15))
    with psycopg.connect(found["database"]) as connection:
        assert connection.info.server_version // 10000 == 15
    process.end()
    _, ours = _start(processes, home)
    with psycopg.connect(ours["database"]) as connection:  # the data of each version is kept apart
        assert connection.info.server_version // 10000 >= 18
