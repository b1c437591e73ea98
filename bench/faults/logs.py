"""What a task's log says about its end, and the log itself: JSON of Airflow 3, text of Airflow 2.

The wording is that of the logs in captures/lab1 and lab2, the heads of urllib3's, requests' and Airflow's own exceptions.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from bench.faults.tasks import Failure, Try, iso
from bench.faults.traffic import Exchange
from bench.faults.world import World, stream

HOOK = "airflow.task.hooks.airflow.providers.http.hooks.http.HttpHook"
HEARTBEAT_TEXT = (
    "Task did not emit heartbeat within time limit (300 seconds) and will be terminated. See https://airflow.apache.org/"
    "docs/apache-airflow/stable/core-concepts/tasks.html#task-instance-heartbeat-timeout"
)
SIGKILL = (
    "Process terminated by signal. Likely out of memory error (OOM). For more information, see https://airflow.apache.org/"
    "docs/apache-airflow/stable/troubleshooting.html#process-terminated-by-signal."
)
WAF_PAGE = (
    "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your "
    "administrator.<br><br>Your support ID is: {}<br><br><a href='javascript:history.back();'>[Go Back]</a></body></html>"
)
RESET = "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))"
OWN = (
    ("TypeError", "float() argument must be a string or a real number, not 'NoneType'"),
    ("KeyError", "'grand_total'"), ("ZeroDivisionError", "division by zero"),
    ("AttributeError", "'NoneType' object has no attribute 'get'"), ("IndexError", "list index out of range"),
)  # fmt: skip
DATA = (
    ("ValueError", "could not convert string to float: 'n/a'"), ("KeyError", "'customer_id'"),
    ("JSONDecodeError", "Expecting value: line 1 column 1 (char 0)"), ("ValueError", "batch is empty: 0 rows"),
    ("FileNotFoundError", "[Errno 2] No such file or directory: '/data/in/2026/rates.csv'"),
)  # fmt: skip


def of_call(x: Exchange, limit: float, kind: str) -> Failure:
    """The failure of an outbound call as `requests` and the HTTP hook raise it."""
    ep = x.ep
    pool = f"{'HTTPS' if ep.tls else 'HTTP'}ConnectionPool(host='{ep.host}', port={ep.port})"
    retried = f"{pool}: Max retries exceeded with url: {x.uri} (Caused by "
    raised: list[tuple[str, str]] = []
    lines: list[tuple[str, str, str]] = []
    if kind in ("call", "post"):
        lines.append(
            ("info", "Calling HTTP method", "airflow.task.operators.airflow.providers.http.operators.http.HttpOperator")
        )
    if kind == "sensor":
        lines.append(
            (
                "info",
                f"Poking: {x.uri.lstrip('/')}",
                "airflow.task.operators.airflow.providers.http.sensors.http.HttpSensor",
            )
        )
    if x.error == "status":
        raised = _status(x, lines)
    elif x.error == "reset":
        lines.append(("warning", f"{RESET} Tenacity will retry to execute the operation", HOOK))
        raised = [
            ("ConnectionError", RESET),
            ("ProtocolError", RESET),
            ("ConnectionResetError", "[Errno 104] Connection reset by peer"),
        ]
    elif x.error == "timeout":
        text = f"{pool}: Read timed out. (read timeout={limit:g})"
        raised = [("ReadTimeout", text), ("ReadTimeoutError", text), ("TimeoutError", "timed out")]
    elif x.error == "connect_timeout":
        text = f"{retried}ConnectTimeoutError(<{pool.split('(')[0].replace('Pool', '')}(host='{ep.host}', port={ep.port}) at 0x7f21b0c4d590>, "
        raised = [
            ("ConnectTimeout", f"{text}'Connection to {ep.host} timed out. (connect timeout={min(limit, 10):g})'))")
        ]
    else:
        raised = [_never_sent(x, retried)]
    return Failure(x.error, raised, lines)


def _status(x: Exchange, lines: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    status = x.status or 500
    phrase = HTTPStatus(status).phrase
    body = '{"error": "internal"}' if not x.own else f"<html><body><h1>{status} {phrase}</h1>\n</body></html>\n"
    if x.kind == "waf":
        body = WAF_PAGE.format(x.reason)
    side = "Client" if status < 500 else "Server"
    lines += [("error", f"HTTP error: {phrase}", HOOK), ("error", body, HOOK)]
    return [("AirflowException", f"{status}:{phrase}"),
            ("HTTPError", f"{status} {side} Error: {phrase} for url: {x.ep.url}{x.uri}")]  # fmt: skip


def _never_sent(x: Exchange, retried: str) -> tuple[str, str]:
    ep = x.ep
    if x.error == "dns":
        text = f"NameResolutionError(\"HTTPConnection(host='{ep.host}', port={ep.port}): Failed to resolve '{ep.host}' "
        return "ConnectionError", f'{retried}{text}([Errno -3] Temporary failure in name resolution)"))'
    if x.error == "proxy":
        text = "ProxyError('Unable to connect to proxy', NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f21b0c4d590>"
        return (
            "ProxyError",
            f"{retried}{text}: Failed to establish a new connection: [Errno 111] Connection refused')))",
        )
    if x.error == "tls":
        text = ("SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired"
                if x.reason == "cert" else "SSLError(1, '[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure")  # fmt: skip
        return "SSLError", f"{retried}SSLError({text} (_ssl.c:1006)')))"
    text = (
        f"NewConnectionError(\"HTTPConnection(host='{ep.host}', port={ep.port}): Failed to establish a new connection: "
    )
    return "ConnectionError", f'{retried}{text}[Errno 111] Connection refused"))'


def api_down(world: World, x: Exchange | None, method: str, path: str) -> Failure:
    """The Execution API did not answer five times."""
    assert x is not None
    if x.status:
        said = f"Server error '{x.status} {HTTPStatus(x.status).phrase}' for url '{x.ep.url}{path}'"
    else:
        said = {"timeout": "timed out", "reset": "[Errno 104] Connection reset by peer"}.get(
            x.error, "[Errno 110] Connection timed out"
        )
    text = (
        f"API_SERVER_ERROR: {{'status_code': None, 'message': \"{said}\", 'exception_type': 'httpx'}} {method} {path}"
    )
    return Failure("api", [("AirflowRuntimeError", text)])


def own_error(t: Try, variant: str, fault: str) -> Failure:
    """An exception of the task's own code; `data` for what it was given."""
    rng = stream("own", *t.key)
    return Failure("own", [rng.choice(DATA if variant == "data" else OWN)], cause="task_error", fault=fault)


