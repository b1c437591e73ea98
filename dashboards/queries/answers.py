"""What requests met, by endpoint and member: counts and latencies, from minutes or from the requests themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from dashboards.queries import database
from dashboards.queries.database import reading
from dashboards.queries.rows import MemberAnswers
from ingest import models
from ingest.histogram import merge, quantile

EXACT = timedelta(hours=1)


@reading()
def of_endpoint(endpoint_id: int, start: datetime, end: datetime) -> tuple[MemberAnswers, ...]:
    """By member: to the second from the requests themselves for up to an hour, in whole minutes beyond."""
    if end - start > EXACT:
        return by_member(minutes([endpoint_id], start, end))
    found = database.rows("answers", {"endpoints": [endpoint_id], "start": start, "end": end})
    return _named([_Sum(row["endpoint_id"], row["member_id"] or 0, row) for row in found])


@reading()
def by_member(found: Sequence[Any]) -> tuple[MemberAnswers, ...]:
    """By endpoint and member, from the rows of `minutes`."""
    sums: dict[tuple[int, int], list[Any]] = {}
    for row in found:
        sums.setdefault((row.endpoint_id, row.member_id), []).append(row)
    return _named([_Sum(endpoint, member, total(rows)) for (endpoint, member), rows in sorted(sums.items())])


def minutes(endpoint_ids: Sequence[int] | None, start: datetime, end: datetime) -> list[Any]:
    """Rollup rows that touch the window: whole minutes; beyond two days the hours are enough."""
    coarse = end - start > timedelta(days=2)
    table, step = (models.RequestHour, timedelta(hours=1)) if coarse else (models.RequestMinute, timedelta(minutes=1))
    found = table.objects.filter(start__gt=start - step, start__lt=end)
    if endpoint_ids is not None:
        found = found.filter(endpoint_id__in=endpoint_ids)
    return list(found.order_by("start", "endpoint_id", "member_id"))


def total(rows: Sequence[Any]) -> dict[str, Any]:
    """The sum of rollup rows, with their latencies' quantiles."""
    names = ("requests", "client_errors", "server_errors", "unanswered")
    summed: dict[str, Any] = {name: sum(getattr(row, name) for row in rows) for name in names}
    histogram = merge(row.histogram for row in rows)
    longest = max((row.max_us for row in rows), default=0)
    for name, q in (("p50_us", 0.5), ("p95_us", 0.95), ("p99_us", 0.99)):
        summed[name] = _within(quantile(histogram, q), longest)
    return {**summed, "max_us": longest, "histogram": histogram}


def _within(quantile_us: int | None, longest: int) -> int | None:
    """A bucket ends later than the longest time in it, so what is read off a histogram can be too long."""
    return quantile_us if quantile_us is None or not longest else min(quantile_us, longest)


class _Sum:
    """One sum with whom it is of."""

    def __init__(self, endpoint_id: int, member_id: int, counts: dict[str, Any]) -> None:
        self.endpoint_id, self.member_id, self.counts = endpoint_id, member_id, counts


def _named(sums: Sequence[_Sum]) -> tuple[MemberAnswers, ...]:
    found = models.Endpoint.objects.filter(id__in={s.endpoint_id for s in sums})
    endpoints = {id: (name, group) for id, name, group in found.values_list("id", "name", "group__name")}
    members = dict(models.Member.objects.filter(id__in={s.member_id for s in sums} - {0}).values_list("id", "name"))
    return tuple(_answers(s, *endpoints.get(s.endpoint_id, ("", "")), members.get(s.member_id, "")) for s in sums)


def _answers(of: _Sum, endpoint: str, group: str, member: str) -> MemberAnswers:
    c = of.counts
    errors = c["client_errors"] + c["server_errors"] + c["unanswered"]
    return MemberAnswers(
        endpoint_id=of.endpoint_id, endpoint=endpoint, member_id=of.member_id, member=member, requests=c["requests"],
        ok=c["requests"] - errors, client_errors=c["client_errors"], server_errors=c["server_errors"],
        unanswered=c["unanswered"], p50_us=c["p50_us"], p95_us=c["p95_us"], p99_us=c["p99_us"], max_us=c["max_us"] or 0,
        device_group=group,
    )  # fmt: skip
