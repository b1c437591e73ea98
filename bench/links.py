"""The statements that join requests with tries, as the product asks them, by the server's own clock (EXPLAIN ANALYZE)."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from airf5.sql import load
from bench.report import Figure, fastest
from ingest import partitions
from ingest.correlate import around
from ingest.correlate.load import AFTER_END, BEFORE_END

SPAN_S = 86_000
REQUESTS_PER_TRY = 20
FILL = """
INSERT INTO ingest_request (line_id, ts, response_us, bytes, endpoint_id, f5_pool_id, member_id, client_id, path_id,
                            agent_id, status, outcome, link, method, try_key_id)
SELECT i, %(start)s + i * interval '1 second' * %(span)s / %(size)s, 20000, 1000, 1 + i %% 20, 1 + i %% 20,
       4 * (i %% 20) + i / 20 %% 4 + 1, 1 + i %% 60, 1, 1, 200, CASE WHEN i %% 50 = 7 THEN 3 ELSE 0 END,
       CASE WHEN i %% 2 = 0 THEN 1 ELSE 0 END, 1, CASE WHEN i %% 2 = 0 THEN 1 + i / %(calls)s END
FROM generate_series(1, %(size)s) AS i
"""
EMPTY = "TRUNCATE ingest_devicegroup, ingest_airflow, ingest_client, ingest_path CASCADE"
NAMES = """
INSERT INTO ingest_devicegroup (id, name) VALUES (1, 'links');
INSERT INTO ingest_endpoint (id, group_id, name, address, hosts, execution_api, sees_http, logs_requests)
SELECT i, 1, 'vs_' || i, '', '[]', false, true, true FROM generate_series(1, 20) AS i;
INSERT INTO ingest_f5pool (id, group_id, name, monitor) SELECT i, 1, 'pool_' || i, '' FROM generate_series(1, 20) AS i;
INSERT INTO ingest_member (id, f5_pool_id, name, address, state, session)
SELECT i, 1 + (i - 1) / 4, 'member_' || i, '', '', '' FROM generate_series(1, 80) AS i;
INSERT INTO ingest_client (id, address) SELECT i, '10.20.0.' || i FROM generate_series(1, 60) AS i;
INSERT INTO ingest_path (id, template) VALUES (1, '/orders/{id}');
INSERT INTO ingest_airflow (id, name, version, api, url, workers, health) VALUES (1, 'links', '', 'v2', '', '{}', '{}');
"""
DETAILS = """
INSERT INTO ingest_request_detail (line_id, ts, endpoint_id, uri, host, correlation_id, trace_id, task, raw)
SELECT line_id, ts, endpoint_id, '/orders/' || line_id, '', '', '', '', repeat('x', 600) FROM ingest_request WHERE outcome > 0
"""
TRIES = """
INSERT INTO ingest_try (id, airflow_id, dag_id, run_id, task_id, map_index, try_number, ti_id_from, state, hostname,
                        airflow_pool, queue, operator, conn_id, path, log_state, history_wanted, judge, seen_at)
