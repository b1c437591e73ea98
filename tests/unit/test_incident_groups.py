"""What is one incident, and what must stay two."""

from __future__ import annotations

import dataclasses
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.incidents.alike import ALIKE, JOINS, RANK
from ingest.incidents.groups import FLAPS, LEAST_OUT, Group, Item, group, parents, sequence
from ingest.rules.causes import CAUSES

T0 = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
A, B = frozenset({"orders1"}), frozenset({"orders2"})


def an_item(
    start: float, cause: str = "member_grey", end: float | None = None, members: frozenset[str] = A, **more: Any
) -> Item:
    over = T0 + timedelta(seconds=start + 1 if end is None else end)
    fields: dict[str, Any] = {
        "culprit": "route",
        "group": 1,
        "place": "pool_orders",
        "members": members,
        "verdict_id": int(start * 10),
    }
    return Item(T0 + timedelta(seconds=start), over, cause=cause, **{**fields, **more})


def causes(*items: Item) -> list[str]:
    return [g.cause for g in sequence(group(items))]


def test_many_tries_on_one_failed_member_are_one_incident() -> None:
    assert causes(*(an_item(n * 5) for n in range(40))) == ["member_grey"]


def test_the_same_trouble_within_ten_minutes_is_the_same_incident_and_later_a_new_one() -> None:
    assert len(causes(an_item(0), an_item(590))) == 1
    assert len(causes(an_item(0), an_item(700))) == 2


def test_another_member_at_another_time_is_another_incident() -> None:
    assert len(causes(an_item(0), an_item(300, members=B))) == 2


def test_two_members_in_the_same_trouble_at_the_same_time_are_one() -> None:
    assert causes(an_item(0, "reset_by_server"), an_item(5, "reset_by_server", members=B)) == ["reset_by_server"]


def test_one_member_after_the_other_has_recovered_is_another_incident() -> None:
    assert len(causes(an_item(0), an_item(20), an_item(65, members=B), an_item(80, members=B))) == 2


def test_what_nobody_answered_before_is_no_part_of_a_later_members_trouble() -> None:
    assert len(causes(an_item(0, "unanswered", members=frozenset()), an_item(40, members=B))) == 2


def test_two_members_by_turns_are_one_incident() -> None:
    assert len(causes(an_item(0), an_item(30, members=B), an_item(60), an_item(90, members=B))) == 1


def test_members_that_go_down_one_by_one_until_the_pool_has_none_are_one() -> None:
    items = [
        an_item(0, "member_down", 57, verdict_id=None), an_item(1, "member_down", 57, B, verdict_id=None),
        an_item(1, "no_member", 57, frozenset(), verdict_id=None), an_item(30, "no_member", members=frozenset()),
    ]  # fmt: skip
    assert causes(*items) == ["no_member"]


def test_two_pools_are_two_incidents_even_at_the_same_second() -> None:
    assert len(causes(an_item(0), an_item(0, place="pool_reports"))) == 2


def test_what_nobody_answered_belongs_to_the_named_trouble_of_the_same_pool_and_time() -> None:
    assert causes(
        an_item(0, "slow_member"), an_item(5, "unanswered", members=frozenset()), an_item(8, "slow_member")
    ) == ["slow_member"]


def test_the_order_of_arrival_does_not_matter() -> None:
    items = [an_item(n * 7, members=A if n % 2 else B) for n in range(30)]
    items += [an_item(n * 60 + 3, "no_member", members=frozenset(), place="pool_reports") for n in range(20)]
    expected = [sorted(i.verdict_id or 0 for i in g.items) for g in sequence(group(items))]
    for seed in range(5):
        random.Random(seed).shuffle(items)
        assert [sorted(i.verdict_id or 0 for i in g.items) for g in sequence(group(items))] == expected


def test_every_cause_of_the_tables_is_one_of_the_rules_and_all_that_blame_have_a_rank() -> None:
    named = {cause for pair in ALIKE for cause in pair} | set(JOINS) | set(RANK)
    assert named <= set(CAUSES)
    assert {c.code for c in CAUSES.values() if c.culprit in ("route", "service")} <= set(RANK)


def test_two_named_troubles_are_not_tied_together_by_what_nobody_answered_between_them() -> None:
    items = [an_item(0), an_item(10, "unanswered", members=frozenset()), an_item(22, "unanswered", members=frozenset())]
    items += [an_item(30, members=B), an_item(45, members=B)]
    found = sequence(group(items))
    assert [[i.verdict_id for i in g.items] for g in found] == [[0, 100], [220, 300, 450]]


