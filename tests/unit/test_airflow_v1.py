"""Pulls of an Airflow 2 from recorded answers: detection, spans without order, states that lag behind."""

from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from ingest.parsers.airflow_v1 import with_true_try
from ingest.sources import airflow_api, airflow_v1
from ingest.sources.airflow_session import Source, root_of, version_of
from ingest.sources.http import SourceRefused, SourceUnavailable
from tests.airflows import (
    DAG_RUNS,
    LISTS,
    NOW,
    OLD,
    TASK_INSTANCES,
    Airflow2,
    a_row,
    an_answer,
    of_kind,
    recorded,
    replay,
)

SMALL = replace(OLD, options={"page_limit": 100})


def test_the_api_is_found_by_asking_and_remembered():
    airflow = Airflow2()
    pages = airflow.pull()
    assert of_kind(pages, "version") == [{"git_version": "", "version": "2.11.2", "api": "v1"}]
    assert [request.url.path for request in airflow.seen[:2]] == ["/api/v2/version", "/api/v1/version"]
    airflow.seen.clear()
    airflow.pull(pages[-1].cursor)
    assert airflow.seen[0].url.path == "/api/v1/version"
    assert not airflow.asked("/api/v2/version")


def test_an_airflow_that_was_upgraded_to_3_is_noticed():
    def upgraded(request):
        if request.url.path.startswith("/api/v1"):
            return httpx.Response(404, json={"error": "/api/v1 has been removed"})
        name = LISTS.get(request.url.path.removeprefix("/api/v2"), "jobs")
        return an_answer({name: [], "total_entries": 0, "version": "3.3.2"})

    source = Source("new", "http://airflow:8080", token="t")
    pages = list(airflow_api.read(source, {"api": "v1"}, transport=httpx.MockTransport(upgraded), now=lambda: NOW))
    assert of_kind(pages, "version")[0]["api"] == "v2"
    assert pages[-1].cursor["api"] == "v2"


def test_an_api_that_was_chosen_is_the_only_one_that_is_asked():
    airflow = Airflow2()
    with pytest.raises(SourceRefused, match="has no /api/v2: give the address"):
        airflow.pull(source=Source("old", "http://airflow:8080", "airf5", "s3cret", api="v2"))
    assert not airflow.asked("/version")


@pytest.mark.parametrize("body", [{}, {"version": 2}, [], "pong"])
def test_something_that_is_no_airflow_is_told_so(body):
    transport = httpx.MockTransport(lambda request: an_answer(body))
    with pytest.raises(SourceUnavailable, match="address of an Airflow"):
        list(airflow_api.read(OLD, None, transport=transport))


def test_a_gateway_that_wants_the_token_for_everything_gets_it():
    def managed(request):
        if request.headers.get("authorization") != "Bearer static":
            return an_answer({}, 401)
        path = request.url.path
        if path == "/prod/api/v1/version":
            return an_answer({"version": "2.10.5+composer"})
        name = LISTS.get(path.removeprefix("/prod/api/v1"))
        return (
            an_answer({name: [], "total_entries": 0})
            if name
            else an_answer({}, 200 if path.endswith("health") else 404)
        )

    source = Source("cloud", "https://cloud.example/prod/api/v1", token="static")
    pages = list(airflow_api.read(source, None, transport=httpx.MockTransport(managed), now=lambda: NOW))
    assert pages[-1].complete_to == NOW - airflow_api.SETTLE


def test_recorded_lists_are_read_and_a_secret_of_a_connection_is_not():
    extra = recorded("v1/connections")["body"]["connections"][0] | {"extra": '{"token": "hunter2"}', "password": "x"}
    answers = {
        "/pools": replay("pools"),
        "/connections": an_answer({"connections": [extra], "total_entries": 1}),
        DAG_RUNS: replay("dagRuns_updated_gte"),
    }
    pages = Airflow2(**answers).pull()
    assert {item["name"] for item in of_kind(pages, "pools")} == {"default_pool", "orders_api"}
    (connection,) = of_kind(pages, "connections")
    assert connection["host"] == "127.0.0.1" and not {"extra", "password", "login"} & set(connection)
    assert of_kind(pages, "health")[0]["scheduler"]["status"] == "healthy"
    assert "no list of jobs" in next(one["sentence"] for one in of_kind(pages, "refused") if one["endpoint"] == "/jobs")


