"""The addresses of the API with their OpenAPI description: parameters from the fields, answers from the rows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from dashboards.api import reviews, views
from dashboards.api.problems import TooSlow
from dashboards.api.shapes import ProblemSerializer, example, page_serializer, serializer
from dashboards.fields import CULPRITS, FIELDS, LASTS, LISTINGS
from dashboards.filters import DEFAULT_LIMIT, MAX_LIMIT
from dashboards.lists import SUBJECTS, Subject
from dashboards.queries import accuracy, dags, endpoints, incidents, source_page, tries
from dashboards.queries.rows import ReviewRow

JSON, PROBLEM = "application/json", "application/problem+json"
PROBLEMS = {
    400: ("bad-filter", "dag cannot be read", "There is no parameter “dga” here; the nearest is “dag”."),
    401: ("no-login", "no login", "Authentication credentials were not provided."),
    403: ("not-allowed", "not allowed", "Confirming and overturning verdicts is for operators and admins."),
    404: ("nothing", "nothing here", "There is no such incident."),
    429: ("too-many", "too many calls", "Request was throttled. Expected available in 12 seconds."),
    503: ("too-slow", "took too long", TooSlow.default_detail),
}  # fmt: skip
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
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


def _ok(name: str, body: dict[str, Any], status: str = "200") -> OpenApiExample:
    return OpenApiExample(
        f"{name}-example", summary="example", value=body, response_only=True, media_type=JSON, status_codes=[status]
    )


def extend(view: Any, described: Any, method: str = "get") -> Any:
    """A class of its own with a method of its own: a description on a shared one would be everybody's."""
    shared = getattr(view, method)

    def answer(self: Any, request: Any, **kwargs: Any) -> Any:
        return shared(self, request, **kwargs)

    setattr(view, method, described(answer))
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


class ReviewSerializer(serializers.Serializer[Any]):
    """A word on a verdict. Overturned: at least one of culprit, cause and component, as far as it is known."""

    says = serializers.ChoiceField(("confirmed", "overturned"))
    culprit = serializers.CharField(required=False, help_text=f"what was right instead: {', '.join(CULPRITS)}")
    cause = serializers.CharField(required=False, help_text="the code of a cause, as in docs/causes.md")
    component = serializers.CharField(required=False, help_text="who was at fault, at most 300 characters")
    words = serializers.CharField(required=False, help_text="why, at most 10,000 characters")
    seen = serializers.CharField(
        required=False, help_text="cause and component as they were read, with a space; refused if they changed since"
    )


def _review_list() -> Any:
    """Reading and adding the reviews of a try, described."""
    row = example(ReviewRow) | {"says": "overturned", "author": "ann", "culprit": "service", "cause": "service_failing"}
    page = type(
        "ReviewRowListSerializer",
        (serializers.Serializer,),
        {"results": serializers.ListField(child=serializer(ReviewRow)())},
    )
    ok = OpenApiResponse(page, description="All of them", examples=[_ok("reviews", {"results": [row]})])
    added = OpenApiResponse(serializer(ReviewRow), description="Added", examples=[_ok("add-review", row, "201")])
    view = type("ReviewList", (reviews.ReviewList,), {"__doc__": reviews.ReviewList.__doc__})
    read = extend_schema(
        operation_id="list-reviews", summary="What people said of a try's verdict, newest first.", tags=["tries"],
        responses={(200, JSON): ok, **problems(401, 404, 429)},
    )  # fmt: skip
    add = extend_schema(
        operation_id="add-review", summary="Confirm a verdict, or overturn it and say what was right instead.",
        tags=["tries"], request=ReviewSerializer,
        responses={(201, JSON): added, **problems(400, 401, 403, 404, 429)},
    )  # fmt: skip
    return extend(extend(view, read), add, "post")


def _review_one() -> Any:
    """Reading and withdrawing one review, described."""
    row = example(ReviewRow)
    view = type("ReviewOne", (reviews.ReviewOne,), {"__doc__": reviews.ReviewOne.__doc__})
    ok = OpenApiResponse(serializer(ReviewRow), description="The review", examples=[_ok("review", row)])
    gone = OpenApiResponse(serializer(ReviewRow), description="Withdrawn", examples=[_ok("withdrawn", row)])
    read = extend_schema(
        operation_id="get-review", summary="One review.", tags=["tries"],
        responses={(200, JSON): ok, **problems(401, 404, 429)},
    )  # fmt: skip
    take_back = extend_schema(
        operation_id="withdraw-review", summary="Take back a review of one's own; it is kept as withdrawn.",
        tags=["tries"], responses={(200, JSON): gone, **problems(400, 401, 403, 404, 429)},
    )  # fmt: skip
    return extend(extend(view, read), take_back, "delete")


ONES |= {
    "tries/<int:ident>/reviews": _review_list(),
    "tries/<int:ident>/reviews/<int:review>": _review_one(),
    "accuracy": one_view(
        views.AccuracyRead,
        "accuracy",
        accuracy.AccuracyPage,
        "How often verdicts are right: by people's reviews, and by the bench.",
        "accuracy",
    ),
}
