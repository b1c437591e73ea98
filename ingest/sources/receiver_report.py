"""What the receiver says of itself beside the spool: a heartbeat with its counts and connections, and what it lost.

`receiver.json` is written anew every two seconds. `losses.jsonl` has one line for each stretch of time in which something
was lost, and a reader goes on where it stopped: by a position that counts all bytes ever written. When it is long its
older half goes, and its first line then says at which position it begins and from when to when what went was lost.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from airf5.durable import sync_folder

AWAY = timedelta(seconds=30)  # a receiver that has not reported for so long is gone
STEMS = {"f5_request": "request", "f5_ltm": "ltm", "f5_audit": "audit"}
LOST = ("udp", "dropped", "receiver")
MOST_READ = 4 << 20
LONGEST = 4 << 20  # of losses.jsonl, in bytes: half a day in which every two seconds something is lost
FIRST_LINE = 1_000


@dataclass(slots=True)
class Sender:
    """One device as the receiver sees it: datagrams of it, and its open connections by the kind of log they brought."""

    udp: int = 0
    dropped: int = 0
    open: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Status:
    """What the receiver has done so far; written beside the spool for the pages and `doctor`."""

    started_at: str = ""
    at: str = ""
    received: int = 0
    written: int = 0
    cut: int = 0
    dropped: int = 0
    refused_connections: int = 0
    refused_senders: int = 0
    udp_dropped: int = 0
    connections: int = 0
    disk_full: bool = False
    message: str = ""
    senders: dict[str, Sender] = field(default_factory=dict)

    def sender(self, folder: str) -> Sender:
        return self.senders.setdefault(folder, Sender())


class Loss(NamedTuple):
    """Something was lost in a stretch of time. `senders`: folders it may be of; none: of everybody."""

    start: datetime
    end: datetime
    kind: str
    count: int | None
    expected: int | None
    senders: tuple[str, ...]


# The receiver's side


class Report:
    """Writes the heartbeat, and a loss whenever a count of losses has moved since the last one."""

    def __init__(self, root: Path, status: Status) -> None:
        self.root, self.status = root, status
        self._at = self._was = datetime.now(UTC)
        self._udp = 0
        self._sent: dict[str, Sender] = {}
        before = _heartbeat(root)
        if before is not None:
            with contextlib.suppress(OSError):
                self._lose([{"kind": "receiver", "from": _iso(before[0]), "to": _iso(self._at)}])

    def write(self) -> None:
        """Write the counts where others can read them."""
        self._at, self._was = datetime.now(UTC), self._at
        self.status.at = _iso(self._at)
        with contextlib.suppress(OSError):
            self._lose(list(self._losses()))
            part = self.root / "receiver.json.part"
            part.write_text(json.dumps(asdict(self.status)) + "\n")
            part.replace(self.root / "receiver.json")
            self._udp = self.status.udp_dropped
            self._sent = {name: Sender(one.udp, one.dropped) for name, one in self.status.senders.items()}

    def _losses(self) -> Iterator[dict[str, Any]]:
        span = {"from": _iso(self._was), "to": _iso(self._at)}
        senders = self.status.senders
        none = Sender()
        came = {name: one.udp - self._sent.get(name, none).udp for name, one in senders.items()}
        if (lost := self.status.udp_dropped - self._udp) > 0:
            mine = [name for name, count in came.items() if count] or [name for name, one in senders.items() if one.udp]
            yield {"kind": "udp", **span, "count": lost, "expected": lost + sum(came.values()), "senders": mine}
        for name, one in senders.items():
            if (lost := one.dropped - self._sent.get(name, none).dropped) > 0:
                yield {"kind": "dropped", **span, "count": lost, "expected": max(lost, came[name]), "senders": [name]}

    def _lose(self, losses: list[dict[str, Any]]) -> None:
        if losses:
            with open(self.root / "losses.jsonl", "a", encoding="utf-8") as file:
                file.write("".join(json.dumps(one) + "\n" for one in losses))
                size = file.tell()
            if size > LONGEST:
                _halve(self.root / "losses.jsonl")


def _halve(path: Path) -> None:
    """Leave the older half out. Readers see the old file or the new one, whole; one that had not read it all is told."""
    data = path.read_bytes()
    begins, first, gone = _begin(data[:FIRST_LINE])
    cut = data.find(b"\n", first + (len(data) - first) // 2) + 1
    lost = [loss for line in data[first:cut].splitlines() if (loss := _loss(line))]
    if not cut or not lost:
        return
    since = min(one.start for one in lost) if gone is None else gone.start
    told = {"begins": begins + cut - first, "from": _iso(since), "to": _iso(max(one.end for one in lost))}
    part = path.with_name("losses.jsonl.part")
    with open(part, "wb") as file:
        file.write(json.dumps(told).encode() + b"\n" + data[cut:])
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def _begin(data: bytes) -> tuple[int, int, Loss | None]:
    """The position of the first loss in a file that begins so, its offset in it, and what was left out before it."""
    line, newline, _ = data.partition(b"\n")
    try:
        told = json.loads(line) if newline and line.startswith(b'{"begins"') else None
        begins, start, end = int(told["begins"]), _moment(told["from"]), _moment(told["to"])
    except (ValueError, TypeError, KeyError):
        return 0, 0, None
    gone = Loss(start, end, "dropped", None, None, ()) if start and end and start < end else None
    return begins, len(line) + 1, gone


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def udp_drops(port: int) -> int:
    """What the kernel dropped because we did not read in time (0 where it does not say)."""
    drops = 0
    for name in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError, ValueError, IndexError), open(name) as table:
            for row in list(table)[1:]:
                fields = row.split()
                if int(fields[1].rpartition(":")[2], 16) == port:
                    drops += int(fields[-1])
    return drops


# The reader's side


@dataclass(frozen=True, slots=True)
class Beat:
    """The newest heartbeat of the receiver that writes below `root`, as a feed of `folder` reads it."""

    root: Path
    folder: str
    at: datetime
    senders: dict[str, Any]

    def is_away(self, now: datetime) -> bool:
        return now - self.at > AWAY

    def is_connected(self, kind: str) -> bool:
        """Whether a connection is open over which this device has sent this kind of log."""
        sender = self.senders.get(self.folder)
        opened = sender.get("open") if isinstance(sender, dict) else None
        count = opened.get(STEMS.get(kind, "")) if isinstance(opened, dict) else None
        return isinstance(count, int) and count > 0

    def concerns(self, loss: Loss) -> bool:
        return not loss.senders or self.folder in loss.senders

    def losses(self, offset: int) -> tuple[list[Loss], int]:
        """The losses written from this position on, and up to which; a file that was begun anew is read anew.

        Where some were left out that were not read yet, all of the time of what was left out counts as lost.
        """
        try:
            with open(self.root / "losses.jsonl", "rb") as file:
                begins, first, gone = _begin(file.read(FIRST_LINE))
                end = begins + file.seek(0, 2) - first
                missed = [gone] if gone and offset < begins else []
                offset = max(offset, begins) if offset <= end else begins
                file.seek(offset - begins + first)
                data = file.read(MOST_READ)
        except OSError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        return missed + [loss for line in whole.splitlines() if (loss := _loss(line))], offset + len(whole)


def read(globs: Sequence[str]) -> Beat | None:
    """The heartbeat beside the spool folder that these patterns lie in; None where no receiver of ours writes there."""
    for pattern in globs:
        folder = Path(pattern).parent
        found = _heartbeat(folder.parent)
        if found is not None:
            return Beat(folder.parent, folder.name, *found)
    return None


def _heartbeat(root: Path) -> tuple[datetime, dict[str, Any]] | None:
    try:
        told = json.loads((root / "receiver.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    at = _moment(told.get("at")) if isinstance(told, dict) else None
    senders = told.get("senders") if at else None
    return (at, senders if isinstance(senders, dict) else {}) if at else None


def _loss(line: bytes) -> Loss | None:
    try:
        told = json.loads(line)
        start, end = _moment(told.get("from")), _moment(told.get("to"))
        kind, senders = told["kind"], told.get("senders") or ()
    except (ValueError, AttributeError, KeyError):
        return None
    if start is None or end is None or start >= end or kind not in LOST or not isinstance(senders, list | tuple):
        return None
    return Loss(start, end, kind, _number(told.get("count")), _number(told.get("expected")), tuple(map(str, senders)))


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else None


def _moment(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo else None
