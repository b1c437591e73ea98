"""Sources: how complete each feed is, what it read, what it could not use, and what it may not read."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from airf5.accounts.roles import scope
from dashboards.filters import Filter
from dashboards.queries import freshness
from dashboards.queries import sources as query
from dashboards.views.page import page, page_or_part

ICONS = {"ok": "ok", "late": "slow", "down": "x"}


@page("sources")
def sources(request: HttpRequest, asked: Filter) -> HttpResponse:
    who, now = scope(request.user), timezone.now()
    batches = replace(asked, listing="batches", sort="-at", after="", limit=20)
    rejects = replace(asked, listing="rejects", sort="-at", after="", limit=20)
    fresh = freshness.freshness(now, asked)
    context = {
        "found": freshness.feeds(asked, who, now),
        "fresh": fresh,
        "fresh_icon": ICONS.get(fresh.state, "unknown"),
        "batches": query.batches(batches, who),
        "rejects": query.rejects(rejects, who),
    }
    return page_or_part(request, "sources", asked, context)


@page("batches")
def batch_list(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(
        request, "batches", asked, {"found": query.batches(asked, scope(request.user)), "nav": "sources"}
    )


@page("rejects")
def reject_list(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(
        request, "rejects", asked, {"found": query.rejects(asked, scope(request.user)), "nav": "sources"}
    )
