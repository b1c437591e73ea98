"""The small tables that every batch of one Airflow needs, read once: feeds, virtual servers, pools and members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject

from ingest.completeness.clocks import Clocks
from ingest.models import Airflow, Device, Endpoint, F5Pool, Feed, Gap, RouteContract, RoutingPolicy, SpoolFile
from ingest.rules.contracts import Contract
from ingest.rules.facts import Chooser


@dataclass(frozen=True, slots=True)
class World:
    """What is read in one scope: a capture's, or what is live ("")."""

    scope: str
    feeds: tuple[Feed, ...]  # of this scope, with their devices
    airflow_feeds: tuple[Feed, ...]  # of this Airflow, as far as they are enabled
    feed_names: dict[int, str]  # by spool file id: tells where a line came from
    paths: dict[int, str]  # by spool file id: where the file is now
    endpoints: dict[int, Endpoint]
    devices: dict[int, list[tuple[str, bool]]]  # by device group: name, makes_own_errors
    pools: dict[tuple[int, str], int]  # (device group, name) -> id
    members: dict[tuple[int, str], int]  # (pool id, name) -> id
    members_of: dict[int, list[tuple[str, datetime | None]]]  # pool id -> its members in order, until when they were
    homes: dict[int, dict[str, tuple[str, ...]]]  # by device group: of which pools an address:port is a member, as told
    choosers: dict[int, tuple[Chooser, ...]]  # by virtual server: what its policies and iRules choose
    contracts: dict[int, tuple[Contract, ...]]  # by virtual server: to which pools its paths go, as far as switched on
    gaps: tuple[Gap, ...]  # what the feeds of this scope lack in the batch's time or still, in order of their start

    @property
    def pool_names(self) -> dict[int | None, str]:
        return {None: ""} | {pk: name for (_, name), pk in self.pools.items()}

    @property
    def member_names(self) -> dict[int | None, str]:
        return {None: ""} | {pk: name for (_, name), pk in self.members.items()}

    def members_at(self, pool_id: int | None, at: datetime) -> tuple[str, ...]:
        """The members of this pool at this time, without those that were removed before it."""
        known = self.members_of.get(pool_id or 0, ())
        return tuple(name for name, removed_at in known if removed_at is None or removed_at > at)

    def clocks(self, airflow: Airflow) -> Clocks:
        """How the devices of this scope and this Airflow's workers differ."""
        devices = {f.device.pk: f.device for f in self.feeds if f.device is not None}
        return Clocks.of(airflow, self.scope, (device for _, device in sorted(devices.items())))

    def request_feeds(self) -> list[Feed]:
        """The feeds of this scope that bring requests, by name."""
        return sorted(bringing_requests(self.feeds), key=lambda f: f.name)


def bringing_requests(feeds: Iterable[Feed]) -> list[Feed]:
    """Of these feeds of one scope, those that `models.request_feeds` asks the database for."""
    enabled = [f for f in feeds if f.enabled]
    logs = [f for f in enabled if f.kind == Feed.Kind.F5_REQUEST]
    logged = {f.device_id for f in logs}
    return [*logs, *(f for f in enabled if f.kind == Feed.Kind.F5_TELEMETRY and f.device_id not in logged)]


def of(airflow: Airflow, lo: datetime | None = None) -> World:
    """Four statements, and one for policies and iRules where a virtual server has any.

    `lo`: from when on it matters what is missing; None: only what lasts.
    """
    files = SpoolFile.objects.filter(feed=OuterRef("pk")).order_by("pk")
    feeds = list(
        Feed.objects.select_related("device").annotate(
            file_ids=ArraySubquery(files.values("pk")), file_paths=ArraySubquery(files.values("path"))
        )
    )
    mine = [f for f in feeds if f.airflow_id == airflow.pk]
    scope = mine[0].capture if mine else ""
    here = tuple(f for f in feeds if f.capture == scope)
    groups = {f.device.group_id for f in here if f.device is not None}
    endpoints, devices = _endpoints(groups)
    files_of = {pk: (f.name, path) for f in feeds for pk, path in zip(f.file_ids, f.file_paths, strict=True)}
    return World(
        scope, here, tuple(f for f in mine if f.enabled), {pk: name for pk, (name, _) in files_of.items()},
        {pk: path for pk, (_, path) in files_of.items()}, endpoints, devices, *_pools(groups),
        choosers_of(endpoints.values()), {pk: contracts_of(e.told_contracts) for pk, e in endpoints.items()},
        _gaps(here, lo),
    )  # fmt: skip


