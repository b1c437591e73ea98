"""One DAG's runs on one axis: incidents on its endpoints, how long each took, where it went, task by task (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dashboards.plots import links, parts
from dashboards.timeline import MOST_LANES, Axis, Plot, Shape, icon, shape
from dashboards.words import clock, dur, listed, plain, times

if TYPE_CHECKING:
    from dashboards.queries.dag_rows import DagPage, DagRow, RunRow, TaskCell
    from dashboards.queries.freshness import Freshness
    from dashboards.queries.rows import Split

HIGH, PAD = 96, 14  # pixels of a chart lane, and above its highest value
MOST_RUNS = 60
PARTS = ("wait", "own", "api", "endpoint", "lost")
SLOW = 2.0


def plot(page: DagPage, fresh: Freshness) -> Plot:
    drawn = Plot(Axis(page.start, page.end), f"Runs of {page.row.dag_id}", ident="dag-plot")
    until = parts.until(fresh, page.start, page.end)
    _incidents(drawn, page, until)
    runs = [run for run in page.runs if run.start][-MOST_RUNS:]
    _took(drawn, page, runs)
    _went(drawn, page, runs)
    if page.tasks:
        drawn.group("Tasks, one cell a run")
        _tasks(drawn, page, runs)
    parts.draw_gaps(drawn, fresh)
    return drawn


def _incidents(drawn: Plot, page: DagPage, until: datetime) -> None:
    href = links.rows("incidents", page.start, page.end, dag=page.row.dag_id, airflow=page.row.airflow)
    y = drawn.lane("incidents on its endpoints", "" if page.incidents else "none", href)
    for row in page.incidents:
        hit = page.row.dag_id in row.dags
        parts.draw_incident(drawn, y, row, until, soft=not hit)
        if hit:
            drawn.window(row.start, min(row.end, until) if row.end else until, edge=False)


def _top(values: Sequence[float]) -> tuple[float, list[float]]:
    marks = parts.scale(max(values, default=1.0) * 1.08)
    return marks[-1], marks


def _took(drawn: Plot, page: DagPage, runs: Sequence[RunRow]) -> None:
    timed = [run for run in runs if run.seconds is not None]
    normal = page.row.normal_s
    top, marks = _top([run.seconds or 0 for run in timed] + ([normal] if normal else []))
    y = drawn.tall(
        "How long each run took", [(PAD + HIGH * (1 - v / top), dur(v) if v else "0") for v in marks], PAD + HIGH + 10
    )
    base = y + PAD + HIGH
    if normal:
        level = base - normal / top * HIGH
        drawn.back.append(shape("line", "median", x1=0, x2="100%", y1=level, y2=level))
    for a, b in pairwise(timed):
        drawn.body.append(_line(drawn.axis, a, b, base, top))
    for n, run in enumerate(timed):
        crowded = n > 0 and _slow(timed[n - 1])
        _dot(drawn, run, base - (run.seconds or 0) / top * HIGH, normal, page.row, words=not crowded)


def _line(axis: Axis, a: RunRow, b: RunRow, base: float, top: float) -> Shape:
    assert a.start and b.start
    y1, y2 = base - (a.seconds or 0) / top * HIGH, base - (b.seconds or 0) / top * HIGH
    return shape("line", "spark", x1=axis.pc(a.start), x2=axis.pc(b.start), y1=y1, y2=y2)


def _slow(run: RunRow) -> bool:
    return bool(run.times_normal and run.times_normal > SLOW)


def run_state(run: RunRow) -> str:
    """The colour of a run: what its tries were judged, before what Airflow calls it."""
    for culprit in ("route", "service", "task"):
        if run.culprits.get(culprit):
            return culprit
    return run.state if run.state in ("running", "failed") else "unknown"


def _dot(drawn: Plot, run: RunRow, y: float, normal: float | None, of: DagRow, *, words: bool) -> None:
    assert run.start
    slow, so_far = _slow(run), " so far" if run.state == "running" else ""
    shapes = [shape("circle", "dot", cx=drawn.axis.pc(run.start), cy=y, r=4 if slow else 3)]
    if slow and words:
        right = drawn.axis.x(run.start) > 92
        anchor = {"text_anchor": "end", "dx": 4} if right else {"text_anchor": "middle"}
        shapes.append(
            shape("text", "val minor", x=drawn.axis.pc(run.start), y=y - 9, text=dur(run.seconds) + so_far, **anchor)
        )
    than = f", normal {dur(normal)}" if normal else ""
    title = f"Run {clock(run.start)}, {plain(run.state)}: {dur(run.seconds)}{so_far}{than}"
    drawn.mark(shapes, title, run_state(run), _tries(drawn, run, of))


def _tries(drawn: Plot, run: RunRow, of: DagRow) -> str:
    return links.rows("tries", drawn.axis.start, drawn.axis.end, dag=of.dag_id, airflow=of.airflow, run=run.run_id)


def split_parts(split: Split) -> list[tuple[str, float, str]]:
    """(part, seconds, words) in stacking order."""
    names = listed(sorted(split.endpoints))
    return [
        ("wait", split.wait + split.queued, f"waiting {dur(split.wait + split.queued)}"),
        ("own", split.own, f"own work {dur(split.own)}"),
        ("api", split.api, f"Airflow API {dur(split.api)}"),
        ("endpoint", sum(split.endpoints.values()), f"requests to {names} {dur(sum(split.endpoints.values()))}"),
        ("lost", split.lost, f"lost to what failed {dur(split.lost)}"),
        ("unexplained", split.unexplained or 0.0, f"unexplained {dur(split.unexplained or 0.0)}"),
    ]


def _went(drawn: Plot, page: DagPage, runs: Sequence[RunRow]) -> None:
    top, marks = _top([run.split.total for run in runs])
    y = drawn.tall(
        "Where the time went", [(PAD + HIGH * (1 - v / top), dur(v) if v else "0") for v in marks], PAD + HIGH + 10
    )
    base, width = y + PAD + HIGH, _width(len(runs))
    for run in runs:
        assert run.start
        up, shapes, said = 0.0, [], []
        for part, seconds, words in split_parts(run.split):
            high = seconds / top * HIGH
            if high > 0.3:
                attrs: dict[str, Any] = {
                    "x": drawn.axis.pc(run.start),
                    "width": width,
                    "y": base - up - high,
                    "height": high,
                }
                shapes.append(shape("rect", "part", data_part=part, **attrs))
                said.append(words)
            up += high
        if shapes:
            drawn.mark(shapes, f"Run {clock(run.start)}: {', '.join(said)}", "", _tries(drawn, run, page.row))


def _width(count: int) -> str:
    return f"{max(0.4, min(1.9, 70 / max(count, 1))):.2f}%"


def _tasks(drawn: Plot, page: DagPage, runs: Sequence[RunRow]) -> None:
    starts = {run.run_id: run.start for run in runs}
    cells: dict[str, list[TaskCell]] = {}
    for cell in page.cells:
        if cell.run_id in starts:
            cells.setdefault(cell.task_id, []).append(cell)
    width = _width(len(runs))
    for task in page.tasks[:MOST_LANES]:
        side = f"median {dur(task.p50_s)}" if task.p50_s is not None else ""
        href = links.rows(
            "tries", page.start, page.end, dag=page.row.dag_id, airflow=page.row.airflow, task=task.task_id
        )
        y = drawn.lane(task.task_id, side, href)
        for cell in cells.get(task.task_id, []):
            _cell(drawn, y, cell, starts[cell.run_id], width)
    if len(page.tasks) > MOST_LANES:
        drawn.lane(f"{len(page.tasks) - MOST_LANES} more tasks", "", "#tasks")


def _cell(drawn: Plot, y: int, cell: TaskCell, start: datetime | None, width: str) -> None:
    assert start
    x, ratio = drawn.axis.pc(start), cell.times_normal or 0
    level = 1 if ratio < 1.5 else 2 if ratio < 3 else 3 if ratio < 8 else 4
    took = f" in {dur(cell.seconds)} ({times(ratio)} normal)" if cell.seconds is not None and ratio else ""
    title = f"{cell.task_id}, run {clock(start)}: {plain(cell.state)}{took}, {cell.tries} tries"
    href = links.attempt(cell.try_id)
    failed = cell.state in ("failed", "up_for_retry")
    state = cell.culprit or ("failed" if failed else "")
    if failed or cell.culprit:
        glyph = cell.culprit or "x"
        shapes = [shape("rect", "cell", x=x, width=width, y=y + 6, height=18), icon(glyph, x, y + 10, 10, 4)]
        drawn.mark(shapes, title, state, href, on=True, late=True)
    else:
        drawn.mark([shape("rect", "heat", data_level=level, x=x, width=width, y=y + 6, height=18)], title, "", href)
