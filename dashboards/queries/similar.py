"""Past incidents that are like one: how long they lasted, how they ended, and what people noted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, IntegerField, Q, Value, When

from dashboards.queries.incident_rows import incident_rows
from dashboards.queries.rows import IncidentRow
from ingest import models

MOST = 10


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


WHY = ("same cause and component", "same component", "same cause on the same pool")


def similar(incident_id: int, row: IncidentRow, now: datetime) -> tuple[Similar, ...]:
    """The most like ones first, then the newest."""
    own = models.Incident.objects.filter(id=incident_id)
    same = Q(fingerprint__in=own.values("fingerprint"))
    component = Q(component=row.component, component_kind=row.component_kind, device_group__name=row.device_group)
    pool = Q(cause=row.cause, f5_pool_id=row.f5_pool_id) if row.f5_pool_id else Q(pk=None)
    alike = Case(
        When(same, then=Value(0)), When(component, then=Value(1)), default=Value(2), output_field=IntegerField()
    )  # fmt: skip
    found = models.Incident.objects.filter(same | component | pool, start__lt=row.start, merged_into=None)
    found = found.exclude(Q(id=incident_id) | Q(parent=incident_id) | Q(children=incident_id))
    ordered = list(found.annotate(alike=alike).order_by("alike", "-start", "-id").values_list("id", "alike")[:MOST])
    rows = {one.id: one for one in incident_rows(models.Incident.objects.filter(id__in=[i for i, _ in ordered]), now)}
    notes = noted([i for i, _ in ordered])
    return tuple(Similar(rows[i], WHY[alike], notes.get(i, ())) for i, alike in ordered)


def noted(ids: list[int]) -> dict[int, tuple[NoteRow, ...]]:
    """What people wrote on these incidents."""
    found: dict[int, list[NoteRow]] = defaultdict(list)
    for note in models.IncidentNote.objects.filter(incident__in=ids).order_by("at", "id"):
        found[note.incident_id].append(NoteRow(note.at, note.author, note.text))
    return {incident: tuple(notes) for incident, notes in found.items()}