def deadline(t: Try, fault: str, variant: str) -> Failure:
    if variant == "sensor":
        return Failure("deadline", [("AirflowSensorTimeout", "Sensor has timed out; run duration of 60.2 seconds exceeds the specified timeout of 60.0.")],
                       cause="task_timeout", fault=fault)  # fmt: skip
    return Failure("deadline", [("AirflowTaskTimeout", f"Timeout, PID: {t.pid}")], [("error", "Process timed out", "task")],
                   cause="task_timeout", fault=fault)  # fmt: skip


def killed(fault: str, variant: str) -> Failure:
    if variant == "signal":
        return Failure("killed", [], [("critical", SIGKILL, "task")], cause="worker_killed", fault=fault)
    return Failure(
        "silent", [], [], cause="worker_killed", fault=fault, event="heartbeat timeout", extra=HEARTBEAT_TEXT
    )


# --- rendering -----------------------------------------------------------------------------------------------------

SITE = "***/lib/python3.11/site-packages"
PLACES = {
    "AirflowException": (f"{SITE}/airflow/providers/http/hooks/http.py", 442, "check_response"),
    "HTTPError": (f"{SITE}/requests/models.py", 1167, "raise_for_status"),
    "ReadTimeout": (f"{SITE}/requests/adapters.py", 742, "send"), "ConnectTimeout": (f"{SITE}/requests/adapters.py", 718, "send"),
    "ConnectionError": (f"{SITE}/requests/adapters.py", 711, "send"), "SSLError": (f"{SITE}/requests/adapters.py", 726, "send"),
    "ProxyError": (f"{SITE}/requests/adapters.py", 722, "send"),
    "ProtocolError": ("***/lib/python3.11/socket.py", 706, "readinto"),
    "ConnectionResetError": ("***/lib/python3.11/socket.py", 706, "readinto"),
    "ReadTimeoutError": (f"{SITE}/urllib3/connectionpool.py", 373, "_raise_timeout"),
    "TimeoutError": ("***/lib/python3.11/socket.py", 706, "readinto"),
    "AirflowRuntimeError": (f"{SITE}/airflow/sdk/execution_time/comms.py", 367, "_from_frame"),
    "AirflowTaskTimeout": (f"{SITE}/airflow/sdk/execution_time/timeout.py", 39, "handle_timeout"),
    "AirflowSensorTimeout": (f"{SITE}/airflow/sdk/bases/sensor.py", 221, "execute"),
}  # fmt: skip
RUNNER = f"{SITE}/airflow/sdk/execution_time/task_runner.py"


def content(world: World, t: Try) -> Any:
    """The body of `…/logs/{n}` for a failed try: a list of events (3.x), or the repr of a list of texts (2.x)."""
    failure = t.failure
    if failure is None or not failure.logged or t.start is None:
        return [{"event": "Log file not found"}] if world.v3 else _text(world, t, [])
    return _events(t, failure) if world.v3 else _text(world, t, failure.raised)


def _place(t: Try, kind: str) -> tuple[str, int, str]:
    return PLACES.get(kind, (f"***/dags/{t.run.dag.dag_id}.py", 15, t.task.task_id))


