"""Rules that name the task's own side: no request failed, or what failed was the task's own doing."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ingest.records import Outcome

from .bad import OWN_LIMITS, Case, absorbed, own_bad, speaks_of_api, speaks_of_call
from .compare import short
from .facts import Change, Facts, Finding, Proof, Request, Route
from .route import finding
from .slow import usual_seconds
from .words import change_proof, clock, log_proof, request_proof, try_proof

SILENT_S = 45.0  # workers send a heartbeat every 5 s; three failed rounds of their retries take less
OVER_A_GAP = 0.7

# Deeds of a person or of a program on a task instance, as Airflow 2 and 3 name them in the event log.
_DEED = re.compile(r"clear|patch_(mapped_)?task_instance|patch_dag_run|delete|mark|set_.*state|dagrun_(failed|success)")


def execution_conflict(case: Case) -> Finding | None:
    """409 or 404 of the Execution API from a healthy member: only if the event log shows the deed."""
    request = case.request
    if not request.execution or request.status not in (404, 409):
        return None
    deed = _deed(case.facts)
    if deed is None or scheduler_ended(case.facts) is not None:
        return None
    return finding(
        case, "execution_conflict",
        f"Task: {deed.actor or 'somebody'} did {deed.verb} at {clock(deed.at)} while it ran; "
        f"Airflow's API then answered {request.status}.",
        0.93, "caller", deed.actor, acquitted=True, proofs=(change_proof(deed),),
    )  # fmt: skip


def _deed(facts: Facts) -> Change | None:
    lo = facts.attempt.start_at or facts.attempt.queued_at or facts.attempt.end_at - timedelta(hours=1)
    for event in facts.events:
        if lo <= event.at <= facts.attempt.end_at + timedelta(minutes=1) and _DEED.search(event.verb):
            return event
    return None


def scheduler_ended(facts: Facts, silent_at: datetime | None = None) -> str | None:
    """A scheduler that ended within five minutes before the try's end, or as its process fell silent; in words."""
    end = facts.attempt.end_at
    for job in facts.jobs:
        if job.job_type != "SchedulerJob" or job.end_at is None:
            continue
        before = timedelta() <= end - job.end_at <= timedelta(minutes=5)
        if before or (silent_at is not None and abs(job.end_at - silent_at) <= timedelta(seconds=30)):
            return f"a scheduler ended ({job.state}) at {clock(job.end_at)}"
    return None


def task_timeout(facts: Facts) -> Finding | None:
    """The task's own limit ran out and every request was answered well."""
    log = facts.log
    kind = next((k for k, _ in log.exceptions if k in OWN_LIMITS), "") if log else ""
    if not kind:
        return None
    if log and log.in_call and all(r.execution for r in facts.requests):
        return Finding(
            "undecided", f"Unknown: its own time limit ran out ({kind}) while it waited for an answer, "
            "and no request is known as its own.",
            0.3, proofs=log_proof(facts),
            reasons=(route_words(facts), (False, "The X-Airflow-Task header (integrations/airflow) would name the request.")),
        )  # fmt: skip
    return _own(
        facts,
        "task_timeout",
        f"Task: its own time limit ran out ({kind}); every request it made was answered in time.",
        0.93,
    )


def worker_killed(facts: Facts) -> Finding | None:
    """The process was killed, or the scheduler gave it up for lost."""
    if facts.log is None or not facts.log.killed or facts.log.exceptions:
        return None
    bad = [r for r in facts.requests if r.execution and r.outcome is not Outcome.OK]
    if bad or scheduler_ended(facts) is not None:
        return None
    return _own(
        facts, "worker_killed", "Task: its process on the worker was killed.", 0.85, "worker", facts.attempt.hostname,
        (try_proof(facts),),
    )  # fmt: skip


def fell_silent(facts: Facts) -> Request | None:
    """The last sign of the try's process, where it came long before Airflow gave the try up, and every one was answered."""
    log = facts.log
    if facts.attempt.slow or (log is not None and log.exceptions):
        return None
    beats = [r for r in facts.requests if r.execution and not r.suspect]
    if not any(r.path.endswith("/heartbeat") for r in beats) or any(r.outcome is not Outcome.OK for r in beats[-3:]):
        return None
    if beats[-1].path.endswith("/state"):
        return None  # it said itself that it ended, or that it goes on later (deferred, rescheduled)
    return beats[-1] if (facts.attempt.over_at - beats[-1].at).total_seconds() >= SILENT_S else None


