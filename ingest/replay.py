"""Replay one capture folder through the real parsers and stores: its own Airflow, devices and feeds."""

from __future__ import annotations

import hashlib
import json
import math
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from ingest import judging, leases, models, partitions, pipeline, snapshot_feed
from ingest.capture import Capture, CaptureError, read_capture
from ingest.completeness import clocks
from ingest.incidents import update as incidents
from ingest.models import Feed, Try, Verdict
from ingest.parsers import times
from ingest.setup import templates
from ingest.store import airflow, feeds, requests
from ingest.store.feeds import Counts

LEASE_S = 900
AFTER = timedelta(hours=1)  # by a worker's clock its tries may end after the capture's
ENDED_BEFORE = timedelta(minutes=1)  # a capture shifted to now ends so long ago: all of it can be known
F5_FILES = {"request": Feed.Kind.F5_REQUEST, "ltm": Feed.Kind.F5_LTM, "audit": Feed.Kind.F5_AUDIT}
AIRFLOW_LISTS = {
    "version": "version",
    "health": "health",
    "dags": "dags",
    "pools": "pools",
    "connections": "connections",
    "jobs": "jobs",
    "dagRuns": "dag_runs",
    "eventLogs": "event_logs",
    "taskInstances": "task_instances",
    "tries": "tries",
}


@dataclass(slots=True)
class Told:
    """What a replay did, for its summary."""

    name: str
    airflow: str
    counts: Counts = field(default_factory=Counts)
    verdicts: Counter[str] = field(default_factory=Counter)
    provisional: int = 0
    seconds: float = 0.0


def replay(folder: Path, *, shift_to_now: bool = False, wait: bool = False) -> Told:
    """Ingest a capture; with `wait`, close its feeds and judge all of it. Raises `capture.CaptureError`."""
    began = time.monotonic()
    capture, name, spooled = _read(folder, shift_to_now)
    _check_template(capture)
    partitions.make(_days(capture), kept=True)
    with transaction.atomic():
        instance = _airflow(capture, name)
        device = _device(capture, name)
        made = _feeds(capture, name, instance, device, spooled)
    told = Told(name, instance.name)
    for feed in made:
        with _lease(feed) as epoch:
            told.counts.add(_ingest(capture, feed, epoch))
    partitions.analyze()
    if wait:
        for feed in made:
            _close(capture, feed)
        clocks.of_capture(instance, capture.start, capture.end + AFTER)
        _judge(instance)
        incidents.update(name, timezone.now())
    verdicts = Verdict.objects.filter(try_row__airflow=instance)
    told.verdicts.update(verdicts.values_list("culprit", flat=True))
    told.provisional = verdicts.filter(status=Verdict.Status.PROVISIONAL).count()
    told.seconds = time.monotonic() - began
    return told


def _read(folder: Path, shift_to_now: bool) -> tuple[Capture, str, Path]:
    """The capture, its name here, and where its F5 files are. Shifted, it is a capture of its own, with its files."""
    capture = _read_folder(folder)
    if not shift_to_now:
        return capture, capture.name, (folder / "f5").resolve()
    now = timezone.now()
    name = f"{capture.name}-{now:%Y%m%dT%H%M%S}"
    lap = Feed.objects.filter(capture__startswith=f"{capture.name}-2").values("capture").distinct().count() + 1
    shifted = _read_folder(
        folder, timedelta(seconds=math.floor((now - ENDED_BEFORE - capture.end).total_seconds())), lap
    )
    target = Path(settings.AIRF5_HOME) / "captures" / name / "f5"
    target.mkdir(parents=True, exist_ok=True)
    for file, content in shifted.f5.items():
        (target / file).write_bytes(content)
    return shifted, name, target.resolve()


def _check_template(capture: Capture) -> None:
    try:
        templates.compiled(templates.texts(_template(capture)))
    except templates.TemplateRefused as error:
        raise CaptureError(f"meta.json of {capture.name}: {error}") from error


def _read_folder(folder: Path, delta: timedelta = timedelta(0), lap: int = 0) -> Capture:
    try:
        return read_capture(folder, delta, lap)
    except CaptureError:
        raise
    except (OSError, ValueError) as error:
        raise CaptureError(f"{folder} cannot be read as a capture: {error}") from error


