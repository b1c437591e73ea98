"""DAGs: the list, and one with its runs against their normal and where the time went."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from airf5.accounts.roles import scope
from dashboards import charts
from dashboards.filters import Filter
from dashboards.plots import dag as drawn
from dashboards.queries import dag_page, freshness
from dashboards.queries import dags as query
from dashboards.queries.dag_rows import DagPage, RunRow
from dashboards.views.page import page, page_or_part
from dashboards.words import many


@page("dags")
def dags(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(request, "dags", asked, {"found": query.listed(asked, scope(request.user))})


def aside(airflow: str) -> str:
    """Whose DAG it is, where several Airflows are known."""
    return f"of {airflow}" if freshness.several_airflows() else ""


def loud(run: RunRow | None) -> str:
    """The icon of the page's sentence."""
    state = drawn.run_state(run) if run else "unknown"
    return run.state if run and state == "unknown" else state


@page("dags")
def dag(request: HttpRequest, asked: Filter, dag_id: str) -> HttpResponse:
    found = dag_page.one(asked.airflow, dag_id, asked, scope(request.user))
    if found is None:
        raise Http404("There is no such DAG.")
    fresh = freshness.freshness(timezone.now(), asked, freshness.capture_of(airflow=found.row.airflow))
    slow = [run for run in found.runs if run.times_normal and run.times_normal > drawn.SLOW]
    row, runs = found.row, many(len(found.runs), "run")
    context = {
        "page": found,
        "title": f"DAG {dag_id}, {asked.time_words().removeprefix('the ')}",
        "crumbs": [("DAGs", reverse("dags")), (dag_id, "")],
        "nav": "dags",
        "aside": ", ".join(filter(None, (aside(row.airflow), "paused" if row.is_paused else ""))),
        "count": ", ".join((runs, many(row.tries, "try", "tries"), f"{sum(row.culprits.values())} with a verdict")),
        "loud": loud(row.latest),
        "plot": drawn.plot(found, fresh),
        "fresh": fresh,
        "slow": slow,
        "longest": max((run.split.total for run in found.slowest), default=0),
        "figures": figures(found),
    }
    return page_or_part(request, "dag", asked, context)


def figures(found: DagPage) -> list[tuple[str, str, str, charts.Figure]]:
    """(id, the question it answers, what it counts, the figure)."""
    took, went = charts.durations(found.series, found.row), charts.where(found.series, found.row)
    counts = "p50, p95 and p99 of the runs that began in each stretch"
    return [
        ("chart-took", "How long did runs take?", counts, took),
        ("chart-where", "Where did the time go?", "all tries of each stretch, in seconds", went),
    ]
