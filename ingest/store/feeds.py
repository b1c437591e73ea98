"""What each step of a feed leaves behind: its batch that adds up, its rejects, where its files stand, and its gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from ingest import models
from ingest.parsers.f5_header import clean, split_spool
from ingest.sources import spool

LONGEST_RAW = 64 << 10


class Line(NamedTuple):
    """One line of a spool file with its identity (file and offset) and when it was received."""

    line_id: int
    received_at: datetime
    text: str


class Rejected(NamedTuple):
    """A line or item that could not be used."""

    line_id: int | None
    at: datetime
    reason: str
    raw: str


@dataclass(slots=True)
class Counts:
    """What became of the lines of one step. Each is exactly one of row, half, repeated or rejected."""

    read: int = 0
    rows: int = 0
    halves: int = 0
    repeated: int = 0
    rejects: list[Rejected] = field(default_factory=list)
    newest_at: datetime | None = None

    def add(self, other: Counts) -> None:
        """Count the lines of another step too."""
        self.read += other.read
        self.rows += other.rows
        self.halves += other.halves
        self.repeated += other.repeated
        self.rejects += other.rejects
        self.newest_at = max(filter(None, (self.newest_at, other.newest_at)), default=None)


def line_id(file_id: int, offset: int) -> int:
    """The identity of a line: which file, and where in it."""
    return file_id << 40 | offset


def as_line(file_id: int, offset: int, raw: bytes, otherwise: datetime) -> Line:
    """A line as text; one without a time of receipt counts as received `otherwise`. No byte is dropped unseen."""
    text = clean(raw.decode("utf-8", "backslashreplace"))
    spooled = split_spool(text)
    return Line(line_id(file_id, offset), spooled.received if spooled else otherwise, text)


def save_batch(
    feed: models.Feed,
    counts: Counts,
    at: datetime,
    seconds: float = 0.0,
    source: str = "",
    span: tuple[int, int] = (0, 0),
) -> models.Batch:
    """The batch and the rejects of one step."""
    batch = models.Batch.objects.create(
        feed=feed,
        at=at,
        seconds=round(seconds, 6),
        source=source[-300:],
        from_position=span[0],
        to_position=span[1],
        read=counts.read,
        rows=counts.rows,
        halves=counts.halves,
        repeated=counts.repeated,
        rejected=len(counts.rejects),
    )
    save_rejects(feed, batch, counts.rejects)
    return batch


def save_rejects(feed: models.Feed, batch: models.Batch | None, rejects: Iterable[Rejected]) -> None:
    """Keep each rejected line, whole up to a sane length (its line id finds the rest)."""
    models.Reject.objects.bulk_create(
        models.Reject(
            feed=feed,
            batch=batch,
            at=one.at,
            line_id=one.line_id,
            reason=one.reason[:300],
            raw=one.raw.replace("\x00", "\\0")[:LONGEST_RAW],
        )
        for one in rejects
    )


def known_files(feed: models.Feed) -> list[spool.File]:
    """The files of this feed as they were when last looked into."""
    rows = models.SpoolFile.objects.filter(feed=feed)
    return [
        spool.File(row.path, row.fingerprint, row.inode, row.offset, row.size, row.finished, row.tail)
        for row in rows.iterator()
    ]


def file_id(feed: models.Feed, file: spool.File) -> int:
    """The id of this file, made on first sight."""
    row, _ = models.SpoolFile.objects.get_or_create(
        feed=feed,
        fingerprint=file.fingerprint,
        defaults={"path": file.path, "inode": file.inode, "size": file.size},
    )
    return int(row.pk)


def save_file(feed: models.Feed, file: spool.File) -> None:
    """Where the file stands; the caller's transaction holds the rows that were read from it."""
    models.SpoolFile.objects.filter(feed=feed, fingerprint=file.fingerprint).update(
        path=file.path,
        inode=file.inode,
        offset=file.offset,
        size=file.size,
        finished=file.finished,
        tail=file.tail,
    )


def note_gap(feed: models.Feed, start: datetime, end: datetime | None, reason: str, missing: int | None = None) -> None:
    """An interval in which the device says itself that it held messages of this feed back."""
    models.Gap.objects.update_or_create(
        feed=feed,
        start=start,
        reason=reason[:300],
        defaults={"kind": models.Gap.Kind.THROTTLED, "end": end, "missing": missing},
    )


ALONE_NEAR, ALONE_AROUND = timedelta(minutes=5), timedelta(minutes=1)
ALONE = "answers came whose question did not: lines are lost between the device and us"


def note_alone(feed: models.Feed, asked: Iterable[datetime]) -> None:
    """Requests were asked at these times of which the answer came alone: each proves that a line was lost.

    Those of before the log began are no proof. What is near a known gap of this kind is added to it.
    """
    times = sorted(asked)
    if not times:
        return
    spans: list[tuple[datetime, datetime, int]] = []
    begins = models.Feed.objects.values_list("complete_from", flat=True).get(pk=feed.pk)
    for at in (at for at in times if begins is None or at >= begins):
        if spans and at - spans[-1][1] <= ALONE_NEAR:
            spans[-1] = (spans[-1][0], at, spans[-1][2] + 1)
        else:
            spans.append((at, at, 1))
    mine = models.Gap.objects.filter(feed=feed, kind=models.Gap.Kind.HALVES)
    for first, last, number in spans:
        start, end = first - ALONE_AROUND, last + ALONE_AROUND
        known = mine.filter(start__lte=end + ALONE_NEAR, end__gte=start - ALONE_NEAR).order_by("start").first()
        if known is None:
            mine.create(feed=feed, kind=models.Gap.Kind.HALVES, start=start, end=end, reason=ALONE, missing=number)
        else:
            wider = {"start": min(known.start, start), "end": max(known.end or end, end)}
            mine.filter(pk=known.pk).update(missing=(known.missing or 0) + number, **wider)


def spool_globs(feed: models.Feed) -> Sequence[str]:
    """The file patterns of a spool feed."""
    patterns = feed.config.get("glob") or []
    return [patterns] if isinstance(patterns, str) else list(patterns)


def outside(at: datetime | None, oldest: datetime | None, newest: datetime | None) -> str:
    """Why a line of this time is not stored; "" where it is: no line may create or need a day that is not kept."""
    return said_outside(at) if at and ((oldest and at < oldest) or (newest and at > newest)) else ""


def said_outside(at: datetime) -> str:
    return f"its time, {at:%Y-%m-%d %H:%M:%S}, is outside of what is kept"
