"""A small world for the read side's tests: makers that state only what matters."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest import actions, histogram, models, partitions
from ingest.records import Link, Outcome

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def an_airflow(name: str = "prod") -> models.Airflow:
    return models.Airflow.objects.get_or_create(name=name)[0]


def a_route(name: str = "orders", members: int = 2) -> models.Endpoint:
    """An endpoint with its pool and members."""
    group = models.DeviceGroup.objects.get_or_create(name="bigip")[0]
    models.Device.objects.get_or_create(name="bigip-1", group=group)
    pool = models.F5Pool.objects.get_or_create(group=group, name=f"/Common/pool_{name}")[0]
    for number in range(1, members + 1):
        known = {"address": f"10.1.0.{number}", "port": 9000, "state": "up"}
        models.Member.objects.get_or_create(f5_pool=pool, name=f"/Common/{name}{number}:9000", defaults=known)
    return models.Endpoint.objects.get_or_create(group=group, name=f"/Common/vs_{name}", defaults={"f5_pool": pool})[0]


def a_try(dag_id: str = "orders_sync", at: datetime = NOW - timedelta(minutes=10), **changes: Any) -> models.Try:
    number = next(_numbers)
    facts: dict[str, Any] = {
        "airflow": changes.pop("airflow", None) or an_airflow(), "dag_id": dag_id, "run_id": f"manual__{number}",
        "task_id": "get", "try_number": 1, "state": "success", "airflow_pool": "default_pool", "seen_at": at,
        "scheduled_at": at - timedelta(seconds=1), "queued_at": at, "start_at": at + timedelta(seconds=1),
        "end_at": at + timedelta(seconds=5), "duration_s": 4.0,
    }  # fmt: skip
    return models.Try.objects.create(**{**facts, **changes})


def a_verdict(of: models.Try, culprit: str = "route", cause: str = "member_grey", **changes: Any) -> models.Verdict:
    facts: dict[str, Any] = {
        "status": "final", "sentence": "Route: one member failed.", "confidence": 0.9, "rule": "member_grey",
        "rule_version": "1", "judged_at": NOW, "bad_at": of.queued_at,
    }  # fmt: skip
    return models.Verdict.objects.create(try_row=of, culprit=culprit, cause=cause, **{**facts, **changes})


def a_review(of: models.Verdict, says: str = "confirmed", **changes: Any) -> models.Review:
    about = {name: getattr(of, name) for name in actions.ANSWER}
    facts: dict[str, Any] = {"author": f"person {next(_numbers)}", "at": NOW, "answer": about}
    return models.Review.objects.create(try_row=of.try_row, says=says, **{**facts, **changes})


def an_incident(
    endpoint: models.Endpoint, start: datetime = NOW - timedelta(minutes=20), **changes: Any
) -> models.Incident:
    facts: dict[str, Any] = {
        "fingerprint": f"f{next(_numbers)}", "culprit": "route", "cause": "member_grey", "component_kind": "member",
        "component": "/Common/orders1:9000", "f5_pool": endpoint.f5_pool, "last_evidence_at": start,
        "device_group": endpoint.group, "members": ["/Common/orders1:9000"],
    }  # fmt: skip
    return models.Incident.objects.create(endpoint=endpoint, start=start, **{**facts, **changes})


def a_request(
    endpoint: models.Endpoint, at: datetime = NOW - timedelta(minutes=9), of: models.Try | None = None, **changes: Any
) -> models.Request:
    partitions.make([at.date()])
    if of is not None:
        key = models.TryKey.objects.get_or_create(key=f"try {of.pk}", defaults={"try_row": of})[0]
        changes = {"try_key_id": key.pk, "link": Link.UUID, **changes}
    facts: dict[str, Any] = {
        "line_id": next(_numbers), "f5_pool_id": endpoint.f5_pool_id, "member_id": None, "method": 1, "status": 200,
        "client_id": models.Client.objects.get_or_create(address="10.0.0.7")[0].pk, "outcome": Outcome.OK,
        "path_id": models.Path.objects.get_or_create(template="/orders")[0].pk, "link": Link.NONE,
        "response_us": 20_000,
        "agent_id": models.Agent.objects.get_or_create(name="httpx")[0].pk,
    }  # fmt: skip
    return models.Request.objects.create(ts=at, endpoint_id=endpoint.pk, **{**facts, **changes})


def a_minute(endpoint: models.Endpoint, start: datetime, times_us: list[int], **changes: Any) -> models.RequestMinute:
    counts = {"requests": len(times_us), "histogram": histogram.of(times_us), "max_us": max(times_us, default=0)}
    return models.RequestMinute.objects.create(endpoint_id=endpoint.pk, start=start, **{**counts, **changes})


def a_feed(name: str = "bigip-1/request", kind: str = "f5_request", **changes: Any) -> models.Feed:
    facts: dict[str, Any] = {
        "state": "ok",
        "complete_from": NOW - timedelta(days=1),
        "complete_to": NOW - timedelta(seconds=4),
    }
    return models.Feed.objects.create(name=name, kind=kind, **{**facts, **changes})


def an_action(at: datetime = NOW - timedelta(minutes=5), **changes: Any) -> Any:
    from airf5.accounts.models import UserAction

    facts: dict[str, Any] = {
        "layer": "f5",
        "actor": "admin",
        "verb": "modify",
        "target": "ltm pool /Common/pool_orders",
    }
    return UserAction.objects.create(at=at, fingerprint=f"a{next(_numbers)}", **{**facts, **changes})
