"""One feed with all that is known of it: its ledger, how it speaks, how it was recounted, clocks, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum

from dashboards.filters import Filter
from dashboards.queries import freshness, sources
from dashboards.queries.database import reading
from dashboards.queries.sources import RejectGroup
from dashboards.queries.watermark import FeedRow, GapRow
from ingest import models
from ingest.completeness.intervals import Lack, Part, Span, ledger, share

MOST = 200
RATE_WEEKS = 4


@dataclass(frozen=True, slots=True)
class PartRow:
    """A stretch of a feed's time: before (it began), complete, missing, thin (a few are missing), coming."""

    start: datetime
    end: datetime
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The time range of one feed, in parts that are complete, missing, thin, coming or before it began."""

    feed: FeedRow
    parts: tuple[Part, ...] | tuple[PartRow, ...]
    share: float | None  # of what should be there, how much is

    @property
    def missing_s(self) -> float:
        return sum((part.end - part.start).total_seconds() for part in self.parts if part.state == "missing")


@dataclass(frozen=True, slots=True)
class RecountRow:
    start: datetime
    end: datetime
    counted: int  # by the other side
    stored: int
    slack: int  # as many may lie on either side of the ends
    by: str

    @property
    def agrees(self) -> bool:
        return self.counted <= self.stored + self.slack


@dataclass(frozen=True, slots=True)
class SkewRow:
    """One clock against another: the newest measurement of each method."""

    worker: str  # "": the device against us; else the device against this worker
    method: str
    method_words: str
    at: datetime
    offset_ms: float
    uncertainty_ms: float
    samples: int


@dataclass(frozen=True, slots=True)
class FileRow:
    path: str
    offset: int
    size: int
    finished: bool


@dataclass(frozen=True, slots=True)
class SourcePage:
    row: FeedRow
    parts: tuple[PartRow, ...]
    share: float | None
    gaps: tuple[GapRow, ...]
    rejects: tuple[RejectGroup, ...]
    recounts: tuple[RecountRow, ...]
    skews: tuple[SkewRow, ...]
    skew_ms: float | None  # what joins use, device minus us
    skew_uncertainty_ms: float | None
    files: tuple[FileRow, ...]
    last_hour: int  # lines
    usual_hour: float | None  # lines, at this hour of the week, before
    longest_silence_s: float | None  # that ended by itself, in the last day
    footprint: dict[str, Any]
    last_heard_at: datetime | None


@reading()
def ribbons(asked: Filter, rows: Iterable[FeedRow], now: datetime) -> list[Ribbon]:
    """The ledger of each feed over the time asked for, up to now."""
    rows = list(rows)
    end = min(asked.end, now)
    if end <= asked.start:
        return [Ribbon(row, (), None) for row in rows]
    window = Span(asked.start, end)
    lacks: dict[int, list[Lack]] = {}
    found = sources.chosen_gaps(asked.with_(sort="")).filter(feed__in=[row.id for row in rows]).select_related("feed")
    for gap in found.order_by("start", "id")[: MOST * 10]:
        shown = freshness.gap_row(gap)
        lacks.setdefault(gap.feed_id, []).append(Lack(gap.start, gap.end, words(shown), shown.thin))
    return [_ribbon(row, window, lacks.get(row.id, [])) for row in rows]


def _ribbon(row: FeedRow, window: Span, lacks: Sequence[Lack]) -> Ribbon:
    parts = ledger(window, row.complete_from, row.complete_to, lacks)
    if row.behind_s is None and parts and parts[-1].state == "coming" and row.complete_to:
        parts[-1] = parts[-1]._replace(state="before", why="after the feed ended")
    return Ribbon(row, tuple(parts), share(parts))


def words(gap: GapRow) -> str:
    """Why, and how many."""
    many = f", {gap.missing:,} missing" if gap.missing is not None else ""
    of = f" of {gap.expected:,}" if many and gap.expected else ""
    return f"{gap.kind_words}: {gap.reason}{many}{of}"


@reading()
def one(ident: int, asked: Filter, now: datetime) -> SourcePage | None:
    feed = models.Feed.objects.select_related("airflow", "device__group").filter(pk=ident).first()
    if feed is None:
        return None
    asked = asked.with_(feed=feed.name)
    rows = [row for row in freshness.freshness(now, asked, [feed.capture]).feeds if row.id == ident]
    ribbon = ribbons(asked, rows, now)[0]
    gaps = sources.chosen_gaps(asked).select_related("feed").order_by("-start", "-id")[:MOST]
    recounts = models.Recount.objects.filter(feed=feed, end__gt=asked.start, start__lt=asked.end).order_by("-start")
    device = feed.device
    heard = feed.cursor.get("received_to")
    return SourcePage(
        row=rows[0], parts=tuple(PartRow(*part) for part in ribbon.parts), share=ribbon.share,
        gaps=tuple(map(freshness.gap_row, gaps)),
        rejects=tuple(sources.reject_groups([ident])),
        recounts=tuple(RecountRow(r.start, r.end, r.counted, r.stored, r.slack, r.by) for r in recounts[:MOST]),
        skews=tuple(skews(feed)), skew_ms=_ms(device.skew_us if device else None),
        skew_uncertainty_ms=_ms(device.skew_error_us if device else None),
        files=tuple(
            FileRow(f.path, f.offset, f.size, f.finished)
            for f in models.SpoolFile.objects.filter(feed=feed).order_by("-pk")[:20]
        ),
        last_hour=_lines(feed, now - timedelta(hours=1), now), usual_hour=_usual_lines(feed, now),
        longest_silence_s=_longest(feed, now), footprint=feed.footprint,
        last_heard_at=datetime.fromisoformat(heard) if heard else None,
    )  # fmt: skip


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


@reading()
def skews(feed: Any) -> list[SkewRow]:
    """The newest measurement of each clock and method."""
    side = {"device": feed.device_id} if feed.device_id else {"airflow": feed.airflow_id}
    found = models.SkewSample.objects.filter(**side).order_by("worker", "method", "-at").distinct("worker", "method")
    return [
        SkewRow(s.worker, s.method, s.get_method_display(), s.at, s.offset_ms, s.uncertainty_ms, s.samples)
        for s in found
    ]


def _lines(feed: Any, start: datetime, end: datetime) -> int:
    found = models.Batch.objects.filter(feed=feed, at__gte=start, at__lt=end).aggregate(n=Sum("read"))
    return found["n"] or 0


def _usual_lines(feed: Any, now: datetime) -> float | None:
    """Lines of the hour that ended a week ago and before, at this time of the week."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    starts = [hour - timedelta(weeks=n) for n in range(1, RATE_WEEKS + 1)]
    lines = list(models.FeedHour.objects.filter(feed=feed, start__in=starts).values_list("lines", flat=True))
    return sum(lines) / len(lines) if lines else None


def _longest(feed: Any, now: datetime) -> float | None:
    hours = models.FeedHour.objects.filter(feed=feed, start__gte=now - timedelta(days=1))
    return max(hours.values_list("longest_s", flat=True), default=None)
