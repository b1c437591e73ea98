"""A database that is away, or a question that took too long, is no fault of the page: say so, and with the right status."""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

log = logging.getLogger(__name__)

AWAY = (
    "The database does not answer right now.",
    "Nothing is lost: what arrives is kept and stored later. Try again in a moment.",
)
LONG = ("That question took too long.", "Ask for a shorter time range, or narrow the filter.")
RETRY_S = "5"


class UnavailableMiddleware:
    """Turns errors of the database connection into a 503 that a person understands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, (OperationalError, InterfaceError)):
            return None
        long = isinstance(error.__cause__, psycopg.errors.QueryCanceled)
        log.error("%s %s: %s", request.method, request.path, error)
        what, advice = LONG if long else AWAY
        page = render_to_string("503.html", {"what": what, "advice": advice})
        return HttpResponse(page, status=503, headers={"Retry-After": RETRY_S})
