"""The fast lane is the careful way, only faster: both leave the same rows, to the byte, whatever lines come."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bench import lines as bench_lines
from ingest import models
from ingest.store import names, requests

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
TABLES = {
    "request": "SELECT r::text FROM ingest_request r",
    "detail": "SELECT d::text FROM ingest_request_detail d",
    "half": "SELECT (to_jsonb(h) - 'id')::text FROM ingest_requesthalf h",
    "minute": "SELECT (to_jsonb(m) - 'id')::text FROM ingest_requestminute m",
    "endpoint": "SELECT e::text FROM ingest_endpoint e",
    "pool": "SELECT p::text FROM ingest_f5pool p",
    "member": "SELECT m::text FROM ingest_member m",
    "path": "SELECT p::text FROM ingest_path p",
    "agent": "SELECT a::text FROM ingest_agent a",
    "client": "SELECT c::text FROM ingest_client c",
    "try key": "SELECT t::text FROM ingest_trykey t",
    "trace": "SELECT t::text FROM ingest_trace t",
}
SEQUENCES = (
    "endpoint",
    "f5pool",
    "member",
    "path",
    "agent",
    "client",
    "trykey",
    "trace",
    "requesthalf",
    "requestminute",
)


class _Undo(Exception):
    """Everything is rolled back, so that the other way begins at the same place."""


@pytest.fixture(autouse=True)
def _fresh_names() -> Iterator[None]:
    names.forget()
    yield
    names.forget()


@pytest.fixture
def device() -> models.Device:
    return models.Device.objects.create(name="b1", group=models.DeviceGroup.objects.create(name="pair"))


def feed_of(device: models.Device, capture: str) -> tuple[models.Feed, int]:
    feed = models.Feed.objects.create(name="requests", kind=models.Feed.Kind.F5_REQUEST, device=device, capture=capture)
    return feed, models.SpoolFile.objects.create(feed=feed, path="request.log", fingerprint="f").pk


def outcome(feed: models.Feed, file_id: int, chunks: list[list[tuple[int, bytes]]], fast: bool) -> dict[str, Any]:
    """All that one way leaves, and what it counts."""
    assert feed.device is not None
    names.forget()
    left: dict[str, Any] = {}
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                for table in SEQUENCES:
                    cursor.execute(f"SELECT setval(pg_get_serial_sequence('ingest_{table}', 'id'), 1000)")
            said = [requests.save_lines(feed, feed.device, file_id, chunk) for chunk in chunks]
            left["counts"] = [
                (one.read, one.rows, one.halves, one.repeated, one.newest_at, one.newest_received_at) for one in said
            ]
            left["rejects"] = [(r.line_id, r.reason, r.raw) for one in said for r in one.rejects]
            for one in said:
                assert one.read == one.rows + one.halves + one.repeated + one.rejected
            with connection.cursor() as cursor:
                for name, statement in TABLES.items():
                    cursor.execute(statement)
                    left[name] = sorted(row for (row,) in cursor.fetchall())
            raise _Undo
    except _Undo:
        names.forget()
    assert fast == requests.FAST_LANE
    return left


def same(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, lines: list[bytes], size: int, capture: str = ""
) -> dict[str, Any]:
    """What both ways leave of these lines, in chunks of this size; they must not differ."""
    feed, file_id = feed_of(device, capture)
    offset, numbered = 0, []
    for line in lines:
        numbered.append((offset, line))
        offset += len(line) + 1
    chunks = [numbered[start : start + size] for start in range(0, len(numbered), size)]
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    fast = outcome(feed, file_id, chunks, True)
    monkeypatch.setattr(requests, "FAST_LANE", False)
    careful = outcome(feed, file_id, chunks, False)
    for name, rows in careful.items():
        assert fast[name] == rows, name
    return fast


def made_up(folder: Path, count: int, seed: int, response_only: bool = False) -> list[bytes]:
    start = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    path = folder / "made.log"
    bench_lines.spool(path, count, seed, int(start.timestamp()) * 1_000_000, response_only)
    return path.read_bytes().splitlines()


def spoiled(rng: random.Random, line: bytes) -> list[bytes]:
    """What may come in the place of this line."""
    cut = rng.randrange(len(line))
    ways: list[list[bytes]] = [
        [line, line],
        [line[:cut]],
        [line[:cut], line[cut:]],
        [line[:cut] + b'"' + line[cut:]],
        [line[:cut] + bytes([rng.randrange(256)]) + line[cut:]],
        [line.replace(b'http_uri="', b'http_uri="/x",http_uri="')],
        [line.replace(b'ua="', b'ua="a\\",task=\\"dag=x;run=y;task=z;map=-1;try=1",xff="",ua="')],
        [line.replace(b'host="service', b'host="\xff\xfeservice')],
        [line.replace(b'host="service', b'host="\tser\\vice')],
        [line.replace(b'"/', b'"//')],
        [line.replace(b'ts="17', b'ts="16'), line],
        [line.replace(b'ts="17', b'ts="017')],
        [line.replace(b'response_ms="', b'response_ms="9')],
        [line.replace(b'response_us="', b'response_us="00')],
        [line.replace(b'response_us="', b'response_us="",x="')],
        [line.replace(b'http_statcode="200"', b'http_statcode=""')],
        [line.replace(b'http_statcode="200"', b'http_statcode="100"')],
        [line.replace(b'http_statcode="200"', b'http_statcode="502"')],
        [line.replace(b'http_statcode="200"', b'http_statcode="777"')],
        [line.replace(b'response_ms="', b'response_ms="9999')],
        [line.replace(b'response_us="', b'response_us="9').replace(b'response_ms="', b'response_ms="')],
        [line.replace(b'/heartbeat"', b'/heartbeat?at=1"')],
        [line.replace(b'/heartbeat"', b'/manual__one"')],
        [line.replace(b'/heartbeat"', b'/Heartbeat"')],
        [line.replace(b"/task-instances/", b"/task-instances/-")],
        [line.replace(b"-4", b"-G", 1)],
        [line.replace(b'http_uri="/orders', b'http_uri="/execution/task-instances/x?/execution/task-instances/')],
        [line.replace(b'http_uri="/', b'http_uri="http://api/')],
        [line.replace(b'http_uri="/', b'http_uri="?/')],
        [line.replace(b";map=-1", b"")],
        [line.replace(b";try=1", b";try=1;try=2")],
        [line.replace(b'client_port="', b'client_port="0')],
        [line.replace(b'server_ip="', b'server_ip="10.9.9.9%1').replace(b'pool="/Common', b'pool="')],
        [line.replace(b'virtual_name="', b'virtual_name="x')],
        [line.replace(b'method="GET"', b'method="PROPFINDVERYLONG\\\t"')],
        [line.replace(b'hostname="', b'host name="')],
        [line.replace(b"airf5=", b"<134>Nov 24 10:00:00 host airf5=")],
        [line + b"\r"],
        [line + b"\r\r"],
        [line + b" "],
        [line.replace(b".", b"", 1)],
        [b""],
        [b"\0" + line],
        [line.split(b" ", 2)[-1]],
        [b'a"b ' + line.split(b" ", 1)[1]],
        [b'10.0.0.1 - - [24/Nov/2026:10:00:00 +0000] "GET /orders HTTP/1.1" 200 512'],
        [],
    ]
    return rng.choice(ways)


def mixed(rng: random.Random, lines: list[bytes], share: float) -> list[bytes]:
    """The same stream as a bad day would bring it: broken, repeated, forged, late and out of order."""
    out: list[bytes] = []
    late: list[bytes] = []
    for line in lines:
        if rng.random() < share / 2:
            late.append(line)
        else:
            out += spoiled(rng, line) if rng.random() < share else [line]
        if late and rng.random() < share:
            out.append(late.pop(rng.randrange(len(late))))
    return out + late


def crowded(rng: random.Random, line: bytes) -> bytes:
    """One client, two ports and few microseconds: lines that could be each other's half."""
    head, rest = line.split(b'ts="', 1)
    second, rest = rest[:10], rest[17:]
    port = rest.index(b'client_port="') + 13
    micros = rng.choice((b"000000", b"000001", b"5", b"000005", b"250000", b"%06d" % rng.randrange(10**6)))
    rest = rest[:port] + rng.choice((b"40000", b"40001")) + rest[port + 5 :]
    return head + b'ts="' + second + b"." + micros + rest


