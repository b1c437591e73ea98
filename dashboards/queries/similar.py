"""The incidents around one: its parts, what was merged into it, those before it, and past ones that are like it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from dashboards.queries.incident_rows import RELATED, rows_of
from dashboards.queries.rows import IncidentRow
from ingest import models

MOST_ALIKE, MOST_BEFORE = 10, 20
WHY = ("same cause and component", "same component", "same cause on the same pool")
NOT_ALIKE = len(WHY)


@dataclass(frozen=True, slots=True)
class NoteRow:
    at: datetime
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Similar:
    """One earlier incident and why it is like this one."""

    row: IncidentRow
    why: str  # same cause and component | same component | same cause on the same pool
    notes: tuple[NoteRow, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """One incident's row, and the others that its page shows."""

    row: IncidentRow
    parts: tuple[IncidentRow, ...]  # by start
    merged: tuple[int, ...]
    before: tuple[IncidentRow, ...]  # of the same pool or endpoint, newest first
    similar: tuple[Similar, ...]  # the most like ones first, then the newest
    notes: tuple[NoteRow, ...]


def around(kept: Any, now: datetime) -> Around:
    """Five statements however many; `kept` needs select_related(*RELATED)."""
    found = list(_others(kept))
    shown = [one for one in found if one.merged_into_id is None]
    rows = {row.id: row for row in rows_of([kept, *shown], now)}
    notes = _noted([kept.id, *(one.id for one in shown)])
    earlier = sorted((one for one in shown if one.start < kept.start and one.parent_id != kept.id), key=_newest)
    alike = sorted((one for one in earlier if one.alike < NOT_ALIKE), key=lambda one: one.alike)[:MOST_ALIKE]
    near = [one for one in earlier if _same_place(one, kept)][:MOST_BEFORE]
    parts = sorted((one for one in shown if one.parent_id == kept.id), key=lambda one: (one.start, one.id))
    return Around(
        row=rows[kept.id], parts=tuple(rows[one.id] for one in parts),
        merged=tuple(sorted(one.id for one in found if one.merged_into_id == kept.id)),
        before=tuple(rows[one.id] for one in near),
        similar=tuple(Similar(rows[one.id], WHY[one.alike], notes.get(one.id, ())) for one in alike),
        notes=notes.get(kept.id, ()),
    )  # fmt: skip


def _newest(one: Any) -> tuple[float, int]:
    return -one.start.timestamp(), -one.id


def _same_place(one: Any, kept: Any) -> bool:
    same = (one.endpoint_id is not None and one.endpoint_id == kept.endpoint_id) or one.fingerprint == kept.fingerprint
    return same or (one.f5_pool_id is not None and one.f5_pool_id == kept.f5_pool_id)


def _others(kept: Any) -> QuerySet[Any]:
    """All of them by one statement, each with how it is alike."""
    same = Q(fingerprint=kept.fingerprint)
    component = Q(component=kept.component, component_kind=kept.component_kind, device_group=kept.device_group_id)
    trouble = Q(cause=kept.cause, f5_pool=kept.f5_pool_id) if kept.f5_pool_id else Q(pk=None)
    kinds = [When(condition, then=Value(n)) for n, condition in enumerate((same, component, trouble))]
    alike = Case(*kinds, default=Value(NOT_ALIKE), output_field=IntegerField())
    place = same | Q(endpoint=kept.endpoint_id or 0) | Q(f5_pool=kept.f5_pool_id or 0)
    earlier = models.Incident.objects.filter(start__lt=kept.start, merged_into=None).exclude(id=kept.id)
    earlier = earlier.exclude(Q(parent=kept.id) | Q(children=kept.id)).annotate(alike=alike)
    like = earlier.filter(same | component | trouble).order_by("alike", "-start", "-id").values("id")[:MOST_ALIKE]
    near = earlier.filter(place).order_by("-start", "-id").values("id")[:MOST_BEFORE]
    wanted = Q(id__in=like) | Q(id__in=near) | Q(parent=kept.id) | Q(merged_into=kept.id)
    return models.Incident.objects.filter(wanted).select_related(*RELATED).annotate(alike=alike)


def _noted(ids: Sequence[int]) -> dict[int, tuple[NoteRow, ...]]:
    """What people wrote on these incidents."""
    found: dict[int, list[NoteRow]] = defaultdict(list)
    for note in models.IncidentNote.objects.filter(incident__in=ids).order_by("at", "id"):
        found[note.incident_id].append(NoteRow(note.at, note.author, note.text))
    return {incident: tuple(notes) for incident, notes in found.items()}
