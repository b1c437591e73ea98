"""The plans of the statements that meet the big tables: indexes where they must be used, no window with every row."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from airf5.sql import load
from ingest import partitions

START = datetime(2033, 3, 3, tzinfo=UTC)
DAY = "ingest_request_p20330303"
ROWS = 60_000
WINDOWS = 3_000

FILL = """
INSERT INTO ingest_request (line_id, ts, response_us, endpoint_id, f5_pool_id, member_id, client_id, path_id, agent_id,
                            status, outcome, link, method, try_key_id)
SELECT i, %s + i * interval '1 second', 20000, 1 + i %% 20, 1, i %% 80, i %% 60, 1, 1, 200,
       CASE WHEN i %% 50 = 7 THEN 3 ELSE 0 END, 0, 1, CASE WHEN i %% 3 = 0 THEN i / 14 END
FROM generate_series(1, %s) AS i
"""


@pytest.fixture(params=["with statistics", "without statistics"])
def _requests(request: pytest.FixtureRequest) -> Iterator[None]:
    partitions.make(START.date() + timedelta(days=day) for day in range(-9, 2))
    with connection.cursor() as cursor:
        cursor.execute(FILL, [START, ROWS])
        if request.param == "with statistics":
            cursor.execute("ANALYZE ingest_request")
    yield


def windows(number: int = WINDOWS) -> dict[str, Any]:
    rng = random.Random(5)
    froms = [START + timedelta(seconds=rng.uniform(0, ROWS)) for _ in range(number)]
    tos = [start + timedelta(seconds=rng.uniform(5, 60)) for start in froms]
    return {
        "windows": list(range(number)),
        "endpoints": [rng.randrange(1, 21) for _ in range(number)],
        "froms": froms,
        "tos": tos,
        "from": min(froms),
        "to": max(tos),
        "seconds": 60,
        "slices": 3,
    }


def plan(statement: str, parameters: Any) -> list[dict[str, Any]]:
    """Every node of the plan, each with the node above it under "Above"."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        found = cursor.fetchone()[0]
    top = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    nodes, left = [], [(top, None)]
    while left:
        node, above = left.pop()
        nodes.append(node | {"Above": above})
        left += [(child, node) for child in node.get("Plans", ())]
    return nodes


def on_requests(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The scans of the one day that has rows; an empty day is rightly read as it is."""
    return [node for node in nodes if node.get("Relation Name") == DAY]


@pytest.mark.usefixtures("_requests")
def test_failed_requests_of_windows_are_looked_up_in_the_partial_index() -> None:
    nodes = plan(load("link_failed"), windows())
    scans = on_requests(nodes)
    assert scans
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Bitmap Heap Scan"}
    assert len([node for node in nodes if "ingest_request_p" in node.get("Relation Name", "")]) == 1, "of all days"


@pytest.mark.usefixtures("_requests")
def test_all_requests_of_windows_meet_by_equality_and_are_read_once() -> None:
    nodes = plan(load("link_minutes"), windows())
    joins = [node for node in nodes if node["Node Type"] in ("Hash Join", "Merge Join")]
    assert joins
    assert "slice" in str(joins[0].get("Hash Cond") or joins[0].get("Merge Cond"))
    for scan in on_requests(nodes):
        assert (scan["Above"] or {}).get("Node Type") != "Nested Loop"


@pytest.mark.usefixtures("_requests")
def test_the_requests_of_a_try_are_looked_up_by_its_key() -> None:
    scans = on_requests(plan("SELECT * FROM ingest_request WHERE try_key_id = %s", [77]))
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Bitmap Heap Scan"}


@pytest.mark.usefixtures("_requests")
def test_failures_that_come_again_are_looked_up() -> None:
    parameters = {"ids": [1, 2], "endpoints": [1, 2], "times": [START, START], "digests": ["a", "b"]}
    parameters |= {"from": START, "to": START}
    for scan in on_requests(plan(load("known_failures"), parameters)):
        assert scan["Node Type"] in ("Index Scan", "Bitmap Heap Scan")


@pytest.mark.usefixtures("_requests")
def test_both_link_statements_find_what_a_plain_range_join_finds() -> None:
    few = windows(200)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE r.outcome > 0) FROM unnest(%(endpoints)s::int[],"
            " %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS w(e, f, t)"
            " JOIN ingest_request r ON r.endpoint_id = w.e AND r.ts >= w.f AND r.ts < w.t",
            few,
        )
        every, failed = cursor.fetchone()
        cursor.execute(load("link_failed"), few)
        assert len(cursor.fetchall()) == failed > 0
        cursor.execute(load("link_minutes"), few)
        assert sum(row[2] for row in cursor.fetchall()) == every > failed


@pytest.mark.usefixtures("_requests")
def test_a_slice_of_time_reads_one_day() -> None:
    hour = {"from": START + timedelta(hours=3), "to": START + timedelta(hours=4)}
    nodes = plan("SELECT * FROM ingest_request WHERE ts >= %(from)s AND ts < %(to)s", hour)
    assert [node["Relation Name"] for node in nodes if "Relation Name" in node] == [DAY]
