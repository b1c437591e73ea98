"""Child processes that die with their parent, the lock that says who the parent is, and free ports."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
Account = tuple[int, int]  # uid and gid
_libc = ctypes.CDLL(None, use_errno=True)


def started_at(pid: int) -> str:
    """When a process began, in the kernel's ticks: with the pid it names a process for good. Empty: no process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def spawn(
    argv: Sequence[object], *, cwd: Path, log: Path, dies_by: signal.Signals, user: Account | None = None
) -> subprocess.Popen[bytes]:
    """Start a child that gets the signal `dies_by` when we end, in whatever way.

    Its own session keeps a Ctrl-C away from it. The kernel ties it to the calling thread: call this from the main one.
    """
    log.touch(mode=0o600)
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(arg) for arg in argv],
            cwd=cwd,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_dying_with(os.getpid(), dies_by),
            **as_user(user),
        )


def as_user(user: Account | None) -> dict[str, Any]:
    """What subprocess needs to run a command as this uid and gid."""
    return {"user": user[0], "group": user[1], "extra_groups": []} if user else {}


def clean_environment() -> Mapping[str, str]:
    """PG* variables and locales of the caller must not reach the services."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _dying_with(parent: int, dies_by: signal.Signals) -> Callable[[], None]:
    def bind() -> None:  # runs in the child after it became another user, which would have undone it
        _libc.prctl(PR_SET_PDEATHSIG, dies_by)
        if os.getppid() != parent:
            os._exit(1)

    return bind


def end(process: subprocess.Popen[bytes], signals: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send the signals, each with its seconds to wait, until the process has ended."""
    for number, seconds in signals:
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return
    process.kill()
    process.wait()


def take_lock(path: Path) -> int | None:
    """The lock as a file descriptor, or None when another process has it.

    A record lock: a forked child does not hold it, and it goes with its process, even by kill -9.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def free_port(wanted: int = 0) -> int:
    """The wanted port if nothing listens there, else one that the kernel finds free."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def read_state(path: Path) -> dict[str, Any]:
    """What the owner wrote about its service; empty when there is nothing to read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Publish at once and whole, readable by us only: it holds a password."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(state), "utf-8")
    fresh.replace(path)
