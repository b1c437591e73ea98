"""Many lines of ASCII as one block of bytes, asked in columns: eight bytes at a time, by numpy.

A place is a position in the block; every question takes an array of places and answers with an array of that length.
A block is best a few hundred kilobytes, which the processor's cache can hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = NDArray[np.uint64]

MOST_DIGITS = 8
_PAD = b"0" * 64  # so that what is asked for may begin before the first line and end after the last one
_ZEROS = 0x3030303030303030
# What of a word does not belong to a text of 0 to 8 bytes that ends with it
_BEFORE = np.array([(1 << 8 * (8 - length)) - 1 for length in range(9)], dtype=np.uint64)
_FILL = _BEFORE & np.uint64(_ZEROS)

assert sys.byteorder == "little", "words are read as they lie in memory"


class Block:
    """Lines, each ASCII and without NUL; a carriage return at the very end is no part of one."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.text = _PAD + b"\n".join(lines) + _PAD
        self._bytes = np.frombuffer(self.text, dtype=np.uint8)
        self._words: Words = np.ndarray((len(self.text) - 7,), dtype="<u8", buffer=self.text, strides=(1,))
        lengths = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))
        self.starts: Places = np.cumsum(lengths + 1) - lengths - 1 + len(_PAD)
        self.ends: Places = self.starts + lengths
        self.ends -= (lengths > 0) & (self._bytes[self.ends - 1] == ord("\r"))

    def quotes(self) -> tuple[Places, Places, Places]:
        """The places of all quotes, and of each line: the first one's number among them, and how many it has."""
        places: Places = np.flatnonzero(self._bytes == ord('"'))
        first = np.searchsorted(places, self.starts)
        return places, first, np.searchsorted(places, self.ends) - first

    def says(self, at: Places, literal: bytes) -> Flags:
        """Whether this literal (4 bytes or more) stands at these places."""
        size = len(literal)
        if size < 8:
            word, mask = int.from_bytes(literal, "little"), np.uint64((1 << 8 * size) - 1)
            return self._words[at] & mask == np.uint64(word)
        same: Flags = np.ones(len(at), dtype=np.bool_)
        for place in (*range(0, size - 8, 8), size - 8):
            word = int.from_bytes(literal[place : place + 8], "little")
            same &= self._words[at + place] == np.uint64(word)
        return same

    def is_blank(self, at: Places) -> Flags:
        """Whether a blank stands at these places."""
        return self._bytes[at] == ord(" ")

    def is_point(self, at: Places) -> Flags:
        """Whether a point stands at these places."""
        return self._bytes[at] == ord(".")

    def has_blank(self, start: Places, end: Places) -> Flags:
        """Whether a blank stands in these texts."""
        found: Flags = np.zeros(len(start), dtype=np.bool_)
        for place in range(0, int((end - start).max(initial=0)), 8):
            other = self._last_word(start, np.minimum(start + place + 8, end)) ^ np.uint64(0x2020202020202020)
            # The usual way to find a zero byte in a word
            zero = (other - np.uint64(0x0101010101010101)) & ~other & np.uint64(0x8080808080808080)
            found |= zero != 0
        return found

    def _last_word(self, start: Places, end: Places) -> Words:
        """The last eight bytes before `end`, those before `start` given as "0"."""
        size = np.clip(end - start, 0, 8)
        return (self._words[end - 8] & ~_BEFORE[size]) | _FILL[size]

    def numbers(self, start: Places, end: Places) -> tuple[Places, Flags]:
        """The values of these texts, and whether each is one: 1 to MOST_DIGITS digits and nothing else."""
        word = self._last_word(start, end)
        size = end - start
        high = np.uint64(0xF0F0F0F0F0F0F0F0)
        digits = (word & high == np.uint64(_ZEROS)) & (
            (word + np.uint64(0x0606060606060606)) & high == np.uint64(_ZEROS)
        )
        return _value(word), digits & (size > 0) & (size <= MOST_DIGITS)

    def texts(self, start: Places, end: Places) -> Iterator[bytes]:
        """The texts themselves."""
        text = self.text
        return (text[a:b] for a, b in zip(start.tolist(), end.tolist(), strict=True))


def _value(word: Words) -> Places:
    """Eight digits as a number: pairs, then fours, then all."""
    word = (word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    word = (word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return word.astype(np.int64)


class Codes(dict[Any, int]):
    """Numbers for what repeats, from 0 on in the order of first sight."""

    def __missing__(self, key: Any) -> int:
        code = self[key] = len(self)
        return code
