"""Small pieces of sentences and proofs that several rules share."""

from __future__ import annotations

import json
from datetime import datetime

from ingest.records import Outcome

from .bad import Case
from .compare import short
from .facts import Change, Facts, Health, Proof, Request

LINK_WORDS = {
    0: "", 1: "by the try's UUID in the URL", 2: "by the X-Airflow-Task header", 3: "by the run's trace id and time",
    4: "by client, endpoint and time", 5: "by endpoint and time",
}  # fmt: skip


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def answer(request: Request) -> str:
    """What became of a request, in words."""
    if request.outcome is Outcome.UNANSWERED:
        return "no answer left the virtual server"
    took = f" after {request.seconds:,.1f} s" if request.seconds is not None and request.seconds >= 1 else ""
    who = f" from {short(request.member)}" if request.member else ", no member chosen"
    return f"{request.status or 'an answer'}{who}{took}"


def request_proof(request: Request, says: str = "") -> Proof:
    words = says or f"{request.method} {request.uri[:120]}: {answer(request)}"
    return Proof(
        "request", request.at, words, request.raw, request.line_id, request.feed, LINK_WORDS[int(request.link)]
    )


def health_proof(event: Health) -> Proof:
    what = event.member or event.f5_pool or event.object
    reason = f" ({event.reason})" if event.reason else ""
    return Proof(
        "health_event",
        event.at,
        f"{what}: {event.state.replace('_', ' ')}{reason}",
        event.raw,
        event.line_id,
        event.feed,
    )


def change_proof(change: Change) -> Proof:
    return Proof(
        "user_action",
        change.at,
        f"{change.actor} {change.verb} {change.target}",
        change.raw,
        change.line_id,
        change.feed,
    )


def try_proof(facts: Facts) -> Proof:
    """What Airflow itself says of the try's times."""
    attempt = facts.attempt
    times = {"queued_when": attempt.queued_at, "start_date": attempt.start_at, "end_date": attempt.end_at}
    told = {name: at.isoformat() if at else None for name, at in times.items()}
    words = ", ".join(f"{name} {clock(at)}" for name, at in times.items() if at)
    raw = json.dumps({**told, "state": attempt.state, "pool": attempt.airflow_pool, "hostname": attempt.hostname})
    return Proof(
        "task_instance", attempt.queued_at or attempt.end_at, f"Airflow tells of the try: {words}", raw, None, "Airflow"
    )


def log_proof(facts: Facts) -> tuple[Proof, ...]:
    """What the task's own log says of its end."""
    log = facts.log
    if log is None or not (log.exceptions or log.lines):
        return ()
    text = "; ".join(f"{kind}: {value}" for kind, value in log.exceptions[:2]) or log.lines[-1]
    raw = "\n".join([f"{kind}: {value}" for kind, value in log.exceptions] + list(log.lines))
    return (Proof("task_log", log.ended_at or facts.attempt.end_at, text[:300], raw[:4000], None, "task log"),)


def how_joined(case: Case) -> tuple[bool, str]:
    """The reason that says how the request is known to be this try's."""
    if case.certain:
        return True, f"The request is this try's {LINK_WORDS[int(case.request.link)]}."
    if case.of > 1:
        return True, (
            f"Joined by endpoint and time: {case.of} bad requests fit the {case.of} mapped tries that failed, "
            "and each log says the same."
        )
    return (
        True,
        "Joined by endpoint and time: this request alone fits the try and what its log says, and it fits no other try.",
    )


def gave_up_words(case: Case) -> str:
    log = case.facts.log
    if log and log.timed_out and log.timeout_s:
        return f"The task gave up after {log.timeout_s:g} s. "
    return ""
