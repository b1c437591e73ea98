"""What iControl REST tells of a device."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("ingest", "0004_source_secrets"),)

    operations = (
        migrations.AddField(
            model_name="device",
            name="about",
            field=models.JSONField(
                blank=True, default=dict, help_text="what iControl tells of it: sync, units, groups, syslog"
            ),
        ),
        migrations.AddField(
            model_name="device",
            name="failover",
            field=models.CharField(blank=True, default="", help_text="active, standby, offline …", max_length=40),
        ),
        migrations.AddField(
            model_name="device",
            name="told_at",
            field=models.DateTimeField(blank=True, help_text="when iControl REST told of it last", null=True),
        ),
        migrations.AddField(
            model_name="device",
            name="version",
            field=models.CharField(blank=True, default="", max_length=40),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="enabled",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="policies",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="names of RoutingPolicy, kind policy",
            ),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="profiles",
            field=models.JSONField(blank=True, help_text="[[name, kind, context]]; null: not told", null=True),
        ),
        migrations.AddField(
            model_name="endpoint",
            name="rules",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="names of RoutingPolicy, kind irule, in their order",
            ),
        ),
        migrations.AddField(
            model_name="feed",
            name="footprint",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="what our asking costs the source: calls, bytes, seconds, token, back-off",
            ),
        ),
        migrations.CreateModel(
            name="Certificate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=300)),
                ("expires_at", models.DateTimeField(null=True)),
                ("subject", models.CharField(blank=True, default="", max_length=500)),
                ("issuer", models.CharField(blank=True, default="", max_length=500)),
                ("key", models.CharField(blank=True, default="", max_length=60)),
                ("is_bundle", models.BooleanField(default=False)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="certificates", to="ingest.device"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("device", "name"), name="certificate_once")],
            },
        ),
        migrations.CreateModel(
            name="DeviceUser",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=300)),
                ("roles", models.JSONField(default=list, help_text="[[partition, role]]")),
                ("shell", models.CharField(blank=True, default="", max_length=40)),
                ("description", models.CharField(blank=True, default="", max_length=300)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="users", to="ingest.device"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("device", "name"), name="device_user_once")],
            },
        ),
        migrations.CreateModel(
            name="Monitor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=40)),
                ("name", models.CharField(max_length=300)),
                ("interval_s", models.IntegerField(null=True)),
                ("timeout_s", models.IntegerField(null=True)),
                (
                    "send",
                    models.CharField(
                        blank=True, default="", help_text="the first line of what it sends", max_length=300
                    ),
                ),
                ("recv", models.CharField(blank=True, default="", max_length=300)),
                ("recv_disable", models.CharField(blank=True, default="", max_length=300)),
                ("destination", models.CharField(blank=True, default="", max_length=100)),
                ("reverse", models.BooleanField(default=False)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="monitors", to="ingest.device"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("device", "kind", "name"), name="monitor_once")],
            },
        ),
        migrations.CreateModel(
            name="RequestLogProfile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=300)),
                ("logs_requests", models.BooleanField(default=False)),
                ("logs_responses", models.BooleanField(default=False)),
                ("responses_by_default", models.BooleanField(default=True)),
                ("request_template", models.TextField(blank=True, default="")),
                ("response_template", models.TextField(blank=True, default="")),
                ("request_pool", models.CharField(blank=True, default="", max_length=300)),
                ("response_pool", models.CharField(blank=True, default="", max_length=300)),
                ("protocols", models.JSONField(blank=True, default=list)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="request_log_profiles",
                        to="ingest.device",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("device", "name"), name="request_log_profile_once")],
            },
        ),
        migrations.CreateModel(
            name="RoutingPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("policy", "policy"), ("irule", "iRule")], max_length=10)),
                ("name", models.CharField(max_length=300)),
                ("strategy", models.CharField(blank=True, default="", max_length=300)),
                ("choices", models.JSONField(default=list, help_text="[{kind, target, rule, when}], in order")),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="routing_policies", to="ingest.device"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("device", "kind", "name"), name="routing_policy_once")],
            },
        ),
        migrations.AddField(
            model_name="endpoint",
            name="removed_at",
            field=models.DateTimeField(blank=True, help_text="deleted on its device, seen at this time", null=True),
        ),
        migrations.AddField(
            model_name="f5pool",
            name="removed_at",
            field=models.DateTimeField(blank=True, help_text="deleted on its device, seen at this time", null=True),
        ),
        migrations.AddField(
            model_name="member",
            name="removed_at",
            field=models.DateTimeField(blank=True, help_text="deleted on its device, seen at this time", null=True),
        ),
        migrations.CreateModel(
            name="Listing",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "what",
                    models.CharField(
                        choices=[("pool", "pools and members"), ("virtual", "virtual servers")], max_length=10
                    ),
                ),
                ("by", models.CharField(help_text="who told it: iControl REST, Telemetry Streaming", max_length=40)),
                ("at", models.DateTimeField(help_text="by the device's clock")),
                (
                    "names",
                    models.JSONField(
                        default=list, help_text="[[kind, name, member]], with what is not known to be gone"
                    ),
                ),
                (
                    "doubted",
                    models.JSONField(
                        default=list, help_text="those that the last list lacked, and that one is not enough for"
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="listings", to="ingest.device"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("device", "what", "by"), name="listing_once")],
            },
        ),
    )