@pytest.mark.parametrize("capture", ["lab1", "lab1-bigip"])
@pytest.mark.parametrize("size", [100_000, pytest.param(173, marks=pytest.mark.long)])
def test_of_the_recorded_incident(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, capture: str, size: int
) -> None:
    lines = (CAPTURES / capture / "f5" / "request.log").read_bytes().splitlines()
    left = same(monkeypatch, device, lines, size, capture)
    assert len(left["request"]) > 2_000


@pytest.mark.parametrize("size", [100_000, pytest.param(701, marks=pytest.mark.long)])
@pytest.mark.parametrize("response_only", [False, True])
def test_of_a_good_day(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, tmp_path: Path, response_only: bool, size: int
) -> None:
    device.logs_requests = not response_only
    device.save()
    left = same(monkeypatch, device, made_up(tmp_path, 3_000, 7, response_only), size)
    assert len(left["request"]) > 2_900


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("response_only", [False, True])
def test_of_a_bad_day(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, tmp_path: Path, response_only: bool, seed: int
) -> None:
    rng = random.Random(seed)
    device.logs_requests = not response_only
    device.save()
    lines = mixed(rng, made_up(tmp_path, 700, seed), (0.02, 0.1, 0.4)[seed % 3])
    left = same(monkeypatch, device, lines, rng.choice((97, 450, 5_000)))
    assert left["rejects"] and left["request"]


