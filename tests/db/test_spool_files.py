"""The spool does not grow for ever, and nothing unread, of another place or of another time is removed."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from ingest import spool_files
from ingest.models import Feed, SpoolFile

OLD = timedelta(days=8)


@pytest.fixture
def feed(settings: Any, tmp_path: Path) -> Feed:
    settings.AIRF5_SPOOL_DIR = tmp_path / "spool"
    (tmp_path / "spool").mkdir()
    return Feed.objects.create(kind=Feed.Kind.F5_LTM, name="lb1/ltm")


def a_file(feed: Feed, path: Path, now: datetime, age: timedelta = OLD, unread: int = 0, **known: Any) -> Path:
    path.write_bytes(b"0123456789\n")
    os.utime(path, ((now - age).timestamp(),) * 2)
    about = {"inode": path.stat().st_ino, "offset": 11 - unread, "size": 11, **known}
    row = SpoolFile.objects.create(feed=feed, path=str(path), fingerprint=path.name, **about)
    SpoolFile.objects.filter(pk=row.pk).update(first_seen_at=now - age)
    return path


def test_what_is_read_and_old_is_removed_and_nothing_else(feed: Feed, tmp_path: Path) -> None:
    now, spool = timezone.now(), tmp_path / "spool"
    gone = a_file(feed, spool / "read.log", now)
    packed = a_file(feed, spool / "packed.log.gz", now, offset=500, finished=True)
    kept = [
        a_file(feed, spool / "unread.log", now, unread=3),
        a_file(feed, spool / "young.log", now, timedelta(days=6)),
        a_file(feed, spool / "half-packed.log.gz", now, offset=500),
        a_file(feed, spool / "another.log", now, inode=1),
        a_file(feed, tmp_path / "elsewhere.log", now),
    ]
    written = a_file(feed, spool / "written.log", now)
    os.utime(written)
    missing = a_file(feed, spool / "missing.log", now)
    missing.unlink()
    assert spool_files.expire(now) == 2
    assert not gone.exists() and not packed.exists()
    assert all(path.exists() for path in [*kept, written])
    names = {Path(path).name for path in SpoolFile.objects.values_list("path", flat=True)}
    assert names == {path.name for path in [*kept, written]}


def test_a_capture_keeps_its_files(feed: Feed, tmp_path: Path) -> None:
    Feed.objects.update(capture="lab1")
    path = a_file(feed, tmp_path / "spool" / "read.log", timezone.now())
    assert spool_files.expire(timezone.now()) == 0 and path.exists()
