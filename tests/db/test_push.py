"""From a push to rows: who may, what is answered, and every event once, however often and however torn it came."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import leases, pipeline, rawlines, source_file
from ingest.models import (
    Batch,
    Endpoint,
    F5Message,
    Feed,
    HealthEvent,
    Member,
    PushBatch,
    PushToken,
    Reject,
    Request,
    RequestHalf,
    request_feeds,
)
from ingest.push import tokens, view
from ingest.push.spool import Writer

SAMPLES = Path(__file__).parent.parent / "samples" / "f5" / "telemetry-streaming"


@pytest.fixture
def spool(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.AIRF5_SPOOL_DIR = tmp_path
    monkeypatch.setattr(view, "writer", Writer())
    for rate in (view.pushes, view.failures):
        rate.clear()
    view.pushers.forget()
    return tmp_path


def configure(spool: Path, name: str = "lb1", **more: Any) -> Feed:
    text = json.dumps([{"kind": "device", "name": name, "telemetry": True, "logs_requests": False, **more}])
    source_file.apply(source_file.parse(text, "test", spool))
    return Feed.objects.get(name=f"{name}/telemetry")


@pytest.fixture
def feed(spool: Path) -> Feed:
    return configure(spool)


@pytest.fixture
def token(feed: Feed) -> str:
    value = tokens.create(feed, "test")
    view.pushers.forget()
    return value


def push(token: str, body: Any, source: str = "lb1", **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True)
    known = {"Authorization": f"Bearer {token}", **headers}
    return client.generic(
        "POST", f"/ingest/telemetry/{source}", raw, content_type="", headers=known, CONTENT_LENGTH=str(len(raw))
    )


def read(feed: Feed) -> int:
    view.writer.close()
    epoch = leases.take(feed.pk, "test")
    assert epoch is not None
    try:
        return pipeline.ingest(Feed.objects.get(pk=feed.pk), epoch)
    finally:
        leases.release(feed.pk, epoch)


def a_request(number: int, **more: Any) -> dict[str, str]:
    at = timezone.now().replace(microsecond=0) - timedelta(seconds=30)
    return {
        "event_source": "response_logging", "hostname": "lb1.example.net", "client_ip": f"10.2.0.{number % 250}",
        "client_port": str(1024 + number), "server_ip": "10.1.0.1", "server_port": "80", "http_method": "GET",
        "http_uri": f"/n/{number}", "virtual_name": "/Common/vs", "http_statcode": "200", "response_ms": "5",
        "event_timestamp": at.isoformat().replace("+00:00", ".000Z"), "telemetryEventCategory": "LTM", **more,
    }  # fmt: skip


def a_pool_event(at: datetime, state: str = "down") -> dict[str, str]:
    return {
        "errdefs_msgno": "22327308", "errdefs_msg_name": "pool member modified", "hostname": "lb1.example.net",
        "Microtimestamp": str(int(at.timestamp() * 1e6)), "pool_name": "/Common/p", "pool_member": "/Common/m1",
        "POOLIP": "10.1.0.1", "POOLPort": "80", "monitor_state": state, "status_reason": "/Common/tcp: gone @2026/07/06 22",
        "telemetryEventCategory": "AVR",
    }  # fmt: skip


def a_poll(at: datetime, states: dict[str, str], **more: Any) -> dict[str, Any]:
    members = {name: {"addr": "10.1.0.1", "port": 80, "monitorStatus": state} for name, state in states.items()}
    return {
        "system": {"hostname": "lb1.example.net", "systemTimestamp": at.isoformat(), "failoverStatus": "ACTIVE"},
        "pools": {"/Common/p": {"availabilityState": "available", "members": members}},
        "virtualServers": {"/Common/vs": {"destination": "10.9.0.1:443", "pool": "/Common/p", "profiles": {}}},
        "telemetryEventCategory": "systemInfo", **more,
    }  # fmt: skip


# Who may, and what is answered


def test_a_batch_is_durable_before_its_answer(feed: Feed, token: str, spool: Path) -> None:
    answer = push(token, [a_request(1), a_request(2)])
    assert (answer.status_code, answer.json()) == (200, {"received": 2, "repeated": 0})
    (path,) = spool.glob("push/*/telemetry-*.log")
    assert path.read_bytes().count(b"\n") == 2
    assert not answer.cookies and answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("header", ["Bearer {}", "Token {}", "bearer   {}"])
def test_the_token_comes_in_either_header(token: str, header: str) -> None:
    assert push(token, {"a": 1}, Authorization=header.format(token)).status_code == 200
    assert push("", {"a": 1}, Authorization="", **{"X-Airf5-Token": token}).status_code == 200


def test_a_stranger_learns_nothing_of_what_there_is(spool: Path, token: str) -> None:
    other = tokens.create(configure(spool, "lb2/ä b"), "test")
    view.pushers.forget()
    answers = [push(value, {}, source) for value in ("", "airf5ts_wrong") for source in ("lb1", "lb2/ä b", "nobody")]
    assert {(a.status_code, a.content) for a in answers} == {(401, answers[0].content)}
    assert answers[0].headers["WWW-Authenticate"].startswith("Bearer")
    known = [push(token, {}, source) for source in ("lb2/ä b", "nobody", "../lb1")]
    assert {(a.status_code, a.content) for a in known} == {(404, known[0].content)}
    assert push(other, {"a": 1}, "lb2/ä b").status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b'{"a": "\xff"}', {}, 415),
        (b"[" + b"{}," * 10_000 + b"{}]", {}, 413),
        (b" " * (view.MOST_PACKED + 1), {}, 413),
        (gzip.compress(b" " * (40 << 20)), {"Content-Encoding": "gzip"}, 413),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_stored(
    token: str, spool: Path, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = push(token, body, **headers)
    assert answer.status_code == status
    assert re.fullmatch(r"[A-Z][^\n]{5,200}\.", answer.json()["detail"])
    assert not list(spool.glob("push/*/*"))


def test_only_post_is_answered(token: str) -> None:
    answer = Client().get("/ingest/telemetry/lb1", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 405 and answer.headers["Allow"] == "POST"


def test_a_token_is_kept_as_its_hash_and_ends_when_it_is_revoked(feed: Feed, capsys: Any) -> None:
    call_command("telemetry-token", "lb1")
    old = capsys.readouterr().out.strip()
    assert old.startswith("airf5ts_") and not PushToken.objects.filter(hash__contains=old).exists()
    assert push(old, {"a": 1}).status_code == 200
    call_command("telemetry-token", "lb1", "--replace")
    new = capsys.readouterr().out.strip()
    view.pushers.forget()
    assert (push(old, {"a": 2}).status_code, push(new, {"a": 2}).status_code) == (401, 200)
    call_command("telemetry-token", "lb1", "--revoke")
    view.pushers.forget()
    assert push(new, {"a": 3}).status_code == 401
    verbs = list(UserAction.objects.filter(verb__startswith="push_token").order_by("id").values_list("verb", flat=True))
    assert verbs == ["push_token_create", "push_token_create", "push_token_revoke", "push_token_revoke"]
    assert not UserAction.objects.filter(detail__icontains=new).exists()
    with pytest.raises(CommandError):
        call_command("telemetry-token", "nobody")


def test_the_sources_file_may_name_where_the_token_stands(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRF5_SOURCE_LB3", "a long secret")
    configure(spool, "lb3", telemetry="env:AIRF5_SOURCE_LB3")
    view.pushers.forget()
    assert push("a long secret", {"a": 1}, "lb3").status_code == 200
    monkeypatch.delenv("AIRF5_SOURCE_LB3")
    view.pushers.forget()
    assert push("a long secret", {"a": 1}, "lb3").status_code == 401
    with pytest.raises(source_file.SourcesError, match="telemetry"):
        configure(spool, "lb4", telemetry="hunter2")


def test_a_source_that_is_stopped_takes_nothing(feed: Feed, token: str) -> None:
    Feed.objects.filter(pk=feed.pk).update(enabled=False)
    view.pushers.forget()
    assert push(token, {"a": 1}).status_code == 401


def test_too_much_at_once_is_told_when_to_come_again(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "pushes", view.Rate(1, 2))
    answers = [push(token, {"a": n}) for n in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429] and int(answers[2].headers["Retry-After"]) >= 1
    monkeypatch.setattr(view, "failures", view.Rate(1, 1))
    assert [push("x", {}).status_code for _ in range(2)] == [401, 429]
    monkeypatch.setattr(view, "pushes", view.Rate(1, 1))
    assert push(token, {"a": 1}).status_code == 200  # wrong tokens from one address stop no right one


def test_a_full_disk_is_a_503_and_the_batch_counts_when_it_is_sent_again(
    feed: Feed, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, batch = os.write, [a_request(n) for n in range(4)]
    with monkeypatch.context() as patch:
        room = [700]

        def short(descriptor: int, data: bytes) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            step = min(room[0], len(data))
            room[0] -= step
            return real(descriptor, data[:step])

        patch.setattr(os, "write", short)
        answer = push(token, batch)
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert read(feed) >= 1  # the lines that were whole
    assert push(token, batch).status_code == 200
    read(feed)
    assert Request.objects.count() == 4 and PushBatch.objects.get().stored == 4


def test_pushes_are_taken_while_the_database_is_away(
    feed: Feed, token: str, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("the server closed the connection unexpectedly")

    assert push(token, [a_request(0)]).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "_load", away)
        patch.setattr(tokens, "FRESH_S", 0)
        patch.setattr(tokens.connection, "close", lambda: None)
        patch.setattr(PushBatch.objects, "filter", away)
        assert push(token, [a_request(1)]).status_code == 200
        view.pushers.forget()
        answer = push(token, [a_request(2)])
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    view.pushers.forget()
    read(feed)
    assert Request.objects.count() == 2


def test_a_chunked_body_is_read_to_its_end(token: str) -> None:
    ask = RequestFactory().post("/ingest/telemetry/lb1", headers={"Authorization": f"Bearer {token}"})
    ask.META |= {"CONTENT_LENGTH": "", "wsgi.input_terminated": True, "wsgi.input": io.BytesIO(b'{"a": 1}')}
    assert view.push(ask, "lb1").status_code == 200
    ask.META["wsgi.input_terminated"] = False
    assert view.push(ask, "lb1").status_code == 411
    ask.META |= {"CONTENT_LENGTH": "99", "wsgi.input": io.BytesIO(b'{"a": 1}')}
    assert view.push(ask, "lb1").status_code == 400


# What becomes of it


def test_requests_become_rows_and_a_batch_that_comes_again_is_counted_once(feed: Feed, token: str) -> None:
    batch = [a_request(n) for n in range(5)]
    for _ in range(2):  # the answer was lost before anything was read
        assert push(token, batch).json() == {"received": 5, "repeated": 0}
    assert read(feed) == 10
    assert push(token, gzip.compress(json.dumps(batch).encode())).json() == {"received": 5, "repeated": 5}
    assert read(feed) == 0
    assert Request.objects.count() == 5
    assert list(Batch.objects.values_list("read", "rows", "repeated", "rejected")) == [(10, 5, 5, 0)]


@pytest.mark.parametrize("seed", range(12))
def test_copies_of_a_batch_torn_anywhere_make_one_batch(
    seed: int, feed: Feed, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any copies of any batches, each cut anywhere but the last one, read in chunks of any size with looks between."""
    chance = random.Random(seed)
    folder, writer, events = tokens.folder_of(spool, "lb1"), Writer(), {}
    for number in range(3):
        digest = f"{number:032x}"
        events[digest] = [json.dumps(a_request(100 * number + n)).encode() for n in range(chance.randrange(1, 6))]
    copies = [digest for digest in events for _ in range(chance.randrange(3))]
    chance.shuffle(copies)
    last = list(events)
    chance.shuffle(last)
    for place, digest in enumerate(copies + last):
        writer.write(folder, "10.0.0.1", digest, events[digest])
        writer.close()
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        if place < len(copies):
            os.truncate(newest, chance.randrange(newest.stat().st_size))
        if chance.random() < 0.5:
            monkeypatch.setattr("ingest.sources.spool.follow.__defaults__", (chance.randrange(1, 5),))
            read(feed)
    read(feed)
    assert Request.objects.count() == sum(map(len, events.values()))
    assert dict(PushBatch.objects.values_list("digest", "stored")) == {d: len(rows) for d, rows in events.items()}


