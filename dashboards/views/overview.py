"""The first page, the page for 02:00, and the search box."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from airf5.accounts.roles import scope
from dashboards.filters import Filter
from dashboards.plots import overview as drawn
from dashboards.queries import findings
from dashboards.queries import now as now_query
from dashboards.queries import overview as query
from dashboards.views.page import page, page_or_part
from dashboards.words import apart, many


@page("overview")
def overview(request: HttpRequest, asked: Filter) -> HttpResponse:
    found = query.overview(asked, scope(request.user), timezone.now())
    most = max((count.tries for count in found.culprits), default=0)
    context = {"page": found, "plot": drawn.plot(found, asked.start, asked.end), "fresh": found.freshness, "most": most}
    context["cells"] = [(lane, cell) for lane in found.lanes for cell in lane.cells if drawn.tells(cell)]
    context["groups"] = apart(lane.device_group for lane in found.lanes)
    context["flagged"] = findings.flagged(asked, scope(request.user))
    open_now = f"{len(found.failing)} open incident{'' if len(found.failing) == 1 else 's'}"
    context |= {"title": title(asked), "count": f"{open_now}, {many(found.verdicts, 'try', 'tries')} with a verdict"}
    return page_or_part(request, "overview", asked, context)


def title(asked: Filter) -> str:
    """The question in English, as the heading of a page that shows everything."""
    narrow = "".join(f", {field.label} {value.replace(',', ' or ')}" for field, value in asked.narrowed())
    return f"All DAGs and endpoints, {asked.time_words().removeprefix('the ')}{narrow}"


@page("now")
def now(request: HttpRequest, asked: Filter) -> HttpResponse:
    """Three sentences, no script, no navigation: it must load on a phone at 02:00."""
    found = now_query.now_page(asked, scope(request.user), timezone.now())
    flagged = findings.flagged(asked, scope(request.user))
    return render(request, "dashboards/now.html", {"page": found, "asked": asked, "flagged": flagged})


@require_safe
@login_required
def search(request: HttpRequest) -> HttpResponse:
    """Guesses what was typed: an incident's number, a run, a member's address, else a DAG."""
    text = request.GET.get("q", "").strip()[:200]
    if text.isascii() and text.isdigit():
        return HttpResponseRedirect(reverse("incident", args=[int(text[:9])]))
    if "__" in text:
        name, field = "tries", "run"
    elif ":" in text or text.startswith("/"):
        name, field = "endpoints", "member"
    else:
        name, field = "dags", "dag"
    pattern = text if "*" in text or not text else f"*{text}*"
    return HttpResponseRedirect(
        f"{reverse(name)}?{urlencode({field: pattern, 'last': '24h'})}" if text else reverse(name)
    )
