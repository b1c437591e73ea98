"""Pulls of an Airflow 2 from recorded answers: detection, the sign-ins, spans without order, states that lag behind."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from ingest.parsers.airflow_v1 import try_of_log, with_true_try
from ingest.sources import airflow_api, airflow_auth, airflow_v1
from ingest.sources.airflow_api import TryKey, Wanted
from ingest.sources.airflow_session import Source, root_of, version_of
from ingest.sources.http import SourceRefused, SourceUnavailable

SAMPLES = Path(__file__).parent.parent / "samples" / "airflow" / "v1"
NOW = datetime(2026, 11, 22, 11, 4, 16, tzinfo=UTC)
DATE = "Sun, 22 Nov 2026 11:04:16 GMT"
SOURCE = Source("old", "http://airflow:8080", username="airf5", password="s3cret")
SMALL = replace(SOURCE, options={"page_limit": 100})
TASK_INSTANCES, DAG_RUNS = "/dags/~/dagRuns/~/taskInstances", "/dags/~/dagRuns"
LISTS = {
    "/pools": "pools",
    "/dags": "dags",
    "/connections": "connections",
    "/eventLogs": "event_logs",
    DAG_RUNS: "dag_runs",
    TASK_INSTANCES: "task_instances",
}
# What the list of task instances takes; anything else is answered 400 by a real one.
FILTERS = {"limit", "offset", "updated_at_gte", "updated_at_lte", "end_date_gte", "end_date_lte"}


def recorded(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def replay(name):
    told = recorded(name)
    body = told["body"]
    headers = {"date": DATE, "content-type": told["headers"]["content-type"]}
    content = body if isinstance(body, str) else json.dumps(body)
    return httpx.Response(told["status"], content=content.encode(), headers=headers)


def an_answer(body, status=200):
    return httpx.Response(status, json=body, headers={"date": DATE})


class Airflow2:
    """Answers like 2.6 to 2.11. backends: what [api] auth_backends has; rows: task instances with their updated_at."""

    def __init__(self, version="2.11.2", backends=("session", "basic_auth"), rows=(), stranger=403, **answers):
        self.version, self.backends, self.rows, self.stranger = version, backends, list(rows), stranger
        self.answers = answers
        self.cookies = set()
        self.seen = []
        self.waits = []

    def __call__(self, request):
        self.seen.append(request)
        path = request.url.path
        if path == "/login/":
            return self.login(request)
        if not path.startswith("/api/v1/"):
            return replay("auth_token_absent" if path == "/auth/token" else "v2_absent")
        path = path.removeprefix("/api/v1")
        if path == "/version":
            return an_answer({"git_version": "", "version": self.version})
        if path == "/health":
            return replay("health")
        if not self.knows(request):
            return an_answer(recorded("unauthenticated")["body"], self.stranger)
        if path in self.answers:
            answer = self.answers[path]
            return answer(request) if callable(answer) else answer
        if path == TASK_INSTANCES:
            return self.task_instances(request.url.params)
        name = LISTS.get(path)
        return an_answer({name: [], "total_entries": 0}) if name else replay("dag_not_found")

    def login(self, request):
        if request.method == "GET":
            headers = {"set-cookie": "session=stranger; HttpOnly; Path=/"}
            return httpx.Response(200, html=(SAMPLES / "login_page.html").read_text(), headers=headers)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        token = form.get("csrf_token") == "IjQxYmIyYzJlN2I0***" and "session=stranger" in request.headers["cookie"]
        good = token and (form["username"], form["password"]) == ("airf5", "s3cret")
        if not good:
            return httpx.Response(302, headers={"location": "/login/"})
        self.cookies.add(f"session=known{len(self.cookies)}")
        cookie = f"session=known{len(self.cookies) - 1}; HttpOnly; Path=/; SameSite=Lax"
        return httpx.Response(302, headers={"location": "/home", "set-cookie": cookie})

    def knows(self, request):
        basic = "Basic " + base64.b64encode(b"airf5:s3cret").decode()
        by_cookie = "session" in self.backends and request.headers.get("cookie") in self.cookies
        return by_cookie or ("basic_auth" in self.backends and request.headers.get("authorization") == basic)

    def task_instances(self, query):
        if unknown := set(query) - FILTERS:
            return an_answer({"detail": f"Extra query parameter(s) {', '.join(unknown)} not in spec"}, 400)
        found = [row for row in self.rows if all(map(_passes, [row] * len(query), query, query.values()))]
        shown = [{k: v for k, v in row.items() if k != "updated_at"} for row in found[: int(query.get("limit", 100))]]
        return an_answer({"task_instances": shown, "total_entries": len(found)})

    def pull(self, cursor=None, wanted=None, source=SOURCE, **options):
        made = {"transport": httpx.MockTransport(self), "now": lambda: NOW, "sleep": self.waits.append, **options}
        return list(airflow_api.read(source, cursor, wanted, **made))

    def asked(self, path):
        return [request for request in self.seen if request.url.path in (path, f"/api/v1{path}")]


def _passes(row, name, value):
    if name in ("limit", "offset"):
        return True
    field, _, how = name.rpartition("_")
    mine, asked = row.get(field), datetime.fromisoformat(value)
    return mine is not None and (
        datetime.fromisoformat(mine) >= asked if how == "gte" else datetime.fromisoformat(mine) <= asked
    )


def a_row(n, at, state="success", **fields):
    key = {"dag_id": "d", "dag_run_id": "r", "task_id": f"t{n}", "map_index": -1, "try_number": 1}
    return {**key, "state": state, "updated_at": at.isoformat(), "end_date": None, **fields}


def of_kind(pages, kind):
    return [item for page in pages if page.kind == kind for item in page.items]


# --- which API ------------------------------------------------------------------------------------------------------


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
        list(airflow_api.read(SOURCE, None, transport=transport))


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


@pytest.mark.parametrize(
    ("auth", "words"),
    [("token", "has no /auth/token"), ("bearer", "has no token")],
)
def test_a_sign_in_that_airflow_2_lacks_is_said(auth, words):
    with pytest.raises(SourceRefused, match=words):
        Airflow2().pull(source=Source("old", "http://airflow:8080", "airf5", "s3cret", auth=auth))


# --- sign-in --------------------------------------------------------------------------------------------------------


def test_the_cookie_of_the_login_form_is_used_and_kept():
    airflow, kept = Airflow2(backends=("session",)), {}
    airflow.pull(kept=kept)
    airflow.pull(kept=kept)
    assert [request.method for request in airflow.asked("/login/")] == ["GET", "POST"]
    assert {request.headers.get("cookie") for request in airflow.asked("/pools")} == {"session=known0"}
    assert not [request for request in airflow.seen if "authorization" in request.headers]
    assert "known0" not in repr(kept)


def test_where_cookies_are_not_taken_each_call_has_the_password():
    airflow = Airflow2(backends=("basic_auth",))
    airflow.pull()
    (request,) = airflow.asked("/pools")
    assert request.headers["authorization"].startswith("Basic ") and "cookie" not in request.headers


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_password_is_told_from_a_missing_right(status):
    airflow = Airflow2(stranger=status)
    with pytest.raises(SourceRefused, match="does not accept user 'airf5'") as refused:
        airflow.pull(source=Source("old", "http://airflow:8080", "airf5", "wr0ng"))
    assert "wr0ng" not in str(refused.value)
    assert [request.method for request in airflow.asked("/login/")] == ["GET", "POST"]  # accounts get locked


def test_a_missing_right_is_a_note_and_no_new_login():
    airflow = Airflow2("2.6.3", **{"/pools": replay("2.6.3/pools_viewer")})
    pages = airflow.pull()
    refused = {item["endpoint"]: item["sentence"] for item in of_kind(pages, "refused")}
    assert "may not read this" in refused["/pools"] and pages[-1].complete_to
    assert len(airflow.asked("/login/")) == 2


def test_a_cookie_that_ended_is_replaced_once():
    airflow, kept = Airflow2(backends=("session",)), {}
    cursor = airflow.pull(kept=kept)[-1].cursor
    airflow.cookies.clear()
    airflow.pull(cursor, kept=kept)
    assert [request.method for request in airflow.asked("/login/")] == ["GET", "POST"] * 2


def test_a_page_that_signs_in_elsewhere_gets_no_password():
    airflow = Airflow2()
    airflow.login = lambda request: httpx.Response(200, html="<html><a href='/oauth'>Sign in with Acme</a></html>")
    airflow.pull()
    assert [request.method for request in airflow.asked("/login/")] == ["GET"]


def test_a_session_of_one_airflow_is_never_used_for_another():
    one, other = Source("a", "http://a", "u", "p"), Source("a", "http://b", "u", "p")
    places = {airflow_auth.place_of(source, api) for source in (one, other) for api in ("v1", "v2")}
    places.add(airflow_auth.place_of(Source("a", "http://a", "u", "new"), "v1"))
    assert len(places) == 5 and not any("new" in place for place in places)
    kept = {}
    for number in range(airflow_auth.MOST_KEPT + 5):
        airflow_auth.keep(kept, str(number), airflow_auth.bearer("t"))
    assert len(kept) == airflow_auth.MOST_KEPT and "0" not in kept


# --- lists ----------------------------------------------------------------------------------------------------------


def test_recorded_lists_are_read_and_a_secret_of_a_connection_is_not():
    extra = recorded("connections")["body"]["connections"][0] | {"extra": '{"token": "hunter2"}', "password": "x"}
    answers = {
        "/pools": replay("pools"),
        "/connections": an_answer({"connections": [extra], "total_entries": 1}),
        DAG_RUNS: replay("dagRuns_updated_gte"),
    }
    pages = Airflow2(**answers).pull()
    assert {item["name"] for item in of_kind(pages, "pools")} == {"default_pool", "orders_api"}
    (connection,) = of_kind(pages, "connections")
    assert connection["host"] == "127.0.0.1" and set(connection) <= {*airflow_api_fields()}
    assert of_kind(pages, "health")[0]["scheduler"]["status"] == "healthy"
    assert "no list of jobs" in next(one["sentence"] for one in of_kind(pages, "refused") if one["endpoint"] == "/jobs")


def airflow_api_fields():
    return ("connection_id", "conn_id", "conn_type", "host", "port", "schema")


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
    pages = airflow_api.read(
        SOURCE, None, transport=httpx.MockTransport(airflow), now=lambda: NOW, sleep=lambda _: None
    )
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
    told = recorded("eventLogs_order_by_minus_event_log_id")["body"]
    airflow = Airflow2(**{"/eventLogs": an_answer(told | {"total_entries": len(told["event_logs"])})})
    pages = airflow.pull()
    assert len(of_kind(pages, "event_logs")) == len(told["event_logs"])
    (request,) = airflow.asked("/eventLogs")
    assert dict(request.url.params) == {"limit": "100", "order_by": "-event_log_id"}
    assert of_kind(airflow.pull(pages[-1].cursor), "event_logs") == []


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
    pages = airflow.pull(source=replace(SOURCE, tries_elsewhere=True))
    assert not airflow.asked(TASK_INSTANCES) and not airflow.asked(DAG_RUNS) and not airflow.asked("/eventLogs")
    assert airflow.asked("/pools") and pages[-1].complete_to == NOW - airflow_api.SETTLE


# --- tries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.6.3", "2.9.3"])
def test_the_number_of_a_try_never_goes_back_once_it_is_put_right(version):
    seen: dict[tuple, int] = {}
    lags = 0
    for row in recorded(f"{version}/ti_states_over_time"):
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
    json_log, text_log = recorded("ti_logs_json_http_retried"), recorded("ti_logs_text_http_retried")
    assert try_of_log({**told, "content": json_log["body"]["content"]}) == try_of_log(
        {**told, "content": text_log["body"]}
    )
    key = TryKey("orders_sync", "r1", "get_orders", -1, 1)
    path = "/dags/orders_sync/dagRuns/r1/taskInstances/get_orders/logs/1"
    (item,) = of_kind(
        Airflow2(**{path: replay("ti_logs_text_http_retried")}).pull(wanted=Wanted(logs=(key,))), "task_logs"
    )
    assert item["content"] == text_log["body"]


@pytest.mark.parametrize("content", [None, "", [], "[(", "[('vm', 1)]", "vm\nno stamp", {"x": 1}])
def test_a_log_that_tells_no_end_is_no_try(content):
    assert try_of_log({"try_number": 1, "content": content}) is None
    never = recorded("ti_logs_never_run")["body"]["content"]
    assert try_of_log({"try_number": 1, "content": never}) is None


def test_versions_and_addresses():
    assert version_of("2.11.2") == (2, 11)
    assert version_of("2.10.5+composer") == (2, 10)
    assert version_of("odd") is version_of("2") is None
    assert root_of("https://h/x/api/v1/") == root_of("https://h/x/api/v2") == "https://h/x"
