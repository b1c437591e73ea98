"""How far the data reach: watermarks of live feeds and of captures."""

from __future__ import annotations

from datetime import timedelta

from airf5.accounts.roles import EVERYTHING
from dashboards.filters import Filter
from dashboards.queries import freshness, overview
from ingest import models
from tests import world
from tests.world import NOW

SECOND = timedelta(seconds=1)


def asked(listing: str, **query: str) -> Filter:
    return Filter.from_query(query, NOW, listing)


def test_the_watermark_is_the_smallest_of_the_feeds_that_are_needed() -> None:
    world.a_feed()
    world.a_feed("ltm", "f5_ltm", complete_to=NOW - timedelta(minutes=10))
    world.a_feed("audit", "f5_audit", complete_to=NOW - timedelta(hours=10))
    fresh = freshness.watermark(NOW)
    assert fresh.sentence == "Log data complete to 11:50:00 UTC"
    assert (fresh.waits_for, fresh.state, fresh.behind_s) == ("ltm", "late", 600.0)


def test_what_a_device_pushes_is_needed_where_it_has_no_request_log() -> None:
    group = models.DeviceGroup.objects.create(name="lb")
    device = models.Device.objects.create(name="lb1", group=group)
    late, gone = NOW - timedelta(minutes=9), NOW - timedelta(minutes=12)
    world.a_feed("prod", "airflow_api", airflow=world.an_airflow())
    pushed = world.a_feed("lb1/push", "f5_telemetry", device=device, complete_to=late)
    models.Gap.objects.create(feed=pushed, kind="silent", start=gone, end=late, reason="silent")
    fresh = freshness.watermark(NOW)
    assert (fresh.waits_for, fresh.complete_to, fresh.known("lb")[1]) == ("lb1/push", late, late)
    assert fresh.but == ", but for 1 gap" and [gap.feed for gap in fresh.hiding] == ["lb1/push"]
    assert not fresh.covers(gone, late)
    world.a_feed("lb1/request", device=device)
    fresh = freshness.watermark(NOW)
    assert (fresh.waits_for, fresh.complete_to, fresh.gaps) == ("lb1/request", NOW - timedelta(seconds=4), ())
    assert freshness.freshness(NOW).hiding == [] and fresh.covers(gone, late)


def test_a_gap_that_lasts_counts_however_many_have_ended_since() -> None:
    feed = world.a_feed()
    began = NOW - timedelta(days=9)
    lasting = models.Gap(feed=feed, kind="silent", start=began, reason="silent")
    ended = [
        models.Gap(feed=feed, kind="rejects", start=began - n * SECOND, end=began - (n - 1) * SECOND, reason=str(n))
        for n in range(1, freshness.MOST_GAPS * 5 + 2)
    ]
    models.Gap.objects.bulk_create([*ended, lasting])
    assert freshness.freshness(NOW).complete_to == NOW - timedelta(days=1)  # where it began to be complete


def a_capture(name: str, start: timedelta, end: timedelta) -> None:
    """The feeds of a replayed capture, so long before now."""
    airflow = models.Airflow.objects.create(name=name)
    group = models.DeviceGroup.objects.create(name=name)
    device = models.Device.objects.create(name=f"{name}/bigip", group=group)
    span = {"complete_from": NOW - start, "complete_to": NOW - end, "state": "closed", "capture": name}
    world.a_feed(f"{name}/airflow", "airflow_capture", airflow=airflow, **span)
    world.a_feed(f"{name}/request", "f5_request", device=device, **span)
    world.a_feed(f"{name}/icontrol", "f5_icontrol", device=device, state="closed", capture=name, complete_to=None)


def test_a_capture_that_has_ended_does_not_hold_live_data_back() -> None:
    a_capture("lab1", timedelta(days=2), timedelta(days=1))
    world.a_feed()
    for fresh in (freshness.watermark(NOW), freshness.watermark(NOW, asked("tries", last="7d"))):
        assert (fresh.complete_to, fresh.state) == (NOW - timedelta(seconds=4), "ok")
        assert [(s.end, s.live) for s in fresh.stretches] == [
            (NOW - timedelta(days=1), False),
            (fresh.complete_to, True),
        ]


def test_a_range_before_the_live_feeds_has_the_watermark_of_its_capture() -> None:
    a_capture("lab1", timedelta(days=3), timedelta(days=2))
    a_capture("lab2", timedelta(days=9), timedelta(days=8))
    world.a_feed()
    world.a_feed("new", "airflow_api", complete_from=None, complete_to=None, state="new")
    old = {"from": "2026-02-20T00:00:00Z", "to": "2026-02-22T00:00:00Z"}
    fresh = freshness.watermark(NOW, asked("tries", **old))
    assert (fresh.complete_to, fresh.behind_s, fresh.waits_for) == (NOW - timedelta(days=8), None, "lab2/airflow")
    assert freshness.watermark(NOW, asked("tries")).waits_for == "new"


def test_what_belongs_to_a_capture_has_the_watermark_of_its_feeds() -> None:
    a_capture("lab1", timedelta(days=2), timedelta(days=1))
    world.a_feed()
    ended = NOW - timedelta(days=1)
    assert freshness.watermark(NOW, captures=freshness.capture_of(airflow="lab1")).complete_to == ended
    assert freshness.watermark(NOW, captures=freshness.capture_of(device_group="lab1")).complete_to == ended
    assert freshness.watermark(NOW, asked("tries", airflow="lab1")).complete_to == ended
    assert freshness.watermark(NOW).known("lab1") == (NOW - timedelta(days=2), ended)


def test_a_feed_that_is_switched_off_does_not_count() -> None:
    world.a_feed()
    world.a_feed("off", "f5_ltm", enabled=False, complete_to=NOW - timedelta(days=9))
    models.Gap.objects.create(feed=models.Feed.objects.get(name="off"), start=NOW - timedelta(minutes=5), reason="off")
    fresh = freshness.freshness(NOW, asked("overview"))
    assert (fresh.complete_to, fresh.gaps) == (NOW - timedelta(seconds=4), ())
    assert fresh.covers(NOW - timedelta(minutes=1), NOW)
    assert not fresh.covers(NOW, NOW + timedelta(minutes=1))


def test_cells_of_a_capture_are_complete_only_where_it_reaches() -> None:
    a_capture("lab1", timedelta(minutes=10), timedelta(minutes=5))
    page = overview.overview(asked("overview"), EVERYTHING, NOW)
    whole = [cell.start for cell in page.lanes[-1].cells if cell.complete]
    assert (whole[0], whole[-1]) == (NOW - timedelta(minutes=10), NOW - timedelta(minutes=5, seconds=15))


def test_nothing_arrived_is_said_and_is_not_complete() -> None:
    assert freshness.watermark(NOW).state == "empty"
    world.a_feed(complete_to=None)
    assert freshness.watermark(NOW).complete_to is None
