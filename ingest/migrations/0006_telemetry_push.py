"""Batches that Telemetry Streaming pushes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("ingest", "0005_icontrol_rest"),)

    operations = ()
