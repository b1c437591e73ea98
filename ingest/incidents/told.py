"""The rows that show how an incident began and ended: a request or a health event, in words, with its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Q

from ingest import rawlines
from ingest.incidents.extent import IDLE, Edge, Extent
from ingest.incidents.groups import Group
from ingest.incidents.items import BACK, HAS_MEMBER
from ingest.models import Evidence, HealthEvent, Member, Path, RequestDetail
from ingest.records import Outcome, method_name

Row = dict[str, Any]
FIRST = "the first request that decided on a try"
LINE = 4_000  # so much of a line is kept


@dataclass(frozen=True, slots=True)
class Ends:
    """How one incident began and, where it is over, ended."""

    onset: Row
    ending: Row


class Rows:
    """What the edges of these groups refer to, read at once."""

    def __init__(self, groups: Sequence[Group], extents: Sequence[Extent], over: Sequence[bool]) -> None:
        edges = [e for x in extents for e in (x.first_bad, x.last_bad, x.good) if e is not None]
        self.members = dict(
            Member.objects.filter(pk__in={e.member_id for e in edges if e.member_id}).values_list("pk", "name")
        )
        self.paths = dict(Path.objects.filter(pk__in={e.path_id for e in edges}).values_list("pk", "template"))
        self.events = _events(groups, extents)
        bad = [x.first_bad for x in extents if x.first_bad is not None]
        self.raw: dict[int, str] = {}
        if bad:
            near = {"ts__gte": min(e.at for e in bad), "ts__lte": max(e.at for e in bad)}
            kept = RequestDetail.objects.filter(line_id__in={e.line_id for e in bad}, **near)
            self.raw = dict(kept.values_list("line_id", "raw"))
        self.deciding = _deciding(g for g, x in zip(groups, extents, strict=True) if x.first_bad is None)
        # A request that was answered well is kept without its words: they are read where they came from, if still there.
        good = [x.good.line_id for x, is_over in zip(extents, over, strict=True) if is_over and x.good is not None]
        self.raw |= rawlines.read(good) if good else {}

    def onset(self, g: Group, x: Extent) -> Row:
        if x.first_bad is not None and x.began is not None and x.start == x.first_bad.at:
            return {**self._request(x.first_bad), "before": list(x.began.before)}
        event = next((self.events.get(i.event_id) for i in g.items if i.event_id and i.start == x.start), None)
        if event is not None:
            return _event(event)
        found = {"kind": "verdict", "at": _instant(x.start), "says": FIRST}
        return found | self.deciding.get(g.verdicts[0].verdict_id or 0, {}) if g.verdicts else found

    def ending(self, g: Group, x: Extent, closed: bool) -> Row:
        event = self._back(g, x)
        if event is not None:
            return _event(event)
        if x.good is not None:
            return self._request(x.good)
        silent = f"nothing was asked of it for {int(IDLE.total_seconds() // 60)} minutes, and the logs are complete"
        return {"kind": "silence", "at": _instant(x.last), "says": "the record ends" if closed else silent}

    def _back(self, g: Group, x: Extent) -> HealthEvent | None:
        """The monitor's word that ended it."""
        pools = {i.f5_pool_id for i in g.items if i.event_id and i.end == x.last}
        found = (e for e in self.events.values() if e.at == x.last and e.f5_pool_id in pools)
        return min((e for e in found if e.state in BACK or e.state == HAS_MEMBER), key=lambda e: e.pk, default=None)

    def _request(self, e: Edge) -> Row:
        who = self.members.get(e.member_id or 0, "")
        by = f" by {who.rsplit('/', 1)[-1]}" if who else ""
        took = f" after {e.response_us / 1000:,.0f} ms" if e.response_us is not None else ""
        answered = f"answered {e.status or ''}".rstrip() + by + took
        said = "never answered" if e.outcome == Outcome.UNANSWERED else answered
        path = self.paths.get(e.path_id, "")
        return {
            "kind": "request", "at": _instant(e.at), "line_id": e.line_id,
            "says": f"{method_name(e.method)} {path} was {said}", "raw": self.raw.get(e.line_id, "")[:LINE],
        }  # fmt: skip


def _deciding(groups: Iterable[Group]) -> dict[int, Row]:
    """By first verdict, the request that decided on it: for troubles whose component no other row names."""
    first = {i.verdict_id for g in groups for i in g.verdicts[:1]}
    if not first:
        return {}
    cited = Evidence.objects.filter(verdict__in=first, kind="request", at=F("verdict__bad_at"))
    columns = ("verdict_id", "says", "line_id", "raw")
    found: dict[int, Row] = {}
    for verdict, says, line_id, raw in cited.order_by("-position").values_list(*columns):
        found[verdict] = {"kind": "request", "says": says or FIRST, "line_id": line_id, "raw": raw[:LINE]}
    return found


def _events(groups: Sequence[Group], extents: Sequence[Extent]) -> dict[int, HealthEvent]:
    """The health events that began intervals, and those at the very ends of incidents."""
    began = {i.event_id for g in groups for i in g.items if i.event_id}
    if not began:
        return {}
    pools = {i.f5_pool_id for g in groups for i in g.items if i.event_id}
    found = HealthEvent.objects.filter(Q(pk__in=began) | Q(f5_pool__in=pools, at__in={x.last for x in extents}))
    return {e.pk: e for e in found.select_related("member", "f5_pool")}


def _event(e: HealthEvent) -> Row:
    about = (e.object or (e.f5_pool.name if e.f5_pool else "")) if not e.member_id else _member(e)
    reason = f" ({e.reason})" if e.reason else ""
    return {
        "kind": "health_event", "at": _instant(e.at), "line_id": e.line_id, "event_id": e.pk,
        "says": f"{about.rsplit('/', 1)[-1]}: {e.state.replace('_', ' ')}{reason}", "raw": e.raw[:LINE],
    }  # fmt: skip


def _member(e: HealthEvent) -> str:
    return e.member.name if e.member else ""


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def ends_of(groups: Sequence[Group], extents: Sequence[Extent], over: Sequence[bool], closed: bool) -> Iterable[Ends]:
    rows = Rows(groups, extents, over)
    for g, x, is_over in zip(groups, extents, over, strict=True):
        yield Ends(rows.onset(g, x), rows.ending(g, x, closed) if is_over else {})
