"""The write side's addresses: none so far."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

app_name = "ingest"
urlpatterns: list[URLPattern | URLResolver] = []