def test_what_nobody_answered_between_two_slow_answers_of_a_member_is_that_members() -> None:
    nobody = an_item(50, "unanswered", members=frozenset())
    assert causes(an_item(0, "slow_member"), an_item(100, "slow_member"), nobody) == ["slow_member"]
    assert len(causes(an_item(0, "slow_member"), nobody)) == 2
    assert len(causes(an_item(0, "slow_member"), an_item(200, "slow_member"), nobody)) == 2


def test_what_reached_the_virtual_server_is_not_explained_by_its_being_gone() -> None:
    gone = an_item(12, "vip_unreachable", members=frozenset())
    assert len(causes(an_item(0, "unanswered", members=frozenset()), gone)) == 2


def test_an_outage_that_a_monitor_tells_of_explains_what_was_unanswered_at_its_beginning_alone() -> None:
    out = an_item(60, "member_down", 3600, B, verdict_id=None, event_id=7)
    dying = an_item(50, "unanswered", members=frozenset())
    later = an_item(1800, "unanswered", members=frozenset())
    assert [len(g.items) for g in sequence(group([out, dying, later]))] == [2, 1]


def test_service_troubles_of_other_kinds_on_one_pool_stay_apart() -> None:
    refused = an_item(0, "service_refused", members=frozenset(), culprit="service")
    failing = an_item(30, "service_failing", members=frozenset(), culprit="service")
    slow = an_item(40, "service_slow", members=frozenset(), culprit="service")
    assert [sorted({i.cause for i in g.items}) for g in sequence(group([refused, failing, slow]))] == [
        ["service_refused"], ["service_failing", "service_slow"],
    ]  # fmt: skip


def monitored(start: float, end: float | None, **more: Any) -> Item:
    item = an_item(start, "member_down", end, verdict_id=None, event_id=int(start) + 1, **more)
    return item if end is not None else dataclasses.replace(item, end=None)


def opens(*items: Item, known: float = 7200) -> bool:
    (found,) = group(items)
    return found.opens(T0 + timedelta(seconds=known))


def test_a_blip_of_a_monitor_opens_nothing_and_an_outage_does() -> None:
    least = LEAST_OUT.total_seconds()
    assert not opens(monitored(0, least - 1))
    assert opens(monitored(0, least))
    assert not opens(monitored(0, None), known=least - 1)
    assert opens(monitored(0, None), known=least)


def test_a_member_that_flaps_opens_one_incident_of_its_own_cause() -> None:
    blips = [monitored(n * 60, n * 60 + 5) for n in range(FLAPS)]
    assert not opens(*blips[:-1])
    assert opens(*blips)
    assert causes(*blips) == ["monitor_flap"]


def test_a_final_verdict_opens_at_once_and_a_provisional_one_waits_for_a_second() -> None:
    assert opens(an_item(0))
    assert not opens(an_item(0, final=False))
    assert opens(an_item(0, final=False), an_item(5, final=False))
    assert opens(an_item(0, final=False), an_item(5))


def test_a_pool_without_members_is_over_when_it_has_members_though_one_is_still_out() -> None:
    out = [monitored(0, None), monitored(5, 60, members=B)]
    empty = an_item(5, "no_member", 60, frozenset(), verdict_id=None, event_id=99)
    (found,) = group([*out, empty])
    assert (found.cause, found.end) == ("no_member", T0 + timedelta(seconds=60))


def test_a_member_that_was_out_for_long_does_not_date_the_pools_outage() -> None:
    items = [monitored(-7200, None), monitored(0, 60, members=B)]
    items.append(an_item(1, "no_member", 60, frozenset(), verdict_id=None, event_id=99))
    (found,) = group(items)
    assert found.start == T0


def failed_over(start: float, place: str, **more: Any) -> Item:
    return an_item(start, "failover", members=frozenset(), place=place, **more)


def parts(*items: Item) -> list[list[str]]:
    found = group(items)
    return [[found[n].first.place for n in chain] for chain in parents(found)]


def test_a_failover_that_hits_several_pools_has_one_parent() -> None:
    assert parts(failed_over(0, "a"), failed_over(9, "b"), failed_over(50, "c")) == [["a", "b", "c"]]
    assert len(group([failed_over(0, "a"), failed_over(9, "b")])) == 2, "its parts stay rows of their own"


def test_what_is_no_device_s_trouble_has_no_parent() -> None:
    assert parts(failed_over(0, "a")) == [], "one pool"
    assert parts(an_item(0, place="a"), an_item(0, place="b")) == [], "members of two pools"
    assert parts(failed_over(0, "a"), failed_over(0, "b", group=2)) == [], "two devices"
    assert parts(failed_over(0, "a"), failed_over(300, "b")) == [], "another time"


def test_changes_have_one_parent_only_if_they_are_the_very_same_change() -> None:
    def changed(place: str, line: int) -> Item:
        return an_item(0, "config_change", members=frozenset(), place=place, line_id=line)

    assert parts(changed("a", 1), changed("b", 1)) == [["a", "b"]]
    assert parts(changed("a", 1), changed("b", 2)) == []


