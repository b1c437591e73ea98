"""The plugin and the policy for Airflow, loaded with stand-ins for Airflow 2 and 3: they mark calls and never break a task."""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "integrations" / "airflow"
RUN = "manual__2026-11-22T10:48:58.559804+00:00"


class Headers(dict):
    """As in requests: names in any case; a copy keeps the very values."""

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in {key.lower() for key in self}

    def copy(self) -> Headers:
        return Headers(self)


class Session:
    """As requests.Session: a redirect sends a copy of the request through the same door."""

    redirects: dict[str, str] = {}  # noqa: RUF012
    sent: list[tuple[str, Headers]] = []  # noqa: RUF012

    def send(self, request: Any, **kwargs: Any) -> str:
        Session.sent.append((request.url, request.headers.copy()))
        if request.url in Session.redirects:
            copy = a_request(Session.redirects[request.url], request.headers.copy())
            return self.send(copy, **kwargs)
        return "answer"


def a_request(url: str, headers: Headers | None = None) -> Any:
    return SimpleNamespace(url=url, headers=Headers() if headers is None else headers)


def load(name: str) -> ModuleType:
    """The file as Airflow loads one from its plugins folder."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The plugin, with stand-ins for airflow, requests and (as in Airflow 2) no OpenTelemetry."""
    listeners, manager, requests = (
        ModuleType(name) for name in ("airflow.listeners", "airflow.plugins_manager", "requests")
    )
    listeners.hookimpl = lambda function: function  # type: ignore[attr-defined]
    manager.AirflowPlugin = object  # type: ignore[attr-defined]
    requests.Session = type("Session", (Session,), {"send": Session.send})  # type: ignore[attr-defined]
    for module in (ModuleType("airflow"), listeners, manager, requests):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setenv("AIRF5_HEADER_HOSTS", "orders.internal,*.corp.example,10.0.0.0/8")
    Session.sent, Session.redirects = [], {}
    yield load("airf5_trace")


def a_ti(**changes: Any) -> Any:
    facts = {"dag_id": "orders", "run_id": RUN, "task_id": "get", "map_index": -1, "try_number": 2}
    return SimpleNamespace(**{**facts, **changes})


def send(url: str, **headers: str) -> Headers:
    assert sys.modules["requests"].Session().send(a_request(url, Headers(headers)), timeout=3) == "answer"
    return Session.sent[-1][1]


def running(plugin: ModuleType, ti: Any) -> None:
    plugin.Airf5TracePlugin.listeners[0].on_task_instance_running(None, ti)


def test_a_call_of_airflow_2_names_its_try(plugin: ModuleType) -> None:
    running(plugin, a_ti())
    assert send("http://orders.internal:8080/v1") == {"X-Airflow-Task": f"dag=orders;run={RUN};task=get;map=-1;try=2"}


