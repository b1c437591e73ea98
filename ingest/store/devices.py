"""Save what iControl REST tells of a device: its configuration, its counters, its clock, its place in a pair.

A table holds what the device said last. What it does not tell any more is deleted, so the caller hands over whole
answers only: one that a role without rights got is no answer (ingest/sources/f5_rest.py tells them apart).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Model

from ingest import models
from ingest.device_findings import Finding, Switch, findings
from ingest.device_records import RequestLogProfile
from ingest.models import Device
from ingest.parsers import f5_config, f5_icontrol, f5_listed
from ingest.records import VirtualServer
from ingest.store import device_members, f5, members, removals
from ingest.store.feeds import Counts

CLOCK_STEP_MS = 500.0  # sys/clock has whole seconds: on average it is half a second later
KEEP_SAMPLES = timedelta(days=30)
QUARTER_S = 900
BY = "iControl REST"
TELL_PROFILES = ("http", "request_log")  # readings that tell the types of profiles where virtual servers do not


def save_answer(device: Device, name: str, body: Any, at: datetime) -> Counts:
    """Save one whole answer of the reading `name`; `at` is the device's time of it."""
    kind, _, part = name.partition("/")
    read, changed = SAVERS[kind](device, body, at, part) if kind in SAVERS else (0, 0)
    return Counts(read=read, rows=changed, repeated=read - changed)


