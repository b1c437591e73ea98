"""The Airflow source against recorded answers of a 3.3: paging, watermarks, traps, and lists that are refused."""

from datetime import datetime, timedelta

import httpx
import pytest

from ingest.sources import airflow_api, airflow_count
from ingest.sources.http import SourceRefused, SourceUnavailable
from tests.airflows import LAB, NOW, TASK_INSTANCES, Airflow, an_answer, of_kind, recorded


def test_a_pull_reads_everything_and_says_how_far_it_knows():
    airflow = Airflow(**{"/version": an_answer(recorded("version")["body"])})
    pages = airflow.pull()
    assert of_kind(pages, "version")[0]["version"] == "3.3.2"
    last = pages[-1]
    assert (last.kind, last.complete_to) == ("task_instances", NOW - airflow_api.SETTLE)
    assert last.cursor["task_instances"] == last.cursor["event_logs"] == NOW.isoformat()


def test_only_the_end_of_a_list_moves_its_watermark():
    one, two = recorded("taskInstances_cursor_page1")["body"], recorded("taskInstances_cursor_page2")["body"]
    path = "/dags/~/dagRuns/~/taskInstances"
    pages = Airflow(**{path: [an_answer(one), an_answer({**two, "next_cursor": None})]}).pull()
    cursors = [page.cursor for page in pages if page.kind == "task_instances"]
    assert ["task_instances" in (cursor or {}) for cursor in cursors] == [False, False, True]
    assert "task_instances_at" not in cursors[-1]


@pytest.mark.parametrize("step", [{"cursor": "next"}, {"offset": 1}])
def test_a_pull_that_was_cut_off_goes_on_where_it_was(step):
    following = {"next_cursor": step.get("cursor")}
    path = "/dags/~/dagRuns/~/taskInstances"
    first = an_answer({"task_instances": [{"n": 1}], "total_entries": 2, **following})
    last = an_answer({"task_instances": [{"n": 2}], "total_entries": 2, "next_cursor": None})
    cut = next(page for page in Airflow(**{path: first}).pull_lazily() if page.kind == "task_instances")
    airflow = Airflow(**{path: last})
    later = airflow.pull(cut.cursor, now=lambda: NOW + timedelta(minutes=1))
    (request,) = airflow.asked(path)
    assert {name: request.url.params[name] for name in step} == {name: str(value) for name, value in step.items()}
    assert request.url.params["updated_at_gte"] == (NOW - timedelta(hours=24)).isoformat()
    assert of_kind(later, "task_instances") == [{"n": 2}]
    assert later[-1].cursor["task_instances"] == NOW.isoformat()  # what changed since the beginning comes again
    assert later[-1].complete_to == NOW - airflow_api.SETTLE


def test_a_place_that_the_server_does_not_know_any_more_means_from_the_start():
    path = "/dags/~/dagRuns/~/taskInstances"
    kept = {"since": NOW.isoformat(), "began": NOW.isoformat(), "at": {"cursor": "old"}}
    everything = an_answer({"task_instances": [{"n": 1}], "total_entries": 1})
    airflow = Airflow(**{path: [an_answer({"detail": "Invalid cursor"}, 400), everything]})
    pages = airflow.pull({"task_instances_at": kept})
    assert of_kind(pages, "task_instances") == [{"n": 1}]
    assert airflow.asked(path)[-1].url.params["cursor"] == ""


def test_a_long_event_log_is_read_bit_by_bit_and_says_so(monkeypatch):
    monkeypatch.setattr(airflow_api, "MOST_EVENT_PAGES", 2)
    start = NOW - timedelta(hours=20)
    events = [{"event_log_id": n, "when": (start + timedelta(minutes=n)).isoformat(), "event": "x"} for n in range(500)]

    def a_hundred(request):
        after = datetime.fromisoformat(request.url.params["after"])
        found = [event for event in events if datetime.fromisoformat(event["when"]) > after]
        offset = int(request.url.params.get("offset", 0))
        return an_answer({"event_logs": found[offset : offset + 100], "total_entries": len(found)})

    airflow, cursor, seen = Airflow(**{"/eventLogs": a_hundred}), None, []
    for _ in range(3):
        pages = airflow.pull(cursor)
        cursor = pages[-1].cursor
        seen.append((len(of_kind(pages, "event_logs")), bool(of_kind(pages, "refused"))))
    assert sum(count for count, _ in seen) == 500 and [behind for _, behind in seen] == [True, True, False]
    assert cursor["event_logs"] == NOW.isoformat()


def test_the_first_pull_looks_back_a_day_and_the_next_one_overlaps():
    airflow = Airflow()
    cursor = airflow.pull()[-1].cursor
    airflow.pull(cursor)
    first, second = (r.url.params["updated_at_gte"] for r in airflow.asked("/dags/~/dagRuns/~/taskInstances"))
    assert first == (NOW - timedelta(hours=24)).isoformat()
    assert second == (NOW - timedelta(seconds=30)).isoformat()