def test_a_call_of_airflow_3_has_the_uuid_and_the_trace_too(
    plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "opentelemetry.trace.propagation.tracecontext"
    propagator = SimpleNamespace(inject=lambda carrier: carrier.update(traceparent="00-1-2-00"))
    module = types.ModuleType(name)
    module.TraceContextTextMapPropagator = lambda: propagator  # type: ignore[attr-defined]
    for part in ("opentelemetry", "opentelemetry.trace", "opentelemetry.trace.propagation"):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    monkeypatch.setitem(sys.modules, name, module)
    running(plugin, a_ti(id="0199-7", map_index=3))
    told = send("http://orders.internal/")
    assert told["X-Airflow-Task"].endswith(";map=3;try=2;ti=0199-7") and told["traceparent"] == "00-1-2-00"


def test_what_a_task_set_itself_stays(plugin: ModuleType) -> None:
    running(plugin, a_ti())
    assert send("http://orders.internal/", **{"x-airflow-task": "mine"}) == {"x-airflow-task": "mine"}


def test_the_next_try_in_the_same_process_is_named_and_after_the_last_none(plugin: ModuleType) -> None:
    listener, wrapped = plugin.Airf5TracePlugin.listeners[0], set()
    for number in (1, 2):
        running(plugin, a_ti(try_number=number))
        wrapped.add(sys.modules["requests"].Session.send)
        assert send("http://orders.internal/")["X-Airflow-Task"].endswith(f"try={number}")
    listener.on_task_instance_failed(None, a_ti())
    assert send("http://orders.internal/") == {}
    running(plugin, a_ti())
    listener.on_task_instance_success(None, a_ti())
    assert send("http://orders.internal/") == {}
    assert len(wrapped) == 1  # sessions are wrapped once, however many tries a process runs


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://orders.internal/x", True),
        ("https://ORDERS.internal:8443/x", True),
        ("http://a.b.corp.example/", True),
        ("http://10.9.8.7:9000/", True),
        ("http://u:p@10.9.8.7/", True),
        ("http://corp.example/", False),
        ("http://orders.internal.evil.example/", False),
        ("http://evil.example/?orders.internal", False),
        ("http://orders.internal@evil.example/", False),
        ("http://11.0.0.1/", False),
        ("http://[::1]/", False),
        ("mailto:orders.internal", False),
        ("http://[broken", False),
    ],
)
def test_only_listed_hosts_are_told(plugin: ModuleType, url: str, told: bool) -> None:
    running(plugin, a_ti())
    assert ("X-Airflow-Task" in send(url)) is told


def test_a_redirect_to_a_stranger_loses_the_headers(plugin: ModuleType) -> None:
    running(plugin, a_ti())
    Session.redirects = {"http://orders.internal/": "http://evil.example/"}
    send("http://orders.internal/", accept="*/*")
    assert [(url, sorted(headers)) for url, headers in Session.sent] == [
        ("http://orders.internal/", ["X-Airflow-Task", "accept"]),
        ("http://evil.example/", ["accept"]),
    ]


def test_a_redirect_to_a_stranger_keeps_what_the_task_set_itself(plugin: ModuleType) -> None:
    running(plugin, a_ti())
    Session.redirects = {"http://orders.internal/": "http://evil.example/"}
    send("http://orders.internal/", **{"X-Airflow-Task": "mine"})
    assert [headers for _, headers in Session.sent] == [{"X-Airflow-Task": "mine"}] * 2


