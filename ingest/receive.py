"""The small syslog and HSL receiver of the embedded default: TCP and UDP in, files for the workers to follow out.

One directory a sender, one file a kind (`request-…`, `ltm-…`, `audit-…`): a flood of requests never stands before the
health messages. What was written is on the disk within `SYNC_S`. A full disk stops the reading from TCP, which holds
the senders back, and counts what UDP loses meanwhile; the counts are in `receiver.json` beside the directories.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from airf5.durable import sync_folder
from airf5.failpoints import failpoint
from ingest.sources.receiver_report import Report, Status, udp_drops
from ingest.streams import goes_on, kind_of

log = logging.getLogger(__name__)

LONGEST_MESSAGE = 64 << 10
SYNC_S = 0.2
ROTATE_S = 3600.0
ROTATE_BYTES = 256 << 20
MOST_SENDERS = 200
MOST_CONNECTIONS = 256
MOST_HELD = 16 << 20  # bytes held in memory while the disk takes nothing
READ = 256 << 10
CUT = b" [cut]"

# RFC 6587: a length, a space, then the message, which begins with its priority, our template or JSON. A request log
# that begins with a status ("200 GET …") is no length.
_COUNTED = re.compile(rb"([1-9][0-9]{0,7}) (?=<[0-9]|airf5=|event_source=|\{)")
_MAYBE_COUNTED = re.compile(rb"[1-9][0-9]{0,7}( (<|a(i(r(f(5)?)?)?)?|e(v(e(n(t(_[a-z]*)?)?)?)?)?)?)?\Z")


class Frames:
    """Takes one connection's bytes apart into messages: octet counted or ended by a newline, told for each message."""

    def __init__(self) -> None:
        self._held = b""
        self._skip = 0  # bytes of a counted message that are beyond the longest one
        self._skip_line = False

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """The messages that are whole by now, each with whether it was cut."""
        out: list[tuple[bytes, bool]] = []
        held, pos = self._held + data, 0
        while pos < len(held):
            if self._skip:
                step = min(self._skip, len(held) - pos)
                pos, self._skip = pos + step, self._skip - step
                continue
            if self._skip_line:
                newline = held.find(b"\n", pos)
                pos = newline + 1 if newline >= 0 else len(held)
                self._skip_line = newline < 0
                continue
            end = self._next(held, pos, out)
            if end is None:
                break
            pos = end
        self._held = held[pos:]
        return out

    def rest(self) -> list[tuple[bytes, bool]]:
        """What stood there without an end when the connection closed."""
        held, self._held = self._held, b""
        return [(held[:LONGEST_MESSAGE], len(held) > LONGEST_MESSAGE)] if held.strip() else []

    def _next(self, held: bytes, pos: int, out: list[tuple[bytes, bool]]) -> int | None:
        """Take the message that begins at `pos`; None while it is not whole."""
        counted = _COUNTED.match(held, pos)
        if counted:
            size, start = int(counted[1]), counted.end()
            if size > LONGEST_MESSAGE:
                if len(held) - start < LONGEST_MESSAGE:
                    return None
                out.append((held[start : start + LONGEST_MESSAGE], True))
                self._skip = size - LONGEST_MESSAGE
                return start + LONGEST_MESSAGE
            if len(held) - start < size:
                return None
            out.append((held[start : start + size], False))
            return start + size
        newline = held.find(b"\n", pos)
        if newline < 0 and len(held) - pos < 40 and _MAYBE_COUNTED.match(held, pos):
            return None
        end = newline if newline >= 0 else len(held)
        if end - pos > LONGEST_MESSAGE:
            out.append((held[pos : pos + LONGEST_MESSAGE], True))
            self._skip_line = newline < 0
            return end + 1 if newline >= 0 else len(held)
        if newline < 0:
            return None
        if newline > pos:
            out.append((held[pos:newline], False))
        return newline + 1


def visible(message: bytes) -> bytes:
    """The message on one line: line ends and NUL are shown, nothing is dropped."""
    message = message.rstrip(b"\r\n\x00")
    if b"\n" in message or b"\r" in message or b"\x00" in message:
        return message.replace(b"\n", b"\\n").replace(b"\r", b"\\r").replace(b"\x00", b"\\0")
    return message


