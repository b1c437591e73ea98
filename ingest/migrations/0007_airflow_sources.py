"""More ways to read an Airflow: its metadata database, and the UUIDs that stand there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("ingest", "0006_telemetry_push"),)

    operations = (
        migrations.AlterField(
            model_name="feed",
            name="kind",
            field=models.CharField(
                choices=[
                    ("airflow_api", "Airflow REST API"),
                    ("airflow_db", "Airflow metadata database"),
                    ("airflow_capture", "Airflow answers of a capture"),
                    ("f5_request", "F5 request log"),
                    ("f5_ltm", "F5 ltm log"),
                    ("f5_audit", "F5 audit log"),
                    ("f5_icontrol", "F5 iControl snapshot"),
                    ("f5_rest", "F5 iControl REST"),
                    ("f5_telemetry", "F5 Telemetry Streaming"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="try",
            name="ti_id_from",
            field=models.CharField(
                blank=True,
                default="",
                help_text="how the UUID was known: rest, task_log, database or history (nearest row of /tries)",
                max_length=12,
            ),
        ),
    )