@pytest.mark.parametrize("hosts", ["", " , "])
def test_without_a_list_nothing_is_sent_and_that_is_logged_once(
    plugin: ModuleType, hosts: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRF5_HEADER_HOSTS", hosts)
    with caplog.at_level(logging.INFO):
        running(plugin, a_ti())
        running(plugin, a_ti())
    assert send("http://orders.internal/") == {}
    assert len([one for one in caplog.records if "names no host" in one.message]) == (1 if not hosts.strip() else 0)


def test_whatever_goes_wrong_the_task_goes_on_and_it_is_logged_once(
    plugin: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        running(plugin, SimpleNamespace(dag_id="orders"))  # a task instance of another shape
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    running(plugin, a_ti())
    broken = SimpleNamespace(url="http://orders.internal/", headers=None)
    with pytest.raises(AttributeError):  # of the stand-in's own send: what the task would have seen without us
        sys.modules["requests"].Session().send(broken)
    assert len(caplog.records) == 2


def test_an_error_of_the_call_itself_reaches_the_task(plugin: ModuleType) -> None:
    def refused(self: Any, request: Any, **kwargs: Any) -> None:
        raise ConnectionError("refused")

    sys.modules["requests"].Session.send = refused
    running(plugin, a_ti())
    with pytest.raises(ConnectionError, match="refused"):
        sys.modules["requests"].Session().send(a_request("http://orders.internal/"))


@pytest.mark.parametrize("name", ["käse", "a\r\nInjected: 1", "a\x00b", "日"])
def test_a_name_that_no_header_can_hold_is_escaped(plugin: ModuleType, name: str) -> None:
    value = plugin.name_of(a_ti(run_id=name))
    assert value.isascii() and value.isprintable()


# --- the policy -----------------------------------------------------------------------------------------------------


class HttpOperator:
    template_fields = ("endpoint", "data", "headers")

    def __init__(self, headers: Any = None, http_conn_id: str = "orders_http") -> None:
        self.headers, self.http_conn_id = headers, http_conn_id


class SimpleHttpOperator(HttpOperator):
    pass


class OurOwnOperator(SimpleHttpOperator):
    pass


class BashOperator:
    template_fields = ("bash_command",)
    headers: Any = None
    http_conn_id = "orders_http"


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("AIRF5_HEADER_CONNECTIONS", "orders_*,reports_http")
    return load("airf5_policy")


@pytest.mark.parametrize("operator", [HttpOperator, SimpleHttpOperator, OurOwnOperator])
def test_an_http_operator_gets_the_header_beside_its_own(policy: ModuleType, operator: Any) -> None:
    task, bare = operator({"Accept": "*/*"}), operator()
    policy.task_policy(task)
    policy.task_policy(bare)
    assert task.headers == {"Accept": "*/*", "X-Airflow-Task": policy.VALUE}
    assert bare.headers == {"X-Airflow-Task": policy.VALUE}


@pytest.mark.parametrize(
    "task",
    [
        BashOperator(),
        HttpOperator(http_conn_id="partner_http"),
        HttpOperator(headers={"x-airflow-task": "mine"}),
        HttpOperator(headers="{{ ti.xcom_pull('headers') }}"),
    ],
)
def test_other_tasks_are_left_alone(policy: ModuleType, task: Any) -> None:
    before = task.headers
    policy.task_policy(task)
    assert task.headers is before


def a_mapped(operator: Any = HttpOperator, over: Any = None, **partial: Any) -> Any:
    return SimpleNamespace(
        operator_class=operator, partial_kwargs={"http_conn_id": "orders_http", **partial},
        template_fields=operator.template_fields, expand_input=SimpleNamespace(value=over or {"endpoint": ["a", "b"]}),
    )  # fmt: skip


def test_a_mapped_task_gets_it_where_all_share_their_headers(policy: ModuleType) -> None:
    task = a_mapped(headers={"Accept": "*/*"})
    policy.task_policy(task)
    assert task.partial_kwargs["headers"] == {"Accept": "*/*", "X-Airflow-Task": policy.VALUE}
    for other in (
        a_mapped(over={"headers": [1]}), a_mapped(over=[{}]), a_mapped(BashOperator), a_mapped(http_conn_id="partner"),
        a_mapped(over={"http_conn_id": ["partner"]}),
    ):  # fmt: skip
        policy.task_policy(other)
        assert "headers" not in other.partial_kwargs


def test_without_a_list_of_connections_nothing_is_added(policy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRF5_HEADER_CONNECTIONS")
    task = HttpOperator()
    policy.task_policy(task)
    assert task.headers is None


def test_a_policy_that_fails_takes_no_dag_away(policy: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(HttpOperator):
        @property
        def http_conn_id(self) -> str:  # type: ignore[override]
            raise RuntimeError("not now")

        @http_conn_id.setter
        def http_conn_id(self, value: str) -> None:
            pass

    for _ in range(3):
        policy.task_policy(Broken())
    assert [one.levelname for one in caplog.records] == ["WARNING"]


def rendered(template: str, ti: Any) -> str:
    """As Airflow's Jinja renders this one template; the real one did so in the runs that the README lists."""
    template = re.sub(
        r"{% if ti\.id is defined and ti\.id %}(.*){% endif %}", r"\1" if hasattr(ti, "id") else "", template
    )
    assert "{%" not in template
    return re.sub(r"{{ (.*?) }}", lambda found: str(eval(found[1], {"ti": ti})), template)


@pytest.mark.parametrize("ti", [a_ti(), a_ti(id="0199-7"), a_ti(run_id="käse\n")])
def test_the_policy_names_a_try_as_the_plugin_does(policy: ModuleType, plugin: ModuleType, ti: Any) -> None:
    assert rendered(policy.VALUE, ti) == plugin.name_of(ti)
