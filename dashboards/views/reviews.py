"""What people say of a verdict: the form on the page of a try, and the page of how often verdicts are right."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_POST

from airf5.accounts import auth
from airf5.accounts.roles import may, scope
from dashboards.fields import CULPRITS
from dashboards.filters import Filter
from dashboards.queries import accuracy as measured
from dashboards.queries.database import reading
from dashboards.queries.reviews import of_try
from dashboards.views.page import page, page_or_part
from dashboards.views.tries import about
from ingest import actions


@require_POST
@login_required
def review(request: HttpRequest, ident: int) -> HttpResponse:
    """Confirm or overturn; `what` of the form is a culprit or a cause."""
    _may(request)
    given = {name: request.POST.get(name, "").strip() for name in ("says", "what", "component", "words", "seen")}
    what = given["what"]
    said = {"culprit": what, "cause": ""} if what in CULPRITS else {"culprit": "", "cause": what}
    known = {"component": given["component"], "words": given["words"], "seen": given["seen"]}
    try:
        _exists(request, ident)
        actions.review_verdict(
            ident, given["says"], request.user.get_username(), address=auth.address(request), **said, **known
        )
    except actions.Refused as error:
        return _panel(request, ident, {"given": given, "problem": str(error)}, 422)
    return _panel(request, ident, {}, 200)


@require_POST
@login_required
def withdraw(request: HttpRequest, ident: int, review: int) -> HttpResponse:
    _may(request)
    try:
        _exists(request, ident)
        actions.withdraw_review(ident, review, request.user.get_username(), auth.address(request))
    except actions.Refused as error:
        return _panel(request, ident, {"problem": str(error)}, 422)
    return _panel(request, ident, {}, 200)


def _may(request: HttpRequest) -> None:
    if not may(request.user, "overturn"):
        raise PermissionDenied


def _exists(request: HttpRequest, ident: int) -> None:
    if of_try(ident, scope(request.user)) is None:
        raise Http404("There is no such try.")


def _about(request: HttpRequest, ident: int) -> tuple[Filter, dict[str, Any]]:
    asked = Filter.from_query({}, timezone.now())
    with reading():
        return asked, about(request, asked, ident)


def _panel(request: HttpRequest, ident: int, changes: dict[str, Any], status: int) -> HttpResponse:
    """The panel alone for htmx; without it back to the page, or the page again with what was typed and why not."""
    if request.headers.get("HX-Request") == "true":
        _, context = _about(request, ident)
        response = render(request, "parts/review.html", {**context, **changes})  # htmx swaps in no 422
        patch_vary_headers(response, ("HX-Request", "Cookie"))
        return response
    if status == 200:
        return HttpResponseRedirect(f"{reverse('try', args=[ident])}#review")
    asked, context = _about(request, ident)
    response = page_or_part(request, "try", asked, {**context, **changes})
    response.status_code = status
    return response


@page("")
def accuracy(request: HttpRequest, asked: Filter) -> HttpResponse:
    """How often it is right."""
    context = {
        "page": measured.accuracy(scope(request.user)),
        "title": "How often it is right",
        "nav": "",
        "filters": False,
        "live": False,
    }
    return page_or_part(request, "accuracy", asked, context)
