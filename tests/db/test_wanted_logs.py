"""Which histories and logs are asked for next: new ones at once, old ones in their turn, broken ones less and less."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import connection

from ingest import actions, airflow_feed, leases
from ingest.models import Feed, Try
from ingest.sources.airflow_pull import Page
from ingest.sources.http import SourceUnavailable
from tests import world
from tests.world import NOW


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Feed:
    monkeypatch.setenv("T", "a-token")
    config = {"base_url": "http://airflow.example", "token": "env:T", "api": "v2", "poll_s": 5}
    return actions.configure_source("airflow_api", "prod", "prod", None, config, "test")


def failed(minutes_ago: int, **more: Any) -> Try:
    return world.a_try(
        at=NOW - timedelta(minutes=minutes_ago), state="failed", log_state="wanted", history_wanted=True, **more
    )


def runs(feed: Feed, now: Any = NOW) -> list[str]:
    return [key.run_id for key in airflow_feed.wanted(feed, now).logs]


def test_the_oldest_is_not_starved_by_the_newest(feed: Feed) -> None:
    tries = [failed(minutes) for minutes in range(300, 0, -1)]
    for keys in (airflow_feed.wanted(feed, NOW).logs, airflow_feed.wanted(feed, NOW).histories):
        names = [key.run_id for key in keys]
        assert len(names) == airflow_feed.MOST_WANTED
        assert names[:4] == [tries[-1].run_id, tries[0].run_id, tries[-2].run_id, tries[1].run_id]


def test_few_are_asked_for_once_each(feed: Feed) -> None:
    tries = [failed(minutes) for minutes in (3, 2, 1)]
    assert runs(feed) == [tries[2].run_id, tries[0].run_id, tries[1].run_id]


def fail(feed: Feed, asked: Try, now: Any, whole_dag: bool = False) -> None:
    item = {name: getattr(asked, name) for name in airflow_feed.KEY_FIELDS} | {"whole_dag": whole_dag}
    airflow_feed._log_failed(feed, [item], now)


def test_a_log_that_fails_is_asked_for_later_and_at_last_not_any_more(feed: Feed) -> None:
    broken, fine = failed(9), failed(8)
    now, waits = NOW, []
    while broken.run_id in runs(feed, now + timedelta(hours=1)):
        fail(feed, broken, now)
        broken.refresh_from_db()
        assert broken.log_next_at is not None
        assert runs(feed, now) == [fine.run_id]
        waits.append((broken.log_next_at - now).total_seconds())
        now = broken.log_next_at
    assert waits == [10 * 2**n for n in range(airflow_feed.MOST_FAILED)]
    assert broken.log_state == Try.LogState.REFUSED and fine.run_id in runs(feed, now)


def test_a_log_that_was_given_up_is_asked_for_once_more_when_another_of_its_dag_can_be_read(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = {"log_state": "refused", "log_failed": airflow_feed.MOST_FAILED}
    mine, again = world.a_try(at=NOW, **given_up), world.a_try(at=NOW, **{**given_up, "log_failed": 9})
    other, old = world.a_try("other", at=NOW, **given_up), world.a_try(at=NOW - airflow_feed.LOGS_LAST * 2, **given_up)
    read = failed(3)
    keys = {name: getattr(read, name) for name in airflow_feed.KEY_FIELDS}
    monkeypatch.setattr(
        airflow_feed, "pages_of", lambda *_, **__: iter([Page("task_logs", [{**keys, "found": False, "content": []}])])
    )
    monkeypatch.setattr(airflow_feed.timezone, "now", lambda: NOW + timedelta(minutes=1))
    pull(feed)
    for row, state in ((mine, "wanted"), (again, "refused"), (other, "refused"), (old, "refused"), (read, "absent")):
        row.refresh_from_db()
        assert row.log_state == state
    assert runs(feed, NOW + timedelta(minutes=1)) == [mine.run_id]
    fail(feed, mine, NOW)
    mine.refresh_from_db()
    assert (mine.log_state, mine.log_failed) == ("refused", airflow_feed.MOST_FAILED + 1)  # and now for good


def test_what_was_given_up_is_found_without_reading_the_whole_dag(feed: Feed) -> None:
    """Asked for with every log that is read, of a DAG that may have run for years."""
    Try.objects.bulk_create(
        Try(airflow=feed.airflow, dag_id="d", run_id=str(n), task_id="t", try_number=1, seen_at=NOW, end_at=NOW)
        for n in range(2_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ingest_try")
    assert "try_log_wanted" in airflow_feed._given_up(feed, {"d"}, NOW).explain()


def test_what_our_role_may_not_read_is_one_question_for_the_whole_dag(feed: Feed) -> None:
    mine = [failed(minutes, dag_id="secret") for minutes in range(40, 0, -1)]
    other = failed(5)
    fail(feed, mine[0], NOW, whole_dag=True)
    assert runs(feed) == [other.run_id]
    assert set(Try.objects.filter(dag_id="secret").values_list("log_failed", flat=True)) == {1}


def test_a_log_that_ends_the_pull_is_not_first_in_every_one(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes so long that the call times out: without being told so, each pull would end at it."""
    slow, fine = failed(1), failed(2)

    def pages(_: Feed, needed: Any, **session: Any) -> Any:
        for key in needed.logs:
            if key.run_id == slow.run_id:
                yield Page("log_failed", [{**key._asdict(), "whole_dag": False}])
                raise SourceUnavailable("It did not answer in time.")
            yield Page("task_logs", [{**key._asdict(), "found": False, "content": []}])

    monkeypatch.setattr(airflow_feed, "pages_of", pages)
    monkeypatch.setattr(airflow_feed.timezone, "now", lambda: NOW)
    with pytest.raises(SourceUnavailable):
        pull(feed)
    pull(feed)
    slow.refresh_from_db()
    fine.refresh_from_db()
    assert (slow.log_state, slow.log_failed, fine.log_state) == ("wanted", 1, "absent")


def pull(feed: Feed, **session: Any) -> None:
    epoch = leases.take(feed.pk, "test")
    assert epoch is not None
    try:
        airflow_feed.read(Feed.objects.get(pk=feed.pk), epoch, 60, **session)
    finally:
        leases.release(feed.pk, epoch)


def test_a_log_that_is_refused_is_told_by_the_pull_itself(feed: Feed) -> None:
    one = failed(9)

    def answers(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v2")
        if path.endswith("/logs/1"):
            return httpx.Response(403, json={"detail": "Forbidden"})
        if path == "/version":
            return httpx.Response(200, json={"version": "3.3.2"})
        name = {"taskInstances": "task_instances", "dagRuns": "dag_runs", "eventLogs": "event_logs"}
        last = path.rsplit("/", 1)[-1]
        last = "task_instances" if last == "tries" else name.get(last, last)
        return httpx.Response(200, json={last: [], "total_entries": 0})

    pull(feed, transport=httpx.MockTransport(answers), sleep=lambda _: None)
    one.refresh_from_db()
    assert (one.log_state, one.log_failed) == ("wanted", 1)
    feed.refresh_from_db()
    assert any("Forbidden" in refusal["sentence"] for refusal in feed.refusals)


@pytest.mark.parametrize(("state", "said"), [("wanted", "To be fetched"), ("refused", "not asked for any more")])
def test_the_page_of_a_try_says_why_there_is_no_log(state: str, said: str, client: Any, admin_user: Any) -> None:
    client.force_login(admin_user)
    answer = client.get(f"/tries/{world.a_try(state='failed', log_state=state).pk}/")
    assert answer.status_code == 200 and said in answer.content.decode()
