"""A pushed body of any bytes or any size becomes lines, or is refused before it costs much."""

from __future__ import annotations

import json
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers import f5_telemetry
from ingest.push import body
from ingest.push.body import BodyRefused, lines, unpack
from ingest.records import MemberState

POLLER = Path(__file__).parent.parent / "samples" / "f5" / "telemetry-streaming" / "system_poller_output.json"


def test_a_bomb_is_refused_at_once_and_without_its_memory() -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(BodyRefused) as caught:
        lines(unpack(bomb, "gzip"))
    assert caught.value.status == 413
    assert time.perf_counter() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_a_large_poller_output_becomes_lines_that_are_whole_and_hold_every_member() -> None:
    document = json.loads(POLLER.read_text())
    row = next(iter(next(iter(document["pools"].values()))["members"].values()))
    names = [f"/Common/10.1.{n // 250}.{n % 250}:80" for n in range(1_500)]
    document["pools"] = {"/Common/one": {"availabilityState": "available", "members": dict.fromkeys(names, row)}}
    document["pools"] |= {f"/Common/p{n}": {"members": {f"/Common/m{n}:80": row}} for n in range(300)}
    count, out = lines(json.dumps(document).encode())
    assert count == 1 and len(out) > 3 and max(map(len, out)) <= body.LONGEST_LINE
    found = [record for line in out for record in f5_telemetry.parse(line.decode())]
    members = [record for record in found if isinstance(record, MemberState)]
    assert len(members) == 1_800 and len(set(members)) == 1_800
    assert {(one.f5_pool, one.member) for one in members} >= {("/Common/one", name) for name in names}
    assert all(json.loads(line)["system"]["systemTimestamp"] for line in out)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: ("[" + text).encode("utf-8", "surrogatepass")))
def test_bytes_become_lines_or_a_sentence(raw: bytes) -> None:
    try:
        _, out = lines(unpack(raw))
    except BodyRefused as error:
        assert error.status in (400, 413, 415) and error.sentence.endswith(".")
    else:
        assert not any(b"\n" in line for line in out)
