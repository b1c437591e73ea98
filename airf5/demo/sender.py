"""Sends the recorded device's lines to the receiver, each at its moment: `python -m airf5.demo.sender`.

How far it came is kept in a file, so that a restart neither repeats nor loses lines (of the last minutes).
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airf5.demo import laps, recording

EVERY_S = 0.5
LONGEST_GAP = timedelta(minutes=10)
RETRY_S = 2.0


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


def run(host: str, port: int, capture: Path, home: Path) -> None:
    """Send until the process is stopped; a receiver that is away is tried again, and what it missed is sent then."""
    told = recording.load(capture)
    place = read_place(home, datetime.now(UTC))
    while True:
        try:
            with socket.create_connection((host, port), timeout=10) as connection:
                while True:
                    now = datetime.now(UTC)
                    messages = due(told, laps.load(home, now), place, now)
                    if messages:
                        connection.sendall(framed(messages))
                    place = now
                    write_place(home, place)
                    time.sleep(EVERY_S)
        except OSError:
            time.sleep(RETRY_S)


def _file(home: Path) -> Path:
    return home / "demo" / "sender.json"


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
