"""From a spool file to committed rows, as a ratio to the bare COPY of the same rows into the same tables."""

from __future__ import annotations

import gc
import io
import math
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from bench import lines
from bench.report import Figure, fastest
from ingest import leases, models, partitions, pipeline
from ingest.store import names
from ingest.store.request_rows import DETAIL_COLUMNS, REQUEST_COLUMNS

# What is made beside them, and is new to the worker in each round.
FOLLOWS = (
    *("ingest_requesthalf", "ingest_requestminute", "ingest_trykey", "ingest_trace", "ingest_path", "ingest_batch"),
    *("ingest_reject", "ingest_spoolfile", "ingest_gap"),
)
TABLES = {"ingest_request": REQUEST_COLUMNS, "ingest_request_detail": DETAIL_COLUMNS}
BLOCK = 1 << 20


class Measured(NamedTuple):
    """One file read by a worker, and the same rows copied: seconds, and the sizes of the request table."""

    seconds: float
    bare: float
    rows: int
    heap: int
    total: int


def measure(folder: Path, count: int, rounds: int) -> list[Figure]:
    """Pairs first, then responses alone."""
    return [
        *_measure(folder, count, rounds, response_only=False),
        *_measure(folder, count, rounds, response_only=True),
    ]


def _measure(folder: Path, count: int, rounds: int, response_only: bool) -> list[Figure]:
    what, goal = ("responses alone", ">= 0.5") if response_only else ("pairs", ">= 0.45")
    path = folder / f"{what}.log"
    written = lines.spool(path, count, start_us=yesterday_us(), response_only=response_only)
    found = measured(feed_of(what, path, logs_requests=not response_only), written, rounds)
    path.unlink()
    return [
        Figure(f"{what}: file to rows", found.seconds, "s"),
        Figure(f"{what}: requests", found.rows / found.seconds, "rows/s"),
        Figure(f"{what}: lines", written / found.seconds, "lines/s"),
        Figure(f"{what}: bare COPY of the same rows", found.bare, "s"),
        Figure(f"{what}: bare COPY / file to rows", found.bare / found.seconds, "", goal),
        Figure(f"{what}: request table", found.heap / found.rows, "B/row", "<= 100"),
        Figure(f"{what}: request table and its indexes", found.total / found.rows, "B/row"),
    ]


def yesterday_us() -> int:
    """Where the made-up day begins, in microseconds since 1970; its partitions are there."""
    partitions.make_coming(timezone.now())
    day = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return int(day.timestamp()) * 1_000_000


def measured(feed: models.Feed, written: int, rounds: int) -> Measured:
    """The fastest of some rounds over this feed's file of so many lines."""
    seconds = min(_ingest(feed, written) for _ in range(rounds))
    sizes = _sizes()
    return Measured(seconds, _bare_copy(rounds), *sizes)


def feed_of(name: str, path: Path, *, logs_requests: bool, templates: Sequence[str] = ()) -> models.Feed:
    """A request log of a device and group of its own, read from this file."""
    group, _ = models.DeviceGroup.objects.get_or_create(name=f"bench: {name}")
    defaults = {"group": group, "logs_requests": logs_requests}
    device, _ = models.Device.objects.get_or_create(name=name, defaults=defaults)
    config = {"glob": [str(path)], **({"template": list(templates)} if templates else {})}
    known = {"kind": models.Feed.Kind.F5_REQUEST, "device": device, "config": config}
    return models.Feed.objects.update_or_create(name=name, defaults=known)[0]


def empty() -> None:
    """Nothing is stored, and this process knows no names: the next round begins as the first one."""
    with connection.cursor() as cursor:
        for table in (*TABLES, *FOLLOWS):
            cursor.execute(f"TRUNCATE {table} CASCADE")
    names.forget()
    gc.collect()


def _ingest(feed: models.Feed, lines_there: int) -> float:
    """Seconds of a worker's whole turn on a file it has never seen: reading, rows, rejects, batches and the cursor."""
    empty()
    feed.refresh_from_db()
    epoch = leases.take(feed.pk, "bench")
    assert epoch is not None
    began = time.perf_counter()
    read = pipeline.read_spool(feed, epoch, math.inf, final=True)
    seconds = time.perf_counter() - began
    leases.release(feed.pk, epoch)
    assert read == lines_there
    return seconds


def _sizes() -> tuple[int, int, int]:
    """Rows, bytes of the heap, and bytes with the indexes of the request table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM ingest_request), sum(pg_relation_size(inhrelid)),"
            " sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'ingest_request'::regclass"
        )
        rows, heap, total = cursor.fetchone()
    return rows, int(heap), int(total)


def _bare_copy(rounds: int) -> float:
    """Seconds to COPY what the tables hold, from memory, in one transaction."""
    with connection.cursor() as cursor:
        saved = {}
        for table, columns in TABLES.items():
            out = io.BytesIO()
            with cursor.copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT") as copy:
                for block in copy:
                    out.write(block)
            saved[table] = out.getvalue()
        connection.cursor().execute("SELECT 1")
        seconds = []
        for _ in range(rounds):
            empty()
            seconds.append(fastest(1, lambda: _copy_in(saved)))
    return min(seconds)


def _copy_in(saved: dict[str, bytes]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for table, columns in TABLES.items():
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for start in range(0, len(saved[table]), BLOCK):
                    copy.write(saved[table][start : start + BLOCK])
