"""Answers of iControl REST on a device's configuration: policies, rules, profiles, certificates, users, monitors, HA.

As in `f5_icontrol`: `items` and `entries` are absent when there is nothing, statistics are trees under URLs, a state may
be a key, and some versions write the word `none` where others leave a field out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ingest.device_records import (
    Certificate,
    Choice,
    Count,
    DeviceUser,
    Group,
    Monitor,
    RequestLogProfile,
    RoutingPolicy,
    Status,
    Syslog,
    Unit,
)
from ingest.parsers import f5_irule
from ingest.parsers.f5_header import clean
from ingest.parsers.f5_icontrol import described, expanded, items, names, nested, none, text, valued

_FAILOVER = re.compile(r"Failover (\w{1,30})")
_SECRET = re.compile(r"(?i)(authorization|cookie|passw|token|secret|api.?key|\bauth\b)[^\r\n]*")  # AUTH: Redis, SMTP
_LINE_END = re.compile(r"\\[rn]|[\r\n]")  # a monitor's text has them as two characters


def next_page(answer: Any) -> str:
    """The query of the next page, where a device pages by itself; "" on the last one."""
    link = text(answer.get("nextLink")) if isinstance(answer, dict) else ""
    return link.partition("?")[2][:1_000]


def parse_policies(answer: Any) -> list[RoutingPolicy]:
    """/mgmt/tm/ltm/policy?expandSubcollections=true: published policies with what their rules choose, in order."""
    found = []
    for row in items(answer):
        if text(row.get("status")) == "draft" or "/Drafts/" in names(row):
            continue
        rules = sorted(
            expanded(row, "rules"), key=lambda rule: rule["ordinal"] if isinstance(rule.get("ordinal"), int) else 0
        )
        chosen = tuple(choice for rule in rules for choice in _rule(rule, names(row)))
        found.append(RoutingPolicy(names(row), "policy", chosen, text(row.get("strategy"))))
    return found


def _rule(rule: Mapping[str, Any], policy: str) -> Iterator[Choice]:
    when = "; ".join(filter(None, (_condition(one) for one in expanded(rule, "conditions"))))[:500]
    for action in expanded(rule, "actions"):
        kind, target = _action(action, policy)
        if kind:
            yield Choice(kind, target, text(rule.get("name")), when)


def _action(action: Mapping[str, Any], policy: str) -> tuple[str, str]:
    """(kind, target) of an action that decides where a request goes; ("", "") for all others."""
    if action.get("redirect") is True:
        place = text(action.get("location"))
        return "redirect", "" if place.startswith("tcl:") else f5_irule.without_secret(place)
    if action.get("forward") is not True:
        return "", ""
    if action.get("reset") is True:
        return "reset", ""
    for key, kind in (("pool", "pool"), ("virtual", "virtual"), ("clonePool", "clone_pool"), ("node", "node")):
        target = none(action, key)
        if target:
            return kind, target if kind == "node" else f5_irule.full_path(target, policy)
    return ("pool", "") if none(action, "expression") else ("", "")


# Keys that are true where a condition is about them; the first that fits names it.
_SUBJECTS = (
    ("httpHost", "host"), ("httpUri", "URI"), ("httpMethod", "method"), ("httpHeader", "header"),
    ("httpCookie", "cookie"), ("httpReferer", "referer"), ("httpVersion", "HTTP version"), ("httpStatus", "status"),
    ("httpBasicAuth", "user"), ("sslExtension", "TLS server name"), ("sslCert", "client certificate"),
    ("geoip", "country"), ("tcp", "address"), ("httpUserAgent", "user agent"),
)  # fmt: skip
_PARTS = (("path", "path"), ("pathSegment", "path segment"), ("queryString", "query"), ("queryParameter", "query"))
_OPERATORS = (
    ("startsWith", "starts with"), ("endsWith", "ends with"), ("contains", "contains"), ("equals", "is"),
    ("matches", "matches"), ("exists", "exists"), ("greaterOrEqual", "is at least"), ("lessOrEqual", "is at most"),
    ("greater", "is above"), ("less", "is below"),
)  # fmt: skip


def _condition(row: Mapping[str, Any]) -> str:
    subject = next((word for key, word in _SUBJECTS if row.get(key) is True), "")
    if not subject:
        return "a condition that airf5 does not read"
    if subject == "URI":
        subject = next((word for key, word in _PARTS if row.get(key) is True), subject)
    subject = " ".join(filter(None, (subject, text(row.get("tmName")))))
    operator = next((word for key, word in _OPERATORS if row.get(key) is True), "is")
    values = row.get("values")
    told = " or ".join(text(one) for one in values[:20]) if isinstance(values, list) else none(row, "datagroup")
    # A policy can ask for a key in a header, for a session's cookie: what it asks for is told, the value is not.
    named = told if subject.startswith("query") else ""
    if told and (subject.startswith("cookie") or f5_irule.SECRET.search(f"{subject} {named}")):
        told = "…"
    return f"{subject} {'not ' if row.get('not') is True else ''}{operator} {told}".strip()[:300]


def parse_rules(answer: Any) -> list[RoutingPolicy]:
    """/mgmt/tm/ltm/rule: iRules, by what they choose. Their text is not kept: it may hold secrets."""
    return [
        RoutingPolicy(names(row), "irule", f5_irule.choices(names(row), text(row.get("apiAnonymous"))))
        for row in items(answer)
    ]


def parse_request_logs(answer: Any) -> list[RequestLogProfile]:
    """/mgmt/tm/ltm/profile/request-log."""
    found = []
    for row in items(answer):
        asked, answered = row.get("requestLogging") == "enabled", row.get("responseLogging") == "enabled"
        ways = ((asked, "requestLogProtocol"), (answered, "responseLogProtocol"))
        found.append(
            RequestLogProfile(
                name=names(row), logs_requests=asked, logs_responses=answered,
                responses_by_default=row.get("logResponseByDefault") != "no",
                request_template=_template(row, "requestLogTemplate"),
                response_template=_template(row, "responseLogTemplate"),
                request_pool=none(row, "requestLogPool"), response_pool=none(row, "responseLogPool"),
                protocols=tuple(sorted({none(row, key) for used, key in ways if used} - {""})),
            )
        )  # fmt: skip
    return found


def _template(row: Mapping[str, Any], name: str) -> str:
    """A template as it is on the wire: mcpd hands out the backslashes that tmsh needs before quotes."""
    found = row.get(name)
    return "" if not isinstance(found, str) or found == "none" else clean(found).replace('\\"', '"')


def parse_certificates(answer: Any) -> list[Certificate]:
    """/mgmt/tm/sys/file/ssl-cert."""
    found = []
    for row in items(answer):
        size = row.get("certificateKeySize")
        key = " ".join(filter(None, (none(row, "keyType"), str(size) if isinstance(size, int) else "")))
        found.append(
            Certificate(
                name=names(row), expires_at=_epoch(row.get("expirationDate")), subject=none(row, "subject"),
                issuer=none(row, "issuer"), key=key, is_bundle=row.get("isBundle") in ("true", True),
            )
        )  # fmt: skip
    return found


def _epoch(value: Any) -> datetime | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_users(answer: Any) -> list[DeviceUser]:
    """/mgmt/tm/auth/user. partitionAccess is a list; 11.5 and older wrote an object or one word for the role."""
    found = []
    for row in items(answer):
        access = row.get("partitionAccess")
        listed = access if isinstance(access, list) else [access] if isinstance(access, dict) else []
        roles = [(text(one.get("name")), text(one.get("role"))) for one in listed if isinstance(one, dict)]
        if not roles and (none(row, "role") or isinstance(access, str)):
            roles = [(text(access), none(row, "role"))]
        found.append(DeviceUser(names(row), tuple(roles), none(row, "shell"), none(row, "description")))
    return found


def parse_monitors(answer: Any, kind: str) -> list[Monitor]:
    """/mgmt/tm/ltm/monitor/<kind>."""
    return [
        Monitor(
            name=names(row), kind=kind, interval_s=_whole(row.get("interval")), timeout_s=_whole(row.get("timeout")),
            send=_SECRET.sub("…", _LINE_END.split(none(row, "send"), maxsplit=1)[0])[:300],
            recv=none(row, "recv")[:300], recv_disable=none(row, "recvDisable")[:300],
            destination=none(row, "destination"), reverse=row.get("reverse") == "enabled",
        )
        for row in items(answer)
    ]  # fmt: skip


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None


def parse_virtual_counts(answer: Any) -> list[Count]:
    """/mgmt/tm/ltm/virtual/stats."""
    return [
        Count(name, valued(entries, "totRequests"), valued(entries, "clientside.totConns"))
        for entries in nested(answer)
        if (name := described(entries, "tmName")) and "clientside.totConns" in entries
    ]


def parse_pool_counts(answer: Any) -> list[Count]:
    """/mgmt/tm/ltm/pool/members/stats, the members' totals summed per pool."""
    sums: dict[str, list[int | None]] = {}
    for entries in nested(answer):
        pool = described(entries, "poolName")
        if pool and described(entries, "nodeName"):
            told = (valued(entries, "totRequests"), valued(entries, "serverside.totConns"))
            total = sums.setdefault(pool, [0, 0])
            total[:] = [None if a is None or b is None else a + b for a, b in zip(total, told, strict=True)]
    return [Count(pool, *total) for pool, total in sums.items()]


