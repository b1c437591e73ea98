"""What is one incident, and what must stay two."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.incidents.groups import Item, group, sequence

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
