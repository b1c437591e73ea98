"""Exports: every row once, a head that says what it is, an end that says it is whole, and no formula."""

from __future__ import annotations

import csv
import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from airf5.accounts.models import UserAction
from dashboards.lists import SUBJECTS
from tests import world


@pytest.fixture
def client(db: None) -> Client:
    one = Client()
    one.force_login(get_user_model().objects.create_user("ann"))
    return one


def body(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("# ")))


@pytest.mark.parametrize("kind", ["csv", "json"])
@pytest.mark.parametrize("slug", list(SUBJECTS))
def test_every_list_can_be_exported_by_people_who_are_logged_in(client: Client, slug: str, kind: str) -> None:
    text = body(client, f"/{slug}.{kind}")
    assert "time_zone" in text
    if kind == "json":
        whole = json.loads(text)
        assert whole["end"] == {"rows": len(whole["rows"]), "complete": True}
    assert Client().get(f"/{slug}.{kind}").status_code == 302


def test_an_export_holds_every_row_once_and_says_how_many(client: Client) -> None:
    at = timezone.now() - timedelta(minutes=5)
    made = {str(world.a_try(at=at).pk) for _ in range(503)}
    text = body(client, "/tries.csv?limit=10")
    rows = rows_of(text)
    assert (len(rows), {row["id"] for row in rows}) == (503, made)
    assert "# rows: 503" in text
    assert text.endswith("# end: 503 rows written\r\n")


def test_a_formula_in_a_name_is_text_and_a_number_is_a_number(client: Client) -> None:
    world.a_try('=HYPERLINK("http://x")', at=timezone.now() - timedelta(minutes=5))
    (row,) = rows_of(body(client, "/tries.csv"))
    assert row["dag_id"] == '\'=HYPERLINK("http://x")'
    assert (row["map_index"], row["verdict.culprit"]) == ("-1", "")


def test_a_line_break_in_a_filter_cannot_leave_the_head(client: Client) -> None:
    assert client.get("/tries.csv?dag=a%0Ab").status_code == 400
    text = body(client, "/tries.csv?dag=%3D1%2B1")
    assert text.splitlines()[0].endswith("DAG =1+1")


def test_an_audit_export_says_population_zone_and_gaps(client: Client) -> None:
    world.an_action(timezone.now() - timedelta(minutes=5))
    meta = json.loads(body(client, "/audit.json"))["meta"]
    assert meta["population"].startswith("1 action of people and programs")
    assert (meta["gaps"], meta["time_zone"], meta["rows"]) == (["none known"], "UTC", 1)


def test_an_audit_export_says_what_it_left_out(client: Client) -> None:
    at = timezone.now() - timedelta(minutes=5)
    world.an_action(at)
    world.an_action(at, layer="airflow", tool="task", verb="running")
    hidden, shown = (json.loads(body(client, f"/audit.json{query}")) for query in ("", "?task_events=shown"))
    assert (len(hidden["rows"]), hidden["meta"]["task_events"]) == (1, "hidden, 1 of them")
    assert "1 event of Airflow's tasks (running, success …) left out" in hidden["meta"]["population"]
    # The first export is an action of airf5 by now.
    assert (len(shown["rows"]), shown["meta"]["task_events"]) == (3, "shown")


def test_an_export_is_a_user_action(client: Client) -> None:
    client.get("/audit.csv?actor=bob")
    action = UserAction.objects.get(verb="export")
    assert (action.actor, action.target, action.layer) == ("ann", "/audit.csv", "airf5")
    assert "actor bob" in action.detail["filter"]


def test_a_single_thing_is_all_of_it_as_json_and_its_rows_as_csv(client: Client) -> None:
    endpoint = world.a_route()
    tried = world.a_try(at=timezone.now() - timedelta(minutes=5))
    world.a_request(endpoint, tried.queued_at, of=tried)
    assert json.loads(body(client, f"/tries/{tried.pk}.json"))["page"]["row"]["id"] == tried.pk
    assert len(rows_of(body(client, f"/tries/{tried.pk}.csv"))) == 1
    assert rows_of(body(client, "/dags/orders_sync.csv")) == []
    for nothing in ("/tries/0.json", "/tries/x.json", "/incidents/99999999999999999999.csv", "/dags/none.csv"):
        assert client.get(nothing).status_code == 404


def test_an_unknown_parameter_is_refused_with_a_sentence(client: Client) -> None:
    answer = client.get("/tries.csv?dga=x")
    assert (answer.status_code, "nearest" in answer.content.decode()) == (400, True)