def parse_status(answer: Any) -> Status | None:
    """/mgmt/tm/cm/failover-status and sync-status; None where they hold nothing (legal, and seen)."""
    for entries in nested(answer):
        if described(entries, "status"):
            told = (described(entries, name).strip() for name in ("status", "color", "summary"))
            return Status(*told)
    return None


def parse_failover(answer: Any) -> Status | None:
    """/mgmt/tm/sys/failover, the older form: the text `Failover active for 0d 01:20:32`."""
    raw = answer.get("apiRawValues") if isinstance(answer, dict) else None
    match = _FAILOVER.search(text(raw.get("apiAnonymous"))[:200]) if isinstance(raw, dict) else None
    return Status(match.group(1).upper()) if match else None


def parse_units(answer: Any) -> list[Unit]:
    """/mgmt/tm/cm/device."""
    return [
        Unit(
            name=names(row), hostname=none(row, "hostname"), version=none(row, "version"),
            failover=none(row, "failoverState"), time_zone=none(row, "timeZone"),
            is_self=row.get("selfDevice") in ("true", True),
        )
        for row in items(answer)
    ]  # fmt: skip


def parse_groups(answer: Any) -> list[Group]:
    """/mgmt/tm/cm/device-group?expandSubcollections=true, without the groups that every device has of its own."""
    return [
        Group(names(row), none(row, "type"), tuple(filter(None, (names(one) for one in expanded(row, "devices")))))
        for row in items(answer)
        if text(row.get("name")) not in ("device_trust_group", "gtm")
    ]


def parse_syslog(answer: Any) -> Syslog:
    """/mgmt/tm/sys/syslog."""
    if not isinstance(answer, dict):
        return Syslog()
    listed = answer.get("remoteServers")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return Syslog(
        tuple((names(row), text(row.get("host")), _whole(row.get("remotePort"))) for row in rows),
        answer.get("isoDate") == "enabled",
    )


def parse_names(answer: Any) -> list[str]:
    """Full paths of any collection."""
    return [name for name in (names(row) for row in items(answer)) if name]
