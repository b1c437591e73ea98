"""Airflow's REST items become records: real answers of 3.3 and 2.11, and whatever else may arrive."""

import json
from pathlib import Path

import pytest

from ingest.parsers import airflow, airflow_log
from ingest.parsers.airflow_log import key_of_file, parse_task_log
from ingest.records import Reject

SAMPLES = Path(__file__).parent.parent / "samples" / "airflow"
KEY = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
UUID = "01a20292-e55e-7256-bf6c-250866266e5a"


def body(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())["body"]


def a_row(**fields):
    row = {
        "id": UUID,
        "dag_id": "orders_sync",
        "dag_run_id": "manual__1",
        "task_id": "get",
        "map_index": -1,
        "try_number": 1,
        "state": "success",
        "queued_when": "2026-11-22T09:25:10Z",
        "start_date": "2026-11-22T09:25:11Z",
        "end_date": "2026-11-22T09:25:12Z",
        "hostname": "vm",
    }
    return row | fields


@pytest.mark.parametrize("state", ["queued", "running", "deferred", "up_for_reschedule", "success", "failed"])
def test_a_uuid_is_bound_in_the_states_that_show_the_tries_own(state):
    assert airflow.parse_task_instance(a_row(state=state)).ti_id == UUID


@pytest.mark.parametrize("state", ["up_for_retry", "scheduled", None, "restarting", "upstream_failed", "removed"])
def test_a_uuid_is_not_bound_where_it_may_be_the_next_tries(state):
    assert airflow.parse_task_instance(a_row(state=state)).ti_id is None


def test_a_try_waiting_for_its_retry_keeps_the_times_of_the_ended_try():
    seen = airflow.parse_task_instance(a_row(state="up_for_retry"))
    assert seen.end_at == airflow.instant("2026-11-22T09:25:12+00:00")
    assert seen.start_at < seen.end_at


@pytest.mark.parametrize("state", ["queued", "scheduled", None])
def test_a_try_that_no_worker_has_shows_no_times_of_the_try_before_it(state):
    seen = airflow.parse_task_instance(a_row(state=state))
    assert (seen.start_at, seen.end_at, seen.hostname) == (None, None, "")


def test_the_end_of_a_poke_is_not_the_end_of_a_try():
    seen = airflow.parse_task_instance(a_row(state="up_for_reschedule"))
    assert seen.end_at is None
    assert seen.start_at


def test_connection_and_path_come_from_the_rendered_fields():
    seen = airflow.parse_task_instance(body("ti_deferred"))
    assert (seen.conn_id, seen.path) == ("reports_http", "reports/final")


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("/orders?batch=1", "orders"),
        ("http://h:80/orders/x#y", "orders/x"),
        ("orders", "orders"),
        (None, ""),
        (7, ""),
        ("", ""),
    ],
)
def test_a_path_has_no_leading_slash_and_no_query(endpoint, path):
    assert airflow.parse_task_instance(a_row(rendered_fields={"endpoint": endpoint})).path == path


def test_rendered_headers_lose_their_secrets():
    seen = airflow.parse_task_instance(a_row(rendered_fields={"headers": {"Authorization": "Bearer x", "A": "b"}}))
    assert seen.rendered == {"headers": {"Authorization": "***", "A": "b"}}


def test_a_row_of_the_history_has_no_uuid():
    rows = [airflow.parse_try(row) for row in body("ti_tries_http_retried")["task_instances"]]
    assert [row.try_number for row in rows] == [1, 2]
    assert all(row.from_history and row.ti_id is None and row.end_at for row in rows)


def test_a_task_instance_of_airflow_2_needs_no_id():
    seen = airflow.parse_task_instance(body("v1/ti_http_failed"))
    assert (seen.ti_id, seen.run_id[:8], seen.try_number, seen.state) == (None, "manual__", 3, "failed")
    assert seen.path.startswith("missing/")


@pytest.mark.parametrize("item", ["", "{", "[]", "null", "{}", '{"dag_id": "d"}', None, 7, "x" * 10_000])
def test_what_is_no_task_instance_is_rejected_with_its_text(item):
    assert isinstance(airflow.parse_task_instance(item), Reject)
    assert isinstance(airflow.parse_event_log(item), Reject)


