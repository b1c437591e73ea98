"""Every page: who gets it, that it is whole (one h1, labels, nothing inline), its fragments, hostile text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import models
from ingest.records import Outcome
from tests import world

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"

# name in dashboards/urls.py -> the address, from the ids of a small world
PAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "overview": lambda ids: "/",
    "now": lambda ids: "/now/",
    "incidents": lambda ids: "/incidents/",
    "incident": lambda ids: f"/incidents/{ids['incident']}/",
    "dags": lambda ids: "/dags/",
    "dag": lambda ids: f"/dags/{ids['dag']}/",
    "tries": lambda ids: "/tries/",
    "try": lambda ids: f"/tries/{ids['try']}/",
    "accuracy": lambda ids: "/accuracy/",
    "requests": lambda ids: "/requests/",
    "endpoints": lambda ids: "/endpoints/",
    "endpoint": lambda ids: f"/endpoints/{ids['endpoint']}/",
    "findings": lambda ids: "/findings/",
    "health_events": lambda ids: "/health-events/",
    "audit": lambda ids: "/audit/",
    "sources": lambda ids: "/sources/",
    "batches": lambda ids: "/sources/batches/",
    "rejects": lambda ids: "/sources/rejects/",
    "gaps": lambda ids: "/sources/gaps/",
    "source": lambda ids: f"/sources/{ids['feed']}/",
    "why": lambda ids: "/sources/why/?of=device/bigip-1&at=2026-01-01T08:41",
}
NO_PAGE = {"search", "acknowledge", "note", "review", "withdraw-review", "export", "export-one", "replay-rejects"}
NO_PAGE |= {"declare-contract", "change-contract"}
FILTERED = [name for name in PAGES if name not in ("now", "incident", "try", "why", "accuracy")]


class Markup(HTMLParser):
    """Counts what a page must have, and must not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.h1 = 0
        self.inline: list[str] = []
        self.unlabelled: list[str] = []
        self.ids: list[str] = []
        self.label_for: set[str] = set()
        self.fields: list[tuple[bool, dict[str, str | None]]] = []
        self.in_label = 0
        self.feed(text)
        for inside, attrs in self.fields:
            if not inside and not attrs.get("aria-label") and attrs.get("id") not in self.label_for:
                self.unlabelled.append(str(attrs.get("name")))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.h1 += tag == "h1"
        self.in_label += tag == "label"
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]
        if tag == "style" or "style" in given or any(name.startswith("on") for name in given):
            self.inline.append(f"<{tag} {attrs}>")
        if tag == "script" and "src" not in given and given.get("type") != "application/json":
            self.inline.append("script")
        if tag == "label" and given.get("for"):
            self.label_for.add(str(given["for"]))
        if tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "submit"):
            self.fields.append((self.in_label > 0, given))

    def handle_endtag(self, tag: str) -> None:
        self.in_label -= tag == "label"


@pytest.fixture
def ids(db: None) -> dict[str, Any]:
    """A small world in which every page has something to show, with hostile text wherever a log could put it."""
    at = timezone.now() - timedelta(minutes=5)
    endpoint = world.a_route()
    member = models.Member.objects.filter(f5_pool=endpoint.f5_pool).first()
    assert member is not None
    tried = world.a_try(at=at, state="failed", task_id=HOSTILE, hostname=HOSTILE, conn_id=HOSTILE)
    incident = world.an_incident(endpoint, start=at, members=[HOSTILE])
    verdict = world.a_verdict(
        tried, endpoint=endpoint, incident=incident, sentence=HOSTILE, reasons=[{"for": True, "text": HOSTILE}]
    )
    models.Evidence.objects.create(
        verdict=verdict, position=1, feed="f", kind="request", at=at, says=HOSTILE, raw=HOSTILE
    )
    models.TaskLog.objects.create(
        try_row=tried, fetched_at=at, facts={"lines": [HOSTILE], "exceptions": [["Error", HOSTILE]], "found": True}
    )
    models.VerdictHistory.objects.create(
        try_row=tried, replaced_at=at, answer={"culprit": "unknown", "cause": "no_data"}, why=HOSTILE
    )
    world.a_review(verdict, "overturned", author=HOSTILE, culprit="task", component=HOSTILE, words=HOSTILE)
    models.IncidentNote.objects.create(incident=incident, at=at, author="ann", text=HOSTILE)
    path = models.Path.objects.create(template=f"/{HOSTILE}")
    world.a_request(endpoint, at, of=tried, outcome=Outcome.UNANSWERED, path_id=path.pk, member_id=member.pk)
    feed = world.a_feed(complete_to=timezone.now() - timedelta(seconds=4), message=HOSTILE)
    batch = models.Batch.objects.create(feed=feed, at=at, read=1, rows=0, rejected=1, source=HOSTILE)
    models.Reject.objects.create(feed=feed, batch=batch, at=at, reason="no key", raw=HOSTILE)
    world.an_action(at=at, target=HOSTILE, raw=HOSTILE)
    models.Gap.objects.create(feed=feed, start=at, end=at + timedelta(seconds=9), kind="udp", reason=HOSTILE, missing=3)
    return {"feed": feed.pk, "endpoint": endpoint.pk, "incident": incident.pk, "try": tried.pk, "dag": tried.dag_id}


