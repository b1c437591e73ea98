"""Tries: the list, and one with everything that is known about it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from airf5.accounts.roles import PERMISSIONS, scope
from dashboards.fields import CULPRITS
from dashboards.filters import Filter
from dashboards.plots import waterfall as drawn
from dashboards.queries import freshness, requests
from dashboards.queries import tries as query
from dashboards.queries.rows import TryRow
from dashboards.queries.splits import lines
from dashboards.views.page import page, page_or_part
from dashboards.words import dur, plain, run_name, unprefixed
from ingest import actions
from ingest.rules.causes import CAUSES


@page("tries")
def tries(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(request, "tries", asked, {"found": query.listed(asked, scope(request.user)), "nav": "dags"})


@page("")
def attempt(request: HttpRequest, asked: Filter, ident: int) -> HttpResponse:
    """One try: the answer as heading, and why we say so."""
    return page_or_part(request, "try", asked, about(request, asked, ident))


def about(request: HttpRequest, asked: Filter, ident: int) -> dict[str, Any]:
    """What the page of a try shows."""
    who = scope(request.user)
    found = query.one(ident, who)
    if found is None:
        raise Http404("There is no such try.")
    row = found.row
    begin, end = row.queued_at or row.start_at or asked.start, row.end_at or timezone.now()
    fresh = freshness.freshness(
        timezone.now(), Filter(begin, max(begin, end)), freshness.capture_of(airflow=row.airflow)
    )
    bad = [request for request in found.requests if request.outcome != "ok"]
    verdict = row.verdict
    return {
        "page": found,
        "plot": drawn.plot(found, fresh),
        "fresh": fresh,
        "bad": bad,
        "rows": sorted((*found.requests, *found.candidates), key=lambda row: (row.at, row.line_id)),
        "acquittal": acquittal(found),
        "where": lines(found.judgement.split) if found.judgement else (),
        "title": heading(row),
        "crumbs": crumbs(row),
        "nav": "dags",
        "badge": verdict.culprit if verdict else "",
        "aside": plain(row.state)
        + ("" if row.state != "success" or not verdict else ", but slow")
        + (f", {row.review.says} by {row.review.author}" if row.review and not row.review.earlier else ""),
        "filters": False,
        "live": False,
        **_form(request, found),
    }


def _form(request: HttpRequest, found: query.TryPage) -> dict[str, Any]:
    """What the review panel of a try needs beside the try: who may speak, and the causes to choose from."""
    verdict = found.row.verdict
    return {
        "may_review": verdict is not None and scope(request.user).role in PERMISSIONS["overturn"],
        "me": request.user.get_username(),
        "seen": actions.seen_as(verdict) if verdict else "",
        "causes": [(name, [c for c in CAUSES.values() if c.culprit == name]) for name in CULPRITS],
        "given": {},
        "problem": "",
        "longest": actions.LONGEST_NOTE,
        "longest_component": actions.LONGEST_COMPONENT,
    }


def heading(row: TryRow) -> str:
    """The answer in words: what no log alone says."""
    if row.verdict:
        return f"{row.task}, try {row.try_number}: {unprefixed(row.verdict.sentence)}"
    took = f" in {dur(row.duration_s)}" if row.duration_s else ""
    return f"{row.task}, try {row.try_number}: {plain(row.state) or 'not started'}{took}"


def acquittal(found: query.TryPage) -> str:
    """What a person at 02:00 asks for, in words and counts."""
    if not (found.row.verdict and found.row.verdict.route_acquitted and found.judgement):
        return ""
    counted = (reason.text for reason in found.judgement.reasons if "answered well" in reason.text)
    why = next(counted, f"none of its {found.judgement.requests} requests that crossed F5 stayed bad.")
    return f"The route is acquitted: {why}"


def crumbs(row: TryRow) -> list[tuple[str, str]]:
    run = (
        f"{reverse('tries')}?{urlencode({'airflow': row.airflow, 'dag': row.dag_id, 'run': row.run_id, 'last': '30d'})}"
    )
    dag = f"{reverse('dag', args=[row.dag_id])}?{urlencode({'airflow': row.airflow})}"
    return [("DAGs", reverse("dags")), (row.dag_id, dag), (run_name(row.run_id, timezone.now()), run), (row.task, "")]


@page("requests")
def request_list(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(
        request, "requests", asked, {"found": requests.listed(asked, scope(request.user)), "nav": "endpoints"}
    )