SELECT i, 1, 'dag', 'run_' || i, 'task', -1, 1, '', 'failed', '', '', '', '', '', '', '', false, false, %(start)s
FROM generate_series(1, %(tries)s) AS i;
INSERT INTO ingest_trykey (id, key, try_row_id) SELECT i, 'key ' || i, i FROM generate_series(1, %(tries)s) AS i;
"""
BATCH = 500


def measure(sizes: Sequence[int], rounds: int) -> list[Figure]:
    """Every size with its share of tries; the goals are about 2,000,000 requests and 100,000 tries."""
    figures: list[Figure] = []
    partitions.make_coming(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)
        cursor.execute(NAMES)
    for size in sizes:
        start = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
        _fill(start, size)
        figures += _figures(start, size, rounds)
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)  # the numbers of these names are no sequence's
    return figures


def _figures(start: datetime, size: int, rounds: int) -> list[Figure]:
    tries = size // REQUESTS_PER_TRY
    windows = _windows(start, tries)
    merging = fastest(rounds, lambda: around.merged(windows))
    asked = _parameters(around.merged(windows))
    count = _seconds("SELECT count(*) FROM ingest_request WHERE outcome > 0", {}, rounds)
    failed = _seconds(load("failed_in_windows"), asked, rounds)
    every = _seconds(load("near_requests"), asked, rounds)
    batch = _parameters(around.merged(windows[:BATCH]))
    places = _places(batch)
    ends = {"from": start, "to": start + timedelta(days=1)}
    exact = {"tries": list(range(tries // 2, tries // 2 + BATCH))} | ends
    exact |= {"before": BEFORE_END, "after": AFTER_END}
    usual = batch | {"paths": ["/orders/{id}"] * len(batch["endpoints"])}
    name = f"{size // 1000:,}k requests, {tries // 1000:,}k tries"
    return [
        Figure(f"{name}: count the failed", count, "s"),
        Figure(f"{name}: merge the windows, in Python", merging, "s"),
        Figure(f"{name}: failed_in_windows", failed, "s"),
        Figure(f"{name}: failed_in_windows / count", failed / count, "", "<= 10"),
        Figure(f"{name}: near_requests", every, "s", "<= 3 at 2,000k"),
        Figure(f"{name}: near_requests, per million requests", every / size * 1e6, "s", "even over all sizes"),
        Figure(f"{name}: failed_in_windows of {BATCH} tries", _seconds(load("failed_in_windows"), batch, rounds), "s"),
        Figure(f"{name}: failed_requests of {BATCH} tries", _seconds(load("failed_requests"), places, rounds), "s"),
        Figure(f"{name}: near_requests of {BATCH} tries", _seconds(load("near_requests"), batch, rounds), "s"),
        Figure(f"{name}: usual_requests of {BATCH} tries", _seconds(load("usual_requests"), usual, rounds), "s"),
        Figure(f"{name}: try_requests of {BATCH} tries", _seconds(load("try_requests"), exact, rounds), "s"),
    ]


def _fill(start: datetime, size: int) -> None:
    parameters = {"start": start, "span": SPAN_S, "size": size, "calls": REQUESTS_PER_TRY}
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE ingest_request, ingest_request_detail, ingest_try CASCADE")
        cursor.execute(FILL, parameters)
        cursor.execute(DETAILS)
        cursor.execute(TRIES, parameters | {"tries": size // REQUESTS_PER_TRY + 1})
        cursor.execute(
            "VACUUM ANALYZE ingest_request, ingest_request_detail, ingest_try, ingest_trykey, ingest_endpoint"
        )


def _windows(start: datetime, number: int) -> list[tuple[int, datetime, datetime]]:
    """Each try's endpoint and the time in which it can have called; in order of time, as tries are judged."""
    rng = random.Random(1)
    froms = sorted(start + timedelta(seconds=rng.uniform(0, SPAN_S - 60)) for _ in range(number))
    return [(rng.randrange(1, 21), at, at + timedelta(seconds=rng.uniform(5, 35))) for at in froms]


def _parameters(windows: Sequence[tuple[int, datetime, datetime]]) -> dict[str, Any]:
    return {
        "endpoints": [w[0] for w in windows],
        "froms": [w[1] for w in windows],
        "tos": [w[2] for w in windows],
        "from": min(w[1] for w in windows),
        "to": max(w[2] for w in windows),
    }


def _places(windows: dict[str, Any]) -> dict[str, Any]:
    """What failed_in_windows finds, as failed_requests asks for it."""
    with connection.cursor() as cursor:
        cursor.execute(load("failed_in_windows"), windows)
        found = cursor.fetchall()
    return windows | {"endpoints": [f[0] for f in found], "times": [f[1] for f in found]}


def _seconds(statement: str, parameters: dict[str, Any], rounds: int) -> float:
    times = []
    with connection.cursor() as cursor:
        for _ in range(rounds + 1):
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY) {statement}", parameters)
            text = cursor.fetchall()[-1][0]
            times.append(float(re.findall(r"[\d.]+", text)[0]) / 1000)
    return min(times)
