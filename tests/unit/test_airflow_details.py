"""Histories and logs of single tries: mapped ones, missing ones, and those of Airflow 2 that its logs alone tell."""

import pytest

from ingest.parsers.airflow_v1 import try_of_log
from ingest.sources import airflow_details
from ingest.sources.airflow_api import TryKey, Wanted
from ingest.sources.airflow_session import Source
from ingest.sources.http import SourceError
from tests.airflows import Airflow, Airflow2, an_answer, of_kind, recorded, replay

KEY = TryKey("price_fanout", "manual__2026-11-22T09:20:52+00:00", "fetch_price", 0, 1)
MAPPED = "/dags/price_fanout/dagRuns/manual__2026-11-22T09:20:52+00:00/taskInstances/fetch_price"


def test_the_history_of_a_mapped_try_is_asked_with_its_index():
    airflow = Airflow(**{f"{MAPPED}/0/tries": an_answer(recorded("ti_tries_mapped")["body"])})
    pages = airflow.pull(wanted=Wanted(histories=(KEY,)))
    assert of_kind(pages, "tries")[0]["map_index"] == 0
    raw = airflow.asked(f"{MAPPED}/0/tries")[0].url.raw_path
    assert b"manual__2026-11-22T09%3A20%3A52%2B00%3A00" in raw


def test_a_log_is_one_call_with_its_map_index():
    airflow = Airflow(**{f"{MAPPED}/logs/1": an_answer(recorded("ti_logs_mapped")["body"])})
    (item,) = of_kind(airflow.pull(wanted=Wanted(logs=(KEY,))), "task_logs")
    assert item["found"]
    assert item["content"]
    (request,) = airflow.asked(f"{MAPPED}/logs/1")
    assert dict(request.url.params) == {"full_content": "true", "map_index": "0"}


def test_a_log_that_is_gone_is_an_item_too():
    airflow = Airflow(**{f"{MAPPED}/logs/1": an_answer({"detail": "not found"}, 404)})
    (item,) = of_kind(airflow.pull(wanted=Wanted(logs=(KEY,))), "task_logs")
    assert not item["found"]


def test_a_log_that_is_too_long_is_not_kept(monkeypatch):
    monkeypatch.setattr(airflow_details, "LARGEST_LOG", 100)
    airflow = Airflow(**{f"{MAPPED}/logs/1": an_answer(recorded("ti_logs_mapped")["body"])})
    (item,) = of_kind(airflow.pull(wanted=Wanted(logs=(KEY,))), "task_logs")
    assert "too long" in item["content"][0]["event"]


OTHER = KEY._replace(dag_id="other")
OF_OTHER = MAPPED.replace("price_fanout", "other", 1)


@pytest.mark.parametrize("status", [403, 400, 500])
def test_a_log_that_is_refused_is_a_note_and_the_next_dag_is_asked(status):
    answers = {
        f"{MAPPED}/logs/1": an_answer({"detail": "Forbidden"}, status),
        f"{OF_OTHER}/logs/1": an_answer(recorded("ti_logs_mapped")["body"]),
    }
    airflow = Airflow(**answers)
    pages = airflow.pull(wanted=Wanted(logs=(KEY, KEY._replace(try_number=2), OTHER)))
    assert [item["dag_id"] for item in of_kind(pages, "task_logs")] == ["other"]
    (note,) = of_kind(pages, "refused")
    assert "It says: Forbidden" in note["sentence"] and note["endpoint"].endswith("/fetch_price/logs")
    assert not airflow.asked(f"{MAPPED}/logs/2")
    assert of_kind(pages, "log_failed") == [{**KEY._asdict(), "whole_dag": status != 500}]


