"""Judge history again with the rules of today: in the shade, to see what would change, or in earnest.

The reading and the judging are those of `ingest.judging`. In the shade every batch is a read-only transaction. What
requests are expired is left as it was judged: without them the same try would only lose its proof.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from ingest import judging, partitions
from ingest.correlate import TryRow, read, span
from ingest.incidents import update as incidents
from ingest.models import Airflow, Feed, Review, Try, Verdict
from ingest.rules import RULES_VERSION

BATCH = judging.BATCH
TOLD = (
    "culprit", "cause", "component_kind", "component", "route_acquitted", "slow", "confidence", "status", "sentence",
    "rule", "rule_version",
)  # fmt: skip
MATTERS = ("culprit", "cause", "component", "route_acquitted", "slow")
NO_VERDICT = "none"  # stands in the counts for a try without one


@dataclass(slots=True)
class Difference:
    """What the rules of today say otherwise, in counts. Pairs are (before, now)."""

    to_rules: str = RULES_VERSION
    from_rules: Counter[str] = field(default_factory=Counter)
    tries: int = 0  # that ended in the time
    expired: int = 0  # of them left as they are: requests of their time are no longer kept
    judged: int = 0
    with_verdict: int = 0  # before
    unchanged: int = 0
    reworded: int = 0  # of the unchanged: another sentence, confidence or rule
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    culprits: Counter[tuple[str, str]] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)  # of the changed ones
    components: int = 0  # same cause, another component
    newly_blamed: int = 0  # the route
    newly_cleared: int = 0
    confirmed: int = 0  # reviews that stand, and what they would say of the new answer
    confirmed_changed: int = 0
    overturned: int = 0
    overturned_agreed: int = 0


Told = Callable[[dict[str, Any]], None]
Progress = Callable[[Difference, datetime], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tries: of these Airflows, ended in [since, until). `again` False: without those these rules judged already."""

    airflows: Sequence[Airflow]
    since: datetime | None = None
    until: datetime | None = None
    dry: bool = True
    again: bool = True

    def tries(self, airflow: Airflow) -> QuerySet[Try]:
        found = Try.objects.filter(airflow=airflow, state__in=judging.ENDED, try_number__gte=1, end_at__isnull=False)
        if self.since:
            found = found.filter(end_at__gte=self.since)
        if self.until:
            found = found.filter(end_at__lt=self.until)
        if not self.again:
            done = Q(verdict__rule_version=RULES_VERSION, verdict__status=Verdict.Status.FINAL)
            found = found.exclude(done)
        return found


def run(asked: Asked, now: datetime, told: Told, progress: Progress) -> Difference:
    """Judge again; each try whose answer differs goes to `told`, what was counted so far to `progress` after a batch."""
    difference = Difference()
    for airflow in asked.airflows:
        kept = _Kept(airflow, now)
        for batch in _batches(asked.tries(airflow)):
            difference.tries += len(batch)
            there = [t for t in batch if kept.has(t)]
            difference.expired += len(batch) - len(there)
            if there:
                _one_batch(airflow, [t.pk for t in there], asked.dry, now, difference, told)
            assert batch[-1].end_at is not None
            progress(difference, batch[-1].end_at)
        if not asked.dry:
            _regroup(airflow, now)
    return difference


def _batches(found: QuerySet[Try]) -> Iterator[list[Try]]:
    """In the order in which they ended; a batch is read when the one before is done, so that nothing is held long."""
    after = Q()
    while True:
        batch = list(found.filter(after).order_by("end_at", "pk")[:BATCH])
        if not batch:
            return
        yield batch
        last = batch[-1]
        after = Q(end_at__gt=last.end_at) | Q(end_at=last.end_at, pk__gt=last.pk)


class _Kept:
    """Which tries still have all their requests."""

    def __init__(self, airflow: Airflow, now: datetime) -> None:
        self.captured = Feed.objects.filter(airflow=airflow).exclude(capture="").exists()
        self.days = {day for day, remark in partitions.existing(partitions.TABLES[0]).items() if remark}
        self.first = (now - partitions.retention("requests")).date()

    def has(self, t: Try) -> bool:
        start, end = (at.date() for at in span(t))
        if start >= self.first:
            return True
        return self.captured and all(day in self.days for day in _days(start, end))


