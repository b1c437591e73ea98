"""The Celery application and its schedule. It joins the services its environment names and starts none."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airf5.settings")

# The beat only wakes: what is due, and whose turn it is, are rows in PostgreSQL. A hint that is late is worth nothing.
SCHEDULE = {
    "wake": {"task": "ingest.tasks.wake", "schedule": 2.0, "options": {"expires": 10}},
    "watch": {"task": "ingest.tasks.watch", "schedule": 10.0, "options": {"expires": 30}},
    "housekeep": {"task": "ingest.tasks.housekeep", "schedule": 60.0, "options": {"expires": 60}},
}

app = Celery("airf5")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = SCHEDULE
app.autodiscover_tasks(["ingest"])
