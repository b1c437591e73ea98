"""Numbers, times and names as a person reads them: one way for pages, plots and titles (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

NBSP = "\u00a0"
TIMES = "\u00d7"
_RUN = re.compile(r"^(?P<kind>[a-z_]+?)__(?P<date>\d{4}-\d\d-\d\d)T(?P<time>\d\d:\d\d:\d\d)")
_PLAIN_WORD = re.compile(r"[a-z]+(['\u2019][a-z]+)?(?=[ ,;]|$)")

CULPRIT_WORDS = {
    "route": "the F5 route",
    "service": "the service behind it",
    "task": "the task itself",
    "unknown": "not decided",
}
LINK_WORDS = {
    "uuid": "try id in the URI",
    "header": "task header",
    "run_and_time": "run and time",
    "client_and_endpoint": "client and endpoint",
    "time_and_endpoint": "time and endpoint",
    "none": "not joined",
}
EXACT = ("uuid", "header")


def clock(at: datetime, digits: int = 0) -> str:
    """09:36:34, with `digits` of the fraction 09:36:34.044."""
    text = at.astimezone(UTC).strftime("%H:%M:%S.%f")
    return text[: 9 + digits] if digits else text[:8]


def day(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%-d %b %Y")


def tick(at: datetime) -> str:
    """The label of an axis: the day at midnight, HH:MM on a whole minute, else HH:MM:SS."""
    at = at.astimezone(UTC)
    if not at.second and not at.microsecond:
        return at.strftime("%-d %b") if at.hour == at.minute == 0 else at.strftime("%H:%M")
    return at.strftime("%H:%M:%S")


def dur(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 0:
        return "-" + dur(-seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f}{NBSP}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}{NBSP}s"
    if seconds < 99.5:
        return f"{seconds:.0f}{NBSP}s"
    return _long(int(seconds + 0.5))


def _long(whole: int) -> str:
    if whole < 3600:
        return f"{whole // 60}{NBSP}min{NBSP}{whole % 60}{NBSP}s"
    if whole < 86_400:
        return f"{whole // 3600}{NBSP}h{NBSP}{whole % 3600 // 60}{NBSP}min"
    return f"{whole // 86_400}{NBSP}d{NBSP}{whole % 86_400 // 3600}{NBSP}h"


def latency(us: float | None) -> str:
    """A latency is always in milliseconds, so that two of them can be compared at a glance."""
    return "" if us is None else f"{round(us / 1000):,}{NBSP}ms"


def times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}{TIMES}"


def many(count: int, one: str, more: str = "") -> str:
    return f"{count:,}{NBSP}{one if count == 1 else more or one + 's'}"


def became(messages: int, incidents: int = 1) -> str:
    """'41 messages became 1': what Airflow and F5 would have sent, against what is told here. Empty where it saved none."""
    return f"{many(messages, 'message')} became {incidents:,}" if messages > incidents else ""


def listed(items: Iterable[str], most: int = 5) -> str:
    """'a, b and c'; beyond `most` 'a, b, c and 4 more'."""
    names = list(items)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""


def short(path: str) -> str:
    """The last part of a BIG-IP's full path: /Common/vs_orders is vs_orders."""
    return path.rsplit("/", 1)[-1] or path


def shorten(text: str, head: int = 8, tail: int = 12) -> str:
    """Long ids differ at both ends, so the middle goes."""
    return text if len(text) <= head + tail + 3 else f"{text[:head]}…{text[-tail:]}"


def run_name(run_id: str, today: datetime | None = None) -> str:
    """Run ids differ only at their end: kind and time, with the date if it is another day than `today`."""
    found = _RUN.match(run_id)
    if not found:
        return shorten(run_id, 12, 14)
    date = found["date"]
    same = today is not None and today.astimezone(UTC).strftime("%Y-%m-%d") == date
    return f"{found['kind']} {'' if same else date + ' '}{found['time']}"


def unprefixed(sentence: str) -> str:
    """'Route: pool_reports had no member' without its culprit."""
    head, _, rest = sentence.partition(": ")
    return capitalised(rest) if rest and head.lower() in CULPRIT_WORDS else sentence


def capitalised(sentence: str) -> str:
    """With a capital where it begins with a plain word; names of objects stay as they are."""
    return sentence[:1].upper() + sentence[1:] if _PLAIN_WORD.match(sentence) else sentence


def full_stop(sentence: str) -> str:
    """Ended by one."""
    return sentence if sentence.endswith((".", "!", "?")) or not sentence else f"{sentence}."


def apart(values: Iterable[str]) -> bool:
    """Whether these rows belong to more than one Airflow or device group, and so must say whose they are."""
    return len(set(values) - {""}) > 1


def plain(code: str) -> str:
    """up_for_retry is up for retry."""
    return code.replace("_", " ")
