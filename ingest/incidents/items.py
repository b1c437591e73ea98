"""What speaks of incidents: verdicts that blame a route or a service, and what F5's monitors say, as items to group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from ingest.incidents.groups import Item
from ingest.models import Endpoint, Evidence, HealthEvent, Verdict

LONGEST_HIT = timedelta(minutes=5)  # how far a try that runs on after its bad request stretches its incident
OUT = frozenset({"down", "node_down"})
BACK = frozenset({"up", "available", "removed"})
# A person took the member out: what its monitor says meanwhile is no incident.
DRAINED = frozenset({"disabled", "forced_disabled", "forced_down", "user_down", "session_disabled"})
RETURNED = frozenset({"enabled", "session_enabled"})
NO_MEMBER, HAS_MEMBER = "no_members", "has_members"
SPEAK = sorted(OUT | BACK | DRAINED | RETURNED | {NO_MEMBER, HAS_MEMBER})

COLUMNS = (
    "pk", "culprit", "cause", "component_kind", "component", "status", "bad_at", "incident_id", "endpoint_id",
    "endpoint__name", "endpoint__group_id", "f5_pool_id", "f5_pool__name", "f5_pool__group_id", "try_row__end_at",
    "slow", "try_row__airflow__name", "try_row__dag_id", "try_row__run_id", "try_row__airflow_pool",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scope:
    """What is grouped: a capture's name, or "" for what is live; from when on, None for all of it."""

    name: str
    since: datetime | None
    airflows: Collection[int]
    incidents: Collection[int] = ()  # open or lately over: all that they rest on is read, however old
    pools: Collection[int] = ()  # theirs
    begun: datetime | None = None  # the first of them

    def verdicts(self) -> Q:
        """Verdicts that blame somebody, in this scope and time: met lately, judged lately, or of such an incident."""
        mine = Q(culprit__in=("route", "service"), try_row__airflow__in=self.airflows, bad_at__isnull=False)
        if self.since is None:
            return mine
        lately = Q(bad_at__gte=self.since) | Q(judged_at__gte=self.since) | Q(incident__in=self.incidents)
        return mine & lately


class Hit(NamedTuple):
    """The try of a verdict, as far as its incident tells of it."""

    slow: bool
    airflow: str
    dag_id: str
    run_id: str
    airflow_pool: str


def of_verdicts(scope: Scope) -> tuple[list[Item], dict[int, Hit]]:
    """The verdicts as items, and by verdict what they hit."""
    found = Verdict.objects.filter(scope.verdicts()).order_by("bad_at", "pk")
    rows = list(found.values_list(*COLUMNS))
    changes = _changes([row[0] for row in rows if row[2] == "config_change"])
    own = len(Hit._fields)
    return [_verdict(row[:-own], changes) for row in rows], {row[0]: Hit(*row[-own:]) for row in rows}


def _verdict(row: Sequence[Any], changes: dict[int, int]) -> Item:
    pk, culprit, cause, kind, component, status, at, incident, endpoint_id, endpoint, of_endpoint, *more = row
    pool_id, pool, of_pool, over = more
    end = max(at, min(over or at, at + LONGEST_HIT))
    members = frozenset({component}) if kind == "member" else frozenset[str]()
    return Item(
        at, end, culprit, cause, of_endpoint or of_pool or 0, pool or endpoint or component, endpoint_id, pool_id, members,
        pk, None, incident, status == Verdict.Status.FINAL, changes.get(pk),
    )  # fmt: skip


def _changes(verdicts: Sequence[int]) -> dict[int, int]:
    """The change on the device that each of these verdicts rests on."""
    if not verdicts:
        return {}
    cited = Evidence.objects.filter(verdict__in=verdicts, kind="user_action", line_id__isnull=False)
    return dict(cited.order_by("-position").values_list("verdict_id", "line_id"))


def of_monitors(scope: Scope) -> list[Item]:
    """Intervals in which a monitor held a member for down, and in which a pool had no member."""
    events = HealthEvent.objects.filter(f5_pool__isnull=False, device__feeds__capture=scope.name, state__in=SPEAK)
    if scope.since is not None:
        of_pools = Q(at__gte=scope.begun or scope.since, f5_pool__in=scope.pools)
        lately = Q(at__gte=scope.since) | of_pools
        events = events.filter(lately | Q(pk__in=_drained_before(scope, events.filter(lately))))
    by_object: dict[tuple[int, int], list[HealthEvent]] = defaultdict(list)
    for e in (
        events.filter(kind__in=("member", "pool")).select_related("f5_pool", "member").order_by("at", "pk").distinct()
    ):
        by_object[e.f5_pool_id or 0, e.member_id or 0].append(e)
    if not by_object:
        return []
    api, reach = _endpoints({pool for pool, _ in by_object})
    return [
        item
        for (pool_id, _), told in sorted(by_object.items())
        for item in _intervals(told, pool_id in api, reach.get(pool_id))
    ]


def _drained_before(scope: Scope, events: QuerySet[HealthEvent]) -> QuerySet[HealthEvent]:
    """Of the members that these events are about, the last word before the window on whether a person had them out."""
    said = HealthEvent.objects.filter(at__lt=scope.begun or scope.since, state__in=DRAINED | RETURNED)
    said = said.filter(member__in=events.filter(state__in=OUT, member__isnull=False).values("member"))
    return said.order_by("member_id", "-at", "-pk").distinct("member_id").values("pk")  # type: ignore[return-value]


def _endpoints(pools: set[int]) -> tuple[set[int], dict[int, int]]:
    """The pools of an Execution API, and the first virtual server of each pool."""
    api: set[int] = set()
    reach: dict[int, int] = {}
    found = Endpoint.objects.filter(f5_pool__in=pools).order_by("-pk").values_list("f5_pool_id", "pk", "execution_api")
    for pool, endpoint, execution_api in found:
        reach[pool or 0] = endpoint
        api |= {pool or 0} if execution_api else set()
    return api, reach


def _intervals(events: Sequence[HealthEvent], api: bool, endpoint_id: int | None) -> Iterable[Item]:
    began: HealthEvent | None = None
    drained = False
    for e in events:
        if e.state in DRAINED or e.state in RETURNED:
            drained = e.state in DRAINED
            if began is not None and drained:  # out by its monitor, then by a person: what follows is no incident
                yield _interval(began, e.at, api, endpoint_id)
                began = None
        elif e.state in OUT or e.state == NO_MEMBER:
            began = began or (None if drained else e)
        else:
            drained = drained and not _undrains(e)
            if began is not None:
                yield _interval(began, e.at, api, endpoint_id)
                began = None
    if began is not None:
        yield _interval(began, None, api, endpoint_id)


def _undrains(e: HealthEvent) -> bool:
    """A member that was forced down comes back by its monitor; one whose session is disabled stays drained."""
    return e.was in ("forced_down", "user_down")


def _interval(e: HealthEvent, end: datetime | None, api: bool, endpoint_id: int | None) -> Item:
    assert e.f5_pool is not None
    cause = "member_down" if e.state != NO_MEMBER else "api_unreachable" if api else "no_member"
    members = frozenset({e.member.name}) if e.member else frozenset[str]()
    return Item(
        e.at, end, "route", cause, e.f5_pool.group_id, e.f5_pool.name, endpoint_id, e.f5_pool_id, members,
        None, e.pk,
    )  # fmt: skip