def test_the_lines_of_a_pair_wait_for_each_other_and_are_found_again(spool: Path, token: str) -> None:
    feed = configure(spool, logs_requests=True)
    asked = {
        k: v for k, v in a_request(3).items() if k not in ("http_statcode", "response_ms", "server_ip", "server_port")
    }
    push(token, [{**asked, "event_source": "request_logging"}])
    read(feed)
    assert RequestHalf.objects.get().raw.startswith('{"event_source"')
    push(token, [a_request(3, http_statcode="503", event_timestamp=asked["event_timestamp"])])
    read(feed)
    row = Request.objects.get()
    assert not RequestHalf.objects.exists() and row.status == 503
    assert rawlines.read([row.line_id])[row.line_id].startswith('{"event_source":"request_logging"')


def test_a_verdict_waits_for_pushed_requests_where_there_is_no_request_log(spool: Path, feed: Feed) -> None:
    configure(spool, "lb2", sender="10.0.0.2")
    assert sorted(one.name for one in request_feeds("")) == ["lb1/telemetry", "lb2/request"]


def test_pool_events_become_health_events_and_states(feed: Feed, token: str) -> None:
    at = timezone.now() - timedelta(seconds=20)
    push(token, a_pool_event(at))
    push(token, a_pool_event(at + timedelta(seconds=10), "up"))
    read(feed)
    told = list(HealthEvent.objects.order_by("at").values_list("kind", "state", "f5_pool__name", "member__name"))
    assert told == [("member", "down", "/Common/p", "/Common/m1:80"), ("member", "up", "/Common/p", "/Common/m1:80")]
    assert Member.objects.get().state == "up"


