"""Find a stored row's own lines again, in the spool file they were read from."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from ingest.models import SpoolFile
from ingest.parsers.f5_header import split_spool
from ingest.parsers.f5_telemetry import pushed
from ingest.sources.spool import BROKEN_GZIP

LINE_BITS = 40
LONGEST = 16 * 1024
LOOK_AHEAD = 256 * 1024  # how far behind its request an answer is looked for
PAIRED_BY = ('ts="', 'client_ip="', 'client_port="')  # what both lines of an airf5/1 pair have alike


def read(line_ids: Iterable[int], paths: Mapping[int, str] | None = None) -> dict[int, str]:
    """The device's own lines of these requests, the answer below its request; one whose file is gone or broken is left out.

    `paths`: where each spool file is, for one who knows that already.
    """
    wanted = sorted(set(line_ids))
    if paths is None:
        paths = dict(SpoolFile.objects.filter(pk__in={i >> LINE_BITS for i in wanted}).values_list("id", "path"))
    out: dict[int, str] = {}
    for line_id in wanted:
        path = paths.get(line_id >> LINE_BITS)
        text = _lines(Path(path), line_id & ((1 << LINE_BITS) - 1)) if path else None
        if text is not None:
            out[line_id] = text
    return out


def _lines(path: Path, offset: int) -> str | None:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            file.seek(offset)
            line = file.readline(LONGEST)
            return "\n".join(map(_message, filter(None, (line, _answer(file, line)))))  # type: ignore[arg-type]
    except (OSError, *BROKEN_GZIP):  # gone, or just being compressed
        return None


def _answer(file: BinaryIO, request: bytes) -> bytes:
    """The response line that belongs to this request line, b"" where it is not near."""
    text = request.decode("utf-8", "replace")
    keys = [part for name in PAIRED_BY if (part := _field(text, name))]
    if 'kind="request"' not in text or len(keys) < len(PAIRED_BY):
        return b""
    for line in file.read(LOOK_AHEAD).splitlines():
        if b'kind="response"' in line and all(key.encode() in line for key in keys):
            return line[:LONGEST]
    return b""


def _field(text: str, name: str) -> str:
    start = text.find(name)
    end = text.find('"', start + len(name))
    return text[start : end + 1] if start >= 0 and end > 0 else ""


def _message(line: bytes) -> str:
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    spool = split_spool(text)
    message = spool.message if spool else text
    tag = pushed(message)
    return tag.message if tag else message
