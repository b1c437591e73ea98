"""The doctor on what is read: each live feed's state, freshness, gaps, rejects, template and clock, and unread senders."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Count, Sum

from ingest import actions
from ingest.doctor.findings import FAIL, OK, WARN, Finding
from ingest.models import Batch, Device, Feed, Gap, Reject, SkewSample
from ingest.setup import templates
from ingest.store.feeds import spool_globs

BEHIND = timedelta(minutes=2)
LOOK_BACK = timedelta(hours=24)
SKEWED_MS = 2_000
MANY, MOST = 0.01, 0.5  # shares of lines that are rejected: worth a look, and the form is not understood
SPOOLED = frozenset({*actions.SPOOLED, Feed.Kind.F5_TELEMETRY})
# These speak seldom by nature: that nothing came is no sign by itself.
SELDOM = frozenset({Feed.Kind.F5_LTM, Feed.Kind.F5_AUDIT})


def live() -> list[Feed]:
    """The feeds that are read, with what they belong to."""
    found = Feed.objects.filter(capture="").exclude(state=Feed.State.CLOSED)
    return list(found.select_related("airflow", "device__group").order_by("name"))


def feeds_are_fresh(now: datetime) -> Iterator[Finding]:
    """Every feed: does it read, how far is it, what does it lack."""
    found = live()
    if not found:
        yield Finding(
            FAIL, "sources", "There is none: airf5 reads nothing.",
            "Add an Airflow and a device under /settings/sources/, or by `manage.py sources FILE` (docs/sources.md).",
        )  # fmt: skip
    for feed in found:
        if not feed.enabled:
            yield Finding(
                OK, feed.name, "It is stopped by hand.", "Start it under /settings/sources/ when it is wanted."
            )
            continue
        yield from of_feed(feed, now)


def of_feed(feed: Feed, now: datetime) -> Iterator[Finding]:
    """The state of one feed, its gaps and its rejects."""
    yield from _state(feed, now)
    for gap in Gap.objects.filter(feed=feed, end=None):
        yield Finding(
            WARN, feed.name, f"Known to be incomplete since {gap.start:%Y-%m-%d %H:%M:%S} UTC: {gap.reason}",
            "No verdict rests on that time. See /sources/ for what is missing.",
        )  # fmt: skip
    yield from _rejects(feed, now)


def _state(feed: Feed, now: datetime) -> Iterator[Finding]:
    if feed.state in (Feed.State.DOWN, Feed.State.REFUSED):
        until = f" It is asked again at {feed.next_at:%H:%M:%S} UTC." if feed.next_at else ""
        yield Finding(
            FAIL, feed.name, feed.message or f"It {feed.get_state_display()}.",
            f"Mend what the sentence names.{until}",
        )  # fmt: skip
    elif feed.kind in SPOOLED and not arrived(feed):
        yield from _nothing_came(feed)
    elif feed.last_ok_at is None and feed.complete_to is None:
        yield Finding(WARN, feed.name, "It was never read.", "See that a worker runs, and wait some seconds.")
    elif feed.complete_to is not None and now - feed.complete_to > BEHIND:
        why = feed.message or "nothing newer was received or read"
        yield Finding(
            WARN, feed.name, f"It is {_words(now - feed.complete_to)} behind: {why}",
            "If it sends no more, see the device's log profile or syslog; if much waits, start another worker.",
        )  # fmt: skip
    else:
        yield Finding(
            OK,
            feed.name,
            f"It is read, complete to {feed.complete_to:%H:%M:%S} UTC." if feed.complete_to else "It is read.",
        )


def arrived(feed: Feed) -> bool:
    """Whether the receiver has written anything for this feed."""
    return feed.files.exists() or any(glob.glob(pattern) for pattern in spool_globs(feed))


def _nothing_came(feed: Feed) -> Iterator[Finding]:
    if feed.kind == Feed.Kind.F5_TELEMETRY:
        source = feed.device.name if feed.device else feed.name
        yield Finding(
            FAIL, feed.name, "No batch was ever pushed.",
            f"Let the device push to /ingest/telemetry/{source} with a token of `manage.py telemetry-token {source}` "
            "(docs/telemetry.md), and see that the web server and the workers share AIRF5_SPOOL_DIR.",
        )  # fmt: skip
        return
    folders = ", ".join(sorted({str(Path(pattern).parent) for pattern in spool_globs(feed)})).replace("[[]", "[")
    level = WARN if feed.kind in SELDOM else FAIL
    what = feed.get_kind_display().removeprefix("F5 ")
    others = unread_folders(live()) if level == FAIL else []
    hint = f" Lines do come from {', '.join(others[:5])}: is one of them this device?" if others else ""
    yield Finding(
        level, feed.name, f"No line of the {what} has arrived: there is no such file in {folders}.{hint}",
        "Let the device send to the receiver's port (`manage.py f5config` prints how), and see that its address is the "
        "folder's name: a NAT or relay in between changes it.",
    )  # fmt: skip


def _rejects(feed: Feed, now: datetime) -> Iterator[Finding]:
    told = Batch.objects.filter(feed=feed, at__gt=now - LOOK_BACK).aggregate(read=Sum("read"), rejected=Sum("rejected"))
    read, rejected = told["read"] or 0, told["rejected"] or 0
    share = rejected / read if read else 0.0
    forms = templates.texts(feed.config.get("template"))
    form = (
        f"{len(forms)} templates of its own"
        if len(forms) > 1
        else "its own template"
        if forms
        else "a form that is known"
    )
    if share < MANY:
        if read and feed.kind == Feed.Kind.F5_REQUEST:
            yield Finding(OK, feed.name, f"Its lines are understood by {form}: {read:,} in a day, {rejected:,} not.")
        return
    reasons = Reject.objects.filter(feed=feed, at__gt=now - LOOK_BACK).values("reason").annotate(n=Count("id"))
    top = reasons.order_by("-n").first()
    why = f" Most often: {top['reason']}" if top else ""
    sentence = f"{rejected:,} of {read:,} lines of a day were not understood ({share:.0%})."
    if feed.kind == Feed.Kind.F5_REQUEST and share > MOST:
        todo = "Give the template as it is set on the device, under /settings/sources/ or as `template`."
        yield Finding(FAIL, feed.name, f"{sentence} They were read by {form}.{why}", todo)
    else:
        yield Finding(WARN, feed.name, sentence + why, "See the lines under /sources/rejects/; they are kept whole.")


def clocks_agree(now: datetime) -> Iterator[Finding]:
    """The clocks of devices against ours."""
    for device in Device.objects.filter(feeds__capture="", feeds__enabled=True).distinct().order_by("name"):
        sample = SkewSample.objects.filter(device=device, worker="", at__gt=now - LOOK_BACK).order_by("-at").first()
        if sample is None:
            continue
        words = f"{sample.offset_ms / 1000:+.1f} s ± {sample.uncertainty_ms / 1000:.1f} s from ours"
        if abs(sample.offset_ms) - sample.uncertainty_ms > SKEWED_MS:
            yield Finding(
                WARN, device.name, f"Its clock is {words}.",
                "Let it follow a time server (sys ntp). Joins take the difference into account, but less surely.",
            )  # fmt: skip
        else:
            yield Finding(OK, device.name, f"Its clock is {words}.")


def senders_are_known(now: datetime) -> Iterator[Finding]:
    """Folders below the spool that no source reads."""
    for name in unread_folders(live()):
        yield Finding(
            WARN, f"sender {name}", "It sends logs that no source reads: they lie in the spool and count for nothing.",
            f"Add a device with this sender under /settings/sources/ (or remove {Path(settings.AIRF5_SPOOL_DIR) / name}).",
        )  # fmt: skip


def unread_folders(feeds: Sequence[Feed]) -> list[str]:
    """The senders' folders below the spool that none of these feeds looks into."""
    root = Path(settings.AIRF5_SPOOL_DIR)
    read = {Path(pattern.replace("[[]", "[")).parent for feed in feeds for pattern in spool_globs(feed)}
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
    return [
        path.name
        for path in folders
        if path not in read and any(_is_log(path, stem) for stem in ("request", "ltm", "audit"))
    ]


def _is_log(folder: Path, stem: str) -> bool:
    return next(folder.glob(f"{stem}-*.log*"), None) is not None


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