def scoped(capture: str, name: str) -> str:
    """The name of an Airflow or a device of a capture: its own where that already is the capture's."""
    return capture if name in ("", capture) or capture.startswith(f"{name}-2") else f"{capture}/{name}"


def _days(capture: Capture) -> set[Any]:
    """The days of the capture, and their neighbours for clocks that are off."""
    first, last = capture.start.astimezone(UTC).date(), capture.end.astimezone(UTC).date()
    return {first + timedelta(days=n) for n in range(-1, (last - first).days + 2)}


def _airflow(capture: Capture, name: str) -> models.Airflow:
    about = capture.meta.get("airflow") or {}
    instance, _ = models.Airflow.objects.update_or_create(
        name=scoped(name, str(about.get("name") or "")),
        defaults={
            "version": str(about.get("version") or "")[:40],
            "api": str(about.get("api") or "v2")[:4],
            "workers": capture.meta.get("workers") or {},
        },
    )
    return instance


def _device(capture: Capture, name: str) -> models.Device | None:
    """The devices of the capture, in one group; the first one is whose the files are."""
    found = []
    group, _ = models.DeviceGroup.objects.get_or_create(name=name)
    for about in capture.meta.get("devices") or [{}]:
        offset = times.zone(str(about.get("utc_offset") or "Z")) or timedelta(0)
        device, _ = models.Device.objects.update_or_create(
            name=f"{name}/{about.get('name') or 'f5'}",
            defaults={
                "group": group,
                "hostname": str(about.get("hostname") or "")[:250],
                "utc_offset_s": int(offset.total_seconds()),
                "makes_own_errors": about.get("makes_own_errors") is True,
                "logs_requests": not templates.answers_only(_template(capture)),
            },
        )
        found.append(device)
    return found[0] if capture.f5 or capture.icontrol else None


def _feeds(
    capture: Capture, name: str, instance: models.Airflow, device: models.Device | None, spooled: Path
) -> list[Feed]:
    """One feed for each part that the capture has, in the order in which they are read."""
    wanted: list[tuple[str, str, dict[str, Any]]] = []
    if capture.icontrol:
        wanted.append(("icontrol", Feed.Kind.F5_ICONTROL, {}))
    wanted.append(("airflow", Feed.Kind.AIRFLOW_CAPTURE, {}))
    for file in sorted(capture.f5, key=lambda file: list(F5_FILES).index(_kind(file))):
        config: dict[str, Any] = {"glob": [str(spooled / file)]}
        if _kind(file) == "request" and (template := templates.texts(_template(capture))):
            config["template"] = list(template)
        wanted.append((file.removesuffix(".log"), F5_FILES[_kind(file)], config))
    made = []
    for part, kind, config in wanted:
        side = {"airflow": instance} if part == "airflow" else {"device": device}
        feed, _ = Feed.objects.get_or_create(
            name=f"{name}/{part}", defaults={"kind": kind, "capture": name[:100], "config": config, **side}
        )
        if feed.config != config:  # the folder has moved
            feed.config = config
            feed.save(update_fields=["config"])
        made.append(feed)
    return made


def _template(capture: Capture) -> Any:
    """The request-log template of the device whose the files are, else of the whole capture."""
    first = next(iter(capture.meta.get("devices") or [{}]))
    return first.get("template") or capture.meta.get("template")


def _kind(file: str) -> str:
    return next((kind for kind in F5_FILES if file.startswith(kind)), "ltm")


@contextmanager
def _lease(feed: Feed) -> Iterator[int]:
    owner = f"replay {socket.gethostname()} {os.getpid()}"
    while (epoch := leases.take(feed.pk, owner, LEASE_S)) is None:
        time.sleep(0.2)
    try:
        yield epoch
    finally:
        leases.release(feed.pk, epoch)


