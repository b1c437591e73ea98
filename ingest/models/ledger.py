"""The gap ledger: what each feed is known to lack and why, how it usually speaks, how it was recounted, and clocks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Gap(models.Model):
    """An interval for which a feed is known to be incomplete. What is not a gap and before `complete_to` is complete."""

    class Kind(models.TextChoices):
        SILENT = "silent", "silent"
        RECEIVER = "receiver", "no receiver"
        UNREACHABLE = "unreachable", "unreachable"
        THROTTLED = "throttled", "throttled"
        SEQUENCE = "sequence", "sequence jump"
        UDP = "udp", "UDP drops"
        DROPPED = "dropped", "disk full"
        REJECTS = "rejects", "unreadable"
        COUNTED = "counted", "counters differ"
        HALVES = "halves", "answers alone"
        OTHER = "other", "other"

    feed = models.ForeignKey("Feed", on_delete=models.CASCADE, related_name="gaps")
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.OTHER)
    start = models.DateTimeField()
    end = models.DateTimeField(null=True, help_text="null: it lasts")
    reason = models.CharField(max_length=300)
    missing = models.BigIntegerField(null=True, help_text="how many, if that is known")
    expected = models.BigIntegerField(null=True, help_text="of how many that were or should have been there")
    batch = models.ForeignKey(
        "Batch", null=True, blank=True, on_delete=models.SET_NULL, related_name="gaps", help_text="of its rejects"
    )
    noted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("feed", "start", "reason"), name="gap_once"),
            models.UniqueConstraint(fields=("feed", "kind"), condition=Q(end=None), name="gap_open_once"),
        )
        indexes = (models.Index(fields=("feed", "start")),)

    def __str__(self) -> str:
        return self.reason


class FeedHour(models.Model):
    """What came on a feed in one hour by our clock: tells what is usual at this hour of the week. Kept for five weeks."""

    feed = models.ForeignKey("Feed", on_delete=models.CASCADE, related_name="hours")
    start = models.DateTimeField()
    lines = models.BigIntegerField(default=0)
    arrivals = models.IntegerField(default=0, help_text="moments at which lines came; those of one look are one")
    longest_s = models.FloatField(
        default=0, help_text="the longest silence that began in this hour and ended by itself"
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=("feed", "start"), name="feedhour_once"),)

    def __str__(self) -> str:
        return f"{self.feed_id} {self.start:%d %b %H:00}"


class CounterSample(models.Model):
    """F5's own totals at one moment, kept until the log of that time has arrived and was recounted.

    `virtuals` and `pools`: {full path: [requests, connections]}; null where the device does not say. Pools are the sums
    of their members' totals.
    """

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="counter_samples")
    at = models.DateTimeField(help_text="by our clock")
    virtuals = models.JSONField(default=dict)
    pools = models.JSONField(default=dict)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "at"), name="countersample_once"),)

    def __str__(self) -> str:
        return f"{self.device_id} {self.at:%H:%M:%S}"


class Recount(models.Model):
    """How many the other side counted in an interval, and how many are stored of it."""

    feed = models.ForeignKey("Feed", on_delete=models.CASCADE, related_name="recounts")
    start = models.DateTimeField()
    end = models.DateTimeField()
    counted = models.BigIntegerField(help_text="by the other side")
    stored = models.BigIntegerField()
    slack = models.BigIntegerField(default=0, help_text="how many may lie on either side of the interval's ends")
    by = models.CharField(max_length=60, blank=True, default="", help_text="which counter")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("feed", "start", "by"), name="recount_once"),)
        indexes = (models.Index(fields=("feed", "-end")),)

    def __str__(self) -> str:
        return f"{self.feed_id} {self.stored} of {self.counted}"


class SkewSample(models.Model):
    """One measurement of a clock. The true offset lies within `offset_ms` ± `uncertainty_ms`.

    Without `worker`: the device's clock minus ours. With `worker` (a hostname as tries show it) and `airflow`: the
    device's clock minus that worker's, which is what a join of the two needs. Positive: the device is ahead.
    """

    class Method(models.TextChoices):
        CLOCK = "clock", "the device's own clock, asked for"
        RECEIPT = "receipt", "times of receipt"
        PAIRS = "pairs", "exact pairs"

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="skew_samples")
    airflow = models.ForeignKey("Airflow", null=True, blank=True, on_delete=models.CASCADE, related_name="skew_samples")
    worker = models.CharField(max_length=250, blank=True, default="")
    at = models.DateTimeField()
    offset_ms = models.FloatField()
    uncertainty_ms = models.FloatField()
    method = models.CharField(max_length=10, choices=Method)
    samples = models.IntegerField(default=1, help_text="how many observations it rests on")

    class Meta:
        constraints = (models.CheckConstraint(name="skew_uncertainty", condition=Q(uncertainty_ms__gte=0)),)
        indexes = (models.Index(fields=("device", "-at")),)

    def __str__(self) -> str:
        return f"{self.offset_ms:+.0f} ms ± {self.uncertainty_ms:.0f} ms"


class Expiry(models.Model):
    """How far one class of rows was removed because its time was over; what was still needed then is there."""

    class Kind(models.TextChoices):
        ACTIONS = "actions", "user actions"
        INCIDENTS = "incidents", "incidents"
        TRIES = "tries", "tries"
        RUNS = "runs", "DAG runs"
        HEALTH = "health_events", "health events"
        MESSAGES = "messages", "other messages of F5"
        REJECTS = "rejects", "unreadable lines"

    kind = models.CharField(max_length=20, choices=Kind, unique=True)
    upto = models.DateTimeField(help_text="the time of the youngest row that was removed")
    at = models.DateTimeField(help_text="when rows were removed last")
    rows = models.BigIntegerField(default=0, help_text="how many were removed in all")

    def __str__(self) -> str:
        return f"{self.kind} up to {self.upto:%Y-%m-%d}"


class Waiting(models.Model):
    """What was looked at when a try was judged that still waits for data: until that changes, the answer stands."""

    try_row = models.OneToOneField("Try", primary_key=True, on_delete=models.CASCADE, related_name="waiting")
    mark = models.CharField(max_length=32, help_text="a digest, see ingest/waiting.py")

    def __str__(self) -> str:
        return str(self.try_row_id)
