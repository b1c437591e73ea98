"""The doctor on airf5 itself: settings, keys, database, broker, worker, beat, spool folder and receiver."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from airf5 import keyring
from ingest.doctor.findings import FAIL, OK, WARN, Finding
from ingest.models import Slot, SourceSecret
from ingest.sources import receiver_report

OLDEST_POSTGRES = 15
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
AWAKE = timedelta(seconds=30)  # the beat wakes every 2 s, so nothing for so long is no chance
LITTLE_DISK, SCARCE_DISK = 5 << 30, 500 << 20


def settings_fit(now: datetime) -> Iterator[Finding]:
    """Settings that are fit for others to reach it."""
    open_to_all = settings.AIRF5_BIND not in ("127.0.0.1", "localhost", "::1")
    if settings.DEBUG:
        yield Finding(
            FAIL, "AIRF5_DEBUG", "Error pages for developers are on: they show code and settings to whoever sees them.",
            "Unset AIRF5_DEBUG and start the web server again.",
        )  # fmt: skip
    if open_to_all and not settings.AIRF5_HTTPS:
        yield Finding(
            WARN, "AIRF5_HTTPS", f"The web server listens on {settings.AIRF5_BIND} without HTTPS: passwords can be read.",
            "Put a proxy that speaks HTTPS before it, bind it to 127.0.0.1, and set AIRF5_HTTPS=on.",
        )  # fmt: skip
    if "*" in settings.ALLOWED_HOSTS:
        yield Finding(
            WARN, "AIRF5_ALLOWED_HOSTS", "Any host name is answered to.", "Name the hosts that airf5 is reached by.",
        )  # fmt: skip
    home = Path(settings.AIRF5_HOME)
    for name in ("secret_key", "secret_keys"):
        file = home / name
        if file.exists() and file.stat().st_mode & 0o077:
            yield Finding(
                FAIL, str(file), "Others than its owner may read the file, which holds keys.", f"chmod 600 {file}",
            )  # fmt: skip
    if not settings.DEBUG:
        yield Finding(
            OK, "settings", f"airf5 is bound to {settings.AIRF5_BIND}:{settings.AIRF5_PORT}, without debug pages."
        )


def keys_open(now: datetime) -> Iterator[Finding]:
    """The keys of sealed secrets are there for all that is sealed."""
    try:
        ring = keyring.load()
    except keyring.KeyringError as error:
        yield Finding(FAIL, "keys", str(error), "Correct it, else no sealed password can be opened.")
        return
    used = set(SourceSecret.objects.values_list("key_id", flat=True))
    missing = sorted(used - {key.ident for key in ring})
    if missing:
        yield Finding(
            FAIL, "keys", f"Secrets are sealed with {', '.join(missing)}, which is not among the keys.",
            "Bring the key back (AIRF5_SECRET_KEYS, or secret_keys in AIRF5_HOME), or give those secrets again.",
        )  # fmt: skip
    elif used and ring and used != {ring[0].ident}:
        yield Finding(
            WARN, "keys", "Some secrets are still sealed with an older key.", "Run `manage.py secrets rotate` again."
        )
    else:
        count = SourceSecret.objects.count()
        yield Finding(
            OK, "keys", f"{count} sealed secrets, and the keys to open them." if count else "No secret is sealed."
        )


def database_keeps(now: datetime) -> Iterator[Finding]:
    """The database is new enough, migrated and keeps what it confirmed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('server_version')")
        number, version = cursor.fetchone()
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(DURABLE)])
        off = sorted(name for name, value in cursor.fetchall() if value == "off")
        cursor.execute("SELECT extract(epoch FROM clock_timestamp() - %s)", [now])
        away_s = float(cursor.fetchone()[0])
    if number < OLDEST_POSTGRES * 10_000:
        yield Finding(
            FAIL, "PostgreSQL", f"It has version {version}.", f"Version {OLDEST_POSTGRES} or newer is needed.",
        )  # fmt: skip
    else:
        yield Finding(OK, "PostgreSQL", f"It answers and has version {version}.")
    if off:
        yield Finding(
            FAIL, "PostgreSQL", f"{', '.join(off)} is off: a crash loses what was confirmed, or the whole database.",
            "Set it to on in postgresql.conf and reload.",
        )  # fmt: skip
    else:
        yield Finding(OK, "PostgreSQL", f"{', '.join(DURABLE)} are on: what it confirms survives a crash.")
    if abs(away_s) > 60:
        yield Finding(
            WARN, "PostgreSQL", f"Its clock is {away_s:+.0f} s from this machine's.", "Let both follow one time server."
        )
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        yield Finding(FAIL, "migrations", f"{len(missing)} are not applied.", "Run `manage.py migrate`.")
    else:
        yield Finding(OK, "migrations", "All are applied.")