def died_in_call(case: Case) -> Finding | None:
    """The process that waited for the answer ended first: a request without an answer is no wonder then."""
    request, facts = case.request, case.facts
    last = fell_silent(facts)
    killed = facts.log is not None and facts.log.killed and not facts.log.exceptions
    if request.execution or request.outcome is not Outcome.UNANSWERED:
        return None
    if last or killed:
        return heartbeats_silent(facts) or worker_killed(facts)
    return _broke_off(case) if facts.log is not None and facts.log.found and not facts.log.exceptions else None


def _broke_off(case: Case) -> Finding | None:
    """Its log ends without an error, long after the request: who saw no error was not told of one."""
    facts, request = case.facts, case.request
    waited = (facts.attempt.over_at - request.at).total_seconds()
    if facts.attempt.slow or waited < SILENT_S:
        return None
    return finding(
        case, "undecided",
        f"Unknown: its log breaks off without an error, {waited:.0f} s after a call that was never answered; its process may "
        "have ended first, or nobody told it that the call had failed.",
        0.3, "virtual_server", request.endpoint,
        reasons=((False, "The worker's own log, or that of the scheduler, would settle it."),),
    )  # fmt: skip


def heartbeats_silent(facts: Facts) -> Finding | None:
    """Its heartbeats ended long before Airflow gave it up, all answered: the process died, alone or with the scheduler."""
    last = fell_silent(facts)
    if last is None:
        return None
    silent, proofs = (facts.attempt.over_at - last.at).total_seconds(), (request_proof(last, "the last heartbeat"),)
    ended = scheduler_ended(facts, last.at - facts.attempt.ahead)
    if ended is not None:
        words = f"Task: {ended}, and its process fell silent at {clock(last.at)}, as those that the scheduler runs itself do."
        return _own(facts, "scheduler_down", words, 0.85, "scheduler", "scheduler", proofs)
    return _own(
        facts, "worker_killed",
        f"Task: its process fell silent at {clock(last.at)}, {silent:.0f} s before Airflow gave it up; "
        "every heartbeat until then was answered.",
        0.88, "worker", facts.attempt.hostname, proofs,
    )  # fmt: skip


def scheduler_down(facts: Facts) -> Finding | None:
    """A scheduler ended shortly before, and nothing of the try's own explains its end."""
    ended, log = scheduler_ended(facts), facts.log
    if ended is None or facts.attempt.slow or own_bad(facts) or (log is not None and log.exceptions):
        return None
    return _own(
        facts, "scheduler_down", f"Task: {ended}, and Airflow ended the try after it.", 0.75, "scheduler", "scheduler",
        (try_proof(facts),),
    )  # fmt: skip


def task_error(facts: Facts) -> Finding | None:
    """The log holds an exception that is no failed call."""
    log = facts.log
    if log is None or not log.exceptions or speaks_of_api(log):
        return None
    if speaks_of_call(log) and not log.own_code:
        return None
    kind, text = log.exceptions[0]
    swallowed = own_bad(facts)
    if swallowed and (facts.attempt.over_at - swallowed[-1].at) < timedelta(seconds=5) and not log.own_code:
        return None  # a bad answer just before an error that is nobody's for certain
    confidence = 0.97 if log.own_code and not swallowed else 0.88
    return _own(
        facts,
        "task_error",
        f"Task: its own code raised {kind}: {_cut(text)}",
        confidence,
        "code",
        facts.attempt.task_id,
    )


def slot_starvation(facts: Facts) -> Finding | None:
    """It never started: it waited for a slot or a worker until somebody gave up."""
    attempt = facts.attempt
    # Airflow writes both times at once for what it gives up before a worker took it
    started = attempt.start_at is not None and (attempt.start_at < attempt.end_at or bool(attempt.hostname))
    if attempt.slow:
        return _slow_to_start(facts)
    if started or attempt.queued_at is None or facts.requests:
        return None
    waited = (attempt.end_at - attempt.queued_at).total_seconds()
    if waited < 300:
        return None
    return _own(
        facts,
        "slot_starvation",
        f"Task: it waited {waited:.0f} s for a slot and never started.",
        0.8,
        "slot_pool",
        attempt.airflow_pool,
        (try_proof(facts),),
    )


