"""Where bytes come from: feeds with their lease and cursor, files, batches that add up, rejects, schedule slots."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class Feed(models.Model):
    """One stream that one worker follows at a time: an Airflow's REST API, one kind of log of one device, a snapshot.

    `cursor` moves only in the transaction that stores what was read, and only `WHERE epoch = the epoch of the lease`:
    a worker that was paused and replaced cannot commit.
    """

    class Kind(models.TextChoices):
        AIRFLOW_API = "airflow_api", "Airflow REST API"
        AIRFLOW_DB = "airflow_db", "Airflow metadata database"
        AIRFLOW_CAPTURE = "airflow_capture", "Airflow answers of a capture"
        F5_REQUEST = "f5_request", "F5 request log"
        F5_LTM = "f5_ltm", "F5 ltm log"
        F5_AUDIT = "f5_audit", "F5 audit log"
        F5_ICONTROL = "f5_icontrol", "F5 iControl snapshot"
        F5_REST = "f5_rest", "F5 iControl REST"
        F5_TELEMETRY = "f5_telemetry", "F5 Telemetry Streaming"

    class State(models.TextChoices):
        NEW = "new", "nothing asked yet"
        OK = "ok", "reading"
        LATE = "late", "behind"
        DOWN = "down", "cannot be reached"
        REFUSED = "refused", "refuses us"
        CLOSED = "closed", "ended"

    kind = models.CharField(max_length=20, choices=Kind)
    name = models.CharField(max_length=200, unique=True)
    airflow = models.ForeignKey("Airflow", null=True, blank=True, on_delete=models.CASCADE, related_name="feeds")
    device = models.ForeignKey("Device", null=True, blank=True, on_delete=models.CASCADE, related_name="feeds")
    config = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    capture = models.CharField(max_length=100, blank=True, default="")
    state = models.CharField(max_length=10, choices=State, default=State.NEW)
    message = models.TextField(blank=True, default="", help_text="what went wrong last, in words")
    refusals = models.JSONField(
        default=list, blank=True, help_text="endpoints that are not allowed: [{endpoint, sentence}]"
    )
    footprint = models.JSONField(
        default=dict, blank=True, help_text="what our asking costs the source: calls, bytes, seconds, token, back-off"
    )
    cursor = models.JSONField(default=dict, blank=True)
    epoch = models.BigIntegerField(default=0)
    lease_owner = models.CharField(max_length=100, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True, help_text="not asked again before")
    failures = models.IntegerField(default=0, help_text="failures in a row")
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_row_at = models.DateTimeField(null=True, blank=True, help_text="event time of the newest row")
    complete_from = models.DateTimeField(null=True, blank=True)
    complete_to = models.DateTimeField(
        null=True, blank=True, help_text="the watermark: nothing earlier is still to come"
    )
    position_lag = models.BigIntegerField(default=0, help_text="bytes or rows known to wait")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


def request_feeds(capture: str) -> models.QuerySet[Feed]:
    """The feeds that bring requests: of each device its request log; where it has none, what it pushes."""
    logs = Feed.objects.filter(kind=Feed.Kind.F5_REQUEST, capture=capture, enabled=True)
    pushed = Q(kind=Feed.Kind.F5_TELEMETRY) & ~Q(device__in=logs.values("device"))
    kinds = Q(kind=Feed.Kind.F5_REQUEST) | pushed
    return Feed.objects.filter(kinds, capture=capture, enabled=True)


class SpoolFile(models.Model):
    """One file a receiver wrote. A line's identity is (file, byte offset), packed as `id << 40 | offset`."""

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="files")
    path = models.TextField(help_text="where the file is now")
    fingerprint = models.CharField(max_length=64, help_text="of its first bytes: survives rename, not truncation")
    tail = models.CharField(max_length=40, blank=True, default="", help_text="of the last bytes before the offset")
    inode = models.BigIntegerField(default=0)
    offset = models.BigIntegerField(default=0, help_text="everything before it is stored")
    size = models.BigIntegerField(default=0)
    finished = models.BooleanField(default=False)
    first_seen_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("feed", "fingerprint"), name="spoolfile_once"),)

    def __str__(self) -> str:
        return self.path


class Batch(models.Model):
    """One committed step of a feed. Counts are of lines (or rows of an answer); they must add up."""

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="batches")
    at = models.DateTimeField()
    seconds = models.FloatField(default=0)
    source = models.CharField(max_length=300, blank=True, default="")
    from_position = models.BigIntegerField(default=0)
    to_position = models.BigIntegerField(default=0)
    read = models.IntegerField()
    rows = models.IntegerField(help_text="lines that became a row, alone or with their other half")
    halves = models.IntegerField(default=0, help_text="lines that wait for their other half")
    repeated = models.IntegerField(default=0, help_text="lines already known")
    rejected = models.IntegerField(default=0)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="batch_adds_up", condition=Q(read=F("rows") + F("halves") + F("repeated") + F("rejected"))
            ),
        )
        indexes = (models.Index(fields=("feed", "-at")),)

    def __str__(self) -> str:
        return f"{self.feed_id} {self.at:%H:%M:%S} {self.read}"


class Reject(models.Model):
    """A line that could not be used, whole, with the reason."""

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="rejects")
    batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="rejects")
    at = models.DateTimeField(help_text="when it was received or read")
    line_id = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=300)
    raw = models.TextField()
    tried_at = models.DateTimeField(null=True, blank=True, help_text="last read again, in vain")

    class Meta:
        indexes = (models.Index(fields=("feed", "-at")), models.Index(fields=("at",), name="reject_at"))

    def __str__(self) -> str:
        return self.reason


class Slot(models.Model):
    """One turn of a periodic job. Who inserts the row does the work; a second beat finds it taken."""

    job = models.CharField(max_length=50)
    start = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("job", "start"), name="slot_once"),)

    def __str__(self) -> str:
        return f"{self.job} {self.start:%H:%M:%S}"
