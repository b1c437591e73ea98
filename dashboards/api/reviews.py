"""What people say of verdicts, over HTTP: read it, say it, take it back."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from airf5.accounts import auth, roles
from dashboards.api.problems import Refusal
from dashboards.api.views import Read
from dashboards.plain import plain
from dashboards.queries import reviews
from ingest import actions

GIVEN = ("says", "culprit", "cause", "component", "words", "seen")


class ReviewList(Read):
    """The reviews of one try, newest first; POST adds one of one's own."""

    http_method_names: ClassVar[list[str]] = ["get", "post", "head", "options"]

    def get(self, request: Request, ident: int) -> Response:
        return Response({"results": plain(_found(request, ident))})

    def post(self, request: Request, ident: int) -> Response:
        _may(request)
        _found(request, ident)
        given = _given(request.data)
        try:
            made = actions.review_verdict(
                ident,
                given.pop("says", ""),
                request.user.get_username(),
                address=auth.address(request._request),
                **given,
            )
        except actions.Refused as error:
            raise Refusal(str(error)) from error
        return Response(plain(_one(request, ident, made.pk)), status=201)


class ReviewOne(Read):
    """One review; DELETE takes back one of one's own, which stays on record as withdrawn."""

    http_method_names: ClassVar[list[str]] = ["get", "delete", "head", "options"]

    def get(self, request: Request, ident: int, review: int) -> Response:
        return Response(plain(_one(request, ident, review)))

    def delete(self, request: Request, ident: int, review: int) -> Response:
        _may(request)
        _one(request, ident, review)
        try:
            actions.withdraw_review(ident, review, request.user.get_username(), auth.address(request._request))
        except actions.Refused as error:
            raise Refusal(str(error)) from error
        return Response(plain(_one(request, ident, review)))


def _may(request: Request) -> None:
    if not roles.may(request.user, "overturn"):
        raise PermissionDenied("Confirming and overturning verdicts is for operators and admins.")


def _found(request: Request, ident: int) -> tuple[Any, ...]:
    found = reviews.of_try(ident, roles.scope(request.user))
    if found is None:
        raise Http404("There is no such try.")
    return found


def _one(request: Request, ident: int, review: int) -> Any:
    one = next((row for row in _found(request, ident) if row.id == review), None)
    if one is None:
        raise Http404("There is no such review of this try.")
    return one


def _given(body: Any) -> dict[str, str]:
    """The fields of a review, as texts and no others."""
    if not isinstance(body, dict):
        raise Refusal(f"Send a JSON object with {', '.join(GIVEN)}.")
    for name, value in body.items():
        if name not in GIVEN:
            raise Refusal(f"There is no field {str(name)[:60]!r} here; known are: {', '.join(GIVEN)}.")
        if not isinstance(value, str):
            raise Refusal(f"{name} is a text.")
    return dict(body)
