"""History judged again: in the shade it writes nothing and tells each difference; in earnest it keeps what was said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.utils import InternalError
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import judging, rejudging
from ingest.models import Try, Verdict, VerdictHistory
from ingest.rules import RULES_VERSION
from tests import world

Rejudge = Callable[..., tuple[list[dict[str, Any]], dict[str, Any], str]]


def at(minutes: float) -> datetime:
    return timezone.now().replace(microsecond=0) - timedelta(minutes=minutes)


@pytest.fixture
def rejudge(db: None) -> Rejudge:
    """Run the command; the tries that differ, the summary, and what went to stderr."""

    def run(*options: str) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
        out, err = io.StringIO(), io.StringIO()
        call_command("rejudge", "--format", "json", *options, stdout=out, stderr=err)
        *rows, last = map(json.loads, out.getvalue().splitlines())
        return rows, last["summary"], err.getvalue()

    return run


@pytest.fixture
def judged(db: None) -> list[Try]:
    """Three failed tries without anything to be seen of them, judged by these rules; oldest first."""
    made = [world.a_try(at=at(minutes), state="failed", judge=True, task_id=f"t{minutes}") for minutes in (30, 20, 10)]
    world.a_feed("prod", "airflow_api", airflow=made[0].airflow, state="closed", complete_from=at(60))
    judging.judge_pending(timezone.now())
    assert set(Verdict.objects.values_list("culprit", flat=True)) == {"unknown"}
    return made


def said_before(of: Try, culprit: str = "route", cause: str = "member_grey", **changes: Any) -> Verdict:
    """As if older rules had answered so."""
    rule = {
        "rule": f"members.{cause}",
        "rule_version": "0",
        "component": "/Common/orders1:9000",
        "component_kind": "member",
    }
    Verdict.objects.filter(try_row=of).update(culprit=culprit, cause=cause, **{**rule, **changes})
    return Verdict.objects.get(try_row=of)


def everything() -> list[Any]:
    return [
        list(table.objects.order_by("pk").values())
        for table in (Verdict, VerdictHistory, Try, UserAction)
    ]  # fmt: skip


def test_the_same_rules_say_the_same(judged: list[Try], rejudge: Rejudge) -> None:
    rows, summary, told = rejudge("--dry-run")
    assert rows == []
    assert (summary["tries"], summary["judged"], summary["unchanged"], summary["reworded"]) == (3, 3, 3, 0)
    assert summary["from_rules"] == {RULES_VERSION: 3}
    assert "3 tries up to" in told and "0 differ" in told


def test_in_the_shade_nothing_is_written(judged: list[Try], rejudge: Rejudge) -> None:
    said_before(judged[0])
    before = everything()
    rows, summary, _ = rejudge("--dry-run")
    assert everything() == before
    assert summary["dry_run"] is True
    (row,) = rows
    assert (row["airflow"], row["task_id"], row["try_number"]) == ("prod", "t30", 1)
    assert (row["old"]["cause"], row["old"]["rule_version"]) == ("member_grey", "0")
    assert (row["new"]["culprit"], row["new"]["rule_version"]) == ("unknown", RULES_VERSION)
    new = row["new"]["cause"]
    assert summary["causes"] == [{"from": "member_grey", "to": new, "tries": 1}]
    assert summary["culprits"] == [{"from": "route", "to": "unknown", "tries": 1}]
    assert summary["rules"][0]["from"] == "members.member_grey"
    assert (summary["newly_blamed"], summary["newly_cleared"]) == (0, 1)


def test_the_shade_is_a_read_only_transaction(
    judged: list[Try], monkeypatch: pytest.MonkeyPatch, rejudge: Rejudge
) -> None:
    """What judging would write there is refused by the server."""
    answers = judging.answers

    def careless(*given: Any) -> Any:
        with transaction.atomic():
            Try.objects.update(judge=True)
        return answers(*given)

    monkeypatch.setattr(judging, "answers", careless)
    with pytest.raises(InternalError, match="read-only transaction"):
        rejudge("--dry-run")


def test_in_earnest_the_history_says_which_rules_replaced_which(judged: list[Try], rejudge: Rejudge) -> None:
    old = said_before(judged[1])
    rows, summary, _ = rejudge()
    assert len(rows) == summary["changed"] == 1
    assert Verdict.objects.get(try_row=judged[1]).culprit == "unknown"
    (kept,) = VerdictHistory.objects.all()
    assert (kept.try_row_id, kept.why) == (judged[1].pk, f"rules {RULES_VERSION} replaced rules 0")
    assert (kept.answer["cause"], kept.answer["component"]) == ("member_grey", old.component)
    assert UserAction.objects.get(verb="rejudge").detail["changed"] == 1
    assert rejudge()[1]["changed"] == 0


def test_a_try_that_needs_no_verdict_any_more_loses_it_and_keeps_what_it_said(
    judged: list[Try], rejudge: Rejudge
) -> None:
    Try.objects.filter(pk=judged[0].pk).update(state="success")
    rows, summary, _ = rejudge()
    assert (rows[0]["new"], summary["causes"][0]["to"]) == (None, "none")
    assert not Verdict.objects.filter(try_row=judged[0]).exists()
    assert VerdictHistory.objects.get().why == VerdictHistory.NOT_DUE


def test_only_what_ended_in_the_time_of_the_airflow_that_was_asked(judged: list[Try], rejudge: Rejudge) -> None:
    for one in judged:
        said_before(one)
    middle = ("--since", at(25).isoformat(), "--until", at(15).isoformat())
    assert [row["task_id"] for row in rejudge("--dry-run", *middle)[0]] == ["t20"]
    other = world.a_try(at=at(20), state="failed", airflow=world.an_airflow("other"))
    assert rejudge("--dry-run", "--airflow", "other")[1]["tries"] == 1
    assert rejudge("--dry-run", "--airflow", "prod")[1]["tries"] == 3
    assert other.pk


def test_what_requests_are_expired_is_left_as_it_is(judged: list[Try], rejudge: Rejudge) -> None:
    long_ago = timezone.now() - timedelta(days=20)
    old = world.a_try(at=long_ago, state="failed")
    world.a_verdict(old, rule_version="0")
    rows, summary, _ = rejudge()
    assert (rows, summary["expired"], summary["judged"]) == ([], 1, 3)
    assert Verdict.objects.get(try_row=old).cause == "member_grey"


def test_batches_are_read_one_after_the_other_and_resumed(
    judged: list[Try], rejudge: Rejudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejudging, "BATCH", 1)
    for one in judged:
        said_before(one)
    again, calls = judging.judge_again, []

    def stopped(*given: Any) -> Any:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(given)
        return again(*given)

    monkeypatch.setattr(judging, "judge_again", stopped)
    err = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        call_command("rejudge", stdout=io.StringIO(), stderr=err)
    assert "run it again with --resume" in err.getvalue()
    assert VerdictHistory.objects.count() == 2
    monkeypatch.setattr(judging, "judge_again", again)
    rows, summary, _ = rejudge("--resume")
    assert ([row["task_id"] for row in rows], summary["tries"]) == (["t10"], 1)
    assert rejudge("--resume")[1]["tries"] == 0


def test_reviews_say_how_the_new_answers_do(judged: list[Try], rejudge: Rejudge) -> None:
    first, second, third = (said_before(one) for one in judged)
    world.a_review(first)  # confirmed, and would change
    world.a_review(second, "overturned", author="ann", culprit="unknown")  # would agree now
    world.a_review(third, "overturned", culprit="service", cause="service_failing")  # would still be wrong
    rows, summary, _ = rejudge("--dry-run")
    assert [summary[name] for name in ("confirmed", "confirmed_changed", "overturned", "overturned_agreed")] == [
        1,
        1,
        2,
        1,
    ]
    assert rows[1]["review"] == {
        "says": "overturned",
        "author": "ann",
        "culprit": "unknown",
        "cause": "",
        "component": "",
    }


def test_a_person_is_told_in_a_few_lines(judged: list[Try], monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.management.commands import rejudge as command

    monkeypatch.setattr(command, "SHOWN", 2)
    for one in judged:
        world.a_review(said_before(one))
    out = io.StringIO()
    call_command("rejudge", "--dry-run", stdout=out, stderr=io.StringIO())
    text = out.getvalue()
    assert text.count("route member_grey /Common/orders1:9000 -> unknown") == 2 and "and 1 more" in text
    assert "3 tries ended in the time; 3 had a verdict (3 by rules 0)." in text
    assert f"Rules {RULES_VERSION} judged 3: 3 would change, 0 stay." in text
    assert "0 newly blamed, 3 newly cleared" in text
    assert "3 of 3 confirmed answers would change" in text
    assert text.rstrip().endswith("Nothing was written.")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--since", "yesterday"), "is no time"),
        (("--until", "2026-01-01T00:00:00"), "no time zone"),
        (("--airflow", "nobody"), "there is no Airflow"),
    ],
)
def test_what_cannot_be_asked_is_said(db: None, option: tuple[str, str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("rejudge", *option, stdout=io.StringIO())


def test_one_that_now_waits_for_data_is_judged_again_by_the_workers(judged: list[Try], rejudge: Rejudge) -> None:
    """A feed that came later: what these rules say is provisional, and the workers go on with it."""
    world.a_feed("prod/db", "airflow_db", airflow=judged[0].airflow, complete_from=at(60), complete_to=at(25))
    rejudge()
    waits = Try.objects.filter(judge=True)
    assert {one.task_id for one in waits} == {"t20", "t10"}
