"""What the other side counts itself against what is stored: F5's totals, and the numbers of Airflow's event log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ingest.completeness import ledger, recount
from ingest.completeness.intervals import is_thin
from ingest.models import CounterSample, Device, Endpoint, Feed, Gap, Recount, RequestHalf, SpoolFile
from tests import world

Kind = Gap.Kind
NOW = timezone.now().replace(second=0, microsecond=0)
VS, POOL = "/Common/vs_orders", "/Common/pool_orders"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.fixture
def feed(db: None) -> Feed:
    """A device whose request log is read up to now, and one virtual server that logs."""
    endpoint = world.a_route()
    world.a_minute(endpoint, ago(600), [1])
    feed = world.a_feed(
        "lb1/request",
        device=Device.objects.get(),
        complete_from=ago(9000),
        complete_to=ago(5),
        cursor={"looked_at": NOW.isoformat()},
    )
    SpoolFile.objects.create(pk=77, feed=feed, path="/x", fingerprint="x")
    return feed


def sample(seconds_ago: float, requests: int | None, **changes: Any) -> CounterSample:
    counts = {"virtuals": {VS: [requests, 1], "/Common/vs_other": [99, 99]}, "pools": {POOL: [requests, 1]}}
    return CounterSample.objects.create(device=Device.objects.get(), at=ago(seconds_ago), **{**counts, **changes})


def requests(count: int, seconds_ago: float, **changes: Any) -> None:
    endpoint = Endpoint.objects.get()
    for number in range(count):
        line_id = 77 << 40 | int(seconds_ago * 1000) + number
        world.a_request(endpoint, ago(seconds_ago), **{"line_id": line_id, **changes})


def recounts() -> list[tuple[int, int, int]]:
    return list(Recount.objects.order_by("start").values_list("counted", "stored", "slack"))


def test_a_log_that_holds_all_that_was_counted_has_no_gap(feed: Feed) -> None:
    sample(130, 1000)
    sample(70, 1030)
    requests(29, 100)
    requests(1, 71)  # at the end of the interval
    assert recount.update(NOW) == 1 and recounts() == [(30, 30, 2)]
    assert not Gap.objects.exists() and CounterSample.objects.count() == 1
    assert recount.update(NOW) == 0


def test_whatever_the_number_of_virtual_servers_it_is_asked_once_which_of_them_log(feed: Feed) -> None:
    first = Endpoint.objects.get()
    for name in ("/Common/vs_a", "/Common/vs_b"):
        one = Endpoint.objects.create(group=first.group, name=name, logs_requests=True, sees_http=True)
        world.a_minute(one, ago(600), [1])
    for seconds in (130, 70):
        sample(seconds, 1, virtuals={VS: [1, 1], "/Common/vs_a": [1, 1], "/Common/vs_b": [1, 1]})
    with CaptureQueriesContext(connection) as asked:
        assert recount.update(NOW) == 1
    assert sum('FROM "ingest_requestminute"' in one["sql"] for one in asked) == 1


def test_fewer_lines_than_were_counted_are_a_gap_with_its_number(feed: Feed) -> None:
    for seconds, total in ((190, 1000), (130, 1030), (70, 1060), (10, 1061)):
        sample(seconds, total)
    requests(30, 160)
    requests(12, 100)
    recount.update(NOW)
    gap = Gap.objects.get()
    assert (gap.kind, gap.start, gap.end, gap.missing, gap.expected) == (Kind.COUNTED, ago(130), ago(70), 18, 30)
    assert not is_thin(gap.missing, gap.expected)
    sample(0, 1100)
    Feed.objects.filter(pk=feed.pk).update(cursor={"looked_at": ago(-30).isoformat()})
    recount.update(ago(-30))
    assert list(Gap.objects.order_by("start").values_list("start", "end", "missing")) == [
        (ago(130), ago(70), 18),
        (ago(10), ago(0), 39),
    ]


def test_a_difference_that_goes_on_is_one_gap(feed: Feed) -> None:
    for seconds, total in ((190, 0), (130, 50), (70, 100)):
        sample(seconds, total)
    recount.update(NOW)
    gap = Gap.objects.get()
    assert (gap.start, gap.end, gap.missing, gap.expected) == (ago(190), ago(70), 100, 100)


def test_counters_that_did_not_move_disprove_a_silence(feed: Feed) -> None:
    ledger.open_gap(feed, Kind.SILENT, ago(400), "silent")
    sample(130, 1000)
    sample(70, 1000)
    recount.update(NOW)
    assert list(Gap.objects.order_by("start").values_list("start", "end")) == [(ago(400), ago(130)), (ago(70), None)]
    assert ledger.quiet_to(feed) == ago(70)


def test_nothing_is_said_before_the_log_of_that_time_is_read(feed: Feed) -> None:
    Feed.objects.filter(pk=feed.pk).update(cursor={"looked_at": ago(65).isoformat()})
    sample(130, 1000)
    sample(70, 1030)
    assert recount.update(NOW) == 0 and CounterSample.objects.count() == 2


def test_a_reset_a_long_break_and_a_server_that_does_not_log_say_nothing(feed: Feed) -> None:
    sample(9000, 10)
    sample(130, 1000)  # more than an hour later
    sample(100, 3)  # reset
    assert recount.update(NOW) == 0
    Endpoint.objects.update(logs_requests=False)
    sample(70, 33)
    assert recount.update(NOW) == 0 and not Gap.objects.exists()


def test_halves_count_lines_of_another_feed_do_not_and_the_clock_is_corrected(feed: Feed) -> None:
    Device.objects.update(skew_us=-50_000_000, skew_error_us=500_000)
    sample(130, 0)
    sample(70, 8)
    requests(4, 150)  # 100 seconds ago by our clock
    requests(3, 151, line_id=5)
    RequestHalf.objects.create(
        feed=feed, line_id=1, ts=ago(140), received_at=ago(90), endpoint=Endpoint.objects.get(), line=[], raw=""
    )
    recount.update(NOW)
    assert recounts() == [(8, 5, 1)]


def test_where_virtual_servers_tell_no_requests_the_members_do(feed: Feed) -> None:
    member = world.models.Member.objects.first()
    assert member is not None
    sample(130, 0, virtuals={VS: [None, 5]})
    sample(70, 6, virtuals={VS: [None, 9]})
    requests(5, 100, member_id=member.pk)
    requests(1, 101)  # no member was chosen
    recount.update(NOW)
    assert recounts() == [(6, 5, 1)] and Recount.objects.get().by == recount.POOLS


def test_numbers_of_the_event_log_that_are_missing(db: None) -> None:
    hour = NOW.replace(minute=0) - timedelta(hours=3)
    read_to = NOW.replace(minute=5)  # just past the hour its end is not settled yet
    feed = world.a_feed("prod", "airflow_api", airflow=world.an_airflow(), complete_from=hour, complete_to=read_to)
    numbers = {10: -5, 11: 65, 12: 66, 15: 70, 16: 130, 17: 131}
    for number, minutes in numbers.items():
        world.an_action(hour + timedelta(minutes=minutes), layer="airflow", source="prod", external_id=str(number))
    world.an_action(hour + timedelta(minutes=69), layer="airflow", source="other", external_id="13")
    assert recount.update(NOW) == 2
    assert recounts() == [(5, 3, 0), (2, 2, 0)]
    gap = Gap.objects.get()
    assert (gap.feed, gap.kind, gap.missing, gap.start) == (feed, Kind.SEQUENCE, 2, hour + timedelta(hours=1))
    assert recount.update(NOW) == 0


def test_a_numbering_that_was_moved_on_is_no_gap(db: None) -> None:
    hour = NOW.replace(minute=0) - timedelta(hours=2)
    read_to = NOW.replace(minute=5)
    world.a_feed("prod", "airflow_api", airflow=world.an_airflow(), complete_from=hour, complete_to=read_to)
    for number, minutes in {10: 55, 11: 65, 2_000_012: 66}.items():
        world.an_action(hour + timedelta(minutes=minutes), layer="airflow", source="prod", external_id=str(number))
    assert recount.update(NOW) == 1 and recounts() == [(0, 0, 0)] and not Gap.objects.exists()


def an_airflow_that_counts(monkeypatch: pytest.MonkeyPatch, **totals: int) -> tuple[Feed, dict[str, Any]]:
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v2/version":
            return httpx.Response(200, json={"version": "3.3.2"})
        asked.append(dict(request.url.params))
        assert request.url.path.endswith("/dags/~/dagRuns/~/taskInstances")
        return httpx.Response(200, json={"task_instances": [], "total_entries": totals[request.url.params["state"]]})

    monkeypatch.setenv("T", "a-token")
    feed = world.a_feed(
        "prod", "airflow_api", airflow=world.an_airflow(), config={"base_url": "http://a.example", "token": "env:T"},
        complete_from=NOW - timedelta(hours=9), complete_to=NOW.replace(minute=30),
    )  # fmt: skip
    return feed, {"transport": httpx.MockTransport(answer), "sleep": lambda _: None, "asked": asked}


def test_airflow_counts_its_ended_tasks_once_an_hour(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    feed, session = an_airflow_that_counts(monkeypatch, success=3, failed=2)
    asked, hour = session.pop("asked"), NOW.replace(minute=0) - timedelta(hours=1)
    for number, state in enumerate(("success", "success", "failed", "running")):
        end = None if state == "running" else hour + timedelta(minutes=number)
        world.a_try(at=hour, state=state, end_at=end, run_id=f"r{number}")
    world.a_try(at=hour, state="failed", end_at=hour + timedelta(minutes=9), run_id="again")
    world.a_try(at=hour, state="running", end_at=None, run_id="again", try_number=2)
    assert recount.recount_tries(feed, NOW, **session) == 1
    assert recounts() == [(5, 3, 1)]
    gap = Gap.objects.get()
    assert (gap.kind, gap.start, gap.end, gap.missing) == (Kind.COUNTED, hour, hour + timedelta(hours=1), 2)
    assert [one["state"] for one in asked] == ["success", "failed"]
    assert asked[0]["end_date_gte"] == hour.isoformat() and asked[0]["limit"] == "1"
    assert recount.recount_tries(feed, NOW, **session) == 0 and len(asked) == 2


def test_an_airflow_that_does_not_count_is_asked_later(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    feed, session = an_airflow_that_counts(monkeypatch, success=3)
    session |= {"transport": httpx.MockTransport(lambda request: httpx.Response(503))}
    del session["asked"]
    assert recount.recount_tries(feed, NOW, **session) == 0
    feed.refresh_from_db()
    assert not Recount.objects.exists() and feed.state == Feed.State.OK


def test_an_event_log_that_may_not_be_read_is_not_counted(db: None) -> None:
    hour = NOW - timedelta(hours=5)
    refusals = [{"endpoint": "/eventLogs", "sentence": "no"}]
    world.a_feed(
        "prod", "airflow_api", airflow=world.an_airflow(), complete_from=hour, complete_to=NOW, refusals=refusals
    )
    assert recount.update(NOW) == 0 and not Recount.objects.exists()
