"""The REST API: who may ask, what is answered, problems as problem documents, and a description that is true."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from dashboards.api_urls import described
from dashboards.lists import SUBJECTS
from ingest.records import Outcome
from tests import world

LISTS = [f"/api/v1/{slug}" for slug in SUBJECTS]


@pytest.fixture
def client(db: None) -> Client:
    one = Client()
    one.force_login(get_user_model().objects.create_user("ann"))
    return one


@pytest.fixture
def paths(db: None) -> list[str]:
    """Every address, with something behind the ones of single things."""
    at = timezone.now() - timedelta(minutes=5)
    endpoint = world.a_route()
    tried = world.a_try(at=at, state="failed")
    incident = world.an_incident(endpoint, start=at)
    world.a_verdict(tried, endpoint=endpoint, incident=incident)
    world.a_request(endpoint, at, of=tried, outcome=Outcome.UNANSWERED)
    ones = [f"incidents/{incident.pk}", f"tries/{tried.pk}", f"dags/{tried.dag_id}", f"endpoints/{endpoint.pk}"]
    return [*LISTS, *(f"/api/v1/{one}" for one in ones)]


def test_everyone_who_is_logged_in_gets_everything(client: Client, paths: list[str]) -> None:
    for path in paths:
        for address in (path, f"{path}/"):
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.content)
            assert answer["Content-Type"] == "application/json"


def test_a_stranger_gets_a_problem_and_nothing_else(paths: list[str]) -> None:
    for path in paths:
        answer = Client().get(path)
        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        assert answer["WWW-Authenticate"].startswith("Token")
        assert json.loads(answer.content)["status"] == 401


def test_pages_are_followed_by_next_and_by_the_link_header(client: Client) -> None:
    at = timezone.now() - timedelta(minutes=5)
    made = {world.a_try(at=at).pk for _ in range(7)}
    address, seen = "/api/v1/tries?limit=3", []
    while address:
        answer = client.get(address)
        body = answer.json()
        seen += [row["id"] for row in body["results"]]
        address = body["next"]
        assert answer.get("Link", "") == (f'<{address}>; rel="next"' if address else "")
    assert (len(seen), set(seen)) == (7, made)


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/api/v1/tries?dga=x", 400, "nearest is “dag”"),
        ("/api/v1/tries?from=2026-01-01T00:00:00", 400, "no time zone"),
        ("/api/v1/tries?after=AAAA", 400, "no cursor"),
        ("/api/v1/tries?dag=" + "x" * 5000, 400, "5,000 characters"),
        ("/api/v1/tries?dag=%00", 400, "control character"),
        ("/api/v1/tries?dag=a&dag=b", 400, "given 2 times"),
        ("/api/v1/incidents/999999999", 404, "no such incident"),
        ("/api/v1/dags/nothing", 404, "no such DAG"),
        ("/api/v1/nothing", 404, "nothing at this address"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(client: Client, address: str, status: int, words: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]


def test_other_methods_and_formats_are_refused(client: Client) -> None:
    for answer, status in (
        (client.post("/api/v1/tries"), 405),
        (client.get("/api/v1/tries", headers={"accept": "text/csv"}), 406),
    ):
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")


def test_what_breaks_is_a_problem_without_a_trace(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("dashboards.api.views.tries.one", broken)
    answer = client.get("/api/v1/tries/1")
    assert (answer.status_code, b"secret" in answer.content) == (500, False)
    assert answer["Content-Type"] == "application/problem+json"


def test_too_many_calls_are_told_when_to_come_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboards.api.views.Calls.rate", "2/min")
    answers = [client.get("/api/v1/sources") for _ in range(3)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert int(answers[-1]["Retry-After"]) > 0


def test_the_description_is_valid_and_names_every_address(client: Client) -> None:
    answer = client.get("/api/schema/", headers={"accept": "application/vnd.oai.openapi+json"})
    schema = json.loads(answer.content)
    from drf_spectacular.validation import validate_schema

    validate_schema(schema)
    assert len(schema["paths"]) == len(described)
    for path, item in schema["paths"].items():
        answer_200 = item["get"]["responses"]["200"]["content"]["application/json"]
        assert answer_200["schema"] and answer_200["examples"], path
        assert "401" in item["get"]["responses"]
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_answers_have_the_shape_that_is_described(client: Client, paths: list[str]) -> None:
    schema = json.loads(client.get("/api/schema/", headers={"accept": "application/vnd.oai.openapi+json"}).content)
    shapes = schema["components"]["schemas"]
    for path in LISTS:
        operation = schema["paths"][path]["get"]
        page = shapes[operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]]
        row = shapes[page["properties"]["results"]["items"]["$ref"].rsplit("/", 1)[-1]]
        body = client.get(path).json()
        assert set(body) == set(page["properties"])
        for found in body["results"]:
            assert set(found) == set(row["properties"]), path


def test_the_page_about_it_has_no_script_and_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    main = page[page.index("<main") : page.index("</main>")]
    assert "/api/v1/incidents/{ident}" in main
    assert "<script" not in main and "style=" not in main and "https://" not in main
