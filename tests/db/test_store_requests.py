"""Request lines to rows: everything is counted once, halves meet, names are shared, rollups add up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from ingest import models
from ingest.models import Request, RequestDetail, RequestHalf, RequestMinute
from ingest.records import MOST_STORED, Link, Outcome
from ingest.store import names, requests

UUID = "01a2029d-9426-7d29-b589-7260bbf7b3fe"
TRACE = "38046ed7352a8e20bc8bb49194f5cc34"
NOW = timezone.now().replace(microsecond=250_000)
OFFSETS = count(0, 1_000)
SDK = "apache-airflow-task-sdk/1.3.2"


@pytest.fixture(autouse=True)
def _fresh_names() -> Iterator[None]:
    names.forget()
    yield
    names.forget()


@pytest.fixture
def feed() -> models.Feed:
    group = models.DeviceGroup.objects.create(name="pair")
    device = models.Device.objects.create(name="bigip-1", group=group)
    feed = models.Feed.objects.create(name="bigip-1 requests", kind=models.Feed.Kind.F5_REQUEST, device=device)
    models.SpoolFile.objects.create(feed=feed, path="request.log", fingerprint="f")
    return feed


def a_line(kind: str = "response", **fields: Any) -> bytes:
    """One spool line of airf5/1; `at` is the device's time, `took` the response time in us."""
    at: datetime = fields.get("at", NOW)
    get = {
        "method": "GET",
        "uri": "/orders",
        "status": 200,
        "server": "10.2.0.1",
        "took": 20_000,
        "port": 40_000,
    } | fields
    answer = (
        f'server_ip="{get["server"]}",server_port="8080",snat_ip="",http_statcode="{get["status"]}",'
        f'response_ms="{get["took"] // 1000}",response_us="{get["took"]}",bytes="{get.get("size", 512)}",'
    )
    message = (
        f'airf5="1",kind="{kind}",ts="{int(at.timestamp())}.{at.microsecond:06d}",hostname="b1",'
        f'virtual_name="{get.get("virtual", "/Common/vs_orders")}",virtual_ip="10.1.0.1",virtual_port="443",'
        f'pool="/Common/pool_orders",client_ip="10.20.0.7",client_port="{get["port"]}",'
        f"{answer if kind == 'response' else ''}"
        f'http_method="{get["method"]}",host="{get.get("host", "orders.example.net")}",correlation_id="",'
        f'traceparent="{get.get("traceparent", "")}",task="{get.get("task", "")}",xff="",'
        f'ua="{get.get("ua", "curl/8")}",http_uri="{get["uri"]}"'
    )
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ} 10.0.0.245 {message}".encode()


def both(**fields: Any) -> list[bytes]:
    return [a_line("request", **fields), a_line("response", **fields)]


def save(feed: models.Feed, *lines: bytes) -> requests.Counts:
    file_id = models.SpoolFile.objects.get(feed=feed).pk
    assert feed.device is not None
    counts = requests.save_lines(feed, feed.device, file_id, [(next(OFFSETS), line) for line in lines])
    assert counts.read == counts.rows + counts.halves + counts.repeated + counts.rejected
    return counts


def test_a_pair_becomes_one_row(feed: models.Feed) -> None:
    counts = save(feed, *both())
    assert (counts.read, counts.rows) == (2, 2)
    row = Request.objects.get()
    assert (row.ts, row.status, row.outcome, row.response_us, row.bytes) == (NOW, 200, Outcome.OK, 20_000, 512)
    assert counts.newest_event_at == NOW
    assert counts.newest_received_at == NOW
    assert not RequestDetail.objects.exists()


def test_names_are_found_behind_the_ids(feed: models.Feed) -> None:
    save(feed, *both(uri="/orders/17"))
    row = Request.objects.get()
    endpoint = models.Endpoint.objects.get(pk=row.endpoint_id)
    assert (endpoint.name, endpoint.address, endpoint.port) == ("/Common/vs_orders", "10.1.0.1", 443)
    assert endpoint.hosts == ["orders.example.net"]
    assert endpoint.f5_pool is not None and endpoint.f5_pool.name == "/Common/pool_orders"
    assert models.Member.objects.get(pk=row.member_id).name == "10.2.0.1:8080"
    assert models.Client.objects.get(pk=row.client_id).address == "10.20.0.7"
    assert models.Path.objects.get(pk=row.path_id).template == "/orders/{n}"


