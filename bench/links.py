"""The link statements: the windows of many tries against all requests, by the server's own clock (EXPLAIN ANALYZE)."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from airf5.sql import load
from bench.report import Figure
from ingest import partitions

SPAN_S = 86_000
REQUESTS_PER_TRY = 20
FILL = """
INSERT INTO ingest_request (line_id, ts, response_us, bytes, endpoint_id, f5_pool_id, member_id, client_id, path_id,
                            agent_id, status, outcome, link, method)
SELECT i, %s + i * interval '1 second' * %s / %s, 20000, 1000, 1 + i %% 20, 1 + i %% 20,
       4 * (i %% 20) + i / 20 %% 4 + 1, i %% 60, 1, 1,
       200, CASE WHEN i %% 50 = 7 THEN 3 ELSE 0 END, 0, 1
FROM generate_series(1, %s) AS i
"""


def measure(sizes: Sequence[int], rounds: int) -> list[Figure]:
    """Every size with its share of tries; the goals are about 2,000,000 requests and 100,000 tries."""
    figures: list[Figure] = []
    for size in sizes:
        start = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
        _fill(start, size)
        windows = _windows(start, size // REQUESTS_PER_TRY)
        count = _seconds("SELECT count(*) FROM ingest_request WHERE outcome > 0", {}, rounds)
        failed = _seconds(load("link_failed"), windows, rounds)
        every = _seconds(load("link_minutes"), windows, rounds)
        name = f"{size // 1000:,}k requests, {len(windows['windows']) // 1000:,}k tries"
        figures += [
            Figure(f"{name}: count the failed", count, "s"),
            Figure(f"{name}: link the failed", failed, "s"),
            Figure(f"{name}: link / count", failed / count, "", "<= 10"),
            Figure(f"{name}: link all", every, "s", "<= 3 at 2,000k"),
            Figure(f"{name}: link all, per million requests", every / size * 1e6, "s", "even over all sizes"),
        ]
    return figures


def _fill(start: datetime, size: int) -> None:
    partitions.make_coming(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE ingest_request")
        cursor.execute(FILL, [start, SPAN_S, size, size])
        cursor.execute("VACUUM ANALYZE ingest_request")


def _windows(start: datetime, number: int) -> dict[str, Any]:
    rng = random.Random(1)
    froms = [start + timedelta(seconds=rng.uniform(0, SPAN_S - 60)) for _ in range(number)]
    tos = [at + timedelta(seconds=rng.uniform(5, 35)) for at in froms]
    return {
        "windows": list(range(number)),
        "endpoints": [rng.randrange(1, 21) for _ in range(number)],
        "froms": froms,
        "tos": tos,
        "from": min(froms),
        "to": max(tos),
        "seconds": 20,
        "slices": 4,
    }


def _seconds(statement: str, parameters: dict[str, Any], rounds: int) -> float:
    times = []
    with connection.cursor() as cursor:
        for _ in range(rounds + 1):
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY) {statement}", parameters)
            text = cursor.fetchall()[-1][0]
            times.append(float(re.findall(r"[\d.]+", text)[0]) / 1000)
    return min(times)