def test_what_the_poller_sees_change_is_an_event_unless_a_log_has_told_it(feed: Feed, token: str) -> None:
    start = timezone.now() - timedelta(minutes=5)
    names = ("/Common/m1:80", "/Common/m2:80", "/Common/m3:80")
    push(token, a_poll(start, dict.fromkeys(names, "up")))
    read(feed)
    assert not HealthEvent.objects.exclude(kind="device").exists() and Member.objects.filter(state="up").count() == 3
    server = Endpoint.objects.get()
    assert (server.name, server.address, server.port, server.f5_pool and server.f5_pool.name) == (
        "/Common/vs", "10.9.0.1", 443, "/Common/p",
    )  # fmt: skip
    push(token, a_pool_event(start + timedelta(seconds=50)))
    push(token, a_poll(start + timedelta(minutes=1), {names[0]: "down", names[1]: "forced-down", names[2]: "up"}))
    push(token, a_poll(start + timedelta(minutes=2), {names[0]: "down", names[1]: "up", names[2]: "up"}))
    read(feed)
    told = HealthEvent.objects.filter(kind="member").order_by("at").values_list("member__name", "state", "was")
    assert list(told) == [(names[0], "down", ""), (names[1], "forced_down", "up"), (names[1], "up", "forced_down")]
    assert HealthEvent.objects.filter(detail__seen_by="poller").count() == 2
    assert Member.objects.get(name=names[0]).state == "down"


