"""What routes usually do: contracts, findings before anything fails, what is usual; and the own code time of tries."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("ingest", "0009_reviews"),)

    operations = (
        migrations.AddField(
            model_name="try",
            name="code_s",
            field=models.FloatField(
                help_text="seconds of its run that none of its requests through F5 took", null=True
            ),
        ),
        migrations.CreateModel(
            name="RouteBaseline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("made_at", models.DateTimeField()),
                (
                    "usual",
                    models.JSONField(
                        default=dict, help_text="ingest.watch.usual.Usual: bounds, shares by hour of the week"
                    ),
                ),
                (
                    "recent",
                    models.JSONField(default=list, help_text="minutes of the last hour: ingest.watch.usual.Minute"),
                ),
                (
                    "spread",
                    models.JSONField(default=dict, help_text="how much more minutes differ than chance makes them"),
                ),
                (
                    "endpoint",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="baseline", to="ingest.endpoint"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RouteContract",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("host", models.CharField(blank=True, default="", help_text="empty: any", max_length=200)),
                (
                    "prefix",
                    models.CharField(help_text="begin of the path, in whole segments; / is every path", max_length=200),
                ),
                (
                    "agent",
                    models.CharField(
                        blank=True, default="", help_text="family of user agents; empty: any", max_length=60
                    ),
                ),
                ("source", models.CharField(choices=[("learned", "learned"), ("declared", "declared")], max_length=10)),
                ("state", models.CharField(choices=[("on", "on"), ("off", "off")], default="on", max_length=3)),
                ("pools", models.JSONField(default=dict)),
                ("count", models.BigIntegerField(default=0, help_text="requests that went well and were learned from")),
                ("first_at", models.DateTimeField(null=True)),
                ("last_at", models.DateTimeField(null=True)),
                (
                    "ready_at",
                    models.DateTimeField(help_text="from when on it counts; null: not enough was seen yet", null=True),
                ),
                (
                    "by",
                    models.CharField(
                        blank=True, default="", help_text="who declared it or switched it last", max_length=150
                    ),
                ),
                ("changed_at", models.DateTimeField(help_text="when a person did", null=True)),
                ("note", models.CharField(blank=True, default="", max_length=1000)),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="contracts", to="ingest.endpoint"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RouteFinding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[("misroute", "misroute"), ("latency", "latency"), ("errors", "errors")], max_length=10
                    ),
                ),
                (
                    "side",
                    models.CharField(blank=True, default="", help_text="slow, slowest, fast or errors", max_length=8),
                ),
                ("at", models.DateTimeField(help_text="the onset, dated from the requests")),
                ("until", models.DateTimeField(help_text="the last one of it seen")),
                ("noticed_at", models.DateTimeField(help_text="when it was written here")),
                ("line_id", models.BigIntegerField(help_text="of the first request of it", null=True)),
                ("raw", models.TextField(blank=True, default="", help_text="that request's own lines, copied")),
                ("count", models.BigIntegerField(default=0, help_text="requests that are not as they should be")),
                ("requests", models.BigIntegerField(default=0, help_text="of so many")),
                ("sentence", models.TextField()),
                (
                    "reasons",
                    models.JSONField(blank=True, default=list, help_text="[{for: bool, text}], counts in words"),
                ),
                ("state", models.CharField(choices=[("open", "open"), ("over", "over")], default="open", max_length=4)),
                (
                    "contract",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="findings",
                        to="ingest.routecontract",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="findings", to="ingest.endpoint"
                    ),
                ),
                (
                    "f5_pool",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="findings",
                        to="ingest.f5pool",
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="findings",
                        to="ingest.member",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RouteWatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("learned_to", models.DateTimeField(help_text="contracts: requests before this are known", null=True)),
                (
                    "minutes_to",
                    models.DateTimeField(help_text="latency and errors: minutes before this are known", null=True),
                ),
                (
                    "group",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="watch", to="ingest.devicegroup"
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="routecontract",
            constraint=models.UniqueConstraint(
                fields=("endpoint", "source", "host", "prefix", "agent"), name="contract_once"
            ),
        ),
        migrations.AddIndex(
            model_name="routefinding",
            index=models.Index(fields=["-at"], name="ingest_rout_at_a85454_idx"),
        ),
        migrations.AddIndex(
            model_name="routefinding",
            index=models.Index(fields=["endpoint", "-at"], name="ingest_rout_endpoin_489fca_idx"),
        ),
        migrations.AddConstraint(
            model_name="routefinding",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")),
                fields=("endpoint", "kind", "f5_pool", "contract"),
                name="route_finding_open_once",
                nulls_distinct=False,
            ),
        ),
    )
