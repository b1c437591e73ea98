"""Endpoints: all with their members, one with its latency, and the health events behind a member's lane."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from airf5.accounts.roles import PERMISSIONS, scope
from dashboards.filters import Filter
from dashboards.plots import endpoint as drawn
from dashboards.queries import devices, findings, freshness, health_events
from dashboards.queries import endpoints as query
from dashboards.views.page import page, page_or_part
from dashboards.words import many, short


@page("endpoints")
def endpoints(request: HttpRequest, asked: Filter) -> HttpResponse:
    now = timezone.now()
    fresh = freshness.freshness(now, asked)
    found = query.pages(asked, scope(request.user), now, fresh)
    failing = [one for one in found if one.row.open_incident]
    context = {
        "pages": found,
        "nav": "endpoints",
        "count": f"{many(len(found), 'endpoint')}, {many(sum(one.row.requests for one in found), 'request')}",
        "plot": drawn.availability(found, asked.start, asked.end, fresh) if found else None,
        "fresh": fresh,
        "failing": failing,
        "members": sum(one.row.members for one in found),
        "up": sum(one.row.members_up for one in found),
        "requests": sum(one.row.requests for one in found),
        "devices": devices.listed(now, {one.row.device_group for one in found}),
    }
    return page_or_part(request, "endpoints", asked, context)


@page("endpoints")
def endpoint(request: HttpRequest, asked: Filter, ident: int) -> HttpResponse:
    return page_or_part(request, "endpoint", asked, about(request, asked, ident))


def about(request: HttpRequest, asked: Filter, ident: int) -> dict[str, Any]:
    """What the page of an endpoint shows."""
    now = timezone.now()
    fresh = freshness.freshness(now, asked, freshness.capture_of(endpoint=ident))
    found = query.one(ident, asked, scope(request.user), now, fresh)
    if found is None:
        raise Http404("There is no such endpoint.")
    most = max((count for column in found.heat for count in column.counts), default=1)
    one, two, three = drawn.level_steps(most)
    return {
        "page": found,
        "one_page": [found],
        "flagged": findings.of_endpoint(ident, asked.start, asked.end),
        "contracts": findings.contracts_of(ident),
        "may_declare": scope(request.user).role in PERMISSIONS["contracts"],
        "pools": findings.pools_of(ident),
        "aside": f"of {found.row.device_group}" if freshness.several_groups() else "",
        "title": f"Endpoint {short(found.row.name)}, {asked.time_words().removeprefix('the ')}",
        "crumbs": [("Endpoints", reverse("endpoints")), (short(found.row.name), "")],
        "nav": "endpoints",
        "count": f"{many(found.row.requests, 'request')}, {found.row.failed:,} failed",
        "plot": drawn.availability([found], found.start, found.end, fresh),
        "heat": drawn.heat(found, fresh),
        "spans": [(track, span) for track in found.tracks for span in track.spans],
        "levels": [
            (1, _span(1, one)),
            (2, _span(one + 1, two)),
            (3, _span(two + 1, three)),
            (4, f"{three + 1:,} and more"),
        ],
        "column": (found.heat[0].end - found.heat[0].start).total_seconds() if found.heat else 0,
        "fresh": fresh,
    }


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low >= high else f"{low:,} to {high:,}"


@page("health_events")
def health_list(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(
        request, "health", asked, {"found": health_events.listed(asked, scope(request.user)), "nav": "endpoints"}
    )
