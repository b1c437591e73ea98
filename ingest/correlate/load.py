"""The reads behind a judgement: each function is one statement for a whole batch of tries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from django.db import connection
from django.db.models import Q

from airf5 import sql
from ingest import records
from ingest.models import HealthEvent
from ingest.models import Job as JobRow
from ingest.rules.facts import Change, Health, Job, Request

from .world import World

Window = tuple[int, datetime, datetime]  # endpoint id, from, to
Span = tuple[datetime, datetime]
LINE_BITS = 40  # line_id = file id << 40 | byte offset


def rows(name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of one of ingest/sql's statements."""
    with connection.cursor() as cursor:
        cursor.execute(sql.load(name), parameters)
        return list(cursor.fetchall())


OUTCOMES = {int(outcome): outcome for outcome in records.Outcome}
LINKS = {int(link): link for link in records.Link}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(us: int) -> datetime:
    """Microseconds since 1970 as a time. Three times as fast as what reads a timestamp with its zone."""
    return EPOCH + timedelta(microseconds=us)


def to_request(row: Sequence[Any], feeds: dict[int, str]) -> Request:
    """A row of one of the request statements (without its first column) as the rules see it."""
    line_id, us, endpoint_id, endpoint, pool, member, client, port, method, path, uri, *more = row
    status, outcome, took, size, link, raw = more
    return Request(
        line_id, moment(us), endpoint_id, endpoint, pool, member, client, port, records.method_name(method), path, uri, status,
        OUTCOMES[outcome], took, size, LINKS[max(link, 0)], link == records.Link.SUSPECT, raw,
        feeds.get(line_id >> LINE_BITS, ""),
    )  # fmt: skip


def grouped(found: Iterable[Sequence[Any]], feeds: dict[int, str]) -> dict[int, list[Request]]:
    """Rows by their first column."""
    out: dict[int, list[Request]] = defaultdict(list)
    for row in found:
        out[row[0]].append(to_request(row[1:], feeds))
    return out


# The requests that carry a try's key lie so long before and after its end, whichever tries it is judged with. Before: a
# deferred try is queued anew when it goes on, so what Airflow tells of its begin can lie behind most of its calls.
BEFORE_END, AFTER_END = timedelta(days=1), timedelta(minutes=10)


class Ended(Protocol):
    """A try, as a row of models or as plain values."""

    pk: int
    end_at: datetime | None


def around_ends(tries: Sequence[Ended]) -> dict[str, Any]:
    """The parameters of a statement that asks for what carries the keys of these tries, which have ended."""
    ends = [t.end_at for t in tries if t.end_at is not None]
    bounds = {"from": min(ends) - BEFORE_END, "to": max(ends) + AFTER_END}
    return {"tries": [t.pk for t in tries], "before": BEFORE_END, "after": AFTER_END, **bounds}


def exact_requests(tries: Sequence[Ended], feeds: dict[int, str]) -> dict[int, list[Request]]:
    """The requests of each try by UUID, header, or run and time, in time order."""
    return grouped(rows("try_requests", **around_ends(tries)), feeds)


