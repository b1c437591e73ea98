"""The addresses of the API with their OpenAPI description: parameters from the fields, answers from the rows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from dashboards.api import views
from dashboards.api.problems import TooSlow
from dashboards.api.shapes import ProblemSerializer, example, page_serializer, serializer
from dashboards.fields import FIELDS, LASTS, LISTINGS
from dashboards.filters import DEFAULT_LIMIT, MAX_LIMIT
from dashboards.lists import SUBJECTS, Subject
from dashboards.queries import dags, endpoints, incidents, source_page, tries

JSON, PROBLEM = "application/json", "application/problem+json"
PROBLEMS = {
    400: ("bad-filter", "dag cannot be read", "There is no parameter “dga” here; the nearest is “dag”."),
    401: ("no-login", "no login", "Authentication credentials were not provided."),
    404: ("nothing", "nothing here", "There is no such incident."),
    429: ("too-many", "too many calls", "Request was throttled. Expected available in 12 seconds."),
    503: ("too-slow", "took too long", TooSlow.default_detail),
}  # fmt: skip
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def problems(*codes: int) -> dict[tuple[int, str], OpenApiResponse]:
    return {(code, PROBLEM): _problem(code) for code in codes}


def _problem(code: int) -> OpenApiResponse:
    name, summary, detail = PROBLEMS[code]
    body = {
        "type": "about:blank",
        "title": TITLES[code],
        "status": code,
        "detail": detail,
        "instance": "/api/v1/tries/",
    }
    shown = OpenApiExample(
        name, summary=summary, value=body, response_only=True, media_type=PROBLEM, status_codes=[str(code)]
    )
    return OpenApiResponse(ProblemSerializer, description=TITLES[code], examples=[shown])


def parameters(listing: str, *, paged: bool) -> list[OpenApiParameter]:
    """The query parameters of a list."""
    page = LISTINGS[listing]
    found = [
        _parameter("last", f"time range up to now, instead of from and to; {page.last} by default", enum=list(LASTS)),
        _parameter("from", "begin of the time range, with a zone: 2026-01-31T08:00:00Z", OpenApiTypes.DATETIME),
        _parameter("to", "end of the time range (exclusive), with a zone; now by default", OpenApiTypes.DATETIME),
    ]
    for name in page.fields:
        words = page.states if name == "state" else FIELDS[name].words
        meaning = f"{FIELDS[name].meaning}: {', '.join(words)}" if words else FIELDS[name].meaning
        found.append(_parameter(name, meaning))
    if paged:
        found += [
            _parameter("limit", f"rows of a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} by default", OpenApiTypes.INT),
            _parameter("after", "cursor, from the “next” of a page"),
        ]
        if page.sorts:
            found.append(
                _parameter("sort", f"order; {page.sorts[0]} by default, - is descending", enum=list(page.sorts))
            )
    return found


def _parameter(
    name: str, meaning: str, kind: Any = OpenApiTypes.STR, enum: list[str] | None = None
) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=meaning, enum=enum)


def list_view(subject: Subject) -> Any:
    """The view class of a list, described."""
    name = subject.slug.replace("/", "-")
    rows = {
        "filter": f"{LISTINGS[subject.listing].noun}, the last 24 hours",
        "complete": "Log data complete to 08:41:55 UTC",
    }
    body = {**rows, "complete_to": "2026-01-31T08:41:55Z", "next": None, "results": [example(subject.row)]}
    ok = OpenApiResponse(page_serializer(subject.row), description="A page", examples=[_ok(name, body)])
    view = type(f"{subject.row.__name__}List", (views.ListRead,), {"subject": subject, "__doc__": subject.summary})
    described = extend_schema(
        operation_id=f"list-{name}", summary=subject.summary,
        tags=[name.split("-")[0] if "/" in subject.slug else name],
        parameters=parameters(subject.listing, paged=True),
        responses={(200, JSON): ok, **problems(400, 401, 429, 503)},
    )  # fmt: skip
    return extend(view, described)


def one_view(view: type, name: str, page: type, summary: str, tag: str, listing: str = "") -> Any:
    """The view class of a single thing, described."""
    ok = OpenApiResponse(serializer(page), description="All that its page shows", examples=[_ok(name, example(page))])
    asked = parameters(listing, paged=False) if listing else []
    codes = (400, 401, 404, 429, 503) if listing else (401, 404, 429, 503)
    responses = {(200, JSON): ok, **problems(*codes)}
    described = extend_schema(
        operation_id=f"get-{name}", summary=summary, tags=[tag], parameters=asked, responses=responses
    )
    return extend(type(view.__name__, (view,), {"__doc__": summary}), described)


def _ok(name: str, body: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(
        f"{name}-example", summary="example", value=body, response_only=True, media_type=JSON, status_codes=["200"]
    )


def extend(view: Any, described: Any) -> Any:
    """A class of its own with a `get` of its own: a description on a shared one would be everybody's."""
    shared = view.get

    def get(self: Any, request: Any, **kwargs: Any) -> Any:
        return shared(self, request, **kwargs)

    view.get = described(get)
    return view


LISTS = {slug: list_view(subject) for slug, subject in SUBJECTS.items()}
ONES = {
    "incidents/<int:ident>": one_view(
        views.IncidentRead, "incident", incidents.IncidentPage, "One incident with everything.", "incidents"
    ),
    "tries/<int:ident>": one_view(
        views.TryRead, "try", tries.TryPage, "One try with its verdict, evidence and requests.", "tries"
    ),
    "dags/<str:dag_id>": one_view(
        views.DagRead, "dag", dags.DagPage, "One DAG with its runs, tasks and series.", "dags", "dags"
    ),
    "endpoints/<int:ident>": one_view(
        views.EndpointRead,
        "endpoint",
        endpoints.EndpointPage,
        "One endpoint with members, latencies, dependents.",
        "endpoints",
        "endpoints",
    ),
    "sources/<int:ident>": one_view(
        views.SourceRead,
        "source",
        source_page.SourcePage,
        "One feed with its ledger, gaps, recounts, unreadable lines by reason, clocks and footprint.",
        "sources",
        "sources",
    ),
}
