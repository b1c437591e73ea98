"""What every page does alike: who may see it, its filter, its fragment for htmx, and the words around it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.encoding import escape_uri_path
from django.views.decorators.http import require_safe

from airf5.accounts.roles import may
from dashboards.fields import FIELDS, LAST_WORDS, LISTINGS
from dashboards.filters import Filter, FilterError, iso
from dashboards.queries import freshness
from dashboards.queries.database import reading

FIRST = ("layer", "actor", "feed", "dag", "airflow_pool", "endpoint", "f5_pool", "state", "culprit")
MOST_FIRST = 6  # fields in the bar itself; the others are behind "More filters"
SEGMENTS = (("15m", "15 min"), ("1h", "1 h"), ("6h", "6 h"), ("24h", "24 h"), ("7d", "7 d"), ("30d", "30 d"))
_NAIVE = re.compile(r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?$")

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Filter, P], HttpResponse]


@dataclass(frozen=True, slots=True)
class Input:
    """One field of the filter form; with `options` it is a select."""

    name: str
    label: str
    value: str
    options: tuple[str, ...] = ()
    without: str = "any"


def page(
    listing: str, permission: str = "read"
) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """A page: logged in, allowed, and with its Filter; a question that cannot be asked is answered in words."""

    def wrap(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @require_safe
        @login_required
        @functools.wraps(view)
        def inner(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not may(request.user, permission):
                raise PermissionDenied
            try:
                asked = Filter.from_query(tidy(request.GET), timezone.now(), listing)
                with reading():  # all of a page from one transaction
                    return view(request, asked, *args, **kwargs)
            except FilterError as error:
                return refused(request, error, listing)

        return inner

    return wrap


def tidy(given: QueryDict) -> QueryDict:
    """What a form sends that the strict Filter would refuse: empty fields, and UTC times without their zone."""
    query = QueryDict(mutable=True)
    for name, values in given.lists():
        kept = [value for value in values if value]
        if name in ("from", "to"):
            kept = [_in_utc(value.strip()) for value in kept]
        if kept:
            query.setlist(name, kept)
    if "from" in query or "to" in query:
        query.pop("last", None)
    return query


def _in_utc(text: str) -> str:
    """The field is labelled UTC, so a time typed without a zone is UTC."""
    if not _NAIVE.match(text):
        return text
    return f"{text}Z" if ":" in text else f"{text}T00:00:00Z"


def refused(request: HttpRequest, error: FilterError, listing: str) -> HttpResponse:
    """400 with the sentence that says which parameter and why."""
    context = {"sentence": error.sentence, "field": error.field, "noun": LISTINGS[listing].noun}
    return render(request, "400.html", context, status=400)


def page_or_part(request: HttpRequest, name: str, asked: Filter, context: dict[str, Any]) -> HttpResponse:
    """The page, or for htmx only its results; both under one address, hence Vary."""
    part = request.headers.get("HX-Request") == "true"
    context = {
        "fresh": None,
        "title": asked.sentence(),
        "nav": name,
        "filters": True,
        **context,
        "asked": asked,
        "part": part,
    }
    context.setdefault("count", _shown(context.get("found")))
    context["fresh"] = context["fresh"] or freshness.watermark(timezone.now(), asked)
    context = {"results": f"dashboards/{name}.html", **around(request, asked, context["fresh"]), **context}
    response = render(request, context["results"] if part else "dashboards/page.html", context)
    patch_vary_headers(response, ("HX-Request", "Cookie"))
    if part and request.headers.get("HX-Trigger") != "results":
        # The form sends its empty fields too; the address keeps what was asked and nothing else.
        response["HX-Push-Url"] = f"{escape_uri_path(request.path)}?{asked.to_query()}"
    return response


def _shown(found: Any) -> str:
    """The number that is announced when a filter changed the list."""
    return "" if found is None else f"{len(found.rows):,} shown{', more follow' if found.next else ''}"


def around(request: HttpRequest, asked: Filter, fresh: freshness.Freshness) -> dict[str, Any]:
    """The filter bar and what the keys and buttons need."""
    inputs = form(asked)
    narrowed = {field.name for field, _ in asked.narrowed()}
    first = [name for name in FIRST if name in {item.name for item in inputs}][:MOST_FIRST]
    return {
        "path": escape_uri_path(request.path),
        "inputs": [item for item in inputs if item.name in first],
        "more_inputs": [item for item in inputs if item.name not in first],
        "more_open": any(item.name not in first and item.name in narrowed for item in inputs),
        "segments": [(last, word, last == asked.last) for last, word in SEGMENTS],
        "from_value": "" if asked.last else iso(asked.start),
        "to_value": "" if asked.last else iso(asked.end),
        "from_hint": iso(asked.start.replace(microsecond=0)),
        "to_hint": iso(asked.end.replace(microsecond=0)),
        "span_words": LAST_WORDS.get(asked.last, asked.time_words()),
        "permalink": f"{escape_uri_path(request.path)}?{asked.absolute().to_query()}",
        "last_data": f"?{_last_data(asked, fresh).to_query()}",
        "live": bool(asked.last) and not asked.after,
    }


def _last_data(asked: Filter, fresh: freshness.Freshness) -> Filter:
    """The same question about the last hour that has data."""
    end = (fresh.complete_to or asked.end).replace(microsecond=0) + timedelta(seconds=1)
    return asked.with_(start=end - timedelta(hours=1), end=end, last="")


def form(asked: Filter) -> list[Input]:
    listing = LISTINGS[asked.listing]
    inputs = []
    for name in listing.fields:
        field, value = FIELDS[name], getattr(asked, name)
        options = listing.states if name == "state" else field.words
        if value and options and value not in options:
            options = (*options, value)
        inputs.append(Input(name, field.label[:1].upper() + field.label[1:], value, tuple(options), field.without))
    return inputs
