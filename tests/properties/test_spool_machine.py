"""Every line of a log is read exactly once, whatever rotation does between two looks and whenever a reader is killed.

A machine of Hypothesis plays the writer, log rotation and the reader in any order; each line holds its number. Few
examples here; `SPOOL_EXAMPLES=2000` makes it a long run.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingest.sources import spool
from ingest.sources.spool import File

EXAMPLES = int(os.environ.get("SPOOL_EXAMPLES", "25"))


class Rotation(RuleBasedStateMachine):
    """One log that is written, rotated and followed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="airf5-spool-"))
        self.log = self.folder / "a.log"
        self.known: dict[str, File] = {}
        self.read: list[bytes] = []
        self.written: list[bytes] = []
        self.owed: tuple[Path, bytes] | None = None  # the rest of a line whose beginning is written, and where it goes
        self.turn = 0

    def teardown(self) -> None:
        self.finish_the_line()
        for _ in range(3):
            self.look(100)
        assert sorted(self.read) == sorted(self.written)
        shutil.rmtree(self.folder)

    def line(self) -> bytes:
        number = b"%06d" % len(self.written)
        self.written.append(number)
        return number

    def append(self, path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)

    def rotated(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("a.log.*") if path.suffix != ".gz" and not path.is_symlink())

    def plain(self) -> bool:
        return self.log.exists() and self.log.stat().st_size > 0

    # the writer

    @rule(count=st.integers(1, 4))
    def write(self, count: int) -> None:
        self.finish_the_line()
        self.append(self.log, b"".join(self.line() + b"\n" for _ in range(count)))

    @precondition(lambda self: self.owed is None)
    @rule()
    def write_half_a_line(self) -> None:
        line = self.line()
        self.append(self.log, line[:3])
        self.owed = (self.log, line[3:] + b"\n")

    @rule()
    def finish_the_line(self) -> None:
        if self.owed is not None:
            self.append(*self.owed)
            self.owed = None

    # log rotation

    @precondition(lambda self: self.plain() and not self.log.is_symlink())
    @rule()
    def rename(self) -> None:
        """The writer goes on in the renamed file until it is told."""
        self.turn += 1
        kept = self.folder / f"a.log.{self.turn}"
        self.log.rename(kept)
        if self.owed is not None and self.owed[0] == self.log:
            self.owed = (kept, self.owed[1])

    @precondition(lambda self: len(self.rotated()) > 1 and self.owed is None)
    @rule()
    def shift_the_names(self) -> None:
        """a.log.1 becomes a.log.2 and so on, as logrotate does."""
        self.turn += len(self.rotated()) + 1
        for place, path in enumerate(reversed(self.rotated())):
            path.rename(self.folder / f"a.log.{self.turn - place:06d}")

    @precondition(lambda self: self.plain() and self.owed is None)
    @rule(look_between=st.booleans(), half=st.booleans())
    def copy_and_truncate(self, look_between: bool, half: bool) -> None:
        self.turn += 1
        kept = self.folder / f"a.log.{self.turn}"
        content = self.log.read_bytes()
        if half:
            kept.write_bytes(content[: len(content) // 2])
            self.look(2)
        kept.write_bytes(content)
        if look_between:
            self.look(2)
        os.truncate(self.log, 0)

    @precondition(lambda self: self.rotated() and self.owed is None)
    @rule(data=st.data(), look_between=st.booleans())
    def pack(self, data: st.DataObject, look_between: bool) -> None:
        path = data.draw(st.sampled_from(self.rotated()))
        packed, content = path.with_name(f"{path.name}.gz"), gzip.compress(path.read_bytes())
        packed.write_bytes(content[: len(content) // 2])
        if look_between:
            self.look(2)
        packed.write_bytes(content)
        if not look_between:
            self.look(2)
        path.unlink()

    @precondition(lambda self: self.rotated() and self.owed is None)
    @rule(data=st.data())
    def drop_what_is_read(self, data: st.DataObject) -> None:
        """The next file may get the inode of this one."""
        self.look(100)
        data.draw(st.sampled_from(self.rotated())).unlink()

    @precondition(lambda self: self.plain() and self.owed is None)
    @rule()
    def truncate_and_write_as_much(self) -> None:
        """In place, to the same size, once all of it was read."""
        self.look(100)
        count = self.log.read_bytes().count(b"\n")
        with self.log.open("r+b") as file:
            file.truncate()
            file.write(b"".join(self.line() + b"\n" for _ in range(count)))

    @precondition(lambda self: self.owed is None and (not self.log.exists() or self.log.is_symlink()))
    @rule()
    def swap_the_link(self) -> None:
        """The name is a link, and is put on a new file in one step."""
        self.turn += 1
        target, fresh = self.folder / f"day-{self.turn}", self.folder / "link"
        old = self.log.resolve() if self.log.is_symlink() else None
        target.touch()
        fresh.symlink_to(target)
        fresh.replace(self.log)
        if old is not None and old.stat().st_size:
            old.rename(self.folder / f"a.log.{self.turn}")

    # the reader

    @rule(lines=st.integers(1, 5))
    def look(self, lines: int) -> None:
        for chunk in spool.follow([str(self.folder / "a.log*")], self.known.values(), lines):
            self.commit(chunk)

    @rule(lines=st.integers(1, 3), chunks=st.integers(0, 3))
    def look_and_be_killed(self, lines: int, chunks: int) -> None:
        """Before the commit of a chunk: its lines and the offset are forgotten together."""
        for place, chunk in enumerate(spool.follow([str(self.folder / "a.log*")], self.known.values(), lines)):
            if place == chunks:
                return
            self.commit(chunk)

    def commit(self, chunk: spool.Chunk) -> None:
        self.known[chunk.file.fingerprint] = chunk.file
        self.read += [line for _, line in chunk.lines]

    @invariant()
    def nothing_is_read_twice(self) -> None:
        assert len(set(self.read)) == len(self.read)
        assert set(self.read) <= set(self.written)


TestRotation = Rotation.TestCase
TestRotation.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
