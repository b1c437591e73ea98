"""Observations of Airflow merge on natural keys: in any order, twice, and never backwards."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from airf5.accounts.models import UserAction
from ingest import records
from ingest.models import Airflow, Feed, Job, TaskLog, Try, TryKey
from ingest.store import airflow as store
from ingest.store.tries import save_task_logs, save_tries

START = datetime(2026, 11, 22, 9, 25, tzinfo=UTC)
FIRST, SECOND = "01a20293-307c-7d8c-897a-e0618d3223f0", "01a20294-dd44-71ec-b41e-ed6c01bbe74b"


@pytest.fixture
def airflow() -> Airflow:
    return Airflow.objects.create(name="prod")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_try(state: str, number: int = 1, **facts: Any) -> records.Try:
    return records.Try("orders", "run", "get", -1, number, state, **facts)


def the_try(number: int = 1) -> Try:
    return Try.objects.get(try_number=number)


LIFE = [
    (at(0), a_try("queued", queued_at=at(0), ti_id=FIRST)),
    (at(2), a_try("running", queued_at=at(0), start_at=at(1), ti_id=FIRST, hostname="w1")),
    (at(9), a_try("up_for_retry", queued_at=at(0), start_at=at(1), end_at=at(8), duration_s=7.0)),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_observations_gives_the_same_try(airflow: Airflow, order: tuple[int, ...]) -> None:
    for place in order:
        save_tries(airflow, [LIFE[place]])
    row = the_try()
    assert (row.state, row.queued_at, row.start_at, row.end_at, row.duration_s) == ("failed", at(0), at(1), at(8), 7.0)
    assert (row.ti_id, row.ti_id_from, row.hostname) == (UUID(FIRST), "rest", "w1")
    assert row.judge and row.log_state == Try.LogState.WANTED


def test_the_same_observation_twice_is_no_news(airflow: Airflow) -> None:
    assert save_tries(airflow, LIFE) == 3
    Try.objects.update(judge=False)
    assert save_tries(airflow, [LIFE[-1]]) == 0
    assert not the_try().judge


def test_an_ended_try_never_goes_back(airflow: Airflow) -> None:
    save_tries(airflow, [(at(10), a_try("success", start_at=at(1), end_at=at(9)))])
    save_tries(airflow, [(at(11), a_try("running", start_at=at(5)))])
    row = the_try()
    assert (row.state, row.end_at, row.start_at) == ("success", at(9), at(1))


def test_a_try_that_a_person_marks_failed_is_judged_again(airflow: Airflow) -> None:
    save_tries(airflow, [(at(10), a_try("success", end_at=at(9)))])
    Try.objects.update(judge=False)
    save_tries(airflow, [(at(20), a_try("failed", end_at=at(9)))])
    row = the_try()
    assert row.state == "failed" and row.judge


def test_a_resumed_try_keeps_its_first_times(airflow: Airflow) -> None:
    save_tries(airflow, [(at(5), a_try("deferred", queued_at=at(0), start_at=at(1)))])
    save_tries(airflow, [(at(40), a_try("success", queued_at=at(30), start_at=at(31), end_at=at(39)))])
    row = the_try()
    assert (row.queued_at, row.start_at, row.end_at) == (at(0), at(1), at(39))


@pytest.mark.parametrize("seen", [a_try("upstream_failed", 0), a_try("scheduled"), a_try("")])
def test_what_was_never_queued_is_no_try(airflow: Airflow, seen: records.Try) -> None:
    assert save_tries(airflow, [(at(1), seen)]) == 0
    assert not Try.objects.exists()


@pytest.mark.parametrize("state", ["awaiting_input", "a_state_of_an_airflow_that_is_still_to_come"])
def test_a_state_that_nobody_knows_is_kept_as_it_is(airflow: Airflow, state: str) -> None:
    assert save_tries(airflow, [(at(1), a_try(state))]) == 1
    assert the_try().state == state[:20] and not the_try().judge
    save_tries(airflow, [(at(2), a_try("success"))])
    assert the_try().state == "success"


def test_an_earlier_try_that_was_not_seen_to_end_is_asked_for(airflow: Airflow) -> None:
    save_tries(airflow, [(at(1), a_try("running"))])
    save_tries(airflow, [(at(20), a_try("running", 2))])
    assert the_try(2).history_wanted and not the_try(1).history_wanted
    history = [a_try("failed", end_at=at(9), from_history=True), a_try("running", 2, from_history=True)]
    save_tries(airflow, [(at(21), one) for one in history])
    assert the_try(1).state == "failed" and not the_try(2).history_wanted


def test_the_uuid_of_the_log_does_not_replace_the_one_rest_showed(airflow: Airflow) -> None:
    save_tries(airflow, LIFE)
    save_task_logs(airflow, [records.TaskLog("orders", "run", "get", -1, 1, SECOND)], at(12))
    assert the_try().ti_id == UUID(FIRST)
    assert TryKey.objects.get(key=FIRST).try_row == the_try()


def test_a_log_names_the_try_that_rest_forgot(airflow: Airflow) -> None:
    save_tries(airflow, [(at(9), a_try("failed", end_at=at(8), from_history=True))])
    Try.objects.update(judge=False)
    log = records.TaskLog("orders", "run", "get", -1, 1, FIRST, exceptions=(("ReadTimeout", "Read timed out."),))
    assert save_task_logs(airflow, [log], at(12)) == 1
    row = the_try()
    assert (row.ti_id, row.ti_id_from, row.log_state, row.judge) == (UUID(FIRST), "task_log", "fetched", True)
    assert TryKey.objects.get(key=FIRST).try_row == row
    assert TaskLog.objects.get().facts["exceptions"] == [["ReadTimeout", "Read timed out."]]


def test_the_same_log_twice_is_no_news(airflow: Airflow) -> None:
    save_tries(airflow, LIFE)
    log = records.TaskLog("orders", "run", "get", -1, 1, FIRST, ended_at=at(8))
    assert save_task_logs(airflow, [log], at(12)) == 1
    assert save_task_logs(airflow, [log], at(13)) == 0


def test_a_request_that_came_before_its_try_is_bound_by_its_key(airflow: Airflow) -> None:
    keys = [TryKey.objects.create(key=key) for key in (FIRST, '["orders","run","get",-1,1]')]
    save_tries(airflow, LIFE)
    for key in keys:
        key.refresh_from_db()
        assert key.try_row == the_try()


def test_the_same_uuid_of_a_capture_is_another_try(airflow: Airflow) -> None:
    capture = Airflow.objects.create(name="lab/prod")
    Feed.objects.create(kind=Feed.Kind.AIRFLOW_CAPTURE, name="lab/airflow", airflow=capture, capture="lab")
    save_tries(airflow, LIFE)
    save_tries(capture, LIFE)
    bound = dict(TryKey.objects.filter(key__endswith=FIRST).values_list("key", "try_row__airflow__name"))
    assert bound == {FIRST: "prod", f"lab/{FIRST}": "lab/prod"}


def test_small_lists_are_replaced_by_what_is_new(airflow: Airflow) -> None:
    job = {"id": 1, "job_type": "SchedulerJob", "state": "running", "hostname": "w1"}
    assert store.save(airflow, "jobs", [job], START).rows == 1
    assert store.save(airflow, "jobs", [job], START).repeated == 1
    assert store.save(airflow, "jobs", [{**job, "state": "failed"}], START).rows == 1
    assert Job.objects.get().state == "failed"


def test_an_event_is_stored_once_and_a_bad_one_is_rejected(airflow: Airflow) -> None:
    event = {"event_log_id": 7, "when": START.isoformat(), "event": "clear", "owner": "ann", "dag_id": "orders"}
    counts = store.save(airflow, "event_logs", [event, event, {"event": "clear"}], START)
    assert (counts.read, counts.rows, counts.repeated, len(counts.rejects)) == (3, 1, 1, 1)
    assert store.save(airflow, "event_logs", [event], START).repeated == 1
    action = UserAction.objects.get()
    assert (action.source, action.actor, action.verb, action.dag_id) == ("prod", "ann", "clear", "orders")


@pytest.mark.django_db(transaction=True)
def test_two_feeds_of_one_airflow_do_not_undo_each_other() -> None:
    airflow = Airflow.objects.create(name="prod")
    save_tries(airflow, [(at(2), a_try("running", ti_id=FIRST))])

    def meanwhile() -> None:
        try:
            with transaction.atomic():
                save_tries(airflow, [(at(3), a_try("running", hostname="w1"))])
        finally:
            connection.close()

    other = threading.Thread(target=meanwhile)
    with transaction.atomic():
        save_tries(airflow, [(at(9), a_try("failed", end_at=at(8)))])
        other.start()
        other.join(0.3)  # enough to have read the row, were it free
        assert other.is_alive()
    other.join(10)
    row = the_try()
    assert (row.state, row.end_at, row.judge, row.hostname) == ("failed", at(8), True, "w1")
