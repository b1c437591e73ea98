"""The gap ledger: what each feed is known to lack, written by whoever learns of it, in that one's transaction.

A gap is opened when a feed is silent beyond chance, when nobody received, when a snapshot cannot be read; it is closed
by the next word. What was known of a try in that time is judged again: a verdict must not rest on what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Count, F, Q, Sum

from airf5.sql import load
from ingest import partitions
from ingest.completeness import usual
from ingest.completeness.intervals import Span, without
from ingest.models import Airflow, Batch, Feed, FeedHour, Gap, Recount, Try
from ingest.parsers import times
from ingest.sources import receiver_report
from ingest.store import feeds

Kind = Gap.Kind
SETTLED, SILENT_S = usual.SETTLED, usual.LEAST_S
KEEP_HOURS = timedelta(weeks=usual.WEEKS + 1)
KEEP = timedelta(days=30)
# These tell of changes alone: nothing happened is nothing said
CALM = frozenset({Feed.Kind.F5_LTM, Feed.Kind.F5_AUDIT})
# What these lack cannot be read afterwards; an Airflow's REST API tells it all when it answers again.
LOST_WHEN_AWAY = frozenset({Feed.Kind.F5_ICONTROL, Feed.Kind.F5_REST})
TOGETHER = timedelta(seconds=30)  # losses of one kind as near as that are one gap


def note(
    feed: Feed,
    kind: str,
    start: datetime,
    end: datetime | None,
    reason: str,
    missing: int | None = None,
    expected: int | None = None,
) -> Gap:
    """Write a gap down, or write more of it; the tries in it are judged again."""
    gap, created = Gap.objects.update_or_create(
        feed=feed,
        start=start,
        reason=reason[:300],
        defaults={"kind": kind, "end": end, "missing": missing, "expected": expected},
    )
    if created:
        judge_again(feed, start, end)
    return gap


def open_gap(feed: Feed, kind: str, start: datetime, reason: str) -> bool:
    """A gap that lasts, once; True when it is new."""
    if Gap.objects.filter(feed=feed, kind=kind, end=None).exists():
        return False
    note(feed, kind, start, None, reason)
    return True


def close_gap(feed: Feed, kinds: Iterable[str], end: datetime) -> int:
    """The open gaps of these kinds end here; how many."""
    found = list(Gap.objects.filter(feed=feed, kind__in=list(kinds), end=None))
    for gap in found:
        if end <= gap.start:
            gap.delete()
        else:
            Gap.objects.filter(pk=gap.pk).update(end=end)
        judge_again(feed, gap.start, end)
    return len(found)


def disprove(feed: Feed, span: Span, kinds: Iterable[str] = (Kind.SILENT,)) -> None:
    """Cut an interval out of such gaps: it is known by now that nothing is missing of it."""
    for gap in Gap.objects.filter(feed=feed, kind__in=list(kinds), start__lt=span.end).exclude(end__lte=span.start):
        left = without(Span(gap.start, gap.end or datetime.max.replace(tzinfo=UTC)), [span])
        judge_again(feed, max(gap.start, span.start), min(gap.end or span.end, span.end))
        gap.delete()
        for start, end in left:
            lasts = gap.end is None and end.year == datetime.max.year
            note(feed, gap.kind, start, None if lasts else end, gap.reason)


def judge_again(feed: Feed, start: datetime, end: datetime | None) -> None:
    """What was said of the tries in this time may not stand any more."""
    if feed.kind not in (Feed.Kind.F5_REQUEST, Feed.Kind.F5_TELEMETRY) or feed.capture:
        return
    live = Airflow.objects.filter(feeds__capture="").values("pk")
    found = Try.objects.filter(airflow__in=live, end_at__gte=start, verdict__isnull=False)
    if end is not None:
        found = found.filter(Q(queued_at__lte=end) | Q(queued_at=None, start_at__lte=end))
    Try.objects.filter(pk__in=found.values("pk")).update(judge=True)


# What a spool feed hears


def heard(feed: Feed, lines: Sequence[tuple[int, bytes]], now: datetime) -> None:
    """Lines were stored: count them by the hour, end a silence, and note one that went by while nobody looked.

    Call it before the feed's `received_to` moves on.
    """
    first, last = _received(lines[0][1]) or now, _received(lines[-1][1]) or now
    before = received_to(feed)
    close_gap(feed, (Kind.SILENT,), first)
    silences = [Span(before, first)] if before and before < first else []
    silences += _inside(lines) if (last - first).total_seconds() > SILENT_S else []
    longest = {_hour(one.start): one.seconds for one in sorted(silences, key=lambda one: one.seconds)}
    for one in silences:
        if one.seconds > SILENT_S and not _is_usual(feed, one):
            longest.pop(_hour(one.start), None)
    arrived = max(first, last)
    _count(
        feed, {_hour(arrived): (len(lines), 1), **{hour: (0, 0) for hour in longest if hour != _hour(arrived)}}, longest
    )


def _count(feed: Feed, came: dict[datetime, tuple[int, int]], longest: dict[datetime, float]) -> None:
    rows = sorted((hour, lines, arrivals, longest.get(hour, 0.0)) for hour, (lines, arrivals) in came.items())
    parameters = {
        "feed": feed.pk,
        "starts": [row[0] for row in rows],
        "lines": [row[1] for row in rows],
        "arrivals": [row[2] for row in rows],
        "longest": [row[3] for row in rows],
    }
    with connection.cursor() as cursor:
        cursor.execute(load("add_hours"), parameters)


def _is_usual(feed: Feed, silence: Span) -> bool:
    """Whether a silence that is over was within what is usual; noted as a gap where it was not."""
    if Gap.objects.filter(
        feed=feed, kind__in=(Kind.SILENT, Kind.RECEIVER), start__lt=silence.end, end__gt=silence.start
    ).exists():
        return False
    if stands_by(feed, silence):
        return False
    reached = usual.reach(silence.start, silence.end, None, quiet_to(feed), hours_of(feed), feed.kind in CALM)
    if reached.silent_since is None:
        return True
    note(feed, Kind.SILENT, reached.silent_since, silence.end, reached.words)
    return False


def stands_by(feed: Feed, silence: Span) -> bool:
    """Whether the device had nothing to log, because another unit of its pair did the work.

    The device's own word counts (iControl REST tells it); without one, that another unit spoke meanwhile.
    """
    device = feed.device
    if device is None:
        return False
    if device.failover:
        return "active" not in device.failover
    spoke = FeedHour.objects.filter(
        feed__device__group=device.group_id, feed__kind=feed.kind, feed__capture="", arrivals__gt=0,
        start__gte=_hour(silence.start), start__lt=silence.end,
    )  # fmt: skip
    return spoke.exclude(feed__device=device).exists()


def received_to(feed: Feed) -> datetime | None:
    """When the last stored line was received."""
    said = feed.cursor.get("received_to")
    return datetime.fromisoformat(said) if said else None


def hours_of(feed: Feed) -> list[usual.Hour]:
    rows = FeedHour.objects.filter(feed=feed).order_by("start").values_list("start", "arrivals", "longest_s")
    return [usual.Hour(*row) for row in rows]


def quiet_to(feed: Feed) -> datetime | None:
    """Until when the other side's counters agree that nothing is missing, without a break up to the newest recount."""
    newest = Recount.objects.filter(feed=feed).order_by("-end").first()
    return newest.end if newest is not None and newest.counted <= newest.stored + newest.slack else None


