"""Pages and, under the same path with a suffix, their exports."""

from __future__ import annotations

from django.urls import path

from dashboards import exports
from dashboards.views import audit, contracts, dags, endpoints, incidents, overview, reviews, sources, tries

urlpatterns = [
    *exports.urlpatterns,
    path("", overview.overview, name="overview"),
    path("now/", overview.now, name="now"),
    path("search/", overview.search, name="search"),
    path("incidents/", incidents.incidents, name="incidents"),
    path("incidents/<int:ident>/", incidents.incident, name="incident"),
    path("incidents/<int:ident>/acknowledge/", incidents.acknowledge, name="acknowledge"),
    path("incidents/<int:ident>/notes/", incidents.note, name="note"),
    path("dags/", dags.dags, name="dags"),
    path("dags/<path:dag_id>/", dags.dag, name="dag"),
    path("tries/", tries.tries, name="tries"),
    path("tries/<int:ident>/", tries.attempt, name="try"),
    path("tries/<int:ident>/reviews/", reviews.review, name="review"),
    path("tries/<int:ident>/reviews/<int:review>/withdraw/", reviews.withdraw, name="withdraw-review"),
    path("accuracy/", reviews.accuracy, name="accuracy"),
    path("requests/", tries.request_list, name="requests"),
    path("endpoints/", endpoints.endpoints, name="endpoints"),
    path("endpoints/<int:ident>/", endpoints.endpoint, name="endpoint"),
    path("endpoints/<int:ident>/contracts/", contracts.declare, name="declare-contract"),
    path("endpoints/<int:ident>/contracts/<int:contract>/", contracts.change, name="change-contract"),
    path("findings/", contracts.findings, name="findings"),
    path("health-events/", endpoints.health_list, name="health_events"),
    path("audit/", audit.audit, name="audit"),
    path("sources/", sources.sources, name="sources"),
    path("sources/batches/", sources.batch_list, name="batches"),
    path("sources/gaps/", sources.gap_list, name="gaps"),
    path("sources/why/", sources.why, name="why"),
    path("sources/<int:ident>/", sources.source, name="source"),
    path("sources/<int:ident>/rejects/replay/", sources.replay, name="replay-rejects"),
    path("sources/rejects/", sources.reject_list, name="rejects"),
]
