"""Lists and single things over HTTP: the filter of the address, one query, plain values."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.http import Http404
from django.utils import timezone
from django.utils.encoding import escape_uri_path
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from airf5.accounts import roles
from airf5.accounts.auth import TokenAuthentication
from dashboards.filters import Filter
from dashboards.lists import Subject
from dashboards.plain import plain
from dashboards.queries import accuracy, dags, endpoints, freshness, incidents, source_page, tries


class MayRead(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return roles.may(request.user, "read")


class Calls(UserRateThrottle):
    """Enough for a dashboard, too little for a runaway loop."""

    rate = "1200/min"
    scope = "api"


class Read(APIView):
    """What every address of the API shares; a stranger gets 401 before anything is read."""

    authentication_classes: ClassVar[list[Any]] = [TokenAuthentication, SessionAuthentication]
    permission_classes: ClassVar[list[Any]] = [MayRead]
    throttle_classes: ClassVar[list[Any]] = [Calls]
    http_method_names: ClassVar[list[str]] = ["get", "head", "options"]

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class ListRead(Read):
    """One page of a list; `subject` is set by the table of addresses."""

    subject: ClassVar[Subject]

    def get(self, request: Request) -> Response:
        now = timezone.now()
        asked = Filter.from_query(request.query_params, now, self.subject.listing)
        page = self.subject.read(asked, roles.scope(request.user), now)
        # Relative times would drift between pages, so the next page asks for the same two instants.
        following = asked.absolute().page_after(page.next).to_query(paging=True) if page.next else ""
        address = request.build_absolute_uri(f"{escape_uri_path(request.path)}?{following}") if following else None
        body = {**_about(asked, now), "next": address, "results": plain(page.rows)}
        return Response(body, headers={"Link": f'<{address}>; rel="next"'} if address else {})


class IncidentRead(Read):
    def get(self, request: Request, ident: int) -> Response:
        return _found(incidents.one(ident, roles.scope(request.user), timezone.now()), "incident")


class TryRead(Read):
    def get(self, request: Request, ident: int) -> Response:
        return _found(tries.one(ident, roles.scope(request.user)), "try")


class DagRead(Read):
    def get(self, request: Request, dag_id: str) -> Response:
        asked = Filter.from_query(request.query_params, timezone.now(), "dags")
        return _found(dags.one(asked.airflow, dag_id, asked, roles.scope(request.user)), "DAG")


class EndpointRead(Read):
    def get(self, request: Request, ident: int) -> Response:
        now = timezone.now()
        asked = Filter.from_query(request.query_params, now, "endpoints")
        return _found(endpoints.one(ident, asked, roles.scope(request.user), now), "endpoint")


class SourceRead(Read):
    def get(self, request: Request, ident: int) -> Response:
        now = timezone.now()
        asked = Filter.from_query(request.query_params, now, "sources")
        return _found(source_page.one(ident, asked, now), "source")


class AccuracyRead(Read):
    def get(self, request: Request) -> Response:
        return Response(plain(accuracy.accuracy(roles.scope(request.user))))


class NothingHere(Read):
    """Any other address under /api/: a problem document and not the site's page."""

    permission_classes: ClassVar[list[Any]] = []

    def get(self, request: Request, **kwargs: Any) -> Response:
        raise Http404("There is nothing at this address; /api/docs/ lists what there is.")


def _about(asked: Filter, now: datetime) -> dict[str, Any]:
    fresh = freshness.watermark(now, asked)
    return {"filter": asked.sentence(), "complete": fresh.sentence, "complete_to": plain(fresh.complete_to)}


def _found(page: Any, what: str) -> Response:
    if page is None:
        raise Http404(f"There is no such {what}.")
    return Response(plain(page))
