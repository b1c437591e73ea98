"""What Telemetry Streaming pushes: who may, which batches are stored, and what the poller said last of each object."""

from __future__ import annotations

from django.db import models


class PushToken(models.Model):
    """A key that lets one device push. Only its hash is kept; a source may have two while they are exchanged."""

    feed = models.ForeignKey("Feed", on_delete=models.CASCADE, related_name="push_tokens")
    prefix = models.CharField(max_length=14, help_text="first characters, to recognise it by")
    hash = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the value")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.prefix}…"


class PushBatch(models.Model):
    """How many lines of one pushed batch are stored, from its first one on, whichever copies of it they came from.

    A batch is named by its content. Its lines are read in their order, so that the count alone says which line of a
    copy is new: a copy that a crash cut short, and the whole one that the sender sent after it, make one batch.
    """

    feed = models.ForeignKey("Feed", on_delete=models.CASCADE, related_name="push_batches")
    digest = models.CharField(max_length=32, help_text="of the content as sent, unpacked")
    stored = models.IntegerField(default=0)
    at = models.DateTimeField(help_text="when it was stored last")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("feed", "digest"), name="push_batch_once"),)
        indexes = (models.Index(fields=("at",)),)

    def __str__(self) -> str:
        return self.digest


class PolledState(models.Model):
    """What Telemetry Streaming's poller said last of one object: what differs the next time is a change."""

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="polled_states")
    kind = models.CharField(max_length=20)
    object = models.CharField(max_length=610)
    state = models.CharField(max_length=30)
    at = models.DateTimeField(help_text="when it was said last, by the device's clock")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "kind", "object"), name="polled_state_once"),)

    def __str__(self) -> str:
        return f"{self.object} {self.state}"
