"""What a contract covers and expects, and the misroute that rests on one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest.rules import judge
from ingest.rules.contracts import Contract, broken_by, covers, family_of, prefix_of, says
from tests.unit.test_rules import HTTP_503, M1, POOL, T0, a_request, facts

OTHER = "/Common/pool_other"
LONG_AGO = T0 - timedelta(days=9)


def a_contract(**more: Any) -> Contract:
    fields: dict[str, Any] = {
        "id": 7, "source": "learned", "host": "", "prefix": "/orders", "agent": "", "count": 4210, "ready_at": LONG_AGO,
        "pools": ((POOL, LONG_AGO),),
    }  # fmt: skip
    return Contract(**{**fields, **more})


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/orders/{id}", "/orders"), ("/orders", "/orders"), ("/", "/"), ("", "/"), ("*", "/"), ("/api/v2/dags/{id}", "/api/v2"),
        ("/execution/task-instances/{uuid}/run", "/execution/task-instances"), ("/a//b", "/a"), ("/a?x=/b", "/a"),
    ],
)  # fmt: skip
def test_a_path_is_learned_under_its_first_segments(path: str, prefix: str) -> None:
    assert prefix_of(path) == prefix


@pytest.mark.parametrize(
    ("agent", "family"),
    [("python-requests/2.31", "python-requests"), ("apache-airflow-task-sdk/1.3.2 (Python/3.12)", "apache-airflow-task-sdk"),
     ("Mozilla/5.0 (X11; Linux)", "Mozilla"), ("", ""), ("  curl", "curl"), ("(", "")],
)  # fmt: skip
def test_versions_of_a_client_are_one_family(agent: str, family: str) -> None:
    assert family_of(agent) == family


def test_a_learned_contract_covers_what_it_was_learned_from_and_a_declared_one_all_below() -> None:
    learned, declared = a_contract(), a_contract(source="declared")
    assert covers(learned, "/orders/{id}")
    assert not covers(learned, "/orders/new")
    assert covers(declared, "/orders/new/{id}")
    assert not covers(declared, "/orders2")
    assert covers(a_contract(source="declared", prefix="/"), "/anything")


def test_client_and_host_are_asked_only_where_they_are_known() -> None:
    one = a_contract(agent="curl", host="a.example")
    assert covers(one, "/orders")
    assert not covers(one, "/orders", agent="python-requests/2")
    assert not covers(one, "/orders", host="b.example")
    assert covers(one, "/orders", agent="curl/8", host="A.example")


def test_a_pool_that_one_of_the_contracts_expects_breaks_nothing() -> None:
    blue = a_contract(id=8, agent="curl", pools=((OTHER, LONG_AGO),))
    assert broken_by([a_contract(), blue], OTHER, "/orders", T0) is None
    assert broken_by([a_contract(), blue], OTHER, "/orders", T0, agent="python-requests/2") == a_contract()


def test_declared_contracts_beat_learned_ones_and_the_longest_path_decides() -> None:
    wide = a_contract(id=1, source="declared", prefix="/", pools=((OTHER, LONG_AGO),))
    deep = a_contract(id=2, source="declared", prefix="/orders", pools=((POOL, LONG_AGO),))
    assert broken_by([a_contract(), wide, deep], OTHER, "/orders", T0) == deep
    assert broken_by([a_contract(), wide], POOL, "/orders", T0) == wide


def test_what_was_not_in_force_then_is_not_broken() -> None:
    assert broken_by([a_contract(ready_at=T0 + timedelta(seconds=1))], OTHER, "/orders", T0) is None
    adopted = a_contract(pools=((POOL, LONG_AGO), (OTHER, T0 + timedelta(seconds=1))))
    assert broken_by([adopted], OTHER, "/orders", T0) == adopted
    assert broken_by([adopted], OTHER, "/orders", T0 + timedelta(seconds=1)) is None


def misrouted(*contracts: Contract, before: int = 6, pool: str = OTHER) -> Any:
    usual = tuple(a_request(-600 - n) for n in range(before))
    found = facts((a_request(0, 503, M1, f5_pool=pool),), HTTP_503, before=usual)
    return judge(replace(found, routes={1: replace(found.routes[1], contracts=contracts)}))


def test_a_misroute_cites_the_contract_it_breaks() -> None:
    found = misrouted(a_contract(), before=0)
    assert found.cause == "misroute"
    assert found.sentence == "Route: /orders went to pool_other; its contract says pool_orders."
    assert says(a_contract(), T0) in [text for _, text in found.reasons]


def test_a_verdict_stays_the_same_while_a_contract_goes_on_learning() -> None:
    assert misrouted(a_contract()) == misrouted(a_contract(count=999_999))


def test_a_contract_acquits_what_the_hour_before_would_accuse() -> None:
    assert misrouted().cause == "misroute"
    assert misrouted(a_contract(pools=((POOL, LONG_AGO), (OTHER, LONG_AGO)))).cause != "misroute"


def test_without_a_contract_of_its_path_the_hour_before_decides() -> None:
    assert misrouted(a_contract(prefix="/stock")).cause == "misroute"
    assert misrouted(a_contract(prefix="/stock"), before=2).cause != "misroute"


def test_a_declared_contract_is_told_with_who_declared_it() -> None:
    one = a_contract(
        source="declared", by="ann", host="a.example", agent="curl", pools=((POOL, LONG_AGO), (OTHER, LONG_AGO))
    )
    words = f"Contract 7 sends a.example/orders of curl to pool_orders or pool_other: declared by ann on {LONG_AGO:%-d %b %Y}."
    assert says(one, T0) == words
