"""One worker a feed, and a worker that was replaced commits nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, transaction

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


def test_a_lease_of_a_process_that_is_gone_is_freed_at_once(feed: Feed) -> None:
    ask = "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'; import django; django.setup()\n"
    ask += "from ingest import leases; print(leases.owner())"
    root = Path(__file__).resolve().parents[2]
    gone = subprocess.run(
        [sys.executable, "-c", ask], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()
    epoch = leases.take(feed.pk, gone)
    assert leases.take(feed.pk, "one") is None
    assert leases.free_abandoned() == 1
    assert epoch is not None and leases.take(feed.pk, "one") == epoch + 1


@pytest.mark.parametrize("who", ["", "one", "host 1", "host 999999999 1 of-another-machine", "host x 1 y"])
def test_a_lease_is_not_freed_when_nobody_can_know_whether_its_owner_lives(feed: Feed, who: str) -> None:
    leases.take(feed.pk, who)
    assert leases.free_abandoned() == 0


def test_a_lease_of_a_process_that_lives_is_not_freed(feed: Feed) -> None:
    leases.take(feed.pk, leases.owner())
    assert leases.free_abandoned() == 0
    assert len(leases.owner()) <= 100


def test_a_lease_that_could_not_be_given_back_is_given_back_later(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch = leases.take(feed.pk, "one")
    assert epoch is not None

    def away(**_: object) -> None:
        raise OperationalError("the server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(Feed.objects, "filter", away)
        patch.setattr(leases.connection, "close", lambda: None)
        leases.release(feed.pk, epoch)
    assert leases.take(feed.pk, "two") is None
    leases.give_back()
    assert leases.take(feed.pk, "two") == epoch + 1
