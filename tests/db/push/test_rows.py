"""From a push to rows: every event once, however often and however torn it came."""

from __future__ import annotations

import gzip
import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import pipeline, rawlines
from ingest.models import (
    Batch,
    Endpoint,
    F5Message,
    Feed,
    HealthEvent,
    Member,
    PushBatch,
    Reject,
    Request,
    RequestHalf,
    request_feeds,
)
from ingest.push import tokens
from ingest.push.spool import Writer
from tests.pushing import a_poll, a_pool_event, a_request, configure, push, read

SAMPLES = Path(__file__).parents[2] / "samples" / "f5" / "telemetry-streaming"


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


def test_a_hole_in_a_copy_is_filled_by_the_next_one(feed: Feed, spool: Path) -> None:
    """After a cut of the power a file system may keep what was written later, and zeros in place of what was before."""
    folder, events = tokens.folder_of(spool, "lb1"), [json.dumps(a_request(n)).encode() for n in range(4)]
    Writer().write(folder, "10.0.0.1", "d" * 32, events)
    (path,) = folder.iterdir()
    lines = path.read_bytes().splitlines()
    lines[1] = lines[1][:-40] + b"x"
    path.write_bytes(b"\n".join(lines) + b"\n")
    read(feed)
    assert Request.objects.count() == 1 and Reject.objects.count() == 3
    Writer().write(folder, "10.0.0.1", "d" * 32, events)
    read(feed)
    assert Request.objects.count() == 4 and PushBatch.objects.get().stored == 4


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


def test_a_poll_that_was_overtaken_changes_nothing(feed: Feed, token: str) -> None:
    start, name = timezone.now() - timedelta(minutes=5), "/Common/m1:80"
    push(token, a_poll(start + timedelta(minutes=1), {name: "up"}))
    read(feed)
    push(token, a_poll(start, {name: "down"}))
    read(feed)
    assert not HealthEvent.objects.filter(kind="member").exists() and Member.objects.get().state == "up"


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


def test_what_two_polls_do_not_name_any_more_was_deleted(feed: Feed, token: str) -> None:
    start, both = timezone.now() - timedelta(minutes=9), {"/Common/m1:80": "up", "/Common/m2:80": "up"}
    one = {"/Common/m1:80": "up"}

    def look(minute: int, states: dict[str, str], **more: Any) -> list[str]:
        push(token, a_poll(start + timedelta(minutes=minute), states, **more))
        read(feed)
        return list(Member.objects.exclude(removed_at=None).values_list("name", flat=True))

    assert look(0, both) == []
    assert look(1, one) == [] and look(2, both) == [] and look(3, one) == []  # it was left out, and was there again
    assert look(4, one) == ["/Common/m2:80"]
    assert Member.objects.get(name="/Common/m2:80").state == "removed"
    assert look(5, both) == [] and Member.objects.get(name="/Common/m2:80").state == "up"
    for minute in (6, 7, 8):
        assert look(minute, {}, pools={}, virtualServers={}) == []
    states = HealthEvent.objects.filter(state__in=("removed", "added")).order_by("at").values_list("state", flat=True)
    assert list(states) == ["removed", "added"] and not Endpoint.objects.exclude(removed_at=None).exists()