def a_client(role: str = "") -> Client:
    user = get_user_model().objects.create_user(f"ann-{role}")
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    client = Client()
    client.force_login(user)
    return client


def test_the_table_names_every_page() -> None:
    from dashboards import urls

    names = {pattern.name for pattern in urls.urlpatterns if pattern.name}
    assert names - NO_PAGE - {name for name in names if name.startswith("export")} == set(PAGES)
    assert get_resolver().reverse_dict


@pytest.mark.parametrize("name", PAGES)
def test_a_stranger_is_sent_to_the_login(name: str, ids: dict[str, Any]) -> None:
    address = PAGES[name](ids)
    answer = Client().get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/?next=")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_what_a_log_says_stays_text(name: str, ids: dict[str, Any]) -> None:
    answer = a_client().get(PAGES[name](ids))
    assert answer.status_code == 200
    text = answer.content.decode()
    page = Markup(text)
    assert page.h1 == 1
    assert page.inline == []
    assert page.unlabelled == []
    assert len(page.ids) == len(set(page.ids)), "an id occurs twice"
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "{{" not in text and "{%" not in text
    assert "Log data complete to" in text
    assert 'lang="en"' in text


@pytest.mark.parametrize("name", [name for name in PAGES if name not in ("overview", "now", "incident", "try", "dag")])
def test_a_page_says_what_it_has_when_it_has_nothing(name: str, ids: dict[str, Any]) -> None:
    if name == "endpoint":
        return
    answer = a_client().get(PAGES[name](ids), {"from": "2020-01-01T00:00:00Z", "to": "2020-01-01T01:00:00Z"})
    assert answer.status_code == 200
    assert Markup(answer.content.decode()).h1 == 1


def test_the_three_empty_states_differ(db: None) -> None:
    client = a_client()
    assert "Nothing has ever arrived" in client.get("/tries/").content.decode()
    feed = world.a_feed(complete_to=timezone.now() - timedelta(days=3))
    assert "Not yet complete" in client.get("/tries/?last=1h").content.decode()
    models.Feed.objects.filter(pk=feed.pk).update(complete_to=timezone.now())
    assert "Nothing matches" in client.get("/tries/?dag=zzz").content.decode()


@pytest.mark.parametrize("name", FILTERED)
def test_htmx_gets_the_results_alone(name: str, ids: dict[str, Any]) -> None:
    client, address = a_client(), PAGES[name](ids)
    part, whole = client.get(address, headers={"HX-Request": "true"}), client.get(address)
    assert "HX-Request" in part["Vary"] and "HX-Request" in whole["Vary"]
    text = part.content.decode()
    assert "<html" not in text
    assert 'id="results"' in text and 'id="title" hx-swap-oob="true"' in text
    assert "<html" in whole.content.decode()


def test_the_form_leaves_a_clean_address(ids: dict[str, Any]) -> None:
    answer = a_client().get(
        "/tries/", {"from": "", "to": "", "dag": "orders_*", "state": "", "last": "24h"}, headers={"HX-Request": "true"}
    )
    assert answer["HX-Push-Url"] == "/tries/?dag=orders_%2A"


def test_rows_that_refresh_themselves_leave_the_address_alone(ids: dict[str, Any]) -> None:
    answer = a_client().get("/tries/", headers={"HX-Request": "true", "HX-Trigger": "results"})
    assert "HX-Push-Url" not in answer


def test_a_time_typed_without_a_zone_is_utc_and_rules_out_last(ids: dict[str, Any]) -> None:
    answer = a_client().get("/tries/", {"from": "2026-01-31 08:00", "to": "2026-01-31T09:00:00", "last": "24h"})
    assert answer.status_code == 200
    assert answer.context["asked"].start.isoformat() == "2026-01-31T08:00:00+00:00"


@pytest.mark.parametrize("name", FILTERED)
def test_a_question_that_cannot_be_asked_is_answered_in_words(name: str, ids: dict[str, Any]) -> None:
    answer = a_client().get(PAGES[name](ids), {"dog": HOSTILE})
    assert answer.status_code == 400
    text = answer.content.decode()
    assert "There is no parameter “dog” here" in text
    assert Markup(text).h1 == 1


@pytest.mark.parametrize("address", ["/incidents/999999/", "/tries/999999/", "/endpoints/999999/", "/dags/nobody/"])
def test_what_is_not_there_is_not_found(address: str, db: None) -> None:
    answer = a_client().get(address)
    assert answer.status_code == 404
    assert Markup(answer.content.decode()).h1 == 1


