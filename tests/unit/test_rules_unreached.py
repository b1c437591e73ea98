"""Calls that never became a request, answers the BIG-IP made itself, replies that were lost, and processes that fell silent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest.records import Link, TaskLog
from ingest.rules import judge
from ingest.rules.facts import Coverage, Facts, Health, Job, Minute

from .test_rules import API, GOOD_BEFORE, HTTP_503, M1, M2, M3, POOL, VS, a_log, a_request, at, facts, health, well

WORKER, OTHER = "10.9.0.5", "10.9.0.6"


def with_minutes(given: Facts, first: int, last: int) -> Facts:
    """With twelve requests in each minute of its endpoint, from `first` minutes after the failure to `last` before it."""
    assert given.called is not None
    minutes = tuple(Minute(at(60 * n), 12, 0, 0) for n in range(first, -last))
    return replace(given, called=replace(given.called, minutes=minutes))


def unreached(
    stage: str, near: tuple[Any, ...] = (), told: tuple[Health, ...] = (), end: float = 2.0, **log: Any
) -> Facts:
    """A try whose log says that its call to 10.0.0.1:8080 ended at this stage, and what is seen of that endpoint."""
    kind = {"resolve": "NameResolutionError", "tls": "SSLError", "proxy": "ProxyError"}.get(stage, "NewConnectionError")
    words = {
        "exceptions": ((kind, "no"),),
        "connection_error": True,
        "stage": stage,
        "host": "10.0.0.1",
        "port": 8080,
        **log,
    }
    made = facts((), a_log(**words), near, health=told, coverage=Coverage(True, known_host=True), end=end)
    attempt = replace(made.attempt, clients=frozenset({WORKER}))
    spoke = tuple(at(n) for n in range(-600, 120, 10))  # of other virtual servers, by the minute in truth
    return replace(made, attempt=attempt, called=replace(made.routes[1], spoke=spoke), routes={})


def stream(client: str, first: float, last: float, every: float = 2.0) -> tuple[Any, ...]:
    return tuple(a_request(first + every * n, client=client) for n in range(int((last - first) / every)))


BUSY = stream(OTHER, -110, 60)
CUT = stream(OTHER, -110, -25)
SWITCHED_OFF = health(-30, "unavailable", kind="virtual", pool="", member=VS)
BACK_AGAIN = health(-10, "available", kind="virtual", pool="", member=VS)


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (unreached("resolve", BUSY), "worker_network"),
        (unreached("connect", BUSY), "worker_network"),
        (unreached("proxy", BUSY), "worker_network"),
        (unreached("connect", CUT), "vip_unreachable"),
        (unreached("resolve", CUT), "vip_unreachable"),
        (unreached("connect", (), (SWITCHED_OFF,)), "vip_unreachable"),
        (unreached("connect", (), (SWITCHED_OFF, health(1, "available", kind="virtual", pool="", member=VS)), end=1.5),
         "vip_unreachable"),  # its time is cut to the second: it may have come back after the call
        (with_minutes(unreached("connect", stream(OTHER, 40, 60)), -9, 2), "vip_unreachable"),  # for long
        (with_minutes(unreached("connect", stream(OTHER, 40, 60)), -9, 0), "undecided"),  # asked until just before
        (unreached("connect", (), (SWITCHED_OFF, BACK_AGAIN)), "undecided"),
        (unreached("connect", stream(OTHER, -110, 0)), "undecided"),  # it closed just then, or others stopped to ask
        (unreached("connect", stream(OTHER, 4, 60)), "undecided"),  # it opened again just then
        (unreached("connect", stream(OTHER, -100, -25, 30)), "undecided"),  # seldom asked: its silence says nothing
        (unreached("connect", stream(WORKER, -110, 60)), "undecided"),  # others did not try
        (unreached("connect", (), (health(-5, "no_members", kind="pool"),)), "no_member"),
        (unreached("connect", BUSY, (health(1, "limit", kind="virtual", pool="", member="10.0.0.1:8080"),)), "connection_limit"),
        (unreached("connect", BUSY, (health(1, "limit", kind="virtual", pool="", member="10.0.0.9:1"),)), "worker_network"),
        (unreached("tls", BUSY), "undecided"),
        (unreached("tls", BUSY, exceptions=(("SSLError", "certificate has expired"),)), "tls_failure"),
        (unreached("tls", BUSY, (health(1, "tls_failure", kind="virtual", pool="", raw=f"{WORKER}:4 -> 10.0.0.1:8080"),)),
         "tls_failure"),
    ],
)  # fmt: skip
def test_a_call_that_never_was_a_request(given: Facts, cause: str) -> None:
    found = judge(given)
    assert found.cause == cause, found.sentence
    assert found.acquitted == (cause == "worker_network")


def test_a_call_that_ended_before_it_was_a_request_is_no_line_of_others() -> None:
    lost = a_request(1, None, took=None)
    given = replace(unreached("resolve", BUSY), requests=(lost,))
    assert judge(given).cause == "undecided"  # its own lost request says that more went wrong than a name


def test_where_the_clients_share_an_address_others_still_speak_for_the_route_with_less_weight() -> None:
    apart = judge(unreached("resolve", BUSY))
    shared = judge(
        replace(unreached("resolve", BUSY), attempt=replace(unreached("resolve").attempt, clients=frozenset()))
    )
    assert shared.cause == apart.cause == "worker_network" and shared.confidence < apart.confidence


HTTP_403 = replace(HTTP_503, exceptions=(("AirflowException", "403:Forbidden"),), http_status=403)


def test_an_answer_that_no_member_gave_is_the_big_ip_s_own() -> None:
    blocked = a_request(0, 403, "")
    assert judge(facts((blocked,), HTTP_403, well(M1, M2, M3))).cause == "waf_block"
    nameless = tuple(replace(r, member="") for r in well(M1, M2, M3))
    assert judge(facts((blocked,), HTTP_403, nameless)).cause == "service_refused"  # the log names no members
    assert judge(facts((a_request(0, 403, M1),), HTTP_403, well(M2, M3))).cause == "service_refused"
    assert judge(facts((a_request(0, 503, ""),), HTTP_503, well(M1, M2, M3))).cause == "reset_by_f5"


def test_a_device_without_memory_is_what_failed() -> None:
    lost = a_request(0, None, took=None)
    reset = a_log(exceptions=(("ConnectionError", "reset"),), connection_error=True)
    for state in ("memory_pressure", "clock_advanced"):
        given = facts((lost,), reset, GOOD_BEFORE, health=(health(-20, state, kind="device", pool=""),))
        assert judge(given).cause == "device_overload"
    late = facts((lost,), reset, GOOD_BEFORE, health=(health(-200, "memory_pressure", kind="device", pool=""),))
    assert judge(late).cause == "unanswered"


def test_a_limit_of_another_virtual_server_says_nothing_of_this_one() -> None:
    lost = a_request(0, None, took=None)
    reset = a_log(exceptions=(("ConnectionError", "reset"),), connection_error=True)
    for name, cause in ((VS, "connection_limit"), ("/Common/vs_other", "unanswered")):
        event = health(0, "limit", kind="virtual", pool="", member=name)
        assert judge(facts((lost,), reset, GOOD_BEFORE, health=(event,))).cause == cause


def an_api_call(seconds: float, call: str, status: int | None, took: float = 0.01) -> Any:
    path = f"/execution/task-instances/{{uuid}}/{call}"
    return a_request(seconds, status, took=took, **{**API, "path": path, "uri": path.replace("{uuid}", "x")})


def test_a_repeated_call_that_is_refused_is_the_lost_reply_of_the_first() -> None:
    first, again = an_api_call(-8, "run", 200, took=11.0), an_api_call(-2, "run", 409)
    text = "API_SERVER_ERROR: {'status_code': 409, 'message': 'invalid_state'}"
    log = a_log(exceptions=(("AirflowRuntimeError", text),), http_status=409)
    found = judge(facts((first, again), log, well(M1)))
    assert found.cause == "api_unreachable" and found.request == first
    assert any("first call had done its work" in words for _, words in found.reasons)
    plain = judge(facts((again,), log, well(M1)))
    assert plain.cause == "undecided"


def beats(last: float, link: Link = Link.UUID) -> tuple[Any, ...]:
    return tuple(replace(an_api_call(n, "heartbeat", 204), link=link) for n in range(-200, int(last), 5))


def test_a_process_that_fell_silent_was_killed_and_one_that_did_not_was_not() -> None:
    silent = judge(facts(beats(-100), None, well(M1)))
    assert (silent.cause, silent.component_kind, silent.acquitted) == ("worker_killed", "worker", True)
    assert any(proof.says == "the last heartbeat" for proof in silent.proofs)
    assert judge(facts(beats(0), None, well(M1))).cause == "undecided"
    unheard = (*beats(-100), an_api_call(-95, "heartbeat", None))
    assert judge(facts(unheard, None, well(M1))).cause == "api_unreachable"


def test_a_scheduler_that_ended_explains_a_try_that_nothing_else_does() -> None:
    ended = (Job("SchedulerJob", "failed", at(-60), at(-61)),)
    assert judge(facts(beats(0), None, jobs=ended)).cause == "scheduler_down"
    own = a_log(exceptions=(("TypeError", "no"),), own_code=True)
    assert judge(facts(beats(0), own, jobs=ended)).cause == "task_error"


def test_over_a_gap_nothing_is_said_with_confidence() -> None:
    gap = Coverage(True, "lb1/request is incomplete from 09:29:00: silent")
    own: TaskLog = a_log(exceptions=(("TypeError", "no"),), own_code=True)
    found = judge(facts(beats(0), own, coverage=gap))
    assert found.cause == "task_error" and found.confidence <= 0.7 and not found.acquitted
    assert judge(facts((a_request(0, 503, M2),), HTTP_503, well(M1, M3), coverage=gap)).cause == "no_data"


def test_the_pool_of_an_unreached_endpoint_is_named() -> None:
    found = judge(unreached("connect", CUT))
    assert found.place is not None and (found.place.endpoint, found.place.f5_pool) == (VS, POOL)
    assert at(2) - found.place.near[-1].at > timedelta(seconds=20)


def test_a_connection_that_fell_into_a_failover() -> None:
    switched = health(-12, "active", kind="device", pool="")
    assert judge(unreached("connect", BUSY, (switched,))).cause == "failover"
    assert judge(unreached("connect", BUSY, (replace(switched, at=at(-90)),))).cause == "worker_network"


def test_a_proxy_is_the_clients_own_whoever_else_comes_through() -> None:
    alone = judge(unreached("proxy", ()))
    assert (alone.cause, alone.acquitted) == ("worker_network", False) and "others" not in alone.sentence
    assert judge(unreached("resolve", ())).cause == "undecided"


def test_what_failed_of_another_endpoint_is_not_the_call_that_the_log_names() -> None:
    given = unreached("connect", CUT)
    lost = a_request(0.5, None, endpoint_id=2, **API)
    found = judge(replace(given, requests=(lost,)))
    assert found.cause == "vip_unreachable"
    assert judge(replace(given, requests=(a_request(0.5, None),))).cause != "vip_unreachable"


@pytest.mark.parametrize("stage", ["connect", "resolve"])
def test_nobody_is_known_not_to_have_come_where_the_whole_log_was_silent(stage: str) -> None:
    """Seen where a device's log lacked two minutes that nothing told of: each of its virtual servers seemed out of reach."""
    given = unreached(stage, CUT)
    assert given.called is not None
    for spoke, cause in (((at(-30),), "undecided"), ((at(-30), at(-10)), "vip_unreachable"), ((), "undecided")):
        assert judge(replace(given, called=replace(given.called, spoke=spoke))).cause == cause
    told = replace(given, called=replace(given.called, spoke=()), requests=(a_request(-8, path="/execution/x/run"),))
    assert judge(told).cause == "vip_unreachable"  # its own call to Airflow's API was logged
