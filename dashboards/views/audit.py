"""The audit trail of all three layers, with what it was drawn from."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from airf5.accounts.roles import scope
from dashboards.filters import Filter
from dashboards.queries import audit as query
from dashboards.views.page import page, page_or_part


@page("audit", "audit")
def audit(request: HttpRequest, asked: Filter) -> HttpResponse:
    who = scope(request.user)
    context = {"found": query.listed(asked, who), "population": query.population(asked, who)}
    return page_or_part(request, "audit", asked, context)
