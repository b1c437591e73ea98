"""Findings before anything failed: their list; and contracts on the page of an endpoint: declared, switched, withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from airf5.accounts import auth
from airf5.accounts.roles import may, scope
from dashboards.filters import Filter
from dashboards.queries import findings as query
from dashboards.queries.database import reading
from dashboards.views import endpoints
from dashboards.views.page import page, page_or_part
from ingest import contract_actions as actions

GIVEN = ("host", "prefix", "agent", "note")


@page("findings")
def findings(request: HttpRequest, asked: Filter) -> HttpResponse:
    found = query.listed(asked, scope(request.user))
    return page_or_part(request, "findings", asked, {"found": found, "nav": "endpoints"})


@require_POST
@login_required
def declare(request: HttpRequest, ident: int) -> HttpResponse:
    """To which pools an endpoint sends requests of a path."""
    given = {name: request.POST.get(name, "") for name in GIVEN}
    pools = request.POST.get("pools", "")
    who, where = request.user.get_username(), auth.address(request)

    def do() -> None:
        actions.declare_contract(
            ident, given["prefix"], pools.split(","), who, host=given["host"], agent=given["agent"], note=given["note"],
            address=where,
        )  # fmt: skip

    return _done(request, ident, do, {**given, "pools": pools})


@require_POST
@login_required
def change(request: HttpRequest, ident: int, contract: int) -> HttpResponse:
    """Switch it on or off, accept one more pool, or withdraw it: what `do` of the form says."""
    known = query.contract(contract)
    if known is None or known.endpoint_id != ident:
        raise Http404("There is no such contract of this endpoint.")
    who, where, what = request.user.get_username(), auth.address(request), request.POST.get("do", "")

    def do() -> None:
        if what in ("on", "off"):
            actions.switch_contract(contract, what == "on", who, where)
        elif what == "accept":
            actions.accept_pool(contract, request.POST.get("pool", ""), who, where)
        elif what == "withdraw":
            actions.withdraw_contract(contract, who, where)
        else:
            raise actions.Refused("A contract is switched on or off, accepts a pool, or is withdrawn.")

    return _done(request, ident, do, {})


def _done(request: HttpRequest, ident: int, do: Callable[[], None], given: dict[str, Any]) -> HttpResponse:
    """Back to the page; or the page again, with what was typed and why it was not saved."""
    if not may(request.user, "contracts"):
        raise PermissionDenied
    try:
        do()
    except actions.Refused as error:
        asked = Filter.from_query({}, timezone.now(), "endpoints")
        with reading():
            context = endpoints.about(request, asked, ident)
        response = page_or_part(request, "endpoint", asked, {**context, "problem": str(error), "given": given})
        response.status_code = 422
        return response
    return HttpResponseRedirect(f"{reverse('endpoint', args=[ident])}#contracts")
