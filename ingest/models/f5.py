"""F5's side: devices, endpoints, pools, members, health events and the big request tables.

`Request`, `RequestDetail` are partitioned by day and have no key in the database (a composite primary key alone costs
73 bytes a row and half the COPY rate); their `line_id` is declared to Django only. See migrations/0002_requests.py.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from ingest.records import method_name

NOTHING = models.Value([], models.JSONField())  # ingest/sql/intern_endpoints.sql names no such column


class DeviceGroup(models.Model):
    """An HA pair or cluster; endpoints and pools belong to it."""

    name = models.CharField(max_length=100, unique=True)

    def __str__(self) -> str:
        return self.name


class Device(models.Model):
    """One BIG-IP whose logs we read."""

    group = models.ForeignKey(DeviceGroup, on_delete=models.CASCADE, related_name="devices")
    name = models.CharField(max_length=100, unique=True)
    hostname = models.CharField(max_length=250, blank=True, default="")
    utc_offset_s = models.IntegerField(default=0)
    makes_own_errors = models.BooleanField(
        default=False, help_text="answers 502, 503 and 504 itself instead of a reset"
    )
    skew_us = models.BigIntegerField(null=True, help_text="device clock minus ours")
    skew_error_us = models.BigIntegerField(null=True)
    logs_requests = models.BooleanField(default=True, help_text="request lines as well as response lines")
    version = models.CharField(max_length=40, blank=True, default="")
    failover = models.CharField(max_length=40, blank=True, default="", help_text="active, standby, offline …")
    about = models.JSONField(
        default=dict, blank=True, help_text="what iControl tells of it: sync, units, groups, syslog"
    )
    told_at = models.DateTimeField(null=True, blank=True, help_text="when iControl REST told of it last")

    def __str__(self) -> str:
        return self.name


class F5Pool(models.Model):
    group = models.ForeignKey(DeviceGroup, on_delete=models.CASCADE, related_name="pools")
    name = models.CharField(max_length=300)
    monitor = models.CharField(max_length=300, blank=True, default="")
    removed_at = models.DateTimeField(null=True, blank=True, help_text="deleted on its device, seen at this time")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("group", "name"), name="f5_pool_once"),)

    def __str__(self) -> str:
        return self.name


class Member(models.Model):
    """One server of a pool. Known by name from ltm and iControl, by address:port from the request log."""

    f5_pool = models.ForeignKey(F5Pool, on_delete=models.CASCADE, related_name="members")
    name = models.CharField(max_length=300, help_text="/Common/orders2:9000, or address:port until a name is known")
    address = models.CharField(max_length=64, blank=True, default="")
    port = models.IntegerField(null=True)
    state = models.CharField(max_length=20, blank=True, default="")
    session = models.CharField(max_length=20, blank=True, default="")
    since = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True, blank=True, help_text="deleted on its device, seen at this time")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("f5_pool", "name"), name="member_once"),)
        indexes = (models.Index(fields=("f5_pool", "address", "port")),)

    def __str__(self) -> str:
        return self.name


class Endpoint(models.Model):
    """One virtual server."""

    group = models.ForeignKey(DeviceGroup, on_delete=models.CASCADE, related_name="endpoints")
    name = models.CharField(max_length=300)
    address = models.CharField(max_length=64, blank=True, default="")
    port = models.IntegerField(null=True)
    f5_pool = models.ForeignKey(F5Pool, null=True, on_delete=models.SET_NULL, related_name="endpoints")
    hosts = models.JSONField(default=list, blank=True, help_text="host[:port] names that led here")
    execution_api = models.BooleanField(default=False, help_text="Airflow's Task Execution API stands behind it")
    sees_http = models.BooleanField(default=True)
    logs_requests = models.BooleanField(default=True)
    enabled = models.BooleanField(default=True, db_default=True)
    removed_at = models.DateTimeField(null=True, blank=True, help_text="deleted on its device, seen at this time")
    profiles = models.JSONField(null=True, blank=True, help_text="[[name, kind, context]]; null: not told")
    policies = models.JSONField(
        default=list, db_default=NOTHING, blank=True, help_text="names of RoutingPolicy, kind policy"
    )
    rules = models.JSONField(
        default=list, db_default=NOTHING, blank=True, help_text="names of RoutingPolicy, kind irule, in their order"
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=("group", "name"), name="endpoint_once"),)

    def __str__(self) -> str:
        return self.name


class Client(models.Model):
    """A client address, interned."""

    address = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.address


class Path(models.Model):
    """A path with its variable parts replaced, interned (the whole URI is in the raw line, and in RequestDetail)."""

    template = models.CharField(max_length=200, unique=True)

    def __str__(self) -> str:
        return self.template


class Agent(models.Model):
    """A User-Agent, interned, cut at 200 characters."""

    name = models.CharField(max_length=200, unique=True)

    def __str__(self) -> str:
        return self.name


class Request(models.Model):
    """One HTTP request that crossed F5. Partitioned by day on `ts`; narrow; no key, no foreign keys."""

    line_id = models.BigIntegerField(primary_key=True, help_text="of its request line, else of its response line")
    ts = models.DateTimeField()
    endpoint_id = models.IntegerField()
    f5_pool_id = models.IntegerField(null=True)
    member_id = models.IntegerField(null=True, help_text="null: no member was chosen, or it was not logged")
    client_id = models.IntegerField()
    path_id = models.IntegerField()
    agent_id = models.IntegerField()
    method = models.SmallIntegerField(help_text="records.METHODS")
    status = models.SmallIntegerField(null=True)
    outcome = models.SmallIntegerField(help_text="records.Outcome")
    link = models.SmallIntegerField(help_text="records.Link: 1 or 2 where try_key_id is set, -1 a suspect line")
    response_us = models.IntegerField(null=True, help_text="records.MOST_STORED: that long or longer")
    bytes = models.IntegerField(null=True, help_text="records.MOST_STORED: that many or more")
    try_key_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "ingest_request"

    def __str__(self) -> str:
        return f"{method_name(self.method)} {self.status}"


class RequestDetail(models.Model):
    """What is kept in words of a request that is not plainly well (outcome > 0): partitioned like Request."""

    line_id = models.BigIntegerField(primary_key=True)
    response_line_id = models.BigIntegerField(null=True)
    ts = models.DateTimeField()
    endpoint_id = models.IntegerField()
    client_port = models.IntegerField(null=True)
    uri = models.TextField()
    host = models.TextField()
    correlation_id = models.TextField()
    trace_id = models.TextField()
    task = models.TextField()
    raw = models.TextField(help_text="the device's own lines, request first, a newline between")

    class Meta:
        db_table = "ingest_request_detail"

    def __str__(self) -> str:
        return self.uri


class RequestHalf(models.Model):
    """A request or response line that waits for its other half."""

    feed = models.ForeignKey("Feed", on_delete=models.CASCADE)
    line_id = models.BigIntegerField(unique=True)
    ts = models.DateTimeField()
    received_at = models.DateTimeField()
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.CASCADE)
    try_key_id = models.BigIntegerField(null=True)
    line = models.JSONField(help_text="the fields of records.RequestLine, in order")
    raw = models.TextField()

    class Meta:
        indexes = (models.Index(fields=("feed", "ts")), models.Index(fields=("try_key_id",)))

    def __str__(self) -> str:
        return str(self.line_id)


class RequestMinute(models.Model):
    """Counts and a latency histogram per endpoint, member and minute. Fixed log-spaced buckets: merging is addition."""

    endpoint_id = models.IntegerField()
    member_id = models.IntegerField(default=0, help_text="0: no member chosen or logged")
    start = models.DateTimeField()
    requests = models.IntegerField(default=0)
    client_errors = models.IntegerField(default=0)
    server_errors = models.IntegerField(default=0)
    unanswered = models.IntegerField(default=0)
    untimed = models.IntegerField(default=0, help_text="answers without a response time")
    sum_us = models.BigIntegerField(default=0)
    max_us = models.BigIntegerField(default=0)
    histogram = ArrayField(models.IntegerField(), help_text="ingest.histogram: 80 buckets")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("endpoint_id", "member_id", "start"), name="minute_once"),)
        indexes = (models.Index(fields=("start",)),)

    def __str__(self) -> str:
        return f"{self.endpoint_id} {self.start:%H:%M}"


class RequestHour(models.Model):
    """The same per hour, kept for 13 months."""

    endpoint_id = models.IntegerField()
    member_id = models.IntegerField(default=0)
    start = models.DateTimeField()
    requests = models.IntegerField(default=0)
    client_errors = models.IntegerField(default=0)
    server_errors = models.IntegerField(default=0)
    unanswered = models.IntegerField(default=0)
    untimed = models.IntegerField(default=0)
    sum_us = models.BigIntegerField(default=0)
    max_us = models.BigIntegerField(default=0)
    histogram = ArrayField(models.IntegerField())

    class Meta:
        constraints = (models.UniqueConstraint(fields=("endpoint_id", "member_id", "start"), name="hour_once"),)
        indexes = (models.Index(fields=("start",)),)

    def __str__(self) -> str:
        return f"{self.endpoint_id} {self.start:%d %H:00}"


class HealthEvent(models.Model):
    """One change of a member, node, pool or virtual server; equal lines (one per tmm, per relay) are one event."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="health_events")
    feed = models.ForeignKey("Feed", null=True, on_delete=models.SET_NULL)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    state = models.CharField(max_length=30)
    message_id = models.CharField(max_length=12, blank=True, default="")
    object = models.CharField(max_length=300, blank=True, default="")
    connection = models.CharField(
        max_length=200, blank=True, default="", help_text="the one it is about, where it is of one"
    )
    f5_pool = models.ForeignKey(F5Pool, null=True, on_delete=models.SET_NULL, related_name="health_events")
    member = models.ForeignKey(Member, null=True, on_delete=models.SET_NULL, related_name="health_events")
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.SET_NULL, related_name="health_events")
    monitor = models.CharField(max_length=300, blank=True, default="")
    reason = models.CharField(max_length=500, blank=True, default="")
    was = models.CharField(max_length=30, blank=True, default="")
    lasted_s = models.IntegerField(null=True)
    count = models.IntegerField(default=1, help_text="how many equal lines; messages lost for lost_messages")
    detail = models.JSONField(default=dict, blank=True)
    line_id = models.BigIntegerField(null=True)
    raw = models.TextField(blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("device", "at", "kind", "state", "object", "message_id", "connection"), name="health_event_once"
            ),
        )
        indexes = (models.Index(fields=("at",)), models.Index(fields=("f5_pool", "at")))

    def __str__(self) -> str:
        return f"{self.object} {self.state}"


class F5Message(models.Model):
    """A line that is F5's but of no kind we judge by: kept as `other`."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE)
    feed = models.ForeignKey("Feed", null=True, on_delete=models.SET_NULL)
    at = models.DateTimeField()
    process = models.CharField(max_length=60, blank=True, default="")
    message_id = models.CharField(max_length=12, blank=True, default="")
    text = models.TextField()
    line_id = models.BigIntegerField(null=True)

    class Meta:
        indexes = (models.Index(fields=("device", "at")), models.Index(fields=("at",), name="f5message_at"))

    def __str__(self) -> str:
        return self.text[:60]
