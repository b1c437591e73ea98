"""Rules that rest on what the BIG-IP itself said or did: why it reset, limits, failover, its own answers, changes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ingest.records import Outcome

from .bad import Case
from .compare import CUT, failed, healed, short, silent_member, since
from .facts import Finding, Health, Route
from .route import CHANGE_BEFORE, MOST_CHOOSERS, during, finding
from .words import change_proof, clock, health_proof

AT_ONCE = timedelta(seconds=5)
FRESH, FEW = timedelta(minutes=5), 3  # one failure or two are of a change only so soon after it
# A note changes nothing
_HARMLESS = re.compile(r"modify ltm \S+ \S+ description \S+\s*$|_description \"[^\"]*\" \} \}")
RULE_SAID = timedelta(seconds=2)  # what an iRule does to a request, it says at once; cut to the second
SAID = timedelta(seconds=5)  # what F5 says of a connection, it says within so much of its end
MOST_SAID = 12  # messages of one trouble that a finding cites
OVERLOADED = timedelta(seconds=60)  # so long after its word a device is still short of what it lacked
SHORT, RELIEVED = ("memory_pressure", "clock_advanced"), ("memory_relieved",)
TAKES = timedelta(seconds=60)  # of a failover, all of it
NOTICED = timedelta(seconds=15)  # and until the other unit sees that this one died
ARRIVED = timedelta(seconds=3)  # so long after it some traffic still goes to the unit that gave up


def said_by_f5(case: Case) -> Finding | None:
    """F5 logged why: a reset cause, a limit, exhausted ports, a failed handshake."""
    request = case.request
    causes = {
        "reset_sent": "reset_by_f5",
        "port_exhaustion": "port_exhaustion",
        "limit": "connection_limit",
        "tls_failure": "tls_failure",
        "waf_blocked": "waf_block",
    }
    for event in case.route.health:
        cause = causes.get(event.state)
        if cause is None or not during(case, event.at, SAID, SAID) or not failed(request):
            continue
        if cause == "tls_failure" and (member := _member_towards(event, case)):
            return finding(
                case, cause, f"Route: at {clock(event.at)} the BIG-IP's own TLS handshake with {short(member)} of "
                f"{short(case.f5_pool)} failed.", 0.93, "pool", case.f5_pool, proofs=(health_proof(event),),
            )  # fmt: skip
        if not event_is_here(event, case.route):
            continue  # a limit of another virtual server, ports towards somebody else's members
        if cause in ("reset_by_f5", "tls_failure", "waf_block") and not _names_client(event, case):
            continue
        cause = _reset_cause(event) if cause == "reset_by_f5" else cause
        if cause == "reset_by_server":
            continue  # the monitors may say why: `reset_by_peer` comes after them
        return finding(
            case, cause, f"Route: the BIG-IP logged at {clock(event.at)}: {_what(event)}.",
            0.95, "virtual_server", request.endpoint, proofs=(health_proof(event),),
        )  # fmt: skip
    return None


def _what(event: Health) -> str:
    """What it said, in words."""
    if event.state == "limit":
        return f"{short(event.object or event.member)} had reached its {event.detail.get('limit', 'connection')} limit"
    return event.reason or event.state.replace("_", " ")


def reset_by_peer(case: Case) -> Finding | None:
    """F5 logged that the other side of this connection, its member, had reset it."""
    request = case.request
    for event in case.route.health:
        if event.state != "reset_sent" or _reset_cause(event) != "reset_by_server" or not failed(request):
            continue
        if not (during(case, event.at, SAID, SAID) and event_is_here(event, case.route) and _names_client(event, case)):
            continue
        silent = silent_member(case.route, request)
        kind, component = ("member", silent[0]) if silent else ("pool", case.f5_pool or request.endpoint)
        return finding(
            case, "reset_by_server",
            f"Route: {short(component)} reset the connection; the BIG-IP logged at {clock(event.at)}: {event.reason}.",
            0.95, kind, component, members=(component,) if silent else (), proofs=(health_proof(event),),
            reasons=((True, silent[1]),) if silent else (),
        )  # fmt: skip
    return None


def event_is_here(event: Health, route: Route) -> bool:
    """The event is about this virtual server, its pool, or one of its members, as far as it names one at all."""
    if event.kind == "member":
        return event.f5_pool == route.f5_pool if event.f5_pool else _is_a_member(event.object, route)
    if event.kind == "virtual":
        return not event.object or names_endpoint(event.object, route)
    towards = (
        [w.strip("(),") for w in event.raw.partition(" to ")[2].split()[:1]] if event.state == "port_exhaustion" else []
    )
    known = any(_address(m).count(".") == 3 for m in route.members)
    return not towards or not known or any(_is_a_member(w, route) for w in towards)


def names_endpoint(name: str, route: Route) -> bool:
    """The full path, the plain name or an address of the virtual server."""
    return name in (route.endpoint, short(route.endpoint)) or name in route.addresses


def _is_a_member(name: str, route: Route) -> bool:
    return any(short(name) == short(m) or name == m for m in route.members)


def _address(member: str) -> str:
    return short(member).rpartition(":")[0]


def answered_by_f5(case: Case) -> Finding | None:
    """An answer that no member gave, where the log names the members of others: a firewall, a policy or an iRule."""
    request, route = case.request, case.route
    if route.makes_own_errors or request.member or request.status is None or request.status < 400:
        return None
    asked = [r for r in (*route.near, *route.before) if r.member]
    if len(asked) < 3:
        return None  # this log may not name members at all
    same = [r for r in route.near if not r.member and r.status == request.status]
    cause = "waf_block" if request.status < 500 else "reset_by_f5"
    return finding(
        case, cause, f"Route: the BIG-IP itself answered {request.status} at {clock(request.at)}; no member was asked.",
        0.9, "virtual_server", request.endpoint,
        reasons=((True, f"{len(same)} answers like it name no member; {len(asked)} other requests around it do."),
                 *_answering(case)),
    )  # fmt: skip


def _answering(case: Case) -> list[tuple[bool, str]]:
    rules = sorted({short(c.by) for c in case.route.choosers})[:MOST_CHOOSERS]
    return [(True, f"Policies and iRules of this virtual server: {', '.join(rules)}.")] if rules else []


def device_overload(case: Case) -> Finding | None:
    """The device said that it was short of memory or time as the request ended, and no member answered it."""
    request = case.request
    if not failed(request) or request.member:
        return None
    end = case.span[1]
    said = [e for e in case.route.health if e.kind == "device" and (
        (e.state in SHORT and e.at <= end + SAID) or (e.state in RELIEVED and e.at + CUT <= end))]  # fmt: skip
    event = said[-1] if said else None
    if event is None or event.state not in SHORT or end - event.at > OVERLOADED:
        return None  # who is not short of anything any more ends nothing
    words = event.reason or event.state.replace("_", " ")
    return finding(
        case, "device_overload", f"Route: {case.route.device} was overloaded: {words} at {clock(event.at)}.",
        0.88, "device", case.route.device,
        proofs=tuple(health_proof(e) for e in said if e.state in SHORT and end - e.at <= OVERLOADED)[-MOST_SAID:],
    )  # fmt: skip


def _names_client(event: Health, case: Case) -> bool:
    """The event is about this connection, or at least about this client (whole address, not a part of a longer one)."""
    address, port = case.request.client, case.request.client_port
    words = event.raw.replace("->", " ").replace(",", " ").replace(";", " ").split()
    words += [str(event.detail.get(end, "")) for end in ("source", "target")]
    return any(w == f"{address}:{port}" or w == f"{address}.{port}" or w == address for w in words)


def _member_towards(event: Health, case: Case) -> str:
    """The member of this pool with which the BIG-IP's own handshake failed, where nobody answered the request; else ""."""
    target = str(event.detail.get("target", ""))
    here = case.f5_pool in case.route.homes.get(target, ()) or _is_a_member(target, case.route)
    return target if here and case.request.outcome is Outcome.UNANSWERED else ""