def _pools(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    """Pools, their members by name and their monitors. States come from the statistics."""
    states = f5_icontrol.parse_pools(body)
    pools = set(f5_config.parse_names(body)) | {state.f5_pool for state in states}
    before = set(models.F5Pool.objects.filter(group=device.group_id).values_list("name", flat=True))
    members.Names(device.group_id).need_pools(pools)
    changed = len({one[:300] for one in pools} - before)
    changed += device_members.save(device, states, at, with_states=False)
    monitors = {state.f5_pool[:300]: state.monitor[:300] for state in states if state.monitor}
    for pool in models.F5Pool.objects.filter(group=device.group_id, name__in=monitors):
        if pool.monitor != monitors[pool.name]:
            models.F5Pool.objects.filter(pk=pool.pk).update(monitor=monitors[pool.name])
            changed += pool.name in before  # a new one is counted already
    changed += removals.settle(device, "pool", f5_listed.pools(body), at, BY)
    return len(states) + len(pools), min(len(states) + len(pools), changed)


def _member_stats(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    """Members' states as they are now."""
    states = f5_icontrol.parse_pool_members_stats(body)
    return len(states), device_members.save(device, states, at, with_states=True)


def _virtuals(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    servers = f5_icontrol.parse_virtuals(body, _profile_kinds(device))
    there = {row.name: row for row in models.Endpoint.objects.filter(group=device.group_id).select_related("f5_pool")}
    different = [one for one in servers if not _same(there.get(one.name), one)]
    changed = f5.save_snapshot(device, (), different, at)
    changed += removals.settle(device, "virtual", f5_listed.virtuals(body), at, BY)
    return len(servers), min(len(servers), changed)


def _same(row: Any, server: VirtualServer) -> bool:
    """Whether this virtual server is stored as it is told."""
    return (
        row is not None
        and (row.f5_pool.name if row.f5_pool else "") == server.f5_pool
        and (row.address, row.port, row.enabled) == (server.address, server.port, server.enabled)
        and (row.sees_http, row.logs_requests) == (server.sees_http, server.logs_requests)
        and (row.policies, row.rules) == (list(server.policies), list(server.rules))
        and (server.profiles is None or row.profiles == [list(one) for one in server.profiles])
        and set(server.hosts) <= set(row.hosts)
    )


def _profile_kinds(device: Device) -> dict[str, str]:
    """What is known of profiles' types, for versions that do not tell them with a virtual server."""
    logs = models.RequestLogProfile.objects.filter(device=device).values_list("name", flat=True)
    told = device.about.get("http_profiles") or []
    return dict.fromkeys(told, "http") | dict.fromkeys(logs, "request-log")


def _policies(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    return _save_policies(device, "policy", f5_config.parse_policies(body))


def _rules(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    return _save_policies(device, "irule", f5_config.parse_rules(body))


def _save_policies(device: Device, kind: str, found: Iterable[Any]) -> tuple[int, int]:
    rows = {
        one.name[:300]: {"strategy": one.strategy[:300], "choices": [choice._asdict() for choice in one.choices]}
        for one in found
    }
    return replace(models.RoutingPolicy, {"device": device, "kind": kind}, rows)


def _request_logs(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    rows = {}
    for one in f5_config.parse_request_logs(body):
        row = asdict(one) | {"protocols": list(one.protocols)}
        row |= {name: row[name][:300] for name in ("request_pool", "response_pool")}
        rows[str(row.pop("name"))[:300]] = row
    return replace(models.RequestLogProfile, {"device": device}, rows)


def _certificates(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    rows = {
        one.name[:300]: {
            "expires_at": one.expires_at, "subject": one.subject[:500], "issuer": one.issuer[:500],
            "key": one.key[:60], "is_bundle": one.is_bundle,
        }
        for one in f5_config.parse_certificates(body)
    }  # fmt: skip
    return replace(models.Certificate, {"device": device}, rows)


def _users(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    rows = {
        one.name[:300]: {
            "roles": [list(role) for role in one.roles], "shell": one.shell[:40], "description": one.description[:300],
        }
        for one in f5_config.parse_users(body)
    }  # fmt: skip
    return replace(models.DeviceUser, {"device": device}, rows)


def _monitors(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    rows = {}
    for one in f5_config.parse_monitors(body, part):
        row = asdict(one) | {"destination": one.destination[:100]}
        del row["kind"]
        rows[str(row.pop("name"))[:300]] = row
    return replace(models.Monitor, {"device": device, "kind": part[:40]}, rows)


def replace(model: type[Model], mine: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> tuple[int, int]:
    """Make the rows of `model` with these columns be exactly `rows` (by name): (how many told, how many changed)."""
    rows = {name: {key: _storable(value) for key, value in row.items()} for name, row in rows.items() if name}
    there = {row.name: row for row in model._default_manager.filter(**mine)}  # type: ignore[attr-defined]
    gone = [row.pk for name, row in there.items() if name not in rows]
    model._default_manager.filter(pk__in=gone).delete()
    model._default_manager.bulk_create(
        model(**mine, name=name, **row) for name, row in rows.items() if name not in there
    )
    different = [
        (there[name], row)
        for name, row in rows.items()
        if name in there and any(getattr(there[name], key) != value for key, value in row.items())
    ]
    for old, row in different:
        model._default_manager.filter(pk=old.pk).update(**row)
    return len(rows), len([name for name in rows if name not in there]) + len(different)


def _storable(value: Any) -> Any:
    """PostgreSQL takes no NUL in a text or a JSON document."""
    if isinstance(value, str):
        return value.replace("\x00", "\\0")
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return {key: _storable(one) for key, one in value.items()} if isinstance(value, dict) else value


def _about(device: Device, key: str, told: Any) -> tuple[int, int]:
    """One part of what is known of the device itself."""
    told = _storable(told)
    if device.about.get(key) == told:
        return 1, 0
    device.about = {**device.about, key: told}
    Device.objects.filter(pk=device.pk).update(about=device.about)
    return 1, 1


def _failover(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    status = f5_config.parse_status(body) or f5_config.parse_failover(body)
    if status is None:
        return 0, 0
    word = status.status.lower()[:40]
    _about(device, "failover", asdict(status))
    if device.failover == word:
        return 1, 0
    device.failover = word
    Device.objects.filter(pk=device.pk).update(failover=word)
    return 1, 1


def _sync(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    status = f5_config.parse_status(body)
    return _about(device, "sync", asdict(status)) if status else (0, 0)


def _units(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    units = f5_config.parse_units(body)
    own = next((unit for unit in units if unit.is_self), None)
    if own and own.version and device.version != own.version[:40]:
        device.version = own.version[:40]
        Device.objects.filter(pk=device.pk).update(version=device.version)
    return _about(device, "units", [asdict(unit) for unit in units])


def _groups(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    told = [asdict(group) | {"units": list(group.units)} for group in f5_config.parse_groups(body)]
    return _about(device, "groups", told)


def _syslog(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    told = f5_config.parse_syslog(body)
    return _about(device, "syslog", {"servers": [list(one) for one in told.servers], "iso_date": told.iso_date})


def _http(device: Device, body: Any, at: datetime, part: str) -> tuple[int, int]:
    return _about(device, "http_profiles", f5_config.parse_names(body)[:2_000])


Saver = Callable[[Device, Any, datetime, str], tuple[int, int]]
SAVERS: dict[str, Saver] = {
    "pool": _pools, "member_stats": _member_stats, "pool_stats": _member_stats, "virtual": _virtuals,
    "policy": _policies, "rule": _rules, "request_log": _request_logs, "certificate": _certificates, "user": _users,
    "monitor": _monitors, "failover": _failover, "sync": _sync, "unit": _units, "group": _groups, "syslog": _syslog,
    "http": _http,
}  # fmt: skip


def save_clock(device: Device, body: Any, middle: datetime, elapsed_s: float) -> timedelta | None:
    """One measurement of the device's clock against ours at the middle of the call; None where it tells none.

    It has whole seconds, so half a second is added; the uncertainty is that and half the round trip. A clock that is
    off by exactly the zone that is configured for its logs shows local time.
    """
    told = f5_icontrol.parse_clock(body)
    if told is None:
        return None
    offset = told - middle
    zone = timedelta(seconds=device.utc_offset_s)
    if zone and abs(offset - zone) < timedelta(seconds=QUARTER_S / 2) < abs(offset):
        offset -= zone
    offset += timedelta(milliseconds=CLOCK_STEP_MS)
    models.SkewSample.objects.create(
        device=device, at=middle, offset_ms=offset.total_seconds() * 1000,
        uncertainty_ms=CLOCK_STEP_MS + elapsed_s * 500, method=models.SkewSample.Method.CLOCK,
    )  # fmt: skip
    old = models.SkewSample.objects.filter(
        device=device, method=models.SkewSample.Method.CLOCK, at__lt=middle - KEEP_SAMPLES
    )
    old.delete()
    return offset


def save_counters(device: Device, virtuals: Any, pools: Any, at: datetime) -> None:
    """F5's own totals at this moment by our clock; either of the answers may be missing (None)."""
    told = {one.name: [one.requests, one.connections] for one in f5_config.parse_virtual_counts(virtuals)}
    summed = {one.name: [one.requests, one.connections] for one in f5_config.parse_pool_counts(pools)}
    if told or summed:
        models.CounterSample.objects.update_or_create(
            device=device, at=at, defaults={"virtuals": _storable(told), "pools": _storable(summed)}
        )


def findings_of(device: Device) -> dict[str, tuple[Finding, ...]]:
    """What each virtual server of this device's group lacks for a request log, by name: for doctor and the pages."""
    rows = models.RequestLogProfile.objects.filter(device__group=device.group_id)
    # Of a pair both units tell of the same: the one that was told last wins.
    rows = rows.order_by(F("device__told_at").asc(nulls_first=True), "device_id")
    logs = {row.name: RequestLogProfile.of(row) for row in rows}
    return {
        row.name: findings(Switch.of(row), logs or None)
        for row in models.Endpoint.objects.filter(group=device.group_id, removed_at=None).order_by("name")
    }
