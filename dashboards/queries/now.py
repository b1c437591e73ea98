"""The three sentences of /now/: is it F5, which part, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import answers, freshness, incidents, overview
from dashboards.queries.database import reading
from dashboards.queries.freshness import Freshness
from dashboards.queries.incident_rows import incident_rows
from dashboards.queries.overview import NotF5
from dashboards.queries.rows import IncidentRow
from dashboards.words import became
from ingest import models


@dataclass(frozen=True, slots=True)
class Now:
    at: datetime
    answer: str  # route service task unknown none
    incident: IncidentRow | None  # the open one that hit most tries
    others: tuple[IncidentRow, ...]
    who: str  # whom to call
    next_step: str
    hit: int
    lost: int
    waiting: int  # for their retry, or running again
    dags: tuple[str, ...]
    not_f5: tuple[NotF5, ...]
    well: tuple[str, ...]  # endpoints with traffic and no failure
    noise: str  # what would have been sent of all that is open, against what is told: "41 messages became 1"
    freshness: Freshness


@reading()
def now_page(asked: Filter, scope: Scope, now: datetime) -> Now:
    """The open incident that hit most tries; without one, whether something failed by itself."""
    # What is part of a device's trouble is told by that.
    chosen = incidents.chosen(asked.with_(state="open"), scope).filter(parent=None)
    found = incident_rows(chosen.order_by("-tries", "-start")[:20], now)
    first = found[0] if found else None
    page = incidents.one(first.id, scope, now) if first else None
    own = overview.not_f5(overview.judged(asked, scope))
    return Now(
        at=now, answer=first.culprit if first else "task" if own else "none", incident=first, others=found[1:],
        who=page.call if page else "", next_step=page.next_step if page else "", hit=page.reach.hit if page else 0,
        lost=page.reach.lost if page else 0, waiting=page.reach.waiting + page.reach.going if page else 0,
        dags=page.reach.dags if page else (), not_f5=own, well=_well(asked),
        noise=became(sum(one.messages for one in found), len(found)), freshness=freshness.watermark(now, asked),
    )  # fmt: skip


def _well(asked: Filter) -> tuple[str, ...]:
    """Endpoints with traffic and without failures in the window."""
    met: dict[int, int] = {}
    for minute in answers.minutes(None, asked.start, asked.end):
        met[minute.endpoint_id] = met.get(minute.endpoint_id, 0) + minute.server_errors + minute.unanswered
    ids = [endpoint for endpoint, failed in met.items() if not failed]
    return tuple(models.Endpoint.objects.filter(id__in=ids).order_by("name").values_list("name", flat=True))
