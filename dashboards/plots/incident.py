"""The timeline of one incident: tries above, members below, changes last, one axis (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from dashboards.plots import links, parts
from dashboards.timeline import GROUP, MOST_LANES, Axis, Plot, Shape, folded, icon, shape
from dashboards.words import EXACT, apart, clock, many, short

if TYPE_CHECKING:
    from dashboards.queries.freshness import Freshness
    from dashboards.queries.incidents import IncidentPage
    from dashboards.queries.rows import ActionRow, IncidentRow, MemberTrack, RequestRow, TryRow

EVERYDAY = (
    "trigger_dag_run", "running", "success", "failed", "up_for_retry", "up_for_reschedule", "deferred", "skipped",
    "upstream_failed", "removed", "queued", "scheduled", "restarting", "state mismatch",
)  # fmt: skip
DEVICE_KINDS = ("device", "virtual", "virtual_address")


def plot(page: IncidentPage, fresh: Freshness) -> Plot:
    """Everything that the incident's page draws."""
    row, until = page.row, parts.until(fresh, page.start, page.end)
    drawn = Plot(Axis(page.start, page.end), _title(page), wish=8, ident="incident-plot")
    drawn.window(row.start, min(row.end, until) if row.end else until)
    drawn.body.append(_onset(drawn, row.start))
    drawn.group("Airflow: tries")
    hit = _tries(drawn, page, until)
    drawn.group(f"F5: members of {short(row.f5_pool)}" if row.f5_pool else "F5: members")
    _members(drawn, page, hit)
    _changes(drawn, page)
    parts.draw_gaps(drawn, fresh)
    return drawn


def _title(page: IncidentPage) -> str:
    return f"Incident {page.row.id}: tries above, pool members below, {clock(page.start)} to {clock(page.end)} UTC"


def _onset(drawn: Plot, at: datetime) -> Shape:
    return shape("text", "val minor", x=drawn.axis.pc(at), dx=4, y=GROUP + 15, text=f"begins {clock(at)}")


def instances(page: IncidentPage) -> list[list[TryRow]]:
    """All tries of each task instance that was hit, in order of the first failed one."""
    rows: dict[tuple[str, ...], list[TryRow]] = {}
    for row in page.tries:
        rows.setdefault(_key(row), []).append(row)
    for row in page.other_tries:
        if _key(row) in rows:
            rows[_key(row)].append(row)
    return [sorted(tries, key=lambda row: row.try_number) for tries in rows.values()]


def _key(row: TryRow) -> tuple[str, ...]:
    return (row.airflow, row.dag_id, row.run_id, row.task_id, str(row.map_index))


def _tries(drawn: Plot, page: IncidentPage, until: datetime) -> dict[int, int]:
    """One lane per task instance, the healthy ones on one; returns where each try's bar ends below."""
    hit: dict[int, int] = {}
    lanes = instances(page)
    own, rest = folded(lanes)
    several = apart(row.airflow for row in page.tries)
    for tries in own:
        first = tries[0]
        title = f"{first.dag_id} {first.run_id} {first.task}"
        whose = first.airflow if several else ""
        y = drawn.lane(first.task, first.dag_id, links.attempt(first.id), title, whose=whose)
        _lane(drawn, y, tries, until)
        hit |= {row.id: y + 21 for row in tries}
    if rest:
        y = drawn.lane(f"{len(rest)} more", "hit too", f"/tries/?{_since(page)}", "More task instances that were hit")
        for tries in rest:
            for row in tries:
                _bare(drawn, y, row, until)
                hit[row.id] = y + 21
    if not lanes:
        y = drawn.lane("no try was hit", "none")
        drawn.body.append(shape("text", x=8, y=y + 19, text="none in this window"))
    keys = {_key(row) for row in page.tries}
    _well(drawn, [row for row in page.other_tries if _key(row) not in keys], until, page)
    return hit


def _since(page: IncidentPage) -> str:
    where = {"endpoint": page.row.endpoint, "device_group": page.row.device_group}
    return links.rows("tries", page.start, page.end, **where).partition("?")[2]


def _lane(drawn: Plot, y: int, tries: Sequence[TryRow], until: datetime) -> None:
    for before, after in pairwise(tries):
        begin = after.start_at or after.queued_at
        if before.end_at and begin:
            drawn.body.append(parts.wait(drawn.axis, before.end_at, begin, y))
    last = tries[-1]
    if last.state == "up_for_retry" and last.end_at:
        drawn.body.append(parts.wait(drawn.axis, last.end_at, drawn.axis.end, y))
    following = [row.start_at for row in tries[1:]] + [None]
    for row, then in zip(tries, following, strict=True):
        parts.draw_try(drawn, y, row, until, then)


def _bare(drawn: Plot, y: int, row: TryRow, until: datetime) -> None:
    """A bar without words: several tries share the lane."""
    start = row.start_at or row.queued_at
    if start is None or start > drawn.axis.end:
        return
    end = min(row.end_at, until) if row.end_at else until
    soft = "bar soft" if row.state in parts.SOFT else "bar"
    piece = shape("rect", soft, y=y + 9, height=12, **drawn.axis.span(start, end))
    drawn.mark([piece], parts.try_title(row, start, end), row.state, links.attempt(row.id))


