"""Clocks of devices and workers: measured where something is known of them, estimated, and handed to joins.

Three ways (models.SkewSample.Method): the device's own clock (asked by iControl REST), times of receipt (a line cannot
be received before its event), and exact pairs (a try's start by its worker, its /run by the device).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from airf5.sql import load
from ingest.completeness import skew
from ingest.completeness.skew import Measured, Skew
from ingest.models import Airflow, Device, Feed, SkewSample

WINDOW = timedelta(minutes=10)  # the soonest received line of so long a time is one measurement
RECENT = timedelta(hours=6)
PAIRS_KEEP = timedelta(days=7)
KEEP = timedelta(days=30)
HOUR = timedelta(hours=1)
MOST_OFF = timedelta(days=2)  # more than that is no clock: the lines are of another time

Method = SkewSample.Method


def heard(feed: Feed, newest: datetime | None, received: datetime) -> None:
    """The newest event of some lines and when the last of them was received: kept in the feed's cursor, then a sample.

    That is a lower bound of what the soonest line would tell, so it is never too much.
    """
    if feed.kind != Feed.Kind.F5_REQUEST or feed.device_id is None or newest is None:
        return
    ahead = newest - received
    if abs(ahead) > MOST_OFF:
        return
    start = datetime.fromtimestamp(
        received.timestamp() // WINDOW.total_seconds() * WINDOW.total_seconds(), received.tzinfo
    )
    known = feed.cursor.get("clock") or {}
    best = ahead.total_seconds() * 1000
    whole = newest.microsecond == 0
    count = 1
    if known.get("from") == start.isoformat():
        best, whole, count = max(best, known["best_ms"]), whole and known["whole"], known["count"] + 1
    elif known:
        _save_receipt(feed.device_id, known)
    feed.cursor = {
        **feed.cursor, "clock": {"from": start.isoformat(), "best_ms": best, "whole": whole, "count": count}
    }  # fmt: skip


def _save_receipt(device_id: int, known: dict[str, object]) -> None:
    measured = skew.of_receipt(float(str(known["best_ms"])), bool(known["whole"]))
    SkewSample.objects.create(
        device_id=device_id, at=datetime.fromisoformat(str(known["from"])) + WINDOW, offset_ms=measured.offset,
        uncertainty_ms=measured.error, method=Method.RECEIPT, samples=int(str(known["count"])),
    )  # fmt: skip


def update(now: datetime) -> None:
    """Measure the pairs of the hours that are over, and estimate every device's clock anew."""
    for airflow in Airflow.objects.filter(feeds__capture="", feeds__enabled=True).distinct():
        _pairs(airflow, now)
    for device in Device.objects.filter(skew_samples__worker="").distinct():
        found = SkewSample.objects.filter(device=device, worker="", at__gt=now - RECENT, at__lte=now)
        both = skew.combined(_measured(found, now))
        if both is not None:
            Device.objects.filter(pk=device.pk).update(
                skew_us=round(both[0] * 1000), skew_error_us=round(both[1] * 1000)
            )
    # What was measured of a capture is of its own time, and stays as long as it does
    of_captures = Airflow.objects.exclude(feeds__capture="").filter(feeds__isnull=False)
    old = SkewSample.objects.exclude(airflow__in=of_captures)
    old.filter(at__lt=now - KEEP).delete()
    old.filter(method=Method.PAIRS, at__lt=now - PAIRS_KEEP).delete()


def _measured(found: Iterable[SkewSample], now: datetime) -> list[Measured]:
    return [Measured(s.offset_ms, s.uncertainty_ms, max(0.0, (now - s.at) / HOUR)) for s in found]


def of_capture(airflow: Airflow, start: datetime, end: datetime) -> None:
    """Measure the pairs of a whole capture, whose clocks were those of its own time."""
    SkewSample.objects.filter(airflow=airflow, method=Method.PAIRS).delete()
    _save_pairs(airflow, start, end)