def test_an_event_log_names_its_object():
    row = {
        "event_log_id": 107,
        "when": "2026-11-22T09:25:11Z",
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": 3,
        "try_number": 2,
        "event": "running",
        "owner": "team",
        "extra": '{"host_name": "vm"}',
    }
    action = airflow.parse_event_log(row)
    assert (action.target, action.external_id, action.tool) == ("d/r/t[3]#2", "107", "task")
    assert action.detail["extra"] == {"host_name": "vm"}


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("{'a': 1}", {"a": 1}),
        ('{"a": NaN}', {"a": "nan"}),
        ("plain words", {"text": "plain words"}),
        ("[1]", {"text": [1]}),
        ("", None),
        (None, None),
    ],
)
def test_extra_is_read_as_json_as_repr_or_as_words(extra, expected):
    row = {"when": "2026-11-22T09:25:11Z", "event": "x", "extra": extra}
    assert airflow.parse_event_log(row).detail.get("extra") == expected


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("http://127.0.10.12", 8080, ("127.0.10.12", 8080, "http")),
        ("https://reports:8443/base", None, ("reports", 8443, "https")),
        ("reports", None, ("reports", None, "")),
        ("http://[::1", None, ("http://[::1", None, "")),
        (None, None, ("", None, "")),
    ],
)
def test_the_host_of_a_connection_may_hold_a_scheme_and_a_port(host, port, expected):
    found = airflow.parse_connection({"connection_id": "c", "host": host, "port": port})
    assert (found.host, found.port, found.schema) == expected


def test_the_other_lists_of_the_samples_parse():
    assert next(airflow.parse_pool(item).slots for item in body("pools")["pools"]) == 128
    assert all(airflow.parse_job(item).job_type for item in body("jobs")["jobs"])
    assert all(airflow.parse_connection(item).conn_id for item in body("connections")["connections"])
    assert all(airflow.parse_event_log(item).external_id for item in body("eventLogs_after")["event_logs"])


# --- task logs -----------------------------------------------------------------------------------------------------


def a_failure(kind="AirflowException", value="503:Service Unavailable", file="/venv/lib/python3.11/site-packages/x.py"):
    detail = {"exc_type": kind, "exc_value": value, "frames": [{"filename": file, "lineno": 1, "name": "f"}]}
    event = {"event": "Task failed with exception", "level": "error", "timestamp": "2026-11-22T09:25:11Z"}
    return {"content": [event | {"error_detail": [detail], "ti_id": UUID, "try_number": 1}]}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("503:Service Unavailable", 503),
        ("502 Server Error: Bad Gateway for url: http://h/x", 502),
        ("404 Client Error: Not Found for url: http://h/x", 404),
        ("API_SERVER_ERROR: {'status_code': 409, 'message': 'x'}", 409),
        ("Server error '504 Gateway Timeout' for url 'http://h:8080/execution/variables/v'", 504),
        ("503, message='Service Unavailable', url=URL('http://h/x')", 503),
        ("invoice 503 is missing", None),
        ("{'status_code': 200}", None),
    ],
)
def test_the_status_that_the_client_saw(text, status):
    assert parse_task_log(a_failure(value=text), **KEY).http_status == status


def test_a_read_timeout_names_its_limit_and_its_target():
    text = "HTTPConnectionPool(host='127.0.10.11', port=8080): Read timed out. (read timeout=8)"
    log = parse_task_log(a_failure("ReadTimeout", text), **KEY)
    assert (log.timed_out, log.timeout_s, log.host, log.port) == (True, 8.0, "127.0.10.11", 8080)
    assert not log.connection_error


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ConnectionError", "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))"),
        ("ReadError", ""),
        (
            "AirflowRuntimeError",
            "API_SERVER_ERROR: {'status_code': None, 'message': '', 'exception_type': 'ReadError'}",
        ),
        ("ClientError", "Cannot connect to host reports:8443 ssl:default [Connect call failed]"),
    ],
)
def test_a_lost_connection(kind, text):
    log = parse_task_log(a_failure(kind, text), **KEY)
    assert log.connection_error
    assert not log.own_code


POOL_OF = "HTTPConnectionPool(host='orders', port=8080): Max retries exceeded with url: /x (Caused by "
NAMELESS = "NameResolutionError(\"Failed to resolve 'orders' ([Errno -2] Name or service not known)\"))"
REFUSED = "NewConnectionError('<...>: Failed to establish: [Errno 111] Connection refused'))"
UNHEARD = "ConnectTimeoutError(<...>, 'Connection to orders timed out. (connect timeout=5)'))"
EXPIRED = "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired')))"


@pytest.mark.parametrize(
    ("kind", "text", "stage"),
    [
        ("ConnectionError", POOL_OF + NAMELESS, "resolve"),
        ("ConnectError", "[Errno -3] Temporary failure in name resolution", "resolve"),
        ("ConnectionError", POOL_OF + REFUSED, "connect"),
        ("ConnectTimeout", POOL_OF + UNHEARD, "connect"),
        ("ProxyError", POOL_OF + "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 503')))", "proxy"),
        ("SSLError", POOL_OF + EXPIRED, "tls"),
        ("ConnectionError", "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", ""),
        ("ReadTimeout", "HTTPConnectionPool(host='orders', port=8080): Read timed out. (read timeout=8)", ""),
    ],
)  # fmt: skip
def test_how_far_a_call_came_that_never_was_a_request(kind, text, stage):
    log = parse_task_log(a_failure(kind, text), **KEY)
    assert log.stage == stage
    assert not stage or not log.own_code


