"""Pushed lines on the disk, durable before the sender is answered. One file a process and source, never reopened.

A copy of a batch that could not be written whole stays where it is, unanswered; its last line may be torn. So each line
says of which batch it is, which one of how many, and how long: `airf5-push=<digest>:<index>/<count>:<bytes> <event>`.
Who reads them (`ingest/store/telemetry.py`) takes each line of a batch once and a torn one never.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from airf5.durable import sync_folder
from airf5.failpoints import failpoint, planted

ROTATE_S = 3600.0
ROTATE_BYTES = 256 << 20
NOBODY = "0.0.0.0"  # as the sender of what came over a local socket


def folder_of(root: Path, source: str) -> Path:
    """Where the batches of this source lie below the spool: a name that no other source, sender or path can have."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", source)[:40]
    return root / "push" / f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


@dataclass(slots=True)
class _Open:
    descriptor: int
    since: float
    size: int = 0
    users: int = 0
    retired: bool = False


class Writer:
    """Appends batches to the files of its process. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, _Open] = {}
        self._pid = os.getpid()

    def write(self, folder: Path, sender: str, digest: str, lines: Sequence[bytes]) -> None:
        """Write a batch and make it durable; OSError where it may not be on the disk."""
        head = f"{_now()} {_shown(sender)} airf5-push={digest}".encode()
        total = len(lines)
        data = b"".join(
            b"%s:%d/%d:%d %s\n" % (head, number, total, len(line), line) for number, line in enumerate(lines)
        )
        with self._lock:
            held = self._stream(folder)
            held.users += 1
            try:
                _write_all(held.descriptor, data)
                failpoint("push.written")
                held.size += len(data)
            except OSError:
                self._let_go(folder, held, spoiled=True)  # behind a torn line nothing may follow
                raise
        spoiled = True
        try:
            if not planted("answer-before-sync"):
                os.fsync(held.descriptor)  # not under the lock: one sync serves all who wrote before it
            spoiled = False
        finally:
            with self._lock:
                self._let_go(folder, held, spoiled=spoiled)

    def close(self) -> None:
        """Begin new files with the next batches."""
        with self._lock:
            for folder in list(self._open):
                self._retire(folder)

    def _stream(self, folder: Path) -> _Open:
        if self._pid != os.getpid():  # forked meanwhile: the files are the parent's
            self._open, self._pid = {}, os.getpid()
        held = self._open.get(folder)
        if held and (held.size > ROTATE_BYTES or time.monotonic() - held.since > ROTATE_S):
            self._retire(folder)
            held = None
        if held is None:
            held = self._open[folder] = _Open(_create(folder), time.monotonic())
        return held

    def _retire(self, folder: Path) -> None:
        held = self._open.pop(folder)
        held.retired = True
        if not held.users:
            os.close(held.descriptor)

    def _let_go(self, folder: Path, held: _Open, *, spoiled: bool) -> None:
        """A file that is retired is closed by the last thread that syncs it."""
        held.users -= 1
        if spoiled and self._open.get(folder) is held:
            self._retire(folder)
        elif held.retired and not held.users:
            os.close(held.descriptor)


def _create(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"telemetry-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
    failpoint("push.created")
    try:
        for place in (folder, folder.parent, folder.parent.parent):
            sync_folder(place)  # the names have to survive too, also those another process has only just made
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _shown(sender: str) -> str:
    try:
        found = ip_address(sender.partition("%")[0])
    except ValueError:
        return NOBODY
    return str(getattr(found, "ipv4_mapped", None) or found)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
