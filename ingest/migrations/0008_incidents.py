"""Incidents with their onset, reach, noise and parent; and the versions of DAGs, which can precede them."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

BLAMES = models.Q(culprit__in=("route", "service"))
STRAYED = models.Q(incident__isnull=False) & ~BLAMES

DAG_VERSION = migrations.CreateModel(
    name="DagVersion",
    fields=[
        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("dag_id", models.CharField(max_length=250)),
        ("number", models.IntegerField()),
        ("at", models.DateTimeField(help_text="when Airflow made it")),
        ("bundle", models.CharField(blank=True, default="", max_length=250)),
        (
            "bundle_version",
            models.CharField(
                blank=True, default="", help_text="a commit, where the bundle has them", max_length=250
            ),
        ),
        ("raw", models.TextField(blank=True, default="", help_text="as Airflow told it")),
        (
            "airflow",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="dag_versions", to="ingest.airflow"
            ),
        ),
    ],
    options={
        "indexes": [models.Index(fields=["at"], name="ingest_dagv_at_c834db_idx")],
        "constraints": [
            models.UniqueConstraint(fields=("airflow", "dag_id", "number"), name="dag_version_once")
        ],
    },
)  # fmt: skip

COLUMNS = {
    "health_events": django.contrib.postgres.fields.ArrayField(
        base_field=models.BigIntegerField(), blank=True, default=list, size=None,
        help_text="ids of the health events that began it",
    ),
    "first_hit_at": models.DateTimeField(null=True, help_text="first deciding request of a try; null: no try was hit"),
    "noticed_at": models.DateTimeField(null=True, help_text="when a monitor said so; null: none did"),
    "opened_at": models.DateTimeField(null=True, help_text="when it was written here first"),
    "onset": models.JSONField(
        blank=True, default=dict, help_text="the row it is dated by, and [bad, all] requests before and since"
    ),
    "ending": models.JSONField(
        blank=True, default=dict, help_text="the row that ended it: kind, at, says, line_id, raw"
    ),
    "reach": models.JSONField(
        blank=True, default=dict,
        help_text="dags, airflow_pools, runs hit and in flight, others' requests, endpoints",
    ),
    "messages": models.IntegerField(default=0, help_text="that Airflow and F5 would have sent of it"),
    "withdrawn_at": models.DateTimeField(null=True, help_text="when all it rested on was judged otherwise"),
    "parent": models.ForeignKey(
        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="children", to="ingest.incident",
        help_text="what hit the whole device, of which this is one part",
    ),
}  # fmt: skip


class Migration(migrations.Migration):
    dependencies = (("ingest", "0007_airflow_sources"),)

    operations = (
        DAG_VERSION,
        *(migrations.AddField("incident", name, field) for name, field in COLUMNS.items()),
        migrations.AlterField(
            "incident",
            "start",
            models.DateTimeField(help_text="the onset, dated from the data: the component's first bad request"),
        ),
        migrations.AddIndex("incident", models.Index(fields=["capture", "end"], name="incident_end")),
        migrations.AddIndex("verdict", models.Index(fields=["bad_at"], name="verdict_blames_at", condition=BLAMES)),
        migrations.AddIndex(
            "verdict", models.Index(fields=["judged_at"], name="verdict_blames_since", condition=BLAMES)
        ),
        migrations.AddIndex("verdict", models.Index(fields=["incident"], name="verdict_strayed", condition=STRAYED)),
    )
