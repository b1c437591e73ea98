"""Where the time of one try went, part by part: whole milliseconds that add up to all of it, with what nothing explains."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from . import bad
from .facts import Facts, Request

ENOUGH = 5  # successful tries of a task, before its own code's time counts as known
_MS = timedelta(milliseconds=1)


class Usual(NamedTuple):
    """What the own code of a task usually takes: the median of so many successful tries, in seconds."""

    samples: int = 0
    median_s: float | None = None

    @property
    def is_known(self) -> bool:
        return self.samples >= ENOUGH and self.median_s is not None


class Piece(NamedTuple):
    """A stretch of a try's run that one of its requests took, in milliseconds since the run began."""

    start: int
    end: int
    part: str  # api | lost | the name of an endpoint, with a : before it


def where_it_went(facts: Facts, scheduled_at: datetime | None, usual: Usual) -> dict[str, Any]:
    """{total, wait, queue, own, api, endpoints {name: s}, lost, unexplained, usual_s, usual_of} in seconds of three digits.

    All but the last two add up to the total. `wait`: scheduled to queued, for a slot; `queue`: queued to running; `own`:
    the task's own code, as far as its usual time explains it; `unexplained`: own time above that, null where the usual
    time is not known (then `own` is all of it). An instant in which several requests were under way counts once, for the
    one that was asked first.
    """
    attempt = facts.attempt
    end = attempt.end_at
    queued = attempt.queued_at or attempt.start_at or end
    queued = min(queued, end)
    scheduled = min(scheduled_at or queued, queued)
    ran = max(queued, min(_running(facts) or end, end))
    run_ms = _ms(end - ran)
    parts = _parts(_pieces(facts, ran), run_ms)
    own = run_ms - sum(parts.values())
    known = round(usual.median_s * 1000) if usual.is_known and usual.median_s is not None else own
    out: dict[str, Any] = {
        "wait": _ms(queued - scheduled), "queue": _ms(ran - queued), "own": min(own, known), "unexplained": max(0, own - known),
        "api": parts.pop("api", 0), "lost": parts.pop("lost", 0),
    }  # fmt: skip
    endpoints = {name[1:]: ms for name, ms in sorted(parts.items())}
    total = sum(out.values()) + sum(endpoints.values())
    seconds: dict[str, Any] = {name: ms / 1000 for name, ms in out.items()}
    seconds |= {"total": total / 1000, "endpoints": {name: ms / 1000 for name, ms in endpoints.items()}}
    if not usual.is_known:
        seconds["unexplained"] = None
    return seconds | {"usual_s": known / 1000 if usual.is_known else None, "usual_of": usual.samples}


def _ms(span: timedelta) -> int:
    return max(0, span // _MS)


def _running(facts: Facts) -> datetime | None:
    """When the try began to run: its first /run by the worker's clock (a resume moves `start_at`), else what Airflow says."""
    calls = [r.at - facts.attempt.ahead for r in facts.requests if r.execution and r.path.endswith("/run")]
    return min(calls, default=facts.attempt.start_at)


def _pieces(facts: Facts, ran: datetime) -> Iterable[Piece]:
    began = ran + facts.attempt.ahead  # by the devices' clock
    for r in facts.requests:
        start = (r.at - began) // _MS
        is_lost = bad.is_bad(r, facts)
        yield Piece(
            start, (_over(r, facts) - began) // _MS, "lost" if is_lost else "api" if r.execution else f":{r.endpoint}"
        )


def _over(request: Request, facts: Facts) -> datetime:
    """When the client had its answer; without one, it waited until it asked the next time or until the end."""
    if request.over_at is not None:
        return request.over_at
    later = (r.at for r in facts.requests if r.at > request.at and r.execution == request.execution)
    return min(later, default=facts.attempt.over_at)


def _parts(pieces: Iterable[Piece], run_ms: int) -> dict[str, int]:
    """Milliseconds by part; nothing before the run, nothing after it, nothing twice."""
    out: dict[str, int] = {}
    covered = 0
    for start, end, part in sorted(pieces):
        first, last = max(start, covered), min(end, run_ms)
        if last > first:
            out[part] = out.get(part, 0) + last - first
            covered = last
    return out
