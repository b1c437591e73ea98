"""Find a stored row's own lines again, in the spool file they were read from."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from ingest.models import SpoolFile
from ingest.parsers.f5_header import split_spool
from ingest.parsers.f5_telemetry import pushed
from ingest.sources.spool import BROKEN_GZIP

LINE_BITS = 40
OFFSET = (1 << LINE_BITS) - 1
LONGEST = 16 * 1024
LOOK = 256 * 1024  # how far behind its request an answer is looked for, and before it: datagrams overtake each other
PAIRED_BY = ('ts="', 'client_ip="', 'client_port="')  # what both lines of an airf5/1 pair have alike


def read(line_ids: Iterable[int], paths: Mapping[int, str] | None = None) -> dict[int, str]:
    """The device's own lines of these requests, the answer below its request; one whose file is gone or broken is left out.

    `paths`: where each spool file is, for one who knows that already.
    """
    by_file: dict[int, list[int]] = {}
    for line_id in sorted(set(line_ids)):
        by_file.setdefault(line_id >> LINE_BITS, []).append(line_id & OFFSET)
    if paths is None:
        paths = dict(SpoolFile.objects.filter(pk__in=by_file).values_list("id", "path"))
    return {
        file_id << LINE_BITS | offset: text
        for file_id, offsets in by_file.items()
        if file_id in paths
        for offset, text in _lines(Path(paths[file_id]), offsets)
    }


def _lines(path: Path, offsets: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The lines at these offsets, which ascend: the file is opened once and, packed or not, read forward only."""
    try:
        with _open(path) as file:
            ahead = _Ahead(file)
            for offset in offsets:
                back = min(offset, LOOK)  # the file is read forward, so all of this line begins there
                line = _until_newline(ahead.at(offset - back, back + LONGEST)[back:])
                if line:
                    yield offset, "\n".join(map(_message, filter(None, (line, _answer(ahead, offset, line)))))
    except (OSError, *BROKEN_GZIP):  # gone, or just being compressed
        return


def _open(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


class _Ahead:
    """A file read forward: what was looked at beyond a line is kept, for a packed file goes back by its beginning only."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start, self._held = file, 0, b""

    def at(self, offset: int, size: int) -> bytes:
        """Up to so many bytes from this offset on, which is not before the last one."""
        if offset - self._start > len(self._held):
            self._file.seek(offset)
            self._held = b""
        else:
            self._held = self._held[offset - self._start :]
        self._start = offset
        if len(self._held) < size:
            self._held += self._file.read(size - len(self._held))
        return self._held[:size]


def _until_newline(found: bytes) -> bytes:
    end = found.find(b"\n")
    return found if end < 0 else found[: end + 1]


def _answer(ahead: _Ahead, offset: int, request: bytes) -> bytes:
    """The response line that belongs to the request line at this offset, b"" where it is not near."""
    text = request.decode("utf-8", "replace")
    keys = [part.encode() for name in PAIRED_BY if (part := _field(text, name))]
    if 'kind="request"' not in text or len(keys) < len(PAIRED_BY):
        return b""
    back = min(offset, LOOK)
    found = ahead.at(offset - back, back + len(request) + LOOK)
    whole = found.find(b"\n") + 1 if back < offset else 0  # the first line there may be cut
    return _matching(found[back + len(request) :], keys) or _matching(found[whole:back], keys)


def _matching(found: bytes, keys: Sequence[bytes]) -> bytes:
    """The first response line with all of these."""
    place = found.find(keys[0])
    while place >= 0:
        start = found.rfind(b"\n", 0, place) + 1
        line = _until_newline(found[start : start + LONGEST])
        if b'kind="response"' in line and all(key in line for key in keys):
            return line
        end = found.find(b"\n", place)
        place = found.find(keys[0], end) if end >= 0 else -1
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