def _received(raw: bytes) -> datetime | None:
    stamp = raw[:40].partition(b" ")[0]
    return times.instant(stamp.decode("ascii", "replace")) if stamp[:1].isdigit() else None


def _inside(lines: Sequence[tuple[int, bytes]]) -> list[Span]:
    """Silences of some minutes between the lines of one chunk, told by the minute in which each was received."""
    out, before = [], lines[0][1]
    for _, raw in lines:
        if raw[:16] != before[:16]:
            earlier, later = _received(before), _received(raw)
            if earlier and later and (later - earlier).total_seconds() > SILENT_S:
                out.append(Span(earlier, later))
        before = raw
    return out


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


# At the end of what there is to read


def at_the_end(feed: Feed, globs: Sequence[str], now: datetime) -> tuple[datetime | None, str, bool]:
    """All is read that is there: how far the feed is complete, what to say of it, and whether that is well."""
    beat = receiver_report.read(globs)
    last = received_to(feed)
    feed.cursor = {**feed.cursor, "looked_at": now.isoformat()}
    if beat is not None:
        note_losses(feed, beat)
    if last is None:
        return None, "", True
    away = beat is not None and beat.is_away(now)
    if beat is not None and away and beat.at > last - SETTLED:  # else somebody else writes the files
        open_gap(feed, Kind.RECEIVER, max(beat.at, last), REASONS[Kind.RECEIVER])
        return max(beat.at, last), f"No receiver runs since {_said(beat.at)}.", False
    if beat is not None and not away:
        close_gap(feed, (Kind.RECEIVER,), beat.at)
    if (now - last).total_seconds() <= SILENT_S:
        return max(last, now - SETTLED), "", True
    if stands_by(feed, Span(last, now)):
        close_gap(feed, (Kind.SILENT,), last)
        return now - SETTLED, f"Nothing was received since {_said(last)}: another unit of its pair does the work.", True
    connected = beat.at if beat and not away and beat.is_connected(feed.kind) else None
    reached = usual.reach(last, now, connected, quiet_to(feed), hours_of(feed), feed.kind in CALM)
    if reached.silent_since is not None:
        open_gap(feed, Kind.SILENT, reached.silent_since, reached.words)
    else:  # one that was open is disproved: by the device's counters, or by what is usual at another hour
        close_gap(feed, (Kind.SILENT,), last)
    words = f"Nothing was received since {_said(last)}: {reached.words}."
    return reached.upto, words, reached.sure and reached.silent_since is None