def _events(t: Try, failure: Failure) -> list[dict[str, Any]]:
    dag, run, task, index, number = t.key
    names = {"dag_id": dag, "run_id": run, "task_id": task, "map_index": index, "try_number": number, "ti_id": t.uuid}
    start = t.last_start or t.start or t.end
    silent = failure.kind in ("silent", "killed")
    end = min(t.end, start + 2) if silent else t.end - 0.03

    def line(at: float, text: str, level: str = "info", logger: str = "task", **more: Any) -> dict[str, Any]:
        return {"timestamp": iso(at, "Z"), "event": text, "level": level, **names, "logger": logger,
                "filename": "task_runner.py", "lineno": 1651, **more}  # fmt: skip

    out: list[dict[str, Any]] = [
        {"event": "::group::Log message source details"},
        {"event": "******"},
        {"event": "::endgroup::"},
    ]
    out.append(
        line(
            start + 0.2,
            "DAG bundles loaded: dags-folder",
            logger="airflow.dag_processing.bundles.manager.DagBundlesManager",
        )
    )
    out.append(line(min(start + 0.5, end), "::endgroup::"))
    out += [line(end, text, level, logger) for level, text, logger in failure.lines]
    if failure.raised:
        detail = [_raised(t, kind, text, n) for n, (kind, text) in enumerate(failure.raised)]
        out.append(line(end, "Task failed with exception", "error", error_detail=detail))
        out.append(line(end + 0.01, "::group::Post Execute"))
    return out


def _raised(t: Try, kind: str, text: str, n: int) -> dict[str, Any]:
    frames = [(RUNNER, 1579, "_run_task_and_map_outcome"), (RUNNER, 2234, "_execute_task")] if n == 0 else []
    if n == 0 and kind != "AirflowException":
        frames.append((f"***/dags/{t.run.dag.dag_id}.py", 21, t.task.task_id)) if t.task.kind in (
            "fan",
            "multi",
            "heavy",
            "bulk",
        ) else None
    frames.append(_place(t, kind))
    return {"exc_type": kind, "exc_value": text, "exc_notes": [], "syntax_error": None, "is_cause": n > 0,
            "frames": [{"filename": f, "lineno": line, "name": name} for f, line, name in frames],
            "is_group": False, "exceptions": []}  # fmt: skip


def _text(world: World, t: Try, raised: list[tuple[str, str]]) -> str:
    head = " INFO - ::group::Log message source details\n"
    if t.start is None or t.failure is None or not t.failure.logged:
        return repr(
            [
                (
                    "",
                    f"{head}*** Could not read served logs: Invalid URL 'http://:8793/log/dag_id={t.run.dag.dag_id}': No host supplied\n INFO - ::endgroup::\n",
                )
            ]
        )

    def line(at: float, where: str, level: str, text: str) -> str:
        stamp = iso(at, "")[:-3]
        return f"[{stamp}+0000] {{{where}}} {level} - {text}\n"

    start, end = t.start, t.end - 0.1 if t.failure.kind not in ("silent", "killed") else min(t.end, t.start + 2)
    text = f"{head}*** Found local files:\n INFO - ::endgroup::\n" + line(
        start, "local_task_job_runner.py:123", "INFO", "::group::Pre task execution logs"
    )
    text += line(start + 0.1, "taskinstance.py:2885", "INFO", f"Starting attempt {t.number} of {t.task.retries + 1}")
    text += line(start + 0.3, "standard_task_runner.py:72", "INFO", f"Started process {t.pid} to run task")
    for level, said, _ in t.failure.lines:
        text += line(end, "http.py:336", level.upper(), said) if level != "critical" else ""
    if raised:
        text += line(end, "taskinstance.py:3313", "ERROR", "Task failed with exception") + _traceback(t, raised)
        text += line(end + 0.05, "local_task_job_runner.py:266", "INFO", "Task exited with return code 1")
    elif t.failure.kind == "killed":
        text += line(end, "local_task_job_runner.py:266", "INFO", "Task exited with return code -9")
    return repr([(t.worker, text)])


def _traceback(t: Try, raised: list[tuple[str, str]]) -> str:
    """Python prints the innermost first."""
    qualified = {"AirflowException": "airflow.exceptions.", "HTTPError": "requests.exceptions.", "ReadTimeout": "requests.exceptions.",
                 "ConnectionError": "requests.exceptions.", "ConnectTimeout": "requests.exceptions.", "SSLError": "requests.exceptions.",
                 "ProxyError": "requests.exceptions.", "AirflowTaskTimeout": "airflow.exceptions.", "AirflowSensorTimeout": "airflow.exceptions.",
                 "ProtocolError": "urllib3.exceptions.", "ReadTimeoutError": "urllib3.exceptions."}  # fmt: skip
    parts = []
    for kind, text in reversed(raised):
        file, number, name = _place(t, kind)
        parts.append(f'Traceback (most recent call last):\n  File "{file.replace("***", "/opt/airflow")}", line {number}, in {name}\n    ...\n'
                     f"{qualified.get(kind, '')}{kind}: {text}\n")  # fmt: skip
    return "\nDuring handling of the above exception, another exception occurred:\n\n".join(parts)
