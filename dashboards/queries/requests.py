"""Requests that crossed F5: a keyset list that walks back by slices of time, and those of one try or endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import narrow, paging
from dashboards.queries.database import reading
from dashboards.queries.rows import Page, RequestRow
from dashboards.words import EXACT
from ingest import models
from ingest.records import Link, Outcome, method_name

FIRST_SLICE = timedelta(minutes=5)
WIDEST_SLICE = timedelta(days=1)
FAILED = (Outcome.SERVER_ERROR, Outcome.UNANSWERED)


@reading()
def listed(asked: Filter, scope: Scope) -> Page[RequestRow]:
    """Newest first. Without a b-tree on time, a page is found by ever wider slices back from the cursor."""
    conditions = _conditions(asked, scope)
    found: list[Any] = []
    top, last = asked.end, None
    if asked.after:
        last = paging.decode(asked.after, asked.sort, (datetime, int))
        top = min(top, last[0] + timedelta(microseconds=1))
    width = FIRST_SLICE
    while top > asked.start and len(found) <= asked.limit:
        bottom = max(asked.start, top - width)
        part = models.Request.objects.filter(conditions, ts__gte=bottom, ts__lt=top)
        if last is not None:
            part = part.filter(Q(ts__lt=last[0]) | Q(ts=last[0], line_id__lt=last[1]))
        found += part.order_by("-ts", "-line_id")[: asked.limit + 1 - len(found)]
        top, width = bottom, min(width * 2, WIDEST_SLICE)
    cut = paging.page(found, asked, lambda row: (row.ts, row.line_id), lambda row: row)
    return Page(_rows(cut.rows), cut.next)


@reading()
def of_try(try_id: int, start: datetime, end: datetime, limit: int = 500) -> tuple[RequestRow, ...]:
    """The requests joined exactly to a try, oldest first."""
    keys = list(models.TryKey.objects.filter(try_row_id=try_id).values_list("id", flat=True))
    found = models.Request.objects.filter(ts__gte=start, ts__lt=end, try_key_id__in=keys)
    return _rows(list(found.order_by("ts", "line_id")[:limit]))


@reading()
def deciding(verdict: Any) -> tuple[RequestRow, ...]:
    """The request that a verdict rests on, where no key in it says whose it is: joined by time, so a candidate."""
    if verdict.bad_at is None or verdict.endpoint_id is None:
        return ()
    lines = list(verdict.evidence.filter(kind="request").values_list("line_id", flat=True))
    at = {"ts": verdict.bad_at, "endpoint_id": verdict.endpoint_id, "line_id__in": lines}
    return candidates(_rows(list(models.Request.objects.filter(try_key_id=None, **at)[:1])), [verdict])


def candidates(rows: Sequence[RequestRow], verdicts: Sequence[Any]) -> tuple[RequestRow, ...]:
    """The rows, those that a verdict rests on without a key given to its try; needs select_related("try_row")."""
    by_time = {(v.bad_at, v.endpoint_id): v for v in verdicts if v.bad_at and set(v.links) - set(EXACT)}
    return tuple(_given(row, by_time.get((row.at, row.endpoint_id))) for row in rows)


def _given(row: RequestRow, verdict: Any) -> RequestRow:
    if verdict is None or row.try_id is not None:
        return row
    kind = max(set(verdict.links) - set(EXACT), key=lambda name: Link[name.upper()])
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    whose = {name: getattr(verdict.try_row, name) for name in names}
    return replace(row, try_id=verdict.try_row_id, link=kind, airflow=verdict.try_row.airflow.name, **whose)


@reading()
def of_endpoint(
    endpoint_id: int, start: datetime, end: datetime, *, failed: bool = False, limit: int = 500
) -> tuple[RequestRow, ...]:
    """All requests of an endpoint, good ones too, oldest first."""
    return _rows(list(_of_endpoint(endpoint_id, start, end, failed).order_by("ts", "line_id")[:limit]))


@reading()
def counted(endpoint_id: int, start: datetime, end: datetime) -> int:
    return _of_endpoint(endpoint_id, start, end, False).count()


@reading()
def notable(endpoint_ids: Sequence[int], start: datetime, end: datetime, limit: int = 1000) -> tuple[RequestRow, ...]:
    """Requests that did not go plainly well (the partial index holds them), of several endpoints, oldest first."""
    found = models.Request.objects.filter(endpoint_id__in=endpoint_ids, ts__gte=start, ts__lt=end, outcome__gt=0)
    return _rows(list(found.exclude(outcome=Outcome.CLIENT_ERROR).order_by("ts", "line_id")[:limit]))


def _of_endpoint(endpoint_id: int, start: datetime, end: datetime, failed: bool) -> QuerySet[Any]:
    found = models.Request.objects.filter(endpoint_id=endpoint_id, ts__gte=start, ts__lt=end)
    return found.filter(outcome__in=FAILED) if failed else found


def chosen(asked: Filter, scope: Scope) -> QuerySet[Any]:
    return models.Request.objects.filter(_conditions(asked, scope), ts__gte=asked.start, ts__lt=asked.end)


def _conditions(asked: Filter, scope: Scope) -> Q:
    condition = Q(**{f"{column}__in": ids for column, ids in narrow.routes(asked).items()})
    if narrow.about_tries(asked) or scope.dags is not None:
        tries = models.Try.objects.filter(narrow.tries(asked, scope), narrow.verdicts(asked))
        keys = models.TryKey.objects.filter(try_row__in=tries).values("id")
        condition &= Q(try_key_id__in=keys)
    if asked.state:
        condition &= Q(outcome__in=_outcomes(asked.values("state")))
        # Says to the planner that the partial index of failures will do.
        condition &= Q() if "ok" in asked.values("state") else Q(outcome__gt=0)
    return condition


def _outcomes(states: Sequence[str]) -> set[int]:
    named = {int(Outcome[state.upper()]) for state in states if state != "failed"}
    return named | {int(outcome) for outcome in FAILED} if "failed" in states else named


def _rows(found: Sequence[Any]) -> tuple[RequestRow, ...]:
    """Names for ids, by one look-up per table."""
    if not found:
        return ()
    names = {
        "f5_pool": _names(models.F5Pool, "name", found, "f5_pool_id"),
        "member": _names(models.Member, "name", found, "member_id"),
        "client": _names(models.Client, "address", found, "client_id"),
        "path": _names(models.Path, "template", found, "path_id"),
    }
    endpoints = models.Endpoint.objects.filter(id__in=narrow.ids_of(found, "endpoint_id"))
    named = list(endpoints.values_list("id", "name", "group__name"))
    names |= {"endpoint": {id: name for id, name, _ in named}, "group": {id: group for id, _, group in named}}
    details, tries = _details(found), _tries(found)
    return tuple(_row(one, names, details.get(one.line_id), tries.get(one.try_key_id)) for one in found)


def _names(model: Any, column: str, found: Sequence[Any], by: str) -> dict[int, str]:
    return dict(model.objects.filter(id__in=narrow.ids_of(found, by)).values_list("id", column))


def _details(found: Sequence[Any]) -> dict[int, Any]:
    bad = [one.line_id for one in found if one.outcome != Outcome.OK or one.link == Link.SUSPECT]
    if not bad:
        return {}
    times = [one.ts for one in found]
    kept = models.RequestDetail.objects.filter(line_id__in=bad, ts__gte=min(times), ts__lte=max(times))
    return {detail.line_id: detail for detail in kept}


def _tries(found: Sequence[Any]) -> dict[int, dict[str, Any]]:
    keys = models.TryKey.objects.filter(id__in=narrow.ids_of(found, "try_key_id"), try_row__isnull=False)
    columns = {name: F(f"try_row__{name}") for name in ("dag_id", "run_id", "task_id", "map_index", "try_number")}
    columns["airflow"] = F("try_row__airflow__name")
    return {row.pop("id"): row for row in keys.values("id", try_id=F("try_row_id"), **columns)}


def _row(one: Any, names: dict[str, dict[int, str]], detail: Any, of: dict[str, Any] | None) -> RequestRow:
    return RequestRow(
        line_id=one.line_id, at=one.ts, endpoint_id=one.endpoint_id,
        endpoint=names["endpoint"].get(one.endpoint_id, f"endpoint {one.endpoint_id}"),
        f5_pool=names["f5_pool"].get(one.f5_pool_id, ""), member_id=one.member_id,
        member=names["member"].get(one.member_id, ""), client=names["client"].get(one.client_id, ""),
        client_port=detail.client_port if detail else None, method=method_name(one.method),
        path=detail.uri if detail else names["path"].get(one.path_id, ""), status=one.status,
        outcome=Outcome(one.outcome).name.lower(), took_us=one.response_us, bytes=one.bytes,
        link=Link(max(one.link, 0)).name.lower(), suspect=one.link == Link.SUSPECT, **(of or {}),
        host=detail.host if detail else "", correlation_id=detail.correlation_id if detail else "",
        raw=detail.raw if detail else "", device_group=names["group"].get(one.endpoint_id, ""),
    )  # fmt: skip