@pytest.mark.parametrize("seed", range(2))
def test_of_lines_that_could_be_each_others_half(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    lines = [
        crowded(rng, line) if rng.random() < (0.05, 0.5)[seed % 2] else line for line in made_up(tmp_path, 600, seed)
    ]
    same(monkeypatch, device, mixed(rng, lines, 0.05), rng.choice((150, 5_000)))


@pytest.mark.parametrize("response_only", [False, True])
def test_of_a_day_that_is_sent_twice(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, tmp_path: Path, response_only: bool
) -> None:
    device.logs_requests = not response_only
    device.save()
    lines = made_up(tmp_path, 500, 5, response_only)
    left = same(monkeypatch, device, lines * 2, len(lines))
    failed = sum(b'http_statcode="4' in line or b'http_statcode="5' in line for line in lines)
    assert failed
    assert left["counts"][1][3] >= failed * (1 if response_only else 2)  # those are looked for, the others are not
    assert len(left["detail"]) < 2 * failed


# What a field may hold that one way could read and the other not, or otherwise.
VALUES = (
    *(b"", b"0", b"00", b" ", b"-1", b"+1", b"1_0", b"1.5", b"1e3", b"65536", b"100000", b"99999999", b"4294967296"),
    *(b"399", b"400", b"599", b"600", b"099", b"2000", b"get", b"GET ", b"X" * 17, b"null", b"-", b"none"),
    *(b"\\", b"\\\\", b"\t", b"\x1c", b"\x1f", b"\x0b", b"\x7f", b"\x85", b"?", b"#", b"%2e", b"a" * 300, b"a" * 5_000),
    *(b"::1", b"2001:db8::1%eth0", b"10.0.0.1%2", b"010.0.0.1", b"300.1.1.1", b"/", b"//", b"/?"),
    *(b"/execution/task-instances/" + key + b"/run" for key in (b"019f0000-0000-7000-8000-000000000001", b"", b"x")),
    *(b"/execution/task-instances/019F0000-0000-7000-8000-000000000001/" + end for end in (b"", b"heartbeat", b"run?x=1")),
    *(b"/execution/xcoms/d/r/t/k", b"/execution/variables/x", b"/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/1"),
    *(version + b"-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331" + end
      for version, end in ((b"00", b"-01"), (b"00", b""), (b"00", b"-01-x"), (b"01", b"-01-x"), (b"ff", b"-01"))),
    *(b"00-00000000000000000000000000000000-b7ad6b7169203331-01", b"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    *(b"dag=a;run=b;task=c;" + end for end in (b"map=-1;try=1", b"map=2;try=01", b"try=99999999999", b"map=-1;try=1;")),
    *(b"dag=a%3Bb;run=b;task=c;map=-1;try=1", b" dag=a;run=b;task=c;map=-1;try=1", b"dag=;run=;task=;map=;try="),
)  # fmt: skip
FIELD = re.compile(rb'([a-z_0-9]+)="([^"]*)"')


def alike(rng: random.Random, halves: list[bytes]) -> list[bytes]:
    """The lines of one request with the same field changed in each: only so the fast lane keeps them."""
    fields = dict(FIELD.findall(halves[-1]))
    name, value = rng.choice(list(fields.items()))
    other = rng.choice(VALUES)
    new = rng.choice(
        (other, other, other, value + other, other + value, value[: len(value) // 2] + other, value.upper())
    )
    field = re.compile(rb"(?<![a-z_0-9])" + name + rb'="[^"]*"')
    return [field.sub(lambda _: name + b'="' + new + b'"', line, count=1) for line in halves]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("response_only", [False, True])
def test_of_requests_of_which_any_field_may_be_anything(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, response_only: bool, seed: int
) -> None:
    rng = random.Random(seed)
    device.logs_requests = not response_only
    device.save()
    lines = (CAPTURES / ("lab1", "lab1-bigip")[seed % 2] / "f5" / "request.log").read_bytes().splitlines()
    start = rng.randrange(max(1, len(lines) - 2_500))
    lines = lines[start : start + 2_500]
    requests_of: dict[tuple[bytes | None, ...], list[int]] = {}
    for place, line in enumerate(lines):
        fields = dict(FIELD.findall(line))
        requests_of.setdefault(tuple(map(fields.get, (b"ts", b"client_ip", b"client_port"))), []).append(place)
    for places in requests_of.values():
        if rng.random() < 0.75:
            for place, line in zip(places, alike(rng, [lines[place] for place in places]), strict=True):
                lines[place] = line
    left = same(monkeypatch, device, lines, rng.choice((100_000, 900)), "lab1")
    assert left["request"]


def test_most_lines_of_a_good_day_take_it(
    monkeypatch: pytest.MonkeyPatch, device: models.Device, tmp_path: Path
) -> None:
    left: list[int] = []
    read = requests._read

    def counted(pairer: Any, counts: Any, base: int, taken: Any, *rest: Any) -> None:
        left.append(len(taken.left))
        read(pairer, counts, base, taken, *rest)

    monkeypatch.setattr(requests, "_read", counted)
    lines = made_up(tmp_path, 2_000, 1)
    feed, file_id = feed_of(device, "")
    requests.save_lines(feed, device, file_id, list(enumerate(lines)))
    assert left[0] < len(lines) / 50
