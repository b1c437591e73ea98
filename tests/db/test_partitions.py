"""Days of requests: made ahead, dropped when they are over, kept where a capture lies in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from ingest import models, partitions

NOW = datetime(2031, 5, 20, 10, tzinfo=UTC)
TODAY = NOW.date()


def a_request(line_id: int, at: datetime) -> None:
    columns = dict.fromkeys(("endpoint_id", "client_id", "path_id", "agent_id"), 1)
    models.Request.objects.create(line_id=line_id, ts=at, method=1, outcome=0, link=0, **columns)


def days() -> set[date]:
    return set(partitions.existing("ingest_request"))


def test_every_day_a_line_may_carry_is_there() -> None:
    partitions.make_coming(NOW)
    oldest = (NOW - partitions.retention("requests")).date()
    assert {oldest, TODAY, TODAY + timedelta(days=partitions.AHEAD)} <= days()
    assert set(partitions.existing("ingest_request_detail")) == days()


def test_making_them_again_makes_nothing() -> None:
    assert partitions.make_coming(NOW) > 0
    assert partitions.make_coming(NOW) == 0


def test_a_row_lands_in_its_utc_day() -> None:
    partitions.make([TODAY])
    a_request(1, datetime(2031, 5, 20, 23, 59, 59, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_request_p20310520")
        assert cursor.fetchone() == (1,)


def test_a_row_of_a_day_that_is_not_there_is_refused() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        a_request(1, datetime(2044, 1, 1, tzinfo=UTC))


def test_expired_days_are_dropped_and_younger_ones_stay() -> None:
    edge = (NOW - partitions.retention("requests")).date()
    partitions.make([edge - timedelta(days=2), edge - timedelta(days=1), edge])
    assert partitions.expire(NOW)["requests"] >= 2
    assert edge in days()
    assert edge - timedelta(days=1) not in days()
    assert set(partitions.existing("ingest_request_detail")) == days()


def test_a_day_of_a_capture_outlives_its_retention() -> None:
    partitions.make([date(2020, 2, 2)], kept=True)
    partitions.expire(NOW)
    assert date(2020, 2, 2) in days()


def test_live_rows_of_a_kept_day_go_and_the_captures_stay() -> None:
    partitions.make([date(2020, 2, 2)], kept=True)
    files = []
    for name, capture in (("live", ""), ("lab", "lab")):
        feed = models.Feed.objects.create(name=name, kind=models.Feed.Kind.F5_REQUEST, capture=capture)
        files.append(models.SpoolFile.objects.create(feed=feed, path=name, fingerprint=name).pk)
        a_request(files[-1] << 40 | 17, datetime(2020, 2, 2, 12, tzinfo=UTC))
    partitions.expire(NOW)
    left = models.Request.objects.filter(ts__year=2020).values_list("line_id", flat=True)
    assert list(left) == [files[1] << 40 | 17]


def test_a_day_that_becomes_a_captures_is_kept_from_then_on() -> None:
    partitions.make([date(2020, 2, 2)])
    partitions.make([date(2020, 2, 2)], kept=True)
    partitions.expire(NOW)
    assert date(2020, 2, 2) in days()


def test_minutes_and_hours_expire_by_their_own_class() -> None:
    for model, kind in ((models.RequestMinute, "minutes"), (models.RequestHour, "hours")):
        for age in (timedelta(days=1), partitions.retention(kind) + timedelta(days=2)):
            model.objects.create(endpoint_id=1, start=NOW - age, histogram=[0] * 80)
    gone = partitions.expire(NOW)
    assert (gone["minutes"], gone["hours"]) == (1, 1)


def test_the_brin_indexes_can_be_summarised() -> None:
    partitions.make_coming(timezone.now())
    partitions.summarise()


def test_each_partition_has_the_indexes_of_its_table() -> None:
    partitions.make([TODAY])
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'ingest_request_p20310520'")
        text = "\n".join(row[0] for row in cursor.fetchall())
    assert "USING brin (ts)" in text
    assert "(endpoint_id, ts) WHERE (outcome > 0)" in text
    assert "(try_key_id) WHERE (try_key_id IS NOT NULL)" in text
