"""Files are followed through everything that log rotation does to them, line by line, each exactly once."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest.sources import spool
from ingest.sources.spool import File


class Reader:
    """Follows files as a feed does: keeps what is known of them, collects the lines."""

    def __init__(self, folder: Path, pattern: str = "*.log*") -> None:
        self.globs = [str(folder / pattern)]
        self.known: dict[str, File] = {}
        self.lines: list[bytes] = []

    def read(self, lines: int = 3, *, final: bool = False) -> list[bytes]:
        fresh: list[bytes] = []
        for chunk in spool.follow(self.globs, self.known.values(), lines, final=final):
            self.known[chunk.file.fingerprint] = chunk.file
            fresh += [line for _, line in chunk.lines]
        self.lines += fresh
        return fresh


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_lines_come_with_their_offsets(tmp_path: Path) -> None:
    write(tmp_path / "a.log", "one", "two", "three")
    (chunk,) = spool.follow([str(tmp_path / "a.log")], [])
    assert chunk.lines == [(0, b"one"), (4, b"two"), (8, b"three")]
    assert chunk.at_end and chunk.file.offset == 14


def test_chunks_hold_at_most_so_many_lines(tmp_path: Path) -> None:
    write(tmp_path / "a.log", *map(str, range(10)))
    chunks = list(spool.follow([str(tmp_path / "a.log")], [], 4))
    assert [len(chunk.lines) for chunk in chunks] == [4, 4, 2]
    assert [chunk.at_end for chunk in chunks] == [False, False, True]


def test_a_line_without_its_end_is_left_for_later(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    (tmp_path / "a.log").write_bytes(b"one\ntw")
    assert reader.read() == [b"one"]
    with (tmp_path / "a.log").open("ab") as file:
        file.write(b"o\n")
    assert reader.read() == [b"two"]


def test_a_file_that_nobody_writes_any_more_is_read_to_its_last_byte(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"only")
    assert Reader(tmp_path).read(final=True) == [b"only"]


def test_a_renamed_file_is_read_on_and_its_successor_too(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "1 one")
    reader.read()
    write(path, "2 two")
    path.rename(tmp_path / "a.log.1")
    write(path, "3 three")
    assert sorted(reader.read()) == [b"2 two", b"3 three"]
    assert {Path(file.path).name for file in reader.known.values()} == {"a.log", "a.log.1"}


def test_copytruncate_loses_and_repeats_nothing(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "1 one", "2 two")
    reader.read()
    write(path, "3 three")
    shutil.copy(path, tmp_path / "a.log.1")
    os.truncate(path, 0)
    write(path, "4 four")
    assert sorted(reader.read()) == [b"3 three", b"4 four"]


def test_a_file_truncated_to_the_same_first_line_is_a_new_generation(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "same", "two", "three")
    reader.read()
    os.truncate(path, 0)
    write(path, "same")
    assert reader.read() == [b"same"]
    assert len(reader.known) == 2


def test_a_copy_that_is_still_being_written_is_no_new_generation(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "one", "two", "three")
    reader.read()
    write(tmp_path / "a.log.1", "one")
    path.unlink()
    assert reader.read() == []
    write(tmp_path / "a.log.1", "two", "three", "four")
    assert reader.read() == [b"four"]


def test_a_packed_file_is_read_on_from_where_its_plain_one_was_left(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "one", "two")
    reader.read()
    write(path, "three")
    packed = gzip.compress(path.read_bytes())
    (tmp_path / "a.log.1.gz").write_bytes(packed[: len(packed) // 2])  # gzip is at work
    assert reader.read() == [b"three"]
    path.unlink()
    assert reader.read() == []
    (tmp_path / "a.log.1.gz").write_bytes(packed)
    assert reader.read() == []
    (file,) = reader.known.values()
    assert file.finished and file.path.endswith(".gz")


def test_a_packed_file_alone_is_read_once(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"one\ntwo\nthree\nfour"))
    assert reader.read() == [b"one", b"two", b"three", b"four"]
    assert reader.read() == []


def test_a_line_of_many_megabytes_is_one_line_and_the_next_one_follows(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    (tmp_path / "a.log").write_bytes(b"x" * (3 * spool.BLOCK) + b"\nnext\n")
    long, following = reader.read()
    assert len(long) == spool.LONGEST_LINE and following == b"next"


def test_random_rotations_give_every_line_once(tmp_path: Path) -> None:
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        chance, reader, path, number, turn = random.Random(seed), Reader(folder), folder / "a.log", 0, 0
        for _ in range(30):
            for _ in range(chance.randrange(4)):
                write(path, f"{number:06d}")
                number += 1
            move = chance.random()
            if path.exists() and path.stat().st_size and move < 0.3:
                turn += 1
                kept = folder / f"a.log.{turn}"
                if move < 0.15:
                    path.rename(kept)
                else:
                    shutil.copy(path, kept)
                    os.truncate(path, 0)
                if move < 0.05:
                    (folder / f"a.log.{turn}.gz").write_bytes(gzip.compress(kept.read_bytes()))
                    kept.unlink()
            if chance.random() < 0.5:
                reader.read()
        reader.read()
        assert sorted(reader.lines) == [b"%06d" % n for n in range(number)], f"seed {seed}"


def test_two_rotations_between_two_looks_lose_nothing(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "1", "2")
    reader.read()
    write(path, "3")
    path.rename(tmp_path / "a.log.1")
    write(path, "4", "5")
    (tmp_path / "a.log.1").rename(tmp_path / "a.log.2")
    path.rename(tmp_path / "a.log.1")
    write(path, "6")
    assert sorted(reader.read()) == [b"3", b"4", b"5", b"6"]
    assert reader.read() == []


@pytest.mark.parametrize("fresh", [["same", "new 2", "new 3"], ["same", "new 2", "new 3", "new 4", "new 5"]])
def test_a_file_written_anew_to_the_same_size_or_more_is_told_by_its_last_bytes(
    tmp_path: Path, fresh: list[str]
) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "same", "old 2", "old 3")
    reader.read()
    os.truncate(path, 0)
    write(path, *fresh)
    assert reader.read() == [line.encode() for line in fresh]
    write(path, "after")
    assert reader.read() == [b"after"] and len(reader.known) == 2


def test_another_file_with_the_same_first_line_is_another_file(tmp_path: Path) -> None:
    """Logs that begin with a head line: rename and create."""
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "# head", "1", "2")
    reader.read()
    write(path, "3")
    path.rename(tmp_path / "a.log.1")
    write(path, "# head", "4", "5", "6", "7")
    assert sorted(reader.read()) == [b"# head", b"3", b"4", b"5", b"6", b"7"]
    write(path, "8")
    assert reader.read() == [b"8"] and reader.read() == []


def test_what_cannot_be_told_is_a_file_written_anew_with_the_very_same_bytes(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "same", "same 2")
    reader.read()
    os.truncate(path, 0)
    write(path, "same", "same 2")
    assert reader.read() == []
    write(path, "3")
    assert reader.read() == [b"3"]


def test_a_new_file_with_the_inode_of_one_that_is_gone_is_a_new_file(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "1 one", "2 two", "3 three")
    reader.read()
    path.unlink()
    write(path, "4 four")
    for name, file in reader.known.items():  # whatever the file system did
        reader.known[name] = replace(file, inode=path.stat().st_ino, path=str(path))
    assert reader.read() == [b"4 four"]


def test_a_name_that_is_put_on_another_file_is_followed_to_it(tmp_path: Path) -> None:
    reader, link = Reader(tmp_path), tmp_path / "a.log"
    for day in ("1", "2"):
        write(tmp_path / f"day-{day}", f"{day} one", f"{day} two")
        (tmp_path / "fresh").symlink_to(tmp_path / f"day-{day}")
        (tmp_path / "fresh").replace(link)
        assert reader.read() == [f"{day} one".encode(), f"{day} two".encode()]
    assert reader.read() == []


def test_a_file_that_is_truncated_while_it_is_read_gives_no_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, path, more = Reader(tmp_path), tmp_path / "a.log", spool._more
    write(path, "1 one", "2 two")
    reader.read()
    write(path, "3 three")

    def truncated_meanwhile(*args: Any) -> Any:
        os.truncate(path, 0)
        write(path, *(f"{n} anew" for n in range(4, 9)))
        return more(*args)

    with monkeypatch.context() as patch:
        patch.setattr(spool, "_more", truncated_meanwhile)
        assert reader.read() == []
    assert reader.read() == [b"%d anew" % n for n in range(4, 9)]


def test_a_packed_file_of_another_generation_is_not_taken_for_the_one_that_is_read(tmp_path: Path) -> None:
    reader, path = Reader(tmp_path), tmp_path / "a.log"
    write(path, "# head", "1", "2", "3")
    reader.read()
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(path.read_bytes()))
    os.truncate(path, 0)
    write(path, "# head", "4", "5", "6")
    assert reader.read() == [b"# head", b"4", b"5", b"6"]
    assert reader.read() == []


def test_what_was_handed_on_is_there_after_a_cut_of_the_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a file that came back shorter than what was read of it would be taken for one written anew: rows twice."""
    synced, path, reader = [0], tmp_path / "a.log", Reader(tmp_path)
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size))
    for number in range(3):
        write(path, f"line {number}", f"another {number}")
        assert len(reader.read()) == 2
        os.truncate(path, synced[-1])  # what was not synced is gone
        assert reader.read() == []
    reader.read()
    assert len(synced) == 4  # nothing new, nothing to sync
