"""A pushed body becomes lines: every form Telemetry Streaming and relays send, and nothing that is too much."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from ingest.parsers import f5_telemetry
from ingest.push.body import BodyRefused, lines, unpack
from ingest.push.rate import Rate
from ingest.push.spool import Writer, folder_of

EVENT = {"event_source": "request_logging", "http_uri": "/ä", "telemetryEventCategory": "LTM"}


def refused(raw: bytes, encoding: str = "") -> tuple[int, str]:
    with pytest.raises(BodyRefused) as caught:
        lines(unpack(raw, encoding))
    assert re.fullmatch(r"[A-Z][^\n]+\.", caught.value.sentence)
    return caught.value.status, caught.value.sentence


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{"a": 1}', 1),
        ('[{"a": 1}, {"b": 2}]', 2),
        ('{"a": 1}\n{"b": 2}\n', 2),
        ('{"a": 1}{"b": 2}', 2),
        ('\n{\n "a":\n 1\n}\n', 1),
        ("[]", 0),
        ('<134>Jul  6 22:37:15 lb1 BigIP:EOCtimestamp="1594100235",Hostname="x\ny"', 1),
        ("<134>Jul  6 22:37:15 lb1 one\n<134>Jul  6 22:37:15 lb1 two\n", 2),
        ('event_source="request_logging",http_uri="/a"\nevent_source="response_logging",http_uri="/a"', 2),
    ],
)
def test_every_form_of_a_body_becomes_its_lines(text: str, count: int) -> None:
    found, out = lines(text.encode())
    assert (found, len(out)) == (count, count)
    assert not any(b"\n" in line or b"\x00" in line for line in out)


def test_an_object_on_one_line_stays_as_it_was_written() -> None:
    written = json.dumps(EVENT, ensure_ascii=False)
    assert lines(written.encode()) == (1, [written.encode()])
    assert lines(written.encode("utf-16")) == (1, [written.encode()])
    assert json.loads(lines(b"[" + written.encode() + b"]")[1][0]) == EVENT


def test_gzip_is_taken_with_and_without_its_header() -> None:
    plain = json.dumps(EVENT).encode()
    packed = gzip.compress(plain, mtime=0)
    assert unpack(packed, "gzip") == unpack(packed) == unpack(plain) == unpack(plain, "identity") == plain
    assert unpack(gzip.compress(b"[", mtime=0) + gzip.compress(b"]", mtime=0), "gzip") == b"[]"


@pytest.mark.parametrize(
    ("raw", "encoding", "status"),
    [
        (b"", "", 400),
        (b"  \n", "", 400),
        (b"hello", "", 400),
        (b'{"a": 1', "", 400),
        (b'{"a": 1}, {"b": 2}', "", 400),
        (b"[1]", "", 400),
        (b'{"a": NaN}', "", 400),
        (b'{"a": ' + b"9" * 5000 + b"}", "", 400),
        (b'{"a": "\xff"}', "", 415),
        (b'{"a": 1}', "br", 415),
        (b'{"a": 1}', "gzip", 400),
        (gzip.compress(b"{}", mtime=0)[:-9], "gzip", 400),
        (gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "gzip", 400),
        (gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 20, "", 400),
        (gzip.compress(b"", mtime=0) * 100, "gzip", 400),
        (b'{"a":' * 100_000, "", 400),
        (b"[" * 100_000, "", 400),
        (b'{"a": ' * 70 + b"1" + b"}" * 70, "", 400),
        (b"[" + b"{}," * 10_000 + b"{}]", "", 413),
        (b"[" + b"0," * 600_000 + b"0]", "", 413),
        (b'{"a": "' + b"x" * (1 << 20) + b'"}', "", 413),
        (b"<134>" + b"x" * (1 << 20), "", 413),
    ],
)
def test_what_cannot_be_taken_is_said_in_one_sentence(raw: bytes, encoding: str, status: int) -> None:
    assert refused(raw, encoding)[0] == status


def test_a_bucket_fills_by_the_second_and_forgets_the_oldest_names(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    rate = Rate(2, 3, lambda: now[0])
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("b") == 0
    now[0] = 0.5
    assert [rate.take("a") for _ in range(2)] == [0, 0.5]
    monkeypatch.setattr("ingest.push.rate.MOST_NAMES", 2)
    for name in "cdef":
        rate.take(name)
    assert len(rate._left) <= 2


def test_lines_are_on_the_disk_with_their_place_in_the_batch(tmp_path: Path) -> None:
    writer = Writer()
    folder = folder_of(tmp_path, "../etc/passwd")
    writer.write(folder, "::ffff:10.0.0.1", "d" * 32, [b'{"a":1}', '{"b":"ä"}'.encode()])
    writer.write(folder, "", "e" * 32, [b"{}"])
    (path,) = tmp_path.glob("push/*/telemetry-*.log")
    first, second, third = path.read_text().splitlines()
    assert first.split(" ", 2)[1:] == ["10.0.0.1", f'airf5-push={"d" * 32}:0/2:7 {{"a":1}}']
    assert third.split(" ", 2)[1:] == ["0.0.0.0", f"airf5-push={'e' * 32}:0/1:2 {{}}"]
    tag = f5_telemetry.pushed(second.split(" ", 2)[2])
    assert tag is not None and (tag.number, tag.total, tag.torn, tag.message) == (1, 2, False, '{"b":"ä"}')
    torn = f5_telemetry.pushed(second.split(" ", 2)[2][:-1])
    assert torn is not None and torn.torn
    writer.close()


def test_behind_a_torn_line_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, folder = Writer(), tmp_path / "push" / "a"
    writer.write(folder, "10.0.0.1", "d" * 32, [b"{}"])

    real, room = os.write, [30]

    def short(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        step = min(room[0], len(data))
        room[0] -= step
        return real(descriptor, data[:step])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        with pytest.raises(OSError, match="No space"):
            writer.write(folder, "10.0.0.1", "e" * 32, [b"{}"])
    writer.write(folder, "10.0.0.1", "e" * 32, [b"{}"])
    one, two = sorted(folder.iterdir())
    assert one.read_bytes().count(b"\n") == 1 and not one.read_bytes().endswith(b"\n")
    assert two.read_bytes().endswith(b"{}\n")
    writer.close()
