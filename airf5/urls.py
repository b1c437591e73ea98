"""The whole site on one screen."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from airf5 import health

urlpatterns = [
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}img/favicon.svg")),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("", include("airf5.accounts.urls")),
    path("", include("ingest.urls")),
    path("settings/", include("ingest.pages.urls")),
    path("demo/", include("airf5.demo.urls")),
    path("api/", include("dashboards.api_urls")),
    path("", include("dashboards.exports")),
    path("", include("dashboards.urls")),
]
