"""Tries that wait for data are judged again when something changed that a judgement sees, and not before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from ingest import judging, waiting
from ingest.models import Airflow, Feed, Gap, TaskLog, Try, Verdict, Waiting
from tests import world

END = world.NOW - timedelta(minutes=10) + timedelta(seconds=5)


def at(seconds: float) -> datetime:
    """So long after the try's end."""
    return END + timedelta(seconds=seconds)


def remember(marks: dict[int, str]) -> None:
    """As if these had been judged, and waited on."""
    for pk, mark in marks.items():
        Waiting.objects.update_or_create(pk=pk, defaults={"mark": mark})


@pytest.fixture
def waits() -> Try:
    """A try whose verdict waits, and of which all was looked at that there was."""
    found = world.a_try(state="failed", judge=True, airflow=world.an_airflow())
    world.a_feed("prod/api", "airflow_api", airflow=found.airflow, complete_to=at(500))
    world.a_feed("lb1/request", complete_to=at(-60))
    world.a_feed("lab1/request", capture="lab1", complete_to=at(-60))
    world.a_verdict(found, status="provisional")
    remember(waiting.due(found.airflow, 10))
    return found


def due(of: Try) -> bool:
    found = waiting.due(of.airflow, 10)
    remember(found)
    return of.pk in found


def moved(name: str, seconds: float) -> None:
    Feed.objects.filter(name=name).update(complete_to=at(seconds))


def test_nothing_changed_nothing_is_judged(waits: Try) -> None:
    assert not due(waits)
    moved("prod/api", 900)  # long past what the try can have met
    moved("lab1/request", 900)  # another world
    Gap.objects.create(feed=Feed.objects.get(name="lb1/request"), start=at(200), end=at(300), reason="later")
    Gap.objects.create(feed=Feed.objects.get(name="lb1/request"), start=at(-300), end=at(-200), reason="before")
    assert not due(waits)


CHANGES: dict[str, Callable[[Try], object]] = {
    "a watermark within its time": lambda one: moved("lb1/request", -30),
    "a watermark past its time": lambda one: moved("lb1/request", 10_000),
    "a gap": lambda one: Gap.objects.create(feed=Feed.objects.get(name="lb1/request"), start=at(-90), reason="silent"),
    "its log": lambda one: TaskLog.objects.create(try_row=one, facts={}, fetched_at=at(9)),
    "a feed that is stopped": lambda one: Feed.objects.filter(name="lb1/request").update(enabled=False),
    "a feed that ended": lambda one: Feed.objects.filter(name="lb1/request").update(state="closed"),
    "a new feed": lambda one: world.a_feed("lb2/request", complete_to=at(-60)),
    "the verdict is gone": lambda one: Verdict.objects.all().delete(),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_a_judgement_sees(change: str, waits: Try) -> None:
    CHANGES[change](waits)
    assert due(waits)
    if Verdict.objects.exists():
        assert not due(waits)


@pytest.mark.django_db(transaction=True)  # a row has one version a transaction
def test_the_try_itself(waits: Try) -> None:
    assert not due(waits)
    Try.objects.filter(pk=waits.pk).update(judge=True)
    assert due(waits) and not due(waits)


def test_a_gap_that_ends_or_loses_more(waits: Try) -> None:
    gap = Gap.objects.create(feed=Feed.objects.get(name="lb1/request"), start=at(-90), reason="silent")
    assert due(waits)
    for told in ({"missing": 3}, {"missing": 4, "expected": 100}, {"end": at(50)}):
        Gap.objects.filter(pk=gap.pk).update(**told)
        assert due(waits) and not due(waits)


def test_new_tries_first_and_no_more_than_asked_for(waits: Try) -> None:
    new = [world.a_try(state="failed", judge=True, airflow=waits.airflow).pk for _ in range(3)]
    world.a_try(state="failed", judge=False, airflow=waits.airflow)
    world.a_try(state="running", judge=True, airflow=waits.airflow, end_at=None)
    moved("lb1/request", 10)
    assert list(waiting.due(waits.airflow, 2)) == new[:2]
    assert list(waiting.due(waits.airflow, 9)) == [*new, waits.pk]


def test_what_is_looked_at_is_remembered_while_it_waits_and_forgotten_when_it_is_final(waits: Try) -> None:
    Waiting.objects.all().delete()
    judging.judge_pending(at(0))
    assert Waiting.objects.count() == 1 and Verdict.objects.get().status == "provisional"
    judging.judge_pending(at(0))  # its own time was written to the row
    assert judging.judge_pending(at(0)) == 0
    Feed.objects.filter(capture="").update(state="closed")
    assert judging.judge_pending(at(1)) == 1
    assert not Waiting.objects.exists() and waiting.due(waits.airflow, 10) == {}
    assert waiting.due(Airflow.objects.create(name="other"), 10) == {}