def lacks_from(feed: Feed) -> datetime | None:
    """From when on a spool feed lacks everything, if it does now."""
    lasting = Gap.objects.filter(feed=feed, kind__in=(Kind.SILENT, Kind.RECEIVER), end=None)
    return lasting.order_by("start").values_list("start", flat=True).first()


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def note_losses(feed: Feed, beat: receiver_report.Beat) -> None:
    """What the receiver wrote down as lost for this feed since the last look; the caller's transaction moves on."""
    seen = int(feed.cursor.get("losses") or 0)
    losses, offset = beat.losses(seen)
    for loss in losses:
        if beat.concerns(loss):
            _note_loss(feed, loss)
    if offset != seen:
        feed.cursor = {**feed.cursor, "losses": offset}


REASONS = {
    Kind.UDP: "the kernel dropped UDP datagrams, because the receiver did not read in time",
    Kind.DROPPED: "the receiver dropped messages, because the disk took nothing",
    Kind.RECEIVER: "no receiver ran",
}


def _note_loss(feed: Feed, loss: receiver_report.Loss) -> None:
    if loss.kind == Kind.RECEIVER:
        # One that was opened while it lasted is known better now
        same = Gap.objects.filter(feed=feed, kind=Kind.RECEIVER, end=None, start__lte=loss.end)
        if same.update(end=loss.end):
            judge_again(feed, loss.start, loss.end)
        else:
            note(feed, Kind.RECEIVER, loss.start, loss.end, REASONS[Kind.RECEIVER])
        return
    near = Gap.objects.filter(feed=feed, kind=loss.kind, end__gte=loss.start - TOGETHER, start__lte=loss.start).first()
    if near is None:
        note(feed, loss.kind, loss.start, loss.end, REASONS[Kind(loss.kind)], loss.count, loss.expected)
    elif near.end is not None and near.end < loss.end:
        sums = {"missing": F("missing") + loss.count, "expected": F("expected") + (loss.expected or 0)}
        Gap.objects.filter(pk=near.pk).update(end=loss.end, **sums)
        judge_again(feed, loss.start, loss.end)


# Sources that are asked


def unreachable(feed: Feed, sentence: str, now: datetime) -> None:
    """A source did not answer: a gap only where what it would have told cannot be read afterwards."""
    if feed.kind in LOST_WHEN_AWAY:
        open_gap(feed, Kind.UNREACHABLE, feed.last_ok_at or now, f"could not be reached: {sentence}")


def reached(feed: Feed, now: datetime) -> None:
    """A source answered again."""
    if feed.kind in LOST_WHEN_AWAY:
        close_gap(feed, (Kind.UNREACHABLE,), now)


# Rejects


def note_rejects(feed: Feed, batch: Batch, rejects: Sequence[feeds.Rejected]) -> None:
    """Lines that came and could not be used are missing like others, until they are read again."""
    if not rejects or feed.capture:
        return
    start, end = min(one.at for one in rejects), max(one.at for one in rejects) + timedelta(milliseconds=1)
    # Of a trickle each look brings a line or two: how much is missing shows in an hour
    recent = FeedHour.objects.filter(feed=feed, start__gt=batch.at - timedelta(hours=2)).aggregate(lines=Sum("lines"))
    expected = max(batch.read, recent["lines"] or 0)
    gap = note(feed, Kind.REJECTS, start, end, reason_of(rejects), len(rejects), expected)
    Gap.objects.filter(pk=gap.pk).update(batch=batch)


def reason_of(rejects: Sequence[feeds.Rejected]) -> str:
    """The commonest reason, and that there are others."""
    reasons: dict[str, int] = {}
    for one in rejects:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    first = max(reasons, key=lambda reason: (reasons[reason], reason))
    others = f" and {len(reasons) - 1} other reasons" if len(reasons) > 2 else " and another reason"
    return f"could not be read: {first[:200]}{others if len(reasons) > 1 else ''}"


def recount_rejects(batch_ids: Iterable[int]) -> None:
    """Rejects of these batches were read after all: their gaps shrink or go."""
    for gap in Gap.objects.filter(batch__in=list(batch_ids)).annotate(left=Count("batch__rejects")):
        judge_again(gap.feed, gap.start, gap.end)
        if gap.left:
            Gap.objects.filter(pk=gap.pk).update(missing=gap.left)
        else:
            gap.delete()


def expire(now: datetime) -> None:
    """What is older than the facts it is about."""
    FeedHour.objects.filter(start__lt=now - KEEP_HOURS).delete()
    Recount.objects.filter(end__lt=now - KEEP).delete()
    Gap.objects.filter(end__lt=now - partitions.retention("audit"), feed__capture="").delete()
