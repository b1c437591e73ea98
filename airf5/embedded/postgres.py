"""The embedded PostgreSQL: made by initdb, on a port of 127.0.0.1 with a password, tuned for a small machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from airf5 import env
from airf5.embedded import place
from airf5.embedded.place import EmbeddedError
from airf5.embedded.process import Account, end, free_port, spawn

NAME = "postgres"
VARIABLE = "DATABASE_URL"
ROLE = DATABASE = "airf5"
START_S = 60.0  # crash recovery may take its time
STOPPING = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))  # a fast stop, then an immediate one
LOG_BYTES = 16 << 20

TUNING = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths are limited to 107 bytes, and a checkout may lie deep
    "max_connections": "60",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def start(wanted_port: int, durable: bool) -> tuple[subprocess.Popen[bytes], str, int]:
    """Start the server on its kept data, made first when there is none; its process, address and port."""
    user = place.account()
    programs = place.postgres_programs(user)
    version = place.postgres_version(programs, user)
    folder = place.postgres_folder(version, user)
    user = place.owner_of(folder / "data", user)
    password = env.kept_secret(place.home() / "database_password")
    if not (folder / "data").is_dir():
        _make_data(programs, version, folder, user, password, durable)
    _wait_for_the_last_one(folder / "data")
    port = free_port(wanted_port)
    address = f"postgresql://{ROLE}:{quote(password)}@127.0.0.1:{port}/{DATABASE}"
    process = _spawn(programs, folder, user, port, durable)
    try:
        _wait_until_ready(process, address, folder / "log")
    except BaseException:
        end(process, STOPPING)
        raise
    return process, address, port


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server and wait for it."""
    end(process, STOPPING)


def _make_data(programs: Path, version: int, folder: Path, user: Account | None, password: str, durable: bool) -> None:
    """Run initdb beside the final place, so that an interrupted one leaves nothing that looks like data."""
    fresh, password_file = folder / "data.new", folder / "password"
    place.run(["rm", "-rf", fresh], None)
    fresh.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    if user is not None:
        os.chown(fresh, *user)
        os.chown(password_file, *user)
    password_file.write_text(password, "ascii")
    locale = ["--locale=C.UTF-8"]
    if version >= 17:  # brings its own C.UTF-8; before, the C library must have it
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions", *locale]
    options += [] if durable else ["--no-sync"]
    files = [f"--username={ROLE}", f"--pwfile={password_file}", "-D", fresh]
    try:
        made = place.run([programs / "initdb", *options, *files], user, folder)
    finally:
        password_file.unlink()
    if made.returncode:
        raise EmbeddedError(f"PostgreSQL could not make its data in {folder}: {(made.stderr or made.stdout).strip()}")
    fresh.rename(folder / "data")


def _spawn(programs: Path, folder: Path, user: Account | None, port: int, durable: bool) -> subprocess.Popen[bytes]:
    log = folder / "log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(folder / "log.old")
    settings = TUNING if durable else TUNING | FORGETFUL
    if _is_small("/dev/shm"):  # containers often give it 64 MB, and a parallel join then fails
        settings = settings | {"dynamic_shared_memory_type": "mmap"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    argv = [programs / "postgres", "-D", folder / "data", "-p", str(port), *options]
    return spawn(argv, cwd=folder, log=log, dies_by=signal.SIGINT, user=user)


def _is_small(path: str) -> bool:
    try:
        room = os.statvfs(path)
    except OSError:
        return True
    return room.f_blocks * room.f_frsize < 256 << 20


def _wait_for_the_last_one(data: Path) -> None:
    """A server whose owner has gone is about to stop. Once nothing works in the data, its pid file means nothing."""
    until = time.monotonic() + START_S
    while pids := _working_in(data):
        if time.monotonic() > until:
            raise EmbeddedError(
                f"Another PostgreSQL (pid {', '.join(map(str, pids))}) still runs on {data}. Stop it first."
            )
        time.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)  # its pid may belong to anybody by now, and would stop the start


def _working_in(data: Path) -> list[int]:
    """Every process of a server has its data as working directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "cwd") == str(data.resolve()):
                    found.append(int(entry.name))
            except OSError:  # another user's, or gone
                continue
    return found


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + START_S
    maintenance = address.rpartition("/")[0] + "/postgres"
    while True:
        try:
            with psycopg.connect(maintenance, connect_timeout=2, autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                    connection.execute(f"CREATE DATABASE {DATABASE}")
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > until or "password" in str(error):
                raise EmbeddedError(
                    f"PostgreSQL did not start: {_last_lines(log) or error}\nIts log is {log}."
                ) from error
        time.sleep(0.05)


def _last_lines(log: Path) -> str:
    try:
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-4:])
    except OSError:
        return ""