def broker_answers(now: datetime) -> Iterator[Finding]:
    """The broker that carries the hints."""
    version = _broker_version()
    if version is None:
        yield Finding(
            FAIL, "broker", "Redis or Valkey does not answer: workers are not woken, so nothing is read.",
            "Start it, or correct REDIS_URL and its password. No data is in it.",
        )  # fmt: skip
    else:
        yield Finding(OK, "broker", f"It answers (version {version}). Only hints are in it, no data.")


def _broker_version() -> str | None:
    """The broker's version, None where it does not answer; what the driver says may name the password."""
    try:
        with redis.Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=3, socket_connect_timeout=3) as client:
            return str(client.info("server").get("redis_version", "unknown"))
    except (redis.RedisError, ValueError):
        return None


def _workers() -> list[str]:
    """The workers that answer within 1.5 s."""
    from airf5.celery import app

    if _broker_version() is None:  # else it would be tried for many seconds
        return []
    try:
        return sorted(name for told in app.control.ping(timeout=1.5) for name in told)
    except Exception:  # kombu's and redis' errors have no common base, and the broker's own finding says why
        return []


def workers_work(now: datetime) -> Iterator[Finding]:
    """Workers answer, and the beat wakes them: its last turn is a row in the database."""
    names = _workers()
    last = Slot.objects.filter(job="wake").order_by("-start").values_list("start", flat=True).first()
    awake = last is not None and now - last < AWAKE
    if names:
        yield Finding(OK, "worker", f"{', '.join(names)} {'answers' if len(names) == 1 else 'answer'}.")
    elif awake:
        yield Finding(OK, "worker", "None answers within 1.5 s, but one did its work just now: they are busy.")
    else:
        yield Finding(
            FAIL, "worker", "No worker answers: nothing is read and nothing is judged.",
            "Start one: `celery -A airf5 worker`. With docker compose: `docker compose up -d worker`.",
        )  # fmt: skip
    if awake:
        yield Finding(OK, "beat", f"Workers were woken {max(0.0, (now - last).total_seconds()):.0f} s ago.")
    else:
        since = f"for {int((now - last).total_seconds() // 60)} min" if last else "never yet"
        yield Finding(
            FAIL, "beat", f"Workers were not woken {since}: the beat does not run, or no worker listens to it.",
            "Start one: `celery -A airf5 beat`. With docker compose: `docker compose up -d beat`.",
        )  # fmt: skip


def spool_takes(now: datetime) -> Iterator[Finding]:
    """The folder that the receiver writes to and workers read from."""
    folder = Path(settings.AIRF5_SPOOL_DIR)
    if not folder.is_dir():
        yield Finding(
            WARN, "spool", f"{folder} is not there yet.", "The receiver makes it: start it with `manage.py receive`.",
        )  # fmt: skip
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"airf5")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield Finding(
            FAIL, "spool", f"{folder} cannot be written: {error.strerror}.", "Give airf5's user the right to, or free the disk.",
        )  # fmt: skip
        return
    free = shutil.disk_usage(folder).free
    level = FAIL if free < SCARCE_DISK else WARN if free < LITTLE_DISK else OK
    todo = "" if level == OK else "Free the disk: when it is full, devices are held back and UDP lines are lost."
    yield Finding(level, "spool", f"{folder} takes lines; {free / 2**30:.1f} GB of its disk are free.", todo)


def receiver_listens(now: datetime) -> Iterator[Finding]:
    """The receiver reports beside the spool, and takes connections where it can be reached from here."""
    root = Path(settings.AIRF5_SPOOL_DIR)
    beat = receiver_report.read([str(root / "any" / "x")])
    taken = _takes_connections()
    start = "Start it: `manage.py receive`. With docker compose: `docker compose up -d receiver`."
    if beat is not None and not beat.is_away(now):
        yield Finding(OK, "receiver", f"It reported {max(0.0, (now - beat.at).total_seconds()):.0f} s ago.")
    elif taken:
        yield Finding(
            WARN, "receiver", "Something takes connections on its port, but it does not report: is it another program?",
            "Only for rsyslog and the like in its place this is as it should be.",
        )  # fmt: skip
    elif beat is not None:
        yield Finding(FAIL, "receiver", f"It has not reported since {beat.at:%Y-%m-%d %H:%M:%S} UTC.", start)
    else:
        yield Finding(FAIL, "receiver", "None has ever reported beside the spool: what devices send is lost.", start)
    if taken:
        yield Finding(OK, "receiver", f"Port {settings.AIRF5_SYSLOG_PORT} takes connections.")
    if settings.AIRF5_SYSLOG_BIND in ("127.0.0.1", "localhost", "::1"):
        yield Finding(
            WARN, "receiver", "It is told to listen on this machine alone, so no other device can send to it.",
            "Set AIRF5_SYSLOG_BIND to the address the devices send to, unless a relay runs here.",
        )  # fmt: skip


def _takes_connections() -> bool:
    bind = settings.AIRF5_SYSLOG_BIND
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(bind, bind)
    try:
        socket.create_connection((host, settings.AIRF5_SYSLOG_PORT), 1).close()
    except OSError:
        return False
    return True
