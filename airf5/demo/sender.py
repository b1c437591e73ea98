"""Sends the recorded device's lines to the receiver, each at its moment: `python -m airf5.demo.sender`.

Plain syslog has no acknowledgement: what stood in a buffer when a receiver died is gone. A real device has to live
with that. This one looks into the receiver's spool, sends again exactly what is not there, and only then goes on; how
far it came is kept in a file. So a demo loses and repeats nothing, whatever is killed.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airf5.demo import laps, recording

EVERY_S = 0.5
LONGEST_GAP = timedelta(minutes=20)
RETRY_S = 1.0  # a receiver that was asked to end has written everything by then
LOOK_S = 0.05
PATIENCE_S = 30.0  # a line that is not in the spool by then, over a connection that lives, was cut or not understood


def due(told: recording.Recording, state: laps.State, since: datetime, until: datetime) -> list[bytes]:
    """The messages of (since, until] of all pieces, in order of time."""
    found: list[tuple[datetime, str, bytes]] = []
    for piece in laps.pieces(state, since - laps.LAP_LENGTH - laps.SLOT, until):
        found += recording.lines_between(told.parts[piece.part], piece, since, until)
    return [message for _, _, message in sorted(found, key=lambda one: one[0])]


def framed(messages: list[bytes]) -> bytes:
    """As a BIG-IP sends over TCP: one message a line."""
    return b"".join(message + b"\n" for message in messages)


def read_place(home: Path, now: datetime) -> datetime:
    """How far the last run came; after a long pause only from now on."""
    try:
        place = datetime.fromisoformat(json.loads(_file(home).read_text())["sent_to"])
    except (OSError, ValueError, KeyError, TypeError):
        return now
    return place if now - LONGEST_GAP < place <= now else now


def write_place(home: Path, place: datetime) -> None:
    """Keep how far we came; whole or not at all."""
    fresh = _file(home).with_suffix(".new")
    fresh.write_text(json.dumps({"sent_to": place.isoformat()}))
    os.replace(fresh, _file(home))


class Spooled:
    """What the receiver has written of us: whole lines of all files in its folder, each told once."""

    def __init__(self, folder: Path, since: datetime) -> None:
        self.folder = folder
        self.since = since.timestamp()
        self.offsets: dict[Path, int] = {}

    def fresh(self) -> Iterator[bytes]:
        """The messages that were written since the last call."""
        for path in sorted(self.folder.glob("*.log")):
            if path not in self.offsets and path.stat().st_mtime < self.since:
                continue
            with path.open("rb") as file:
                file.seek(self.offsets.get(path, 0))
                whole = file.read().rpartition(b"\n")
            self.offsets[path] = self.offsets.get(path, 0) + len(whole[0]) + len(whole[1])
            for line in whole[0].splitlines():
                yield line.split(b" ", 2)[-1]


class Link:
    """One connection to the receiver, made again whenever it broke."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.connection: socket.socket | None = None

    def send(self, messages: list[bytes]) -> None:
        """Hand these to the kernel. That says nothing of whether they arrive."""
        try:
            self.connection = self.connection or socket.create_connection(self.address, timeout=10)
            self.connection.sendall(framed(messages))
        except OSError:
            self.close()

    def lives(self, seconds: float) -> bool:
        """Wait so long; whether the other side is still there."""
        if self.connection is None:
            return False
        try:
            if select.select([self.connection], [], [], seconds)[0] and not self.connection.recv(1024):
                self.close()
        except OSError:
            self.close()
        return self.connection is not None

    def close(self) -> None:
        """The next `send` connects."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def deliver(link: Link, spooled: Spooled, messages: Sequence[bytes]) -> None:
    """Return when each of these lines is in the spool, however often the receiver dies meanwhile."""
    left = Counter(filter(None, messages)) - Counter(spooled.fresh())
    while left:
        link.send(_those(messages, left))
        until = time.monotonic() + PATIENCE_S
        while left and link.lives(LOOK_S):
            left -= Counter(spooled.fresh())
            if time.monotonic() > until:
                print(f"{left.total()} lines did not reach the spool: {next(iter(left))[:200]!r}", flush=True)
                return
        if left:
            time.sleep(RETRY_S)
            left -= Counter(spooled.fresh())


def _those(messages: Sequence[bytes], left: Counter[bytes]) -> list[bytes]:
    """The messages that are left, in their order."""
    left, found = left.copy(), []
    for message in messages:
        if left[message] > 0:
            left[message] -= 1
            found.append(message)
    return found


def run(host: str, port: int, capture: Path, home: Path, spool: Path) -> None:
    """Send until the process is stopped."""
    told = recording.load(capture)
    place = read_place(home, datetime.now(UTC))
    link, spooled = Link(host, port), Spooled(spool / host, place)
    while True:
        now = datetime.now(UTC)
        messages = due(told, laps.load(home, now), place, now)
        if messages:
            deliver(link, spooled, messages)
        place = now
        write_place(home, place)
        time.sleep(EVERY_S)


def _file(home: Path) -> Path:
    return home / "demo" / "sender.json"


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:6]))
