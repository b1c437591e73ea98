"""The write side's addresses: what pushes, where others are followed."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from ingest.push.view import push

app_name = "ingest"
urlpatterns: list[URLPattern | URLResolver] = [path("ingest/telemetry/<path:source>", push, name="telemetry")]
