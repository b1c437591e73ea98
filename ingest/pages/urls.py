"""The addresses under /settings/."""

from __future__ import annotations

from django.urls import path

from ingest.pages import views

urlpatterns = [
    path("", views.index, name="settings"),
    path("sources/", views.source_list, name="settings-sources"),
    path("sources/new/<slug:kind>/", views.new_source, name="settings-new"),
    path("sources/<slug:kind>/<int:ident>/", views.one_source, name="settings-source"),
    path("sources/<slug:kind>/<int:ident>/test/", views.test_source, name="settings-test"),
    path("sources/<slug:kind>/<int:ident>/switch/", views.switch_source, name="settings-switch"),
    path("doctor/", views.examine, name="settings-doctor"),
    path("checks/<int:ident>/", views.check, name="settings-check"),
]
