"""A row's own lines are found again where they were read."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from ingest import rawlines
from ingest.models import Request
from ingest.records import method_code

LAB1 = Path(__file__).resolve().parents[2] / "captures" / "lab1"


def test_a_request_comes_with_its_answer() -> None:
    call_command("replay", str(LAB1), stdout=io.StringIO())
    request = Request.objects.filter(outcome=0, method=method_code("PATCH")).order_by("ts")[0]
    first, second = rawlines.read([request.line_id])[request.line_id].splitlines()
    assert first.startswith('airf5="1",kind="request"') and second.startswith('airf5="1",kind="response"')
    assert f'http_statcode="{request.status}"' in second


@pytest.mark.parametrize("before", [0, 40, 150])
def test_an_answer_that_overtook_its_request_is_found(before: int, tmp_path: Path) -> None:
    pair = 'ts="17.5",client_ip="10.0.0.7",client_port="5"'
    others = [
        f'kind="response",ts="17.{n}",client_ip="10.0.0.7",client_port="5",{"x" * 1_600}' for n in range(100, 300)
    ]
    lines = [*others[:before], f'kind="response",{pair}', *others[before:], f'kind="request",{pair}']
    if before == 150:  # near enough
        lines = lines[100:]
    path = tmp_path / "request.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    at = path.stat().st_size - len(lines[-1]) - 1
    found = rawlines.read([1 << 40 | at], {1: str(path)})[1 << 40 | at].splitlines()
    assert found == [lines[-1], *([f'kind="response",{pair}'] if before == 150 else [])]


def test_a_line_of_a_file_that_is_gone_is_left_out() -> None:
    assert rawlines.read([(999_999 << 40) + 1]) == {}


@pytest.mark.parametrize("broken", [lambda raw: raw[:-9], lambda raw: raw[:-9] + b"x" * 30, lambda raw: b"no gzip"])
def test_a_line_of_a_file_that_is_being_compressed_is_left_out(
    tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "request.log.gz"
    whole = gzip.compress(b"one line\n" * 9)
    path.write_bytes(whole)
    assert rawlines.read([1 << 40], {1: str(path)}) == {1 << 40: "one line"}
    path.write_bytes(broken(whole))
    assert rawlines.read([1 << 40 | 9000], {1: str(path)}) == {}


@pytest.mark.parametrize("packed", [False, True])
def test_many_lines_of_a_file_are_one_pass_forward(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed, going back means to unpack from the beginning: 300 lines took 300 times the file."""
    lines, offsets, at = [], [], 0
    for number in range(300):
        key = f'ts="{1000 + number}.5",client_ip="10.0.0.1",client_port="{2000 + number}"'
        for kind in ("request", "response"):
            lines.append(f'kind="{kind}",{key},uri="{"x" * 900}"\n'.encode())
            offsets += [at] if kind == "request" else []
            at += len(lines[-1])
    path = tmp_path / ("request.log.gz" if packed else "request.log")
    path.write_bytes(gzip.compress(b"".join(lines)) if packed else b"".join(lines))
    opened: list[Path] = []
    open_it = rawlines._open
    monkeypatch.setattr(rawlines, "_open", lambda path: opened.append(path) or open_it(path))  # type: ignore[func-returns-value]
    monkeypatch.setattr("gzip._GzipReader._rewind", lambda self: pytest.fail("unpacked again from the beginning"))
    found = rawlines.read([7 << 40 | offset for offset in reversed(offsets)], {7: str(path)})
    assert opened == [path]
    assert list(found.values()) == [(lines[n] + lines[n + 1]).decode().rstrip("\n") for n in range(0, len(lines), 2)]
