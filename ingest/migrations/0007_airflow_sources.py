"""More ways to read an Airflow."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("ingest", "0006_telemetry_push"),)

    operations = ()
