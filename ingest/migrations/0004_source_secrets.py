"""Sources that people configure, and their sealed secrets."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("ingest", "0003_gap_ledger"),)

    operations = ()