def test_a_url_keeps_no_password():
    log = parse_task_log(a_failure(value="500 Server Error: x for url: http://u:p@h:81/a"), **KEY)
    assert (log.url, log.host, log.port) == ("http://h:81/a", "h", 81)


@pytest.mark.parametrize(
    ("kind", "file", "own"),
    [
        ("TypeError", "/opt/airflow/dags/ledger.py", True),
        ("TypeError", "/venv/lib/python3.11/site-packages/airflow/sdk/api/client.py", False),
        ("OperationalError", "/venv/lib/python3.11/site-packages/psycopg/x.py", False),
        ("JSONDecodeError", "/usr/lib/python3.11/json/decoder.py", False),
        ("ReadTimeout", "/opt/airflow/dags/ledger.py", False),
    ],
)
def test_whose_code_raised(kind, file, own):
    assert parse_task_log(a_failure(kind, "bad", file), **KEY).own_code is own


@pytest.mark.parametrize(
    "event",
    [
        {"event": "Process terminated by signal", "exit_code": -9},
        {"event": "Process terminated by signal. Likely out of memory error (OOM).", "level": "critical"},
        {"event": "Task exited with return code -9"},
        {"event": "Task did not emit heartbeat within time limit (300 seconds)"},
        {"event": "state mismatch"},
        {"event": "Received SIGTERM. Terminating subprocesses."},
    ],
)
def test_a_killed_try(event):
    assert parse_task_log({"content": [event]}, **KEY).killed


def test_a_limit_that_runs_out_inside_a_call_says_so():
    def frames(*names):
        return {
            "exc_type": "AirflowTaskTimeout",
            "exc_value": "Timeout",
            "frames": [{"filename": "***", "name": n} for n in names],
        }

    def limit(*names):
        event = {"event": "Task failed with exception", "level": "error", "error_detail": [frames(*names)]}
        return parse_task_log({"content": [event]}, **KEY).in_call

    assert limit("export", "run", "getresponse", "readinto", "handle_timeout")
    assert not limit("crunch", "handle_timeout")


def test_what_a_task_prints_kills_nobody():
    assert not parse_task_log({"content": [{"event": "kill the zombie", "logger": "task.stdout"}]}, **KEY).killed


def test_correlation_ids_are_found():
    event = {"event": f"Server error. Correlation-id={UUID}", "level": "warning"}
    assert parse_task_log({"content": [event]}, **KEY).correlation_ids == (UUID,)


@pytest.mark.parametrize("name", ["ti_logs_http_failed", "v1/ti_logs_json_http_failed"])
def test_both_majors_tell_the_same_failure(name):
    log = parse_task_log(body(name), **KEY)
    assert log.http_status == 404
    assert [kind for kind, _ in log.exceptions] == ["AirflowException", "HTTPError"]
    assert "/missing/" in log.url


def test_a_log_of_airflow_2_that_is_too_long_is_cut_after_it_was_taken_apart(monkeypatch):
    answer = body("v1/ti_logs_json_http_failed")
    monkeypatch.setattr(airflow_log, "LONGEST_TEXT", len(answer["content"]) - 100)
    assert parse_task_log(answer, **KEY).http_status == 404


def test_a_printed_traceback_of_the_dags_own_code():
    log = parse_task_log(body("v1/ti_logs_json_failed"), **KEY)
    assert log.exceptions[0][0] == "TypeError"
    assert log.own_code


@pytest.mark.parametrize("answer", [None, "", [], {}, body("v1/ti_logs_never_run_try"), body("v1/ti_logs_try_0")])
def test_a_log_that_does_not_exist_is_not_found(answer):
    assert not parse_task_log(answer, **KEY).found


def test_a_log_that_breaks_off_is_told_by_its_last_words():
    words = ["Pausing task as DEFERRED.", "trigger completed", "::group::Pre Execute"]
    content = [{"event": word, "timestamp": "2026-11-22T09:25:11Z"} for word in words]
    assert "did not reach the task's code" in parse_task_log({"content": content}, **KEY).lines[-1]


def test_a_file_name_of_a_capture_is_a_key():
    name = "report_wait.manual__2026-11-22T09%3A35%3A52%2E270774%2B00%3A00.wait_ready.-1.2.json"
    assert key_of_file(name) == {
        "dag_id": "report_wait",
        "run_id": "manual__2026-11-22T09:35:52.270774+00:00",
        "task_id": "wait_ready",
        "map_index": -1,
        "try_number": 2,
    }
    assert key_of_file("notes.json") is None
