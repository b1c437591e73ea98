"""Tables' rows of tries and verdicts as the rows that pages show."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet

from dashboards.queries.rows import ReviewRow, TryRow, VerdictRow
from ingest.models import Review
from ingest.rules.causes import CAUSES

VERDICT = ("airflow", "verdict", "verdict__endpoint", "verdict__f5_pool", "verdict__member")


def with_verdicts(found: QuerySet[Any]) -> QuerySet[Any]:
    """Tries with all that `try_row` shows of them."""
    return found.select_related(*VERDICT).prefetch_related(standing())


def standing(way: str = "") -> Prefetch[Any]:
    """The reviews that were not withdrawn, newest first; `way` leads from the queried table to the try."""
    found = Review.objects.filter(withdrawn_at=None).order_by("-at", "-id")
    return Prefetch(f"{way}reviews", found, to_attr="standing")


def cause_name(code: str) -> str:
    cause = CAUSES.get(code)
    return cause.name if cause else code.replace("_", " ")


def try_row(one: Any) -> TryRow:
    """Needs a try read by `with_verdicts`."""
    verdict = getattr(one, "verdict", None)
    return TryRow(
        id=one.id, airflow=one.airflow.name, dag_id=one.dag_id, run_id=one.run_id, task_id=one.task_id,
        map_index=one.map_index, try_number=one.try_number, state=one.state, ti_id=str(one.ti_id) if one.ti_id else "",
        airflow_pool=one.airflow_pool, operator=one.operator, conn_id=one.conn_id, hostname=one.hostname,
        scheduled_at=one.scheduled_at, queued_at=one.queued_at, start_at=one.start_at, end_at=one.end_at,
        duration_s=one.duration_s, max_tries=one.max_tries, verdict=verdict_row(verdict) if verdict else None,
        review=review_row(one.standing[0], verdict) if one.standing else None,
    )  # fmt: skip


def verdict_row(verdict: Any) -> VerdictRow:
    return VerdictRow(
        status=verdict.status, culprit=verdict.culprit, cause=verdict.cause, cause_name=cause_name(verdict.cause),
        sentence=verdict.sentence, component_kind=verdict.component_kind, component=verdict.component,
        route_acquitted=verdict.route_acquitted, confidence=verdict.confidence, slow=verdict.slow,
        endpoint_id=verdict.endpoint_id, endpoint=verdict.endpoint.name if verdict.endpoint else "",
        f5_pool_id=verdict.f5_pool_id, f5_pool=verdict.f5_pool.name if verdict.f5_pool else "",
        member_id=verdict.member_id, member=verdict.member.name if verdict.member else "",
        incident_id=verdict.incident_id, bad_at=verdict.bad_at, links=dict(verdict.links),
        waiting_for=tuple(str(word) for word in verdict.waiting_for),
    )  # fmt: skip


def review_row(review: Any, verdict: Any | None) -> ReviewRow:
    """A person's word beside what the verdict says now (None: no verdict is due any more)."""
    about, now = review.answer, (verdict.culprit, verdict.cause, verdict.component) if verdict else ("", "", "")
    return ReviewRow(
        id=review.id, at=review.at, author=review.author, says=review.says, culprit=review.culprit, cause=review.cause,
        cause_name=cause_name(review.cause), component=review.component, words=review.words,
        about_culprit=about["culprit"], about_cause=about["cause"], about_cause_name=cause_name(about["cause"]),
        about_component=about["component"], about_rule=about["rule"], about_rule_version=about["rule_version"],
        about_status=about["status"], about_confidence=about["confidence"], earlier=not review.is_about(*now),
        agrees=review.agrees_with(*now), withdrawn_at=review.withdrawn_at, withdrawn_by=review.withdrawn_by,
    )  # fmt: skip
