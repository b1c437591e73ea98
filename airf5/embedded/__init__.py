"""The embedded PostgreSQL and Valkey. The first process that needs one holds a lock and runs it as a child that dies
with it; later ones join. Once the owner has gone, the next `ensure()` of any of them becomes the owner, on the same
port where possible. DATABASE_URL and REDIS_URL replace them. Nothing is started by an import.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from airf5 import env
from airf5.embedded import place
from airf5.embedded.place import EmbeddedError
from airf5.embedded.process import read_state, started_at, take_lock, write_state

__all__ = ["EmbeddedError", "Services", "ensure", "environment", "migrate_if_needed", "recorded", "stop"]

Start = Callable[[int, bool], tuple[subprocess.Popen[bytes], str, int]]  # wanted port and durable; where it runs
JOIN_S = 90.0
MIGRATION_LOCK = 0x61697266  # "airf"


@dataclass(frozen=True, slots=True)
class Services:
    """Where the services are. Owner: this process runs at least one of them, and it ends with this process."""

    database_url: str = ""
    broker_url: str = ""
    owner: bool = False


@dataclass(slots=True)
class _Owned:
    module: ModuleType
    lock: int
    pid: int  # ours: a forked child inherits this memory and owns nothing
    process: subprocess.Popen[bytes]
    url: str


_owned: dict[str, _Owned] = {}


def ensure(database: bool = True, broker: bool = False, durable: bool = True) -> Services:
    """Start or join what is asked for, and tell Django where it is. Cheap when all is well.

    Call it from the main thread, for the services end with the thread that started them. durable=False is for tests:
    a crash of the machine may lose data, and everything is faster.
    """
    from airf5.embedded import postgres, valkey

    found = {module: _get(module, durable) for module, asked in ((postgres, database), (valkey, broker)) if asked}
    database_url, broker_url = found.get(postgres, ""), found.get(valkey, "")
    _tell_django(database_url, broker_url)
    return Services(database_url, broker_url, any(owned.pid == os.getpid() for owned in _owned.values()))


def stop() -> None:
    """Stop what this process owns; what it has joined goes on."""
    for name, owned in list(_owned.items()):
        del _owned[name]
        if owned.pid == os.getpid():
            _state_file(name).unlink(missing_ok=True)
            owned.module.stop(owned.process)
            os.close(owned.lock)


def environment() -> dict[str, str]:
    """What a child process needs to find the services that ensure() has found, without looking after them."""
    known = {
        "AIRF5_HOME": str(place.home()),
        "DATABASE_URL": env.text("DATABASE_URL") or recorded("postgres"),
        "REDIS_URL": env.text("REDIS_URL") or recorded("valkey"),
    }
    if not (env.text("AIRF5_SECRET_KEY") or env.text("AIRF5_SECRET_KEY_FILE")):
        env.kept_secret(place.home() / "secret_key")
        known["AIRF5_SECRET_KEY_FILE"] = str(place.home() / "secret_key")
    return {name: value for name, value in known.items() if value}


def recorded(name: str) -> str:
    """The address of "postgres" or "valkey" as its owner wrote it down; it may have gone since."""
    return str(read_state(_state_file(name)).get("url", ""))


def migrate_if_needed() -> bool:
    """Run the migrations that are missing, one process at a time; whether there were any. Django must be set up."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    def missing() -> bool:
        executor = MigrationExecutor(connection)
        return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))

    if not missing():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            if missing():
                call_command("migrate", verbosity=0, interactive=False)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
    return True


def _get(module: ModuleType, durable: bool) -> str:
    """The address of one service: given, ours, joined, or started now."""
    if given := env.text(str(module.VARIABLE)):
        return given
    place.make_home()
    until = time.monotonic() + JOIN_S
    while True:
        owned = _owned.get(module.NAME)
        if owned and owned.pid == os.getpid():
            running = owned.process.poll() is None
            return owned.url if running else _start(module, owned.lock, durable)
        lock = take_lock(place.home() / "run" / f"{module.NAME}.lock")
        if lock is not None:
            return _start(module, lock, durable)
        state = read_state(_state_file(module.NAME))
        if state and started_at(state["pid"]) == state["started_at"]:
            return str(state["url"])
        if time.monotonic() > until:
            raise EmbeddedError(
                f"Another airf5 process runs the {module.NAME} of {place.home()}, but it does not get ready."
            )
        time.sleep(0.05)


def _start(module: ModuleType, lock: int, durable: bool) -> str:
    """Start the service under the lock and write down where it is."""
    file = _state_file(module.NAME)
    port_file = file.with_suffix(".port")
    start: Start = module.start
    try:
        process, url, port = start(_number_in(port_file), durable)
    except BaseException:
        _owned.pop(module.NAME, None)
        os.close(lock)
        raise
    write_state(port_file, {"port": port})
    write_state(file, {"url": url, "pid": process.pid, "started_at": started_at(process.pid), "owner": os.getpid()})
    _owned[module.NAME] = _Owned(module, lock, os.getpid(), process, url)
    return url


def _number_in(port_file: Path) -> int:
    return int(read_state(port_file).get("port", 0))


def _state_file(name: str) -> Path:
    return place.home() / "run" / f"{name}.json"


def _tell_django(database_url: str, broker_url: str) -> None:
    """Django may have read its settings before the services were there."""
    from django.conf import settings

    if not settings.configured:
        return
    if broker_url and not env.text("REDIS_URL"):
        settings.CELERY_BROKER_URL = broker_url
    known = settings.DATABASES["default"]
    found = env.database(database_url) if database_url and not env.text("DATABASE_URL") else {}
    where = {key: found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT") if key in found}
    if any(known.get(key) != value for key, value in where.items()):
        from django.db import connections

        known.update(where)  # the same dict that connections hold
        connections.close_all()


atexit.register(stop)
