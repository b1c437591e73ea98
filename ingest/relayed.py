"""Write what rsyslog receives (TCP, TLS, UDP, RELP) as the receiver writes it: rsyslog's omprog starts this program.

One line on standard input is `<receive time> <input> <sender> <message>`; what is answered decides what rsyslog does:
a batch is confirmed when its lines are on the disk, and refused when the disk does not take them. Then rsyslog holds TCP
and RELP back, keeps UDP in its queue, and gives the same batch again, but for one that it was at when it was stopped: so
what was refused is kept in its queue's folder until it is written. Without Django: omprog has no environment to give.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO

from ingest.receive import LONGEST_MESSAGE, Spool
from ingest.sources.receiver_report import udp_drops

BEGIN, COMMIT = b"BEGIN TRANSACTION\n", b"COMMIT TRANSACTION\n"
OK, LATER = b"OK\n", b"DEFER_COMMIT\n"
RETRY_S, PATIENCE_S = 0.2, 2.0
REPORT_S = 2.0

log = logging.getLogger(__name__)


class Relay:
    """One run of the program."""

    def __init__(self, root: Path, udp_port: int, queue: Path) -> None:
        self.spool, self.udp_port = Spool(root), udp_port
        self._kept = queue / "airf5_refused"
        self._batch: list[bytes] = []
        self._owed: Counter[bytes] = Counter()  # of batches that were refused: taken once, and given again
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def run(self, asked: IO[bytes], answers: IO[bytes]) -> None:
        """Take lines until rsyslog closes the pipe."""
        beat = threading.Thread(target=self._beat, daemon=True)
        beat.start()
        try:
            self._take_up()
            self._say(answers, OK)  # ready
            for line in asked:
                self._say(answers, self._take(line))
        except BrokenPipeError:
            pass  # rsyslog is gone; it sends again what was not confirmed
        finally:
            self._ended.set()
            beat.join()
            self._lay_down()

    def _take_up(self) -> None:
        """What the last run was refused."""
        with contextlib.suppress(FileNotFoundError):
            for line in self._kept.read_bytes().splitlines(keepends=True):
                self._put(line.rstrip(b"\n"))
                self._owed[line] += 1

    def _lay_down(self) -> None:
        """Keep what the disk does not take. Without a whole confirmation nobody else has it."""
        waits = self._owed + Counter(self._batch)
        with contextlib.suppress(OSError):
            self.spool.close()
        if not self.spool.held:
            self._kept.unlink(missing_ok=True)
            return
        part = self._kept.with_suffix(".part")
        try:
            part.write_bytes(b"".join(waits.elements()))
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(self._kept)
        except OSError as error:
            log.error("%d lines are lost, no disk takes them: %s", waits.total(), error)

    def _take(self, line: bytes) -> bytes:
        if line == BEGIN:
            return OK
        if line == COMMIT:
            return self._commit()
        self._batch.append(line)
        if self._owed[line] > 0:
            self._owed[line] -= 1
            return LATER
        with self._lock:
            self._put(line.rstrip(b"\n"))
        return LATER

    def _commit(self) -> bytes:
        """The answer once all is on the disk, or once it is plain that the disk takes nothing just now."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with self._lock:
                self.spool.flush()
                self.spool.sync()
            if not self.spool.held:
                self._batch.clear()
                self._kept.unlink(missing_ok=True)
                return OK
            if time.monotonic() > until:
                self._owed.update(self._batch)
                self._batch.clear()
                return b"ERROR: %s\n" % self.spool.status.message.encode("ascii", "replace")
            time.sleep(RETRY_S)

    def _put(self, line: bytes) -> None:
        when, _, rest = line.partition(b" ")
        by, _, rest = rest.partition(b" ")
        sender, _, message = rest.partition(b" ")
        cut = len(message) >= LONGEST_MESSAGE - 1
        self.spool.put(sender.decode("ascii", "replace"), [(message[:LONGEST_MESSAGE], cut)], stamp=when)
        if by == b"imudp":
            self.spool.count_datagram(sender.decode("ascii", "replace"))

    def _beat(self) -> None:
        """The heartbeat, and new files by the hour, also while nothing comes."""
        while not self._ended.wait(REPORT_S):
            with self._lock:
                self.spool.status.udp_dropped = udp_drops(self.udp_port)
                self.spool.report()
                with contextlib.suppress(OSError):
                    self.spool.sync()

    @staticmethod
    def _say(answers: IO[bytes], word: bytes) -> None:
        answers.write(word)
        answers.flush()
