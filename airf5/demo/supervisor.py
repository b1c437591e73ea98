"""Runs the processes of the demo as children that it restarts when they die and that die with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
CALM_S = 60.0  # a child that lived this long starts over with the shortest wait
STOP_S = 15.0
POLL_S = 0.5
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running. `secret` goes to its standard input: arguments are for all to see."""

    name: str
    command: Sequence[str]
    secret: str = ""


@dataclass(slots=True)
class Child:
    """A program with its process, and when it may be started again."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0


def wait_s(deaths: int) -> float:
    """How long to wait before the next start after this many deaths in a row."""
    return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** max(0, min(deaths, 10) - 1)))


@dataclass(slots=True)
class Supervisor:
    """Keeps programs running until SIGINT or SIGTERM. Their output goes to one log file each."""

    programs: Sequence[Program]
    logs: Path
    environment: Mapping[str, str]
    say: Callable[[str], None]
    tick: Callable[[], None] = lambda: None
    stopping: bool = False
    children: list[Child] = field(default_factory=list)

    def start(self) -> None:
        """Start every program. SIGINT and SIGTERM from now on end `watch`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked_to_stop)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.children = [Child(program) for program in self.programs]
        for child in self.children:
            self._spawn(child)

    def watch(self) -> None:
        """Restart what dies, until asked to stop; then stop everything."""
        try:
            while not self.stopping:
                for child in self.children:
                    self._look_after(child)
                self.tick()
                time.sleep(POLL_S)
        finally:
            self.stop()

    def stop(self) -> None:
        """Ask all children to end, wait for them, and kill what does not listen, with all it has started."""
        running = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in running:
            _signal_group(process, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        for child in self.children:
            if child.process is not None:
                _signal_group(child.process, signal.SIGKILL)
                child.process.wait()
                child.process = None

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._spawn(child)
            return
        status = child.process.poll()
        if status is None:
            return
        _signal_group(child.process, signal.SIGKILL)  # what it started must not meet its successor
        child.process = None
        child.deaths = 1 if now - child.started_at > CALM_S else child.deaths + 1
        child.start_at = now + wait_s(child.deaths)
        name, wait = child.program.name, wait_s(child.deaths)
        self.say(f"{name} ended ({_words(status)}); starting it again in {wait:.0f} s. See {self.logs / name}.log")

    def _spawn(self, child: Child) -> None:
        parent = os.getpid()

        def die_with_parent() -> None:
            # SIGTERM, not SIGKILL: celery ends its own children only when it is asked to.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before we asked
                os._exit(1)

        with open(self.logs / f"{child.program.name}.log", "ab") as log:
            child.process = subprocess.Popen(
                child.program.command,
                env=dict(self.environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and a group can be ended as a whole
                preexec_fn=die_with_parent,  # safe: this process has one thread
            )
        child.started_at = time.monotonic()
        if child.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.process.stdin.write(child.program.secret.encode() + b"\n")
                child.process.stdin.close()

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _words(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