def _slow_to_start(facts: Facts) -> Finding | None:
    """A slow try that lost its time before a worker began with it, where its own time counts from the queue."""
    attempt = facts.attempt
    if None in (attempt.start_at, attempt.queued_at, attempt.own_s, attempt.median_s):
        return None
    waited = (attempt.start_at - attempt.queued_at).total_seconds()  # type: ignore[operator]
    whole = (attempt.end_at - attempt.queued_at).total_seconds()  # type: ignore[operator]
    if abs(whole - attempt.own_s) > 1.0 or waited < 0.8 * (attempt.own_s - attempt.median_s):  # type: ignore[operator]
        return None
    return _own(
        facts, "slot_starvation",
        f"Task: it waited {waited:.0f} s for a slot or a worker; then it took {whole - waited:.0f} s.",
        0.85, "slot_pool", attempt.airflow_pool, (try_proof(facts),),
    )  # fmt: skip


def data_volume(case: Case) -> Finding | None:
    """Slow, because the request that took the time moved several times more bytes than usual, at the usual speed."""
    return _more_data(case.facts, case.request, case.route)


def some_data_volume(facts: Facts) -> Finding | None:
    """The same of a request that took a good part of the time only."""
    attempt = facts.attempt
    if not attempt.slow or attempt.own_s is None or attempt.median_s is None:
        return None
    long = [r for r in facts.requests if (r.seconds or 0.0) >= 0.25 * (attempt.own_s - attempt.median_s)]
    found = (_more_data(facts, r, facts.routes.get(r.endpoint_id)) for r in long)
    return next(filter(None, found), None)


def _more_data(facts: Facts, request: Request, route: Route | None) -> Finding | None:
    before = [r for r in route.before if r.bytes and r.response_us] if route else []
    if not facts.attempt.slow or len(before) < 5 or not request.bytes or not request.response_us:
        return None
    sizes = sorted(r.bytes or 0 for r in before)
    speeds = sorted((r.response_us or 0) / (r.bytes or 1) for r in before)
    usual, speed = sizes[len(sizes) // 2], speeds[len(speeds) // 2]
    if request.bytes <= 3 * usual or request.response_us / request.bytes >= 1.5 * speed:
        return None
    text = f"Task: it moved {request.bytes:,} bytes through {short(request.endpoint)}, usually {usual:,}, at its usual speed."
    proof = request_proof(request, f"{request.bytes:,} bytes; the median of {len(before)} earlier answers is {usual:,}")
    return _own(facts, "data_volume", text, 0.88, proofs=(proof,))


def _own(
    facts: Facts,
    cause: str,
    sentence: str,
    confidence: float,
    kind: str = "code",
    component: str = "",
    proofs: tuple[Proof, ...] = (),
) -> Finding:
    gap = facts.coverage.gap  # what the task's own log says stands; that the route was well does not
    return Finding(
        cause=cause, sentence=sentence, confidence=min(confidence, OVER_A_GAP) if gap else confidence, component_kind=kind,
        component=component or facts.attempt.task_id, acquitted=route_well(facts), proofs=(*proofs, *log_proof(facts)),
        reasons=(route_words(facts), *(((False, f"{gap}."),) if gap else ())),
    )  # fmt: skip


def route_well(facts: Facts) -> bool:
    """Acquittal needs proof: the logs are complete, requests of this try were seen, and none stayed bad."""
    coverage = facts.coverage
    whole = coverage.f5_feeds and not coverage.gap and not coverage.thin
    return whole and bool(facts.requests) and not own_bad(facts)


def route_words(facts: Facts) -> tuple[bool, str]:
    """What F5's log says for the route, in counts."""
    seen, bad, healed = len(facts.requests), len(own_bad(facts)), len(absorbed(facts))
    if not seen:
        return False, "F5's log holds no request that is certainly this try's."
    extra = f"; {healed} failed at first and were cured by a retry" if healed else ""
    return True, f"{seen - bad} of {seen} requests of this try that crossed F5 were answered well in the end{extra}."


def _cut(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line[:160] + ("…" if len(line) > 160 else "")


def usual_limit(case: Case) -> Finding | None:
    """The client's own limit lies below what this path usually takes: the task's time-out, not the route's."""
    log = case.facts.log
    usual = usual_seconds(case.route)
    if usual is None or log is None or not log.timed_out or not log.timeout_s or usual < 0.8 * log.timeout_s:
        return None
    return finding(
        case, "task_timeout",
        f"Task: it gives up after {log.timeout_s:g} s, but this path usually takes {usual:.1f} s.",
        0.9, "caller", case.facts.attempt.task_id, acquitted=True,
        reasons=((True, f"Median of {len(case.route.before)} earlier answers: {usual:.1f} s."),),
    )  # fmt: skip
