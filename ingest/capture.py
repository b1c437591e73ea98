"""A capture folder as values, and one function that moves every time, UUID and running number of a text.

Nothing here knows a clock or a database. `shift` lets one recording be told again, later and any number of times:
a *lap* is one such telling. The same lap always gives the same text, and no two laps share an identifier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

Text = TypeVar("Text", str, bytes)

LISTS = ("dags", "dagRuns", "taskInstances", "tries", "eventLogs", "pools", "connections", "jobs")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTH = "(" + "|".join(MONTHS) + ")"

# Every form a time takes in a capture. A version, an address or a duration fits none of them.
# Each starts with a literal where it can and looks back behind it: that is what makes a search of megabytes quick.
ISO = re.compile(  # 2026-11-22T09:25:11.1Z, 2026-11-22 09:25:11, and percent-encoded as in URIs and file names
    r"20(?<!\d20)(\d\d)-([01]\d)-([0-3]\d)([T ]|%20)([0-2]\d)(:|%3[Aa])([0-5]\d)\6([0-5]\d)(?!\d)"
)
COMPACT = re.compile(r"20(?<!\d20)(\d\d)([01]\d)([0-3]\d)T([0-2]\d)([0-5]\d)([0-5]\d)(?!\d)")  # 20261122T092511
SLASHED = re.compile(
    r"20(?<!\d20)(\d\d)/([01]\d)/([0-3]\d) ([0-2]\d):([0-5]\d):([0-5]\d)(?!\d)"
)  # @2026/11/22 09:28:51
SYSLOG = re.compile(rf"(?<![\w,]){MONTH} ([ 123]\d) ([0-2]\d):([0-5]\d):([0-5]\d)(?![\d:])")  # Nov 22 09:25:35
HTTP = re.compile(rf"\b({'|'.join(DAYS)}), (\d\d) {MONTH} 20(\d\d) ([0-2]\d):([0-5]\d):([0-5]\d) GMT")
NCSA = re.compile(rf"\b([0-3]\d)/{MONTH}/20(\d\d):([0-2]\d):([0-5]\d):([0-5]\d)\b")  # 22/Nov/2026:09:25:11
REPR = re.compile(r"datetime\.datetime\(20(\d\d), (\d\d?), (\d\d?), (\d\d?), (\d\d?), (\d\d?)(?=[,)])")
EPOCH = re.compile(r'ts="(?<!\wts=")(\d{10})(?=[."])')

UUID7 = re.compile(r"\b([0-9a-f]{8})-([0-9a-f]{4})-(7[0-9a-f]{3}-[89ab][0-9a-f]{3})-([0-9a-f]{12})\b")
TRACE = re.compile(r"00-(?<!\w00-)([0-9a-f]{32})-([0-9a-f]{16})-(?=[0-9a-f]{2}\b)")

# Numbers that a database or a device counts up: (pattern, how far apart two laps are).
COUNTERS = (
    (re.compile(r'("event_log_id":\s*)(\d+)\b'), 1_000_000),
    (re.compile(r'("id":\s*)(\d+)\b'), 10_000),  # of jobs; every other id is a UUID
    (re.compile(r"(transaction #)(\d+)(?=-)"), 10_000),
)
# Odd, so that multiples of it differ modulo a power of two: 2**64 divided by the golden ratio.
STRIDE = 0x9E3779B97F4A7C15
SANE_MS = range(1_500_000_000_000, 4_200_000_000_000)


class CaptureError(ValueError):
    """A folder that is no capture; the sentence says what is missing."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Both sides of one stretch of time. `f5` holds the spool files by name, `airflow` the REST lists by name."""

    name: str
    meta: dict[str, Any]
    start: datetime
    end: datetime
    airflow: dict[str, Any] = field(default_factory=dict)
    seen: tuple[dict[str, Any], ...] = ()
    task_logs: tuple[dict[str, Any], ...] = ()  # items as the Airflow source gives them: the try's key, found, content
    f5: dict[str, bytes] = field(default_factory=dict)
    icontrol: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, Any] | None = None


