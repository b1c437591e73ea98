"""What iControl REST tells of a device."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = (("ingest", "0004_source_secrets"),)

    operations = ()