def _names_connection(event: Health, case: Case) -> bool:
    """The event is about this very connection, by its client's address and port."""
    ends = (f"{case.request.client}:{case.request.client_port}", f"{case.request.client}.{case.request.client_port}")
    return case.request.client_port is not None and any(w in ends for w in event.raw.replace(",", " ").split())


def _reset_cause(event: Health) -> str:
    text = event.reason.lower()
    if "pool member" in text or "no local listener" in text:
        return "no_member"
    if "timeout" in text or "expired" in text or "idle" in text:
        return "idle_timeout"
    if "rst from remote" in text or "reset by peer" in text:
        return "reset_by_server"
    return "reset_by_f5"


def failover(case: Case) -> Finding | None:
    """The device group changed its active unit while the request was under way: no member's answer, and nothing before it."""
    request = case.request
    if not failed(request) or request.member:
        return None  # what a member answered, a failover did not make
    start, end = case.span
    for began, over, event in changes_of_unit(case.route.health):
        if start - ARRIVED <= over and began <= end + CUT:
            return finding(
                case, "failover",
                f"Route: {case.route.device} changed to {event.state} at {clock(event.at)}; the request fell into it.",
                0.9, "device", case.route.device, proofs=(health_proof(event),),
            )  # fmt: skip
    return None