def _well(drawn: Plot, rows: Sequence[TryRow], until: datetime, page: IncidentPage) -> None:
    if not rows:
        return
    bad = sum(row.state not in parts.SOFT for row in rows)
    side = f"{bad} of {len(rows)} failed" if bad else "all well"
    href = f"/tries/?{_since(page)}"
    y = drawn.lane(many(len(rows), "more try", "more tries"), side, href, "Tries that used the same endpoint")
    for row in rows:
        _bare(drawn, y, row, until)


def _members(drawn: Plot, page: IncidentPage, hit: dict[int, int]) -> None:
    known = {track.member for track in page.tracks}
    for track in page.tracks[:MOST_LANES]:
        requests = track.requests or tuple(row for row in page.requests if row.member == track.member)
        _member(drawn, page, track, requests, hit)
    without = [row for row in page.requests if not row.member or row.member not in known]
    if without:
        bad = [row for row in without if row.failed]
        y = drawn.lane("no member chosen", f"{len(bad)} failed", "#rows", "Requests for which no member was chosen")
        _joins(drawn, bad, y, hit)
        parts.draw_requests(drawn, y, without)


def _member(
    drawn: Plot, page: IncidentPage, track: MemberTrack, requests: Sequence[RequestRow], hit: dict[int, int]
) -> None:
    since = [row for row in page.requests if row.member == track.member and row.at >= page.row.start]
    bad = sum(row.failed for row in since)
    side = f"{bad} of {len(since)} failed" if bad else f"{len(since)} of {len(since)} well" if since else "no request"
    href = links.endpoint(page.row.endpoint_id) if page.row.endpoint_id else "#rows"
    y = drawn.lane(short(track.member), side, href, f"{track.member}, now {track.state}")
    _joins(drawn, [row for row in requests if row.failed or row.outcome == "slow"], y, hit)
    parts.draw_track(drawn, y, replace(track, requests=tuple(requests)))


def _joins(drawn: Plot, requests: Sequence[RequestRow], y: int, hit: dict[int, int]) -> None:
    """A hairline from the try's bar to its request: solid where the join is exact, dashed by time."""
    for row in requests:
        if row.try_id in hit:
            cls = "exact" if row.link in EXACT else "exact timed"
            x = drawn.axis.pc(row.at)
            drawn.body.append(shape("line", cls, x1=x, x2=x, y1=hit[row.try_id], y2=y + 14))


def _changes(drawn: Plot, page: IncidentPage) -> None:
    moments = [event for event in page.events if event.kind in DEVICE_KINDS]
    changes = [row for row in page.preceded if row.at >= page.start and is_change(row)]
    count = len(moments) + len(changes)
    href = links.rows("audit", page.start - timedelta(minutes=30), page.end)
    y = drawn.lane("changes, failovers", str(count) if count else "none", href, "Configuration changes and failovers")
    if not count:
        drawn.body.append(shape("text", x=8, y=y + 19, text="none in this window"))
    for row in changes:
        change(drawn, y, row)
    for event in moments:
        said = f"{clock(event.at)} {event.kind} {short(event.object)} {event.state}"
        place = links.rows("health-events", page.start, page.end, device_group=page.row.device_group)
        drawn.mark([icon("route", drawn.axis.pc(event.at), y + 9, 12, -6)], said, "upstream_failed", place)


def is_change(row: ActionRow) -> bool:
    """Whether it can have broken or cured a route: no trigger, no state that Airflow writes into its event log."""
    return row.layer == "f5" or (row.layer == "airflow" and row.verb not in EVERYDAY)


def change(drawn: Plot, y: int, row: ActionRow) -> None:
    said = f"{clock(row.at)} {row.actor} {row.verb} {short(row.target)}"
    href = links.rows("audit", row.at - timedelta(seconds=1), row.at + timedelta(seconds=1))
    drawn.mark([icon("change", drawn.axis.pc(row.at), y + 9, 12, -6)], said, "", href)


def before(page: IncidentPage, fresh: Freshness) -> Plot | None:
    """What preceded it: the incidents before, and what people changed, up to this one's end."""
    rows = [*page.before, page.row]
    changes = [row for row in page.preceded if is_change(row)]
    starts = [row.start for row in rows] + [row.at for row in changes]
    if len(starts) < 2:
        return None
    begin = max(min(starts), page.end - timedelta(hours=24))
    axis = Axis(begin - (page.end - begin) * 0.03, page.end)
    drawn = Plot(axis, f"What preceded incident {page.row.id}", wish=8, ident="before-plot")
    lanes: dict[tuple[str, str], list[IncidentRow]] = {}
    several = apart(row.device_group for row in rows)
    for row in rows:
        lanes.setdefault((row.endpoint or row.component, row.device_group), []).append(row)
    for (name, group), mine in list(lanes.items())[:MOST_LANES]:
        href = links.endpoint(mine[0].endpoint_id) if mine[0].endpoint_id else ""
        y = drawn.lane(short(name), many(len(mine), "incident"), href, name, whose=group if several else "")
        for row in mine:
            parts.draw_incident(drawn, y, row, page.end, soft=row.id != page.row.id)
    y = drawn.lane("changes", str(len(changes)) if changes else "none", links.rows("audit", axis.start, axis.end))
    for action in changes:
        change(drawn, y, action)
    if not changes:
        drawn.body.append(shape("text", x=8, y=y + 19, text="none in the 30 minutes before"))
    parts.draw_gaps(drawn, fresh)
    return drawn
