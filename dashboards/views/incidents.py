"""Incidents: the list, one with its timeline, and what an operator writes on it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from airf5.accounts.roles import PERMISSIONS, may, scope
from dashboards.filters import Filter
from dashboards.plots import incident as drawn
from dashboards.queries import freshness
from dashboards.queries import incidents as query
from dashboards.views.page import page, page_or_part
from dashboards.words import dur
from ingest import actions

MAX_NOTE = actions.LONGEST_NOTE


@page("incidents")
def incidents(request: HttpRequest, asked: Filter) -> HttpResponse:
    found = query.listed(asked, scope(request.user), timezone.now())
    return page_or_part(request, "incidents", asked, {"found": found})


@page("")
def incident(request: HttpRequest, asked: Filter, ident: int) -> HttpResponse:
    now = timezone.now()
    who = scope(request.user)
    found = query.one(ident, who, now)
    if found is None:
        raise Http404("There is no such incident.")
    if found.row.merged_into:
        return redirect("incident", ident=found.row.merged_into)
    fresh = freshness.freshness(now, Filter(found.start, found.end), {found.row.capture})
    row = found.row
    context = {
        "page": found,
        "title": row.sentence,
        "crumbs": [("Incidents", reverse("incidents")), (str(ident), "")],
        "nav": "incidents",
        "badge": row.culprit,
        "aside": f"open, {dur(row.seconds)} so far" if row.state == "open" else f"over, lasted {dur(row.seconds)}",
        "filters": False,
        "live": row.state == "open",
        "plot": drawn.plot(found, fresh),
        "before": drawn.before(found, fresh),
        "fresh": fresh,
        "instances": len(drawn.instances(found)),
        "failed": sum(request.failed for request in found.requests),
        "window": Filter(found.start, found.end),
        "may_note": who.role in PERMISSIONS["note"],
        "may_acknowledge": who.role in PERMISSIONS["acknowledge"] and not found.row.acknowledged_by,
    }
    return page_or_part(request, "incident", asked, context)


@require_POST
@login_required
def acknowledge(request: HttpRequest, ident: int) -> HttpResponse:
    if not may(request.user, "acknowledge"):
        raise PermissionDenied
    actions.acknowledge_incident(_known(request, ident), request.user.get_username())
    return HttpResponseRedirect(f"/incidents/{ident}/#notes")


@require_POST
@login_required
def note(request: HttpRequest, ident: int) -> HttpResponse:
    if not may(request.user, "note"):
        raise PermissionDenied
    text = request.POST.get("note", "").strip()[:MAX_NOTE]
    if text:
        actions.add_note(_known(request, ident), text, request.user.get_username())
    return HttpResponseRedirect(f"/incidents/{ident}/#notes")


def _known(request: HttpRequest, ident: int) -> int:
    if query.one(ident, scope(request.user), timezone.now()) is None:
        raise Http404("There is no such incident.")
    return ident
