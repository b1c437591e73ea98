"""A worker that was stopped past its lease and wakes up again commits nothing, and no page is ever half applied."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection
from django.utils import timezone

from ingest import actions, airflow_feed, leases, pipeline
from ingest.models import Batch, Device, DeviceGroup, Feed, HealthEvent, PushBatch, Request, SpoolFile, Try
from ingest.push.spool import Writer
from ingest.store import airflow as airflow_store
from tests.db.test_pipeline import an_airflow, answers, just_now, pairs, syslog

pytestmark = pytest.mark.django_db(transaction=True)

DOWN = "notice mcpd[6896]: 01070638:5: Pool /Common/p member /Common/m1:80 monitor status down."


def spool_of(kind: str, folder: Path) -> str:
    """Something of each kind to read; the pattern of its files."""
    if kind == Feed.Kind.F5_TELEMETRY:
        at = timezone.now().replace(microsecond=0).isoformat().replace("+00:00", ".000Z")
        rows = [
            {
                "event_source": "response_logging", "client_ip": f"10.2.0.{n}", "http_method": "GET", "http_uri": f"/{n}",
                "virtual_name": "/Common/vs", "http_statcode": "200", "event_timestamp": at,
                "telemetryEventCategory": "LTM",
            }
            for n in range(5)
        ]  # fmt: skip
        writer = Writer()
        writer.write(folder, "10.0.0.1", "d" * 32, [json.dumps(row).encode() for row in rows])
        writer.close()
        return str(folder / "telemetry*.log*")
    text = pairs(just_now(), 5) if kind == Feed.Kind.F5_REQUEST else syslog(just_now(), DOWN)
    (folder / "some.log").write_text(text)
    return str(folder / "some*.log*")


@pytest.fixture
def a_feed(tmp_path: Path) -> Callable[[str], Feed]:
    def make(kind: str) -> Feed:
        device = Device.objects.create(
            group=DeviceGroup.objects.create(name="lb"), name="lb1", logs_requests=kind == Feed.Kind.F5_REQUEST
        )
        return Feed.objects.create(kind=kind, name="lb1/x", device=device, config={"glob": [spool_of(kind, tmp_path)]})

    return make


class Sleeper:
    """Stands in for `leases.commit_cursor`: the first worker that comes sleeps before it until it is woken."""

    def __init__(self) -> None:
        self.commit, self.asleep, self.woken = leases.commit_cursor, threading.Event(), threading.Event()

    def __call__(self, *args: Any, **fields: Any) -> None:
        if threading.current_thread() is not threading.main_thread() and not self.woken.is_set():
            self.asleep.set()
            assert self.woken.wait(30)
        self.commit(*args, **fields)


def in_a_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    said: list[Any] = []

    def run() -> None:
        try:
            said.append(work())
        except leases.LeaseLost as error:
            said.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, said


@pytest.mark.parametrize(
    ("kind", "rows"), [(Feed.Kind.F5_REQUEST, 5), (Feed.Kind.F5_LTM, 1), (Feed.Kind.F5_TELEMETRY, 5)]
)
def test_a_worker_that_wakes_up_after_its_lease_commits_nothing(
    kind: str, rows: int, a_feed: Callable[[str], Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, sleeper = a_feed(kind), Sleeper()
    monkeypatch.setattr(leases, "commit_cursor", sleeper)
    monkeypatch.setattr("ingest.partitions.make_coming", lambda now: 0)  # its locks are another matter
    pipeline.partitions.make([timezone.now().date(), (timezone.now() - timedelta(days=1)).date()])
    old = leases.take(feed.pk, "sleeper", seconds=-1)
    assert old is not None
    thread, said = in_a_thread(lambda: pipeline.read_spool(Feed.objects.get(pk=feed.pk), old))
    assert sleeper.asleep.wait(30), "its rows are written and not committed"
    new = leases.take(feed.pk, "another")
    assert new == old + 1
    started = threading.Thread(target=lambda: (threading.Event().wait(1), sleeper.woken.set()))
    started.start()  # the other one may have to wait for rows that the sleeper holds
    pipeline.read_spool(Feed.objects.get(pk=feed.pk), new)
    started.join()
    thread.join(30)
    assert [type(one) for one in said] == [leases.LeaseLost]
    stored = HealthEvent.objects if kind == Feed.Kind.F5_LTM else Request.objects
    assert stored.count() == rows
    assert sum(Batch.objects.values_list("read", flat=True)) == (10 if kind == Feed.Kind.F5_REQUEST else rows)
    assert SpoolFile.objects.count() == 1
    assert list(PushBatch.objects.values_list("stored", flat=True)) == ([5] if kind == Feed.Kind.F5_TELEMETRY else [])


def test_a_page_of_airflow_is_applied_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "a-token")
    feed = an_airflow()
    real, calls = airflow_store.save, [0]

    def pull() -> None:

        Feed.objects.filter(pk=feed.pk).update(lease_until=None)  # of the one that was killed
        epoch = leases.take(feed.pk, "test")
        assert epoch is not None
        airflow_feed.read(
            Feed.objects.get(pk=feed.pk), epoch, 60, transport=httpx.MockTransport(answers), sleep=lambda _: None
        )

    def killed(*args: Any, **kwargs: Any) -> Any:
        counts = real(*args, **kwargs)
        calls[0] += 1
        if Try.objects.exists():
            raise KeyboardInterrupt
        return counts

    with monkeypatch.context() as patch:
        patch.setattr(airflow_store, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            pull()
    assert calls[0] and not Try.objects.exists() and not Feed.objects.get(pk=feed.pk).cursor.get("taskInstances")
    pull()
    assert Try.objects.count() == 1


def test_a_source_that_is_reconfigured_meanwhile_keeps_the_fence(a_feed: Callable[[str], Feed]) -> None:
    feed = a_feed(Feed.Kind.F5_LTM)
    old = leases.take(feed.pk, "one", seconds=-1)
    actions.set_source_enabled(feed.name, False, "ann")
    actions.set_source_enabled(feed.name, True, "ann")
    assert old is not None and leases.take(feed.pk, "two") == old + 1
    with pytest.raises(leases.LeaseLost):
        pipeline.read_spool(feed, old)
    assert not HealthEvent.objects.exists()
