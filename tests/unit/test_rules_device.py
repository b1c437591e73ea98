"""What the BIG-IP says while a request is under way, changes of its configuration, and processes that died in a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest.parsers import f5_ltm
from ingest.records import HealthEvent, Other, Outcome
from ingest.rules import judge
from ingest.rules.facts import Change, Coverage, Facts, Job, Minute

from .test_rules import GOOD_BEFORE, HTTP_503, M1, RESET, VS, a_log, a_request, at, facts, health, well
from .test_rules_unreached import CUT, beats, unreached

RULE = "/Common/rule_orders"
LOST = a_request(0, None, took=None)


def with_route(given: Facts, **changes: Any) -> Facts:
    return replace(given, routes={1: replace(given.routes[1], **changes)})


def a_change(seconds: float, text: str) -> Change:
    return Change(at(seconds), "netops", "modify", text.split()[-1], text, text=text)


def test_a_failover_cuts_what_is_under_way_however_long_ago_it_began() -> None:
    long = a_request(-60, None, took=None)
    failed_over = health(-1, "standby", kind="device", pool="")
    assert judge(facts((long,), RESET, GOOD_BEFORE, health=(failed_over,), end=0.0)).cause == "failover"
    assert judge(facts((long,), RESET, GOOD_BEFORE, health=(failed_over,), end=-40.0)).cause == "unanswered"


def test_a_monitor_that_is_slow_to_notice_still_says_why() -> None:
    for seconds, cause in ((30, "member_down"), (60, "unanswered")):
        given = facts((LOST,), RESET, GOOD_BEFORE, health=(health(seconds, "down", M1),), end=0.5)
        assert judge(given).cause == cause


def test_a_reset_is_the_one_of_this_connection_alone() -> None:
    for port, cause in ((40000, "reset_by_server"), (40001, "unanswered")):
        event = health(0, "reset_sent", kind="virtual", pool="", member="10.0.0.1:8080", reason="TCP RST from remote system",
                       raw=f"RST sent from 10.0.0.1:8080 to 10.9.0.5:{port}, [0x1:2] TCP RST from remote system")  # fmt: skip
        assert judge(facts((LOST,), RESET, GOOD_BEFORE, health=(event,))).cause == cause


ASM = (
    '<131>Mar 14 09:30:00 lb1 ASM:unit_hostname="lb1",policy_name="/Common/waf",violations="Attack signature detected",'
    'support_id="88914",request_status="{status}",ip_client="10.9.0.5",src_port="{port}",dest_port="8080",dest_ip="10.0.0.1",'
    'uri="/orders?x=\\",request_status=\\"blocked"'
)


def test_a_request_that_the_firewall_blocked_is_read_and_named() -> None:
    event = f5_ltm.parse(ASM.format(status="blocked", port=40000), at(0))
    assert isinstance(event, HealthEvent)
    assert (event.kind, event.state, event.object) == ("virtual", "waf_blocked", "10.0.0.1:8080")
    assert event.detail["source"] == "10.9.0.5:40000" and "88914" in event.reason
    assert isinstance(f5_ltm.parse(ASM.format(status="alerted", port=40000), at(0)), Other)
    for port, cause in ((40000, "waf_block"), (40001, "unanswered")):
        blocked = health(
            0, "waf_blocked", kind="virtual", pool="", member="10.0.0.1:8080", raw=f"10.9.0.5:{port} blocked"
        )
        assert judge(facts((LOST,), RESET, GOOD_BEFORE, health=(blocked,))).cause == cause


@pytest.mark.parametrize(
    ("rules", "changes", "cause"),
    [
        ((RULE,), (), "reset_by_f5"),
        ((RULE,), (a_change(-300, f"modify ltm rule {RULE}"),), "config_change"),
        ((), (a_change(-300, f"modify ltm virtual {VS} rules {{ {RULE} }}"),), "config_change"),
        ((), (), "unanswered"),  # whose iRule it is, is not known
    ],
)
def test_an_irule_that_failed_is_what_reset(rules: tuple[str, ...], changes: tuple[Change, ...], cause: str) -> None:
    event = health(0, "rule_error", kind="device", pool="", member=RULE, reason="can't read host")
    given = facts((LOST,), RESET, GOOD_BEFORE, health=(event,), changes=changes)
    assert judge(with_route(given, rules=rules)).cause == cause


def minutes(*counts: tuple[int, int, int]) -> tuple[Minute, ...]:
    return tuple(Minute(at(60 * n), requests, 0, lost) for n, requests, lost in counts)


BROKE = minutes((-8, 60, 1), (-7, 60, 0), (-6, 60, 2), (-3, 60, 40), (-2, 60, 44), (-1, 60, 41))
AS_BEFORE = minutes((-8, 60, 38), (-7, 60, 41), (-6, 60, 44), (-3, 60, 40), (-2, 60, 44), (-1, 60, 41))


@pytest.mark.parametrize(("counts", "cause"), [(BROKE, "config_change"), (AS_BEFORE, "unanswered"), ((), "unanswered")])
def test_a_change_is_blamed_for_what_fails_since_and_did_not_before(counts: tuple[Minute, ...], cause: str) -> None:
    around = tuple(replace(r, outcome=Outcome.OK) for r in well(M1))  # none of them from before the change
    given = facts((LOST,), RESET, around, changes=(a_change(-290, f"modify ltm virtual {VS}"),))
    found = judge(with_route(given, minutes=counts))
    assert found.cause == cause
    assert cause != "config_change" or "125 of 180 requests fail since, 3 of 180 did before" in found.sentence


def test_a_process_that_died_leaves_its_call_unanswered() -> None:
    given = facts((*beats(-100), a_request(-110, None, took=None)), None, GOOD_BEFORE)
    found = judge(given)
    assert (found.cause, found.component_kind) == ("worker_killed", "worker")
    ended = (Job("SchedulerJob", "failed", at(-95), at(-96)),)
    assert judge(replace(given, jobs=ended)).cause == "scheduler_down"
    alive = facts((*beats(0), a_request(-110, None, took=None)), None, GOOD_BEFORE)
    assert judge(alive).cause == "unanswered"
    killed = facts((*beats(0), LOST), a_log(killed=True), GOOD_BEFORE)
    assert judge(killed).cause == "worker_killed"


def test_a_try_that_no_worker_took_starved_though_airflow_wrote_a_start() -> None:
    given = facts((), None)
    waited = replace(given.attempt, queued_at=at(-600), start_at=at(2), hostname="")
    assert judge(replace(given, attempt=waited)).cause == "slot_starvation"
    assert judge(replace(given, attempt=replace(waited, hostname="w1", start_at=at(-1)))).cause == "undecided"


def test_a_call_that_failed_is_not_cleared_by_others_that_went_well() -> None:
    found = judge(facts((a_request(-3),), RESET, GOOD_BEFORE))
    assert (found.cause, found.acquitted) == ("undecided", False)


def test_the_error_of_an_outbound_call_is_not_looked_for_among_calls_of_the_api() -> None:
    (*_, beat) = beats(0)
    lost = replace(beat, status=None, outcome=Outcome.UNANSWERED, response_us=None, member="", at=at(1))
    outbound = a_request(-30, None, took=None)
    found = judge(facts((outbound, lost), RESET, GOOD_BEFORE))
    assert found.request == outbound and found.cause == "unanswered"
    assert found.request.at < at(2) - timedelta(seconds=1)


def test_many_short_losses_on_one_route_are_what_made_a_try_slow() -> None:
    lost = [replace(beats(0)[-1], at=at(-20 + 4 * n), status=None, outcome=Outcome.UNANSWERED, member="", response_us=None,
                    path=f"/execution/task-instances/{{uuid}}/{call}", uri=f"/execution/task-instances/x/{call}")
            for n, call in enumerate(("run", "heartbeat", "rtif", "state"))]  # fmt: skip
    cured = [replace(r, at=r.at + timedelta(seconds=3.5), status=200, outcome=Outcome.OK, member=M1) for r in lost]
    given = facts((*lost, *cured), None, state="success", slow=True, own_s=20.0, median_s=2.0)
    assert judge(given).cause == "api_unreachable"
    one = facts((lost[0], cured[0]), None, state="success", slow=True, own_s=20.0, median_s=2.0)
    assert judge(one).cause == "undecided"


def test_a_slow_try_that_waited_for_a_worker_starved() -> None:
    given = facts((), None, state="success", slow=True, own_s=66.0, median_s=5.0, end=6.0)
    waited = replace(given.attempt, queued_at=at(-60), start_at=at(0))
    assert judge(replace(given, attempt=waited)).cause == "slot_starvation"
    worked = replace(given.attempt, queued_at=at(-60), start_at=at(-59))
    assert judge(replace(given, attempt=worked)).cause == "undecided"


def test_a_change_that_all_went_well_after_for_a_while_broke_nothing() -> None:
    well_at_first = minutes((-8, 60, 0), (-7, 60, 0), (-4, 60, 0), (-3, 60, 0), (-2, 60, 50), (-1, 60, 52))
    given = facts((LOST,), RESET, (), changes=(a_change(-290, f"modify ltm virtual {VS}"),))
    assert judge(with_route(given, minutes=well_at_first)).cause == "unanswered"


def test_what_failed_otherwise_before_a_change_does_not_excuse_it() -> None:
    before = tuple(a_request(-80 + n, 503 if n < 8 else 200, M1) for n in range(16))
    after = tuple(replace(LOST, at=at(-20 + n), line_id=n) for n in range(18))
    changed = (a_change(-25, f"modify ltm virtual {VS} source-address-translation {{ type snat }}"),)
    assert judge(facts((LOST,), RESET, (*before, *after), changes=changed)).cause == "config_change"
    note = (a_change(-25, f"modify ltm virtual {VS} description updated"),)
    assert judge(facts((LOST,), RESET, (*before, *after), changes=note)).cause == "unanswered"
    at_first = tuple(a_request(-24 + n / 2, 200, M1) for n in range(6))
    assert judge(facts((LOST,), RESET, (*before, *at_first, *after), changes=changed)).cause == "unanswered"


def slow_answers(*times: tuple[float, float]) -> tuple[Any, ...]:
    """Answers of all members in turn at these (seconds, took)."""
    members = ("/Common/orders1:9000", "/Common/orders2:9000", "/Common/orders3:9000")
    return tuple(a_request(s, 200, members[n % 3], took, path=f"/p{n % 4}", outcome=Outcome.OK)
                 for n, (s, took) in enumerate(times))  # fmt: skip


TIMED_OUT_15 = a_log(exceptions=(("ReadTimeout", "timed out"),), timed_out=True, timeout_s=15.0)


def test_a_service_that_just_became_slow_is_known_by_the_answers_that_follow() -> None:
    before, after = [(-30.0 - n, 0.1) for n in range(20)], [(-5.0, 30.0), (7.0, 28.0), (24.0, 27.0), (26.0, 25.0)]
    assert judge(facts((LOST,), TIMED_OUT_15, slow_answers(*before, *after), end=15.0)).cause == "service_slow"
    mixed = [(s, took if n % 2 else 0.1) for n, (s, took) in enumerate(after)]
    assert judge(facts((LOST,), TIMED_OUT_15, slow_answers(*before, *mixed), end=15.0)).cause == "unanswered"


def test_a_member_that_went_out_and_in_a_while_ago_is_not_what_fails_now() -> None:
    for nearest, cause in ((-10, "monitor_flap"), (-90, "unanswered")):
        turns = [health(nearest - 20 * n, "down" if n % 2 else "up", M1) for n in range(5)]
        assert judge(facts((LOST,), RESET, GOOD_BEFORE, health=tuple(reversed(turns)), end=0.5)).cause == cause


def test_a_log_that_breaks_off_long_after_an_unanswered_call_tells_nothing() -> None:
    given = facts((a_request(-300, None, took=None),), a_log(), GOOD_BEFORE)
    assert judge(given).cause == "undecided"
    assert judge(facts((LOST,), a_log(), GOOD_BEFORE)).cause == "unanswered"


def test_a_service_that_fails_on_all_paths_is_no_member_that_alone_was_asked_for_this_one() -> None:
    """Of this path only one member was asked since; the good answers of the others are from before."""
    asked, members = HTTP_503, ("/Common/orders1:9000", "/Common/orders2:9000", "/Common/orders3:9000")
    before = tuple(a_request(-200 + 3 * n, 200, members[n % 3]) for n in range(30))
    now = tuple(a_request(-40 + 4 * n, 503, members[n % 3], path=f"/other{n % 2}") for n in range(12))
    mine = a_request(0, 503, M1)
    assert judge(facts((mine,), asked, (*before, *now, a_request(-30, 503, M1)))).cause == "service_failing"


def test_a_balancer_that_answers_503_for_none_says_why_first() -> None:
    none = a_request(0, 503, "")
    limit = health(0, "limit", kind="virtual", pool="", member=VS)
    assert judge(facts((none,), HTTP_503, well(M1), proxy=True)).cause == "no_member"
    assert judge(facts((none,), HTTP_503, well(M1), proxy=True, health=(limit,))).cause == "connection_limit"


def test_a_try_that_said_itself_that_it_goes_on_later_did_not_fall_silent() -> None:
    deferred = replace(beats(-100)[-1], at=at(-99), path="/execution/task-instances/{uuid}/state", method="PATCH")
    assert judge(facts((*beats(-100), deferred), None, well(M1))).cause == "undecided"


def test_who_was_ended_on_purpose_in_the_middle_of_a_call_was() -> None:
    refused = replace(beats(0)[-1], at=at(1), status=409, outcome=Outcome.CLIENT_ERROR)
    given = facts((*beats(0), LOST, refused), a_log(killed=True), GOOD_BEFORE, end=2.0)
    deed = Change(at(-1), "ann", "patch_task_instance", "r", "raw", text="r")
    assert judge(given).cause == "undecided"  # Airflow told it to stop, and nobody knows why
    assert judge(replace(given, events=(deed,))).cause == "execution_conflict"


def test_where_few_lines_are_missing_nothing_rests_on_calls_that_did_not_come() -> None:
    thin = Coverage(True, thin="lb1/request lost 3 of 900 lines at 09:00:00: UDP drops")
    silent = facts(beats(-100), None, well(M1))
    assert judge(replace(silent, coverage=thin)).cause == "no_data"
    nobody = unreached("connect", CUT)
    assert judge(nobody).cause == "vip_unreachable"
    assert judge(replace(nobody, coverage=replace(thin, known_host=True))).cause == "no_data"


def test_one_failure_long_after_a_change_is_not_of_the_change() -> None:
    before = tuple(a_request(-700 + n, 200, M1) for n in range(9))
    for seconds, cause in ((-60, "config_change"), (-600, "unanswered")):
        changed = (a_change(seconds, f"modify ltm virtual {VS} source-address-translation {{ type snat }}"),)
        assert judge(facts((LOST,), RESET, before, changes=changed)).cause == cause


def test_an_irule_that_failed_for_this_very_connection_is_blamed_though_it_is_not_known_whose_it_is() -> None:
    raw = (
        "01220001:3: TCL error: /Common/any <HTTP_REQUEST> - Illegal value aborted for 10.9.0.5:40000 -> 10.0.0.1:8080"
    )
    said = health(0, "rule_error", kind="device", pool="", member="/Common/any", reason="Illegal value", raw=raw)
    mine = replace(LOST, client="10.9.0.5", client_port=40000)
    assert judge(facts((mine,), RESET, GOOD_BEFORE, health=(said,))).cause == "reset_by_f5"
    other = replace(mine, client_port=40001)
    assert judge(facts((other,), RESET, GOOD_BEFORE, health=(said,))).cause == "unanswered"


def test_a_handshake_that_failed_towards_a_member_of_the_pool_explains_what_nobody_answered() -> None:
    raw = "01260013:4: SSL Handshake failed for TCP 10.0.9.1:4000 -> 10.60.6.21:8443"
    said = health(0, "tls_failure", kind="virtual", pool="", member="10.60.6.21:8443", raw=raw)
    said = replace(said, detail={"source": "10.0.9.1:4000", "target": "10.60.6.21:8443"})
    given = facts((LOST,), RESET, GOOD_BEFORE, health=(said,))
    for home, cause in (("/Common/pool_orders", "tls_failure"), ("/Common/pool_other", "unanswered")):
        routes = {1: replace(given.routes[1], homes={"10.60.6.21:8443": (home,)})}
        assert judge(replace(given, routes=routes)).cause == cause
