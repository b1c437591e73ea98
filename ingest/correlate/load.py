"""The reads behind a judgement: each function is one statement for a whole batch of tries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from airf5 import sql
from ingest import records
from ingest.models import Connection, Endpoint, Feed, HealthEvent, Member, SpoolFile, TaskLog, Try
from ingest.models import Job as JobRow
from ingest.models import request_feeds as request_feeds_of
from ingest.rules.facts import Change, Health, Job, Request

Window = tuple[int, datetime, datetime]  # endpoint id, from, to
LINE_BITS = 40  # line_id = file id << 40 | byte offset


def rows(name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of one of ingest/sql's statements."""
    with connection.cursor() as cursor:
        cursor.execute(sql.load(name), parameters)
        return list(cursor.fetchall())


def run(name: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.load(name), parameters)


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


def feed_names() -> dict[int, str]:
    """Spool file id -> name of its feed: tells where a line came from."""
    return dict(SpoolFile.objects.values_list("id", "feed__name"))


def exact_requests(tries: Sequence[Try], lo: datetime, hi: datetime, feeds: dict[int, str]) -> dict[int, list[Request]]:
    """The requests of each try by UUID, header, or run and time, in time order."""
    ids = [t.pk for t in tries]
    found = grouped(rows("try_requests", **{"tries": ids, "from": lo, "to": hi}), feeds)
    for try_id, more in grouped(rows("run_requests", **{"tries": ids, "from": lo, "to": hi}), feeds).items():
        found[try_id] = sorted([*found[try_id], *more], key=lambda r: (r.at, r.line_id))
    return found


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
    """Reads many requests at a time: narrow rows, whose names are asked for once a batch."""

    KINDS = ("endpoint", "f5_pool", "member", "client", "path")

    def __init__(self, feeds: dict[int, str]) -> None:
        self._feeds = feeds
        self._names: dict[str, dict[int | None, str]] = {kind: {None: ""} for kind in self.KINDS}

    def __call__(
        self, name: str, windows: Sequence[Window], paths: Sequence[str] | None = None
    ) -> dict[int, list[Request]]:
        """The rows of near_requests or usual_requests by endpoint, in no order."""
        found = windowed(name, windows, **({} if paths is None else {"paths": paths}))
        self._learn(found)
        endpoints, pools, members, clients, templates = (self._names[kind] for kind in self.KINDS)
        methods = {code: records.method_name(code) for code in {row[7] for row in found}}
        out: dict[int, list[Request]] = defaultdict(list)
        for line_id, us, endpoint, pool, member, client, path, method, status, outcome, took, size, link in found:
            template = templates[path]
            out[endpoint].append(
                Request(
                    line_id, moment(us), endpoint, endpoints[endpoint], pools[pool], members[member], clients[client],
                    None, methods[method], template, template, status, OUTCOMES[outcome], took, size,
                    LINKS[max(link, 0)], link == records.Link.SUSPECT, "", self._feeds.get(line_id >> LINE_BITS, ""),
                )
            )  # fmt: skip
        return out

    def _learn(self, found: Sequence[tuple[Any, ...]]) -> None:
        """Ask for the names not known yet; what has none any more is ""."""
        unknown = {
            kind: sorted({row[place] for row in found} - self._names[kind].keys())
            for place, kind in enumerate(self.KINDS, start=2)
        }
        if not any(unknown.values()):
            return
        for kind, ids in unknown.items():
            self._names[kind].update(dict.fromkeys(ids, ""))
        for kind, pk, name in rows("names", **unknown):
            self._names[kind][pk] = name


def logs(tries: Iterable[Try]) -> dict[int, records.TaskLog]:
    """What the task logs say, by try."""
    found = TaskLog.objects.filter(try_row__in=[t.pk for t in tries]).values_list("try_row_id", "facts")
    return {try_id: task_log(facts) for try_id, facts in found}


def named_hosts(airflow_id: int, dags: Iterable[str]) -> list[tuple[str, str, str, int | None]]:
    """(dag, task, host, port) that task logs of these DAGs named as the host of a failed call."""
    found = TaskLog.objects.filter(try_row__airflow=airflow_id, try_row__dag_id__in=list(dags)).exclude(facts__host="")
    rows = found.values_list("try_row__dag_id", "try_row__task_id", "facts__host", "facts__port").distinct()
    return [(dag, task, str(host), port if isinstance(port, int) else None) for dag, task, host, port in rows if host]


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


def members(pools: Iterable[int]) -> dict[int, list[str]]:
    out: dict[int, list[str]] = defaultdict(list)
    for pool, name in Member.objects.filter(f5_pool__in=list(pools)).order_by("name").values_list("f5_pool_id", "name"):
        out[pool].append(name)
    return out


def changes(sources: Iterable[str], lo: datetime, hi: datetime) -> list[Change]:
    """F5's configuration changes, in time order; plain logins and reads left out."""
    from airf5.accounts.models import UserAction

    found = UserAction.objects.filter(layer="f5", source__in=list(sources), at__gte=lo, at__lt=hi).exclude(
        verb__startswith="log"
    )
    return [_change(action) for action in found.order_by("at", "id")[:5000]]


def airflow_events(source: str, dags: Iterable[str], lo: datetime, hi: datetime) -> dict[tuple[str, str], list[Change]]:
    """Airflow's event log by (dag, task) or (dag, "") for events of a whole run."""
    from airf5.accounts.models import UserAction

    found = UserAction.objects.filter(layer="airflow", source=source, dag_id__in=list(dags), at__gte=lo, at__lt=hi)
    out: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for action in found.exclude(tool="task").order_by("at", "id")[:20000]:
        out[(action.dag_id, str(action.detail.get("task_id") or ""))].append(_change(action))
    return out


def _change(action: Any) -> Change:
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


def connections(airflow_id: int) -> dict[str, tuple[str, int | None]]:
    """Connection id -> (host, port)."""
    return {c.conn_id: (c.host, c.port) for c in Connection.objects.filter(airflow=airflow_id)}


def endpoints(scope: str) -> list[Endpoint]:
    """The virtual servers whose device is read in this scope (a capture's name, or "" for what is live)."""
    groups = Feed.objects.filter(device__isnull=False, capture=scope).values_list("device__group_id", flat=True)
    return list(
        Endpoint.objects.filter(group__in=set(groups))
        .select_related("f5_pool", "group")
        .prefetch_related("group__devices")
    )


def request_feeds(scope: str) -> list[Feed]:
    return list(request_feeds_of(scope))