def _days(start: date, end: date) -> Iterator[date]:
    return (start + timedelta(days=n) for n in range((end - start).days + 1))


def _one_batch(
    airflow: Airflow, ids: Sequence[int], dry: bool, now: datetime, difference: Difference, told: Told
) -> None:
    with transaction.atomic():
        if dry:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL transaction_read_only = on")
        found = read(Try.objects.filter(airflow=airflow, pk__in=ids).order_by("end_at", "pk"))
        reviews = _reviews(ids)
        said = judging.answers(airflow, found, now) if dry else judging.judge_again(airflow, ids, now)
    new = {v.try_row_id: v for v in said.verdicts}
    for t in found:
        difference.judged += 1
        changed = _count(difference, t.verdict, new.get(t.pk), reviews.get(t.pk))
        if changed:
            told(_row(airflow, t, new.get(t.pk), reviews.get(t.pk)))


def _reviews(ids: Sequence[int]) -> dict[int, Review]:
    """The newest word on each try that was not withdrawn."""
    found = Review.objects.filter(try_row__in=ids, withdrawn_at=None).order_by("try_row", "-at", "-id")
    return {review.try_row_id: review for review in found.distinct("try_row")}


def _count(d: Difference, old: Verdict | None, new: Verdict | None, review: Review | None) -> bool:
    """Add one try; whether its answer changed."""
    if old is not None:
        d.with_verdict += 1
        d.from_rules[old.rule_version] += 1
    _count_review(d, new, review)
    was, now = (_matters(one) for one in (old, new))
    if was == now:
        d.unchanged += 1
        d.reworded += old is not None and new is not None and _said(old) != _said(new)
        return False
    causes = tuple(one.cause if one else NO_VERDICT for one in (old, new))
    culprits = tuple(one.culprit if one else NO_VERDICT for one in (old, new))
    d.rules[tuple(one.rule if one else NO_VERDICT for one in (old, new))] += 1  # type: ignore[index]
    d.causes[causes] += 1  # type: ignore[index]
    d.components += causes[0] == causes[1]
    if culprits[0] != culprits[1]:
        d.culprits[culprits] += 1  # type: ignore[index]
        d.newly_blamed += culprits[1] == "route"
        d.newly_cleared += culprits[0] == "route"
    return True


def _count_review(d: Difference, new: Verdict | None, review: Review | None) -> None:
    if review is None:
        return
    agrees = new is not None and review.agrees_with(new.culprit, new.cause, new.component)
    if review.says == Review.Says.CONFIRMED:
        d.confirmed += 1
        d.confirmed_changed += not agrees
    else:
        d.overturned += 1
        d.overturned_agreed += agrees


def _matters(v: Verdict | None) -> tuple[Any, ...] | None:
    return None if v is None else tuple(getattr(v, name) for name in MATTERS)


def _said(v: Verdict) -> tuple[Any, ...]:
    return v.sentence, v.confidence, v.rule


def _row(airflow: Airflow, t: TryRow, new: Verdict | None, review: Review | None) -> dict[str, Any]:
    """One try whose answer differs: its key, both answers (None: no verdict), and the review that stands."""
    key = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    return {
        "airflow": airflow.name, **{name: getattr(t, name) for name in key}, "state": t.state,
        "old": _answer(t.verdict), "new": _answer(new),
        "review": review and {"says": review.says, "author": review.author, "culprit": review.culprit,
                              "cause": review.cause, "component": review.component},
    }  # fmt: skip


def _answer(v: Verdict | None) -> dict[str, Any] | None:
    return None if v is None else {name: getattr(v, name) for name in TOLD}


def _regroup(airflow: Airflow, now: datetime) -> None:
    """Incidents follow the verdicts they are made of."""
    scopes = set(Feed.objects.filter(airflow=airflow).values_list("capture", flat=True))
    for scope in sorted(scopes):
        incidents.update(scope, now)
