"""What iControl REST tells of a device's configuration: who chooses pools, what is logged, certificates, users, monitors.

Each table is what the device said last: a row that it no longer tells is deleted. No secret of the device is kept:
neither a user's password hash nor an iRule's text.
"""

from __future__ import annotations

from django.db import models


class RoutingPolicy(models.Model):
    """An LTM policy or an iRule, with the places in it that choose where a request goes."""

    class Kind(models.TextChoices):
        POLICY = "policy", "policy"
        IRULE = "irule", "iRule"

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="routing_policies")
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=300)
    strategy = models.CharField(max_length=300, blank=True, default="")
    choices = models.JSONField(default=list, help_text="[{kind, target, rule, when}], in order")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "kind", "name"), name="routing_policy_once"),)

    def __str__(self) -> str:
        return self.name


class RequestLogProfile(models.Model):
    """A request-log profile: what a virtual server that holds it sends, and where."""

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="request_log_profiles")
    name = models.CharField(max_length=300)
    logs_requests = models.BooleanField(default=False)
    logs_responses = models.BooleanField(default=False)
    responses_by_default = models.BooleanField(default=True)
    request_template = models.TextField(blank=True, default="")
    response_template = models.TextField(blank=True, default="")
    request_pool = models.CharField(max_length=300, blank=True, default="")
    response_pool = models.CharField(max_length=300, blank=True, default="")
    protocols = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "name"), name="request_log_profile_once"),)

    def __str__(self) -> str:
        return self.name


class Certificate(models.Model):
    """A certificate file on a device."""

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="certificates")
    name = models.CharField(max_length=300)
    expires_at = models.DateTimeField(null=True)
    subject = models.CharField(max_length=500, blank=True, default="")
    issuer = models.CharField(max_length=500, blank=True, default="")
    key = models.CharField(max_length=60, blank=True, default="")
    is_bundle = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "name"), name="certificate_once"),)

    def __str__(self) -> str:
        return self.name


class DeviceUser(models.Model):
    """A local user of a device and the roles it has there."""

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="users")
    name = models.CharField(max_length=300)
    roles = models.JSONField(default=list, help_text="[[partition, role]]")
    shell = models.CharField(max_length=40, blank=True, default="")
    description = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "name"), name="device_user_once"),)

    def __str__(self) -> str:
        return self.name


class Monitor(models.Model):
    """A health monitor."""

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="monitors")
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=300)
    interval_s = models.IntegerField(null=True)
    timeout_s = models.IntegerField(null=True)
    send = models.CharField(max_length=300, blank=True, default="", help_text="the first line of what it sends")
    recv = models.CharField(max_length=300, blank=True, default="")
    recv_disable = models.CharField(max_length=300, blank=True, default="")
    destination = models.CharField(max_length=100, blank=True, default="")
    reverse = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "kind", "name"), name="monitor_once"),)

    def __str__(self) -> str:
        return self.name


class Listing(models.Model):
    """The names that a device listed last, to tell what was deleted since: whole lists only."""

    class What(models.TextChoices):
        POOL = "pool", "pools and members"
        VIRTUAL = "virtual", "virtual servers"

    device = models.ForeignKey("Device", on_delete=models.CASCADE, related_name="listings")
    what = models.CharField(max_length=10, choices=What)
    by = models.CharField(max_length=40, help_text="who told it: iControl REST, Telemetry Streaming")
    at = models.DateTimeField(help_text="by the device's clock")
    names = models.JSONField(default=list, help_text="[[kind, name, member]], with what is not known to be gone")
    doubted = models.JSONField(
        default=list, help_text="those that the last list lacked, and that one is not enough for"
    )

    class Meta:
        constraints = (models.UniqueConstraint(fields=("device", "what", "by"), name="listing_once"),)

    def __str__(self) -> str:
        return f"{self.what} of {self.device_id}"
