"""The demo as a Django app: a page and a command, no tables."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Repeats a recorded Airflow and a recorded BIG-IP towards our own sources."""

    name = "airf5.demo"
    label = "demo"
    verbose_name = "Demo"
