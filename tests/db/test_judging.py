"""Judging a batch: how often it asks the server, and that a batch of other tries gives the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from bench.judging import RoundTrips, fill
from ingest import judging
from ingest.models import Evidence, Try, Verdict
from ingest.rules.facts import Facts, Finding
from tests import world

MOST = 25


@pytest.fixture
def _storms(tmp_path: Path) -> Any:
    return fill(tmp_path, 520)


def answers() -> list[tuple[Any, ...]]:
    columns = (
        "try_row",
        "cause",
        "component",
        "sentence",
        "reasons",
        "confidence",
        "links",
        "candidates",
        "bad_at",
        "split",
    )
    return [
        *Verdict.objects.order_by("try_row").values_list(*columns),
        *Evidence.objects.order_by("verdict__try_row", "position").values_list(
            "verdict__try_row", "line_id", "says", "raw"
        ),
    ]


def test_a_batch_of_500_asks_the_server_25_times_and_its_size_changes_no_answer(_storms: Any) -> None:
    trips = RoundTrips()
    with connection.execute_wrapper(trips):
        assert judging.judge_pending(_storms) == judging.BATCH
    assert trips.statements <= MOST
    judging.judge_pending(_storms)
    whole = answers()
    assert {row[1] for row in whole} >= {"service_failing", "unanswered", "task_error"}

    Try.objects.filter(state="failed").update(judge=True)
    again = RoundTrips()
    with connection.execute_wrapper(again):
        judging.judge_pending(_storms)
    assert again.statements <= MOST
    assert answers() == whole

    Verdict.objects.all().delete()
    Try.objects.filter(state="failed").update(judge=True)
    while judging.judge_pending(_storms, limit=130):
        pass
    assert answers() == whole


def test_what_changes_while_it_is_judged_is_judged_again(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    kept, changed = (world.a_try(state="failed", judge=True, run_id=run) for run in ("kept", "changed"))
    judge = judging.judge

    def meanwhile(facts: Facts) -> Finding:
        if facts.attempt.try_id == changed.pk:
            Try.objects.filter(pk=changed.pk).update(judge=True)  # as a feed does that brings something of it
        return judge(facts)

    monkeypatch.setattr(judging, "judge", meanwhile)
    world.a_feed("prod", "airflow_api", airflow=kept.airflow, state="closed")
    judging.judge_pending(kept.end_at)
    assert set(Try.objects.filter(judge=True)) == {changed}
    monkeypatch.undo()
    judging.judge_pending(kept.end_at)
    assert not Try.objects.filter(judge=True).exists()
