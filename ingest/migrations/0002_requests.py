"""The two big tables: one partition a day, columns ordered so that a row packs narrowly, no key in the database.

A primary key on a partitioned table must hold `ts`, and (line_id, ts) costs 73 bytes a row and half the COPY rate; the
identity of a row is kept by the transaction that moves the file's offset instead. `line_id` is a primary key to Django only.
"""

from __future__ import annotations

from django.db import migrations, models

# Eight-byte columns first, then four, then two: no padding between them, 92 bytes a row with all that PostgreSQL adds.
REQUEST = """
CREATE TABLE ingest_request (
    line_id      bigint      NOT NULL,
    ts           timestamptz NOT NULL,
    try_key_id   bigint,
    response_us  integer,
    bytes        integer,
    endpoint_id  integer     NOT NULL,
    f5_pool_id   integer,
    member_id    integer,
    client_id    integer     NOT NULL,
    path_id      integer     NOT NULL,
    agent_id     integer     NOT NULL,
    status       smallint,
    outcome      smallint    NOT NULL,
    link         smallint    NOT NULL,
    method       smallint    NOT NULL
) PARTITION BY RANGE (ts);

-- Lists and slices by time.
CREATE INDEX ingest_request_ts ON ingest_request USING brin (ts) WITH (pages_per_range = 32, autosummarize = on);
-- The link statement for failed requests, and every list of failures.
CREATE INDEX ingest_request_failed ON ingest_request (endpoint_id, ts) WHERE outcome > 0;
-- The requests of one try.
CREATE INDEX ingest_request_try ON ingest_request (try_key_id) WHERE try_key_id IS NOT NULL;
"""

DETAIL = """
CREATE TABLE ingest_request_detail (
    line_id          bigint      NOT NULL,
    ts               timestamptz NOT NULL,
    response_line_id bigint,
    endpoint_id      integer     NOT NULL,
    client_port      integer,
    uri              text        NOT NULL,
    host             text        NOT NULL,
    correlation_id   text        NOT NULL,
    trace_id         text        NOT NULL,
    task             text        NOT NULL,
    raw              text        NOT NULL
) PARTITION BY RANGE (ts);

CREATE INDEX ingest_request_detail_ts ON ingest_request_detail USING brin (ts) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX ingest_request_detail_line ON ingest_request_detail (line_id);
"""

# Many small updates of the newest minutes: room in the page lets them stay where they are, out of the indexes.
ROLLUPS = """
ALTER TABLE ingest_requestminute SET (fillfactor = 60);
ALTER TABLE ingest_requesthour SET (fillfactor = 60);
"""
NO_ROLLUPS = """
ALTER TABLE ingest_requestminute RESET (fillfactor);
ALTER TABLE ingest_requesthour RESET (fillfactor);
"""

REQUEST_MODEL = migrations.CreateModel(
    name="Request",
    fields=[
        (
            "line_id",
            models.BigIntegerField(
                help_text="of its request line, else of its response line", primary_key=True, serialize=False
            ),
        ),
        ("ts", models.DateTimeField()),
        ("endpoint_id", models.IntegerField()),
        ("f5_pool_id", models.IntegerField(null=True)),
        ("member_id", models.IntegerField(help_text="null: no member was chosen, or it was not logged", null=True)),
        ("client_id", models.IntegerField()),
        ("path_id", models.IntegerField()),
        ("agent_id", models.IntegerField()),
        ("method", models.SmallIntegerField(help_text="records.METHODS")),
        ("status", models.SmallIntegerField(null=True)),
        ("outcome", models.SmallIntegerField(help_text="records.Outcome")),
        (
            "link",
            models.SmallIntegerField(help_text="records.Link: 1 or 2 where try_key_id is set, -1 a suspect line"),
        ),
        ("response_us", models.IntegerField(help_text="records.MOST_STORED: that long or longer", null=True)),
        ("bytes", models.IntegerField(help_text="records.MOST_STORED: that many or more", null=True)),
        ("try_key_id", models.BigIntegerField(null=True)),
    ],
    options={"db_table": "ingest_request"},
)

DETAIL_MODEL = migrations.CreateModel(
    name="RequestDetail",
    fields=[
        ("line_id", models.BigIntegerField(primary_key=True, serialize=False)),
        ("response_line_id", models.BigIntegerField(null=True)),
        ("ts", models.DateTimeField()),
        ("endpoint_id", models.IntegerField()),
        ("client_port", models.IntegerField(null=True)),
        ("uri", models.TextField()),
        ("host", models.TextField()),
        ("correlation_id", models.TextField()),
        ("trace_id", models.TextField()),
        ("task", models.TextField()),
        ("raw", models.TextField(help_text="the device's own lines, request first, a newline between")),
    ],
    options={"db_table": "ingest_request_detail"},
)


class Migration(migrations.Migration):
    dependencies = (("ingest", "0001_initial"),)

    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(REQUEST, "DROP TABLE ingest_request")],
            state_operations=[REQUEST_MODEL],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(DETAIL, "DROP TABLE ingest_request_detail")],
            state_operations=[DETAIL_MODEL],
        ),
        migrations.RunSQL(ROLLUPS, NO_ROLLUPS),
    )
