"""The addresses under /api/. Each is described without and reachable with a slash at its end."""

from __future__ import annotations

from functools import partial

from django.urls import path

from dashboards.api import docs
from dashboards.api.described import LISTS, ONES
from dashboards.api.described_contracts import CONTRACTS
from dashboards.api.views import NothingHere


def _name(route: str) -> str:
    """api-tries for the list, api-tries-one for one of them."""
    first, _, rest = route.partition("/")
    if rest.startswith("<"):
        return f"api-{first}-one" if "/" not in rest else f"api-{first}-reviews{'-one' * rest.count('<', 1)}"
    return f"api-{route.replace('/', '-')}"


_views = {**LISTS, **ONES, **CONTRACTS}
described = [path(f"api/v1/{route}", view.as_view()) for route, view in _views.items()]

urlpatterns = [
    *(path(f"v1/{route}", view.as_view(), name=_name(route)) for route, view in _views.items()),
    *(path(f"v1/{route}/", view.as_view()) for route, view in _views.items()),
    path("schema/", docs.Schema.as_view(patterns=described), name="schema"),
    path("docs/", partial(docs.page, patterns=described), name="api-docs"),
    path("", NothingHere.as_view()),
    path("<path:rest>", NothingHere.as_view()),
]
