"""Processes in a home of their own, started again when they die; the points where they die, cuts of the power, and time."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESTART_S = 0.5
CLONE_NEWNS, PR_SET_PDEATHSIG = 0x00020000, 1
libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Process:
    """One process of the product that has to run."""

    name: str
    command: Sequence[str]
    running: subprocess.Popen[bytes] | None = None
    died_at: float = 0.0


class Machine:
    """The processes of one run, below one folder. `environment` is what they are started with."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.home = Path(tempfile.mkdtemp(prefix="airf5-chaos-"))
        self.home.chmod(0o711)  # PostgreSQL runs as another account when we are root
        self.place = self.home / "chaos"
        for name in ("armed", "planted"):
            (self.place / name).mkdir(parents=True)
        self.spool = self.home / "spool"
        self.environment: dict[str, str] = {}
        self.processes: list[Process] = []
        self.kills = 0
        self.services_wanted = True

    # Processes

    def spawn(self, process: Process) -> None:
        """Start a process that dies with this one."""
        parent = os.getpid()

        def die_with_parent() -> None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with (self.home / "logs" / f"{process.name}.log").open("ab") as log:
            process.running = subprocess.Popen(
                process.command, env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip

    def tend(self) -> None:
        """What a service manager does: what died is started again."""
        from airf5 import embedded

        if self.services_wanted:
            with contextlib.suppress(embedded.EmbeddedError):
                embedded.ensure(database=True, broker=True)
        now = time.monotonic()
        for process in self.processes:
            if process.running and process.running.poll() is not None:
                self.kill_group(process, signal.SIGKILL)
                process.running, process.died_at = None, now
            if process.running is None and now - process.died_at > RESTART_S:
                self.spawn(process)

    @staticmethod
    def kill_group(process: Process, number: signal.Signals) -> None:
        """Send a signal to a process and to all that it has started."""
        if process.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.running.pid, number)

    def pid(self, name: str) -> int:
        """The process of this name, or 0 while it is away."""
        found = next(one for one in self.processes if one.name == name).running
        return found.pid if found and found.poll() is None else 0

    def children(self, name: str) -> list[int]:
        """The children of a process: of the worker those that do the work."""
        parent = self.pid(name)
        with contextlib.suppress(OSError):
            return [int(one) for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
        return []

    def kill(self, name: str) -> None:
        """kill -9 of one kind of process; `child` is one of the worker's."""
        pids = self.children("worker") if name == "child" else [self.pid(name)]
        if pids and all(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(pids), signal.SIGKILL)
                self.kills += 1

    def service(self, name: str) -> int:
        """The pid of postgres or valkey."""
        return int(json.loads((self.home / "run" / f"{name}.json").read_text())["pid"])

    def stop(self, *names: str) -> Callable[[], None]:
        """SIGSTOP processes with their children; what is returned lets them go on."""
        pids = [pid for name in names for pid in (self.pid(name), *self.children(name)) if pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

        def go_on() -> None:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        return go_on

    # Points and bugs

    def arm(self, *points: str, action: str = "kill") -> None:
        """The next process that comes by each of these points dies, or stops, there."""
        for point in points:
            fresh = self.place / f"{point}.new"
            fresh.write_text(action, "ascii")
            fresh.rename(self.place / "armed" / point)

    def armed(self) -> list[str]:
        """Points that nobody has come by yet."""
        return sorted(path.name for path in (self.place / "armed").iterdir())

    def disarm(self) -> None:
        """Arm nothing any more."""
        for path in (self.place / "armed").iterdir():
            path.unlink(missing_ok=True)

    def hits(self) -> list[tuple[str, str, int]]:
        """(point, action, pid) of what was reached so far."""
        try:
            rows = [line.split() for line in (self.place / "hits").read_text("ascii").splitlines()]
        except FileNotFoundError:
            return []
        return [(point, action, int(pid)) for point, action, pid in rows]

    def cut_power(self, *names: str) -> None:
        """Kill these processes, and take from the spool what was not synced, as if the machine had stopped."""
        for name in names:
            for pid in (self.pid(name), *self.children(name)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.kills += 1
        for name in names:
            if running := next(one for one in self.processes if one.name == name).running:
                running.wait()
        synced: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in (self.place / "synced").read_text().splitlines():
                size, _, path = line.partition(" ")
                synced[path] = max(synced.get(path, 0), int(size))
        for folder in ("127.0.0.1", "push"):
            for file in (self.spool / folder).rglob("*.log"):
                kept = synced.get(str(file), 0)
                if kept < file.stat().st_size:
                    os.truncate(file, kept)

    # Time

    def pause(self, seconds: float) -> None:
        """Let time pass, and tend."""
        end = time.monotonic() + seconds
        while True:
            self.tend()
            if time.monotonic() >= end:
                return
            time.sleep(0.1)

    def until(self, condition: Callable[[], Any], seconds: float, what: str) -> Any:
        """Wait for something; an error that says what did not come."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {seconds:.0f} s: {what}")
            self.pause(0.2)
        return found
