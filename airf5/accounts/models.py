"""Tokens for machines, and the one table of all three layers' actions: Airflow's, F5's and our own."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Token(models.Model):
    """A machine's key to the REST API. Only its hash is kept; the value is shown once."""

    name = models.CharField(max_length=100, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens")
    prefix = models.CharField(max_length=12, help_text="first characters, to recognise it by")
    hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the value")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class UserAction(models.Model):
    """Who did what, on which layer. Append only: rows are added by the ingest (airflow, f5) and by `audit.record`."""

    class Layer(models.TextChoices):
        AIRFLOW = "airflow", "Airflow"
        F5 = "f5", "F5"
        AIRF5 = "airf5", "airf5"

    layer = models.CharField(max_length=8, choices=Layer)
    source = models.CharField(max_length=200, blank=True, default="", help_text="name of the airflow or device")
    at = models.DateTimeField()
    actor = models.CharField(max_length=250, blank=True, default="")
    verb = models.CharField(max_length=80)
    target = models.CharField(max_length=500, blank=True, default="")
    dag_id = models.CharField(max_length=250, blank=True, default="")
    result = models.CharField(max_length=60, blank=True, default="")
    address = models.CharField(max_length=64, blank=True, default="")
    tool = models.CharField(max_length=60, blank=True, default="")
    external_id = models.CharField(
        max_length=120, blank=True, default="", help_text="event log id, or transaction and step"
    )
    detail = models.JSONField(default=dict, blank=True)
    line_id = models.BigIntegerField(null=True)
    raw = models.TextField(blank=True, default="")
    fingerprint = models.CharField(max_length=64, unique=True, help_text="natural key: the same fact is stored once")

    class Meta:
        indexes = (models.Index(fields=("-at", "-id")), models.Index(fields=("layer", "-at")))

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.target}"
