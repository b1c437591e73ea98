"""Sources that people configure: their sealed secrets, and the checks that a page asks a worker for."""

import django.db.models.deletion
from django.db import migrations, models

KINDS = (("probe", "connection and rights"), ("loop_back", "loop-back"), ("doctor", "everything"))


def _about(model: str) -> models.ForeignKey:
    return models.ForeignKey(
        blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="checks", to=f"ingest.{model}"
    )


class Migration(migrations.Migration):
    dependencies = (("ingest", "0003_gap_ledger"),)

    operations = (
        migrations.CreateModel(
            name="Check",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=KINDS, max_length=10)),
                ("asked_at", models.DateTimeField()),
                ("asked_by", models.CharField(blank=True, default="", max_length=150)),
                ("details", models.JSONField(blank=True, default=dict)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("outcome", models.JSONField(blank=True, default=list)),
                ("airflow", _about("airflow")),
                ("device", _about("device")),
            ],
            options={"indexes": [models.Index(fields=["kind", "-asked_at"], name="check_by_kind")]},
        ),
        migrations.CreateModel(
            name="SourceSecret",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("field", models.CharField(max_length=40)),
                ("sealed", models.TextField(blank=True, default="")),
                ("key_id", models.CharField(blank=True, default="", max_length=16)),
                ("set_at", models.DateTimeField()),
                ("set_by", models.CharField(blank=True, default="", max_length=150)),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="secrets", to="ingest.feed"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("feed", "field"), name="source_secret_once")],
            },
        ),
    )
