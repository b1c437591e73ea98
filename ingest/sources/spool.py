"""Follow the files a receiver writes, by fingerprint and byte offset: through rename, copytruncate and gzip.

Only files here, no database: what is known of each file comes in as `File` and goes out with each `Chunk`. The
fingerprint is a hash of the first line (at most 1 KiB of it), which begins with its time of receipt to the microsecond.
Where a first line comes again, the last bytes that were read tell whether it is the same file. A file that is truncated
and written anew with the same first line, the same last KiB before the offset and no less than it had cannot be told
from one that was left alone: no receiver of ours writes such.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from glob import glob
from typing import IO

from airf5.failpoints import planted
from ingest.lines import Lines

HEAD = TAIL = 1024
LINES = 40_000
BLOCK = 24 << 20
LONGEST_LINE = 256 << 10
# A file is left alone for good when it has not grown for so long and a newer one is there.
IDLE_SECONDS = 600
BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class File:
    """What is known of one file: everything before `offset` has been handed out, and `tail` is of its last bytes."""

    path: str
    fingerprint: str
    inode: int = 0
    offset: int = 0
    size: int = 0
    finished: bool = False
    tail: str = ""  # how many bytes, and their hash; "" where nobody knows


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of one file with their offsets, and the file as it stands once they are stored."""

    file: File
    start: int
    lines: Lines
    at_end: bool

    @property
    def unread(self) -> int:
        """Bytes known to be there that were not read yet (about, for gzip: only the packed size is known)."""
        return 0 if self.at_end else max(0, self.file.size - self.file.offset)


@dataclass(frozen=True, slots=True)
class _Seen:
    path: str
    inode: int
    size: int
    mtime: float
    packed: bool
    fingerprint: str


def follow(globs: Sequence[str], known: Iterable[File], lines: int = LINES, *, final: bool = False) -> Iterator[Chunk]:
    """Chunks of everything new in these files, the oldest file first.

    A last line without its newline is left for later, unless `final` says that nobody writes any more. A chunk
    without lines says that a file moved or is finished.
    """
    known = list(known)
    was = {file.fingerprint: file for file in known}
    now = time.time()
    found = waiting(globs, known, final=final)
    newest = max((seen.mtime for _, seen in found), default=0.0)
    for file, seen in found:
        over = final or (seen.mtime < newest and now - seen.mtime > IDLE_SECONDS)
        for chunk in _read(file, seen, lines, over):
            if chunk.lines or chunk.file != was.get(chunk.file.fingerprint):
                yield chunk


def unreadable(globs: Sequence[str]) -> list[str]:
    """A sentence for each file that is there and may not be read."""
    return [f"{path} may not be read" for path in _paths(globs) if not os.access(path, os.R_OK)]


def waiting(globs: Sequence[str], known: Iterable[File], *, final: bool = False) -> list[tuple[File, _Seen]]:
    """The files to look into, oldest first; each content once, however many names and copies it has just now."""
    generations: dict[str, list[File]] = {}
    done = set()
    for file in sorted(known, key=_generation, reverse=True):
        generations.setdefault(file.fingerprint.partition("#")[0], []).append(file)
        if file.finished:
            done.add((file.path, file.inode, file.size))
    copies: dict[str, list[tuple[File, _Seen]]] = {}
    for path in _paths(globs):
        seen = _look(path, done, final)
        now = _now(seen, generations.get(seen.fingerprint, [])) if seen else None
        if seen and now:
            copies.setdefault(now.fingerprint, []).append((now, seen))
    # While it is being packed or copied, the whole one counts; equal ones: the one that is known.
    inodes = {file.fingerprint: file.inode for files in generations.values() for file in files}
    found = [
        max(same, key=lambda pair: (not pair[1].packed, pair[1].size, pair[1].inode == inodes.get(name)))
        for name, same in copies.items()
    ]
    return sorted(found, key=lambda pair: (pair[1].mtime, pair[1].path))


def _now(seen: _Seen, generations: Sequence[File]) -> File | None:
    """The file as it is now: continued, a new generation, or None for a copy that is still being written.

    `generations` are the files with this first line that are known, the newest first.
    """
    if not generations or (planted("rotation-is-new") and all(old.inode != seen.inode for old in generations)):
        return File(seen.path, seen.fingerprint, seen.inode, 0, seen.size)
    for old in generations:
        if (seen.packed or seen.size >= old.offset) and _continues(seen, old):
            return replace(old, path=seen.path, inode=seen.inode, size=seen.size, finished=False)
    newest = generations[0]
    if seen.packed or (seen.size < newest.offset and seen.inode != newest.inode):
        return None
    # The same file with the same first line, but not what was read of it: truncated and written anew.
    name = f"{seen.fingerprint}#{_generation(newest) + 1}"
    return File(seen.path, name, seen.inode, 0, seen.size)


def _continues(seen: _Seen, old: File) -> bool:
    """Whether the bytes before the offset are the ones that were read."""
    size = int(old.tail.partition(":")[0] or 0)
    if not size:
        return True
    try:
        with open(seen.path, "rb") as raw, _stream(raw) as stream:
            stream.seek(old.offset - size)
            return _tail(stream.read(size)) == old.tail
    except (OSError, *BROKEN_GZIP):
        return False


