"""Write down what was found: contracts, findings that open, last and are over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Q

from ingest import rawlines
from ingest.models import RouteContract, RouteFinding

from .learn import Key, Known, is_forgotten
from .series import REOPEN

LONGEST_RAW = 4_000
COLUMNS = ("pools", "count", "first_at", "last_at", "ready_at")


def known_contracts(endpoints: Iterable[int]) -> list[Known]:
    """The contracts of these endpoints, learned and declared."""
    found = RouteContract.objects.filter(endpoint__in=list(endpoints)).order_by("pk")
    return [
        Known(
            c.endpoint_id, c.host, c.prefix, c.agent, c.source, c.state, c.pools, c.count, c.first_at, c.last_at,
            c.ready_at, c.by, c.pk,
        )
        for c in found
    ]  # fmt: skip


def save_contracts(known: dict[Key, Known]) -> None:
    """Keep what was learned. What a person changed meanwhile stays: only what is learned is written."""
    changed = [one for one in known.values() if one.changed]
    old, new = [one for one in changed if one.id], [one for one in changed if not one.id]
    RouteContract.objects.bulk_update([_row(one) for one in old], COLUMNS, batch_size=500)
    RouteContract.objects.bulk_create([_row(one) for one in new], ignore_conflicts=True)


def _row(one: Known) -> RouteContract:
    row = RouteContract(
        endpoint_id=one.endpoint_id, host=one.host[:200], prefix=one.prefix, agent=one.agent, source=one.source, state=one.state
    )  # fmt: skip
    row.pk = one.id or None
    for name in COLUMNS:
        setattr(row, name, getattr(one, name))
    return row


def forget_contracts(group: int, now: datetime) -> int:
    """Remove learned contracts without requests for long; how many."""
    known = known_contracts(RouteContract.objects.filter(endpoint__group=group).values_list("endpoint", flat=True))
    over = [one.id for one in known if is_forgotten(one, now)]
    return RouteContract.objects.filter(pk__in=over).delete()[0]


def same(kind: str, endpoint: int, since: datetime, **what: object) -> RouteFinding | None:
    """The finding that this belongs to: one that is open, or was until a short time ago."""
    near = Q(state=RouteFinding.State.OPEN) | Q(until__gte=since - REOPEN)
    return RouteFinding.objects.filter(near, kind=kind, endpoint=endpoint, **what).order_by("state", "-at").first()


def open_findings(endpoints: Iterable[int], *kinds: str) -> list[RouteFinding]:
    return list(
        RouteFinding.objects.filter(endpoint__in=list(endpoints), kind__in=kinds, state=RouteFinding.State.OPEN)
        .select_related("endpoint")
        .order_by("pk")
    )


def begin(finding: RouteFinding) -> None:
    """Keep a new finding with its first request's own lines."""
    if finding.line_id is not None and not finding.raw:
        finding.raw = rawlines.read([finding.line_id]).get(finding.line_id, "")[:LONGEST_RAW]
    finding.save()


def told(texts: Sequence[tuple[bool, str]]) -> list[dict[str, object]]:
    """Reasons as they are stored."""
    return [{"for": speaks_for, "text": text} for speaks_for, text in texts]
