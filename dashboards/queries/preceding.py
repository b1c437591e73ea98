"""What preceded an incident on both layers, what concerns its own objects first; each with its line."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from airf5.accounts.models import UserAction
from airf5.accounts.roles import Scope
from dashboards.queries import audit
from dashboards.queries.audit import MACHINE_VERBS
from dashboards.queries.database import reading
from dashboards.queries.rows import ActionRow, IncidentRow, TryRow
from dashboards.words import listed, many, short
from ingest import models

CHANGES = timedelta(hours=1)  # what people changed, and what happened to the device
DRAWN = timedelta(minutes=30)  # of what people did, on a timeline
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
    device_group: str
    airflows: QuerySet[models.Airflow]


@reading()
def preceding(subject: Subject, scope: Scope) -> tuple[tuple[Preceding, ...], tuple[ActionRow, ...]]:
    """What changed before `subject.at`, the nearest to what failed first, then the nearest in time; and what people did
    among it in the last half hour, newest first, as a timeline draws it. Four statements."""
    actions = list(_actions(subject, scope))
    changes = [_change(subject, one) for one in actions]
    found = [*changes, *_device(subject), *_certificates(subject), *_deployments(subject, scope)]
    ordered = sorted(found, key=lambda one: (one.rank, -one.at.timestamp(), one.kind, one.says))
    drawn = tuple(audit.row(one) for one in actions if one.at >= subject.at - DRAWN)
    return tuple(_once(ordered))[:MOST], drawn


def _once(found: Iterable[Preceding]) -> Iterable[Preceding]:
    """A BIG-IP logs one command twice, as it was typed and as it was done: the second says nothing new."""
    seen: set[tuple[Any, ...]] = set()
    for one in found:
        told = (one.kind, one.source, one.who, one.about, one.at.replace(microsecond=0))
        if one.kind != "configuration" or told not in seen:
            yield one
        seen.add(told)


def _actions(subject: Subject, scope: Scope) -> QuerySet[UserAction]:
    """What people did on both layers, newest first, without what changes nothing."""
    devices = models.Device.objects.filter(group__name=subject.device_group).values("name")
    f5 = Q(layer="f5", source__in=devices) & ~Q(verb__in=READS)
    airflow = Q(layer="airflow", source__in=subject.airflows.values("name")) & ~(Q(tool="task") | Q(verb__in=RUNS))
    if scope.dags is not None:
        airflow &= Q(dag_id="") | Q(dag_id__in=scope.dags)
    found = UserAction.objects.filter(f5 | airflow, at__gte=subject.at - CHANGES, at__lt=subject.at + SAME)
    return found.order_by("-at", "-id")[: 2 * MOST_READ]


def _change(subject: Subject, action: UserAction) -> Preceding:
    says = f"{action.verb.replace('_', ' ')} {action.target or action.dag_id}".strip()
    if action.layer == "f5":
        kind, (rank, about) = "configuration", _about_f5(subject, f"{action.target} {action.raw}")
    else:
        kind, (rank, about) = "airflow", _about_airflow(subject, action.dag_id, f"{action.target} {action.raw}")
    return Preceding(action.at, kind, action.layer, action.source, action.actor, says, about, rank, action.raw)


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
    """What happened to the device itself in the hour, and certificates that its log called out within a day."""
    states = Q(state__in=FAILOVER, at__gte=subject.at - CHANGES) | Q(state__in=CERTIFICATE)
    during = {"at__gte": subject.at - DEPLOYED, "at__lt": subject.at + SAME}
    events = models.HealthEvent.objects.filter(
        states, device__group__name=subject.device_group, kind="device", **during
    )
    for event in events.select_related("device").order_by("-at", "-id")[:MOST_READ]:
        kind, rank, about = "failover", DEVICE, "the device"
        says = f"{event.state.replace('_', ' ')} {event.object}".strip() + (f": {event.reason}" if event.reason else "")
        if event.state in CERTIFICATE:
            kind, (rank, about) = "certificate", _about_f5(subject, event.object)
            says = f"{event.object} {'expired' if event.state == CERTIFICATE[0] else 'will expire'} on {event.reason}"
        yield Preceding(event.at, kind, "f5", event.device.name, "", says, about, rank, event.raw)


def _certificates(subject: Subject) -> Iterable[Preceding]:
    """Those that ran out, as the device's configuration says."""
    ended = models.Certificate.objects.filter(device__group__name=subject.device_group, is_bundle=False)
    ended = ended.filter(expires_at__gte=subject.at - DEPLOYED, expires_at__lt=subject.at)
    for one in ended.select_related("device").order_by("-expires_at", "name")[:MOST_READ]:
        rank, about = _about_f5(subject, one.name)
        says = f"certificate {one.name} expired"
        at = one.expires_at or subject.at
        yield Preceding(at, "certificate", "f5", one.device.name, "", says, about, rank, f"subject {one.subject}")


def _deployments(subject: Subject, scope: Scope) -> Iterable[Preceding]:
    """New versions of DAGs: of those hit within a day, of others within the hour."""
    made = models.DagVersion.objects.filter(airflow__in=subject.airflows, at__lt=subject.at)
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


def subject(kept: Any, row: IncidentRow, tries: Sequence[TryRow]) -> Subject:
    """What an incident (with its endpoint) and the tries it hit are about."""
    around, endpoint = [row.f5_pool], kept.endpoint
    if endpoint is not None:
        profiles = [str(name) for name, *_ in endpoint.profiles or () if not str(name).endswith(("/http", "/tcp"))]
        around += [endpoint.name, *map(str, endpoint.policies), *map(str, endpoint.rules), *profiles]
    airflows = models.Airflow.objects.filter(name__in={one.airflow for one in tries})
    if not tries:
        airflows = models.Airflow.objects.filter(feeds__capture=row.capture)
    return Subject(
        at=row.start, members=row.members, around=tuple(dict.fromkeys(filter(None, around))), dags=row.dags,
        uses=tuple(sorted({one.conn_id for one in tries} | {one.airflow_pool for one in tries} - {""})),
        device_group=row.device_group, airflows=airflows,
    )  # fmt: skip
