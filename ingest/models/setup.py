"""What people set up: sealed secrets of sources, and checks that a page asks for and a worker does."""

from __future__ import annotations

from django.db import models


class SourceSecret(models.Model):
    """One secret of one source, sealed by airf5/keyring.py for this row, this field and the address it may go to."""

    feed = models.ForeignKey("Feed", on_delete=models.CASCADE, related_name="secrets")
    field = models.CharField(max_length=40)
    sealed = models.TextField(blank=True, default="")
    key_id = models.CharField(max_length=16, blank=True, default="")
    set_at = models.DateTimeField()
    set_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("feed", "field"), name="source_secret_once"),)

    def __str__(self) -> str:
        return f"{self.field} of feed {self.feed_id}"


class Check(models.Model):
    """A check that somebody asked for: a connection test, a loop-back test, the doctor. A worker does it.

    `outcome` is a list of findings: {level, subject, sentence, todo}, for a loop-back test with `seconds`.
    """

    class Kind(models.TextChoices):
        PROBE = "probe", "connection and rights"
        LOOP_BACK = "loop_back", "loop-back"
        DOCTOR = "doctor", "everything"

    kind = models.CharField(max_length=10, choices=Kind)
    airflow = models.ForeignKey("Airflow", null=True, blank=True, on_delete=models.CASCADE, related_name="checks")
    device = models.ForeignKey("Device", null=True, blank=True, on_delete=models.CASCADE, related_name="checks")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=150, blank=True, default="")
    details = models.JSONField(default=dict, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.JSONField(default=list, blank=True)

    class Meta:
        indexes = (models.Index(fields=("kind", "-asked_at"), name="check_by_kind"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.asked_at:%Y-%m-%d %H:%M:%S}"