def test_a_storm_of_ten_thousand_is_grouped_in_a_moment() -> None:
    items = [an_item(n * 0.2, members=A if n % 3 else B, place=f"pool{n % 7}") for n in range(10_000)]
    began = time.perf_counter()
    assert len(group(items)) == 7
    assert time.perf_counter() - began < 2


def same(groups: list[Group]) -> list[list[tuple[Any, ...]]]:
    return [[(i.verdict_id, i.event_id, i.start) for i in g.items] for g in groups]


CAUSE = st.sampled_from(["member_grey", "slow_member", "unanswered", "no_member", "member_down", "service_failing"])


@st.composite
def one_item(draw: st.DrawFn) -> Item:
    start = draw(st.integers(0, 1500))
    cause = draw(CAUSE)
    members = draw(st.sampled_from([A, B])) if cause in ("member_grey", "slow_member", "member_down") else frozenset()
    by_monitor = cause in ("no_member", "member_down") and draw(st.booleans())
    known = {"verdict_id": None, "event_id": start + 1} if by_monitor else {}
    place = draw(st.sampled_from(["pool_orders", "pool_reports"]))
    return an_item(start, cause, start + draw(st.integers(0, 90)), members, place=place, **known)


@settings(max_examples=25, deadline=None)
@given(st.lists(one_item(), max_size=15), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_groups_and_every_item_is_in_one(items: list[Item], rng: random.Random) -> None:
    expected = same(group(items))
    rng.shuffle(items)
    assert same(group(items)) == expected
    assert sum(map(len, expected)) == len(items)


# What a greater trouble explains


def api(start: float, **more: Any) -> Item:
    return an_item(start, "api_unreachable", members=frozenset(), place="pool_api", **more)


def overloaded(start: float, place: str = "pool_orders") -> Item:
    return an_item(start, "device_overload", members=frozenset(), place=place)


def test_what_the_api_suffers_while_its_device_is_overloaded_is_a_part_of_that() -> None:
    assert parts(overloaded(0), api(-40), api(20)) == [["pool_orders", "pool_api"]]
    unanswered = an_item(30, "unanswered", members=frozenset(), place="pool_reports")
    assert parts(overloaded(0), overloaded(5, "pool_stock"), unanswered) == [
        ["pool_orders", "pool_stock", "pool_reports"]
    ]


def test_what_the_api_suffers_at_another_time_on_another_device_or_of_its_own_is_no_part() -> None:
    assert parts(overloaded(0), api(90)) == [], "later"
    assert parts(overloaded(0), api(5, group=2)) == [], "another device"
    empty = api(4, end=60, verdict_id=None, event_id=3)
    assert parts(overloaded(0), empty, api(5)) == [], "its pool had no member"


def test_an_outage_of_the_api_soon_after_an_overload_is_not_the_overloads() -> None:
    found = sequence(group([overloaded(0), api(10), api(190), api(200)]))
    assert [(g.cause, len(g.items)) for g in found] == [
        ("device_overload", 1), ("api_unreachable", 1), ("api_unreachable", 2),
    ]  # fmt: skip
    assert [[found[n].first.place for n in chain] for chain in parents(found)] == [["pool_orders", "pool_api"]]


def test_two_device_troubles_of_one_device_explain_each_their_own() -> None:
    found = sequence(group([failed_over(0, "a"), failed_over(1, "b"), overloaded(200, "a"), api(190)]))
    assert [sorted({found[n].cause for n in chain}) for chain in parents(found)] == [
        ["failover"], ["api_unreachable", "device_overload"],
    ]  # fmt: skip


def test_a_member_that_flaps_after_its_pool_had_none_is_not_the_pools_outage() -> None:
    outage = [monitored(0, 60), monitored(1, 58, members=B)]
    outage.append(an_item(1, "no_member", 58, frozenset(), verdict_id=None, event_id=99))
    flaps = [monitored(240 + n * 60, 250 + n * 60) for n in range(FLAPS)]
    assert causes(*outage, *flaps) == ["no_member", "monitor_flap"]
    assert causes(*outage, *(monitored(80 + n * 60, 100 + n * 60) for n in range(FLAPS)))[0] == "no_member"


def test_two_outages_of_a_pool_within_ten_minutes_are_one_with_all_their_members() -> None:
    def outage(at: float) -> list[Item]:
        empty = an_item(at, "no_member", at + 30, frozenset(), verdict_id=None, event_id=int(at) + 90)
        return [monitored(at, at + 30), monitored(at, at + 31, members=B), empty]

    assert causes(*outage(0), *outage(300)) == ["no_member"]
    assert len(causes(*outage(0), *outage(700))) == 2
