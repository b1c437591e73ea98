"""The loop-back test from end to end: a stand-in virtual server before a stand-in Airflow, and the real receiver."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.management import CommandError, call_command
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import actions, leases, pipeline, tasks
from ingest.doctor import loop_back
from ingest.doctor.findings import FAIL, OK, WARN, Finding
from ingest.models import Check, Feed, Request, Try
from ingest.receive import Receiver, Spool
from ingest.setup import checks

pytestmark = pytest.mark.long

LINE = (
    'airf5="1",kind="{kind}",ts="{ts}",hostname="lb1",virtual_name="/Common/vs_airflow",virtual_ip="10.0.0.5",'
    'virtual_port="80",pool="/Common/p_airflow",client_ip="10.0.0.9",client_port="{port}",'
)
ANSWERED = (
    'server_ip="10.1.0.1",server_port="8080",snat_ip="",http_statcode="{status}",response_ms="3",response_us="3100",'
    'bytes="27",'
)
ASKED = (
    'http_method="PUT",host="airflow",correlation_id="{correlation}",traceparent="",task="",xff="",ua="airf5 loop-back test",'
    'http_uri="{uri}"\n'
)


class VirtualServer(ThreadingHTTPServer):
    """Answers as an Airflow 3 behind a BIG-IP does, and logs both lines to the receiver."""

    daemon_threads = True

    def __init__(self, receiver_port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.receiver_port = receiver_port
        self.status, self.echoes, self.kinds = 401, True, ("request", "response")
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.logs_others = False

    def log(self, uri: str, correlation: str, port: int) -> None:
        """The lines of one request, as the profile's template makes them."""
        values = {
            "ts": f"{time.time():.6f}",
            "port": port,
            "uri": uri,
            "correlation": correlation,
            "status": self.status,
        }
        lines = [
            (LINE + (ANSWERED if kind == "response" else "") + ASKED).format(kind=kind, **values)
            if kind in ("request", "response")
            else f"{kind} {uri}\n"
            for kind in self.kinds
        ]
        if self.logs_others:
            lines.append((LINE + ASKED).format(kind="request", **values | {"uri": "/other", "port": port + 1}))
        if lines:
            with socket.create_connection(("127.0.0.1", self.receiver_port)) as connection:
                connection.sendall("".join(lines).encode())


class Handler(BaseHTTPRequestHandler):
    server: VirtualServer

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        correlation = self.headers["correlation-id"]
        self.server.asked.append((self.path, dict(self.headers.items())))
        body = b'{"detail":"Not authenticated"}'
        self.send_response(self.server.status)
        if self.server.echoes:
            self.send_header("correlation-id", correlation)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.log(self.path, correlation, self.client_address[1])

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def spool(tmp_path: Path, settings: Any) -> Path:
    settings.AIRF5_SPOOL_DIR = tmp_path / "spool"
    return settings.AIRF5_SPOOL_DIR


@pytest.fixture
def server(spool: Path) -> Iterator[VirtualServer]:
    """The virtual server and the receiver it logs to."""
    started, port, loop = threading.Event(), [0], asyncio.new_event_loop()
    ended = asyncio.Event()

    async def receive() -> None:
        receiver = Receiver(Spool(spool), "127.0.0.1", 0)
        await receiver.start()
        port[0] = receiver.port
        started.set()
        await ended.wait()
        await receiver.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(receive(),), daemon=True)
    thread.start()
    assert started.wait(5)
    found = VirtualServer(port[0])
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()
    loop.call_soon_threadsafe(ended.set)
    thread.join(5)
    loop.close()


@pytest.fixture
def feed(server: VirtualServer) -> Feed:
    """The Airflow that is reached by way of the virtual server, and the device."""
    config = {
        "base_url": "http://airflow.example.com", "token": "env:T", "allow": ["127.0.0.1/32"],
        "through": f"http://127.0.0.1:{server.server_port}/execution/",
    }  # fmt: skip
    return actions.configure_source("airflow_api", "prod", None, None, config, "ann")


def a_device(spool: Path, folder: str = "127.0.0.1", **about: Any) -> None:
    actions.configure_device("bigip-1", str(spool / folder), "ann", **about)


