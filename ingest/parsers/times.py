"""Every form of time that F5 writes, as aware UTC datetimes; year and zone are arguments where a line has none."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

MONTHS = {
    m: i for i, m in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_OFFSET = timedelta(0)

# Widths are bounded everywhere, so that no pattern here can be slow on hostile text.
_CLOCK = r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?"
_BSD = re.compile(
    r"([A-Za-z]{3}) {1,2}([0-9]{1,2})(?: ([0-9]{4}))? " + _CLOCK + r"(?: ([0-9]{4})(?= ))?(?![0-9]|:[^ ])"
)
_YEAR_FIRST = re.compile(r"([0-9]{4}) ([A-Za-z]{3}) {1,2}([0-9]{1,2}) " + _CLOCK + r"(?![0-9:])")
_ISO = re.compile(
    r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})[T ]" + _CLOCK + r" ?(Z|z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?(?![0-9:])"
)
_TMSH = re.compile(r"([0-9]{2})-([0-9]{2}) " + _CLOCK + r"(?![0-9:])")
_NCSA = re.compile(r"\[?([0-9]{1,2})/([A-Za-z]{3})/([0-9]{4}):" + _CLOCK + r"(?: ([+-][0-9]{4}))?\]?")
_HTTP = re.compile(
    r"(?:[A-Za-z]{3,9}, )?([0-9]{1,2})[ -]([A-Za-z]{3})[A-Za-z]{0,6}[ -]([0-9]{4}) "
    + _CLOCK
    + r"(?: (GMT|UTC|Z|[+-][0-9]{4}))?"
)
_CTIME = re.compile(r"(?:[A-Za-z]{3} )?([A-Za-z]{3}) {1,2}([0-9]{1,2}) " + _CLOCK + r" ([0-9]{4})")
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9])")
_AT = re.compile(r"@([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})")


def build(
    year: int, month: int, day: int, clock: tuple[str, str, str, str | None], offset: timedelta
) -> datetime | None:
    """The instant these parts name, or None where they name none (30 February, 25:00)."""
    hour, minute, second, fraction = clock
    micro = int(((fraction or "") + "000000")[:6])
    leap = second == "60"  # a leap second is the first instant of the next minute
    try:
        local = datetime(year, month, day, int(hour), int(minute), 59 if leap else int(second), micro, tzinfo=UTC)
        return local - offset + (timedelta(seconds=1) if leap else NO_OFFSET)
    except (ValueError, OverflowError):
        return None


def zone(text: str | None) -> timedelta | None:
    """`Z`, `UTC`, `+0200`, `-07:00` as an offset; None where nothing was written or the offset is impossible."""
    if not text:
        return None
    if text in ("Z", "z", "UTC", "GMT"):
        return NO_OFFSET
    digits = text[1:].replace(":", "")
    if text[0] not in "+-" or len(digits) != 4 or not (digits.isascii() and digits.isdigit()):
        return None
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset >= timedelta(hours=24):
        return None
    return -offset if text[0] == "-" else offset


_AHEAD = timedelta(days=31)  # clocks run ahead a little, logs do not come from the future


def nearest_year(
    month: int, day: int, clock: tuple[str, str, str, str | None], offset: timedelta, near: datetime
) -> datetime | None:
    """The instant with the year that brings it nearest to `near`: a December line received in January is of last year.

    A line that was received more than a month "before" it was written is an old line, read late.
    """
    back = 8 if (month, day) == (2, 29) else 1  # 29 February may have no year in between
    years = range(max(1, near.year - back), min(9999, near.year + 2))
    found = [at for at in (build(year, month, day, clock, offset) for year in years) if at and at <= near + _AHEAD]
    return min(found, key=lambda at: abs(at - near), default=None)


def last_error_date(text: str) -> datetime | None:
    """The `@YYYY/MM/DD HH:MM:SS` that a monitor's last error ends with, as UTC: it holds the year the head lacks."""
    if "monitor status" not in text or "AUDIT" in text:
        return None  # elsewhere such a date can be anybody's text
    at = None
    start = text.rfind("@")
    while start >= 0:  # the last one: what stands before it can be text of the server that was asked
        match = _AT.match(text, start)
        if match:
            year, month, day, hour, minute, second = match.groups()
            at = build(int(year), int(month), int(day), (hour, minute, second, None), NO_OFFSET)
            break
        start = text.rfind("@", 0, start)
    return at


def stamp(
    text: str, start: int = 0, near: datetime | None = None, offset: timedelta = NO_OFFSET
) -> tuple[datetime | None, int] | None:
    """The time that begins at `start` and where it ends; None where no time begins there.

    The time itself is None where the line has no year and `near` (the time of receipt) is not known.
    """
    match = _ISO.match(text, start)
    if match:
        year, month, day, hour, minute, second, fraction, zoned = match.groups()
        given = zone(zoned)
        shift = offset if given is None else given
        at = build(int(year), int(month), int(day), (hour, minute, second, fraction), shift)
        return (at, match.end()) if at else None
    match = _BSD.match(text, start)
    if match:
        name, day, year, hour, minute, second, fraction, trailing = match.groups()
        month = MONTHS.get(name.lower(), 0)
        return _without_year(
            month, int(day), year or trailing, (hour, minute, second, fraction), offset, near, match.end()
        )
    match = _YEAR_FIRST.match(text, start)
    if match:
        year, name, day, hour, minute, second, fraction = match.groups()
        month = MONTHS.get(name.lower(), 0)
        return _without_year(month, int(day), year, (hour, minute, second, fraction), offset, near, match.end())
    match = _TMSH.match(text, start)
    if match:
        month, day, hour, minute, second, fraction = match.groups()
        return _without_year(int(month), int(day), None, (hour, minute, second, fraction), offset, near, match.end())
    return None


