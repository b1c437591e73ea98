"""What people say of verdicts: one word a person, kept beside the answer, counted as field precision."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from airf5.accounts.models import UserAction
from airf5.accounts.roles import EVERYTHING, Scope
from dashboards.filters import Filter
from dashboards.queries import accuracy, reviews, tries
from ingest import actions
from ingest.models import Evidence, Review, Verdict, VerdictHistory
from tests import world

COMPONENT = "/Common/orders1:9000"


@pytest.fixture
def verdict(db: None) -> Verdict:
    return world.a_verdict(world.a_try(state="failed"), component_kind="member", component=COMPONENT)


def test_a_confirmation_keeps_what_it_is_about_and_is_a_user_action(verdict: Verdict) -> None:
    made = actions.review_verdict(verdict.try_row_id, "confirmed", "ann", words=" seen it ", address="10.0.0.9")
    assert (made.says, made.words, made.culprit) == ("confirmed", "seen it", "")
    assert (made.answer["cause"], made.answer["rule"], made.answer["rule_version"]) == (
        "member_grey",
        "member_grey",
        "1",
    )
    deed = UserAction.objects.get(verb="confirm_verdict")
    assert (deed.actor, deed.target, deed.address) == ("ann", f"try {verdict.try_row_id}", "10.0.0.9")
    assert deed.detail["about"]["component"] == COMPONENT


def test_a_second_click_is_no_second_review(verdict: Verdict) -> None:
    first = actions.review_verdict(verdict.try_row_id, "confirmed", "ann")
    assert actions.review_verdict(verdict.try_row_id, "confirmed", "ann") == first
    assert (Review.objects.count(), UserAction.objects.count()) == (1, 1)


def test_a_newer_word_withdraws_ones_own_and_leaves_those_of_others(verdict: Verdict) -> None:
    ids = [actions.review_verdict(verdict.try_row_id, "confirmed", who).pk for who in ("ann", "bob")]
    actions.review_verdict(verdict.try_row_id, "overturned", "ann", cause="service_failing", words="all of them")
    stands = set(Review.objects.filter(withdrawn_at=None).values_list("author", "says", "culprit"))
    assert stands == {("ann", "overturned", "service"), ("bob", "confirmed", "")}
    assert Review.objects.get(pk=ids[0]).withdrawn_by == "ann"


def test_only_ones_own_word_can_be_withdrawn(verdict: Verdict) -> None:
    made = actions.review_verdict(verdict.try_row_id, "confirmed", "ann")
    with pytest.raises(actions.Refused, match="the word of ann"):
        actions.withdraw_review(verdict.try_row_id, made.pk, "bob")
    actions.withdraw_review(verdict.try_row_id, made.pk, "ann")
    assert UserAction.objects.filter(verb="withdraw_review", actor="ann").count() == 1
    row = tries.one(verdict.try_row_id, EVERYTHING)
    assert row is not None and row.row.review is None and row.reviews[0].withdrawn_at is not None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"says": "perhaps"}, "confirmed or overturned"),
        ({"says": "confirmed", "cause": "task_error"}, "names nothing else"),
        ({"says": "overturned"}, "what was right instead"),
        ({"says": "overturned", "cause": "nonsense"}, "no such cause"),
        ({"says": "overturned", "culprit": "network"}, "A culprit is"),
        ({"says": "overturned", "culprit": "task", "cause": "service_failing"}, "a cause of service"),
        ({"says": "overturned", "cause": "member_grey"}, "what the verdict says"),
        ({"says": "overturned", "culprit": "route"}, "what the verdict says"),
        ({"says": "overturned", "component": "orders1"}, "what the verdict says"),
        ({"says": "overturned", "culprit": "task", "component": "x" * 301}, "at most 300"),
        ({"says": "confirmed", "words": "x" * 10_001}, "at most 10,000"),
        ({"says": "confirmed", "seen": "no_data"}, "changed while you looked"),
    ],
)
def test_what_cannot_be_said_is_refused_in_a_sentence(verdict: Verdict, given: dict[str, str], words: str) -> None:
    says = given.pop("says")
    with pytest.raises(actions.Refused, match=words):
        actions.review_verdict(verdict.try_row_id, says, "ann", **given)
    assert not Review.objects.exists() and not UserAction.objects.exists()


def test_another_component_alone_overturns(verdict: Verdict) -> None:
    made = actions.review_verdict(verdict.try_row_id, "overturned", "ann", component="orders2")
    assert (made.culprit, made.cause, made.component) == ("route", "", "orders2")


def test_a_try_without_a_verdict_cannot_be_reviewed(db: None) -> None:
    with pytest.raises(actions.Refused, match="no verdict"):
        actions.review_verdict(world.a_try().pk, "confirmed", "ann")


def test_the_database_refuses_two_standing_words_and_an_overturn_that_says_nothing(verdict: Verdict) -> None:
    world.a_review(verdict, author="ann")
    for changes in ({"author": "ann"}, {"says": "overturned"}, {"culprit": "task"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            world.a_review(verdict, **changes)


def test_a_review_and_its_user_action_are_one(verdict: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(actions.audit, "record", full)
    with pytest.raises(OSError, match="no room"):
        actions.review_verdict(verdict.try_row_id, "confirmed", "ann")
    assert not Review.objects.exists()


def test_a_review_outlives_the_answer_and_says_that_it_was_about_an_earlier_one(verdict: Verdict) -> None:
    world.a_review(verdict, "overturned", author="ann", culprit="task", cause="task_error")
    world.a_review(verdict, author="bob", at=world.NOW - timedelta(hours=1))
    Verdict.objects.update(culprit="task", cause="task_error", component="")
    page = tries.one(verdict.try_row_id, EVERYTHING)
    assert page is not None
    ann, bob = page.reviews
    assert (ann.earlier, ann.agrees, ann.about_cause) == (True, True, "member_grey")
    assert ann.instead == "task, error of the task's own code"
    assert (bob.earlier, bob.agrees) == (True, False)
    assert page.row.review == ann


def test_a_verdict_that_went_leaves_the_review(verdict: Verdict) -> None:
    world.a_review(verdict, author="ann")
    Verdict.objects.all().delete()
    page = tries.one(verdict.try_row_id, EVERYTHING)
    assert page is not None and page.row.verdict is None
    assert [(one.earlier, one.agrees) for one in page.reviews] == [(True, False)]


def test_tries_are_narrowed_by_the_newest_word_that_stands(db: None) -> None:
    names = ("confirmed", "overturned", "none", "withdrawn", "changed", "unneeded")
    made = {name: world.a_try(task_id=name, state="failed") for name in names}
    verdicts = {name: world.a_verdict(made[name]) for name in names if name != "unneeded"}
    world.a_review(verdicts["confirmed"])
    world.a_review(verdicts["overturned"], "overturned", culprit="task")
    world.a_review(verdicts["withdrawn"], withdrawn_at=world.NOW)
    world.a_review(verdicts["changed"], at=world.NOW - timedelta(minutes=1))
    world.a_review(verdicts["changed"], "overturned", culprit="task")

    def found(review: str) -> set[str]:
        asked = Filter.from_query({"last": "1h", "review": review} if review else {"last": "1h"}, world.NOW, "tries")
        return {row.task_id for row in tries.listed(asked, EVERYTHING).rows}

    assert found("confirmed") == {"confirmed"}
    assert found("overturned") == {"overturned", "changed"}
    assert found("none") == {"none", "withdrawn"}
    assert found("none,confirmed") == {"none", "withdrawn", "confirmed"}
    assert found("") == set(names)


def test_reviews_of_others_dags_are_hidden(verdict: Verdict) -> None:
    world.a_review(verdict)
    nobody = Scope("viewer", frozenset())
    assert reviews.of_try(verdict.try_row_id, nobody) is None
    page = accuracy.accuracy(nobody)
    assert (page.verdicts, page.reviewed, page.newest) == (0, 0, ())


# What changed an answer


def kept(line_id: int, says: str = "the member answered 503") -> dict[str, Any]:
    at = world.NOW.isoformat()
    row = {"feed": "f", "kind": "request", "line_id": line_id, "at": at, "link": "uuid"}
    return {**row, "says": says, "raw": f"line {line_id}"}


def replaced(of: Verdict, minutes: int, evidence: list[dict[str, Any]], why: str, **answer: Any) -> None:
    said = {"status": "final", "culprit": "unknown", "cause": "undecided", "component": "", "requests": 2, **answer}
    at = world.NOW + timedelta(minutes=minutes)
    VerdictHistory.objects.create(try_row=of.try_row, replaced_at=at, answer=said, evidence=evidence, why=why)


def test_each_change_says_from_what_to_what_and_which_rows_came(verdict: Verdict) -> None:
    replaced(
        verdict, 1, [], "late rows: undecided became unanswered", status="provisional", waiting_for=["f5 up to 12:00"]
    )
    replaced(verdict, 2, [kept(1)], "rules 2 replaced rules 1", culprit="route", cause="unanswered", requests=3)
    Verdict.objects.update(requests=3)
    for position, line in enumerate((1, 2)):
        Evidence.objects.create(verdict=verdict, position=position, **{**kept(line, "in other words"), "at": world.NOW})
    page = tries.one(verdict.try_row_id, EVERYTHING)
    assert page is not None
    first, second = page.history
    assert (first.was.cause, first.became and first.became.cause) == ("undecided", "unanswered")
    assert ([row.line_id for row in first.came], first.requests, first.arrived) == ([1], 1, ("f5 up to 12:00",))
    assert second.became and (second.became.cause, second.became.component) == ("member_grey", COMPONENT)
    assert ([row.line_id for row in second.came], second.went, second.requests) == ([2], (), 0)


def test_a_verdict_that_was_no_longer_due_became_none(verdict: Verdict) -> None:
    replaced(verdict, 1, [kept(1)], VerdictHistory.NOT_DUE)
    page = tries.one(verdict.try_row_id, EVERYTHING)
    assert page is not None
    (only,) = page.history
    assert (only.became, only.came, only.went) == (None, (), ())


# How often it is right


@pytest.fixture
def _no_bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(accuracy, "BENCH", tmp_path / "none.json")


def reviewed(says: str = "confirmed", culprit: str = "route", instead: str = "", **changes: Any) -> None:
    made = world.a_verdict(world.a_try(state="failed"), culprit=culprit, **changes)
    world.a_review(made, says, culprit=instead)


@pytest.mark.usefixtures("_no_bench")
def test_without_reviews_and_bench_nothing_is_claimed(db: None) -> None:
    page = accuracy.accuracy(EVERYTHING)
    assert (page.all.share, page.all.at_least, page.calibration_error, page.bench, page.rules) == (
        None,
        None,
        None,
        None,
        (),
    )
    assert "without a result of the bench" in page.bench_missing


@pytest.mark.usefixtures("_no_bench")
def test_precision_is_counted_by_rule_by_culprit_and_by_confidence(db: None) -> None:
    for _ in range(3):
        reviewed(rule="members.member_grey", confidence=0.97)
    reviewed("overturned", instead="task", rule="members.member_grey", confidence=0.97)
    reviewed("overturned", instead="route", rule="route.failover", rule_version="2", confidence=0.5)
    reviewed(
        "overturned", culprit="task", instead="route", route_acquitted=True, confidence=0.97, rule="task.task_error"
    )
    reviewed("confirmed", status="provisional")
    world.a_verdict(world.a_try(state="failed"))
    page = accuracy.accuracy(EVERYTHING)
    assert (page.verdicts, page.reviewed, page.provisional) == (7, 6, 1)
    assert (page.all.right, page.all.of) == (3, 6)
    rules = {row.rule: row for row in page.rules}
    assert (rules["members.member_grey"].reviews.right, rules["members.member_grey"].reviews.of) == (3, 4)
    assert rules["members.member_grey"].reviews.at_least == pytest.approx(0.2486, abs=1e-4)
    assert rules["route.failover"].versions == ("2",)
    culprits = {row.culprit: row for row in page.culprits}
    assert (culprits["route"].reviews.right, culprits["route"].reviews.of, culprits["route"].instead) == (
        4,
        5,
        {"task": 1},
    )
    assert (culprits["task"].reviews.right, culprits["task"].instead) == (0, {"route": 1})
    assert (page.acquitted.right, page.acquitted.of) == (0, 1)
    assert [(row.reviews.right, row.reviews.of) for row in page.calibration] == [(0, 1), (3, 5)]
    assert page.calibration_error == pytest.approx((0.5 * 1 + (0.97 - 0.6) * 5) / 6)


def test_the_bench_stands_beside_and_a_broken_file_is_said(
    db: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "bench.json"
    monkeypatch.setattr(accuracy, "BENCH", file)
    figure = {"id": "V1", "name": "false blame", "value": 0.001, "bound": 0.002, "n": 3000, "k": 3, "side": "<=",
              "target": 0.0025, "met": True, "note": ""}  # fmt: skip
    run = {"at": "2026-11-24T20:00:00+00:00", "split": "held_out", "seed": 1, "size": "full", "cases": 9, "tries": 3000,
           "rules_version": "2", "bound": "one-sided 95 %", "figures": [figure],
           "rules": [{"rule": "route.failover", "n": 50, "right": 49}],
           "calibration": [{"from": 14 / 15, "to": 1.0, "n": 50, "right": 49}]}  # fmt: skip
    file.write_text(json.dumps(run))
    reviewed(rule="route.failover", confidence=0.97)
    page = accuracy.accuracy(EVERYTHING)
    assert page.bench is not None and page.bench.figures[0].met
    (rule,), (sure,) = page.rules, page.calibration
    assert (rule.reviews.of, rule.simulated.right, rule.simulated.of) == (1, 49, 50)
    assert (sure.reviews.of, sure.simulated.of) == (1, 50)
    for broken in ("{", "[]", '{"figures": [{}]}', json.dumps({**run, "at": "yesterday"})):
        file.write_text(broken)
        page = accuracy.accuracy(EVERYTHING)
        assert page.bench is None and "cannot be read" in page.bench_missing