def test_task_instances_are_asked_without_order_and_with_a_big_limit():
    airflow = Airflow2(rows=[a_row(n, NOW - timedelta(hours=1)) for n in range(500)])
    pages = airflow.pull()
    assert len(of_kind(pages, "task_instances")) == 500
    (request,) = airflow.asked(TASK_INSTANCES)
    assert set(request.url.params) == {"limit", "updated_at_gte"} and request.url.params["limit"] == "1000"


def test_an_answer_that_is_not_whole_is_divided_in_time_until_all_came():
    rows = [a_row(n, NOW - timedelta(seconds=7 * (n % 90), hours=n % 5)) for n in range(370)]
    airflow = Airflow2(rows=rows)
    pages = airflow.pull(source=SMALL)
    assert {item["task_id"] for item in of_kind(pages, "task_instances")} == {f"t{n}" for n in range(370)}
    assert len(airflow.asked(TASK_INSTANCES)) < 40


def test_what_changed_before_the_cut_of_a_pull_is_not_asked_again():
    rows = [a_row(n, NOW - timedelta(minutes=n)) for n in range(1_300)]
    airflow, cursors = Airflow2(rows=rows), []
    pages = airflow_api.read(OLD, None, transport=httpx.MockTransport(airflow), now=lambda: NOW, sleep=lambda _: None)
    for page in pages:
        if page.kind == "task_instances" and page.cursor:
            cursors.append(page.cursor["task_instances"])
            if len(cursors) == 2:
                break
    assert NOW - timedelta(hours=24) < datetime.fromisoformat(cursors[0]) < datetime.fromisoformat(cursors[1]) < NOW


def test_many_rows_of_one_moment_come_in_one_answer():
    rows = [a_row(n, NOW - timedelta(hours=3)) for n in range(150)]
    pages = Airflow2(rows=rows).pull(source=SMALL)
    assert len({item["task_id"] for item in of_kind(pages, "task_instances")}) == 150


def test_a_gateway_that_clamps_the_answer_of_one_moment_is_said():
    airflow = Airflow2(rows=[a_row(n, NOW - timedelta(hours=3)) for n in range(300)])
    whole = airflow.task_instances
    airflow.task_instances = lambda query: whole({**query, "limit": "100"})
    with pytest.raises(SourceUnavailable, match="gives 100 of 300 rows"):
        airflow.pull()


@pytest.mark.parametrize(("version", "twice"), [("2.6.3", True), ("2.9.3", True), ("2.10.5", False), ("odd", True)])
def test_up_to_2_9_a_final_state_is_found_by_its_end(version, twice):
    """`updated_at` stays at the start of the try there: only the second question sees that it ended."""
    before = NOW - timedelta(hours=2)
    ended = a_row(1, before, end_date=(NOW - timedelta(seconds=9)).isoformat())
    airflow = Airflow2(version, rows=[ended])
    watermark = {"task_instances": NOW.isoformat(), "task_instances_ended": NOW.isoformat()}
    pages = airflow.pull(watermark)
    assert len(of_kind(pages, "task_instances")) == int(twice)
    assert [set(request.url.params) - {"limit"} for request in airflow.asked(TASK_INSTANCES)] == (
        [{"updated_at_gte"}, {"end_date_gte"}] if twice else [{"updated_at_gte"}]
    )
    assert pages[-1].complete_to == NOW - airflow_api.SETTLE


