"""How far the answer reaches: of the tries asked about, how many cross F5 and can be judged (DESIGN section 1)."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import narrow
from dashboards.queries.database import reading
from dashboards.queries.rows import Coverage
from ingest import models


@reading()
def coverage(asked: Filter, scope: Scope) -> Coverage:
    """A try crosses F5 when a request shows its key, or its verdict rests on an endpoint."""
    tries = narrow.try_rows(asked, scope)
    known_key = Exists(models.TryKey.objects.filter(try_row_id=OuterRef("pk")).filter(_met(asked)))
    crossing = tries.filter(Q(known_key) | Q(verdict__endpoint__isnull=False)).count()
    total = tries.count()
    pending = tries.exclude(Q(known_key) | Q(verdict__endpoint__isnull=False)).filter(end_at=None).count()
    no_path = total - crossing - pending
    return Coverage(total, crossing, no_path, pending, _sentence(asked, total, crossing, no_path, pending))


def _met(asked: Filter) -> Exists:
    found = models.Request.objects.filter(try_key_id=OuterRef("pk"), ts__lt=asked.end)
    return Exists(found)


def _sentence(asked: Filter, total: int, crossing: int, no_path: int, pending: int) -> str:
    if not total:
        return f"No try was active in {asked.time_words()}."
    tries = "try" if total == 1 else "tries"
    text = f"Of {total:,} {tries} {crossing:,} cross F5 and can be judged; {no_path:,} have no path through it"
    return f"{text}; {pending:,} still run and cannot be told yet." if pending else f"{text}."
