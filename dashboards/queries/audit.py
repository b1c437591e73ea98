"""User actions of all three layers: who did what, with the sentences an auditor needs about the population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from airf5.accounts.models import UserAction
from airf5.accounts.roles import Scope
from dashboards.filters import Filter, regex
from dashboards.queries import narrow, paging
from dashboards.queries.database import reading
from dashboards.queries.freshness import GapRow, gaps
from dashboards.queries.rows import ActionRow, Page
from ingest import models


@dataclass(frozen=True, slots=True)
class Population:
    """What the list was drawn from: all of it, or with which gaps."""

    total: int
    layers: tuple[tuple[str, int], ...]
    start: datetime
    end: datetime
    gaps: tuple[GapRow, ...]
    rejected: int  # audit lines in the window that could not be read
    hidden: int  # events of tasks' lives that were left out
    expired_to: datetime | None  # what is older, and asked for, was removed because its time was over
    sentence: str


KEYS = {"-at": paging.Key("at", datetime), "at": paging.Key("at", datetime, descending=False)}
LAYERS = {layer.value: layer.label for layer in UserAction.Layer}


@reading()
def listed(asked: Filter, scope: Scope) -> Page[ActionRow]:
    return paging.keyset(chosen(asked, scope), asked, KEYS, row)


@reading()
def population(asked: Filter, scope: Scope) -> Population:
    counted = everything(asked, scope).order_by().values_list("layer")
    split = counted.annotate(life=Count("id", filter=TASK_LIFE), n=Count("id")).order_by("layer")
    shown = {"only": lambda life, n: life, "shown": lambda life, n: n}.get(asked.task_events, lambda life, n: n - life)
    sums = [(layer, shown(life, n), life) for layer, life, n in split]
    found = tuple((layer, n) for layer, n, _ in sums if n)
    total, hidden = sum(n for _, n in found), 0 if asked.task_events else sum(life for *_, life in sums)
    missing = gaps(asked.start, asked.end, kinds=("airflow_api", "airflow_db", "airflow_capture", "f5_audit"))
    batches = models.Batch.objects.filter(feed__kind="f5_audit", at__gte=asked.start, at__lt=asked.end)
    rejected = batches.aggregate(n=Sum("rejected"))["n"] or 0
    expired = models.Expiry.objects.filter(kind=models.Expiry.Kind.ACTIONS, upto__gte=asked.start).first()
    said = _sentence(asked, total, found, missing, rejected, hidden) + _expired(expired)
    upto = expired.upto if expired else None
    return Population(total, found, asked.start, asked.end, missing, rejected, hidden, upto, said)


def _expired(known: models.Expiry | None) -> str:
    if known is None:
        return ""
    return f" Older ones, up to {known.upto:%Y-%m-%d %H:%M:%S} UTC, expired by retention on {known.at:%Y-%m-%d}."


@reading()
def between(
    start: datetime,
    end: datetime,
    layers: Sequence[str] = ("airflow", "f5"),
    limit: int = 50,
    sources: Sequence[str] = (),
) -> tuple[ActionRow, ...]:
    """What people changed, newest first; Airflow's machine-made events (a task ran) are left out."""
    found = UserAction.objects.filter(at__gte=start, at__lt=end, layer__in=layers)
    if sources:
        found = found.filter(source__in=sources)
    found = found.exclude(Q(tool="task") | Q(verb__in=MACHINE_VERBS))
    return tuple(row(one) for one in found.order_by("-at", "-id")[:limit])


# Events that Airflow's event log holds of its own doing, without a person.
MACHINE_VERBS = (
    "running", "success", "failed", "queued", "scheduled", "up_for_retry", "deferred", "skipped", "state mismatch",
    "stuck in queued", "heartbeat timeout", "task_instance_heartbeat",
)  # fmt: skip


# What Airflow writes into its event log of a task's life; the rest is what people and programs did.
TASK_LIFE = Q(layer="airflow", tool="task")


def chosen(asked: Filter, scope: Scope) -> QuerySet[Any]:
    """Without the events of tasks' lives, unless they are asked for."""
    found = everything(asked, scope)
    if asked.task_events == "only":
        return found.filter(TASK_LIFE)
    return found if asked.task_events else found.exclude(TASK_LIFE)


def everything(asked: Filter, scope: Scope) -> QuerySet[Any]:
    found = UserAction.objects.filter(at__gte=asked.start, at__lt=asked.end)
    found = found.filter(
        narrow.names("actor", asked.actor), narrow.names("verb", asked.verb), narrow.names("dag_id", asked.dag)
    )
    if asked.layer:
        found = found.filter(layer__in=asked.values("layer"))
    if asked.state:
        found = found.filter(result__in=asked.values("state"))
    if asked.airflow:
        found = found.filter(narrow.names("source", asked.airflow), layer="airflow")
    if asked.device_group:
        devices = models.Device.objects.filter(narrow.in_group(asked)).values("name")
        found = found.filter(source__in=devices, layer="f5")
    if asked.airflow_pool:
        dags = models.Try.objects.filter(narrow.names("airflow_pool", asked.airflow_pool)).values("dag_id")
        found = found.filter(Q(dag_id__in=dags, layer="airflow") | Q(target__regex=_mentions(asked.airflow_pool)))
    for value in (asked.f5_pool, asked.endpoint, asked.member):
        if value:
            found = found.filter(layer="f5", target__regex=_mentions(value))
    if scope.dags is not None:
        found = found.filter(Q(dag_id="") | Q(dag_id__in=scope.dags))
    return found


def _mentions(value: str) -> str:
    """A whole word of a target: /Common/pool_orders in 'pool /Common/pool_orders members …'."""
    body = regex(value)[1:-1].replace(".*", r"[^\s{}]*")
    return rf"(^|[\s/{{]){body}($|[\s}}:])"


def _sentence(
    asked: Filter,
    total: int,
    layers: tuple[tuple[str, int], ...],
    missing: tuple[GapRow, ...],
    rejected: int,
    hidden: int,
) -> str:
    parts = ", ".join(f"{n:,} of {LAYERS.get(layer, layer)}" for layer, n in layers) or "none on any layer"
    what = {"only": "event of Airflow's tasks", "shown": "user action, task events among them,"}
    noun = what.get(asked.task_events, "action of people and programs")
    noun = noun if total == 1 else noun.replace("action", "actions").replace("event of", "events of")
    first = f"{total:,} {noun} from {asked.start:%Y-%m-%d %H:%M:%S} to {asked.end:%Y-%m-%d %H:%M:%S} UTC: {parts}."
    left = f" {hidden:,} {'event' if hidden == 1 else 'events'} of Airflow's tasks (running, success …) left out."
    gap = f"{len(missing)} gaps are known in this time." if missing else "No gap is known in this time."
    bad = f" {rejected:,} lines of the F5 audit log could not be read." if rejected else ""
    return f"{first}{left if hidden else ''} {gap}{bad}"


def row(one: Any) -> ActionRow:
    return ActionRow(
        id=one.id, layer=one.layer, source=one.source, at=one.at, actor=one.actor, verb=one.verb, target=one.target,
        dag_id=one.dag_id, result=one.result, address=one.address, tool=one.tool, external_id=one.external_id,
        detail=one.detail, line_id=one.line_id, raw=one.raw,
    )  # fmt: skip