def windowed(name: str, windows: Sequence[Window], **more: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement that asks for windows of endpoints."""
    if not windows:
        return []
    parameters = {
        "endpoints": [w[0] for w in windows],
        "froms": [w[1] for w in windows],
        "tos": [w[2] for w in windows],
        **more,
    }
    return rows(name, **parameters)


def failed_requests(windows: Sequence[Window], feeds: dict[int, str]) -> list[Request]:
    """What went badly or took long inside these windows and has no exact link; each once, in time order."""
    if not windows:
        return []
    ends = {"from": min(w[1] for w in windows), "to": max(w[2] for w in windows)}
    found = windowed("failed_in_windows", windows, **ends)
    if not found:
        return []
    places = {"endpoints": [f[0] for f in found], "times": [f[1] for f in found]}
    made = [to_request(row[1:], feeds) for row in rows("failed_requests", **places, **ends)]
    return sorted(made, key=lambda r: (r.at, r.line_id))


class Loader:
    """Reads many requests at a time: narrow rows of the virtual servers, pools and members of one world."""

    def __init__(self, world: World) -> None:
        self._feeds = world.feed_names
        self._endpoints = {pk: endpoint.name for pk, endpoint in world.endpoints.items()}
        self._pools, self._members = world.pool_names, world.member_names
        self._clients: dict[int | None, str] = {None: ""}
        self._paths: dict[int | None, str] = {None: ""}

    def __call__(
        self, name: str, windows: Sequence[Window], paths: Sequence[str] | None = None
    ) -> dict[int, list[Request]]:
        """The rows of near_requests or usual_requests by endpoint, in no order."""
        found = windowed(name, windows, **({} if paths is None else {"paths": paths}))
        endpoints, pools, members = self._endpoints, self._pools, self._members
        methods = {code: records.method_name(code) for code in {row[7] for row in found}}
        self._learn({row[5] for row in found}, {row[6] for row in found})
        clients, templates = self._clients, self._paths
        out: dict[int, list[Request]] = defaultdict(list)
        for line_id, us, endpoint, pool, member, client, path, method, status, outcome, took, size, link in found:
            out[endpoint].append(
                Request(
                    line_id, moment(us), endpoint, endpoints.get(endpoint, ""), pools.get(pool, ""),
                    members.get(member, ""), clients.get(client, ""), None, methods[method], templates.get(path, ""),
                    templates.get(path, ""), status, OUTCOMES[outcome], took, size,
                    LINKS[max(link, 0)], link == records.Link.SUSPECT, "", self._feeds.get(line_id >> LINE_BITS, ""),
                )
            )  # fmt: skip
        return out

    def _learn(self, clients: set[int | None], paths: set[int | None]) -> None:
        """Look up the names that are not known yet."""
        new = {"clients": sorted(clients - self._clients.keys()), "paths": sorted(paths - self._paths.keys())}  # type: ignore[type-var]
        for what, pk, text in rows("request_names", **new) if new["clients"] or new["paths"] else ():
            (self._paths if what else self._clients)[pk] = text


Host = tuple[str, int | None]


def known_hosts(airflow_id: int, dags: Iterable[str]) -> tuple[dict[str, Host], list[tuple[str, str, Host]]]:
    """Where each connection leads; and (dag, task, host) for every host that a log of these DAGs named."""
    connections: dict[str, Host] = {}
    named: list[tuple[str, str, Host]] = []
    for conn_id, dag, task, host, port in rows("known_hosts", airflow=airflow_id, dags=sorted(dags)):
        if conn_id:
            connections[conn_id] = (host, port)
        elif host:
            named.append((dag, task, (host, port)))
    return connections, named


def task_log(facts: dict[str, Any]) -> records.TaskLog:
    """The stored facts as the record they were."""
    known = {name: facts[name] for name in records.TaskLog.__dataclass_fields__ if name in facts}
    known["exceptions"] = tuple((str(kind), str(text)) for kind, text in facts.get("exceptions", ()))
    known["lines"] = tuple(facts.get("lines", ()))
    known["correlation_ids"] = tuple(facts.get("correlation_ids", ()))
    ended = facts.get("ended_at")
    known["ended_at"] = datetime.fromisoformat(ended) if isinstance(ended, str) else ended
    return records.TaskLog(**known)


def health(groups: Iterable[int], lo: datetime, hi: datetime) -> dict[int, list[Health]]:
    """Health events by device group, in time order."""
    found = (
        HealthEvent.objects.filter(device__group__in=list(groups), at__gte=lo, at__lt=hi)
        .select_related("f5_pool", "member", "device", "feed")
        .order_by("at", "id")
    )
    out: dict[int, list[Health]] = defaultdict(list)
    for event in found:
        out[event.device.group_id].append(
            Health(
                event.at, event.kind, event.state, event.f5_pool.name if event.f5_pool else "",
                event.member.name if event.member else "", event.object, event.reason, event.line_id, event.raw,
                event.feed.name if event.feed else "", event.detail,
            )
        )  # fmt: skip
    return out


MOST_CHANGES, MOST_EVENTS = 5000, 20000


def actions(
    devices: Iterable[str], changed: Span | None, airflow: str, dags: Iterable[str], heard: Span
) -> tuple[list[Change], dict[tuple[str, str], list[Change]]]:
    """F5's configuration changes in time order, plain logins and reads left out; and Airflow's event log.

    The events are by (dag, task), or (dag, "") for those of a whole run.
    """
    from airf5.accounts.models import UserAction

    mine = Q(layer="airflow", source=airflow, dag_id__in=list(dags), at__gte=heard[0], at__lt=heard[1])
    wanted = mine & ~Q(tool="task")
    if changed is not None:
        device = Q(layer="f5", source__in=list(devices), at__gte=changed[0], at__lt=changed[1])
        wanted |= device & ~Q(verb__startswith="log")
    changes: list[Change] = []
    events: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for action in UserAction.objects.filter(wanted).order_by("at", "id")[: MOST_CHANGES + MOST_EVENTS]:
        if action.layer == "f5":
            changes.append(change(action))
        else:
            events[(action.dag_id, str(action.detail.get("task_id") or ""))].append(change(action))
    return changes, events


def change(action: Any) -> Change:
    """A user action as the rules see it."""
    return Change(
        action.at,
        action.actor,
        action.verb,
        action.target,
        action.raw,
        action.line_id,
        action.source,
        action.raw or action.target,
    )


def jobs(airflow_id: int, lo: datetime, hi: datetime) -> tuple[Job, ...]:
    """Schedulers that ended in the time."""
    found = JobRow.objects.filter(airflow=airflow_id, end_at__gte=lo, end_at__lt=hi).order_by("end_at", "job_id")
    return tuple(Job(j.job_type, j.state, j.end_at, j.heartbeat_at) for j in found)
