"""What preceded an incident on both layers, what concerns its own objects first; each with its line."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from airf5.accounts.models import UserAction
from airf5.accounts.roles import Scope
from dashboards.queries.audit import MACHINE_VERBS
from dashboards.queries.database import reading
from dashboards.words import listed, many, short
from ingest import models

CHANGES = timedelta(hours=1)  # what people changed, and what happened to the device
DEPLOYED = timedelta(hours=24)  # deployments and certificates: many DAGs run once a day
SAME = timedelta(seconds=1)  # the ltm log has whole seconds: what a change broke can stand a moment before the change
MOST = 20
MOST_NAMED = 5  # of the other DAGs of a deployment
MOST_READ = 300  # of each kind

# What F5's people do without changing anything.
READS = ("read", "list", "show", "login", "logout", "login_failed", "access", "authenticate")
# What Airflow writes of runs that somebody started: no change.
RUNS = (*MACHINE_VERBS, "trigger_dag_run", "trigger", "up_for_reschedule", "upstream_failed", "removed", "restarting")
FAILOVER = (
    "active", "standby", "offline", "failover", "going_active", "going_standby", "leaving_active", "leaving_standby",
    "failover_command", "failover_condition", "ha_failed", "booted", "reboot_requested", "licence_ended", "address_conflict",
    "peer_lost", "memory_pressure",
)  # fmt: skip
CERTIFICATE = ("certificate_expired", "certificate_expires")
# By how near it is to what failed.
OWN, POOL, DAG, DEVICE, OTHER = range(5)


@dataclass(frozen=True, slots=True)
class Preceding:
    """One thing that happened before an incident."""

    at: datetime
    kind: str  # configuration | failover | certificate | deployment | airflow
    layer: str  # f5 | airflow
    source: str
    who: str
    says: str
    about: str  # whose it is, in words: "a member at fault", "its pool", "a DAG that was hit", "the device", "something else"
    rank: int  # 0 is the object at fault itself
    raw: str  # as received


@dataclass(frozen=True, slots=True)
class Subject:
    """What failed, by the names that logs call it."""

    at: datetime
    members: tuple[str, ...]
    around: tuple[str, ...]  # its pool and virtual servers, and the policies, iRules and profiles of these
    dags: tuple[str, ...]
    uses: tuple[str, ...]  # connections and Airflow pools of the tries that were hit
    devices: tuple[str, ...]
    airflows: tuple[str, ...]


@reading()
def preceding(subject: Subject, scope: Scope) -> tuple[Preceding, ...]:
    """What changed before `subject.at`, the nearest to what failed first, then the nearest in time."""
    found = [*_changes(subject, scope), *_device(subject), *_certificates(subject), *_deployments(subject, scope)]
    ordered = sorted(found, key=lambda one: (one.rank, -one.at.timestamp(), one.kind, one.says))
    return tuple(_once(ordered))[:MOST]


def _once(found: Iterable[Preceding]) -> Iterable[Preceding]:
    """A BIG-IP logs one command twice, as it was typed and as it was done: the second says nothing new."""
    seen: set[tuple[Any, ...]] = set()
    for one in found:
        told = (one.kind, one.source, one.who, one.about, one.at.replace(microsecond=0))
        if one.kind != "configuration" or told not in seen:
            yield one
        seen.add(told)


def _changes(subject: Subject, scope: Scope) -> Iterable[Preceding]:
    during = {"at__gte": subject.at - CHANGES, "at__lt": subject.at + SAME}
    f5 = UserAction.objects.filter(layer="f5", source__in=subject.devices, **during)
    airflow = UserAction.objects.filter(layer="airflow", source__in=subject.airflows, **during)
    if scope.dags is not None:
        airflow = airflow.filter(Q(dag_id="") | Q(dag_id__in=scope.dags))
    for action in f5.exclude(verb__in=READS).order_by("-at", "-id")[:MOST_READ]:
        rank, about = _about_f5(subject, f"{action.target} {action.raw}")
        says = f"{action.verb.replace('_', ' ')} {action.target}".strip()
        yield Preceding(action.at, "configuration", "f5", action.source, action.actor, says, about, rank, action.raw)
    for action in airflow.exclude(Q(tool="task") | Q(verb__in=RUNS)).order_by("-at", "-id")[:MOST_READ]:
        rank, about = _about_airflow(subject, action.dag_id, f"{action.target} {action.raw}")
        says = f"{action.verb.replace('_', ' ')} {action.target or action.dag_id}".strip()
        yield Preceding(action.at, "airflow", "airflow", action.source, action.actor, says, about, rank, action.raw)


def _about_f5(subject: Subject, text: str) -> tuple[int, str]:
    named = next((name for name in subject.members if _names(text, name)), "")
    if named:
        return OWN, f"{short(named)}, which is at fault"
    named = next((name for name in subject.around if _names(text, name)), "")
    return (POOL, f"{short(named)}, which leads there") if named else (OTHER, "another object of the device")


def _names(text: str, name: str) -> bool:
    """The last part of this name as a whole word: an audit line may give a path or the name alone, a member its node."""
    last = short(name)
    words = {last, last.rsplit(":", 1)[0]} if ":" in last else {last}
    return any(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])", text) for word in words if word)


def _about_airflow(subject: Subject, dag_id: str, text: str) -> tuple[int, str]:
    if dag_id and dag_id in subject.dags:
        return DAG, f"{dag_id}, which was hit"
    named = next((name for name in subject.uses if _names(text, name)), "")
    return (DAG, f"{named}, which its tries use") if named else (OTHER, dag_id or "something else of Airflow")


def _device(subject: Subject) -> Iterable[Preceding]:
    during = {"at__gte": subject.at - CHANGES, "at__lt": subject.at + SAME}
    events = models.HealthEvent.objects.filter(device__name__in=subject.devices, kind="device", **during)
    for event in events.filter(state__in=FAILOVER).select_related("device").order_by("-at", "-id")[:MOST_READ]:
        says = f"{event.state.replace('_', ' ')} {event.object}".strip()
        says += f": {event.reason}" if event.reason else ""
        yield Preceding(event.at, "failover", "f5", event.device.name, "", says, "the device", DEVICE, event.raw)


def _certificates(subject: Subject) -> Iterable[Preceding]:
    """Those that ran out, as the device's configuration says, and as its log does."""
    during = {"at__gte": subject.at - DEPLOYED, "at__lt": subject.at}
    events = models.HealthEvent.objects.filter(device__name__in=subject.devices, state__in=CERTIFICATE, **during)
    for event in events.select_related("device").order_by("-at", "-id")[:MOST_READ]:
        says = (
            f"{event.object} {'expired' if event.state == 'certificate_expired' else 'will expire'} on {event.reason}"
        )
        rank, about = _about_f5(subject, event.object)
        yield Preceding(event.at, "certificate", "f5", event.device.name, "", says, about, rank, event.raw)
    ended = models.Certificate.objects.filter(device__name__in=subject.devices, is_bundle=False)
    ended = ended.filter(expires_at__gte=subject.at - DEPLOYED, expires_at__lt=subject.at)
    for one in ended.select_related("device").order_by("-expires_at", "name")[:MOST_READ]:
        rank, about = _about_f5(subject, one.name)
        says = f"certificate {one.name} expired"
        at = one.expires_at or subject.at
        yield Preceding(at, "certificate", "f5", one.device.name, "", says, about, rank, f"subject {one.subject}")


