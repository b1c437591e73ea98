"""An Airflow plugin: calls that a task makes with `requests` say which try makes them. For Airflow 2.6 to 2.11 and 3.x.

    X-Airflow-Task: dag=orders_sync;run=manual__2026-11-22T10:48:58+00:00;task=get_orders;map=-1;try=1;ti=0199…
    traceparent: the task's own, where OpenTelemetry has one (Airflow 3.3)

Only calls to the hosts of AIRF5_HEADER_HOSTS get them: names, patterns and networks, as in
`orders.internal,*.corp.example.com,10.0.0.0/8`; `*` is every host, and without the variable nothing is sent.

Nothing in here may raise: on Airflow 2 a listener that raises fails the task. What goes wrong is logged once.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import logging
import os
from urllib.parse import urlsplit

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

HEADER = "X-Airflow-Task"
TRACE = "traceparent"
HOSTS = "AIRF5_HEADER_HOSTS"

log = logging.getLogger(__name__)
_complained: set[str] = set()
_now = {"task": ""}  # what the running try is called; a process runs one at a time


class Ours(str):
    """A header's value that was put there by this file: it is taken away again where a redirect leads to a stranger."""

    __slots__ = ()


def name_of(ti) -> str:
    """The value for this task instance. Airflow 2 has no ti.id. Escaped: a name may hold what no header can."""
    parts = [
        ("dag", ti.dag_id),
        ("run", ti.run_id),
        ("task", ti.task_id),
        ("map", ti.map_index),
        ("try", ti.try_number),
    ]
    if getattr(ti, "id", None):
        parts.append(("ti", ti.id))
    return ";".join(f"{key}={str(value).encode('unicode_escape').decode('ascii')}" for key, value in parts)


def allowed(url: str, hosts: str | None = None) -> bool:
    """Whether a call to this URL may carry the headers."""
    host = (urlsplit(url).hostname or "").lower()
    wanted = os.environ.get(HOSTS, "") if hosts is None else hosts
    return bool(host) and any(_matches(host, one.strip().lower()) for one in wanted.split(",") if one.strip())


def _matches(host: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:  # a name, or a pattern
        return fnmatch.fnmatchcase(host, wanted)


def _mark(request) -> None:
    """Add our headers, or take them from a request that a redirect made for another host."""
    headers = request.headers
    if not allowed(request.url or ""):
        for name in (HEADER, TRACE):
            if isinstance(headers.get(name), Ours):
                del headers[name]
        return
    if _now["task"] and HEADER not in headers:
        headers[HEADER] = Ours(_now["task"])
    if _now["task"] and TRACE not in headers and (trace := _trace()):
        headers[TRACE] = Ours(trace)


def _trace() -> str:
    """The traceparent of the running task, "" where there is none; Airflow 2 may have no OpenTelemetry at all."""
    try:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        return ""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACE, "")


def _wrap() -> None:
    """Let every session of `requests` in this process mark what it sends, once."""
    import requests

    send = requests.Session.send
    if getattr(send, "_airf5", False):
        return

    def marked(self, request, **kwargs):
        _safely(_mark, request)
        return send(self, request, **kwargs)

    marked._airf5 = True  # type: ignore[attr-defined]
    requests.Session.send = marked


def _begin(ti) -> None:
    if not os.environ.get(HOSTS, "").strip():
        if HOSTS not in _complained:
            _complained.add(HOSTS)
            log.info("airf5_trace is there, but %s names no host: no header is added.", HOSTS)
        return
    _now["task"] = name_of(ti)
    _wrap()


def _end(ti) -> None:
    _now["task"] = ""


def _safely(step, argument) -> None:
    """Do it; what goes wrong is logged once and hurts nobody."""
    try:
        step(argument)
    except Exception as error:
        if step.__name__ not in _complained:
            _complained.add(step.__name__)
            log.warning("airf5_trace could not do its work, the task goes on: %r", error)


class Listener:
    """Airflow calls these in the process that runs the task."""

    # /plugins of 2.6 asks a listener for the name that a module would have.
    __name__ = "airf5_trace"

    @hookimpl
    def on_task_instance_running(self, previous_state, task_instance):
        _safely(_begin, task_instance)

    @hookimpl
    def on_task_instance_success(self, previous_state, task_instance):
        _safely(_end, task_instance)

    @hookimpl
    def on_task_instance_failed(self, previous_state, task_instance):
        _safely(_end, task_instance)


class Airf5TracePlugin(AirflowPlugin):
    """What Airflow finds in its plugins folder."""

    name = "airf5_trace"
    listeners = [Listener()]  # noqa: RUF012 - Airflow wants a list on the class
