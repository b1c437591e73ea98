"""Named points between two durable steps, where `make chaos` kills or stops a process, and the bugs that it plants.

Inert unless AIRF5_CHAOS names a folder when the process starts; nothing but `tests/chaos` sets it. In that folder:

    armed/<point>     "kill" or "stop": the one process that comes by next takes the file away and does that to itself
    planted/<bug>     while it is there, the code behaves as if it had that bug
    hits              a line for each armed point that was reached: point, what was done, process

Points are named <step>.<what has just been done>; docs/architecture.md lists bugs and points by where they stand.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

VARIABLE = "AIRF5_CHAOS"
ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

_place = os.environ.get(VARIABLE, "")


def failpoint(name: str) -> None:
    """A point at which a process may die: the step before it is done, the one behind it is not."""
    if _place:
        _reached(Path(_place), name)


def planted(name: str) -> bool:
    """Whether a chaos run wants this bug to be there now. False for everybody else."""
    return bool(_place) and (Path(_place) / "planted" / name).exists()


def _reached(place: Path, name: str) -> None:
    armed = place / "armed" / name
    try:
        action = armed.read_text("ascii")
        armed.unlink()  # of several processes one alone
    except OSError:
        return
    with (place / "hits").open("a", encoding="ascii") as hits:
        hits.write(f"{name} {action} {os.getpid()}\n")
    os.kill(os.getpid(), ACTIONS[action])