def test_the_audit_hides_events_of_tasks_and_says_so(ids: dict[str, Any]) -> None:
    at = timezone.now() - timedelta(minutes=4)
    world.an_action(at=at, layer="airflow", tool="task", verb="up_for_reschedule")
    client = a_client()
    text = client.get("/audit/").content.decode()
    assert "1\u00a0task event hidden" in text and "up for reschedule" not in text
    assert 'href="?task_events=shown"' in text
    shown = client.get("/audit/?task_events=shown").content.decode()
    assert "up for reschedule" in shown and "Remove filter: task events shown" in shown


def test_rows_of_equal_names_say_whose_they_are_and_lead_there(ids: dict[str, Any]) -> None:
    client, at = a_client(), timezone.now() - timedelta(minutes=5)
    assert "prod</span>" not in client.get("/tries/").content.decode()
    world.a_try(at=at, airflow=world.an_airflow("lab1"))
    text = client.get("/tries/").content.decode()
    assert '<span class="q">prod</span>' in text and '<span class="q">lab1</span>' in text
    dags = client.get("/dags/").content.decode()
    assert 'href="/dags/orders_sync/?airflow=lab1"' in dags and 'href="/dags/orders_sync/?airflow=prod"' in dags
    assert [
        client.get(f"/dags/orders_sync/?airflow={name}").context["page"].row.tries for name in ("lab1", "prod")
    ] == [1, 1]


def test_a_merged_incident_leads_to_the_one_it_is_part_of(ids: dict[str, Any]) -> None:
    endpoint = models.Endpoint.objects.get(pk=ids["endpoint"])
    other = world.an_incident(endpoint, merged_into_id=ids["incident"])
    answer = a_client().get(f"/incidents/{other.pk}/")
    assert (answer.status_code, answer["Location"]) == (302, f"/incidents/{ids['incident']}/")


def test_an_operator_acknowledges_and_notes_and_both_stand_in_the_trail(ids: dict[str, Any]) -> None:
    client, address = a_client("operator"), f"/incidents/{ids['incident']}/"
    assert client.post(f"{address}acknowledge/").status_code == 302
    assert client.post(f"{address}notes/", {"note": "calling them <b>now</b>"}).status_code == 302
    text = client.get(address).content.decode()
    assert "acknowledged it" in text
    assert "calling them &lt;b&gt;now&lt;/b&gt;" in text
    assert UserAction.objects.filter(layer="airf5", actor="ann-operator").count() >= 2


@pytest.mark.parametrize("role", ["", "auditor"])
def test_others_can_neither_acknowledge_nor_note(role: str, ids: dict[str, Any]) -> None:
    client, address = a_client(role), f"/incidents/{ids['incident']}/"
    for what in ("acknowledge", "notes"):
        assert client.post(f"{address}{what}/", {"note": "x"}).status_code == 403
    assert "Add a note" not in client.get(address).content.decode()


def test_a_stranger_can_write_nothing(ids: dict[str, Any]) -> None:
    for what in ("acknowledge", "notes"):
        assert Client().post(f"/incidents/{ids['incident']}/{what}/", {"note": "x"}).status_code == 302
    assert models.IncidentNote.objects.count() == 1


def test_reading_never_writes_by_post(ids: dict[str, Any]) -> None:
    assert a_client().post("/tries/").status_code == 405


def test_the_page_for_the_night_is_small_and_has_no_script(ids: dict[str, Any]) -> None:
    answer = a_client().get("/now/")
    text = answer.content.decode()
    assert "<script" not in text
    assert len(answer.content) < 4000
    assert f"/incidents/{ids['incident']}/" in text


@pytest.mark.parametrize(
    ("typed", "leads_to"),
    [
        ("4812", "/incidents/4812/"),
        ("orders", "/dags/?dag=%2Aorders%2A&last=24h"),
        ("", "/dags/"),
        ("manual__2026", "/tries/?run=%2Amanual__2026%2A&last=24h"),
        ("orders1:9000", "/endpoints/?member=%2Aorders1%3A9000%2A&last=24h"),
    ],
)
def test_the_search_guesses_what_was_typed(typed: str, leads_to: str, db: None) -> None:
    assert a_client().get("/search/", {"q": typed})["Location"] == leads_to


@pytest.mark.long
def test_every_link_of_a_page_leads_somewhere(ids: dict[str, Any]) -> None:
    client, seen = a_client(), set()
    for name in PAGES:
        text = client.get(PAGES[name](ids)).content.decode()
        seen |= {href.replace("&amp;", "&") for href in re.findall(r'href="(/[^"#]*)', text)}
    wrong = {
        href: status
        for href in sorted(seen)
        if not href.startswith(("/static/", "/logout/")) and (status := client.get(href).status_code) != 200
    }
    assert wrong == {}


def test_the_policy_allows_nothing_but_ourselves(db: None) -> None:
    policy = a_client().get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