def _ingest(capture: Capture, feed: Feed, epoch: int) -> Counts:
    """Read one feed of the capture to its end."""
    if feed.kind == Feed.Kind.F5_ICONTROL:
        return _once(feed, epoch, capture.icontrol, lambda: _icontrol(capture, feed))
    if feed.kind == Feed.Kind.AIRFLOW_CAPTURE:
        told = [capture.airflow, capture.seen, capture.task_logs]
        return _once(feed, epoch, told, lambda: _airflow_side(capture, feed))
    last = models.Batch.objects.filter(feed=feed).order_by("-pk").values_list("pk", flat=True).first() or 0
    pipeline.read_spool(feed, epoch, math.inf, final=True)
    counts = Counts()
    for batch in models.Batch.objects.filter(feed=feed, pk__gt=last).prefetch_related("rejects"):
        rejects = [feeds.Rejected(one.line_id, one.at, one.reason, one.raw) for one in batch.rejects.all()]
        counts.add(Counts(batch.read, batch.rows, batch.halves, batch.repeated, rejects))
    _complete(capture, feed)
    return counts


def _once(feed: Feed, epoch: int, content: Any, save: Any) -> Counts:
    """Save this content, unless the very same was saved before."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    if feed.cursor.get("sha256") == digest:
        return Counts()
    began, now = time.monotonic(), timezone.now()
    with transaction.atomic():
        counts: Counts = save()
        feeds.save_batch(feed, counts, now, time.monotonic() - began, "capture")
        state = feed.state if feed.state == Feed.State.CLOSED else Feed.State.OK
        leases.commit_cursor(feed.pk, epoch, LEASE_S, cursor={"sha256": digest}, state=state, last_ok_at=now)
    return counts


def _icontrol(capture: Capture, feed: Feed) -> Counts:
    assert feed.device is not None
    Feed.objects.filter(pk=feed.pk).update(last_row_at=capture.end)
    _complete(capture, feed)
    return snapshot_feed.save(feed.device, capture.icontrol, capture.end)


def _airflow_side(capture: Capture, feed: Feed) -> Counts:
    """All that Airflow told: first what was seen while it happened, then the lists as they were at the end."""
    instance, counts = feed.airflow, Counts()
    assert instance is not None
    seen = ((times.instant(str(one.get("at"))) or capture.end, one.get("ti") or {}) for one in capture.seen)
    counts.add(airflow.save_seen(instance, seen))
    for file, kind in AIRFLOW_LISTS.items():
        items = capture.airflow.get(file)
        if items:
            counts.add(airflow.save(instance, kind, [items] if isinstance(items, dict) else items, capture.end))
    counts.add(airflow.save(instance, "task_logs", capture.task_logs, capture.end))
    # A capture answers no questions later.
    unanswered = Try.objects.filter(airflow=instance)
    unanswered.filter(log_state=Try.LogState.WANTED).update(log_state=Try.LogState.ABSENT)
    unanswered.filter(history_wanted=True).update(history_wanted=False)
    _complete(capture, feed)
    return counts


def _complete(capture: Capture, feed: Feed) -> None:
    """Between which instants the capture says that nothing of this feed is missing."""
    side = "airflow" if feed.kind == Feed.Kind.AIRFLOW_CAPTURE else "f5"
    said = (capture.meta.get("feeds") or {}).get(side) or {}
    Feed.objects.filter(pk=feed.pk, state=Feed.State.NEW).update(state=Feed.State.OK)
    Feed.objects.filter(pk=feed.pk).update(
        complete_from=_moment(said.get("complete_from")) or capture.start,
        complete_to=_moment(said.get("complete_to")) or capture.end,
    )


def _moment(value: Any) -> datetime | None:
    return times.instant(value) if isinstance(value, str) else None


def _close(capture: Capture, feed: Feed) -> None:
    """Nothing more will come: what still waits for its other half becomes a row, and the tries are judged with it."""
    with transaction.atomic():
        Feed.objects.filter(pk=feed.pk).update(state=Feed.State.CLOSED, message="", position_lag=0)
        if feed.kind == Feed.Kind.F5_REQUEST and requests.expire_halves(feed, capture.end, close=True):
            failed = Try.objects.filter(airflow__feeds__capture=feed.capture, state="failed")
            Try.objects.filter(pk__in=failed.values("pk")).update(judge=True)


def _judge(instance: models.Airflow) -> None:
    while judging.pending([instance.pk]):
        if not pipeline.correlate(timezone.now()):
            time.sleep(0.1)  # another worker is at it
