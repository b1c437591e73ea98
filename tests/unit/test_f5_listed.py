"""Which answers are whole lists, and what was deleted between two of them: rather nothing than too much."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ingest.parsers import f5_listed
from ingest.parsers.f5_listed import Key
from tests.icontrol import sample

MEMBER = Key("member", "/Common/pool_orders", "/Common/orders1:9000")


def pools() -> Any:
    return copy.deepcopy(sample("pool"))


def _orders(answer: Any) -> Any:
    return next(row for row in answer["items"] if row["fullPath"] == "/Common/pool_orders")


def test_the_recorded_answer_is_a_list() -> None:
    whole = f5_listed.pools(pools())
    assert whole is not None and MEMBER in whole.keys and MEMBER.name in whole.expanded
    servers = f5_listed.virtuals(sample("virtual"))
    assert servers is not None and Key("virtual", "/Common/vs_orders") in servers.keys


@pytest.mark.parametrize(
    "broken",
    [
        None, [], {}, {"items": []}, {"items": None}, {"kind": "tm:ltm:pool:poolcollectionstate"}, {"items": [{"a": 1}]},
        {"items": [{"fullPath": "/Common/p"}, "x"]}, {"code": 403, "message": "no"}, "<html>",
        {"items": [{"fullPath": "/Common/p"}], "nextLink": "https://localhost/mgmt/tm/ltm/pool?$skip=1"},
        {"items": [{"fullPath": "/Common/p"}], "totalItems": 2},
    ],
)  # fmt: skip
def test_what_may_lack_something_is_no_list(broken: Any) -> None:
    assert f5_listed.pools(broken) is None and f5_listed.virtuals(broken) is None


def test_pages_that_add_up_are_a_list() -> None:
    paged = {"items": [{"fullPath": "/Common/p"}], "nextLink": "?$skip=1", "totalItems": 1}
    assert f5_listed.pools(paged) is not None


def test_a_deleted_member_and_a_deleted_pool() -> None:
    before = f5_listed.pools(pools())
    answer = pools()
    _orders(answer)["membersReference"]["items"].pop(0)
    now = f5_listed.pools(answer)
    assert before and now and f5_listed.gone(before.keys, now) == {MEMBER}
    answer["items"].remove(_orders(answer))
    now = f5_listed.pools(answer)
    assert now and {key.name for key in f5_listed.gone(before.keys, now)} == {"/Common/pool_orders"}
    assert Key("pool", "/Common/pool_orders") in f5_listed.gone(before.keys, now)


def test_members_that_were_not_expanded_are_not_deleted() -> None:
    before = f5_listed.pools(pools())
    for lost in ({"link": "x", "isSubcollection": True, "items": ["x"]}, None, {"items": [{}]}):
        answer = pools()
        _orders(answer)["membersReference"] = lost
        now = f5_listed.pools(answer)
        assert before and now and f5_listed.gone(before.keys, now) == set()
    answer = pools()
    for row in answer["items"]:  # none was: the device did not expand at all
        row["membersReference"] = {"link": "x", "isSubcollection": True}
    now = f5_listed.pools(answer)
    assert before and now and f5_listed.gone(before.keys, now) == set()


def test_a_pool_that_lost_its_last_member() -> None:
    before = f5_listed.pools(pools())
    answer = pools()
    _orders(answer)["membersReference"] = {"link": "x", "isSubcollection": True}
    now = f5_listed.pools(answer)
    assert before and now and {key.name for key in f5_listed.gone(before.keys, now)} == {"/Common/pool_orders"}


def test_a_partition_that_is_not_shown_any_more_may_be_hidden() -> None:
    before = {Key("pool", "/Shop/p"), Key("pool", "/Common/p"), Key("pool", "/Common/shop.app/q")}
    now = f5_listed.Listed(frozenset({Key("pool", "/Common/x")}))
    assert f5_listed.gone(before, now) == {Key("pool", "/Common/p"), Key("pool", "/Common/shop.app/q")}


def test_what_the_poller_lists() -> None:
    told = {"pools": {"/Common/p": {"members": {"/Common/m:80": {}}}, "/Common/q": {}}}
    listed = f5_listed.polled_pools(told)
    assert listed and listed.expanded == {"/Common/p"} and Key("pool", "/Common/q") in listed.keys
    for broken in ({}, {"pools": {}}, {"pools": []}, {"pools": {"/Common/p": None}}):
        assert f5_listed.polled_pools(broken) is None
    assert f5_listed.polled_virtuals({"virtualServers": {"/Common/vs": {}}}) is not None