def read_capture(folder: str | Path, delta: timedelta = timedelta(0), lap: int = 0) -> Capture:
    """Read a capture folder, shifted. Parts that a capture may lack come back empty."""
    folder = Path(folder)

    def text(path: Path) -> str:
        return shift(path.read_text(encoding="utf-8", errors="replace"), delta, lap)

    def value(path: Path) -> Any:
        try:
            return json.loads(text(path))
        except ValueError as error:
            raise CaptureError(f"{path.name} of {folder.name} is not JSON: {error}") from error

    if not (folder / "meta.json").is_file():
        raise CaptureError(f"{folder} has no meta.json: is it a capture folder?")
    meta = value(folder / "meta.json")
    airflow, f5 = folder / "airflow", folder / "f5"
    seen = airflow / "seen.jsonl"
    truth = folder / "truth.json"
    return Capture(
        name=str(meta.get("name") or folder.name),
        meta=meta,
        start=_moment(meta, "start"),
        end=_moment(meta, "end"),
        airflow={path.stem: value(path) for path in sorted(airflow.glob("*.json"))},
        seen=tuple(json.loads(line) for line in text(seen).splitlines() if line.strip()) if seen.is_file() else (),
        task_logs=tuple(_task_logs(airflow / "task_logs", value, delta, lap)),
        f5={path.name: shift(path.read_bytes(), delta, lap) for path in sorted(f5.glob("*.log"))},
        icontrol={path.stem: value(path) for path in sorted((f5 / "icontrol").glob("*.json"))},
        truth=value(truth) if truth.is_file() else None,
    )


def log_key(name: str) -> dict[str, Any] | None:
    """The try of `{dag}.{run}.{task}.{map}.{try}.json`; the parts are percent-encoded, dots too."""
    parts = name.removesuffix(".json").split(".")
    if len(parts) != 5 or not parts[3].lstrip("-").isdigit() or not parts[4].isdigit():
        return None
    dag_id, run_id, task_id = map(unquote, parts[:3])
    numbers = {"map_index": int(parts[3]), "try_number": int(parts[4])}
    return {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, **numbers}


