"""Which pieces of the recording are told when: pure rules, and the small file that all parts of the demo agree by.

A *lap* is the whole recording with its faults. Between laps one healthy DAG run is told every half minute.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

SLOT = timedelta(seconds=30)
FIRST_LAP_AFTER = timedelta(minutes=5)
LAP_EVERY = timedelta(hours=1)
KEPT_LAPS = 50

# Where in lab1 a lap begins (just before the first fault), ends, and where its first healthy runs begin.
LAP_BEGINS = datetime(2026, 11, 22, 9, 26, 25, tzinfo=UTC)
LAP_ENDS = datetime(2026, 11, 22, 9, 38, 36, tzinfo=UTC)
FIRST_FAILURE = datetime(2026, 11, 22, 9, 27, 32, tzinfo=UTC)
LAP_LENGTH = LAP_ENDS - LAP_BEGINS
QUIET_RUNS = (
    ("orders_sync", datetime(2026, 11, 22, 9, 25, 11, tzinfo=UTC)),
    ("price_fanout", datetime(2026, 11, 22, 9, 25, 16, tzinfo=UTC)),
)


@dataclass(frozen=True, slots=True)
class State:
    """When the demo first ran, and when its laps started."""

    epoch: datetime
    laps: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One telling of one part of the recording; `number` is the lap that `ingest.capture.shift` takes."""

    number: int
    part: str  # "lap" or the DAG of a healthy run
    start: datetime
    delta: timedelta


def slot_of(state: State, moment: datetime) -> int:
    """The half minute since the demo's first start."""
    return (moment - state.epoch) // SLOT


def pieces(state: State, since: datetime, until: datetime) -> list[Piece]:
    """Every piece that starts in [since, until], in order. Laps have odd numbers, healthy runs even ones."""
    found = [
        Piece(2 * slot_of(state, start) + 1, "lap", start, start - LAP_BEGINS)
        for start in state.laps
        if since <= start <= until
    ]
    first = max(0, -((state.epoch - since) // SLOT))
    for slot in range(first, slot_of(state, until) + 1):
        start = state.epoch + slot * SLOT
        if start < since or running_lap(state, start) is not None:
            continue
        part, recorded = QUIET_RUNS[slot % len(QUIET_RUNS)]
        found.append(Piece(2 * slot, part, start, start - recorded))
    return sorted(found, key=lambda piece: (piece.start, piece.number))


def running_lap(state: State, now: datetime) -> datetime | None:
    """The start of the lap that is being told at this moment."""
    return next((start for start in reversed(state.laps) if start <= now < start + LAP_LENGTH), None)


def next_lap_at(state: State) -> datetime:
    """When the next lap starts by itself."""
    return state.laps[-1] + LAP_EVERY if state.laps else state.epoch + FIRST_LAP_AFTER


def with_lap(state: State, now: datetime) -> State:
    """The state with a lap that starts now; a lap that is running is let finish."""
    if running_lap(state, now) is not None:
        return state
    start = now.replace(microsecond=0) + timedelta(seconds=1)
    if state.laps and start <= state.laps[-1]:
        return state
    return State(state.epoch, (*state.laps, start)[-KEPT_LAPS:])


def told(home: Path) -> bool:
    """Whether a demo runs, or ran, in this home: elsewhere there is nothing to break."""
    return _file(home).is_file()


def load(home: Path, now: datetime) -> State:
    """The state as its file says it; without one (or with a broken one) the demo begins now."""
    try:
        found = json.loads(_file(home).read_text())
        return State(datetime.fromisoformat(found["epoch"]), tuple(map(datetime.fromisoformat, found["laps"])))
    except (OSError, ValueError, KeyError, TypeError):
        return State(now.replace(microsecond=0))


def begin(home: Path, now: datetime) -> State:
    """Load the state, writing it if this is the demo's first start."""
    return _change(home, now, lambda state: state)


def start_lap(home: Path, now: datetime) -> State:
    """Start a lap, unless one is running. The button, the clock and a person may call it at the same time."""
    return _change(home, now, lambda state: with_lap(state, now))


def _change(home: Path, now: datetime, change: Callable[[State], State]) -> State:
    file = _file(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = change(load(home, now))
        text = json.dumps({"epoch": state.epoch.isoformat(), "laps": [lap.isoformat() for lap in state.laps]})
        fresh = file.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, file)
    return state


def _file(home: Path) -> Path:
    return home / "demo" / "laps.json"
