"""Tokens and the one table of user actions."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = (migrations.swappable_dependency(settings.AUTH_USER_MODEL),)

    operations = (
        migrations.CreateModel(
            name="Token",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("prefix", models.CharField(help_text="first characters, to recognise it by", max_length=12)),
                ("hash", models.CharField(help_text="SHA-256 of the value", max_length=64, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UserAction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "layer",
                    models.CharField(choices=[("airflow", "Airflow"), ("f5", "F5"), ("airf5", "airf5")], max_length=8),
                ),
                (
                    "source",
                    models.CharField(blank=True, default="", help_text="name of the airflow or device", max_length=200),
                ),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(blank=True, default="", max_length=250)),
                ("verb", models.CharField(max_length=80)),
                ("target", models.CharField(blank=True, default="", max_length=500)),
                ("dag_id", models.CharField(blank=True, default="", max_length=250)),
                ("result", models.CharField(blank=True, default="", max_length=60)),
                ("address", models.CharField(blank=True, default="", max_length=64)),
                ("tool", models.CharField(blank=True, default="", max_length=60)),
                (
                    "external_id",
                    models.CharField(
                        blank=True, default="", help_text="event log id, or transaction and step", max_length=120
                    ),
                ),
                ("detail", models.JSONField(blank=True, default=dict)),
                ("line_id", models.BigIntegerField(null=True)),
                ("raw", models.TextField(blank=True, default="")),
                (
                    "fingerprint",
                    models.CharField(help_text="natural key: the same fact is stored once", max_length=64, unique=True),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-at", "-id"], name="accounts_us_at_1e20b6_idx"),
                    models.Index(fields=["layer", "-at"], name="accounts_us_layer_872715_idx"),
                ],
            },
        ),
    )