def shift(text: Text, delta: timedelta, lap: int = 0, year: int = 2026) -> Text:
    """The text with all its times moved by `delta` (whole seconds) and all its identifiers made this lap's.

    `shift(shift(x, d, n), -d, -n) == x`. Lengths stay, but for counters. `year` is that of syslog times in a text that
    holds no other time to tell it by.
    """
    if isinstance(text, bytes):
        return shift(text.decode("latin-1"), delta, lap, year).encode("latin-1")
    by = timedelta(seconds=int(delta.total_seconds()))
    if by:
        text = _shift_times(text, by, year)
    if by or lap:
        text = UUID7.sub(partial(_shift_uuid, by // timedelta(milliseconds=1), lap), text)
    if lap:
        text = TRACE.sub(partial(_shift_trace, lap), text)
        for pattern, apart in COUNTERS:
            text = pattern.sub(partial(_shift_counter, lap * apart), text)
    return text


def _shift_times(text: str, by: timedelta, year: int) -> str:
    anchor = _anchor(text, year)  # before anything moves
    moved: dict[str, str] = {}  # a run id stands in thousands of lines

    def iso(match: re.Match[str]) -> str:
        found = moved.get(match[0])
        if found is None:
            y, mo, d, t, h, colon, m, s = match.groups()
            found = moved[match[0]] = _moved(
                match, (y, mo, d, h, m, s), by, f"%Y-%m-%d{t.replace('%', '%%')}%H{{0}}%M{{0}}%S"
            ).replace("{0}", colon)
        return found

    def plain(form: str) -> Callable[[re.Match[str]], str]:
        return lambda match: _moved(match, match.groups(), by, form)

    text = ISO.sub(iso, text)
    text = COMPACT.sub(plain("%Y%m%dT%H%M%S"), text)
    text = SLASHED.sub(plain("%Y/%m/%d %H:%M:%S"), text)
    text = EPOCH.sub(lambda match: f'ts="{int(match[1]) + int(by.total_seconds()):010d}', text)
    if " GMT" in text:
        text = HTTP.sub(partial(_shift_http, by), text)
    if any(f"/{month}/20" in text for month in MONTHS):
        text = NCSA.sub(partial(_shift_ncsa, by), text)
    text = REPR.sub(partial(_shift_repr, by), text)
    if any(f"{month} " in text for month in MONTHS):
        text = SYSLOG.sub(partial(_shift_syslog, by, anchor), text)
    return text


def _moved(match: re.Match[str], fields: tuple[Any, ...], by: timedelta, form: str) -> str:
    try:
        moment = _naive(*fields) + by
    except (ValueError, OverflowError):  # looks like a time and is none
        return match[0]
    return moment.strftime(form)


def _shift_http(by: timedelta, match: re.Match[str]) -> str:
    _, day, month, year, hour, minute, second = match.groups()
    try:
        moment = _naive(year, MONTHS.index(month) + 1, day, hour, minute, second) + by
    except (ValueError, OverflowError):
        return match[0]
    # strftime would follow the locale
    return f"{DAYS[moment.weekday()]}, {moment:%d} {MONTHS[moment.month - 1]} {moment:%Y %H:%M:%S} GMT"


def _shift_ncsa(by: timedelta, match: re.Match[str]) -> str:
    day, month, year, hour, minute, second = match.groups()
    try:
        moment = _naive(year, MONTHS.index(month) + 1, day, hour, minute, second) + by
    except (ValueError, OverflowError):
        return match[0]
    return f"{moment:%d}/{MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S}"


def _shift_repr(by: timedelta, match: re.Match[str]) -> str:
    try:
        moment = _naive(*match.groups()) + by
    except (ValueError, OverflowError):
        return match[0]
    return "datetime.datetime(" + ", ".join(map(str, moment.timetuple()[:6]))


def _shift_syslog(by: timedelta, anchor: datetime, match: re.Match[str]) -> str:
    month, day, hour, minute, second = match.groups()
    candidates = []
    for year in range(anchor.year - 2001, anchor.year - 1998):
        try:
            candidates.append(_naive(year, MONTHS.index(month) + 1, day, hour, minute, second))
        except ValueError:
            continue
    if not candidates:
        return match[0]
    moment = min(candidates, key=lambda one: abs(one - anchor)) + by
    return f"{MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S}"


def _naive(year: Any, month: Any, day: Any, hour: Any, minute: Any, second: Any) -> datetime:
    """A time of this century, from the texts of its parts."""
    return datetime(2000 + int(year), int(month), int(day), int(hour), int(minute), int(second))


def _anchor(text: str, year: int) -> datetime:
    """A moment near the text's own, to tell the year of times that have none."""
    if match := ISO.search(text):
        try:
            return _naive(*match.group(1, 2, 3, 5, 7, 8))
        except ValueError:
            pass
    if match := EPOCH.search(text):
        return datetime.fromtimestamp(int(match[1]), UTC).replace(tzinfo=None)
    return datetime(year, 7, 1)


def _shift_uuid(by_ms: int, lap: int, match: re.Match[str]) -> str:
    """A UUIDv7: its first 48 bits are the milliseconds of its making, its last 48 are random."""
    made = int(match[1] + match[2], 16)
    if made not in SANE_MS:
        return match[0]
    moved = f"{(made + by_ms) % 2**48:012x}"
    node = (int(match[4], 16) + lap * STRIDE) % 2**48
    return f"{moved[:8]}-{moved[8:]}-{match[3]}-{node:012x}"


def _shift_trace(lap: int, match: re.Match[str]) -> str:
    trace = (int(match[1], 16) + lap * STRIDE) % 2**128
    span = (int(match[2], 16) + lap * STRIDE) % 2**64
    return f"00-{trace:032x}-{span:016x}-"


def _shift_counter(by: int, match: re.Match[str]) -> str:
    return f"{match[1]}{max(0, int(match[2]) + by)}"


def _task_logs(folder: Path, value: Callable[[Path], Any], delta: timedelta, lap: int) -> list[dict[str, Any]]:
    logs = []
    for path in sorted(folder.glob("*.json")):
        if key := log_key(shift(path.name, delta, lap)):
            answer = value(path)
            content = answer.get("content") if isinstance(answer, dict) else answer
            logs.append({**key, "found": True, "content": content})
    return logs


def _moment(meta: dict[str, Any], name: str) -> datetime:
    try:
        return datetime.fromisoformat(meta[name]).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as error:
        raise CaptureError(f"meta.json has no usable {name!r}: write it as 2026-11-22T09:25:10Z.") from error
