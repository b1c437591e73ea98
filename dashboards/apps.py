"""The Django app of the read side."""

from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    name = "dashboards"