def test_other_events_are_kept_and_text_is_read_as_a_log(feed: Feed, token: str) -> None:
    case = json.loads((SAMPLES / "event_listener_raw_to_normalized.json").read_text())[0]
    now = timezone.now()
    audit = f"<133>{now:%b %d %H:%M:%S} lb1 notice tmsh[20411]: 01420002:5: AUDIT - pid=20411 user=ann folder=/Common "
    audit += "module=(tmos)# status=[Command OK] cmd_data=delete ltm pool /Common/p"
    avr = {"EOCTimestamp": f"{now.timestamp():.0f}", "Entity": "x", "telemetryEventCategory": "AVR"}
    for body in (avr, {"data": audit, "telemetryEventCategory": "syslog"}, {"what": "is this"}):
        push(token, body)
    push(token, audit.replace("delete", "create").encode())
    assert read(feed) == 4
    assert list(UserAction.objects.filter(layer="f5").order_by("id").values_list("verb", flat=True)) == [
        "delete",
        "create",
    ]
    assert F5Message.objects.count() == 1
    assert Reject.objects.get().raw == '{"what": "is this"}'
    push(token, case["expectedData"])  # of 2020: outside of what is kept
    assert read(feed) == len(case["expectedData"])
    assert Reject.objects.filter(reason__contains="outside of what is kept").exists()


NASTY = (
    *("\\u0000", "\\ud800", "\\udfff x", "a\\nb", "\\u202e", "=1+1", "'; DROP TABLE x", "\\u001b[31m", "%00", "\\\\"),
    *("x" * 5000, "1e999", "ä" * 400),
)


@pytest.mark.parametrize("category", ["LTM", "AVR", "syslog", "systemInfo", "ASM", ""])
def test_hostile_values_in_any_field_make_one_row_or_one_reject(category: str, feed: Feed, token: str) -> None:
    now, bodies = timezone.now(), []
    shapes: dict[str, dict[str, Any]] = {
        "LTM": a_request(1), "AVR": a_pool_event(now), "systemInfo": a_poll(now, {"/Common/m:80": "up"}),
        "syslog": {"data": f"<133>{now:%b %d %H:%M:%S} lb1 notice mcpd[1]: 01070638:5: Pool /Common/p x"},
        "ASM": {"policy_name": "p", "date_time": "x"}, "": {"a": "b"},
    }  # fmt: skip
    shape = {**shapes[category], "telemetryEventCategory": category}
    for value in NASTY:
        text = json.dumps({**{key: one if isinstance(one, dict) else "§" for key, one in shape.items()}, "§": "§"})
        bodies.append(text.replace("§", value.replace('"', "")).replace(f'"§{""}"', '"x"'))
        bodies += [json.dumps({**shape, key: "§"}).replace("§", value) for key in list(shape)[:8]]
    for body in bodies:
        assert push(token, body.encode("utf-8", "surrogatepass")).status_code == 200, body[:200]
    assert read(feed) == len(bodies)
    batch = Batch.objects.get()
    assert batch.read == len(bodies) and batch.rejected == Reject.objects.count()


def test_what_is_known_of_old_batches_is_dropped(feed: Feed, token: str) -> None:
    push(token, [a_request(1)])
    read(feed)
    PushBatch.objects.update(at=datetime(2026, 1, 1, tzinfo=UTC))
    pipeline.telemetry.forget(timezone.now())
    assert not PushBatch.objects.exists()