def _gaps(feeds: Sequence[Feed], lo: datetime | None) -> tuple[Gap, ...]:
    wanted = Q(end=None) if lo is None else Q(end=None) | Q(end__gt=lo)
    return tuple(Gap.objects.filter(wanted, feed__in=feeds).order_by("start", "id"))


def in_force(endpoint: Any) -> QuerySet[RouteContract, Any]:
    """The contracts of a virtual server that count, each as what `contracts_of` reads."""
    found = RouteContract.objects.filter(endpoint=endpoint, state="on", ready_at__isnull=False).order_by("pk")
    names = ("id", "source", "host", "prefix", "agent", "count", "ready_at", "pools", "by")
    return found.annotate(told=JSONObject(**{name: name for name in names})).values("told")


def contracts_of(told: Iterable[Mapping[str, Any]]) -> tuple[Contract, ...]:
    """Contracts as the rules see them."""
    return tuple(
        Contract(
            one["id"], one["source"], one["host"], one["prefix"], one["agent"], one["count"],
            datetime.fromisoformat(one["ready_at"]),
            tuple(
                (name, datetime.fromisoformat(about["since"]))
                for name, about in sorted(one["pools"].items())
                if about.get("since")
            ),
            one["by"],
        )
        for one in told
    )  # fmt: skip


def _endpoints(groups: set[int]) -> tuple[dict[int, Endpoint], dict[int, list[tuple[str, bool]]]]:
    """The virtual servers of these device groups, and the groups' devices."""
    devices = Device.objects.filter(group=OuterRef("group")).order_by("pk")
    found = list(
        Endpoint.objects.filter(group__in=groups)
        .select_related("f5_pool", "group")
        .annotate(
            device_names=ArraySubquery(devices.values("name")),
            own_errors=ArraySubquery(devices.values("makes_own_errors")),
            told_contracts=ArraySubquery(in_force(OuterRef("pk"))),
        )
    )
    by_group = {e.group_id: list(zip(e.device_names, e.own_errors, strict=True)) for e in found}
    return {e.pk: e for e in found}, by_group


def choosers_of(endpoints: Collection[Endpoint]) -> dict[int, tuple[Chooser, ...]]:
    """By virtual server, the places in its policies and iRules that choose a pool, as iControl told of them last."""
    names = {name for e in endpoints for name in (*e.policies, *e.rules)}
    if not names:
        return {}
    told: dict[tuple[int, str, str], tuple[Chooser, ...]] = {}
    rows = RoutingPolicy.objects.filter(device__group__in={e.group_id for e in endpoints}, name__in=names)
    # Of a pair both units tell of the same: the one that was told last wins.
    rows = rows.order_by(F("device__told_at").asc(nulls_first=True), "device_id")
    for group, kind, name, choices in rows.values_list("device__group_id", "kind", "name", "choices"):
        found = (Chooser(name, kind, one["rule"], one["target"]) for one in choices if one["kind"] == "pool")
        told[group, kind, name] = tuple(dict.fromkeys(found))
    return {
        e.pk: tuple(
            chooser
            for kind, named in (("policy", e.policies), ("irule", e.rules))
            for name in named
            for chooser in told.get((e.group_id, kind, name), ())
        )
        for e in endpoints
    }


def _pools(
    groups: set[int],
) -> tuple[
    dict[tuple[int, str], int],
    dict[tuple[int, str], int],
    dict[int, list[tuple[str, datetime | None]]],
    dict[int, dict[str, tuple[str, ...]]],
]:
    """What `World` calls pools, members, members_of and homes."""
    pools: dict[tuple[int, str], int] = {}
    members: dict[tuple[int, str], int] = {}
    members_of: dict[int, list[tuple[str, datetime | None]]] = defaultdict(list)
    homes: dict[int, dict[str, tuple[str, ...]]] = defaultdict(dict)
    found = F5Pool.objects.filter(group__in=groups).order_by("pk", "members__name")
    columns = (
        "group_id",
        "pk",
        "name",
        "members__pk",
        "members__name",
        "members__removed_at",
        "members__address",
        "members__port",
    )
    for group, pk, name, member, member_name, removed_at, address, port in found.values_list(*columns):
        pools[group, name] = pk
        if member is not None:
            members[pk, member_name] = member
            members_of[pk].append((member_name, removed_at))
            if address and member_name.startswith("/"):  # by its name: the device said so, and not a request line alone
                place = f"{address}:{port}"
                homes[group][place] = (*homes[group].get(place, ()), name)
    return pools, members, members_of, homes
