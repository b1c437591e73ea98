"""Errors as RFC 9457 problem details: one shape for everything, a sentence a person can act on, never a stack trace."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from dashboards.filters import FilterError

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)


class BadFilter(exceptions.APIException):
    """A question that cannot be asked; carries the parameter's name."""

    status_code = 400

    def __init__(self, error: FilterError) -> None:
        super().__init__(error.sentence)
        self.field = error.field


class Refusal(exceptions.APIException):
    """What was asked to be done cannot be done; the sentence says why."""

    status_code = 400


class TooSlow(exceptions.APIException):
    status_code = 503
    default_detail = "The database did not answer in 15 seconds; ask for a shorter time range or a narrower filter."


class Broken(exceptions.APIException):
    status_code = 500
    default_detail = "Something broke on our side; it has been logged."


def problem(error: Exception, context: dict[str, Any]) -> Response:
    """REST_FRAMEWORK's EXCEPTION_HANDLER."""
    known = _known(error)
    if isinstance(known, Broken):
        log.error("The API broke on %s", _path(context), exc_info=error)
    answer = exception_handler(known, context)
    assert answer is not None  # every APIException has one
    body = _body(known, _path(context))
    # DRF sets WWW-Authenticate and Retry-After on its own answer.
    headers = {name: value for name, value in answer.items() if name.lower() != "content-type"}
    return Response(body, status=answer.status_code, headers=headers, content_type=MEDIA_TYPE)


def _known(error: Exception) -> exceptions.APIException:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, FilterError):
        return BadFilter(error)
    if isinstance(error, Http404):
        return exceptions.NotFound(str(error) or "There is nothing at this address.")
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, OperationalError) and "statement timeout" in str(error):
        return TooSlow()
    return Broken()


def _body(error: exceptions.APIException, path: str) -> dict[str, Any]:
    detail = error.detail
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
        "detail": str(detail) if isinstance(detail, str) else "The request cannot be answered.",
        "instance": path,
    }
    return {**body, "parameter": error.field} if isinstance(error, BadFilter) else body


def _path(context: dict[str, Any]) -> str:
    request = context.get("request")
    return request.path if request is not None else ""