def _deployments(subject: Subject, scope: Scope) -> Iterable[Preceding]:
    """New versions of DAGs: of those hit within a day, of others within the hour."""
    made = models.DagVersion.objects.filter(airflow__name__in=subject.airflows, at__lt=subject.at)
    made = made.filter(Q(at__gte=subject.at - DEPLOYED, dag_id__in=subject.dags) | Q(at__gte=subject.at - CHANGES))
    if scope.dags is not None:
        made = made.filter(dag_id__in=scope.dags)
    others: dict[str, list[models.DagVersion]] = defaultdict(list)
    for one in made.select_related("airflow").order_by("-at", "-id")[:MOST_READ]:
        if one.dag_id not in subject.dags:
            others[one.airflow.name].append(one)
            continue
        commit = f" ({one.bundle} {one.bundle_version})" if one.bundle_version else ""
        says = f"version {one.number} of {one.dag_id} deployed{commit}"
        about = f"{one.dag_id}, which was hit"
        yield Preceding(one.at, "deployment", "airflow", one.airflow.name, "", says, about, DAG, one.raw)
    for airflow, told in others.items():  # a deployment of all DAGs is one thing that happened
        names = sorted({one.dag_id for one in told})
        says = f"new versions of {many(len(names), 'other DAG')}: {listed(names, MOST_NAMED)}"
        raw = "\n".join(one.raw for one in told[:MOST_NAMED])
        yield Preceding(told[0].at, "deployment", "airflow", airflow, "", says, "DAGs that were not hit", OTHER, raw)


def subject(row: Any, tries: Sequence[Any]) -> Subject:
    """What an incident's row and the tries it hit are about."""
    endpoints = (
        models.Endpoint.objects.filter(id=row.endpoint_id) if row.endpoint_id else models.Endpoint.objects.none()
    )
    if row.f5_pool_id:
        endpoints = models.Endpoint.objects.filter(Q(id=row.endpoint_id) | Q(f5_pool=row.f5_pool_id))
    around = [row.f5_pool] if row.f5_pool else []
    for endpoint in endpoints:
        profiles = [str(name) for name, *_ in endpoint.profiles or () if not str(name).endswith(("/http", "/tcp"))]
        around += [endpoint.name, *map(str, endpoint.policies), *map(str, endpoint.rules), *profiles]
    airflows = {one.airflow for one in tries} or set(
        models.Airflow.objects.filter(feeds__capture=row.capture).values_list("name", flat=True)
    )
    return Subject(
        at=row.start, members=row.members, around=tuple(dict.fromkeys(around)), dags=row.dags,
        uses=tuple(sorted({one.conn_id for one in tries} | {one.airflow_pool for one in tries} - {""})),
        devices=tuple(models.Device.objects.filter(group__name=row.device_group).values_list("name", flat=True)),
        airflows=tuple(sorted(airflows)),
    )  # fmt: skip