def test_a_member_that_iControl_named_is_the_same_member(feed: models.Feed) -> None:
    assert feed.device is not None
    pool = models.F5Pool.objects.create(group=feed.device.group, name="/Common/pool_orders")
    member = models.Member.objects.create(f5_pool=pool, name="/Common/orders1:8080", address="10.2.0.1", port=8080)
    save(feed, *both())
    assert Request.objects.get().member_id == member.pk


def test_halves_meet_across_batches(feed: models.Feed) -> None:
    request, response = both()
    first = save(feed, request)
    assert (first.halves, first.rows, RequestHalf.objects.count()) == (1, 0, 1)
    second = save(feed, response)
    assert (second.read, second.rows, second.halves) == (1, 1, 0)
    assert not RequestHalf.objects.exists()
    assert Request.objects.get().status == 200


def test_a_failed_request_keeps_its_words(feed: models.Feed) -> None:
    lines = both(status=503, uri="/orders?q=\\t", host="shop", traceparent=f"00-{TRACE}-0000000000000001-01")
    save(feed, *lines)
    detail = RequestDetail.objects.get()
    assert (detail.uri, detail.host, detail.trace_id) == ("/orders?q=\\t", "shop", TRACE)
    assert detail.raw.split("\n") == [line.decode().split(" ", 2)[2] for line in lines]
    assert detail.line_id == Request.objects.get().line_id


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({"status": 404}, Outcome.CLIENT_ERROR),
        ({"status": 502}, Outcome.SERVER_ERROR),
        ({"took": 3_000_000}, Outcome.SLOW),
        ({"took": 2_999_999}, Outcome.OK),
    ],
)
def test_the_outcome_is_stored(feed: models.Feed, fields: dict[str, int], how: Outcome) -> None:
    save(feed, *both(**fields))
    assert Request.objects.get().outcome == how


def test_a_uuid_in_the_path_links_and_teaches_the_trace_and_the_endpoint(feed: models.Feed) -> None:
    uri = f"/execution/task-instances/{UUID}/run"
    save(feed, *both(uri=uri, ua=SDK, traceparent=f"00-{TRACE}-0000000000000001-01"))
    row = Request.objects.get()
    assert (row.link, models.TryKey.objects.get(pk=row.try_key_id).key) == (Link.UUID, UUID)
    assert models.Trace.objects.get().trace_id == TRACE
    assert models.Endpoint.objects.get().execution_api


def test_a_header_links_and_the_path_beats_it(feed: models.Feed) -> None:
    other = UUID.replace("01a2", "02b3")
    task = f"dag=d;run=r;task=t;map=-1;try=1;ti={other}"
    save(feed, *both(task=task), *both(task=task, uri=f"/execution/task-instances/{UUID}/run", port=40_001))
    links = {row.link: models.TryKey.objects.get(pk=row.try_key_id).key for row in Request.objects.all()}
    assert links == {Link.HEADER: other, Link.UUID: UUID}


def test_what_no_column_holds_is_stored_as_the_most_it_holds(feed: models.Feed) -> None:
    save(feed, *both(took=3_600_000_000, size=5_000_000_000))
    row = Request.objects.get()
    assert (row.response_us, row.bytes) == (MOST_STORED, MOST_STORED)


@pytest.mark.parametrize("kind", ["response", "request"])
def test_names_of_any_length_are_cut_to_what_their_columns_take(feed: models.Feed, kind: str) -> None:
    """Whoever can send to the receiver can write them; a batch that fails for one would be read again for ever."""
    long = "x" * 5_000
    line = a_line(kind, virtual=long, server=long, uri=f"/{long}", port=1).decode()
    for own in ("10.20.0.7", "/Common/pool_orders", "10.1.0.1"):
        line = line.replace(f'="{own}"', f'="{long}"')
    assert save(feed, *both(), line.encode()).read == 3
    requests.expire_halves(feed, NOW + timedelta(days=2), close=True)
    assert {len(one.address) for one in models.Client.objects.all()} == {9, 64}


