"""Which pools the requests of a path go to (contracts), what broke that or is not as usual (findings), and what is usual."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .f5 import DeviceGroup, Endpoint, F5Pool, Member


class RouteContract(models.Model):
    """To which pools one endpoint sends requests of this host, path and kind of client: learned, or declared by a person.

    `pools` is {name of a pool: {count, first, last, since}}; `since` is from when on requests may go there, null while
    that is still being learned.
    """

    class Source(models.TextChoices):
        LEARNED = "learned", "learned"
        DECLARED = "declared", "declared"

    class State(models.TextChoices):
        ON = "on", "on"
        OFF = "off", "off"

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="contracts")
    host = models.CharField(max_length=200, blank=True, default="", help_text="empty: any")
    prefix = models.CharField(max_length=200, help_text="begin of the path, in whole segments; / is every path")
    agent = models.CharField(max_length=60, blank=True, default="", help_text="family of user agents; empty: any")
    source = models.CharField(max_length=10, choices=Source)
    state = models.CharField(max_length=3, choices=State, default=State.ON)
    pools = models.JSONField(default=dict)
    count = models.BigIntegerField(default=0, help_text="requests that went well and were learned from")
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True, help_text="from when on it counts; null: not enough was seen yet")
    by = models.CharField(max_length=150, blank=True, default="", help_text="who declared it or switched it last")
    changed_at = models.DateTimeField(null=True, help_text="when a person did")
    note = models.CharField(max_length=1000, blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("endpoint", "source", "host", "prefix", "agent"), name="contract_once"),
        )

    def __str__(self) -> str:
        return f"{self.host}{self.prefix}"


class RouteFinding(models.Model):
    """Something of a route that is not as it was, found in the requests themselves: before, or without, a failed try."""

    class Kind(models.TextChoices):
        MISROUTE = "misroute", "misroute"
        LATENCY = "latency", "latency"
        ERRORS = "errors", "errors"

    class State(models.TextChoices):
        OPEN = "open", "open"
        OVER = "over", "over"

    kind = models.CharField(max_length=10, choices=Kind)
    side = models.CharField(max_length=8, blank=True, default="", help_text="slow, slowest, fast or errors")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="findings")
    f5_pool = models.ForeignKey(F5Pool, null=True, on_delete=models.SET_NULL, related_name="findings")
    member = models.ForeignKey(Member, null=True, on_delete=models.SET_NULL, related_name="findings")
    contract = models.ForeignKey(RouteContract, null=True, on_delete=models.SET_NULL, related_name="findings")
    at = models.DateTimeField(help_text="the onset, dated from the requests")
    until = models.DateTimeField(help_text="the last one of it seen")
    noticed_at = models.DateTimeField(help_text="when it was written here")
    line_id = models.BigIntegerField(null=True, help_text="of the first request of it")
    raw = models.TextField(blank=True, default="", help_text="that request's own lines, copied")
    count = models.BigIntegerField(default=0, help_text="requests that are not as they should be")
    requests = models.BigIntegerField(default=0, help_text="of so many")
    sentence = models.TextField()
    reasons = models.JSONField(default=list, blank=True, help_text="[{for: bool, text}], counts in words")
    state = models.CharField(max_length=4, choices=State, default=State.OPEN)

    class Meta:
        indexes = (models.Index(fields=("-at",)), models.Index(fields=("endpoint", "-at")))
        constraints = (
            models.UniqueConstraint(
                fields=("endpoint", "kind", "f5_pool", "contract"), condition=Q(state="open"),
                nulls_distinct=False, name="route_finding_open_once",
            ),
        )  # fmt: skip

    def __str__(self) -> str:
        return self.sentence


class RouteBaseline(models.Model):
    """What is usual of one endpoint's answers, by hour of the week, and what it did in the last hour."""

    endpoint = models.OneToOneField(Endpoint, on_delete=models.CASCADE, related_name="baseline")
    made_at = models.DateTimeField()
    usual = models.JSONField(default=dict, help_text="ingest.watch.usual.Usual: bounds, shares by hour of the week")
    recent = models.JSONField(default=list, help_text="minutes of the last hour: ingest.watch.usual.Minute")
    spread = models.JSONField(default=dict, help_text="how much more minutes differ than chance makes them")

    def __str__(self) -> str:
        return str(self.endpoint)


class RouteWatch(models.Model):
    """How far the requests of one device group were looked at."""

    group = models.OneToOneField(DeviceGroup, on_delete=models.CASCADE, related_name="watch")
    learned_to = models.DateTimeField(null=True, help_text="contracts: requests before this are known")
    minutes_to = models.DateTimeField(null=True, help_text="latency and errors: minutes before this are known")

    def __str__(self) -> str:
        return str(self.group)
