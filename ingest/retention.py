"""What is kept for years, AIRF5_RETENTION_AUDIT_DAYS, and then removed: user actions, incidents, verdicts with their
tries, what F5's logs said besides requests, and lines that could not be read.

Removed in small batches, the oldest first, so that no turn of housekeeping holds anybody up; a first turn over years
of rows takes several. Captures are exempt. What an open incident or a try that still waits for data rests on stays.
How far each class is removed is kept (`models.Expiry`), so that a page can say it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from airf5.accounts.models import UserAction
from ingest import partitions
from ingest.models import (
    Airflow,
    DagRun,
    Device,
    Expiry,
    F5Message,
    Feed,
    HealthEvent,
    Incident,
    Reject,
    Try,
    TryKey,
    Verdict,
)

AT_ONCE = 500
MOST_BATCHES = 20  # of each class in one turn of housekeeping: 10,000 rows every ten minutes
NEEDED = timedelta(hours=6)  # as far back as judging and the pages look around what went wrong


def expire(now: datetime) -> dict[str, int]:
    """Remove what is over; how many rows of each class were removed in this turn."""
    before = now - partitions.retention("audit")
    return {kind: _expire(kind, before, now) for kind in CLASSES}


def _expire(kind: str, before: datetime, now: datetime) -> int:
    removed = 0
    for _ in range(MOST_BATCHES):
        some = _remove_some(kind, before, now)
        removed += some
        if some < AT_ONCE:
            break
    return removed


def _remove_some(kind: str, before: datetime, now: datetime) -> int:
    """One batch, with the note of it, in one transaction. A row that somebody changes just now waits for the next turn."""
    over = CLASSES[kind](before).order_by("over_at", "pk").select_for_update(skip_locked=True, of=("self",))
    with transaction.atomic():
        rows = list(over.values_list("pk", "over_at")[:AT_ONCE])
        if not rows:
            return 0
        keys = [pk for pk, _ in rows]
        if over.model is Try:
            TryKey.objects.filter(try_row__in=keys).delete()
        if over.model is Incident:  # what was merged into one goes with it; alone it would come to light again
            keys += _merged_into(keys)
        over.model._default_manager.filter(pk__in=keys).delete()
        _note(kind, rows[-1][1], len(rows), now)
    return len(rows)


def _note(kind: str, upto: datetime, count: int, now: datetime) -> None:
    known, _ = Expiry.objects.select_for_update().get_or_create(kind=kind, defaults={"upto": upto, "at": now})
    known.upto, known.at, known.rows = max(known.upto, upto), now, known.rows + count
    known.save()


def _merged_into(keys: list[int]) -> list[int]:
    found: list[int] = []
    while keys:
        keys = list(Incident.objects.filter(merged_into__in=keys).exclude(pk__in=found).values_list("pk", flat=True))
        found += keys
    return found


# The classes: what of each is over, with the time by which it is


def _captured(side: str) -> QuerySet[Feed]:
    return Feed.objects.exclude(capture="").exclude(**{side: None}).values(side)


def _open_incidents(**around: object) -> Exists:
    return Exists(Incident.objects.filter(capture="", merged_into=None, end=None, **around))


def _waiting_tries() -> Exists:
    """Tries not finally judged yet, around the row's time."""
    began = Try.objects.annotate(began=Coalesce("queued_at", "start_at", "end_at")).exclude(
        airflow__in=_captured("airflow")
    )
    return Exists(
        began.filter(judge=True, end_at__gte=OuterRef("over_at") - NEEDED, began__lte=OuterRef("over_at") + NEEDED)
    )


def _actions(before: datetime) -> QuerySet[UserAction]:
    airflows = Airflow.objects.filter(pk__in=_captured("airflow")).values("name")
    devices = Device.objects.filter(pk__in=_captured("device")).values("name")
    found = UserAction.objects.filter(at__lt=before).annotate(over_at=F("at"))
    found = found.exclude(layer="airflow", source__in=airflows).exclude(layer="f5", source__in=devices)
    near = {"start__gte": OuterRef("over_at") - NEEDED, "start__lte": OuterRef("over_at") + NEEDED}
    return found.filter(~_open_incidents(**near), ~_waiting_tries())


def _incidents(before: datetime) -> QuerySet[Incident]:
    waits = Exists(Verdict.objects.filter(incident=OuterRef("pk"), try_row__judge=True))
    found = Incident.objects.filter(capture="", merged_into=None, end__lt=before)
    return found.annotate(over_at=F("end")).filter(~waits)


def _tries(before: datetime) -> QuerySet[Try]:
    """Tries with their verdicts, proofs and history. A request's key is needed as long as the request is there."""
    before = min(before, before + partitions.retention("audit") - partitions.retention("requests") - timedelta(days=1))
    over = Q(end_at__lt=before) | Q(end_at=None, seen_at__lt=before)
    kept = Exists(Verdict.objects.filter(try_row=OuterRef("pk"), incident__isnull=False))
    found = Try.objects.filter(over, judge=False, history_wanted=False).exclude(log_state=Try.LogState.WANTED)
    found = found.exclude(airflow__in=_captured("airflow"))
    return found.annotate(over_at=Coalesce("end_at", "seen_at")).filter(~kept)


def _runs(before: datetime) -> QuerySet[DagRun]:
    tries = Try.objects.filter(airflow=OuterRef("airflow"), dag_id=OuterRef("dag_id"), run_id=OuterRef("run_id"))
    found = DagRun.objects.filter(end_at__lt=before).exclude(airflow__in=_captured("airflow"))
    return found.annotate(over_at=F("end_at")).filter(~Exists(tries))


def _health_events(before: datetime) -> QuerySet[HealthEvent]:
    found = HealthEvent.objects.filter(at__lt=before).exclude(device__in=_captured("device"))
    mine = {"f5_pool": OuterRef("f5_pool"), "start__lte": OuterRef("over_at") + NEEDED}
    return found.annotate(over_at=F("at")).filter(~_open_incidents(**mine), ~_waiting_tries())


def _messages(before: datetime) -> QuerySet[F5Message]:
    found = F5Message.objects.filter(at__lt=before).exclude(device__in=_captured("device"))
    return found.annotate(over_at=F("at"))


def _rejects(before: datetime) -> QuerySet[Reject]:
    captured = Feed.objects.exclude(capture="").values("pk")
    return Reject.objects.filter(at__lt=before).exclude(feed__in=captured).annotate(over_at=F("at"))


Kind = Expiry.Kind
CLASSES: dict[str, Callable[[datetime], QuerySet]] = {
    Kind.ACTIONS: _actions,
    Kind.INCIDENTS: _incidents,  # before the tries: what belongs to an incident that is kept is kept
    Kind.TRIES: _tries,
    Kind.RUNS: _runs,
    Kind.HEALTH: _health_events,
    Kind.MESSAGES: _messages,
    Kind.REJECTS: _rejects,
}
