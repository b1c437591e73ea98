"""Clocks measured from receipts and exact pairs, estimated for each device, and what joins take of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from ingest.completeness import clocks
from ingest.completeness.clocks import Clocks
from ingest.models import Airflow, Device, Endpoint, Feed, Path, SkewSample, SpoolFile
from tests import world

NOW = timezone.now().replace(microsecond=500)
HOUR = NOW.replace(minute=0, second=0, microsecond=0)
MS = timedelta(milliseconds=1)


@pytest.fixture
def feed(db: None) -> Feed:
    world.a_route()
    feed = world.a_feed("lb1/request", device=Device.objects.get())
    SpoolFile.objects.create(pk=55, feed=feed, path="/x", fingerprint="x")
    return feed


def a_sample(device: Device, offset: float, error: float, minutes_ago: float = 1, **changes: Any) -> SkewSample:
    return SkewSample.objects.create(
        device=device, at=NOW - timedelta(minutes=minutes_ago), offset_ms=offset, uncertainty_ms=error,
        **{"method": "clock", **changes},
    )  # fmt: skip


def test_the_soonest_receipt_of_ten_minutes_is_one_sample(feed: Feed) -> None:
    start = NOW.replace(minute=0, second=30)
    for seconds, ahead_ms in ((0, 1500), (60, 2900), (120, -4000)):
        received = start + timedelta(seconds=seconds)
        clocks.heard(feed, received + ahead_ms * MS, received)
    assert not SkewSample.objects.exists() and feed.cursor["clock"]["count"] == 3
    clocks.heard(feed, start + timedelta(minutes=11), start + timedelta(minutes=11))
    sample = SkewSample.objects.get()
    assert (sample.method, sample.offset_ms, sample.uncertainty_ms, sample.samples) == ("receipt", 3400, 500, 3)
    assert sample.at == start.replace(second=0, microsecond=0) + timedelta(minutes=10)


def test_lines_of_another_time_and_other_logs_measure_nothing(feed: Feed) -> None:
    clocks.heard(feed, NOW - timedelta(days=9), NOW)
    clocks.heard(feed, None, NOW)
    clocks.heard(Feed(kind="f5_ltm", device=feed.device), NOW, NOW)
    assert "clock" not in feed.cursor


def test_a_device_has_the_estimate_that_all_of_its_samples_allow(feed: Feed) -> None:
    device = Device.objects.get()
    a_sample(device, 3000, 520)
    a_sample(device, 3400, 500, method="receipt")
    a_sample(device, 90_000, 500, minutes_ago=60 * 10)  # too old
    a_sample(device, -7000, 60, worker="w1", method="pairs", airflow=world.an_airflow())
    clocks.update(NOW)
    device.refresh_from_db()
    assert device.skew_us is not None and device.skew_error_us is not None
    assert 3_150_000 < device.skew_us < 3_250_000 and 290_000 < device.skew_error_us < 320_000


def test_the_run_of_a_try_measures_its_worker_against_the_device(feed: Feed) -> None:
    airflow = world.an_airflow()
    world.a_feed("prod", "airflow_api", airflow=airflow)
    run = Path.objects.create(template="/execution/task-instances/{uuid}/run")
    endpoint = Endpoint.objects.get()
    for number, delay in enumerate((2005, 2009, 2009, 2011, 2030)):
        start = HOUR - timedelta(minutes=20 + number)
        tried = world.a_try(at=start, start_at=start, end_at=start + timedelta(seconds=9), hostname="w1")
        for again in (0, 5000):
            a_run(endpoint, tried, start + (delay + again) * MS, run.pk, number * 10 + again)
    sensor = world.a_try(at=HOUR - timedelta(minutes=9), operator="HttpSensor", hostname="w1")
    a_run(endpoint, sensor, HOUR - timedelta(minutes=8), run.pk, 999)
    clocks.update(NOW)
    clocks.update(NOW)
    sample = SkewSample.objects.get()
    assert (sample.airflow, sample.worker, sample.method, sample.samples) == (airflow, "w1", "pairs", 5)
    assert sample.offset_ms == pytest.approx(2000) and 60 < sample.uncertainty_ms < 90
    known = Clocks.of(airflow, "", Device.objects.all())
    group = endpoint.group_id
    assert known.between(group, "w1").shift == timedelta(seconds=2) and not known.between(group, "w2").shift
    assert known.farthest > timedelta(seconds=2)


def a_run(endpoint: Endpoint, tried: Any, at: datetime, path_id: int, line: int) -> None:
    world.a_request(endpoint, at, of=tried, path_id=path_id, line_id=55 << 40 | line)


def test_a_pair_of_units_has_an_estimate_that_holds_both_and_a_capture_has_none(feed: Feed) -> None:
    first = Device.objects.get()
    Device.objects.update(skew_us=2_000_000, skew_error_us=500_000)
    Device.objects.create(group=first.group, name="bigip-2", skew_us=3_000_000, skew_error_us=100_000)
    airflow: Airflow = world.an_airflow()
    known = Clocks.of(airflow, "", Device.objects.all()).between(first.group_id, "w1")
    assert (known.offset, known.error) == (timedelta(seconds=2.3), timedelta(seconds=0.8))
    assert not Clocks.of(airflow, "lab1", Device.objects.all())


def test_what_was_measured_of_a_capture_stays_however_old_its_time_is(feed: Feed) -> None:
    device, live, recorded = Device.objects.get(), world.an_airflow("prod"), world.an_airflow("lab/prod")
    world.a_feed("prod", "airflow_api", airflow=live)
    world.a_feed("lab/prod", "airflow_api", airflow=recorded, capture="lab")
    for airflow in (live, recorded):
        a_sample(device, 5000, 60, 60 * 24 * 90, method="pairs", airflow=airflow, worker="w1")
    clocks.update(NOW)
    assert [s.airflow for s in SkewSample.objects.all()] == [recorded]
