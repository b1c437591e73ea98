"""Contracts and findings: pages, forms, REST and exports; who may change what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import models
from ingest.models import RouteContract, RouteFinding
from tests import world

HOSTILE = "<script>alert(1)</script>"


def a_client(role: str = "operator") -> Client:
    user = get_user_model().objects.create_user(f"{role}-person")
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def endpoint(db: None) -> models.Endpoint:
    made = world.a_route()
    models.F5Pool.objects.create(group=made.group, name="/Common/pool_blue")
    world.a_feed(complete_to=timezone.now())
    return made


def a_contract(endpoint: models.Endpoint, **changes: Any) -> RouteContract:
    now = timezone.now()
    pools = {
        "/Common/pool_orders": {"count": 60, "since": now.isoformat()},
        "/Common/pool_blue": {"count": 3, "since": None},
    }
    facts = {
        "prefix": "/orders",
        "agent": "curl",
        "source": "learned",
        "pools": pools,
        "count": 60,
        "last_at": now,
        "ready_at": now,
    }
    return RouteContract.objects.create(endpoint=endpoint, **{**facts, **changes})


def a_finding(endpoint: models.Endpoint, **changes: Any) -> RouteFinding:
    at = timezone.now() - timedelta(minutes=4)
    facts = {
        "kind": "misroute", "at": at, "until": at + timedelta(minutes=2), "noticed_at": at, "count": 3, "requests": 3,
        "sentence": f"vs_orders sent {HOSTILE} to pool_blue.", "reasons": [{"for": True, "text": f"3 of 3 {HOSTILE}"}],
        "raw": f'host="{HOSTILE}"', "line_id": 7, "contract": changes.get("contract") or a_contract(endpoint),
    }  # fmt: skip
    return RouteFinding.objects.create(endpoint=endpoint, **{**facts, **changes})


@pytest.mark.parametrize("page", ["/", "/now/", "/findings/", "/endpoints/{}/"])
def test_what_was_flagged_is_shown_where_people_look(endpoint: models.Endpoint, page: str) -> None:
    a_finding(endpoint)
    text = a_client("viewer").get(page.format(endpoint.pk)).content.decode()
    assert "vs_orders sent &lt;script&gt;" in text
    assert HOSTILE not in text


def test_an_incident_on_the_same_endpoint_takes_it_in(endpoint: models.Endpoint) -> None:
    found = a_finding(endpoint)
    incident = world.an_incident(endpoint, found.at + timedelta(minutes=5))
    elsewhere = world.an_incident(world.a_route("stock"), found.at)
    told = a_client().get(f"/api/v1/findings/{found.pk}").json()
    assert told["incident_id"] == incident.pk != elsewhere.pk


def test_findings_are_narrowed_and_exported(endpoint: models.Endpoint) -> None:
    contract = a_finding(endpoint, state="over").contract
    a_finding(endpoint, kind="latency", side="slow", contract=contract)
    client = a_client()
    told = client.get("/api/v1/findings", {"kind": "latency", "endpoint": "vs_orders"}).json()
    assert [row["kind"] for row in told["results"]] == ["latency"]
    assert client.get("/api/v1/findings", {"state": "over"}).json()["results"][0]["kind"] == "misroute"
    assert client.get("/api/v1/findings", {"endpoint": "vs_stock"}).json()["results"] == []
    assert client.get("/api/v1/findings", {"kind": "odd"}).status_code == 400
    text = b"".join(client.get("/findings.csv?kind=misroute").streaming_content).decode()  # type: ignore[attr-defined]
    assert "# end: 1 rows written" in text
    assert "misroute" in text
    page = client.get("/findings/?state=open").content.decode().replace("\u00a0", " ")
    assert "/findings.json?" in page and "1 finding" in page


def test_a_contract_is_declared_switched_and_withdrawn_with_forms(endpoint: models.Endpoint) -> None:
    client, page = a_client(), f"/endpoints/{endpoint.pk}/"
    given = {"prefix": "/stock/", "pools": "/Common/pool_blue, pool_orders", "note": "moved in May"}
    answer = client.post(f"{page}contracts/", given)
    assert (answer.status_code, answer["Location"]) == (302, f"{page}#contracts")
    made = RouteContract.objects.get()
    assert (made.prefix, sorted(made.pools), made.by) == (
        "/stock",
        ["/Common/pool_blue", "/Common/pool_orders"],
        "operator-person",
    )
    text = client.get(page).content.decode()
    assert "declared by operator-person" in text and "moved in May" in text
    for do, state in (("off", "off"), ("on", "on")):
        client.post(f"{page}contracts/{made.pk}/", {"do": do})
        made.refresh_from_db()
        assert made.state == state
    client.post(f"{page}contracts/{made.pk}/", {"do": "withdraw"})
    assert not RouteContract.objects.exists()
    verbs = ["declare_contract", "switch_off_contract", "switch_on_contract", "withdraw_contract"]
    assert list(UserAction.objects.order_by("at", "id").values_list("verb", flat=True)) == verbs


def test_a_pool_that_was_met_is_accepted(endpoint: models.Endpoint) -> None:
    contract = a_contract(endpoint)
    page = f"/endpoints/{endpoint.pk}/"
    client = a_client()
    assert "accept pool_blue" in client.get(page).content.decode()
    client.post(f"{page}contracts/{contract.pk}/", {"do": "accept", "pool": "/Common/pool_blue"})
    contract.refresh_from_db()
    assert contract.pools["/Common/pool_blue"]["since"]
    assert contract.pools["/Common/pool_blue"]["count"] == 3


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"prefix": "orders", "pools": "pool_blue"}, "A path begins with /"),
        ({"prefix": "/a", "pools": "pool_green"}, "has no pool named"),
        ({"prefix": "/a"}, "1 to 12 pools"),
        ({"prefix": "/a", "pools": "pool_blue", "host": "http://x/"}, "A host is a name"),
        ({"prefix": "/" + "a" * 200, "pools": "pool_blue"}, "at most 200"),
        ({"prefix": "/a\u202e", "pools": "pool_blue"}, "cannot be seen"),
    ],
)
def test_what_cannot_be_declared_is_said_and_what_was_typed_stays(
    endpoint: models.Endpoint, given: dict[str, Any], why: str
) -> None:
    answer = a_client().post(f"/endpoints/{endpoint.pk}/contracts/", given)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert why in text and "Not saved." in text
    assert not RouteContract.objects.exists() and not UserAction.objects.exists()


def test_viewers_see_contracts_and_change_nothing(endpoint: models.Endpoint) -> None:
    contract, client = a_contract(endpoint), a_client("viewer")
    page = f"/endpoints/{endpoint.pk}/"
    text = client.get(page).content.decode().replace("\u00a0", " ")
    assert "learned from 60 requests" in text and "switch off" not in text and "Declare where" not in text
    assert client.post(f"{page}contracts/", {"prefix": "/", "pools": "pool_blue"}).status_code == 403
    assert client.post(f"{page}contracts/{contract.pk}/", {"do": "off"}).status_code == 403
    assert client.patch(f"/api/v1/contracts/{contract.pk}", {"state": "off"}, "application/json").status_code == 403
    assert client.post("/api/v1/contracts", {}, "application/json").status_code == 403


def test_a_contract_belongs_to_its_endpoint(endpoint: models.Endpoint) -> None:
    contract, other = a_contract(endpoint), world.a_route("stock")
    assert a_client().post(f"/endpoints/{other.pk}/contracts/{contract.pk}/", {"do": "off"}).status_code == 404


def test_contracts_are_changed_by_rest(endpoint: models.Endpoint) -> None:
    client = a_client()
    body = {"endpoint_id": endpoint.pk, "prefix": "/orders", "pools": ["pool_orders"], "agent": "curl/8.5"}
    made = client.post("/api/v1/contracts", body, "application/json")
    assert made.status_code == 201
    row = made.json()
    assert (row["source"], row["agent"], row["pools"][0]["name"]) == ("declared", "curl", "/Common/pool_orders")
    again = client.post("/api/v1/contracts", body | {"pools": ["pool_blue", "pool_orders"]}, "application/json").json()
    assert again["id"] == row["id"]
    assert again["pools"][1]["since"] == row["pools"][0]["since"], "what was expected stays so since then"
    address = f"/api/v1/contracts/{row['id']}"
    assert client.patch(address, {"state": "off"}, "application/json").json()["state"] == "off"
    assert [one["id"] for one in client.get("/api/v1/contracts?state=off").json()["results"]] == [row["id"]]
    assert client.get("/api/v1/contracts?f5_pool=pool_blue").json()["results"][0]["id"] == row["id"]
    assert client.delete(address).json()["id"] == row["id"]
    assert client.get(address).status_code == 404
    learned = a_contract(endpoint)
    assert client.delete(f"/api/v1/contracts/{learned.pk}").status_code == 400


@pytest.mark.parametrize(
    "body",
    [[], {"endpoint_id": "1"}, {"endpoint_id": 1, "pools": "x"}, {"odd": 1}, {"endpoint_id": 10**9, "pools": ["a"]}],
)
def test_what_rest_cannot_take_is_a_problem(endpoint: models.Endpoint, body: Any) -> None:
    answer = a_client().post("/api/v1/contracts", body, "application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
