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
from ingest.correlate import around

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
    """Windows of many tries, merged as the product does."""
    rng = random.Random(5)
    froms = [START + timedelta(seconds=rng.uniform(0, ROWS)) for _ in range(number)]
    found = around.merged((rng.randrange(1, 21), at, at + timedelta(seconds=rng.uniform(5, 60))) for at in froms)
    return {
        "endpoints": [w[0] for w in found],
        "froms": [w[1] for w in found],
        "tos": [w[2] for w in found],
        "from": min(w[1] for w in found),
        "to": max(w[2] for w in found),
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
def test_failed_requests_of_windows_are_read_from_the_partial_index_once() -> None:
    nodes = plan(load("failed_in_windows"), windows())
    (scan,) = on_requests(nodes)
    assert scan["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Heap Scan")
    assert len([node for node in nodes if "ingest_request_p" in node.get("Relation Name", "")]) == 1, "of all days"
    looped = scan["Above"]["Node Type"] == "Nested Loop"
    assert not looped or "endpoint_id" in scan.get("Index Cond", ""), "each endpoint would read all failures"


@pytest.mark.usefixtures("_requests")
def test_failed_requests_are_looked_up_with_their_lines() -> None:
    some = windows(300)
    with connection.cursor() as cursor:
        cursor.execute(load("failed_in_windows"), some)
        found = cursor.fetchall()
    nodes = plan(
        load("failed_requests"),
        {"endpoints": [f[0] for f in found], "times": [f[1] for f in found], "from": some["from"], "to": some["to"]},
    )
    scans = [node for node in nodes if node.get("Relation Name", "").endswith(DAY[-9:])]
    assert len(scans) == 2
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Bitmap Heap Scan"}


@pytest.mark.usefixtures("_requests")
@pytest.mark.parametrize("name", ["near_requests", "usual_requests"])
def test_all_requests_of_windows_are_read_once_and_meet_them_by_equality(name: str) -> None:
    some = windows()
    nodes = plan(load(name), some | {"paths": ["/orders/{id}"] * len(some["endpoints"])})
    joins = [node for node in nodes if node["Node Type"] in ("Hash Join", "Merge Join")]
    assert any("endpoint_id" in str(j.get("Hash Cond") or j.get("Merge Cond")) for j in joins)
    (scan,) = on_requests(nodes)
    assert "times" not in str(scan), "the windows are compared after the scan, not by one scan each"
    assert "lo" in str(scan.get("Recheck Cond") or scan.get("Filter") or scan.get("Index Cond"))


@pytest.mark.usefixtures("_requests")
def test_the_requests_of_a_try_are_looked_up_by_its_key() -> None:
    scans = on_requests(plan("SELECT * FROM ingest_request WHERE try_key_id = %s", [77]))
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Bitmap Heap Scan"}


@pytest.mark.usefixtures("_requests")
def test_requests_known_by_their_runs_trace_are_looked_up_too_and_in_the_tries_days_alone() -> None:
    hour = timedelta(hours=1)
    parameters = {"tries": [1, 2], "from": START + hour, "to": START + 2 * hour, "before": hour, "after": hour}
    nodes = plan(load("try_requests"), parameters)
    read = {node["Relation Name"] for node in nodes if "ingest_request_p" in node.get("Relation Name", "")}
    assert read == {DAY}, "of all days"
    scans = on_requests(nodes)
    assert len(scans) == 3, (
        "by the try's key; by endpoint and time; and, where that has none, what is suspect and went well"
    )
    looked_up = [node for node in nodes if node["Node Type"] in ("Index Scan", "Bitmap Index Scan")]
    assert any("try_key_id" in str(node.get("Index Cond")) for node in looked_up)
    assert any(
        "endpoint_id" in str(node.get("Index Cond")) for node in looked_up if "endpoint_id" in node["Index Name"]
    )


@pytest.mark.usefixtures("_requests")
def test_failures_that_come_again_are_looked_up() -> None:
    parameters = {"ids": [1, 2], "endpoints": [1, 2], "times": [START, START], "digests": ["a", "b"]}
    parameters |= {"from": START, "to": START}
    for scan in on_requests(plan(load("known_failures"), parameters)):
        assert scan["Node Type"] in ("Index Scan", "Bitmap Heap Scan")


@pytest.mark.usefixtures("_requests")
def test_both_statements_find_what_a_plain_range_join_finds() -> None:
    few = windows(200)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT r.line_id), count(DISTINCT r.line_id) FILTER (WHERE r.outcome > 0)"
            " FROM unnest(%(endpoints)s::int[], %(froms)s::timestamptz[], %(tos)s::timestamptz[]) AS w(e, f, t)"
            " JOIN ingest_request r ON r.endpoint_id = w.e AND r.ts >= w.f AND r.ts < w.t",
            few,
        )
        every, failed = cursor.fetchone()
        cursor.execute(load("failed_in_windows"), few)
        assert len(cursor.fetchall()) == failed > 0
        cursor.execute(load("near_requests"), few)
        found = cursor.fetchall()
        assert len(found) == len({row[0] for row in found}) == every > failed


@pytest.mark.usefixtures("_requests")
def test_the_watch_reads_the_rows_of_its_stretch_once() -> None:
    stretch = {"from": START + timedelta(hours=3), "to": START + timedelta(hours=3, minutes=10), "endpoints": [1, 2, 3]}
    nodes = plan(load("watch_routes"), stretch)
    (scan,) = [node for node in nodes if "ingest_request_p" in node.get("Relation Name", "")]
    assert scan["Relation Name"] == DAY
    assert scan["Above"]["Node Type"] != "Nested Loop"


@pytest.mark.usefixtures("_requests")
def test_a_slice_of_time_reads_one_day() -> None:
    hour = {"from": START + timedelta(hours=3), "to": START + timedelta(hours=4)}
    nodes = plan("SELECT * FROM ingest_request WHERE ts >= %(from)s AND ts < %(to)s", hour)
    assert [node["Relation Name"] for node in nodes if "Relation Name" in node] == [DAY]