def work(seconds: float) -> None:
    """What a worker does meanwhile."""
    for one in Feed.objects.filter(kind="f5_request"):
        epoch = leases.take(one.pk, "test")
        assert epoch is not None
        pipeline.ingest(Feed.objects.select_related("device").get(pk=one.pk), epoch)
        leases.release(one.pk, epoch)
    time.sleep(0.05)


def follow(feed: Feed, wait_s: float = 10.0, sleep: Any = work) -> list[Finding]:
    return list(loop_back.run(feed, wait_s=wait_s, sleep=sleep))


def test_each_hop_is_ticked_with_its_time(server: VirtualServer, feed: Feed, spool: Path) -> None:
    a_device(spool)
    told = follow(feed)
    assert [(one.level, one.subject) for one in told] == [(OK, "answer"), (OK, "F5's log"), (OK, "database")]
    answer, log, database = told
    assert "answered 401, and Airflow gave our correlation id back" in answer.sentence
    assert "A line of 127.0.0.1 with our UUID" in log.sentence and "correlation id too" in log.sentence
    assert "/Common/vs_airflow of bigip-1, answered by 10.1.0.1:8080, status 401." in database.sentence
    assert all(one.seconds is not None and 0 <= one.seconds < 10 for one in told)
    assert log.seconds <= database.seconds  # type: ignore[operator]
    [(path, headers)] = server.asked
    assert path.startswith("/execution/task-instances/") and path.endswith("/heartbeat")
    assert "Authorization" not in headers
    assert Request.objects.filter(try_key_id__isnull=False).count() == 1 and not Try.objects.exists()


def test_a_line_that_was_pushed_is_found_where_pushes_lie(tmp_path: Path) -> None:
    files = loop_back.Files(tmp_path)
    pushed = tmp_path / "push" / "lb1-0" / "telemetry-1.log"
    pushed.parent.mkdir(parents=True)
    pushed.write_bytes(b"2026-01-01T00:00:00Z 10.0.0.1 {} some-uuid\n")
    assert files.find(b"some-uuid") == (pushed, pushed.read_bytes().rstrip())


