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
from dashboards.views.page import page, page_or_part
from dashboards.words import many


@page("dags")
def dags(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(request, "dags", asked, {"found": query.listed(asked, scope(request.user))})


@page("dags")
def dag(request: HttpRequest, asked: Filter, dag_id: str) -> HttpResponse:
    found = dag_page.one(asked.airflow, dag_id, asked, scope(request.user))
    if found is None:
        raise Http404("There is no such DAG.")
    fresh = freshness.freshness(timezone.now(), asked)
    slow = [run for run in found.runs if run.times_normal and run.times_normal > drawn.SLOW]
    row = found.row
    context = {
        "page": found,
        "title": f"DAG {dag_id}, {asked.time_words().removeprefix('the ')}",
        "crumbs": [("DAGs", reverse("dags")), (dag_id, "")],
        "nav": "dags",
        "aside": "paused" if row.is_paused else "",
        "count": f"{many(len(found.runs), 'run')}, {many(row.tries, 'try', 'tries')}, {sum(row.culprits.values())} with a verdict",
        "loud": drawn.run_state(row.latest) if row.latest else "unknown",
        "plot": drawn.plot(found, fresh),
        "fresh": fresh,
        "slow": slow,
        "longest": max((run.split.total for run in found.slowest), default=0),
        "figures": [
            (
                "chart-took",
                "How long did runs take?",
                "p50, p95 and p99 of the runs that began in each stretch",
                charts.durations(found.series, dag_id),
            ),
            (
                "chart-where",
                "Where did the time go?",
                "all tries of each stretch, in seconds",
                charts.where(found.series, dag_id),
            ),
        ],
    }
    return page_or_part(request, "dag", asked, context)
