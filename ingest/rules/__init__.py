"""Judgement: facts about one try in, one finding out. Pure, ordered, versioned; first match wins (DESIGN section 4).

The same facts give the same finding, byte for byte: no clock, no randomness, no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from . import device, measured, members, route, service, task, unknown, unreached
from .bad import Case, deciding, slowing
from .causes import CAUSES, UNKNOWN
from .facts import Facts, Finding

# Raised with a release by which the same facts can give another finding: what is kept of earlier answers names theirs.
RULES_VERSION = "2"
MOST_OVER_A_GAP = task.OVER_A_GAP

T = TypeVar("T")
CaseRule = Callable[[Case], Finding | None]
FactsRule = Callable[[Facts], Finding | None]

# Before anything else: may we judge at all?
SUFFICIENCY: tuple[FactsRule, ...] = (unknown.no_data, unknown.no_f5_path)

# A request of this try failed, and nothing cured it.
CASE_RULES: tuple[CaseRule, ...] = (
    task.execution_conflict,
    task.usual_limit,
    device.failover,
    device.device_overload,
    route.api_unreachable,
    unknown.conflict,
    task.died_in_call,
    members.no_member,
    device.said_by_f5,
    device.rule_error,
    members.answered_for_none,
    device.answered_by_f5,
    route.idle_timeout,
    route.misroute,
    members.monitor_flap,
    members.member_down,
    device.reset_by_peer,
    members.reset_by_server,
    task.data_volume,
    members.slow_member,
    members.wrong_member,
    members.member_grey,
    service.service_slow,
    device.config_change,
    service.service_failing,
    service.service_refused,
    service.bad_request,
    route.unanswered,
    unknown.undecided_case,
)

# No request failed, or none that decides.
OWN_RULES: tuple[FactsRule, ...] = (
    unreached.handshake,
    unreached.limited,
    unreached.no_member,
    unreached.failover,
    unreached.vip_unreachable,
    unreached.worker_network,
    task.task_timeout,
    task.task_error,
    task.slot_starvation,
    task.heartbeats_silent,
    task.worker_killed,
    task.scheduler_down,
    task.some_data_volume,
    unknown.undecided,
)

RULES: tuple[CaseRule | FactsRule, ...] = (*SUFFICIENCY, *CASE_RULES, *OWN_RULES)


def judge(facts: Facts) -> Finding:
    """The finding for one try."""
    found = _first(SUFFICIENCY, facts)
    if found is not None:
        return found
    case = slowing(facts) if facts.attempt.slow else deciding(facts)
    found = _first(CASE_RULES, case) if case is not None else None
    if found is not None:
        return unknown.some_missing(facts, case, found)
    found = _first(OWN_RULES, facts)
    assert found is not None  # undecided always answers
    return unknown.some_missing(facts, None, found)


def _confidence(rule: str, found: Finding) -> float:
    """What the rule claims, drawn towards how often it was right; over a gap and for what is unknown it is not raised."""
    drawn = measured.drawn(rule, found.confidence)
    low = CAUSES[found.cause].culprit == UNKNOWN or found.confidence <= MOST_OVER_A_GAP
    return min(drawn, found.confidence) if low else drawn


def _first(rules: tuple[Callable[[T], Finding | None], ...], given: T) -> Finding | None:
    for rule in rules:
        found = rule(given)
        if found is not None:
            name = f"{rule.__module__.rsplit('.', 1)[-1]}.{rule.__name__}"
            return replace(found, rule=name, confidence=_confidence(name, found))
    return None