def _tail(data: bytes) -> str:
    return f"{len(data)}:{hashlib.sha256(data).hexdigest()[:32]}"


def _generation(file: File) -> int:
    return int(file.fingerprint.partition("#")[2] or 0)


def _paths(globs: Sequence[str]) -> list[str]:
    return sorted({path for pattern in globs for path in glob(pattern)})


def _look(path: str, done: set[tuple[str, int, int]], final: bool) -> _Seen | None:
    """What stands at this path; None for what is finished, empty, no file, or has no whole first line yet."""
    try:
        with open(path, "rb") as raw:
            facts = os.fstat(raw.fileno())
            if not stat.S_ISREG(facts.st_mode) or (path, facts.st_ino, facts.st_size) in done:
                return None
            packed = _packed(raw)
            with _stream(raw) as stream:
                fingerprint = _fingerprint(stream.read(HEAD), final)
    except (OSError, *BROKEN_GZIP):  # gone meanwhile, or half packed: another time
        return None
    if not fingerprint:
        return None
    return _Seen(path, facts.st_ino, facts.st_size, facts.st_mtime, packed, fingerprint)


def _fingerprint(head: bytes, final: bool = False) -> str:
    newline = head.find(b"\n")
    if newline < 0 and (not head or (len(head) < HEAD and not final)):
        return ""
    return hashlib.sha256(head[:newline] if newline >= 0 else head).hexdigest()[:40]


def _packed(raw: IO[bytes]) -> bool:
    return os.pread(raw.fileno(), 2, 0) == b"\x1f\x8b"


def _stream(raw: IO[bytes]) -> IO[bytes]:
    return gzip.GzipFile(fileobj=raw) if _packed(raw) else raw  # type: ignore[return-value]


def _read(file: File, seen: _Seen, lines: int, over: bool) -> Iterator[Chunk]:
    try:
        with open(file.path, "rb") as raw, _stream(raw) as stream:
            stream.seek(file.offset)
            rest = b""
            while True:
                block, ended, whole = _more(stream, rest)
                if len(block) > len(rest):
                    _make_durable(raw)
                if not seen.packed and _changed(raw, file, over):
                    return  # truncated while it was read: what came may be of the next generation
                chunk, rest = _cut(file, block, lines, ended, over or (seen.packed and whole))
                if not ended and not chunk.lines:
                    chunk, rest = _long_line(file, block, stream, over), b""
                yield chunk
                if chunk.at_end:
                    return
                file = chunk.file
    except (OSError, *BROKEN_GZIP):
        return  # gone since it was looked at (its content is found under its new name), or only half packed


def _make_durable(raw: IO[bytes]) -> None:
    """What becomes rows must not be missing from its file after a cut of the power: the next look would not know it."""
    with suppress(OSError):  # a file system that cannot, or that is read only
        os.fdatasync(raw.fileno())


def _more(stream: IO[bytes], rest: bytes) -> tuple[bytes, bool, bool]:
    """Fill up to one block; whether the end of the file was reached; False at the end of a gzip that is cut short."""
    parts, size = [rest], len(rest)
    try:
        while size < BLOCK:
            part = stream.read(min(1 << 20, BLOCK - size))
            if not part:
                return b"".join(parts), True, True
            parts.append(part)
            size += len(part)
    except BROKEN_GZIP:
        return b"".join(parts), True, False
    return b"".join(parts), False, True


def _changed(raw: IO[bytes], file: File, final: bool) -> bool:
    return _fingerprint(os.pread(raw.fileno(), HEAD, 0), final) != file.fingerprint.partition("#")[0]


def _cut(file: File, block: bytes, lines: int, ended: bool, over: bool) -> tuple[Chunk, bytes]:
    """The first lines of a block as a chunk, and the bytes after them."""
    out, used = Lines.cut(block, file.offset, lines, LONGEST_LINE)
    if planted("a-line-too-far"):
        out = out[:-1]
    over = over or planted("short-read")
    offset, rest = file.offset + used, block[used:]
    whole = b"\n" not in rest
    if ended and whole and over and rest:
        out += [(offset, rest[:LONGEST_LINE])]
        offset, rest = offset + len(rest), b""
    at_end = whole and ended
    used = offset - file.offset
    tail = _tail(block[max(0, used - TAIL) : used]) if used else file.tail
    after = replace(file, offset=offset, finished=ended and whole and over, tail=tail)
    return Chunk(after, file.offset, out, at_end), rest


def _long_line(file: File, head: bytes, stream: IO[bytes], over: bool) -> Chunk:
    """A line longer than a block: its beginning is kept, the rest is passed over without holding it."""
    offset = file.offset + len(head)
    while True:
        block, ended, _ = _more(stream, b"")
        newline = block.find(b"\n")
        offset += newline + 1 if newline >= 0 else len(block)
        if newline >= 0 or (ended and over):
            stream.seek(offset)
            last = block[max(0, newline + 1 - TAIL) : newline + 1] if newline >= 0 else block[-TAIL:]
            after = replace(file, offset=offset, finished=newline < 0, tail=_tail(last))
            return Chunk(after, file.offset, Lines.of([(file.offset, head[:LONGEST_LINE])]), newline < 0)
        if ended:
            return Chunk(file, file.offset, Lines.of(()), True)
