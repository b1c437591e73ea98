"""A Filter as conditions on the tables: which tries, endpoints, pools and members a question is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from airf5.accounts.roles import Scope
from dashboards.filters import Filter, regex
from ingest import models

TRY_FIELDS = ("airflow", "dag", "task", "run", "airflow_pool")


def names(column: str, value: str, *, path: bool = False) -> Q:
    """A column against a value that may hold *; with `path` the last part of /Common/name is enough."""
    if not value:
        return Q()
    if "*" not in value and not path:
        return Q(**{column: value})
    return Q(**{f"{column}__regex": regex(value, path=path)})


def in_group(asked: Filter, at: str = "group__name") -> Q:
    return names(at, asked.device_group)


def endpoint_ids(asked: Filter) -> list[int] | None:
    """None: not narrowed by endpoint. A device group alone is all of its endpoints."""
    if not asked.endpoint and not (asked.device_group and not asked.f5_pool and not asked.member):
        return None
    found = models.Endpoint.objects.filter(names("name", asked.endpoint, path=True), in_group(asked))
    return list(found.values_list("id", flat=True))


def pool_ids(asked: Filter) -> list[int] | None:
    if not asked.f5_pool:
        return None
    found = models.F5Pool.objects.filter(names("name", asked.f5_pool, path=True), in_group(asked))
    return list(found.values_list("id", flat=True))


def member_ids(asked: Filter) -> list[int] | None:
    if not asked.member:
        return None
    found = models.Member.objects.filter(names("name", asked.member, path=True) | _address(asked.member))
    return list(found.filter(in_group(asked, "f5_pool__group__name")).values_list("id", flat=True))


def _address(value: str) -> Q:
    address, _, port = value.rpartition(":")
    return (
        Q(address=address, port=int(port))
        if address and port.isascii() and port.isdigit() and len(port) < 6
        else Q(pk=None)
    )


def routes(asked: Filter) -> dict[str, list[int]]:
    """The F5 side of a question as {column of Request: ids}; empty where it is not narrowed."""
    found = {"endpoint_id": endpoint_ids(asked), "f5_pool_id": pool_ids(asked), "member_id": member_ids(asked)}
    return {column: ids for column, ids in found.items() if ids is not None}


def tries(asked: Filter, scope: Scope, *, at: str = "") -> Q:
    """The Airflow side of a question; `at` is the way from the queried table to the try ("try_row__")."""
    condition = names(f"{at}airflow__name", asked.airflow)
    for field, column in (("dag", "dag_id"), ("task", "task_id"), ("run", "run_id"), ("airflow_pool", "airflow_pool")):
        condition &= names(at + column, getattr(asked, field))
    if scope.dags is not None:
        condition &= Q(**{f"{at}dag_id__in": scope.dags})
    return condition


def in_scope(scope: Scope, at: str = "") -> Q:
    """`at` is the way from the queried table to the try ("try_row__")."""
    return Q() if scope.dags is None else Q(**{f"{at}dag_id__in": scope.dags})


def active(asked: Filter) -> Q:
    """Tries that were active in the window: queued in it, or queued before and not yet ended when it began."""
    inside = Q(queued_at__gte=asked.start, queued_at__lt=asked.end)
    return inside | Q(queued_at__lt=asked.start, end_at__gte=asked.start) | Q(queued_at__lt=asked.start, end_at=None)


def verdicts(asked: Filter) -> Q:
    condition = Q()
    if asked.culprit:
        condition &= Q(verdict__culprit__in=asked.values("culprit"))
    if asked.cause:
        condition &= Q(verdict__cause__in=asked.values("cause"))
    return condition


def reviewed(asked: Filter) -> Q:
    """By the newest word on each try that was not withdrawn. Reviews are few: they are read once, not once a try."""
    if not asked.review:
        return Q()
    stands = models.Review.objects.filter(withdrawn_at=None)
    newest = stands.order_by("try_row", "-at", "-id").distinct("try_row").values("id")
    wanted = [word for word in asked.values("review") if word != "none"]
    said = Q(id__in=models.Review.objects.filter(id__in=newest, says__in=wanted).values("try_row"))
    if "none" not in asked.values("review"):
        return said
    return said | (Q(verdict__isnull=False) & ~Q(id__in=stands.values("try_row")))


def crossing(asked: Filter, ids: dict[str, list[int]]) -> Q:
    """Tries with an exactly joined request in the window that fits all of `ids`.

    Not correlated with the try: the requests are read once, by time, and not once a try.
    """
    fits = {f"{column}__in": values for column, values in ids.items()}
    met = models.Request.objects.filter(ts__gte=asked.start, ts__lt=asked.end, try_key_id__isnull=False, **fits)
    keys = models.TryKey.objects.filter(id__in=met.values("try_key_id"), try_row__isnull=False)
    return Q(id__in=keys.values("try_row_id"))


def try_rows(asked: Filter, scope: Scope) -> QuerySet[Any]:
    """The tries a question is about: active in the window, judged so, and on that route."""
    found = models.Try.objects.filter(active(asked), tries(asked, scope), verdicts(asked), reviewed(asked))
    found = found.filter(queued_at__isnull=False)
    if asked.state:
        found = found.filter(state__in=asked.values("state"))
    ids = routes(asked)
    if ids:
        named = Q(**{f"verdict__{column}__in": values for column, values in ids.items()})
        met = crossing(asked, ids)
        # Asked whose fault it was, the route is the one that was judged, where the verdict names one.
        judged = Q(verdict__endpoint=None) if asked.culprit or asked.cause else Q()
        found = found.filter(named | (judged & met))
    return found


def about_tries(asked: Filter) -> bool:
    """Whether a question names anything of Airflow's side or of verdicts."""
    return any(getattr(asked, field) for field in (*TRY_FIELDS, "culprit", "cause"))


def used_endpoints(asked: Filter, scope: Scope) -> set[int]:
    """Endpoints that the tries of a question used in the window, by exact joins or by verdict."""
    narrowed = try_rows(asked.with_(state="", device_group="", f5_pool="", endpoint="", member=""), scope)
    keys = models.TryKey.objects.filter(try_row__in=narrowed).values("id")
    met = models.Request.objects.filter(ts__gte=asked.start, ts__lt=asked.end, try_key_id__in=keys)
    judged = models.Verdict.objects.filter(try_row__in=narrowed, endpoint__isnull=False)
    return set(met.values_list("endpoint_id", flat=True).distinct()) | set(
        judged.values_list("endpoint_id", flat=True).distinct()
    )


def ids_of(rows: Iterable[Any], column: str) -> list[Any]:
    """The distinct values of a column, without None, for one look-up by id."""
    return sorted({value for row in rows if (value := getattr(row, column)) is not None})