def test_a_history_that_is_refused_is_a_note_and_asked_once():
    fine = an_answer(recorded("ti_tries_mapped")["body"])
    airflow = Airflow(**{f"{MAPPED}/0/tries": an_answer({}, 403), f"{OF_OTHER}/0/tries": fine})
    pages = airflow.pull(wanted=Wanted(histories=(KEY, OTHER)))
    assert len([page for page in pages if page.kind == "tries"]) == 2  # each page says that this one was asked for
    assert [note["status"] for note in of_kind(pages, "refused")] == [403]


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (503, 1), (500, 3)])
def test_an_airflow_that_fails_on_every_log_is_left_alone(status, asked):
    airflow = Airflow()
    airflow.answers = dict.fromkeys(
        (MAPPED.replace("price_fanout", dag, 1) + "/logs/1" for dag in "abcd"), an_answer({}, status)
    )
    with pytest.raises(SourceError):
        airflow.pull(wanted=Wanted(logs=tuple(KEY._replace(dag_id=dag) for dag in "abcd")))
    assert len({request.url.path for request in airflow.seen if request.url.path.endswith("/logs/1")}) == asked


def test_details_are_capped():
    source = Source("lab", "http://a", token="t", options={"most_details": 3})
    airflow = Airflow()
    wanted = Wanted(logs=tuple(KEY._replace(try_number=n) for n in range(9)))
    assert len(of_kind(airflow.pull(source=source, wanted=wanted), "task_logs")) == 3


def test_the_tries_of_2_10_come_from_the_history():
    key = TryKey("orders_sync", "r1", "get_orders", -1, 2)
    path = "/dags/orders_sync/dagRuns/r1/taskInstances/get_orders/tries"
    pages = Airflow2(**{path: replay("ti_tries_http_retried")}).pull(wanted=Wanted(histories=(key,)))
    assert [(one["try_number"], one["state"]) for one in of_kind(pages, "tries")] == [(1, "failed"), (2, "success")]


def test_the_earlier_tries_of_2_6_come_from_their_logs():
    key = TryKey("orders_sync", "r1", "get_orders", -1, 3)
    path = "/dags/orders_sync/dagRuns/r1/taskInstances/get_orders/logs"
    answers = {
        f"{path}/1": replay("2.6.3/ti_logs_json_http_failed"),
        f"{path}/2": replay("2.6.3/ti_logs_json_try2_http_retried"),
    }
    airflow = Airflow2("2.6.3", **answers)
    found = of_kind(airflow.pull(wanted=Wanted(histories=(key,))), "tries")
    assert [(one["try_number"], one["state"], one["hostname"]) for one in found] == [
        (1, "failed", "vm"),
        (2, "success", "vm"),
    ]
    assert found[0]["start_date"] == "2026-11-22T10:49:03.427000+00:00"
    assert found[0]["end_date"] == "2026-11-22T10:49:12.831000+00:00"
    assert not [request for request in airflow.seen if request.url.path.endswith("/tries")]


def test_a_log_as_plain_text_says_the_same_as_one_as_json():
    told = {"try_number": 1}
    json_log, text_log = recorded("v1/ti_logs_json_http_retried"), recorded("v1/ti_logs_text_http_retried")
    assert try_of_log({**told, "content": json_log["body"]["content"]}) == try_of_log(
        {**told, "content": text_log["body"]}
    )
    key = TryKey("orders_sync", "r1", "get_orders", -1, 1)
    path = "/dags/orders_sync/dagRuns/r1/taskInstances/get_orders/logs/1"
    (item,) = of_kind(
        Airflow2(**{path: replay("ti_logs_text_http_retried")}).pull(wanted=Wanted(logs=(key,))), "task_logs"
    )
    assert item["content"] == text_log["body"]


def test_a_long_log_tells_its_end_as_a_short_one_does():
    line = "[2026-11-22T10:49:0{}.000+0000] {{x.py:1}} INFO - {}\n"
    words = (
        line.format(1, "Starting attempt 1 of 2") + "x" * 4_500_000 + "\n" + line.format(9, "Marking task as FAILED.")
    )
    for content in (f"w1\n{words}", repr([("w1", words)])):
        told = try_of_log({"try_number": 1, "content": content})
        assert told is not None and (told["state"], told["duration"], told["hostname"]) == ("failed", 8.0, "w1")


@pytest.mark.parametrize("content", [None, "", [], "[(", "[('vm', 1)]", "vm\nno stamp", {"x": 1}])
def test_a_log_that_tells_no_end_is_no_try(content):
    assert try_of_log({"try_number": 1, "content": content}) is None
    never = recorded("v1/ti_logs_never_run")["body"]["content"]
    assert try_of_log({"try_number": 1, "content": never}) is None
