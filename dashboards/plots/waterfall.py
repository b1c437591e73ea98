"""What one try did: its own bar, then each of its requests on the same axis (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dashboards.plots import parts
from dashboards.timeline import GROUP, Plot, around, folded, shape
from dashboards.words import clock, dur, latency, plain, short

if TYPE_CHECKING:
    from dashboards.queries.freshness import Freshness
    from dashboards.queries.rows import RequestRow
    from dashboards.queries.tries import TryPage

MOST_REQUESTS = 24
LATE = timedelta(milliseconds=500)  # an answer that came so long after the end was not waited for
PREFIX = "/execution/task-instances/"


def plot(page: TryPage, fresh: Freshness) -> Plot | None:
    row = page.row
    moments = [at for at in (row.scheduled_at, row.queued_at, row.start_at, row.end_at) if at]
    moments += [at for request in (*page.requests, *page.candidates) for at in (request.at, request.end) if at]
    if not moments:
        return None
    drawn = Plot(around(moments), f"Requests of {row.task}, try {row.try_number}", wish=8, long=True, ident="try-plot")
    drawn.group("Airflow")
    took = (row.end_at - row.start_at).total_seconds() if row.end_at and row.start_at else row.duration_s
    y = drawn.lane(f"{row.task}, try {row.try_number}", dur(took))
    parts.draw_try(drawn, y, row, drawn.axis.end)
    bar = y
    drawn.group("F5: requests of this try, by time")
    own, rest = folded(_worth(page.requests), MOST_REQUESTS)
    for request in own:
        _request(drawn, request)
    if rest:
        drawn.lane(f"{len(rest)} more requests", "", "#rows")
    if not page.requests:
        y = drawn.lane("no request", "none")
        drawn.body.append(shape("text", x=8, y=y + 19, text="none was joined exactly to this try"))
    _candidates(drawn, page, bar + 21)
    _gave_up(drawn, page)
    parts.draw_gaps(drawn, fresh)
    return drawn


def _worth(requests: Sequence[RequestRow]) -> list[RequestRow]:
    """All of them where they fit; else the bad and slow ones, the first and the last, in order of time."""
    if len(requests) <= MOST_REQUESTS:
        return list(requests)
    bad = [row for row in requests if row.outcome != "ok"]
    good = [row for row in requests if row.outcome == "ok"]
    room = max(2, MOST_REQUESTS - 1 - len(bad))
    kept = {row.line_id for row in [*bad, *good[: room - room // 2], *good[len(good) - room // 2 :]]}
    return [row for row in requests if row.line_id in kept] + [row for row in requests if row.line_id not in kept]


def _request(drawn: Plot, row: RequestRow) -> None:
    axis, end = drawn.axis, row.end or row.at
    title = f"{parts.request_title(row)}{f' from {row.member}' if row.member else ''}"
    y = drawn.lane(
        f"{row.method} {path(row.path)}", short(row.endpoint), "#rows", f"{row.method} {row.path}", mono=True
    )
    answer = str(row.status) if row.status else plain(row.outcome)
    said = ", ".join(word for word in (latency(row.took_us), answer, short(row.member).split(":")[0]) if word)
    wide = axis.x(end) - axis.x(row.at) > 40
    soft = row.outcome == "slow" or wide
    bar: dict[str, Any] = {"y": y + 6, "height": 18} if soft else {"y": y + 9, "height": 12}
    shapes = [shape("rect", "bar soft" if soft else "bar", **bar, **axis.span(row.at, end))]
    inside = shape("text", "val minor", x=axis.pc(row.at), dx=8, y=y + 19, text=said)
    shapes.append(inside if wide else drawn.words(row.at, y + 19, said, end=end, dx=8))
    state = {"ok": "unknown", "slow": "slow", "client_error": "4xx"}.get(row.outcome, "failed")
    drawn.mark(shapes, title, state, "#rows", late=row.failed)


def _candidates(drawn: Plot, page: TryPage, below: int) -> None:
    """Requests joined by time: a dashed line leads to each from the try's bar."""
    if page.candidates:
        drawn.group("F5: joined by time")
    for request in page.candidates:
        x = drawn.axis.pc(request.at)
        drawn.body.append(shape("line", "exact timed", x1=x, x2=x, y1=below, y2=drawn.y + 6))
        _request(drawn, request)


def path(text: str) -> str:
    """The Execution API's paths begin with the try's own UUID, which says nothing here."""
    if PREFIX in text:
        rest = text.split(PREFIX, 1)[1]
        return "/" + rest.split("/", 1)[1] if "/" in rest else "/"
    return text


def _gave_up(drawn: Plot, page: TryPage) -> None:
    """The moment the client stopped waiting, where a request ran past it."""
    end = page.row.end_at
    if page.row.state not in ("failed", "up_for_retry") or end is None:
        return
    if any(r.at < end and r.end and r.end - end > LATE for r in (*page.requests, *page.candidates)):
        x = drawn.axis.pc(end)
        drawn.body.append(shape("line", "edge", x1=x, x2=x, y1=GROUP, y2=drawn.y))
        drawn.body.append(drawn.words(end, GROUP + 16, f"gave up at {clock(end)}"))
