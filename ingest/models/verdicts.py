"""Verdicts with their evidence and history, and the incidents they belong to."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from .airflow import Try
from .f5 import Endpoint, F5Pool, Member

BLAMES = Q(culprit__in=("route", "service"))  # such a verdict belongs to an incident


class Incident(models.Model):
    """One failed route (or failing service) over time: one fingerprint (cause and component), one timeline."""

    fingerprint = models.CharField(max_length=64)
    culprit = models.CharField(max_length=10)
    cause = models.CharField(max_length=30)
    component_kind = models.CharField(max_length=20)
    component = models.CharField(max_length=300)
    device_group = models.ForeignKey("DeviceGroup", null=True, on_delete=models.SET_NULL)
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.SET_NULL, related_name="incidents")
    f5_pool = models.ForeignKey(F5Pool, null=True, on_delete=models.SET_NULL, related_name="incidents")
    members = models.JSONField(default=list, blank=True, help_text="names of the members at fault")
    start = models.DateTimeField(help_text="the onset, dated from the data: the component's first bad request")
    end = models.DateTimeField(null=True, help_text="null while it is open")
    last_evidence_at = models.DateTimeField()
    tries = models.IntegerField(default=0)
    merged_into = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="merged")
    parent = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="children",
        help_text="what hit the whole device, of which this is one part",
    )  # fmt: skip
    health_events = ArrayField(
        models.BigIntegerField(), default=list, blank=True, help_text="ids of the health events that began it"
    )
    first_hit_at = models.DateTimeField(null=True, help_text="first deciding request of a try; null: no try was hit")
    noticed_at = models.DateTimeField(null=True, help_text="when a monitor said so; null: none did")
    opened_at = models.DateTimeField(null=True, help_text="when it was written here first")
    onset = models.JSONField(
        default=dict, blank=True, help_text="the row it is dated by, and [bad, all] requests before and since"
    )
    ending = models.JSONField(default=dict, blank=True, help_text="the row that ended it: kind, at, says, line_id, raw")
    reach = models.JSONField(
        default=dict, blank=True, help_text="dags, airflow_pools, runs hit and in flight, others' requests, endpoints"
    )
    messages = models.IntegerField(default=0, help_text="that Airflow and F5 would have sent of it")
    withdrawn_at = models.DateTimeField(null=True, help_text="when all it rested on was judged otherwise")
    acknowledged_by = models.CharField(max_length=150, blank=True, default="")
    acknowledged_at = models.DateTimeField(null=True)
    capture = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        indexes = (
            models.Index(fields=("fingerprint", "-start")),
            models.Index(fields=("-start",)),
            models.Index(fields=("capture", "end"), name="incident_end"),
        )

    def __str__(self) -> str:
        return f"{self.cause} {self.component}"


class IncidentNote(models.Model):
    """A person's words on an incident."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField()
    author = models.CharField(max_length=150)
    text = models.TextField()

    def __str__(self) -> str:
        return self.text[:60]


class Verdict(models.Model):
    """The answer for one try."""

    class Status(models.TextChoices):
        FINAL = "final", "final"
        PROVISIONAL = "provisional", "provisional"

    try_row = models.OneToOneField(Try, on_delete=models.CASCADE, related_name="verdict")
    status = models.CharField(max_length=12, choices=Status)
    waiting_for = models.JSONField(default=list, blank=True, help_text="what it waits for, in words")
    slow = models.BooleanField(default=False, help_text="the try succeeded, but slowly")
    culprit = models.CharField(max_length=10)
    cause = models.CharField(max_length=30)
    component_kind = models.CharField(max_length=20, blank=True, default="")
    component = models.CharField(max_length=300, blank=True, default="")
    sentence = models.TextField(help_text="the answer in one or two sentences")
    reasons = models.JSONField(default=list, blank=True, help_text="[{for: bool, text}], counts in words")
    route_acquitted = models.BooleanField(default=False)
    confidence = models.FloatField()
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.SET_NULL, related_name="verdicts")
    f5_pool = models.ForeignKey(F5Pool, null=True, on_delete=models.SET_NULL, related_name="verdicts")
    member = models.ForeignKey(Member, null=True, on_delete=models.SET_NULL, related_name="verdicts")
    links = models.JSONField(default=dict, help_text="{kind: number of requests}")
    candidates = models.IntegerField(default=1, help_text="how many tries the deciding request could belong to")
    bad_at = models.DateTimeField(null=True, help_text="time of the first deciding request")
    absorbed = models.IntegerField(default=0, help_text="errors that the client's own retry cured")
    requests = models.IntegerField(default=0)
    split = models.JSONField(default=dict, help_text="seconds: wait, queue, own, api, endpoints {name: s}, lost")
    rule = models.CharField(max_length=60)
    rule_version = models.CharField(max_length=20)
    judged_at = models.DateTimeField()
    incident = models.ForeignKey(Incident, null=True, on_delete=models.SET_NULL, related_name="verdicts")

    class Meta:
        indexes = (
            models.Index(fields=("culprit", "cause")),
            models.Index(fields=("endpoint",)),
            models.Index(fields=("bad_at",), name="verdict_blames_at", condition=BLAMES),
            models.Index(fields=("judged_at",), name="verdict_blames_since", condition=BLAMES),
            models.Index(fields=("incident",), name="verdict_strayed", condition=Q(incident__isnull=False) & ~BLAMES),
        )

    def __str__(self) -> str:
        return f"{self.culprit}: {self.cause}"


class Evidence(models.Model):
    """One log row a verdict rests on, copied: it outlives the raw request."""

    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="evidence")
    position = models.IntegerField()
    feed = models.CharField(max_length=200, help_text="name of the feed")
    kind = models.CharField(max_length=20, help_text="request, health_event, user_action, task_log, job")
    line_id = models.BigIntegerField(null=True)
    at = models.DateTimeField(null=True)
    link = models.CharField(max_length=80, blank=True, default="", help_text="how it is joined to the try")
    says = models.TextField(blank=True, default="", help_text="what it shows, in words")
    raw = models.TextField()

    class Meta:
        ordering = ("position",)

    def __str__(self) -> str:
        return self.says or self.raw[:60]


class VerdictHistory(models.Model):
    """An answer that was replaced, and why."""

    try_row = models.ForeignKey(Try, on_delete=models.CASCADE, related_name="verdict_history")
    replaced_at = models.DateTimeField()
    answer = models.JSONField()
    evidence = models.JSONField(
        default=list, help_text="the rows it rested on: feed, kind, line_id, at, link, says, raw, in their order"
    )
    why = models.CharField(max_length=300)

    NOT_DUE = "no verdict is due any more: the try neither failed nor was slow"

    class Meta:
        ordering = ("replaced_at",)

    def __str__(self) -> str:
        return self.why
