"""Confirming and overturning on the page of a try, with and without JavaScript, and by REST; and how often it is right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client

from airf5.accounts.models import UserAction
from ingest.models import Review, Verdict
from tests import world

HTMX = {"HX-Request": "true", "HX-Trigger": "x"}


@pytest.fixture
def verdict(db: None) -> Verdict:
    component = {"component_kind": "member", "component": "/Common/orders1:9000"}
    return world.a_verdict(world.a_try(state="failed"), **component)


def a_client(role: str = "operator", **options: Any) -> Client:
    user = get_user_model().objects.create_user(f"{role}-person")
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    client = Client(**options)
    client.force_login(user)
    return client


def form(of: Verdict, **changes: str) -> dict[str, str]:
    return {"says": "confirmed", "seen": f"{of.cause} {of.component}", **changes}


def test_an_operator_confirms_with_a_plain_form(verdict: Verdict) -> None:
    client, page = a_client(), f"/tries/{verdict.try_row_id}/"
    assert "<button>Confirm</button>" in client.get(page).content.decode()
    answer = client.post(f"{page}reviews/", form(verdict))
    assert (answer.status_code, answer["Location"]) == (302, f"{page}#review")
    text = client.get(page).content.decode()
    assert "confirmed by operator-person" in text
    listed = client.get(
        "/tries/", {"review": "confirmed", "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}
    )
    assert "confirmed by operator-person" in listed.content.decode()


def test_htmx_gets_the_panel_alone(verdict: Verdict) -> None:
    given = form(verdict, says="overturned", what="service_failing", component="orders", words="all of them")
    answer = a_client().post(f"/tries/{verdict.try_row_id}/reviews/", given, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert text.lstrip().startswith('<section class="panel" id="review">')
    assert "service, service failing on all members: orders" in text and "all of them" in text
    assert "HX-Request" in answer["Vary"]
    assert Review.objects.get().cause == "service_failing"


def test_the_machines_answer_and_the_persons_stand_side_by_side(verdict: Verdict) -> None:
    client, page = a_client(), f"/tries/{verdict.try_row_id}/"
    client.post(f"{page}reviews/", form(verdict, says="overturned", what="task"))
    text = client.get(page).content.decode()
    assert "Route: one member failed." in text or "One member failed." in text
    assert "overturned by operator-person" in text and "it was <b>task</b>" in text
    Verdict.objects.update(culprit="service", cause="service_failing")
    text = client.get(page).content.decode()
    assert "Said of an earlier answer: route, member fails while its monitor passes" in text
    assert "of an earlier answer" in text


def test_what_is_refused_keeps_what_was_typed(verdict: Verdict) -> None:
    client, address = a_client(), f"/tries/{verdict.try_row_id}/reviews/"
    given = form(verdict, says="overturned", what="member_grey", words="I looked <b>twice</b>")
    answer = client.post(address, given)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "Not saved. That is what the verdict says" in text
    assert "I looked &lt;b&gt;twice&lt;/b&gt;</textarea>" in text and '<option value="member_grey" selected>' in text
    panel = client.post(address, given, headers=HTMX)
    assert panel.status_code == 200 and "Not saved." in panel.content.decode()  # htmx swaps in nothing but 2xx
    assert not Review.objects.exists()


def test_an_answer_that_changed_meanwhile_is_not_reviewed(verdict: Verdict) -> None:
    given = form(verdict)
    Verdict.objects.update(cause="member_down")
    answer = a_client().post(f"/tries/{verdict.try_row_id}/reviews/", given)
    assert "changed while you looked at it" in answer.content.decode()


def test_one_withdraws_ones_own_word(verdict: Verdict) -> None:
    client, page = a_client(), f"/tries/{verdict.try_row_id}/"
    client.post(f"{page}reviews/", form(verdict))
    mine, other = Review.objects.get(), world.a_review(verdict)
    text = client.get(page).content.decode()
    assert text.count('<button class="plain">withdraw</button>') == 1
    assert client.post(f"{page}reviews/{mine.pk}/withdraw/").status_code == 302
    refused = client.post(f"{page}reviews/{other.pk}/withdraw/")
    assert (refused.status_code, "say yours beside it" in refused.content.decode()) == (422, True)
    assert "<s><b>operator-person</b> confirmed it</s>" in client.get(page).content.decode()


@pytest.mark.parametrize("role", ["viewer", "auditor"])
def test_others_read_and_may_not_speak(verdict: Verdict, role: str) -> None:
    client, page = a_client(role), f"/tries/{verdict.try_row_id}/"
    text = client.get(page).content.decode()
    assert "Confirm</button>" not in text and "Operators and admins can confirm" in text
    assert client.post(f"{page}reviews/", form(verdict)).status_code == 403
    made = world.a_review(verdict)
    assert client.post(f"{page}reviews/{made.pk}/withdraw/").status_code == 403
    answer = client.post(f"/api/v1{page}reviews/", json.dumps({"says": "confirmed"}), "application/json")
    assert (answer.status_code, "operators and admins" in answer.json()["detail"]) == (403, True)
    assert client.delete(f"/api/v1{page}reviews/{made.pk}").status_code == 403


def test_a_form_from_elsewhere_is_refused(verdict: Verdict) -> None:
    client = a_client(enforce_csrf_checks=True)
    assert client.post(f"/tries/{verdict.try_row_id}/reviews/", form(verdict)).status_code == 403
    address = f"/api/v1/tries/{verdict.try_row_id}/reviews/"
    assert client.post(address, json.dumps({"says": "confirmed"}), "application/json").status_code == 403
    assert not Review.objects.exists()


def test_what_is_not_there_is_not_found(verdict: Verdict) -> None:
    client = a_client()
    for path in ("/tries/999999/reviews/", "/tries/999999/reviews/1/withdraw/"):
        assert client.post(path, form(verdict)).status_code == 404
    for path in ("/api/v1/tries/999999/reviews", f"/api/v1/tries/{verdict.try_row_id}/reviews/999"):
        assert client.get(path).status_code == 404
    assert client.get(f"/tries/{verdict.try_row_id}/reviews/").status_code == 405


# REST


def test_a_review_is_said_read_and_taken_back_by_rest(verdict: Verdict) -> None:
    client, address = a_client(), f"/api/v1/tries/{verdict.try_row_id}/reviews"
    given = {"says": "overturned", "cause": "task_error", "component": "orders.py", "words": "a bug"}
    made = client.post(f"{address}/", json.dumps(given), "application/json")
    assert made.status_code == 201
    row = made.json()
    assert (row["culprit"], row["cause"], row["about_cause"], row["author"]) == (
        "task", "task_error", "member_grey", "operator-person",
    )  # fmt: skip
    assert client.get(address).json() == {"results": [row]}
    assert client.get(f"{address}/{row['id']}").json() == row
    page = client.get(f"/api/v1/tries/{verdict.try_row_id}").json()
    assert page["reviews"] == [row] and page["row"]["review"] == row
    gone = client.delete(f"{address}/{row['id']}")
    assert (gone.status_code, gone.json()["withdrawn_by"]) == (200, "operator-person")
    assert client.get(f"/api/v1/tries/{verdict.try_row_id}").json()["row"]["review"] is None
    assert [a.verb for a in UserAction.objects.order_by("at", "id")] == ["overturn_verdict", "withdraw_review"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "JSON parse error"),
        ("[]", "Send a JSON object"),
        ('{"says": 1}', "says is a text"),
        ('{"says": "confirmed", "who": "ann"}', "no field 'who'"),
        ('{"says": "overturned"}', "what was right instead"),
        ('{"says": "confirmed", "seen": "member_down"}', "changed while you looked"),
        ("{}", "confirmed or overturned"),
    ],
)
def test_what_rest_cannot_take_is_said_in_a_sentence(verdict: Verdict, body: str, words: str) -> None:
    answer = a_client().post(f"/api/v1/tries/{verdict.try_row_id}/reviews", body, "application/json")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert words in answer.json()["detail"]


def test_lists_and_exports_carry_the_review(verdict: Verdict) -> None:
    world.a_review(verdict, "overturned", author="=ann", culprit="task")
    client, when = a_client(), {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "review": "overturned"}
    (row,) = client.get("/api/v1/tries", when).json()["results"]
    assert (row["review"]["says"], row["review"]["culprit"], row["verdict"]["culprit"]) == (
        "overturned",
        "task",
        "route",
    )
    text = b"".join(client.get("/tries.csv", when).streaming_content).decode()  # type: ignore[attr-defined]
    assert "review.says" in text and "overturned" in text and "'=ann" in text
    assert client.get("/api/v1/tries", {**when, "review": "liked"}).status_code == 400
    assert client.get("/api/v1/requests", {"review": "none"}).status_code == 400


def test_the_description_names_what_can_be_written(verdict: Verdict) -> None:
    text = a_client().get("/api/docs/").content.decode()
    assert "POST /api/v1/tries/{ident}/reviews" in text and "DELETE /api/v1/tries/{ident}/reviews/{review}" in text


# How often it is right


def test_the_page_of_accuracy_says_what_to_do_while_there_is_nothing(db: None) -> None:
    text = a_client("viewer").get("/accuracy/").content.decode()
    assert "none yet, so nothing is known of how often it is right here" in text
    assert "There is no final verdict yet either." in text


def test_the_page_and_rest_tell_the_same_of_accuracy(verdict: Verdict) -> None:
    world.a_review(verdict)
    client = a_client("viewer")
    text = client.get("/accuracy/").content.decode()
    assert "1 of 1\u00a0reviewed verdict was right, at least 5.0\u00a0%" in text
    told = client.get("/api/v1/accuracy/").json()
    reviewed = [one["rule"] for one in told["rules"] if one["reviews"]["of"]]
    assert (told["reviewed"], told["all"]["right"], reviewed) == (1, 1, ["member_grey"])
    assert told["all"]["at_least"] == pytest.approx(0.05)
