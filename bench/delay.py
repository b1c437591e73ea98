"""How long the running demo takes from the last row that a verdict needs to the final verdict: a lap of the recording, live.

The demo runs as a person starts it (`manage.py demo`: receiver, worker, beat, web, the replayed Airflow and BIG-IP), in a home
of its own. A verdict counts from when all that it needs was there: the end of its try, the last answer of its requests and
the last row it cites, by their own times, and the end of the wait for what did not come (`judging.SETTLED`, after a failed
call `judging.MONITOR_WAIT`). Polling, receiving, storing and waiting for a free worker are all part of the delay. It is final
when another connection sees it committed, looked for four times a second.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from bench.home import own_home
from bench.report import Figure

ROOT = Path(__file__).resolve().parent.parent
LOOK_S = 0.25
AFTER_LAP = timedelta(seconds=90)  # so long after the lap its last verdicts are waited for
SMALL = timedelta(minutes=3)  # a lap's first failure comes after 67 s
START_S, STOP_S = 180.0, 30.0
GOAL = "p95 <= 15"


class Needed(NamedTuple):
    """Of one try: its end, when its last row came (answers, and what the verdict cites), and how long absence is waited for."""

    end_at: datetime
    last_row_at: datetime
    wait: timedelta

    @property
    def at(self) -> datetime:
        """When all that its verdict needs was there, at the earliest."""
        return max(self.last_row_at, self.end_at + self.wait)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The nearest rank: the smallest value that so large a share does not exceed."""
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def figures(delays: Sequence[float]) -> list[Figure]:
    """Seconds from needed to final, of each verdict."""
    if not delays:
        return [Figure("running demo: verdicts", 0, "")]
    found = sorted(delays)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    name = "running demo: last needed row to final verdict"
    return [
        Figure("running demo: verdicts", len(found), ""),
        *(Figure(f"{name}, {p}", percentile(found, x), "s", GOAL if p == "p95" else "") for p, x in shares.items()),
        Figure(f"{name}, longest", found[-1], "s"),
    ]


def measure(small: bool = False) -> list[Figure]:
    """Run the demo for a lap (about 14 minutes; small: 3) and take the delay of each verdict that became final."""
    with _demo() as home:
        from airf5.demo import laps

        began = datetime.now(UTC)
        lap = laps.start_lap(home, began).laps[-1]
        until = began + SMALL if small else lap + laps.LAP_LENGTH + AFTER_LAP
        final = _watch(until)
        needed = _needed(list(final))
    delays = {pk: (final[pk] - needed[pk].at).total_seconds() for pk in final if pk in needed}
    worst = sorted(delays, key=lambda pk: -delays[pk])[:5]
    print("Latest after what they needed: " + "; ".join(f"try {pk}: {delays[pk]:.1f} s" for pk in worst))
    return figures(list(delays.values()))


@contextmanager
def _demo() -> Iterator[Path]:
    """A demo that runs, in a home that is removed afterwards; Django speaks to its database."""
    with own_home("delay") as home:
        from airf5.demo import steps

        os.environ |= {"AIRF5_PORT": str(steps.free_port()), "AIRF5_SYSLOG_PORT": str(steps.free_port())}
        import django

        django.setup()
        from django.db import connection

        from airf5 import embedded

        embedded.ensure(database=True, broker=True)
        with (home / "demo.log").open("wb") as log:
            command = [sys.executable, str(ROOT / "manage.py"), "demo", "--no-replay"]
            demo = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=ROOT)
        try:
            _until_up(demo, home / "demo.log")
            yield home
        finally:
            demo.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                demo.wait(STOP_S)
            demo.kill()
            demo.wait()
            connection.close()
            embedded.stop()


def _until_up(demo: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while b"Password " not in log.read_bytes():
        if demo.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"The demo did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(LOOK_S)


def _watch(until: datetime) -> dict[int, datetime]:
    """When each verdict was first seen to be final, by try."""
    from ingest.models import Verdict

    final: dict[int, datetime] = {}
    while (now := datetime.now(UTC)) < until:
        seen = Verdict.objects.filter(status=Verdict.Status.FINAL).values_list("try_row", flat=True)
        final |= {pk: now for pk in seen if pk not in final}
        time.sleep(LOOK_S)
    return final


def _needed(ids: Sequence[int]) -> Mapping[int, Needed]:
    """What the verdicts of these tries needed, as their facts are now."""
    from bench.faults.readings import noted
    from ingest import judging
    from ingest.correlate import read
    from ingest.models import Airflow, Evidence, Try
    from ingest.rules import bad

    with noted() as judged:
        for airflow in Airflow.objects.filter(tries__in=ids).distinct():
            judging.answers(airflow, read(Try.objects.filter(airflow=airflow, pk__in=ids)), datetime.now(UTC))
    cited: dict[int, datetime] = {}
    told = Evidence.objects.filter(verdict__try_row__in=ids, kind__in=("request", "health_event"), at__isnull=False)
    for pk, at in told.order_by("at").values_list("verdict__try_row", "at"):
        cited[pk] = at
    out = {}
    for pk, (facts, _) in judged.items():
        end = facts.attempt.end_at
        rows = [r.over_at or r.at for r in facts.requests]
        failed_call = bool(bad.own_bad(facts) or facts.candidates)
        wait = judging.MONITOR_WAIT if failed_call else judging.SETTLED
        out[pk] = Needed(end, max([end, cited.get(pk, end), *rows]), wait)
    return out
