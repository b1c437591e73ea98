"""Airflow's database as a source: what may be read, how it is reached, and the feed that reads it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone

from ingest import actions, airflow_feed
from ingest.models import Airflow, Batch, Feed, Try
from ingest.sources import airflow_db
from ingest.sources.http import SourceRefused, SourceUnavailable
from ingest.sources.postgres import Database, look, parameters
from tests.airflow_tables import (
    LOOPBACK,
    Tables,
    fill,
    of_kind,
    server,
)
from tests.turn import ingest


def test_nothing_can_be_written(made: Callable[[str], Tables]) -> None:
    tables = made()
    with pytest.raises(SourceRefused, match="read-only transaction"), look(tables.database()) as db:
        db.execute("DELETE FROM task_instance")


def test_a_table_that_went_is_no_wrong_password(made: Callable[[str], Tables]) -> None:
    with pytest.raises(SourceRefused, match="does not take our question") as refused, look(made().database()) as db:
        db.execute("SELECT * FROM gone")
    assert refused.value.status is None


def test_a_statement_that_takes_too_long_is_ended(made: Callable[[str], Tables]) -> None:
    tables = made()
    with pytest.raises(SourceUnavailable, match="took too long"), look(tables.database(statement_s=0.05)) as db:
        db.execute("SELECT pg_sleep(5)")


def test_a_user_with_few_rights_reads_what_it_may_and_the_rest_is_named(made: Callable[[str], Tables]) -> None:
    tables = made()
    fill(tables)
    schema = tables.schema
    tables.db.execute("DROP ROLE IF EXISTS airf5_reader")
    tables.db.execute("CREATE ROLE airf5_reader LOGIN PASSWORD 'pw'")
    try:
        with pytest.raises(SourceRefused, match=r"no task_instance\.dag_id that this user may read"):
            list(airflow_db.read(tables.database("airf5_reader"), None))
        tables.db.execute(f"GRANT USAGE ON SCHEMA {schema} TO airf5_reader")
        tables.db.execute("GRANT SELECT ON task_instance, dag_run TO airf5_reader")
        tables.db.execute("GRANT SELECT (conn_id, conn_type, host, port, schema) ON connection TO airf5_reader")
        pages = list(airflow_db.read(tables.database("airf5_reader"), None))
    finally:
        tables.db.execute("DROP OWNED BY airf5_reader")
        tables.db.execute("DROP ROLE airf5_reader")
    refused = {item["endpoint"]: item["sentence"] for item in of_kind(pages, "refused")}
    nothing_of = {"slot_pool", "job", "dag", "log", "task_instance_history", "rendered_task_instance_fields"}
    assert set(refused) == nothing_of
    assert "grant SELECT" in refused["log"]
    assert len(of_kind(pages, "connections")) == 1 and len(of_kind(pages, "task_instances")) == 2


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql+pymysql://u:s3cret@127.0.0.1/airflow", "MySQL, which is not read"),
        ("sqlite:////opt/airflow/airflow.db", "must be postgresql://"),
        ("host=127.0.0.1 dbname=airflow password=s3cret", "must be postgresql://"),
        ("postgresql://u:s3cret@/airflow?host=/var/run", "needs one host"),
        ("postgresql://u:s3cret@a,b/airflow", "needs one host"),
        ("postgresql://u:s3cret@127.0.0.1/airflow?passfile=/etc/shadow", "has passfile, which is not taken"),
        ("postgresql://u:s3cret@127.0.0.1/airflow?nonsense=1", "cannot be read"),
        ("postgresql://u:s3cret@127.0.0.1:port/airflow", "a port that is a number"),
        ("postgresql://u:s3cret@127.0.0.1:5432,5433/airflow", "needs one host"),
        ("postgresql://u:s3cret@[broken/airflow", "cannot be read"),
        ("postgresql://u:s3cret@127.0.0.1/airflow?options=-csearch_path%3Da%2Cb", "has options, which is not taken"),
        ("postgresql://u:s3cret@169.254.169.254/airflow", "is not called"),
    ],
)
def test_an_address_that_is_not_taken_is_told_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(SourceRefused, match=sentence) as refused:
        parameters(Database("prod", url, allow=LOOPBACK))
    assert "s3cret" not in str(refused.value) and "s3cret" not in repr(Database("prod", url))


def test_loopback_has_to_be_allowed_and_a_wrong_password_is_said(made: Callable[[str], Tables]) -> None:
    database = made().database()
    with pytest.raises(SourceRefused, match="loopback"):
        parameters(Database("prod", database.url))
    nobody = Database("prod", f"postgresql://nobody:s3cret@127.0.0.1:{server()['port']}/x", allow=LOOPBACK)
    with pytest.raises(SourceRefused, match="does not let us in") as refused, look(nobody):
        pass
    assert "s3cret" not in str(refused.value)
    away = Database("prod", "postgresql://u:s3cret@127.0.0.1:1/x", allow=LOOPBACK)
    with pytest.raises(SourceUnavailable, match="cannot be reached"), look(away):
        pass


def test_a_feed_reads_it_and_waits_for_no_log_that_nobody_fetches(
    made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = made()
    fill(tables)
    monkeypatch.setenv("AIRFLOW_DB", tables.database().url)
    config = {"database": "env:AIRFLOW_DB", "allow": list(LOOPBACK)}
    feed = actions.configure_source("airflow_db", "prod/database", "prod", None, config, "ann")
    assert ingest(feed) > 8 and ingest(feed) > 0
    feed.refresh_from_db()
    assert feed.state == Feed.State.OK and feed.complete_to and not feed.refusals, feed.message
    assert Airflow.objects.get(name="prod").feeds.get() == feed
    assert set(Try.objects.values_list("try_number", "log_state")) == {(1, "absent"), (1, ""), (2, "")}
    assert all(batch.read == batch.rows + batch.repeated for batch in Batch.objects.all())


def test_what_is_looked_at_seldom_stays_named_in_the_looks_between(
    made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = made()
    fill(tables)
    for table in ("dag", "connection", "slot_pool"):
        tables.db.execute(f"DROP TABLE {table} CASCADE")
    monkeypatch.setenv("AIRFLOW_DB", tables.database().url)
    config = {"database": "env:AIRFLOW_DB", "allow": list(LOOPBACK)}
    feed = actions.configure_source("airflow_db", "prod/database", "prod", None, config, "ann")
    for _ in range(3):
        ingest(feed)
        feed.refresh_from_db()
        assert {one["endpoint"] for one in feed.refusals} == {"dag", "connection", "slot_pool"}
        assert len(feed.refusals) == 3


def test_a_log_is_left_to_the_rest_api_where_there_is_one(
    made: Callable[[str], Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = made()
    fill(tables)
    monkeypatch.setenv("AIRFLOW_DB", tables.database().url)
    rest = {"base_url": "https://airflow.example", "token": "env:AIRFLOW_DB", "tries_from": "database"}
    by_rest = actions.configure_source("airflow_api", "prod", "prod", None, rest, "ann")
    config = {"database": "env:AIRFLOW_DB", "allow": list(LOOPBACK)}
    ingest(actions.configure_source("airflow_db", "prod/database", "prod", None, config, "ann"))
    assert airflow_feed.source_of(by_rest).tries_elsewhere
    assert [key.try_number for key in airflow_feed.wanted(by_rest, timezone.now()).logs] == [1]
    assert Airflow.objects.get().url == "https://airflow.example"
