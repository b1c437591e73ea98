"""The rows of incidents: found again by what they hold, written where something changed, forgotten where nothing is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from airf5.failpoints import failpoint
from ingest.incidents.alike import REOPEN
from ingest.incidents.groups import Group
from ingest.models import Incident, IncidentNote

COLUMNS = (
    "fingerprint", "culprit", "cause", "component_kind", "component", "device_group_id", "endpoint_id", "f5_pool_id",
    "members", "start", "end", "last_evidence_at", "tries", "health_events", "first_hit_at", "noticed_at", "onset",
    "ending", "reach", "messages", "withdrawn_at",
)  # fmt: skip
ASSIGN = """
UPDATE ingest_verdict v SET incident_id = u.incident
FROM unnest(%(verdicts)s::bigint[], %(incidents)s::bigint[]) AS u(verdict, incident)
WHERE v.id = u.verdict AND v.incident_id IS DISTINCT FROM u.incident
"""


@dataclass(slots=True)
class Draft:
    """What an incident is to say; `values` None: it is settled, and says it already."""

    values: dict[str, Any] | None
    home: Incident | None
    group: Group | None = None  # None: it is the parent of others
    parts: list[Draft] = field(default_factory=list)
    parent: Draft | None = None
    lone: bool = True  # no part of what hit a whole device
    row: Incident | None = None


class Standing:
    """The incidents of a scope that can still change."""

    def __init__(self, rows: Sequence[Incident]) -> None:
        self.rows = {row.pk: row for row in rows}
        self.by_event = {event: row.pk for row in rows for event in row.health_events}
        self.parents = {row.parent_id for row in rows if row.parent_id} & set(self.rows)
        self.merged: dict[int, int] = {}  # into which other one

    def homes(self, groups: Sequence[Group]) -> list[Incident | None]:
        """The row of each group: the one that most of what it holds belongs to; the others of its rows merge into it."""
        votes = [Counter(self._held(g)) for g in groups]
        asked = [(-count, pk, n) for n, held in enumerate(votes) for pk, count in held.items()]
        homes: list[Incident | None] = [None] * len(groups)
        taken: set[int] = set()
        for _, pk, n in sorted(asked):
            if homes[n] is None and pk not in taken:
                homes[n] = self.rows[pk]
                taken.add(pk)
        left = [row for pk, row in self.rows.items() if pk not in taken and pk not in self.parents]
        for n, g in enumerate(groups):
            if homes[n] is None and not votes[n]:
                homes[n] = next((row for row in left if _alike(row, g) and row.pk not in taken), None)
                taken |= {row.pk for row in (homes[n],) if row is not None}
        for n, held in enumerate(votes):
            home = homes[n]
            self.merged |= {pk: home.pk for pk in held if home is not None and pk not in taken}
        return homes

    def _held(self, g: Group) -> list[int]:
        said = [i.incident_id for i in g.items if i.incident_id] + [
            self.by_event[i.event_id] for i in g.items if i.event_id in self.by_event
        ]
        return [pk for pk in said if pk in self.rows and pk not in self.parents]

    def home_of_parent(self, parts: Sequence[Draft], taken: set[int]) -> Incident | None:
        """The parent that most of these parts have."""
        said = Counter(d.home.parent_id for d in parts if d.home is not None and d.home.parent_id in self.parents)
        free = [(-n, pk) for pk, n in said.items() if pk is not None and pk not in taken]
        return self.rows[min(free)[1]] if free else None


def _alike(row: Incident, g: Group) -> bool:
    """The same trouble at the same time, whose evidence went and came back as other rows."""
    where = (row.cause, row.device_group_id or 0, row.f5_pool_id, frozenset(row.members))
    at = g.first.start
    near = row.start - REOPEN <= at and (row.end is None or at <= row.end + REOPEN)
    return near and where == (g.cause, g.first.group, g.first.f5_pool_id, g.members)


def write(scope: str, drafts: Sequence[Draft], standing: Standing, now: datetime) -> int:
    """Rows as the drafts say; returns how many stand."""
    every = sorted(drafts, key=lambda d: d.group is not None)  # parents first: their parts refer to them
    _save(scope, [d for d in every if d.group is None], now)
    _save(scope, [d for d in every if d.group is not None], now)
    _assign(drafts)
    failpoint("incidents.saved")
    gone = [Incident(pk=pk, merged_into_id=into) for pk, into in standing.merged.items()]
    if gone:
        Incident.objects.bulk_update(gone, ["merged_into", "tries", "messages", "parent"])
    kept = {d.row.pk for d in drafts if d.row is not None}
    _forget([row for pk, row in standing.rows.items() if pk not in kept and pk not in standing.merged], now)
    return len(kept)


def _save(scope: str, drafts: Sequence[Draft], now: datetime) -> None:
    new, changed = [], []
    for d in drafts:
        row = d.home or Incident(capture=scope, opened_at=now)
        values = {} if d.values is None else {**d.values, "withdrawn_at": None}
        values["parent_id"] = d.parent.row.pk if d.parent is not None and d.parent.row is not None else None
        differs = any(getattr(row, name) != value for name, value in values.items())
        for name, value in values.items():
            setattr(row, name, value)
        d.row = row
        if row.pk is None:
            new.append(row)
        elif differs:
            changed.append(row)
    Incident.objects.bulk_create(new)
    if changed:
        Incident.objects.bulk_update(changed, [*(c.removesuffix("_id") for c in COLUMNS), "parent"])


def _assign(drafts: Sequence[Draft]) -> None:
    moved = [
        (i.verdict_id, d.row.pk)
        for d in drafts
        if d.group is not None and d.row is not None
        for i in d.group.verdicts
        if i.incident_id != d.row.pk
    ]
    if moved:
        verdicts, incidents = zip(*moved, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(ASSIGN, {"verdicts": list(verdicts), "incidents": list(incidents)})


def _forget(gone: Sequence[Incident], now: datetime) -> None:
    """Incidents whose evidence was judged otherwise: gone, unless a person has said something about them."""
    if not gone:
        return
    ids = [row.pk for row in gone]
    noted = set(IncidentNote.objects.filter(incident__in=ids).values_list("incident", flat=True))
    spoken = [row for row in gone if row.pk in noted or row.acknowledged_at is not None]
    for row in spoken:
        if row.withdrawn_at is None:
            row.withdrawn_at, row.end = now, row.end or row.last_evidence_at
            row.tries, row.messages, row.parent = 0, 0, None
            row.save(update_fields=["withdrawn_at", "end", "tries", "messages", "parent"])
    kept = {row.pk for row in spoken}
    # What was merged into one that goes would come to light again: it goes too.
    Incident.objects.filter(Q(pk__in=ids) | Q(merged_into__in=ids)).exclude(pk__in=kept).exclude(
        merged_into__in=kept
    ).delete()