def _without_year(
    month: int,
    day: int,
    year: str | None,
    clock: tuple[str, str, str, str | None],
    offset: timedelta,
    near: datetime | None,
    end: int,
) -> tuple[datetime | None, int] | None:
    if year:
        at = build(int(year), month, day, clock, offset)
        return (at, end) if at else None
    if near is not None:
        at = nearest_year(month, day, clock, offset, near)
        return (at, end) if at else None
    # 2000 is a leap year: only asks whether such a day exists at all
    return (None, end) if build(2000, month, day, clock, offset) else None


def instant(text: str) -> datetime | None:
    """A whole RFC 3339 or ISO time with zone (or Z); None where it is not one or has no zone."""
    match = _ISO.fullmatch(text)
    if not match or zone(match.group(8)) is None:
        return None
    found = stamp(text)
    return found[0] if found else None


def ncsa(text: str) -> datetime | None:
    """`[28/Feb/2020:12:00:00 +0000]`, with or without its brackets."""
    match = _NCSA.match(text)
    if not match:
        return None
    day, name, year, hour, minute, second, fraction, zoned = match.groups()
    return build(
        int(year), MONTHS.get(name.lower(), 0), int(day), (hour, minute, second, fraction), zone(zoned) or NO_OFFSET
    )


def http_date(text: str) -> datetime | None:
    """`Fri, 28 Feb 2020 12:00:00 GMT` ($DATE_HTTP), also `28 Feb 2020 12:00:00 UTC`."""
    match = _HTTP.match(text)
    if not match:
        return None
    day, name, year, hour, minute, second, fraction, zoned = match.groups()
    return build(
        int(year), MONTHS.get(name.lower(), 0), int(day), (hour, minute, second, fraction), zone(zoned) or NO_OFFSET
    )


def ctime(text: str, offset: timedelta = NO_OFFSET) -> datetime | None:
    """`Fri Jan 17 09:44:10 2020`, as pam_audit writes the start and end of a session (local time of the device)."""
    match = _CTIME.match(text)
    if not match:
        return None
    name, day, hour, minute, second, fraction, year = match.groups()
    return build(int(year), MONTHS.get(name.lower(), 0), int(day), (hour, minute, second, fraction), offset)


def any_time(text: str, offset: timedelta = NO_OFFSET) -> datetime | None:
    """A time field of an event: $DATE_HTTP, ISO, NCSA, ctime or epoch seconds, ms or us; else None."""
    text = text.strip()
    return _any_time(text, offset) if 0 < len(text) <= 64 else None  # what is longer must not fill the memory below


@lru_cache(maxsize=4096)  # one second has many lines
def _any_time(text: str, offset: timedelta) -> datetime | None:
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        micros = epoch_us(text)
        return None if micros is None else from_us(micros)
    found = stamp(text, 0, None, offset)
    at = (found[0] if found else None) or http_date(text) or ncsa(text) or ctime(text, offset)
    if at is None and (
        day := _DAY.match(text)
    ):  # F5's own sample has `2019-01-01:01:01.000Z`: its day is all that is sure
        at = build(int(day.group(1)), int(day.group(2)), int(day.group(3)), ("0", "0", "0", None), NO_OFFSET)
    return at


def epoch_us(text: str, fraction_is_ms: bool = False) -> int | None:
    """Epoch seconds with a fraction that may lack its leading zeros, or plain epoch ms or us, as microseconds.

    `$TIME_UNIX.$TIME_USECS` writes a number after the dot, and not every version pads it: `.52000` is 52,000 us.
    """
    seconds, _, fraction = text.partition(".")
    if not (seconds.isascii() and seconds.isdigit()) or len(seconds) > 17:
        return None
    if fraction and not (fraction.isascii() and fraction.isdigit()):
        return None
    if not fraction and len(seconds) > 11:  # 13 digits are ms, 16 are us: no other reading gives a date of this age
        return int(seconds) * 1000 if len(seconds) <= 14 else int(seconds)
    if len(seconds) > 11:
        return None
    micros = int(fraction[:6]) if fraction else 0
    if fraction_is_ms and len(fraction) <= 3:
        micros *= 1000
    return int(seconds) * 1_000_000 + micros


def from_us(micros: int) -> datetime | None:
    """Microseconds since 1970 as a datetime; None beyond the calendar."""
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return None


def to_us(at: datetime) -> int:
    """Microseconds since 1970, exact (no float)."""
    delta = at - EPOCH
    return (delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds


def iso(at: datetime) -> str:
    """RFC 3339 with Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