def test_a_suspect_line_makes_no_link(feed: models.Feed) -> None:
    lines = both(uri=f'/execution/task-instances/{UUID}/run",task="dag=d;run=r;task=t;map=-1;try=1;ti={UUID}')
    save(feed, *lines)
    row = Request.objects.get()
    assert (row.link, row.try_key_id) == (Link.SUSPECT, None)
    assert RequestDetail.objects.exists()


def test_what_is_no_request_line_is_rejected_whole(feed: models.Feed) -> None:
    counts = save(feed, b"2026-11-22T09:25:10.052Z 10.0.0.245 nonsense \xff\x00 here", *both())
    assert (counts.rows, counts.rejected) == (2, 1)
    assert "nonsense" in counts.rejects[0].raw and counts.rejects[0].reason


@pytest.mark.parametrize("off", [timedelta(days=-400), timedelta(days=2)])
def test_a_time_outside_of_what_is_kept_is_rejected(feed: models.Feed, off: timedelta) -> None:
    counts = save(feed, *both(at=NOW + off))
    assert counts.rejected == 2
    assert "outside of what is kept" in counts.rejects[0].reason


def test_a_capture_brings_its_own_days(feed: models.Feed) -> None:
    feed.capture = "lab"
    at = datetime(2021, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
    assert save(feed, *both(at=at)).rows == 2
    assert Request.objects.get().ts == at


def test_a_line_twice_in_a_batch_is_repeated(feed: models.Feed) -> None:
    request, response = both()
    counts = save(feed, request, request, response, response)
    assert (counts.rows, counts.repeated, Request.objects.count()) == (2, 2, 1)


def test_a_failed_request_that_comes_again_is_repeated(feed: models.Feed) -> None:
    lines = both(status=503)
    save(feed, *lines)
    counts = save(feed, *lines)
    assert (counts.rows, counts.repeated, Request.objects.count()) == (0, 2, 1)


def test_minutes_add_up_over_batches(feed: models.Feed) -> None:
    at = NOW.replace(second=5)
    save(feed, *both(at=at, took=20_000), *both(at=at, took=30_000, port=2, status=503))
    save(feed, *both(at=at + timedelta(seconds=1), took=4_000_000, port=3))
    minute = RequestMinute.objects.get()
    assert (minute.start, minute.requests, minute.server_errors) == (at.replace(second=0, microsecond=0), 3, 1)
    assert (minute.sum_us, minute.max_us, sum(minute.histogram)) == (4_050_000, 4_000_000, 3)


def test_hours_are_the_sum_of_their_minutes_however_often_they_are_rolled(feed: models.Feed) -> None:
    at = NOW.replace(minute=5)
    save(feed, *both(at=at), *both(at=at + timedelta(minutes=3), took=40_000, port=2))
    for _ in range(2):
        requests.roll_hours(at + timedelta(hours=1))
    hour = models.RequestHour.objects.get()
    assert (hour.requests, hour.sum_us, sum(hour.histogram)) == (2, 60_000, 2)
    assert hour.start == at.replace(minute=0, second=0, microsecond=0)


def test_a_rolled_back_batch_leaves_no_name_in_memory(feed: models.Feed) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        save(feed, *both())
        raise RuntimeError
    save(feed, *both())
    assert models.Client.objects.filter(pk=Request.objects.get().client_id).exists()


@pytest.mark.django_db(transaction=True)
def test_known_names_cost_no_round_trip(feed: models.Feed, django_assert_max_num_queries: Any) -> None:
    with transaction.atomic():
        save(feed, *both())
        assert not names._known
    assert names._known["ingest_client"]
    with django_assert_max_num_queries(0):
        names.texts(names.CLIENT, {"10.20.0.7"})


def test_a_flood_of_new_names_is_stored_under_one() -> None:
    ids = names.texts(names.AGENT, {f"scanner/{number}" for number in range(names.MOST_NEW + 50)})
    assert len(ids) == names.MOST_NEW + 50
    assert models.Agent.objects.count() <= names.MOST_NEW + 1


class TestHalvesThatWaitInVain:
    def test_a_request_is_unanswered_after_the_idle_timeout(self, feed: models.Feed) -> None:
        save(feed, a_line("request"))
        assert requests.expire_halves(feed, NOW + timedelta(seconds=299)) == 0
        assert requests.expire_halves(feed, NOW + timedelta(seconds=301)) == 1
        row = Request.objects.get()
        assert (row.outcome, row.status, row.member_id) == (Outcome.UNANSWERED, None, None)
        assert RequestMinute.objects.get().unanswered == 1
        assert RequestDetail.objects.get().raw.startswith('airf5="1",kind="request"')
        assert not RequestHalf.objects.exists()

    def test_a_request_is_unanswered_once_its_try_has_ended(self, feed: models.Feed) -> None:
        save(feed, a_line("request", uri=f"/execution/task-instances/{UUID}/state"))
        airflow = models.Airflow.objects.create(name="a")
        end = NOW + timedelta(seconds=8)
        key = {"airflow": airflow, "dag_id": "d", "run_id": "r", "task_id": "t", "try_number": 1, "seen_at": NOW}
        one = models.Try.objects.create(**key, end_at=end)
        models.TryKey.objects.update(try_row=one)
        assert requests.expire_halves(feed, end + timedelta(seconds=1)) == 0
        assert requests.expire_halves(feed, end + timedelta(seconds=3)) == 1

    def test_the_end_of_a_capture_closes_all(self, feed: models.Feed) -> None:
        save(feed, a_line("request"), a_line("response", port=2))
        assert requests.expire_halves(feed, NOW, close=True) == 2

    def test_a_response_alone_is_a_row_after_a_while(self, feed: models.Feed) -> None:
        save(feed, a_line("response"))
        assert requests.expire_halves(feed, NOW + timedelta(seconds=5)) == 0
        assert requests.expire_halves(feed, NOW + timedelta(seconds=11)) == 1
        assert Request.objects.get().status == 200

    def test_an_answer_whose_question_never_came_proves_that_lines_are_lost(self, feed: models.Feed) -> None:
        models.Feed.objects.filter(pk=feed.pk).update(complete_from=NOW - timedelta(minutes=1))
        save(feed, a_line("response"))
        requests.expire_halves(feed, NOW + timedelta(seconds=11))
        gap = models.Gap.objects.get()
        assert (gap.kind, gap.missing) == ("halves", 1) and gap.end is not None and gap.start < NOW < gap.end
        save(feed, a_line("response", port=2))
        requests.expire_halves(feed, NOW, close=True)
        assert models.Gap.objects.get().missing == 2
        models.Gap.objects.all().delete()
        models.Feed.objects.filter(pk=feed.pk).update(complete_from=NOW + timedelta(minutes=1))
        save(feed, a_line("response", port=3))
        requests.expire_halves(feed, NOW, close=True)
        assert not models.Gap.objects.exists()  # it was asked before the log began

    def test_a_device_that_logs_no_requests_needs_none(self, feed: models.Feed) -> None:
        assert feed.device is not None
        feed.device.logs_requests = False
        assert save(feed, a_line("response")).rows == 1

    def test_an_answer_that_comes_too_late_is_added_to_its_request(self, feed: models.Feed) -> None:
        save(feed, a_line("request"))
        requests.expire_halves(feed, NOW + timedelta(seconds=301))
        save(feed, a_line("response"))
        assert requests.expire_halves(feed, NOW + timedelta(seconds=400)) == 0
        assert Request.objects.get().outcome == Outcome.UNANSWERED
        assert RequestDetail.objects.get().raw.count("\n") == 1
        assert not RequestHalf.objects.exists()
