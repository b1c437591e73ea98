"""`manage.py demo`: from nothing to the first real incident on the page, step by step, until Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from airf5 import embedded, keyring
from airf5.demo import laps, steps
from airf5.demo.supervisor import Supervisor

PAGE_WAIT_S = 60


class Command(BaseCommand):
    """Runs the whole product on a recording that repeats."""

    help = "Run everything on a repeated recording, on this machine alone, and show where to look."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Only what a script needs."""
        parser.add_argument("--no-replay", action="store_true", help="do not read the recording as it was first")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, start, tell, watch."""
        where = steps.places()
        if steps.port_is_taken(where.bind, where.port):
            raise CommandError(
                f"Port {where.port} of {where.bind} is taken: stop what listens there or set AIRF5_PORT."
            )
        where.home.mkdir(parents=True, exist_ok=True)
        with self.step("Starting PostgreSQL and Valkey"):
            embedded.ensure(database=True, broker=True)
            environment = steps.child_environment(where, embedded.environment())
        with self.step("Making the tables"):
            call_command("migrate", verbosity=0, interactive=False)
        with self.step("Collecting the static files"):
            call_command("collectstatic", verbosity=0, interactive=False)
        password = steps.kept_secret(where.home / "demo" / "password")
        airflow_password = steps.kept_secret(where.airflow_password)
        with self.step("Making the user and the sources"):
            keyring.load(make=True)
            steps.make_user(password)
            steps.register_sources(where)
            laps.begin(where.home, datetime.now(UTC))
        if not options["no_replay"] and steps.recording_is_due():
            steps.forget_old_recordings()
            with self.step("Reading the recording (12 minutes, 2,159 requests, 240 tries) and judging it"):
                self.replay(where, environment)
        logs = where.home / "demo" / "logs"
        programs = steps.programs(where, airflow_password)
        supervisor = Supervisor(programs, logs, environment, self.say, tick=lambda: self.tick(where))
        with self.step("Starting web, worker, beat, receiver, the replayed Airflow and the replayed BIG-IP"):
            supervisor.start()
            if not answers(where.url, PAGE_WAIT_S):
                supervisor.stop()
                raise CommandError(f"The page does not answer: see {logs / 'web.log'}")
        self.tell(where, password)
        supervisor.watch()
        self.say("Stopped.")

    def replay(self, where: steps.Places, environment: dict[str, str]) -> None:
        """Read the recording in a process of its own: what it needs of memory is gone afterwards."""
        command = [
            sys.executable,
            str(where.root / "manage.py"),
            "replay",
            str(where.capture),
            "--shift-to-now",
            "--wait",
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandError(f"The recording could not be read:\n{done.stderr[-2000:]}")

    def tick(self, where: steps.Places) -> None:
        """Twice a second: services that died are started again where they were, and the next lap when it is due."""
        try:
            embedded.ensure(database=True, broker=True)
        except embedded.EmbeddedError as error:
            self.say(f"A service could not be started again, trying on: {error}")
            return
        self.start_due_lap(where)

    def start_due_lap(self, where: steps.Places) -> None:
        """Start the next lap when its time has come."""
        now = datetime.now(UTC)
        if now >= laps.next_lap_at(laps.load(where.home, now)):
            started = laps.start_lap(where.home, now)
            self.say(f"A lap with faults started; the first task fails at about {first_failure(started):%H:%M:%S} UTC.")

    def tell(self, where: steps.Places, password: str) -> None:
        """What a newcomer needs to know, and nothing else."""
        due = laps.next_lap_at(laps.load(where.home, datetime.now(UTC)))
        self.stdout.write(
            f"\nOpen     {where.url}\nUser     {steps.USER}\nPassword {password}\n\n"
            "Look first at the newest incident: the route that failed, the tries it hit, the log lines that prove it.\n"
            f"Break something now: {where.url}demo/ (or wait: the next faults begin at {due:%H:%M} UTC).\n"
            f"What the processes say is in {where.home / 'demo' / 'logs'}. Ctrl-C stops everything.\n"
        )
        self.stdout.flush()  # a file or a pipe gets it now, not when the demo ends

    def say(self, words: str) -> None:
        """One line with its time."""
        self.stdout.write(f"{datetime.now():%H:%M:%S} {words}")
        self.stdout.flush()

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """Print a step, and how long it took."""
        began = time.monotonic()
        self.stdout.write(f"{words} … ", ending="")
        self.stdout.flush()
        yield
        self.stdout.write(f"{time.monotonic() - began:.1f} s")
        self.stdout.flush()


def first_failure(state: laps.State) -> datetime:
    """When the first task of the newest lap fails."""
    return state.laps[-1] + (laps.FIRST_FAILURE - laps.LAP_BEGINS)


def answers(url: str, seconds: float) -> bool:
    """Whether the page answers within this time, with whatever it has to say."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urlopen(url, timeout=5):
                return True
        except HTTPError as error:
            if error.code < 500:
                return True
        except (URLError, OSError):
            pass
        time.sleep(0.5)
    return False
