"""Devices as iControl REST tells of them: certificates, users, their place in a pair, and who chooses an endpoint's pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, F

from dashboards.queries.database import reading
from ingest import models
from ingest.device_findings import HTTP, Finding, Switch, findings, of_syslog
from ingest.device_records import RequestLogProfile, Syslog

SOON = timedelta(days=30)
NEVER = datetime.max.replace(tzinfo=UTC)
CHOOSES = {
    "pool": "sends to pool", "virtual": "hands on to virtual server", "node": "sends to node",
    "clone_pool": "copies to pool", "redirect": "redirects", "respond": "answers itself", "reset": "resets",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """One place in a policy or iRule that decides where a request goes."""

    by: str  # full path of the policy or iRule
    kind: str  # policy | irule
    rule: str  # the policy's rule, the iRule's event
    does: str  # in words
    target: str  # "" where it is computed while it runs
    known: bool  # whether the pool or virtual server it names is there
    when: str


@dataclass(frozen=True, slots=True)
class FindingRow:
    code: str
    severity: str  # nothing | parts | advice
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Routing:
    """How an endpoint is set up on its device; `told` is false where iControl has not said."""

    told: bool
    enabled: bool
    http_profile: str
    types_told: bool  # whether what each profile is can be told
    request_log: str
    monitor: str  # how its pool's members are watched, in words
    profiles: tuple[str, ...]
    policies: tuple[str, ...]
    rules: tuple[str, ...]
    choices: tuple[ChoiceRow, ...]
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True, slots=True)
class CertificateRow:
    name: str
    subject: str
    expires_at: datetime | None
    days: int | None  # until then; below 0: since then
    state: str  # ok | slow (soon) | failed (over) | unknown
    is_bundle: bool


@dataclass(frozen=True, slots=True)
class UserRow:
    name: str
    roles: tuple[str, ...]  # "admin on all partitions"
    shell: str
    changes: bool  # may change something


@dataclass(frozen=True, slots=True)
class Footprint:
    """What asking this device costs it."""

    per_minute: int
    budget: int
    mean_s: float | None
    bytes: int
    calls: int
    logins: int
    since: str
    token_age_s: float | None
    back_off: float


@dataclass(frozen=True, slots=True)
class DeviceRow:
    id: int
    name: str
    device_group: str
    version: str
    failover: str
    sync: str
    sync_color: str
    units: tuple[str, ...]
    groups: tuple[str, ...]  # device groups of the BIG-IPs themselves
    syslog: tuple[str, ...]
    told_at: datetime | None  # when iControl REST told of it last
    certificates: tuple[CertificateRow, ...]
    users: tuple[UserRow, ...]
    monitors: int
    findings: tuple[FindingRow, ...]
    refusals: tuple[dict[str, str], ...]  # what the user may not read
    absent: tuple[dict[str, str], ...]  # what the device does not have
    failing: tuple[str, ...]  # what fails again and again while the rest is answered
    footprint: Footprint | None


@reading()
def listed(now: datetime, groups: Iterable[str]) -> tuple[DeviceRow, ...]:
    """The devices of these groups that iControl REST has told of."""
    return tuple(row for row in _rows(now, groups) if row.told_at)


@reading()
def all_of(now: datetime, groups: Iterable[str]) -> list[DeviceRow]:
    """The same with those that it has not told of yet."""
    return _rows(now, groups)


def _rows(now: datetime, groups: Iterable[str]) -> list[DeviceRow]:
    found = models.Device.objects.select_related("group").filter(group__name__in=list(groups))
    feeds = {feed.device_id: feed for feed in models.Feed.objects.filter(kind="f5_rest", capture="").order_by("-id")}
    found = found.annotate(monitors_told=Count("monitors")).prefetch_related("certificates", "users")
    return [_device(one, feeds.get(one.id), now) for one in found.order_by("group__name", "name")]


def _device(one: Any, feed: Any, now: datetime) -> DeviceRow:
    sync, syslog = one.about.get("sync") or {}, one.about.get("syslog")
    certificates = [_certificate(row, now) for row in sorted(one.certificates.all(), key=_by_expiry)]
    told = Syslog(tuple(tuple(server) for server in syslog["servers"]), syslog["iso_date"]) if syslog else None
    footprint = feed.footprint if feed else {}
    return DeviceRow(
        id=one.id, name=one.name, device_group=one.group.name, version=one.version, failover=one.failover,
        sync=str(sync.get("status", "")), sync_color=str(sync.get("color", "")),
        units=tuple(f"{unit['hostname']} {unit['failover']}".strip() for unit in one.about.get("units") or []),
        groups=tuple(f"{group['name']} ({group['kind']})" for group in one.about.get("groups") or []),
        syslog=tuple(f"{host}:{port}" for _, host, port in (told.servers if told else ())), told_at=one.told_at,
        certificates=tuple(certificates), users=tuple(_user(row) for row in sorted(one.users.all(), key=lambda row: row.name)),
        monitors=one.monitors_told, findings=_findings(of_syslog(told)),
        refusals=tuple(feed.refusals) if feed else (), absent=tuple(footprint.get("absent", ())),
        failing=tuple(f"{said} ({count} times in a row)" for count, said in footprint.get("failing", {}).values()),
        footprint=_footprint(footprint) if footprint else None,
    )  # fmt: skip


def _by_expiry(row: Any) -> tuple[bool, datetime, str]:
    return row.expires_at is None, row.expires_at or NEVER, row.name


def _certificate(row: Any, now: datetime) -> CertificateRow:
    days = (row.expires_at - now).days if row.expires_at else None
    state = "unknown" if row.expires_at is None else "ok"
    if row.expires_at is not None and row.expires_at < now + SOON:
        state = "failed" if row.expires_at <= now else "slow"
    return CertificateRow(row.name, row.subject, row.expires_at, days, state, row.is_bundle)


READERS = ("guest", "auditor", "no-access", "log-manager")


def _user(row: Any) -> UserRow:
    roles = tuple(
        f"{role or 'no role'} on {'all partitions' if where in ('all-partitions', 'all') else where or 'no partition'}"
        for where, role in row.roles
    )
    return UserRow(row.name, roles, row.shell, any(role not in READERS for _, role in row.roles))


def _footprint(told: dict[str, Any]) -> Footprint:
    return Footprint(
        per_minute=int(told.get("per_minute", 0)), budget=int(told.get("budget", 0)), mean_s=told.get("mean_s"),
        bytes=int(told.get("bytes", 0)), calls=int(told.get("calls", 0)), logins=int(told.get("logins", 0)),
        since=str(told.get("since") or ""), token_age_s=told.get("token_age_s"),
        back_off=float(told.get("back_off", 1.0)),
    )  # fmt: skip


def _findings(found: Iterable[Finding]) -> tuple[FindingRow, ...]:
    return tuple(FindingRow(one.code, one.severity, one.sentence, one.remedy) for one in found)


@reading()
def routing(ids: Sequence[int]) -> dict[int, Routing]:
    """How each of these endpoints is set up, in a handful of queries."""
    endpoints = list(models.Endpoint.objects.filter(id__in=ids).select_related("f5_pool"))
    groups = {one.group_id for one in endpoints}
    # A large device has thousands of iRules, monitors and pools: only those that these endpoints name are asked for.
    named = {name for one in endpoints for name in (*one.policies, *one.rules)}
    watched = {one.f5_pool.monitor for one in endpoints if one.f5_pool}
    policies: dict[tuple[int, str, str], Any] = {}
    # Of a pair both units tell of the same: the one that was told last wins.
    for row in _newest_last(models.RoutingPolicy, groups).filter(name__in=named):
        policies[(row.device.group_id, row.kind, row.name)] = row
    logs: dict[int, dict[str, RequestLogProfile]] = {}
    for row in _newest_last(models.RequestLogProfile, groups):
        logs.setdefault(row.device.group_id, {})[row.name] = RequestLogProfile.of(row)
    monitors = {
        (row.device.group_id, row.name): _monitor(row)
        for row in _newest_last(models.Monitor, groups).filter(name__in=watched)
    }
    targets = {told.get("target", "") for row in policies.values() for told in row.choices}
    there: set[tuple[int, str]] = set()
    for model in (models.F5Pool, models.Endpoint):
        there |= set(model.objects.filter(group__in=groups, name__in=targets).values_list("group_id", "name"))
    return {
        one.id: _routing(
            one, policies, logs.get(one.group_id), there,
            monitors.get((one.group_id, one.f5_pool.monitor), "") if one.f5_pool else "",
        )
        for one in endpoints
    }  # fmt: skip


def _newest_last(model: Any, groups: set[int]) -> Any:
    found = model.objects.filter(device__group__in=groups).select_related("device").defer("device__about")
    return found.order_by(F("device__told_at").asc(nulls_first=True), "device_id")


def _monitor(row: Any) -> str:
    """`/Common/mon: http every 5 s, down after 16 s without an answer; sends GET /health; expects UP`"""
    words = [f"{row.kind} every {row.interval_s} s"] if row.interval_s is not None else [row.kind]
    words += [f"down after {row.timeout_s} s without an answer"] if row.timeout_s is not None else []
    asks = [f"sends {row.send}"] if row.send else []
    asks += [f"{'is down on' if row.reverse else 'expects'} {row.recv}"] if row.recv else []
    asks += [f"is disabled on {row.recv_disable}"] if row.recv_disable else []
    return f"{row.name}: {', '.join(words)}" + "".join(f"; {one}" for one in asks)


def _routing(
    one: Any, policies: dict[Any, Any], logs: dict[str, RequestLogProfile] | None, there: set[Any], monitor: str
) -> Routing:
    switch = Switch.of(one)
    chosen = [policies.get((one.group_id, "policy", name)) for name in one.policies]
    chosen += [policies.get((one.group_id, "irule", name)) for name in one.rules]
    found = switch.profiles or ()
    return Routing(
        told=switch.profiles is not None, enabled=one.enabled,
        http_profile=next((p.name for p in found if p.kind in HTTP), ""),
        types_told=switch.profiles is not None and all(p.kind for p in found),
        request_log=next((p.name for p in found if p.kind == "request-log" or p.name in (logs or {})), ""),
        monitor=monitor,
        profiles=tuple(f"{p.name} ({p.kind})" if p.kind else p.name for p in found),
        policies=tuple(one.policies), rules=tuple(one.rules),
        choices=tuple(_choice(row, told, one.group_id, there) for row in chosen if row for told in row.choices),
        findings=_findings(findings(switch, logs)),
    )  # fmt: skip


def _choice(row: Any, told: dict[str, str], group_id: int, there: set[Any]) -> ChoiceRow:
    kind, target = told.get("kind", ""), told.get("target", "")
    return ChoiceRow(
        by=row.name, kind=row.kind, rule=told.get("rule", ""), does=CHOOSES.get(kind, kind), target=target,
        known=kind not in ("pool", "virtual", "clone_pool") or not target or (group_id, target) in there,
        when=told.get("when", ""),
    )  # fmt: skip