def folder_of(address: str) -> str:
    """A directory name for a sender's address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found).replace(":", "-")


@dataclass(slots=True)
class Stream:
    """One open file, what still waits to be written to it, and whether it has to be synced."""

    stem: Path
    waiting: list[bytes] = field(default_factory=list)
    fd: int = -1
    opened: float = 0.0
    size: int = 0
    dirty: bool = False


class Spool:
    """The files of all senders. `put` never blocks; `flush` writes, `sync` makes it durable."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.status = Status(started_at=_now())
        self.held = 0
        self._streams: dict[tuple[str, str], Stream] = {}
        self._last: dict[str, str] = {}  # the stream of each sender's last message
        root.mkdir(parents=True, exist_ok=True)
        self._report = Report(root, self.status)
        self._folders = {path.name for path in root.iterdir() if path.is_dir()}

    @property
    def full(self) -> bool:
        """True while no more should be read."""
        return self.held > MOST_HELD

    def put(
        self, sender: str, messages: Iterable[tuple[bytes, bool]], *, lossy: bool = False, stamp: bytes = b""
    ) -> set[str]:
        """Take messages, received now unless `stamp` says when, and say which kinds they were.

        `lossy` ones (UDP, which cannot be held back) are dropped while too much is held.
        """
        kinds: set[str] = set()
        folder, stamp = folder_of(sender), stamp or _now().encode()
        shown = folder.replace("-", ":") if ":" in sender and "." not in folder else folder
        for message, cut in messages:
            self.status.received += 1
            self.status.cut += cut
            if not self._admits(folder):
                self.status.dropped += 1
                continue
            if lossy:
                self.status.sender(folder).udp += 1
                if self.full:
                    self.status.dropped += 1
                    self.status.sender(folder).dropped += 1
                    continue
            line = b"%s %s %s\n" % (stamp, shown.encode(), visible(message) + (CUT if cut else b""))
            kind = kind_of(message)
            if kind == "request" and goes_on(message):
                kind = self._last.get(folder, kind)  # a further line goes where its first line went
            self._last[folder] = kind
            key = (folder, kind)
            if key not in self._streams:
                self._streams[key] = Stream(self.root / folder / key[1])
            kinds.add(key[1])
            self._streams[key].waiting.append(line)
            self.held += len(line)
        return kinds

    def count_datagram(self, sender: str) -> None:
        """One datagram of this sender came by way of rsyslog."""
        if (folder := folder_of(sender)) in self._folders:
            self.status.sender(folder).udp += 1

    def opened(self, sender: str, kind: str, by: int) -> None:
        """One connection more (or less) over which this sender has sent this kind of log."""
        if (folder := folder_of(sender)) in self._folders:
            open_ones = self.status.sender(folder).open
            open_ones[kind] = open_ones.get(kind, 0) + by

    def flush(self) -> None:
        """Write what waits; what the disk does not take now stays for the next time."""
        problem = ""
        for stream in self._streams.values():
            try:
                self._write(stream)
            except OSError as error:
                problem = f"{stream.stem}: {os.strerror(error.errno or errno.EIO)}"
        if problem and not self.status.message:
            log.error("The spool cannot be written, senders are held back: %s", problem)
        elif self.status.message and not problem:
            log.warning("The spool is written again.")
        self.status.message, self.status.disk_full = problem, "No space" in problem

    def sync(self) -> None:
        """Make durable what was written, and close what is old or large enough."""
        now = time.monotonic()
        for stream in list(self._streams.values()):
            if stream.fd < 0:
                continue
            if stream.dirty:
                stream.dirty = False  # before it: what is written meanwhile has to be synced again
                try:
                    os.fsync(stream.fd)
                except OSError:
                    stream.dirty = True  # else the next one would be told that all is on the disk
                    raise
                failpoint("receive.synced")
            if stream.size > ROTATE_BYTES or now - stream.opened > ROTATE_S:
                self._close(stream)

    def close(self) -> None:
        """Write and sync everything."""
        self.flush()
        self.sync()
        for stream in self._streams.values():
            self._close(stream)
        self.report()

    def report(self) -> None:
        """Say where others can read it what was done and lost."""
        self._report.write()

    def _admits(self, folder: str) -> bool:
        """A stranger may not fill the disk with directories."""
        if folder in self._folders:
            return True
        if len(self._folders) >= MOST_SENDERS:
            if not self.status.refused_senders:
                log.error("Messages of %s are refused: there are %d senders already.", folder, MOST_SENDERS)
            self.status.refused_senders += 1
            return False
        self._folders.add(folder)
        return True

    def _write(self, stream: Stream) -> None:
        while stream.waiting:
            if stream.fd < 0:
                self._open(stream)
            data = b"".join(stream.waiting)
            written = os.write(stream.fd, data)
            stream.size += written
            stream.dirty = True
            self.held -= written
            failpoint("receive.written")
            self.status.written += data.count(b"\n", 0, written)
            # A short write leaves the end of a line in memory: it goes on exactly there.
            stream.waiting = [data[written:]] if written < len(data) else []

    def _open(self, stream: Stream) -> None:
        stream.stem.parent.mkdir(exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        # Always a new file: behind a line that a crash left torn nothing may follow.
        path = stream.stem.with_name(f"{stream.stem.name}-{stamp}.log")
        stream.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        stream.opened, stream.size = time.monotonic(), 0
        failpoint("receive.created")
        for place in (path.parent, self.root):  # the names have to survive too, the file's and its folder's
            sync_folder(place)

    def _close(self, stream: Stream) -> None:
        # A line of which a part is written goes on in its own file.
        if stream.fd >= 0 and not stream.waiting:
            os.close(stream.fd)
            stream.fd = -1


class Receiver:
    """The listening sockets."""

    def __init__(self, spool: Spool, host: str, port: int) -> None:
        self.spool, self.host, self.port = spool, host, port
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    async def start(self) -> None:
        """Listen on TCP and UDP of one port (0: any that is free, then in `port`)."""
        self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=READ)
        self.port = self._server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(self.spool), local_addr=(self.host, self.port)
        )
        self._writer = asyncio.create_task(self._write_on())

    async def stop(self) -> None:
        """Take no more, write what came."""
        self._server.close()
        self._udp.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._ended = True
        await self._writer  # never two threads at one file
        self.spool.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status = self.spool.status
        if len(self._tasks) >= MOST_CONNECTIONS:
            status.refused_connections += 1
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        sender, frames, kinds = str(writer.get_extra_info("peername")[0]), Frames(), set[str]()
        keep_alive(writer.get_extra_info("socket"))
        try:
            while data := await reader.read(READ):
                for kind in self.spool.put(sender, frames.feed(data)) - kinds:
                    kinds.add(kind)
                    self.spool.opened(sender, kind, 1)
                while self.spool.full:
                    await asyncio.sleep(SYNC_S)
        except (OSError, asyncio.CancelledError):
            pass  # the sender is gone, or we end: what came counts
        finally:
            self.spool.put(sender, frames.rest())
            for kind in kinds:
                self.spool.opened(sender, kind, -1)
            self._tasks.discard(task)
            writer.close()

    async def _write_on(self) -> None:
        beats = 0
        while not self._ended:
            await asyncio.sleep(SYNC_S / 2)
            self.spool.flush()
            try:
                await asyncio.to_thread(self.spool.sync)
            except OSError as error:
                log.error("The spool cannot be synced: %s", error)
            beats += 1
            if beats % 20 == 0:
                self.spool.status.connections = len(self._tasks)
                self.spool.status.udp_dropped = udp_drops(self.port)
                self.spool.report()


class Datagrams(asyncio.DatagramProtocol):
    """UDP: one datagram is one message."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.strip():
            self.spool.put(addr[0], [(data[:LONGEST_MESSAGE], len(data) > LONGEST_MESSAGE)], lossy=True)


def keep_alive(connection: socket.socket) -> None:
    """A device that is gone without a word is noticed within a minute: an open connection then says that it is there."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def serve(root: Path, host: str, port: int) -> None:
    """Receive until SIGTERM or SIGINT."""
    receiver = Receiver(Spool(root), host, port)
    await receiver.start()
    log.info("Receiving syslog on %s:%d (TCP and UDP), writing below %s", host, receiver.port, root)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    await receiver.stop()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