@pytest.mark.parametrize(("minutes", "asked"), [(0, 0), (9.9, 0), (10, 1), (-1, 1)])  # -1: a clock was set back
def test_dags_and_connections_are_asked_for_every_ten_minutes(minutes, asked):
    airflow = Airflow()
    cursor = airflow.pull({"slow_lists": (NOW - timedelta(minutes=minutes)).isoformat()})[-1].cursor
    assert len(airflow.asked("/dags")) == len(airflow.asked("/connections")) == asked
    assert (cursor["slow_lists"] == NOW.isoformat()) is bool(asked or not minutes)


def test_a_watermark_from_the_future_hides_nothing():
    airflow = Airflow()
    airflow.pull({"task_instances": (NOW + timedelta(days=1)).isoformat()})
    (request,) = airflow.asked("/dags/~/dagRuns/~/taskInstances")
    assert request.url.params["updated_at_gte"] == (NOW - timedelta(seconds=30)).isoformat()


def test_a_clock_that_is_behind_is_corrected_by_the_date_header():
    behind = NOW - timedelta(minutes=7)
    last = Airflow().pull(now=lambda: behind)[-1]
    assert abs(datetime.fromisoformat(last.cursor["task_instances"]) - NOW) < timedelta(seconds=1)


def test_updated_at_is_never_asked_for_as_an_order():
    airflow = Airflow()
    airflow.pull()
    assert {request.url.params.get("order_by") for request in airflow.seen} == {None, "id", "event_log_id"}


def test_cursor_pages_are_followed_to_the_end():
    one, two = recorded("taskInstances_cursor_page1")["body"], recorded("taskInstances_cursor_page2")["body"]
    end = {**two, "task_instances": [], "next_cursor": None}
    airflow = Airflow(**{"/dags/~/dagRuns/~/taskInstances": [an_answer(one), an_answer(two), an_answer(end)]})
    found = of_kind(airflow.pull(), "task_instances")
    assert len(found) == len(one["task_instances"]) + len(two["task_instances"])
    asked = [request.url.params["cursor"] for request in airflow.asked("/dags/~/dagRuns/~/taskInstances")]
    assert asked == ["", one["next_cursor"], two["next_cursor"]]


def test_a_clamped_page_is_paged_by_what_came():
    everything = [{"n": n} for n in range(7)]

    def clamp_to_three(request):
        offset = int(request.url.params.get("offset", 0))
        return an_answer({"task_instances": everything[offset : offset + 3], "total_entries": 7})

    found = of_kind(Airflow(**{"/dags/~/dagRuns/~/taskInstances": clamp_to_three}).pull(), "task_instances")
    assert found == everything


def test_endless_pages_are_noticed():
    again = {"task_instances": [{"n": 1}], "next_cursor": "same", "total_entries": 9}
    with pytest.raises(SourceUnavailable, match="again and again"):
        Airflow(**{"/dags/~/dagRuns/~/taskInstances": an_answer(again)}).pull()


def test_event_logs_of_the_overlap_come_once():
    answer = an_answer(recorded("eventLogs_after")["body"] | {"total_entries": 10})
    airflow = Airflow(**{"/eventLogs": answer})
    first = airflow.pull()
    assert len(of_kind(first, "event_logs")) == 10
    assert of_kind(airflow.pull(first[-1].cursor), "event_logs") == []


def test_an_id_of_an_event_log_may_be_anything():
    odd = [{"event_log_id": what, "when": NOW.isoformat()} for what in ([], {}, "7", None, 7, 7)]
    pages = Airflow(**{"/eventLogs": an_answer({"event_logs": odd, "total_entries": 6})}).pull()
    assert len(of_kind(pages, "event_logs")) == 6 and pages[-1].cursor["event_log_ids"] == [7]


@pytest.mark.parametrize("body", [[], "7", {}, {"total_entries": True}, {"total_entries": "7"}])
def test_a_count_that_is_none_is_told(body):
    transport = httpx.MockTransport(Airflow(**{TASK_INSTANCES: an_answer(body)}))
    with pytest.raises(SourceUnavailable):
        airflow_count.ended(LAB, NOW, NOW, transport=transport, sleep=lambda _: None)


@pytest.mark.parametrize("path", ["/connections", "/jobs", "/pools", "/eventLogs"])
def test_a_list_the_role_may_not_read_is_a_note(path):
    pages = Airflow(**{path: an_answer({"detail": "Forbidden"}, 403)}).pull()
    (note,) = of_kind(pages, "refused")
    assert note["endpoint"] == path
    assert "may not read this" in note["sentence"]
    assert pages[-1].complete_to


def test_refused_task_instances_fail_the_pull():
    with pytest.raises(SourceRefused, match="may not read this"):
        Airflow(**{"/dags/~/dagRuns/~/taskInstances": an_answer({}, 403)}).pull()


def test_a_refused_event_log_keeps_its_old_watermark():
    old = (NOW - timedelta(hours=1)).isoformat()
    last = Airflow(**{"/eventLogs": an_answer({}, 403)}).pull({"event_logs": old})[-1]
    assert last.cursor["event_logs"] == old