def changes_of_unit(health: Sequence[Health]) -> Iterator[tuple[datetime, datetime, Health]]:
    """(when nobody served any more, when the other unit did, what was said first of it) of each failover.

    A unit that gives up says so at once; of one that dies, the other says seconds later that it is active.
    """
    said = [e for e in health if e.kind == "device" and e.state in ("active", "standby", "failover")]
    for n, event in enumerate(said):
        if event.state == "active":
            gave_up = any(e.state != "active" and event.at - e.at <= TAKES for e in said[:n])
            if not gave_up:
                yield event.at - NOTICED, event.at, event
            continue
        active = [e.at for e in said[n + 1 :] if e.state == "active" and e.at - event.at <= TAKES]
        yield event.at, min(active, default=event.at + NOTICED), event


def rule_error(case: Case) -> Finding | None:
    """An iRule of this virtual server failed while the request was under way: the BIG-IP resets the connection then."""
    request, route = case.request, case.route
    if not failed(request) or request.member:
        return None
    for event in route.health:
        if event.state not in ("rule_error", "rule_aborted") or not during(case, event.at, RULE_SAID, RULE_SAID):
            continue
        changes = [c for c in route.changes if c.at <= request.at and event.object in c.text]
        if event.object not in route.rules and not changes and not _names_connection(event, case):
            continue  # an iRule of another virtual server, as far as is known
        proofs = (health_proof(event), *(change_proof(c) for c in changes[-1:]))
        changed = f" {changes[-1].actor} changed it at {clock(changes[-1].at)}." if changes else ""
        return finding(
            case, "config_change" if changes else "reset_by_f5",
            f"Route: the iRule {short(event.object)} failed at {clock(event.at)}: {event.reason[:120]}.{changed}",
            0.94, "virtual_server", request.endpoint, proofs=proofs,
        )  # fmt: skip
    return None


def config_change(case: Case) -> Finding | None:
    """The route's configuration changed minutes before, and from then on far more of its requests fail than until then."""
    request, route = case.request, case.route
    changes = [
        c for c in route.changes if timedelta() <= request.at - c.at <= CHANGE_BEFORE and not _HARMLESS.search(c.text)
    ]
    if not failed(request):
        return None
    for change in reversed(changes):
        seen = since(route, request, change.at, request.at + AT_ONCE)
        if seen is not None and seen.after[1] < FEW and request.at - change.at > FRESH:
            continue
        if seen is not None and seen.broke and not healed(route, request, change.at):
            return finding(
                case, "config_change",
                f"Route: {change.actor} changed {change.target} at {clock(change.at)}; "
                f"{seen.after[0]} of {seen.after[1]} requests fail since, {seen.before[0]} of {seen.before[1]} did before.",
                0.9, "virtual_server", request.endpoint, proofs=(change_proof(change),),
                reasons=((True, f"Failed before the change: {seen.before[0]} of {seen.before[1]}; "
                                f"after it: {seen.after[0]} of {seen.after[1]}."),),
            )  # fmt: skip
    return None
