"""The embedded Valkey, Celery's broker: on a port of 127.0.0.1 with a password, every write in its log."""

from __future__ import annotations

import signal
import subprocess
import time
from urllib.parse import quote

import redis

from airf5 import env
from airf5.embedded import place
from airf5.embedded.place import EmbeddedError
from airf5.embedded.process import end, free_port, spawn

NAME = "valkey"
VARIABLE = "REDIS_URL"
START_S = 30.0
STOPPING = ((signal.SIGTERM, 10.0),)

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir ./
appendonly yes
appendfsync {fsync}
save ""
maxmemory-policy noeviction
logfile ""
"""


def start(wanted_port: int, durable: bool) -> tuple[subprocess.Popen[bytes], str, int]:
    """Start the server on its kept data; its process, address and port."""
    folder = place.home() / "valkey"
    folder.mkdir(mode=0o700, exist_ok=True)
    password = env.kept_secret(place.home() / "broker_password")
    port = free_port(wanted_port)
    settings = folder / "valkey.conf"  # a file, because everybody can read a command line
    settings.touch(mode=0o600)
    fsync = "everysec" if durable else "no"
    settings.write_text(CONFIGURATION.format(port=port, password=password, fsync=fsync), "ascii")
    log = folder / "log"
    log.unlink(missing_ok=True)
    process = spawn([place.valkey_program(), "valkey.conf"], cwd=folder, log=log, dies_by=signal.SIGTERM)
    address = f"redis://:{quote(password)}@127.0.0.1:{port}/0"
    try:
        _wait_until_ready(process, address)
    except BaseException:
        end(process, STOPPING)
        raise
    return process, address, port


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server and wait for it."""
    end(process, STOPPING)


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            with redis.Redis.from_url(address, socket_timeout=2) as client:
                client.ping()
            return
        except redis.RedisError as error:
            if process.poll() is not None or time.monotonic() > until:
                log = place.home() / "valkey" / "log"
                tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-4:])
                raise EmbeddedError(f"Valkey did not start: {tail or error}\nIts log is {log}.") from error
        time.sleep(0.02)