def test_event_logs_are_read_backwards_to_what_is_known():
    told = recorded("v1/eventLogs_order_by_minus_event_log_id")["body"]
    airflow = Airflow2(**{"/eventLogs": an_answer(told | {"total_entries": len(told["event_logs"])})})
    pages = airflow.pull()
    assert len(of_kind(pages, "event_logs")) == len(told["event_logs"])
    (request,) = airflow.asked("/eventLogs")
    assert dict(request.url.params) == {"limit": "100", "order_by": "-event_log_id"}
    assert of_kind(airflow.pull(pages[-1].cursor), "event_logs") == []


def test_event_logs_are_read_backwards_no_further_than_to_the_last_pull():
    def an_hour_a_page(request):
        first = 5_000 - int(request.url.params.get("offset", 0))
        at = NOW - timedelta(hours=(5_000 - first) / 100)
        events = [{"event_log_id": first - n, "when": at.isoformat(), "event": "x"} for n in range(100)]
        return an_answer({"event_logs": events, "total_entries": 5_000})

    airflow = Airflow2(**{"/eventLogs": an_hour_a_page})
    pages = airflow.pull({"event_logs": (NOW - timedelta(hours=2, minutes=30)).isoformat()})
    assert len(of_kind(pages, "event_logs")) == 300 and len(airflow.asked("/eventLogs")) == 4
    assert "/eventLogs" not in {note["endpoint"] for note in of_kind(pages, "refused")}


def test_an_event_log_that_is_too_long_to_read_backwards_is_said(monkeypatch):
    monkeypatch.setattr(airflow_v1, "MOST_EVENT_PAGES", 2)

    def endless(request):
        first = 10_000 - int(request.url.params.get("offset", 0))
        events = [{"event_log_id": first - n, "when": NOW.isoformat(), "event": "x"} for n in range(100)]
        return an_answer({"event_logs": events, "total_entries": 10_000})

    pages = Airflow2(**{"/eventLogs": endless}).pull()
    assert len(of_kind(pages, "event_logs")) == 200
    assert "the older ones were not read" in next(
        item["sentence"] for item in of_kind(pages, "refused") if item["endpoint"] == "/eventLogs"
    )


def test_where_the_database_is_read_rest_is_asked_for_the_rest_alone():
    airflow = Airflow2(rows=[a_row(1, NOW)])
    pages = airflow.pull(source=replace(OLD, tries_elsewhere=True))
    assert not airflow.asked(TASK_INSTANCES) and not airflow.asked(DAG_RUNS) and not airflow.asked("/eventLogs")
    assert airflow.asked("/pools") and pages[-1].complete_to == NOW - airflow_api.SETTLE


@pytest.mark.parametrize("version", ["2.6.3", "2.9.3"])
def test_the_number_of_a_try_never_goes_back_once_it_is_put_right(version):
    seen: dict[tuple, int] = {}
    lags = 0
    for row in recorded(f"v1/{version}/ti_states_over_time"):
        true = with_true_try(row)
        key = tuple(row[name] for name in ("dag_id", "dag_run_id", "task_id", "map_index"))
        if row["state"] in ("queued", "running", "deferred", "up_for_retry", "up_for_reschedule", "success", "failed"):
            assert true["try_number"] >= max(seen.get(key, 1), 1), row
            seen[key] = true["try_number"]
        lags += true["try_number"] != row["try_number"]
    assert len(seen) > 5 and lags > 10


def test_the_source_puts_it_right_only_where_it_is_wrong():
    rows = [a_row(1, NOW, "queued", try_number=1), a_row(2, NOW, "running", try_number=2)]
    for version, numbers in (("2.9.3", {2}), ("2.10.5", {1, 2})):
        assert {
            item["try_number"] for item in of_kind(Airflow2(version, rows=rows).pull(), "task_instances")
        } == numbers


def test_versions_and_addresses():
    assert version_of("2.11.2") == (2, 11)
    assert version_of("2.10.5+composer") == (2, 10)
    assert version_of("odd") is version_of("2") is None
    assert root_of("https://h/x/api/v1/") == root_of("https://h/x/api/v2") == "https://h/x"
