"""The gap ledger and the skew of devices."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("ingest", "0002_requests"),)

    operations = ()
