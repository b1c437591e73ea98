"""What a virtual server lacks for airf5 to see its requests, told from its configuration alone (pure).

A finding is one sentence and what to do about it; `manage.py f5config` prints what to paste.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.device_records import Profile, RequestLogProfile, Syslog
from ingest.parsers.f5_request_template import Template, compile_template

HTTP = ("http", "http2", "httprouter", "fasthttp")
PASSES_ON = ("fastl4", "ipother")  # profiles of a virtual server that forwards packets
TLS = ("client-ssl",)
NO_REQUESTS, PARTS, ADVICE = "nothing", "parts", "advice"  # how much is lost


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is missing. `severity`: nothing is seen, parts of it are, or it could be better."""

    code: str
    severity: str
    sentence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Switch:
    """A virtual server as far as it matters here; `profiles` None: iControl has not told them."""

    name: str
    profiles: Sequence[Profile] | None
    enabled: bool = True
    port: int | None = None

    @classmethod
    def of(cls, row: Any) -> Switch:
        """The virtual server as its table keeps it."""
        profiles = None if row.profiles is None else tuple(Profile(*one) for one in row.profiles)
        return cls(row.name, profiles, row.enabled, row.port)


def findings(server: Switch, logs: Mapping[str, RequestLogProfile] | None) -> tuple[Finding, ...]:
    """What this virtual server lacks, the worst first. `logs`: the device's request-log profiles; None: not told."""
    if server.profiles is None:
        sentence = "iControl has not told the profiles of this virtual server."
        return (
            Finding("not_told", ADVICE, sentence, "Give the device a url in its source, with a user that may read."),
        )
    found = [] if server.enabled else [Finding("disabled", ADVICE, "It is disabled: it takes no connections.")]
    kinds = {profile.kind for profile in server.profiles}
    attached = [one for one in server.profiles if one.kind == "request-log" or (logs and one.name in logs)]
    untold = [one.name for one in server.profiles if not one.kind and one not in attached]
    if untold and not kinds & set(PASSES_ON) and not (kinds & set(HTTP) and attached):
        sentence = f"iControl has not told of what type {', '.join(untold)[:200]} is: nobody can say what is missing."
        return (Finding("types_not_told", ADVICE, sentence, "Let the user read HTTP and request-log profiles."), *found)
    blind = _blind(kinds, server.port)
    if blind:
        return (blind, *found)
    if not attached:
        return (
            Finding(
                "no_request_log", NO_REQUESTS, "It has no request-log profile: its requests are not logged.",
                "Make one with `manage.py f5config --part request-log` and attach it.",
            ),
            *found,
        )  # fmt: skip
    if logs is None or attached[0].name not in logs:
        sentence = f"It has the request-log profile {attached[0].name}, whose settings iControl has not told."
        return (*found, Finding("profile_not_told", ADVICE, sentence, "Let the user read request-log profiles."))
    order = (NO_REQUESTS, PARTS, ADVICE)
    return tuple(sorted((*_of_profile(logs[attached[0].name]), *found), key=lambda one: order.index(one.severity)))


def _blind(kinds: set[str], port: int | None) -> Finding | None:
    """Why no HTTP is seen at all."""
    if kinds & set(PASSES_ON):
        return Finding(
            "fastl4", NO_REQUESTS,
            "It uses FastL4: it passes packets on without reading HTTP, so there is no request log and no latency.",
            "A standard virtual server with an HTTP profile reads HTTP; it terminates TCP, so plan that change.",
        )  # fmt: skip
    if kinds & set(HTTP):
        return None
    passes_tls = port == 443 and not kinds & set(TLS)
    because = " (TLS is passed through: it has no client-ssl profile)" if passes_tls else ""
    return Finding(
        "no_http", NO_REQUESTS, f"It has no HTTP profile{because}: without one there is no request log.",
        "Attach a client-ssl and an HTTP profile, if F5 may end TLS here." if passes_tls else "Attach an HTTP profile.",
    )  # fmt: skip


