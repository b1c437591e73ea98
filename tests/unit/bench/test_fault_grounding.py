"""Cited rows are looked up, and a verdict is judged again without them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bench.faults import grounding
from bench.faults.grounding import Grounds, Source, check
from ingest.capture import Capture
from ingest.records import Link, Outcome, TaskLog
from ingest.rules import judge
from ingest.rules.facts import Attempt, Coverage, Facts, Proof, Request, Route

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEY = ("d", "r", "t", -1, 1)
NAMES = dict(zip(("dag_id", "run_id", "task_id", "map_index", "try_number"), KEY, strict=True))
LINE = 'airf5="1",kind="request",virtual_name="/Common/vs_a",pool="/Common/pool_a"'
DOWN = (
    "<133>Nov 22 09:00:01 lb1 notice mcpd[1]: 01070638:5: Pool /Common/pool_a member /Common/m1:80 monitor status down."
)
CAPTURE = Capture(
    "w",
    {},
    AT,
    AT,
    airflow={"eventLogs": [{"event": "clear", "dag_id": "d"}]},
    task_logs=(
        {
            **NAMES,
            "found": True,
            "content": [{"event": "boom", "error_detail": [{"exc_type": "ValueError", "exc_value": "no rows"}]}],
        },
    ),
    f5={
        "request.log": f"2026-11-22T09:00:00Z 10.0.0.1 {LINE}\n".encode(),
        "ltm.log": f"2026-11-22T09:00:02Z 10.0.0.1 {DOWN}\n".encode(),
    },
)
SPAN = (AT - timedelta(seconds=10), AT + timedelta(seconds=10))


def cited(kind: str, raw: str, at: datetime = AT, **more: object) -> Grounds:
    """The counts for a verdict that cites this one row."""
    verdict = {
        **NAMES,
        "culprit": "route",
        "cause": "no_member",
        "component": "/Common/pool_a",
        "endpoint": "/Common/vs_a",
        "f5_pool": "/Common/pool_a",
        "member": None,
        "ti_id": None,
        "kinds": [kind],
        "evidence": [{"raw": raw, "at": at.isoformat()}],
        **more,
    }
    out = Grounds()
    check(verdict, KEY, SPAN, Source(CAPTURE), out)
    return out


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("request", LINE),
        ("health_event", f"2026-11-22T09:00:02Z 10.0.0.1 {DOWN}"),
        ("user_action", '{"dag_id": "d", "event": "clear"}'),
        (
            "task_log",
            "ValueError: no rows\nTask failed with exception: ValueError: no rows".replace(
                "Task failed with exception", "boom"
            ),
        ),
    ],
)
def test_a_row_of_the_capture_is_found(kind: str, raw: str) -> None:
    assert cited(kind, raw).grounded == 1


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("request", LINE.replace("vs_a", "vs_b")),
        ("request", f"{LINE}\n{LINE} and more"),
        ("request", ""),
        ("health_event", DOWN.replace("m1", "m2")),
        ("user_action", '{"dag_id": "d", "event": "delete"}'),
        ("user_action", "{"),
        ("task_log", "KeyError: no rows"),
    ],
)
def test_a_row_that_the_capture_does_not_hold_is_missing(kind: str, raw: str) -> None:
    out = cited(kind, raw)
    assert (out.grounded, out.missing) == (0, 1)


def test_a_log_of_airflow_2_is_read_through_its_repr() -> None:
    told = repr([("worker", "Task failed with exception\nKeyError: 'total'\n")])
    source = Source(replace(CAPTURE, task_logs=({**NAMES, "found": True, "content": told},)))
    assert source.holds("task_log", "KeyError: 'total'\nTask failed with exception: KeyError: 'total'", KEY)
    assert not source.holds("task_log", "KeyError: 'sum'", KEY)


def test_a_row_of_another_object_is_off_the_path() -> None:
    out = cited("health_event", DOWN, f5_pool="/Common/pool_b", component="/Common/pool_b", endpoint="/Common/vs_b")
    assert (out.grounded, out.missing, out.off_path) == (0, 0, 1)


def test_a_row_may_name_the_virtual_server_by_its_address() -> None:
    other = {"f5_pool": "/Common/pool_b", "component": "/Common/pool_b", "endpoint": "/Common/vs_b"}
    raw = DOWN.replace("/Common/pool_a", "10.20.0.11:80")
    assert cited("health_event", raw, **other, addresses=["10.20.0.11"]).off_path == 0
    assert cited("health_event", raw, **other, addresses=["10.20.0.1"]).off_path == 1


def test_a_row_may_name_a_virtual_server_that_the_sentence_names() -> None:
    other = {"f5_pool": None, "component": "worker-1", "endpoint": None}
    assert (
        cited("request", LINE, **other, sentence="worker-1 could not connect, while others reached vs_a.").grounded == 1
    )
    assert cited("request", LINE, **other, sentence="worker-1 could not connect.").off_path == 1


def test_a_row_of_another_time_is_out_of_the_window() -> None:
    assert cited("request", LINE, AT - timedelta(minutes=10)).out_of_time == 1
    assert cited("health_event", DOWN, AT - timedelta(minutes=10)).out_of_time == 0  # a state lasts
    assert cited("health_event", DOWN, AT + timedelta(minutes=10)).out_of_time == 1


def test_who_names_somebody_must_cite_something() -> None:
    out = Grounds()
    check({"kinds": [], "evidence": [], "culprit": "route", "cause": "x"}, KEY, SPAN, Source(CAPTURE), out)
    check({"kinds": [], "evidence": [], "culprit": "unknown", "cause": "x"}, KEY, SPAN, Source(CAPTURE), out)
    assert (out.verdicts, out.grounded, out.bare) == (1, 0, 1)


# Judged again


def a_request(number: int, at: datetime = AT, **more: object) -> Request:
    values = {
        "line_id": number,
        "at": at,
        "endpoint_id": 1,
        "endpoint": "/Common/vs_a",
        "f5_pool": "/Common/pool_a",
        "member": "/Common/m1:80",
        "client": "10.0.0.9",
        "client_port": 4000,
        "method": "GET",
        "path": "/x",
        "uri": "/x",
        "status": 200,
        "outcome": Outcome.OK,
        "response_us": 1000,
        "bytes": 10,
        "link": Link.HEADER,
    }
    return Request(**(values | more))  # type: ignore[arg-type]


def some_facts() -> Facts:
    lost = a_request(1, status=None, outcome=Outcome.UNANSWERED, member="", response_us=None)
    route = Route(
        1, "/Common/vs_a", "/Common/pool_a", "lb1", False, ("/Common/m1:80",), frozenset(), near=(lost, a_request(2))
    )
    attempt = Attempt(
        1, "d", "r", "t", -1, 1, None, "failed", None, AT, AT + timedelta(seconds=1), "Op", "", "", "w", "p"
    )
    log = TaskLog("d", "r", "t", -1, 1, "", connection_error=True, exceptions=(("ConnectionError", "reset"),))
    return Facts(attempt, log, (lost,), (), 0, {1: route}, (), (), Coverage(True))


def test_without_what_it_cites_a_verdict_is_another() -> None:
    facts, out = some_facts(), Grounds()
    finding = judge(facts)
    assert finding.cause == "unanswered"
    assert grounding.drop(facts, finding, out) is True
    assert (out.dropped, out.changed, out.steady) == (1, 1, 1)


def test_a_verdict_that_rests_on_something_else_is_noticed() -> None:
    facts, out = some_facts(), Grounds()
    finding = replace(judge(facts), proofs=(Proof("request", AT, "", "", 99),))
    assert grounding.drop(facts, finding, out) is False
    assert (out.dropped, out.changed) == (1, 0)


def test_rows_are_dropped_wherever_they_stand() -> None:
    less = grounding.without(some_facts(), [Proof("request", AT, "", "", 1), Proof("task_log", AT, "", "")])
    assert (less.requests, less.log, [r.line_id for r in less.routes[1].near]) == ((), None, [2])
