"""The gap ledger, how feeds usually speak and were recounted, and the skew of devices."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("ingest", "0002_requests"),)

    operations = (
        migrations.CreateModel(
            name="CounterSample",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(help_text="by our clock")),
                ("virtuals", models.JSONField(default=dict)),
                ("pools", models.JSONField(default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="Expiry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("actions", "user actions"),
                            ("incidents", "incidents"),
                            ("tries", "tries"),
                            ("runs", "DAG runs"),
                            ("health_events", "health events"),
                            ("messages", "other messages of F5"),
                            ("rejects", "unreadable lines"),
                        ],
                        max_length=20,
                        unique=True,
                    ),
                ),
                ("upto", models.DateTimeField(help_text="the time of the youngest row that was removed")),
                ("at", models.DateTimeField(help_text="when rows were removed last")),
                ("rows", models.BigIntegerField(default=0, help_text="how many were removed in all")),
            ],
        ),
        migrations.CreateModel(
            name="FeedHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("start", models.DateTimeField()),
                ("lines", models.BigIntegerField(default=0)),
                (
                    "arrivals",
                    models.IntegerField(default=0, help_text="moments at which lines came; those of one look are one"),
                ),
                (
                    "longest_s",
                    models.FloatField(
                        default=0, help_text="the longest silence that began in this hour and ended by itself"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Recount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("start", models.DateTimeField()),
                ("end", models.DateTimeField()),
                ("counted", models.BigIntegerField(help_text="by the other side")),
                ("stored", models.BigIntegerField()),
                (
                    "slack",
                    models.BigIntegerField(
                        default=0, help_text="how many may lie on either side of the interval's ends"
                    ),
                ),
                ("by", models.CharField(blank=True, default="", help_text="which counter", max_length=60)),
            ],
        ),
        migrations.CreateModel(
            name="SkewSample",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("worker", models.CharField(blank=True, default="", max_length=250)),
                ("at", models.DateTimeField()),
                ("offset_ms", models.FloatField()),
                ("uncertainty_ms", models.FloatField()),
                (
                    "method",
                    models.CharField(
                        choices=[
                            ("clock", "the device's own clock, asked for"),
                            ("receipt", "times of receipt"),
                            ("pairs", "exact pairs"),
                        ],
                        max_length=10,
                    ),
                ),
                ("samples", models.IntegerField(default=1, help_text="how many observations it rests on")),
            ],
        ),
        migrations.AddField(
            model_name="gap",
            name="batch",
            field=models.ForeignKey(
                blank=True,
                help_text="of its rejects",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="gaps",
                to="ingest.batch",
            ),
        ),
        migrations.AddField(
            model_name="gap",
            name="expected",
            field=models.BigIntegerField(help_text="of how many that were or should have been there", null=True),
        ),
        migrations.AddField(
            model_name="gap",
            name="kind",
            field=models.CharField(
                choices=[
                    ("silent", "silent"),
                    ("receiver", "no receiver"),
                    ("unreachable", "unreachable"),
                    ("throttled", "throttled"),
                    ("sequence", "sequence jump"),
                    ("udp", "UDP drops"),
                    ("dropped", "disk full"),
                    ("rejects", "unreadable"),
                    ("counted", "counters differ"),
                    ("halves", "answers alone"),
                    ("other", "other"),
                ],
                default="other",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="gap",
            name="noted_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
        ),
        migrations.AddField(
            model_name="reject",
            name="tried_at",
            field=models.DateTimeField(blank=True, help_text="last read again, in vain", null=True),
        ),
        migrations.AlterField(
            model_name="gap",
            name="end",
            field=models.DateTimeField(help_text="null: it lasts", null=True),
        ),
        migrations.AddConstraint(
            model_name="gap",
            constraint=models.UniqueConstraint(
                condition=models.Q(("end", None)), fields=("feed", "kind"), name="gap_open_once"
            ),
        ),
        migrations.AddField(
            model_name="countersample",
            name="device",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="counter_samples", to="ingest.device"
            ),
        ),
        migrations.AddField(
            model_name="feedhour",
            name="feed",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="hours", to="ingest.feed"
            ),
        ),
        migrations.AddField(
            model_name="recount",
            name="feed",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="recounts", to="ingest.feed"
            ),
        ),
        migrations.AddField(
            model_name="skewsample",
            name="airflow",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="skew_samples",
                to="ingest.airflow",
            ),
        ),
        migrations.AddField(
            model_name="skewsample",
            name="device",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="skew_samples", to="ingest.device"
            ),
        ),
        migrations.AddConstraint(
            model_name="countersample",
            constraint=models.UniqueConstraint(fields=("device", "at"), name="countersample_once"),
        ),
        migrations.AddConstraint(
            model_name="feedhour",
            constraint=models.UniqueConstraint(fields=("feed", "start"), name="feedhour_once"),
        ),
        migrations.AddIndex(
            model_name="recount",
            index=models.Index(fields=["feed", "-end"], name="ingest_reco_feed_id_ba2ede_idx"),
        ),
        migrations.AddConstraint(
            model_name="recount",
            constraint=models.UniqueConstraint(fields=("feed", "start", "by"), name="recount_once"),
        ),
        migrations.AddIndex(
            model_name="skewsample",
            index=models.Index(fields=["device", "-at"], name="ingest_skew_device__4e69aa_idx"),
        ),
        migrations.AddConstraint(
            model_name="skewsample",
            constraint=models.CheckConstraint(condition=models.Q(("uncertainty_ms__gte", 0)), name="skew_uncertainty"),
        ),
        migrations.CreateModel(
            name="Waiting",
            fields=[
                (
                    "try_row",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="waiting",
                        serialize=False,
                        to="ingest.try",
                    ),
                ),
                ("mark", models.CharField(help_text="a digest, see ingest/waiting.py", max_length=32)),
            ],
        ),
    )
