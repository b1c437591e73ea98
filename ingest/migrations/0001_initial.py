"""Every table but the two big ones (see 0002_requests)."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="Agent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Airflow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("version", models.CharField(blank=True, default="", max_length=40)),
                ("api", models.CharField(default="v2", max_length=4)),
                ("url", models.CharField(blank=True, default="", max_length=300)),
                (
                    "workers",
                    models.JSONField(blank=True, default=dict, help_text="hostname -> client address, where known"),
                ),
                ("health", models.JSONField(blank=True, default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="Client",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("address", models.CharField(max_length=64, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="DeviceGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Path",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("template", models.CharField(max_length=200, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Device",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("hostname", models.CharField(blank=True, default="", max_length=250)),
                ("utc_offset_s", models.IntegerField(default=0)),
                (
                    "makes_own_errors",
                    models.BooleanField(default=False, help_text="answers 502, 503 and 504 itself instead of a reset"),
                ),
                ("skew_us", models.BigIntegerField(help_text="device clock minus ours", null=True)),
                ("skew_error_us", models.BigIntegerField(null=True)),
                (
                    "logs_requests",
                    models.BooleanField(default=True, help_text="request lines as well as response lines"),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="devices", to="ingest.devicegroup"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="F5Pool",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=300)),
                ("monitor", models.CharField(blank=True, default="", max_length=300)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="pools", to="ingest.devicegroup"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=300)),
                ("address", models.CharField(blank=True, default="", max_length=64)),
                ("port", models.IntegerField(null=True)),
                ("hosts", models.JSONField(blank=True, default=list, help_text="host[:port] names that led here")),
                (
                    "execution_api",
                    models.BooleanField(default=False, help_text="Airflow's Task Execution API stands behind it"),
                ),
                ("sees_http", models.BooleanField(default=True)),
                ("logs_requests", models.BooleanField(default=True)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="endpoints", to="ingest.devicegroup"
                    ),
                ),
                (
                    "f5_pool",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="endpoints",
                        to="ingest.f5pool",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Feed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("airflow_api", "Airflow REST API"),
                            ("airflow_capture", "Airflow answers of a capture"),
                            ("f5_request", "F5 request log"),
                            ("f5_ltm", "F5 ltm log"),
                            ("f5_audit", "F5 audit log"),
                            ("f5_icontrol", "F5 iControl snapshot"),
                        ],
                        max_length=20,
                    ),
                ),
                ("name", models.CharField(max_length=200, unique=True)),
                ("config", models.JSONField(blank=True, default=dict)),
                ("enabled", models.BooleanField(default=True)),
                ("capture", models.CharField(blank=True, default="", max_length=100)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "nothing asked yet"),
                            ("ok", "reading"),
                            ("late", "behind"),
                            ("down", "cannot be reached"),
                            ("refused", "refuses us"),
                            ("closed", "ended"),
                        ],
                        default="new",
                        max_length=10,
                    ),
                ),
                ("message", models.TextField(blank=True, default="", help_text="what went wrong last, in words")),
                (
                    "refusals",
                    models.JSONField(
                        blank=True, default=list, help_text="endpoints that are not allowed: [{endpoint, sentence}]"
                    ),
                ),
                ("cursor", models.JSONField(blank=True, default=dict)),
                ("epoch", models.BigIntegerField(default=0)),
                ("lease_owner", models.CharField(blank=True, default="", max_length=100)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("next_at", models.DateTimeField(blank=True, help_text="not asked again before", null=True)),
                ("failures", models.IntegerField(default=0, help_text="failures in a row")),
                ("last_ok_at", models.DateTimeField(blank=True, null=True)),
                ("last_row_at", models.DateTimeField(blank=True, help_text="event time of the newest row", null=True)),
                ("complete_from", models.DateTimeField(blank=True, null=True)),
                (
                    "complete_to",
                    models.DateTimeField(
                        blank=True, help_text="the watermark: nothing earlier is still to come", null=True
                    ),
                ),
                ("position_lag", models.BigIntegerField(default=0, help_text="bytes or rows known to wait")),
                (
                    "airflow",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feeds",
                        to="ingest.airflow",
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="feeds",
                        to="ingest.device",
                    ),
                ),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="F5Message",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("process", models.CharField(blank=True, default="", max_length=60)),
                ("message_id", models.CharField(blank=True, default="", max_length=12)),
                ("text", models.TextField()),
                ("line_id", models.BigIntegerField(null=True)),
                ("device", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="ingest.device")),
                ("feed", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="ingest.feed")),
            ],
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("seconds", models.FloatField(default=0)),
                ("source", models.CharField(blank=True, default="", max_length=300)),
                ("from_position", models.BigIntegerField(default=0)),
                ("to_position", models.BigIntegerField(default=0)),
                ("read", models.IntegerField()),
                ("rows", models.IntegerField(help_text="lines that became a row, alone or with their other half")),
                ("halves", models.IntegerField(default=0, help_text="lines that wait for their other half")),
                ("repeated", models.IntegerField(default=0, help_text="lines already known")),
                ("rejected", models.IntegerField(default=0)),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="batches", to="ingest.feed"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Gap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("start", models.DateTimeField()),
                ("end", models.DateTimeField(null=True)),
                ("reason", models.CharField(max_length=300)),
                ("missing", models.BigIntegerField(help_text="how many, if that is known", null=True)),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="gaps", to="ingest.feed"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.CharField(max_length=64)),
                ("culprit", models.CharField(max_length=10)),
                ("cause", models.CharField(max_length=30)),
                ("component_kind", models.CharField(max_length=20)),
                ("component", models.CharField(max_length=300)),
                ("members", models.JSONField(blank=True, default=list, help_text="names of the members at fault")),
                ("start", models.DateTimeField()),
                ("end", models.DateTimeField(help_text="null while it is open", null=True)),
                ("last_evidence_at", models.DateTimeField()),
                ("tries", models.IntegerField(default=0)),
                ("acknowledged_by", models.CharField(blank=True, default="", max_length=150)),
                ("acknowledged_at", models.DateTimeField(null=True)),
                ("capture", models.CharField(blank=True, default="", max_length=100)),
                (
                    "device_group",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="ingest.devicegroup"),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="incidents",
                        to="ingest.endpoint",
                    ),
                ),
                (
                    "f5_pool",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="incidents",
                        to="ingest.f5pool",
                    ),
                ),
                (
                    "merged_into",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="merged",
                        to="ingest.incident",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="IncidentNote",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("author", models.CharField(max_length=150)),
                ("text", models.TextField()),
                (
                    "incident",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="notes", to="ingest.incident"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("job_id", models.BigIntegerField()),
                ("job_type", models.CharField(max_length=40)),
                ("state", models.CharField(blank=True, default="", max_length=20)),
                ("hostname", models.CharField(blank=True, default="", max_length=250)),
                ("start_at", models.DateTimeField(null=True)),
                ("end_at", models.DateTimeField(null=True)),
                ("heartbeat_at", models.DateTimeField(null=True)),
                (
                    "airflow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="jobs", to="ingest.airflow"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(
                        help_text="/Common/orders2:9000, or address:port until a name is known", max_length=300
                    ),
                ),
                ("address", models.CharField(blank=True, default="", max_length=64)),
                ("port", models.IntegerField(null=True)),
                ("state", models.CharField(blank=True, default="", max_length=20)),
                ("session", models.CharField(blank=True, default="", max_length=20)),
                ("since", models.DateTimeField(null=True)),
                (
                    "f5_pool",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="members", to="ingest.f5pool"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HealthEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("kind", models.CharField(max_length=20)),
                ("state", models.CharField(max_length=30)),
                ("message_id", models.CharField(blank=True, default="", max_length=12)),
                ("object", models.CharField(blank=True, default="", max_length=300)),
                (
                    "connection",
                    models.CharField(
                        blank=True, default="", help_text="the one it is about, where it is of one", max_length=200
                    ),
                ),
                ("monitor", models.CharField(blank=True, default="", max_length=300)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
                ("was", models.CharField(blank=True, default="", max_length=30)),
                ("lasted_s", models.IntegerField(null=True)),
                (
                    "count",
                    models.IntegerField(default=1, help_text="how many equal lines; messages lost for lost_messages"),
                ),
                ("detail", models.JSONField(blank=True, default=dict)),
                ("line_id", models.BigIntegerField(null=True)),
                ("raw", models.TextField(blank=True, default="")),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="health_events", to="ingest.device"
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="health_events",
                        to="ingest.endpoint",
                    ),
                ),
                (
                    "f5_pool",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="health_events",
                        to="ingest.f5pool",
                    ),
                ),
                ("feed", models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="ingest.feed")),
                (
                    "member",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="health_events",
                        to="ingest.member",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Reject",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(help_text="when it was received or read")),
                ("line_id", models.BigIntegerField(null=True)),
                ("reason", models.CharField(max_length=300)),
                ("raw", models.TextField()),
                (
                    "batch",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="rejects",
                        to="ingest.batch",
                    ),
                ),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rejects", to="ingest.feed"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RequestHalf",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("line_id", models.BigIntegerField(unique=True)),
                ("ts", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                ("try_key_id", models.BigIntegerField(null=True)),
                ("line", models.JSONField(help_text="the fields of records.RequestLine, in order")),
                ("raw", models.TextField()),
                (
                    "endpoint",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="ingest.endpoint"),
                ),
                ("feed", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="ingest.feed")),
            ],
        ),
        migrations.CreateModel(
            name="RequestHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("endpoint_id", models.IntegerField()),
                ("member_id", models.IntegerField(default=0)),
                ("start", models.DateTimeField()),
                ("requests", models.IntegerField(default=0)),
                ("client_errors", models.IntegerField(default=0)),
                ("server_errors", models.IntegerField(default=0)),
                ("unanswered", models.IntegerField(default=0)),
                ("untimed", models.IntegerField(default=0)),
                ("sum_us", models.BigIntegerField(default=0)),
                ("max_us", models.BigIntegerField(default=0)),
                ("histogram", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), size=None)),
            ],
            options={
                "indexes": [models.Index(fields=["start"], name="ingest_requ_start_9b8251_idx")],
                "constraints": [
                    models.UniqueConstraint(fields=("endpoint_id", "member_id", "start"), name="hour_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="RequestMinute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("endpoint_id", models.IntegerField()),
                ("member_id", models.IntegerField(default=0, help_text="0: no member chosen or logged")),
                ("start", models.DateTimeField()),
                ("requests", models.IntegerField(default=0)),
                ("client_errors", models.IntegerField(default=0)),
                ("server_errors", models.IntegerField(default=0)),
                ("unanswered", models.IntegerField(default=0)),
                ("untimed", models.IntegerField(default=0, help_text="answers without a response time")),
                ("sum_us", models.BigIntegerField(default=0)),
                ("max_us", models.BigIntegerField(default=0)),
                (
                    "histogram",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), help_text="ingest.histogram: 80 buckets", size=None
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["start"], name="ingest_requ_start_c47c26_idx")],
                "constraints": [
                    models.UniqueConstraint(fields=("endpoint_id", "member_id", "start"), name="minute_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Slot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("job", models.CharField(max_length=50)),
                ("start", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("job", "start"), name="slot_once")],
            },
        ),
        migrations.CreateModel(
            name="SpoolFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("path", models.TextField(help_text="where the file is now")),
                (
                    "fingerprint",
                    models.CharField(help_text="of its first bytes: survives rename, not truncation", max_length=64),
                ),
                ("inode", models.BigIntegerField(default=0)),
                ("offset", models.BigIntegerField(default=0, help_text="everything before it is stored")),
                ("size", models.BigIntegerField(default=0)),
                ("finished", models.BooleanField(default=False)),
                ("first_seen_at", models.DateTimeField(auto_now_add=True)),
                (
                    "feed",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="files", to="ingest.feed"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Try",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("dag_id", models.CharField(max_length=250)),
                ("run_id", models.CharField(max_length=250)),
                ("task_id", models.CharField(max_length=250)),
                ("map_index", models.IntegerField(default=-1)),
                ("try_number", models.IntegerField()),
                ("ti_id", models.UUIDField(null=True)),
                (
                    "ti_id_from",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="how the UUID was known: rest, task_log or history (nearest row of /tries)",
                        max_length=12,
                    ),
                ),
                ("state", models.CharField(blank=True, default="", max_length=20)),
                ("max_tries", models.IntegerField(null=True)),
                ("scheduled_at", models.DateTimeField(null=True)),
                ("queued_at", models.DateTimeField(null=True)),
                ("start_at", models.DateTimeField(null=True)),
                ("end_at", models.DateTimeField(null=True)),
                ("duration_s", models.FloatField(null=True)),
                (
                    "own_s",
                    models.FloatField(help_text="seconds from the first /run (else from queued) to the end", null=True),
                ),
                ("hostname", models.CharField(blank=True, default="", max_length=250)),
                ("airflow_pool", models.CharField(blank=True, default="", max_length=256)),
                ("pool_slots", models.IntegerField(null=True)),
                ("queue", models.CharField(blank=True, default="", max_length=256)),
                ("operator", models.CharField(blank=True, default="", max_length=250)),
                ("conn_id", models.CharField(blank=True, default="", max_length=250)),
                ("path", models.TextField(blank=True, default="")),
                ("rendered", models.JSONField(null=True)),
                (
                    "log_state",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "not needed"),
                            ("wanted", "to be fetched"),
                            ("fetched", "fetched"),
                            ("absent", "Airflow has none"),
                            ("refused", "cannot be read"),
                        ],
                        default="",
                        max_length=8,
                    ),
                ),
                (
                    "log_failed",
                    models.IntegerField(db_default=0, default=0, help_text="how often in a row it could not be read"),
                ),
                (
                    "log_next_at",
                    models.DateTimeField(blank=True, help_text="it is not asked for again before", null=True),
                ),
                (
                    "history_wanted",
                    models.BooleanField(default=False, help_text="earlier tries are to be read from /tries"),
                ),
                (
                    "judge",
                    models.BooleanField(default=False, help_text="something about it changed since it was judged"),
                ),
                ("seen_at", models.DateTimeField(help_text="newest observation merged")),
                (
                    "airflow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tries", to="ingest.airflow"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "tries",
            },
        ),
        migrations.CreateModel(
            name="TaskLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("facts", models.JSONField()),
                ("fetched_at", models.DateTimeField()),
                (
                    "try_row",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="log", to="ingest.try"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TryKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.TextField(unique=True)),
                (
                    "try_row",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="keys", to="ingest.try"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Trace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "trace_id",
                    models.CharField(
                        help_text="with the capture's name before it, where it is a capture's",
                        max_length=140,
                        unique=True,
                    ),
                ),
                ("try_key", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="ingest.trykey")),
            ],
        ),
        migrations.CreateModel(
            name="Verdict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "status",
                    models.CharField(choices=[("final", "final"), ("provisional", "provisional")], max_length=12),
                ),
                ("waiting_for", models.JSONField(blank=True, default=list, help_text="what it waits for, in words")),
                ("slow", models.BooleanField(default=False, help_text="the try succeeded, but slowly")),
                ("culprit", models.CharField(max_length=10)),
                ("cause", models.CharField(max_length=30)),
                ("component_kind", models.CharField(blank=True, default="", max_length=20)),
                ("component", models.CharField(blank=True, default="", max_length=300)),
                ("sentence", models.TextField(help_text="the answer in one or two sentences")),
                (
                    "reasons",
                    models.JSONField(blank=True, default=list, help_text="[{for: bool, text}], counts in words"),
                ),
                ("route_acquitted", models.BooleanField(default=False)),
                ("confidence", models.FloatField()),
                ("links", models.JSONField(default=dict, help_text="{kind: number of requests}")),
                (
                    "candidates",
                    models.IntegerField(default=1, help_text="how many tries the deciding request could belong to"),
                ),
                ("bad_at", models.DateTimeField(help_text="time of the first deciding request", null=True)),
                ("absorbed", models.IntegerField(default=0, help_text="errors that the client's own retry cured")),
                ("requests", models.IntegerField(default=0)),
                (
                    "split",
                    models.JSONField(
                        default=dict, help_text="seconds: wait, queue, own, api, endpoints {name: s}, lost"
                    ),
                ),
                ("rule", models.CharField(max_length=60)),
                ("rule_version", models.CharField(max_length=20)),
                ("judged_at", models.DateTimeField()),
                (
                    "endpoint",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="verdicts",
                        to="ingest.endpoint",
                    ),
                ),
                (
                    "f5_pool",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="verdicts",
                        to="ingest.f5pool",
                    ),
                ),
                (
                    "incident",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="verdicts",
                        to="ingest.incident",
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="verdicts",
                        to="ingest.member",
                    ),
                ),
                (
                    "try_row",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="verdict", to="ingest.try"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Evidence",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.IntegerField()),
                ("feed", models.CharField(help_text="name of the feed", max_length=200)),
                (
                    "kind",
                    models.CharField(help_text="request, health_event, user_action, task_log, job", max_length=20),
                ),
                ("line_id", models.BigIntegerField(null=True)),
                ("at", models.DateTimeField(null=True)),
                (
                    "link",
                    models.CharField(blank=True, default="", help_text="how it is joined to the try", max_length=80),
                ),
                ("says", models.TextField(blank=True, default="", help_text="what it shows, in words")),
                ("raw", models.TextField()),
                (
                    "verdict",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="evidence", to="ingest.verdict"
                    ),
                ),
            ],
            options={
                "ordering": ("position",),
            },
        ),
        migrations.CreateModel(
            name="VerdictHistory",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("replaced_at", models.DateTimeField()),
                ("answer", models.JSONField()),
                ("why", models.CharField(max_length=300)),
                (
                    "try_row",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="verdict_history", to="ingest.try"
                    ),
                ),
            ],
            options={
                "ordering": ("replaced_at",),
            },
        ),
        migrations.CreateModel(
            name="AirflowPool",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=256)),
                ("slots", models.IntegerField(null=True)),
                ("occupied", models.IntegerField(null=True)),
                ("queued", models.IntegerField(null=True)),
                (
                    "airflow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="pools", to="ingest.airflow"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("airflow", "name"), name="airflow_pool_once")],
            },
        ),
        migrations.CreateModel(
            name="Connection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("conn_id", models.CharField(max_length=250)),
                ("conn_type", models.CharField(blank=True, default="", max_length=100)),
                ("host", models.CharField(blank=True, default="", max_length=500)),
                ("port", models.IntegerField(null=True)),
                ("schema", models.CharField(blank=True, default="", max_length=100)),
                (
                    "airflow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="connections", to="ingest.airflow"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("airflow", "conn_id"), name="connection_once")],
            },
        ),
        migrations.CreateModel(
            name="Dag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("dag_id", models.CharField(max_length=250)),
                ("is_paused", models.BooleanField(default=False)),
                ("tags", models.JSONField(blank=True, default=list)),
                ("owners", models.JSONField(blank=True, default=list)),
                (
                    "airflow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="dags", to="ingest.airflow"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("airflow", "dag_id"), name="dag_once")],
            },
        ),
        migrations.CreateModel(
            name="DagRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("dag_id", models.CharField(max_length=250)),
                ("run_id", models.CharField(max_length=250)),
                ("state", models.CharField(blank=True, default="", max_length=20)),
                ("run_type", models.CharField(blank=True, default="", max_length=30)),
                ("queued_at", models.DateTimeField(null=True)),
                ("start_at", models.DateTimeField(null=True)),
                ("end_at", models.DateTimeField(null=True)),
                ("run_after", models.DateTimeField(null=True)),
                ("triggered_by", models.CharField(blank=True, default="", max_length=50)),
                ("triggering_user", models.CharField(blank=True, default="", max_length=250)),
                (
                    "airflow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="runs", to="ingest.airflow"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["start_at"], name="ingest_dagr_start_a_cccf2a_idx"),
                    models.Index(fields=["end_at"], name="dagrun_end"),
                ],
                "constraints": [models.UniqueConstraint(fields=("airflow", "dag_id", "run_id"), name="dagrun_once")],
            },
        ),
        migrations.AddConstraint(
            model_name="f5pool",
            constraint=models.UniqueConstraint(fields=("group", "name"), name="f5_pool_once"),
        ),
        migrations.AddConstraint(
            model_name="endpoint",
            constraint=models.UniqueConstraint(fields=("group", "name"), name="endpoint_once"),
        ),
        migrations.AddIndex(
            model_name="f5message",
            index=models.Index(fields=["device", "at"], name="ingest_f5me_device__bf22a4_idx"),
        ),
        migrations.AddIndex(
            model_name="f5message",
            index=models.Index(fields=["at"], name="f5message_at"),
        ),
        migrations.AddIndex(
            model_name="batch",
            index=models.Index(fields=["feed", "-at"], name="ingest_batc_feed_id_f3aed9_idx"),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "read",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("rows"), "+", models.F("halves")
                                ),
                                "+",
                                models.F("repeated"),
                            ),
                            "+",
                            models.F("rejected"),
                        ),
                    )
                ),
                name="batch_adds_up",
            ),
        ),
        migrations.AddIndex(
            model_name="gap",
            index=models.Index(fields=["feed", "start"], name="ingest_gap_feed_id_63954b_idx"),
        ),
        migrations.AddConstraint(
            model_name="gap",
            constraint=models.UniqueConstraint(fields=("feed", "start", "reason"), name="gap_once"),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(fields=["fingerprint", "-start"], name="ingest_inci_fingerp_4c2c87_idx"),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(fields=["-start"], name="ingest_inci_start_18134d_idx"),
        ),
        migrations.AddConstraint(
            model_name="job",
            constraint=models.UniqueConstraint(fields=("airflow", "job_id"), name="job_once"),
        ),
        migrations.AddIndex(
            model_name="member",
            index=models.Index(fields=["f5_pool", "address", "port"], name="ingest_memb_f5_pool_a7a7bb_idx"),
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.UniqueConstraint(fields=("f5_pool", "name"), name="member_once"),
        ),
        migrations.AddIndex(
            model_name="healthevent",
            index=models.Index(fields=["at"], name="ingest_heal_at_6dcaac_idx"),
        ),
        migrations.AddIndex(
            model_name="healthevent",
            index=models.Index(fields=["f5_pool", "at"], name="ingest_heal_f5_pool_3cfd72_idx"),
        ),
        migrations.AddConstraint(
            model_name="healthevent",
            constraint=models.UniqueConstraint(
                fields=("device", "at", "kind", "state", "object", "message_id", "connection"), name="health_event_once"
            ),
        ),
        migrations.AddIndex(
            model_name="reject",
            index=models.Index(fields=["feed", "-at"], name="ingest_reje_feed_id_c9dc27_idx"),
        ),
        migrations.AddIndex(
            model_name="reject",
            index=models.Index(fields=["at"], name="reject_at"),
        ),
        migrations.AddIndex(
            model_name="requesthalf",
            index=models.Index(fields=["feed", "ts"], name="ingest_requ_feed_id_5b7740_idx"),
        ),
        migrations.AddIndex(
            model_name="requesthalf",
            index=models.Index(fields=["try_key_id"], name="ingest_requ_try_key_2f6855_idx"),
        ),
        migrations.AddConstraint(
            model_name="spoolfile",
            constraint=models.UniqueConstraint(fields=("feed", "fingerprint"), name="spoolfile_once"),
        ),
        migrations.AddIndex(
            model_name="try",
            index=models.Index(fields=["ti_id"], name="ingest_try_ti_id_3f6b5c_idx"),
        ),
        migrations.AddIndex(
            model_name="try",
            index=models.Index(fields=["end_at"], name="ingest_try_end_at_0cf3b8_idx"),
        ),
        migrations.AddIndex(
            model_name="try",
            index=models.Index(fields=["queued_at"], name="ingest_try_queued__a9e2e2_idx"),
        ),
        migrations.AddIndex(
            model_name="try",
            index=models.Index(
                fields=["airflow", "dag_id", "task_id", "-end_at"], name="ingest_try_airflow_23f53c_idx"
            ),
        ),
        migrations.AddIndex(
            model_name="try",
            index=models.Index(condition=models.Q(("judge", True)), fields=["judge"], name="try_to_judge"),
        ),
        migrations.AddIndex(
            model_name="try",
            index=models.Index(
                condition=models.Q(("log_state__in", ("wanted", "refused"))),
                fields=["log_state"],
                name="try_log_wanted",
            ),
        ),
        migrations.AddConstraint(
            model_name="try",
            constraint=models.UniqueConstraint(
                fields=("airflow", "dag_id", "run_id", "task_id", "map_index", "try_number"), name="try_once"
            ),
        ),
        migrations.AddIndex(
            model_name="trykey",
            index=models.Index(fields=["try_row"], name="ingest_tryk_try_row_3a350b_idx"),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["culprit", "cause"], name="ingest_verd_culprit_1f5415_idx"),
        ),
        migrations.AddIndex(
            model_name="verdict",
            index=models.Index(fields=["endpoint"], name="ingest_verd_endpoin_609eab_idx"),
        ),
    )