def _of_profile(log: RequestLogProfile) -> list[Finding]:
    """What the attached profile does not log."""
    if not log.logs_requests and not log.logs_responses:
        return [
            Finding(
                "logs_nothing", NO_REQUESTS, f"Its profile {log.name} logs neither requests nor responses.",
                "Enable both; `manage.py f5config --part request-log` prints how.",
            )
        ]  # fmt: skip
    found = [] if log.logs_responses else [
        Finding(
            "no_responses", PARTS,
            f"Its profile {log.name} logs no responses: no status, no member and no time is known, and every request "
            "looks unanswered.", "Enable response-logging.",
        )
    ]  # fmt: skip
    if log.logs_responses and not log.responses_by_default:
        sentence = f"Its profile {log.name} logs a response only where an iRule asks for it."
        found.append(Finding("responses_by_rule", PARTS, sentence, "Set log-response-by-default to yes."))
    if not log.logs_requests:
        sentence = f"Its profile {log.name} logs responses alone: a request that is never answered leaves no line."
        found.append(
            Finding("no_requests", PARTS, sentence, "Enable request-logging, or add `f5config --part lb-failed`.")
        )
    for word, used, pool, template in (
        ("request", log.logs_requests, log.request_pool, log.request_template),
        ("response", log.logs_responses, log.response_pool, log.response_template),
    ):
        found += _of_direction(word, pool, template) if used else []
    if "mds-udp" in log.protocols:
        sentence = "It sends over UDP: lines are lost unseen under load, and long ones are cut."
        found.append(Finding("udp", ADVICE, sentence, "Set the protocol to mds-tcp."))
    return found


def _of_direction(word: str, pool: str, template: str) -> list[Finding]:
    found = []
    if not pool:
        sentence = f"It logs {word}s to no pool: they are sent nowhere."
        found.append(Finding(f"{word}_no_pool", PARTS, sentence, f"Set {word}-log-pool to airf5's pool."))
    if not template:
        sentence = f"Its {word} template is empty: nothing is sent."
        return [*found, Finding(f"{word}_no_template", PARTS, sentence, f"Set {word}-log-template.")]
    try:
        compiled = compile_template(template)
    except ValueError as error:
        sentence = f"Its {word} template cannot be read without doubt: {error}."
        return [*found, Finding(f"{word}_template", PARTS, sentence, "Use the template that f5config prints.")]
    return found + (_of_response(compiled) if word == "response" else [])


def _of_response(template: Template) -> list[Finding]:
    """What a response template should say and does not."""
    found, names = [], set(template.variables)
    if not names & {"RESPONSE_MSECS", "RESPONSE_USECS"}:
        sentence = "Its response template sends no response time: latency is unknown, and slow answers are not seen."
        found.append(Finding("no_time", PARTS, sentence, "Add $RESPONSE_MSECS and $RESPONSE_USECS."))
    if not names & {"HTTP_STATCODE", "HTTP_STATUS"}:
        sentence = "Its response template sends no status: errors are not seen."
        found.append(Finding("no_status", PARTS, sentence, "Add $HTTP_STATCODE."))
    if "SERVER_IP" not in names:
        sentence = "Its response template does not say which member answered."
        found.append(Finding("no_member", PARTS, sentence, "Add $SERVER_IP and $SERVER_PORT."))
    return found


def of_syslog(syslog: Syslog | None, receiver: str = "") -> tuple[Finding, ...]:
    """What the device's own syslog lacks. `receiver`: the host that airf5's receiver is reached at, where it is known."""
    if syslog is None:
        return ()
    hosts = {host for _, host, _ in syslog.servers}
    if not hosts:
        sentence = "Its syslog goes nowhere: changes of members and who changed what are not seen as they happen."
        return (Finding("no_syslog", PARTS, sentence, "Add a remote server: `manage.py f5config --part ltm`."),)
    if receiver and receiver not in hosts:
        sentence = f"Its syslog goes to {', '.join(sorted(hosts))}, not to {receiver}."
        return (Finding("other_syslog", ADVICE, sentence, "Add airf5's receiver, or let that server relay to it."),)
    return ()
