"""One worker a feed, and a worker that was replaced commits nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction

from ingest import leases
from ingest.models import Batch, Feed

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture
def feed() -> Feed:
    return Feed.objects.create(kind=Feed.Kind.F5_LTM, name="f5/ltm")


def a_batch(feed: Feed) -> None:
    Batch.objects.create(feed=feed, at=NOW, read=1, rows=1)


def test_a_lease_is_given_once(feed: Feed) -> None:
    assert leases.take(feed.pk, "one") == 1
    assert leases.take(feed.pk, "two") is None


def test_a_released_lease_can_be_taken_with_a_new_epoch(feed: Feed) -> None:
    epoch = leases.take(feed.pk, "one")
    assert epoch is not None
    leases.release(feed.pk, epoch)
    assert leases.take(feed.pk, "two") == epoch + 1


def test_a_lease_that_ran_out_can_be_taken(feed: Feed) -> None:
    leases.take(feed.pk, "one", seconds=-1)
    assert leases.take(feed.pk, "two") == 2


def test_a_worker_that_lost_its_lease_stores_nothing(feed: Feed) -> None:
    old = leases.take(feed.pk, "paused", seconds=-1)
    assert old is not None
    leases.take(feed.pk, "another")
    with pytest.raises(leases.LeaseLost), transaction.atomic():
        a_batch(feed)
        leases.commit_cursor(feed.pk, old, cursor={"page": 1})
    feed.refresh_from_db()
    assert not Batch.objects.exists() and feed.cursor == {} and feed.lease_owner == "another"


def test_rows_and_cursor_come_together(feed: Feed) -> None:
    epoch = leases.take(feed.pk, "one")
    assert epoch is not None
    with transaction.atomic():
        a_batch(feed)
        leases.commit_cursor(feed.pk, epoch, cursor={"page": 1})
    feed.refresh_from_db()
    assert Batch.objects.count() == 1 and feed.cursor == {"page": 1}


def test_a_lost_lease_is_neither_renewed_nor_released(feed: Feed) -> None:
    old = leases.take(feed.pk, "paused", seconds=-1)
    assert old is not None
    leases.take(feed.pk, "another")
    with pytest.raises(leases.LeaseLost):
        leases.renew(feed.pk, old)
    leases.release(feed.pk, old)
    feed.refresh_from_db()
    assert feed.lease_owner == "another"


@pytest.mark.django_db(transaction=True)
def test_a_cursor_outside_of_a_transaction_is_a_mistake() -> None:
    feed = Feed.objects.create(kind=Feed.Kind.F5_LTM, name="f5/ltm")
    with pytest.raises(transaction.TransactionManagementError):
        leases.commit_cursor(feed.pk, 0, cursor={})


def test_a_turn_of_a_job_is_given_once() -> None:
    every = timedelta(seconds=2)
    assert leases.claim_slot("wake", NOW, every)
    assert not leases.claim_slot("wake", NOW + timedelta(seconds=1), every)
    assert leases.claim_slot("wake", NOW + timedelta(seconds=2), every)
    assert leases.claim_slot("correlate", NOW, every)
