"""Batches that Telemetry Streaming pushes."""

import django.db.models.deletion
from django.db import migrations, models

KINDS = [
    ("airflow_api", "Airflow REST API"),
    ("airflow_capture", "Airflow answers of a capture"),
    ("f5_request", "F5 request log"),
    ("f5_ltm", "F5 ltm log"),
    ("f5_audit", "F5 audit log"),
    ("f5_icontrol", "F5 iControl snapshot"),
    ("f5_rest", "F5 iControl REST"),
    ("f5_telemetry", "F5 Telemetry Streaming"),
]


class Migration(migrations.Migration):
    dependencies = (("ingest", "0005_icontrol_rest"),)

    operations = (
        migrations.AlterField("feed", "kind", models.CharField(choices=KINDS, max_length=20)),
        migrations.AddField(
            "spoolfile",
            "tail",
            models.CharField(blank=True, default="", help_text="of the last bytes before the offset", max_length=40),
        ),
        migrations.CreateModel(
            name="PushToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("prefix", models.CharField(help_text="first characters, to recognise it by", max_length=14)),
                ("hash", models.CharField(help_text="SHA-256 of the value", max_length=64, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="push_tokens", to="ingest.feed"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PushBatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(help_text="of the content as sent, unpacked", max_length=32)),
                ("stored", models.IntegerField(default=0)),
                ("at", models.DateTimeField(help_text="when it was stored last")),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="push_batches", to="ingest.feed"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["at"], name="ingest_push_at_25e20b_idx")],
                "constraints": [models.UniqueConstraint(fields=("feed", "digest"), name="push_batch_once")],
            },
        ),
        migrations.CreateModel(
            name="PolledState",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=20)),
                ("object", models.CharField(max_length=610)),
                ("state", models.CharField(max_length=30)),
                ("at", models.DateTimeField(help_text="when it was said last, by the device's clock")),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="polled_states", to="ingest.device"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("device", "kind", "object"), name="polled_state_once")],
            },
        ),
    )
