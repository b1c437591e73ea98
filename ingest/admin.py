"""The admin of the write side: what is configured may be seen and switched, what was stored may only be seen."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ingest import models


class ReadOnly(admin.ModelAdmin):
    """Facts are written by the pipeline, and changes of a person go through `ingest.actions`."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(models.Feed)
class FeedAdmin(ReadOnly):
    list_display = ("name", "kind", "state", "enabled", "complete_to", "last_ok_at", "position_lag", "message")
    list_filter = ("kind", "state", "capture")
    search_fields = ("name",)


@admin.register(models.SpoolFile)
class SpoolFileAdmin(ReadOnly):
    list_display = ("path", "feed", "offset", "size", "finished", "first_seen_at")
    list_filter = ("finished",)
    list_select_related = ("feed",)


@admin.register(models.Batch)
class BatchAdmin(ReadOnly):
    list_display = ("at", "feed", "source", "read", "rows", "halves", "repeated", "rejected", "seconds")
    list_filter = ("feed",)
    list_select_related = ("feed",)


@admin.register(models.Reject)
class RejectAdmin(ReadOnly):
    list_display = ("at", "feed", "reason")
    list_filter = ("feed",)
    list_select_related = ("feed",)


@admin.register(models.Gap)
class GapAdmin(ReadOnly):
    list_display = ("feed", "start", "end", "reason", "missing")
    list_select_related = ("feed",)


@admin.register(models.Airflow)
class AirflowAdmin(ReadOnly):
    list_display = ("name", "version", "api", "url")


@admin.register(models.Device)
class DeviceAdmin(ReadOnly):
    list_display = ("name", "group", "hostname", "utc_offset_s", "makes_own_errors", "skew_us")
    list_select_related = ("group",)


@admin.register(models.Endpoint)
class EndpointAdmin(ReadOnly):
    list_display = ("name", "group", "address", "port", "f5_pool", "execution_api", "sees_http", "logs_requests")
    list_select_related = ("group", "f5_pool")


@admin.register(models.Member)
class MemberAdmin(ReadOnly):
    list_display = ("name", "f5_pool", "address", "port", "state", "session", "since")
    list_select_related = ("f5_pool",)


@admin.register(models.Try)
class TryAdmin(ReadOnly):
    list_display = ("__str__", "airflow", "run_id", "state", "queued_at", "end_at", "ti_id_from", "log_state", "judge")
    list_filter = ("airflow", "state", "judge")
    search_fields = ("dag_id", "run_id", "task_id")
    list_select_related = ("airflow",)


@admin.register(models.Incident)
class IncidentAdmin(ReadOnly):
    list_display = ("__str__", "culprit", "start", "end", "tries", "acknowledged_by")
    list_filter = ("culprit", "cause")
