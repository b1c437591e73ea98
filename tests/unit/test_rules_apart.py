"""What must be told apart: a cause before its effect, a fair comparison, a change that was taken back, one member's word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ingest.records import Link
from ingest.rules import judge
from ingest.rules.facts import Candidate, Change, Coverage, Facts, Minute, Request

from .test_rules import (
    API,
    GOOD_BEFORE,
    HTTP_404,
    HTTP_503,
    M1,
    M2,
    M3,
    POOL,
    RESET,
    TIMED_OUT,
    VS,
    a_request,
    at,
    facts,
    health,
    well,
)
from .test_rules_unreached import CUT, unreached

LOST = a_request(0, None, took=None)
OTHER_POOL, STRANGE = "/Common/pool_stock", ("/Common/stock1:80", "/Common/stock2:80")


def device(seconds: float, state: str) -> Any:
    return health(seconds, state, kind="device", pool="")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ((device(-5, "standby"), device(4, "active")), "failover"),
        ((device(9, "standby"), device(20, "active")), "unanswered"),  # what ended before it began is no effect of it
        ((device(9, "active"),), "failover"),  # a unit that dies says nothing: the other one notices later
        ((device(-20, "standby"), device(-10, "active")), "unanswered"),  # the other unit served long before
    ],
)
def test_a_failover_lasts_from_when_one_unit_gave_up_until_the_other_served(said: tuple[Any, ...], cause: str) -> None:
    assert judge(facts((LOST,), RESET, GOOD_BEFORE, health=said)).cause == cause


def test_what_a_member_answered_no_failover_made() -> None:
    said = (device(-1, "standby"), device(1, "active"))
    assert judge(facts((a_request(0, 503, M2),), HTTP_503, well(M1, M3), health=said)).cause == "member_grey"


def test_a_limit_below_what_the_path_takes_comes_before_a_failover() -> None:
    usual = tuple(a_request(-600 - n, 200, M2, 11.0) for n in range(6))
    long = a_request(-9, None, took=None)
    assert judge(facts((long,), TIMED_OUT, health=(device(-1, "standby"),), before=usual)).cause == "task_timeout"


def test_one_member_is_slow_only_beside_others_that_were_quick_meanwhile() -> None:
    slow = tuple(a_request(-12 + 3 * n, 200, M1, 12.0) for n in range(3))
    meanwhile, after = well(M2, M3), tuple(a_request(1 + n, member=m) for n, m in enumerate((M2, M3, M2)))
    assert judge(facts((LOST,), TIMED_OUT, (*slow, *meanwhile))).cause == "slow_member"
    assert judge(facts((LOST,), TIMED_OUT, (*slow, *after))).cause == "unanswered"


def test_a_service_three_times_as_slow_as_usual_on_all_paths_is_slow_though_its_answers_would_have_come_in_time() -> (
    None
):
    run = tuple(a_request(-30 + 5 * n, 200, (M1, M2, M3)[n % 3], 5.0, path=f"/p{n % 2}") for n in range(5))
    usual = tuple(a_request(-600 - n, took=0.2) for n in range(6))
    assert judge(facts((LOST,), TIMED_OUT, run, before=usual)).cause == "service_slow"
    assert judge(facts((LOST,), TIMED_OUT, run[:4], before=usual)).cause == "unanswered"
    assert judge(facts((LOST,), TIMED_OUT, (*run, a_request(-2, 200, M1, 0.1)), before=usual)).cause == "unanswered"


def test_a_member_that_answers_nothing_while_requests_are_lost_is_named() -> None:
    peer = health(0, "reset_sent", kind="virtual", pool="", member="10.0.0.1:8080", reason="{peer} TCP RST from remote system",
                  raw="RST sent from 10.0.0.1:8080 to 10.9.0.5:40000, [0x1:2] {peer} TCP RST from remote system")  # fmt: skip
    lost = tuple(a_request(-24 + 12 * n, None, took=None) for n in range(2))
    meanwhile = tuple(a_request(-23 + n, member=(M2, M3)[n % 2]) for n in range(14))
    earlier = tuple(r for r in GOOD_BEFORE if r.at < at(-25))
    found = judge(facts((LOST,), RESET, (*earlier, *lost, *meanwhile), health=(peer,)))
    assert (found.cause, found.component_kind, found.component) == ("reset_by_server", "member", M1)
    found = judge(facts((LOST,), RESET, (*GOOD_BEFORE, *lost), health=(peer,)))
    assert (found.cause, found.component_kind, found.component) == ("reset_by_server", "pool", POOL)
    told = judge(facts((LOST,), RESET, GOOD_BEFORE, health=(peer, health(9, "down", M1)), end=0.5))
    assert (told.cause, told.component) == ("member_down", M1)  # its monitor says why


def changed(minutes: tuple[Minute, ...]) -> Facts:
    """Unanswered requests since a change of four minutes before, by minutes; the nearest two minutes are all lost."""
    near = tuple(a_request(-100 + 5 * n, None, took=None) for n in range(20))
    change = Change(at(-240), "netops", "modify", VS, "raw", text=f"modify ltm virtual {VS} profiles none")
    given = facts((LOST,), RESET, near, changes=(change,))
    return replace(given, routes={1: replace(given.routes[1], minutes=minutes)})


def test_a_change_breaks_what_fails_from_then_on_without_a_pause() -> None:
    before = tuple(Minute(at(60 * n), 12, 0, 0) for n in range(-14, -4))
    assert judge(changed((*before, *(Minute(at(60 * n), 12, 0, 12) for n in range(-3, 1))))).cause == "config_change"
    healed = (
        Minute(at(-180), 12, 0, 12),
        Minute(at(-120), 12, 0, 0),
        Minute(at(-60), 12, 0, 12),
        Minute(at(0), 12, 0, 12),
    )
    assert judge(changed((*before, *healed))).cause == "unanswered"


def test_what_went_well_in_the_second_of_a_change_may_have_come_before_it() -> None:
    change = Change(at(-60), "netops", "modify", VS, "raw", text=f"modify ltm virtual {VS} profiles none")
    near = (*(a_request(-100 + 5 * n) for n in range(8)), a_request(-59.8), a_request(-59.3),
            *(a_request(-57 + 5 * n, None, took=None) for n in range(11)))  # fmt: skip
    assert judge(facts((LOST,), RESET, near, changes=(change,))).cause == "config_change"


def test_a_member_that_does_not_find_what_nobody_ever_found_is_well() -> None:
    asked = a_request(0, 404, M2, path="/orders/v9", uri="/orders/v9")
    log = replace(HTTP_404, url="http://10.0.0.1:8080/orders/v9")
    others = tuple(a_request(-9 + n, 404, M2, path="/old") for n in range(2))
    assert judge(facts((asked,), log, (*well(M1, M3), *others))).cause == "bad_request"


def moved(pool: str, names: tuple[str, ...], **more: Any) -> tuple[Request, ...]:
    return tuple(
        a_request(-6 + n, 404, names[n % 2], f5_pool=pool, path=f"/p{n % 3}", uri=f"/p{n % 3}", **more)
        for n in range(6)
    )  # fmt: skip


def test_where_other_paths_went_another_way_at_once_it_is_the_route_though_this_path_has_no_past() -> None:
    asked = a_request(0, 404, STRANGE[0], f5_pool=OTHER_POOL)
    until = tuple(a_request(-60 + n, member=M1, path=f"/p{n % 3}", uri=f"/p{n % 3}") for n in range(12))
    assert judge(facts((asked,), HTTP_404, (*until, *moved(OTHER_POOL, STRANGE)))).cause == "misroute"
    assert judge(facts((asked,), HTTP_404, moved(OTHER_POOL, STRANGE))).cause == "bad_request"


def test_where_the_log_names_no_pool_members_that_never_answered_here_tell_of_a_wrong_way() -> None:
    nameless = f"pool of {VS}"
    asked = a_request(0, 404, "10.3.0.9", f5_pool=nameless)
    usual = tuple(a_request(-600 - n, member=f"10.2.0.{n % 2}", f5_pool=nameless) for n in range(6))
    strange = moved(nameless, ("10.3.0.8", "10.3.0.9"))
    assert judge(facts((asked,), HTTP_404, strange, before=usual)).cause == "misroute"
    one = tuple(r for r in strange if r.member == "10.3.0.9")
    assert judge(facts((asked,), HTTP_404, one, before=usual)).cause != "misroute"  # one may have been added


def test_one_api_server_that_does_not_know_what_the_others_do_is_out_of_order() -> None:
    asked = a_request(0, 404, M2, **API)
    others = tuple(a_request(-9 + n, 200, (M1, M3)[n % 2], **API) for n in range(8))
    assert judge(facts((asked,), None, others)).cause == "api_unreachable"
    assert judge(facts((asked,), None)).cause == "undecided"


def test_only_a_broken_connection_can_be_cut_by_an_idle_timeout() -> None:
    long = a_request(-30, None, took=None)
    cuts = (30.0, 30.1, 29.9)
    assert judge(facts((long,), RESET, well(M1, M2), cuts=cuts, end=0.0)).cause == "idle_timeout"
    slow = facts((long,), None, well(M1, M2), cuts=cuts, end=0.0, slow=True, state="success", own_s=40.0, median_s=4.0)
    assert judge(slow).cause == "undecided"  # whoever gives up by a limit of its own leaves equal times as well


def test_a_slow_try_lost_its_time_to_all_requests_of_an_endpoint_together() -> None:
    calls = tuple(a_request(-15 + 5 * n, 200, (M1, M2, M3)[n], 4.5) for n in range(3))
    quick = tuple(a_request(-600 - n, took=0.2) for n in range(6))
    given = facts(calls, None, slow=True, state="success", own_s=16.0, median_s=2.0, before=quick)
    assert judge(given).cause == "service_slow"
    always = facts(calls, None, slow=True, state="success", own_s=16.0, median_s=2.0,
                   before=tuple(a_request(-600 - n, took=4.4) for n in range(6)))  # fmt: skip
    assert judge(always).cause == "undecided"  # its calls took what they always take


def test_without_keys_the_equal_runs_of_a_task_tell_of_an_idle_timeout() -> None:
    long = replace(a_request(-30, None, took=None), link=Link.TIME_AND_ENDPOINT)
    given = facts((), RESET, (long, *well(M1, M2)), candidates=(Candidate(long, 0, Link.TIME_AND_ENDPOINT),), end=0.0)
    for runs, cause in (((4.0, 4.3, 3.9, 60.0), "idle_timeout"), ((4.0, 60.0, 3.9), "unanswered")):
        route = replace(given.routes[1], runs=runs)
        began = replace(given.attempt, start_at=at(-4))
        assert judge(replace(given, attempt=began, routes={1: route})).cause == cause


def test_a_slow_try_that_waited_for_its_worker_did_not_lose_that_time_to_a_request_of_somebody() -> None:
    other = replace(a_request(-20, took=40.0), link=Link.TIME_AND_ENDPOINT)
    given = facts((), None, (other,), candidates=(Candidate(other, 0, Link.TIME_AND_ENDPOINT),), end=30.0, slow=True,
                  state="success", own_s=70.0, median_s=5.0)  # fmt: skip
    waited = replace(given, attempt=replace(given.attempt, queued_at=at(-40), start_at=at(28)))
    assert judge(waited).cause == "slot_starvation"
    assert judge(replace(given, attempt=replace(given.attempt, queued_at=at(-40), start_at=at(-10)))).request is None


def test_where_lines_are_lost_the_device_s_own_word_still_counts_and_a_silence_does_not() -> None:
    lossy = Coverage(True, known_host=True, thin="lb1 lacks lines")
    off = health(-30, "unavailable", kind="virtual", pool="", member=VS)
    assert judge(replace(unreached("connect", (), (off,)), coverage=lossy)).cause == "vip_unreachable"
    assert judge(replace(unreached("connect", CUT), coverage=lossy)).cause == "no_data"
    here_and_there = replace(lossy, scattered=True)
    assert judge(replace(unreached("connect", CUT), coverage=here_and_there)).cause == "vip_unreachable"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ((device(-30, "memory_pressure"),), "device_overload"),
        ((device(-30, "memory_pressure"), device(2, "memory_relieved")), "device_overload"),
        ((device(-55, "memory_pressure"), device(-40, "memory_relieved")), "unanswered"),
        ((device(-90, "memory_pressure"),), "unanswered"),  # as the request began it was short, as it ended no more
    ],
)
def test_a_device_that_is_short_of_memory_ends_what_ends_then(said: tuple[Any, ...], cause: str) -> None:
    long = a_request(-60, None, took=None)
    assert judge(facts((long,), RESET, GOOD_BEFORE, health=said, end=0.0)).cause == cause


def other_path(*times: tuple[float, float]) -> tuple[Request, ...]:
    return tuple(a_request(s, 200, (M1, M2, M3)[n % 3], took, path="/other") for n, (s, took) in enumerate(times))


def test_a_third_party_that_only_some_paths_need_makes_those_slow_on_every_member() -> None:
    usual = tuple(a_request(-600 - n, took=0.2) for n in range(6))
    quick = other_path(*((-40.0 + 3 * n, 0.1) for n in range(20)))
    late = tuple(a_request(-30 + 10 * n, 200, (M1, M2, M3)[n], 24.0) for n in range(3))
    assert judge(facts((LOST,), TIMED_OUT, (*late, *quick), before=usual)).cause == "service_slow"
    assert judge(facts((LOST,), TIMED_OUT, (*late, *quick))).cause == "undecided"  # it may always take so long
    one = tuple(replace(r, member=M1) for r in late)
    assert judge(facts((LOST,), TIMED_OUT, (*one, *quick), before=usual)).cause != "service_slow"


def test_a_part_of_the_answers_that_is_slow_from_every_member_is_the_services() -> None:
    usual = tuple(a_request(-600 - n, took=0.2) for n in range(6))
    members = (M1, M2, M3)
    mixed = tuple(a_request(-40 + 4 * n, 200, members[n % 3], 22.0 if n % 2 else 0.1) for n in range(12))
    assert judge(facts((LOST,), TIMED_OUT, mixed, before=usual)).cause == "service_slow"
    lost = tuple(a_request(-39 + 4 * n, None, took=None) for n in range(8))
    assert judge(facts((LOST,), TIMED_OUT, (*mixed, *lost), before=usual)).cause == "unanswered"  # more lost than late
    slow_before = (*usual, a_request(-700, took=25.0))
    assert judge(facts((LOST,), TIMED_OUT, mixed, before=slow_before)).cause == "unanswered"
    at_one = tuple(replace(r, member=M1) if (r.seconds or 0) > 1 else r for r in mixed)
    assert judge(facts((LOST,), TIMED_OUT, at_one, before=usual)).cause != "service_slow"


def test_thin_counts_single_no_member_out_where_the_others_fail_on_other_paths() -> None:
    """Seen on a service that failed on every member with two requests of three."""
    request = a_request(0, 503, M1)
    around = (*(a_request(0.1 + n / 10, 503, M1) for n in range(2)), a_request(0.05, 200, M2), a_request(0.15, 200, M3))
    elsewhere = (a_request(22, 503, M3, path="/list"), a_request(27, 503, M2, path="/other"))
    found = judge(facts((request,), HTTP_503, around))
    assert (found.cause, found.component) == ("member_grey", M1)  # one in ten by luck
    assert judge(facts((request,), HTTP_503, (*around, *elsewhere))).cause == "service_failing"


def test_more_members_that_fail_than_are_well_are_told_from_them_by_many_answers_only() -> None:
    request = a_request(0, 503, M1)
    few = tuple(a_request(-0.5 + n / 10, 200 if n % 3 == 2 else 503, (M1, M2, M3)[n % 3]) for n in range(6))
    assert judge(facts((request,), HTTP_503, few)).cause == "undecided"
    many = tuple(a_request(-2 + n / 10, 200 if n % 3 == 2 else 503, (M1, M2, M3)[n % 3]) for n in range(36))
    assert judge(facts((request,), HTTP_503, many)).cause == "member_grey"


def test_a_change_is_not_blamed_for_what_began_after_all_had_gone_well_again() -> None:
    change = Change(at(-110), "netops", "modify", VS, "raw", text=f"modify ltm virtual {VS} profiles none")
    before = tuple(a_request(-170 + 3 * n, 200, (M1, M2, M3)[n % 3]) for n in range(19))
    broken = tuple(a_request(-109 + 3 * n, None, took=None) for n in range(10))
    between = tuple(a_request(-79 + 3 * n, 200, (M1, M2, M3)[n % 3]) for n in range(16))
    now = tuple(a_request(-30 + 3 * n, None, took=None) for n in range(10))
    assert judge(facts((LOST,), RESET, (*before, *broken, *between, *now), changes=(change,))).cause == "unanswered"
    still = tuple(a_request(-79 + 3 * n, None, took=None) for n in range(16))
    assert judge(facts((LOST,), RESET, (*before, *broken, *still, *now), changes=(change,))).cause == "config_change"


def test_a_bad_answer_of_another_pools_member_is_a_misroute_though_the_log_names_the_usual_pool() -> None:
    """A request log says the virtual server's own pool, whichever one an iRule chose."""
    usual = tuple(a_request(-600 - n, member=(M1, M2)[n % 2]) for n in range(6))
    strange = a_request(0, 404, "10.60.7.22:9200")
    given = facts((strange,), HTTP_404, before=usual)
    for home, cause in ((OTHER_POOL, "misroute"), (POOL, "undecided")):
        routes = {1: replace(given.routes[1], homes={"10.60.7.22:9200": (home,)})}
        assert judge(replace(given, routes=routes)).cause == cause
    well_once = (*usual, replace(strange, status=200, at=at(-700)))
    there = replace(given.routes[1], homes={"10.60.7.22:9200": (OTHER_POOL,)}, before=well_once)
    assert judge(replace(given, routes={1: there})).cause != "misroute"  # it has answered this path well


def test_a_time_out_that_names_no_host_is_that_of_the_call_to_airflow_which_nobody_answered() -> None:
    """The task SDK's own client says "timed out" and no more; an outbound call that went badly might say the same."""
    nameless = replace(TIMED_OUT, host="", port=None, timeout_s=None)
    asked = a_request(-3, None, took=None, path="/execution/task-instances/{uuid}/rtif", method="PUT")
    assert judge(facts((asked,), nameless)).cause == "api_unreachable"
    assert judge(facts((asked,), TIMED_OUT)).cause == "undecided"  # it names another host
    beat = replace(asked, path="/execution/task-instances/{uuid}/heartbeat")
    assert judge(facts((beat,), nameless)).cause == "undecided"
    assert judge(facts((asked, LOST), nameless, GOOD_BEFORE)).cause == "unanswered"