def _pairs(airflow: Airflow, now: datetime) -> None:
    """One measurement for each worker and device of the last whole hour, once."""
    end = now.replace(minute=0, second=0, microsecond=0)
    if not SkewSample.objects.filter(airflow=airflow, method=Method.PAIRS, at__gte=end).exists():
        _save_pairs(airflow, end - HOUR, end)


def _save_pairs(airflow: Airflow, start: datetime, end: datetime) -> None:
    """By the first /run of each try; where none crosses a device, by the requests that name their try in a header."""
    runs: dict[tuple[int, str], list[float]] = defaultdict(list)
    for device_id, hostname, delta in _rows("run_pairs", airflow, start, end):
        runs[device_id, hostname].append(float(delta))
    calls: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
    for device_id, hostname, first, last in _rows("header_pairs", airflow, start, end):
        calls[device_id, hostname].append((first, last))
    found = [(key, skew.of_pairs(deltas), len(deltas)) for key, deltas in runs.items()]
    for key, spans in calls.items():
        bounds = skew.of_bounds(*zip(*spans, strict=True)) if key not in runs else None
        found += [(key, bounds, len(spans))] if bounds is not None else []
    SkewSample.objects.bulk_create(
        SkewSample(
            device_id=device_id, airflow=airflow, worker=hostname, at=end, offset_ms=measured.offset,
            uncertainty_ms=measured.error, method=Method.PAIRS, samples=number,
        )
        for (device_id, hostname), measured, number in found
    )  # fmt: skip


def _rows(name: str, airflow: Airflow, start: datetime, end: datetime) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(load(name), {"airflow": airflow.pk, "from": start, "to": end})
        return list(cursor.fetchall())


@dataclass(slots=True)
class Clocks:
    """For the joins of one Airflow with live devices: how far each device group is ahead of each worker."""

    groups: dict[int, Skew] = field(default_factory=dict)
    workers: dict[tuple[int, str], Skew] = field(default_factory=dict)

    @classmethod
    def of(cls, airflow: Airflow, scope: str, devices: Iterable[Device]) -> Clocks:
        """What is known now of these devices, each once, and of this Airflow's workers.

        Of a capture the exact pairs alone are measured (`of_capture`): it was recorded with its own clocks.
        """
        found = cls()
        for device in devices:
            if device.skew_us is not None and not scope:
                one = _skew(device.skew_us / 1000, (device.skew_error_us or 0) / 1000)
                found.groups[device.group_id] = _wider(found.groups.get(device.group_id), one)
        pairs = SkewSample.objects.filter(airflow=airflow, method=Method.PAIRS).select_related("device")
        for sample in pairs.order_by("device", "worker", "-at").distinct("device", "worker"):
            key = sample.device.group_id, sample.worker
            found.workers[key] = _wider(found.workers.get(key), _skew(sample.offset_ms, sample.uncertainty_ms))
        return found

    def __bool__(self) -> bool:
        return bool(self.groups or self.workers)

    @property
    def farthest(self) -> timedelta:
        """How far a device's times can lie from a worker's."""
        known = (*self.groups.values(), *self.workers.values())
        return max((abs(one.shift) + one.error for one in known), default=timedelta(0))

    def between(self, group_id: int, worker: str) -> Skew:
        """How far the devices of this group are ahead of this worker; without pairs the worker is taken to be with us."""
        return self.workers.get((group_id, worker)) or self.groups.get(group_id) or skew.NONE


def _skew(offset_ms: float, error_ms: float) -> Skew:
    return Skew(timedelta(milliseconds=offset_ms), timedelta(milliseconds=error_ms))


def _wider(one: Skew | None, other: Skew) -> Skew:
    """Of the units of a pair either may have answered: an estimate that holds both."""
    if one is None:
        return other
    low, high = (
        min(one.offset - one.error, other.offset - other.error),
        max(one.offset + one.error, other.offset + other.error),
    )
    return Skew((low + high) / 2, (high - low) / 2)
