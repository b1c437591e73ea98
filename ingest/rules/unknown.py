"""Rules that say honestly that it cannot be told, and what would settle it."""

from __future__ import annotations

from dataclasses import replace

from ingest.records import Outcome

from .bad import Case, agrees, left_too_early, own_bad, speaks_of_api, speaks_of_call
from .facts import Facts, Finding
from .route import finding
from .task import route_well, route_words, scheduler_ended
from .words import answer, log_proof

# At most so sure where lines are missing; on the fault bench 244 of 266 answers over lines lost here and there were right
THIN, SCATTERED = 0.7, 0.9
OF_SILENCE = ("task.heartbeats_silent", "task.died_in_call")  # rules that rest on calls that did not come


def no_data(facts: Facts) -> Finding | None:
    """A feed that is needed has a gap, and the log does not name the task's own code."""
    coverage, log = facts.coverage, facts.log
    if not coverage.gap or (log is not None and log.own_code and not speaks_of_call(log)):
        return None
    return Finding(
        "no_data", f"Unknown: {coverage.gap}.", 0.2, reasons=((False, coverage.gap),), proofs=log_proof(facts)
    )


def some_missing(facts: Facts, case: Case | None, found: Finding) -> Finding:
    """Name what the logs lack; where the finding rests on what was not seen, it may be among the missing lines."""
    coverage = facts.coverage
    if not coverage.thin and not coverage.also:
        return found
    lacks = tuple((False, f"{text}.") for text in (coverage.thin, *coverage.also) if text)
    if not coverage.thin:
        return replace(found, reasons=(*found.reasons, *lacks))
    if _rests_on_absence(facts, case, found):
        return Finding(
            "no_data", f"Unknown: {coverage.thin}, and what would decide may be among the missing lines.", 0.2,
            reasons=lacks, proofs=log_proof(facts), rule=f"{found.rule}, but lines are missing",
        )  # fmt: skip
    most = SCATTERED if coverage.scattered else THIN
    return replace(found, reasons=(*found.reasons, *lacks), confidence=min(found.confidence, most))


def _rests_on_absence(facts: Facts, case: Case | None, found: Finding) -> bool:
    """No bad request was seen, no answer was seen though only F5's log says so, or no second request that would fit."""
    if found.rule in OF_SILENCE:
        return True
    if found.rule == "unreached.vip_unreachable" and not _f5_said(found):
        return not facts.coverage.scattered  # how often one asks was counted in the same log
    if found.rule.startswith("unreached."):
        return False  # how far the call came stands in the task's log, and who was seen, was there
    if case is None:
        return found.cause == "task_timeout"
    unseen = case.request.outcome is Outcome.UNANSWERED and not agrees(case.facts, case.request)
    return found.cause != "undecided" and (unseen or not case.certain)


def _f5_said(found: Finding) -> bool:
    return any(proof.kind == "health_event" for proof in found.proofs)


def no_f5_path(facts: Facts) -> Finding | None:
    """The log names a host that is no virtual server of ours."""
    log = facts.log
    if log is None or not speaks_of_call(log) or speaks_of_api(log) or facts.coverage.known_host is not False:
        return None
    host = f"{log.host}:{log.port}" if log.port else log.host
    return Finding(
        "no_f5_path", f"Unknown: the failed call went to {host}, which is no virtual server that we see.", 0.9,
        component_kind="host", component=host, proofs=log_proof(facts), reasons=((False, f"No F5 log names {host}."),),
    )  # fmt: skip


def conflict(case: Case) -> Finding | None:
    """The Execution API refused the worker's word about the try, and no deed explains it."""
    request = case.request
    if not request.execution:
        return None
    ended = scheduler_ended(case.facts)
    why = f"{ended}, which may be the reason" if ended else "nobody is on record as having changed its state"
    return finding(
        case, "undecided", f"Unknown: Airflow's API answered {request.status} to the worker; {why}.",
        0.3, "api", request.endpoint,
        reasons=((False, "The scheduler's own log would settle it."),),
    )  # fmt: skip


def undecided_case(case: Case) -> Finding | None:
    """A request failed, but its member cannot be told from the service."""
    request = case.request
    seen = case.spread
    many = sum(seen.asked.values()) >= 10
    late = left_too_early(case) or (request.status is not None and request.status < 400 and not case.facts.attempt.slow)
    why = (
        "how long that usually takes is not known"
        if late
        else "no member stands out from the others"
        if many
        else "too few others were asked to compare"
    )
    settle = (
        "The service's own log would settle it."
        if many
        else "Answers of the other members to the same path would settle it."
    )
    counts = ((False, f"Ended like that: {seen.words()}."),) if seen.asked else ()
    return finding(
        case, "undecided", f"Unknown: {request.method} {request.path} ended with {answer(request)}; {why}.",
        0.3, "virtual_server", request.endpoint,
        reasons=(*counts, (False, settle)),
    )  # fmt: skip


def undecided(facts: Facts) -> Finding:
    """Nothing decides. Says what would."""
    log = facts.log
    if speaks_of_call(log) and not (log and speaks_of_api(log)):
        fits, tries = len(facts.candidates), max((c.others + 1 for c in facts.candidates), default=0)
        text = (
            f"{fits} requests fit what the log says, and they fit {tries} tries"
            if fits
            else "no line of F5's log fits what the task's log says"
        )
        settle = "The X-Airflow-Task header (integrations/airflow) would name the request."
    elif own_bad(facts):
        text, settle = (
            "requests of this try failed, and its log says something else",
            "The task's whole log would settle it.",
        )
    elif facts.attempt.slow:
        text, settle = "it was slow, and no request explains it", "The task's own log would say where its time went."
    elif log is None or not log.found:
        text, settle = "its log is not to be had", "The task's log would settle it."
    else:
        text, settle = "its log names no error", "The scheduler's log would settle it."
    ended = scheduler_ended(facts)
    also = ((False, f"{ended[0].upper()}{ended[1:]}."),) if ended else ()
    # A call that failed is not explained by others that went well, and time that nobody saw not by requests that took none
    well = route_well(facts) and not ended and not speaks_of_call(log) and not facts.attempt.slow
    return Finding(
        "undecided", f"Unknown: {text}.", 0.3, acquitted=well, proofs=log_proof(facts),
        reasons=(route_words(facts), *also, (False, settle)),
    )  # fmt: skip