def test_an_address_that_nobody_listens_on_is_the_first_hop(server: VirtualServer, feed: Feed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = list(loop_back.run(feed, f"http://127.0.0.1:{port}", wait_s=1))
    assert [(one.level, one.subject) for one in told] == [(FAIL, "answer")] and "takes no connection" in told[
        0
    ].sentence


def test_an_address_that_is_not_allowed_is_not_asked(server: VirtualServer, feed: Feed) -> None:
    feed.config["allow"] = ["10.0.0.0/8"]
    told = follow(feed)
    assert told[0].level == FAIL and "127.0.0.1 is loopback" in told[0].sentence and not server.asked


def test_without_a_log_profile_the_log_is_the_first_hop_that_is_missing(
    server: VirtualServer, feed: Feed, spool: Path
) -> None:
    a_device(spool)
    server.kinds = ()
    told = follow(feed, 0.3)
    assert [(one.level, one.subject) for one in told] == [(OK, "answer"), (FAIL, "F5's log")]
    assert "no request line of anybody: no device's log reaches the receiver" in told[1].sentence
    server.logs_others = True
    told = follow(feed, 1.0)
    assert "127.0.0.1 logged other requests meanwhile: this one did not cross" in told[1].sentence


@pytest.mark.parametrize(
    ("folder", "about", "kinds", "sentence"),
    [
        ("192.0.2.7", {}, ("request", "response"), "no source reads 127.0.0.1/request"),
        ("127.0.0.1", {}, ("request",), "one of its two lines"),
        ("127.0.0.1", {}, ("response",), "one of its two lines"),
        ("127.0.0.1", {}, ("what nobody knows",), "could not use the line"),
    ],
)
def test_what_keeps_a_line_out_of_the_database_is_named(
    server: VirtualServer, feed: Feed, spool: Path, folder: str, about: Any, kinds: Any, sentence: str
) -> None:
    a_device(spool, folder, **about)
    server.kinds = kinds
    told = follow(feed, 1.0)
    assert [(one.level, one.subject) for one in told] == [(OK, "answer"), (OK, "F5's log"), (FAIL, "database")]
    assert sentence in told[2].sentence and told[2].todo


def test_without_a_worker_it_says_so(server: VirtualServer, feed: Feed, spool: Path) -> None:
    a_device(spool)
    told = follow(feed, 1.0, time.sleep)
    assert told[-1].level == FAIL and "bigip-1/request has not read that far" in told[-1].sentence


@pytest.mark.parametrize(
    ("status", "echoes", "level", "sentence"),
    [
        (404, False, OK, "answered 404, and the correlation id did not come back"),
        (503, False, WARN, "answered 503"),
        (200, False, WARN, "an Airflow would have refused it"),
    ],
)
def test_an_odd_answer_is_told_and_the_test_goes_on(
    server: VirtualServer, feed: Feed, spool: Path, status: int, echoes: bool, level: str, sentence: str
) -> None:
    a_device(spool)
    server.status, server.echoes = status, echoes
    told = follow(feed)
    assert told[0].level == level and sentence in told[0].sentence
    assert [one.subject for one in told] == ["answer", "F5's log", "database"]


def test_a_check_asked_for_on_a_page_is_done_once_by_a_worker(server: VirtualServer, feed: Feed, spool: Path) -> None:
    """Also where that worker is the only one: it stores the line meanwhile."""
    a_device(spool)
    row = checks.ask("loop_back", "ann", airflow=feed.airflow)
    assert checks.waiting() == [row.pk]
    assert UserAction.objects.latest("pk").verb == "test_loop_back"
    assert tasks.do_check(row.pk) and not tasks.do_check(row.pk) and checks.waiting() == []
    row.refresh_from_db()
    assert row.finished_at and [one["level"] for one in row.outcome] == [OK, OK, OK]


def test_the_command_ends_with_1_when_a_hop_is_missing(server: VirtualServer, feed: Feed, spool: Path) -> None:
    server.kinds = ()
    out = io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("doctor", "--loop-back", "prod", "--wait", "1", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["worst"] == FAIL and [one["subject"] for one in told["findings"]] == ["answer", "F5's log"]
    with pytest.raises(CommandError, match="No Airflow named 'none' is read"):
        call_command("doctor", "--loop-back", "none")
    with pytest.raises(CommandError, match="The address through F5 must be an address"):
        call_command("doctor", "--loop-back", "prod", "--through", "file:///etc/passwd")
    with contextlib.suppress(CommandError):
        call_command("doctor", "--through", "http://10.0.0.1")


@pytest.mark.parametrize(
    ("error", "sentence"), [(ValueError("s3cret"), "an error of airf5's own"), (SoftTimeLimitExceeded(), "in time")]
)
def test_a_check_that_fails_inside_is_over_all_the_same(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def fails(*args: Any, **options: Any) -> Iterator[Finding]:
        yield Finding(OK, "answer", "It answered.")
        raise error

    monkeypatch.setattr(loop_back, "run", fails)
    row = checks.ask("loop_back", "ann", airflow=feed.airflow)
    assert tasks.do_check(row.pk)
    row.refresh_from_db()
    assert row.finished_at and [one["level"] for one in row.outcome] == [OK, FAIL]
    assert sentence in row.outcome[1]["sentence"] and "s3cret" not in str(row.outcome)


def test_a_check_whose_worker_was_killed_is_done_again(server: VirtualServer, feed: Feed, spool: Path) -> None:
    a_device(spool)
    row = checks.ask("loop_back", "ann", airflow=feed.airflow)
    Check.objects.filter(pk=row.pk).update(started_at=timezone.now())
    assert checks.waiting() == [] and not tasks.do_check(row.pk)
    Check.objects.filter(pk=row.pk).update(started_at=timezone.now() - checks.STUCK * 1.1)
    assert checks.waiting() == [row.pk] and tasks.do_check(row.pk)
    Check.objects.filter(pk=row.pk).update(asked_at=timezone.now() - checks.KEEP * 1.1)
    checks.forget_old()
    assert not Check.objects.exists()
