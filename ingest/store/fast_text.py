"""Texts of many ASCII lines at once: eight bytes at a time, in columns, by numpy.

A place is a position in the block; every question takes an array of places and answers with an array of that length.
Ask a few thousand lines at a time: what the cache of a processor can hold. No text may be longer than LONGEST.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = NDArray[np.uint64]

LONGEST = 60_000
MOST_DIGITS = 8
_PAD = b"0" * 64  # so that what is asked for may begin before the first line and end after the last one
_ZEROS = 0x3030303030303030
# What of a word does not belong to a text of 0 to 8 bytes that ends with it
_BEFORE = np.array([(1 << 8 * (8 - length)) - 1 for length in range(9)], dtype=np.uint64)
_FILL = _BEFORE & np.uint64(_ZEROS)
_FACTOR = np.uint64(secrets.randbits(64) | 1)  # nobody can prepare texts that share a hash
_SHIFT = np.uint64(29)
_AT_ONCE = 4_000  # texts: neighbours, whose lines the cache of a processor can hold

assert sys.byteorder == "little", "words are read as they lie in memory"


class Spans(NamedTuple):
    """Texts of a block: from `start` up to `end`."""

    start: Places
    end: Places

    def of(self, rows: Places | slice) -> Spans:
        """Some of them."""
        return Spans(self.start[rows], self.end[rows])


class Block:
    """One piece of memory with lines in it."""

    def __init__(self, text: bytes) -> None:
        self.text = b"".join((_PAD, text, _PAD))
        self._bytes = np.frombuffer(self.text, dtype=np.uint8)
        self._words: Words = np.ndarray((len(self.text) - 7,), dtype="<u8", buffer=self.text, strides=(1,))

    @staticmethod
    def places(positions: Places) -> Places:
        """Positions in the text that was given, as places."""
        return positions + len(_PAD)

    def foreign(self) -> Places:
        """Where a byte is not ASCII, or NUL."""
        if self.text.isascii() and b"\0" not in self.text:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero((self._bytes == 0) | (self._bytes > 127))

    def quotes(self, start: int, end: int) -> Places:
        """The places of all quotes from here to there."""
        return np.flatnonzero(self._bytes[start:end] == ord('"')) + start

    def letter(self, at: Places, letter: str) -> Flags:
        """Whether this letter stands at these places."""
        same: Flags = self._bytes[at] == ord(letter)
        return same

    def says(self, at: Places, literal: bytes) -> Flags:
        """Whether this literal (4 bytes or more) stands at these places."""
        size = len(literal)
        if size < 8:
            mask = np.uint64((1 << 8 * size) - 1)
            same: Flags = self._words[at] & mask == np.uint64(int.from_bytes(literal, "little"))
            return same
        same = np.ones(len(at), dtype=np.bool_)
        for place in (*range(0, size - 8, 8), size - 8):
            word = int.from_bytes(literal[place : place + 8], "little")
            same &= self._words[at + place] == np.uint64(word)
        return same

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
        size = np.minimum(np.maximum(end - start, 0), 8)
        word: Words = (self._words[end - 8] & ~_BEFORE[size]) | _FILL[size]
        return word

    def numbers(self, start: Places, end: Places) -> tuple[Places, Flags]:
        """The values of these texts, and whether each is one: 1 to MOST_DIGITS digits and nothing else."""
        word = self._last_word(start, end)
        size = end - start
        high, zeros = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(_ZEROS)
        digits = (word & high == zeros) & ((word + np.uint64(0x0606060606060606)) & high == zeros)
        return _value(word), digits & (size > 0) & (size <= MOST_DIGITS)

    def hashes(self, texts: Spans) -> Words:
        """A hash of each text."""
        found: Words = np.empty(len(texts.start), dtype=np.uint64)
        for cut in range(0, len(found), _AT_ONCE):
            part = slice(cut, cut + _AT_ONCE)
            found[part] = self._hashes(*texts.of(part))
        return found

    def _hashes(self, start: Places, end: Places) -> Words:
        order, steps = _steps(start, end)
        start, last = start[order], end[order] - 8
        some = (last - start).astype(np.uint64) ^ self._last_word(start, np.minimum(start, last) + 8)
        some *= _FACTOR
        some ^= some >> _SHIFT
        for place, first in steps:
            rest = some[first:]
            rest ^= self._words[np.minimum(start[first:] + place, last[first:])]
            rest *= _FACTOR
            rest ^= rest >> _SHIFT
        hashes = np.empty_like(some)
        hashes[order] = some
        return hashes

    def same(self, one: Spans, two: Spans) -> Flags:
        """Whether these texts are the same to the last byte, pair by pair."""
        found: Flags = one.end - one.start == two.end - two.start
        for cut in range(0, len(found), _AT_ONCE):
            part = slice(cut, cut + _AT_ONCE)
            found[part] &= self._same(one.start[part], one.end[part], two.start[part])
        return found

    def _same(self, start: Places, end: Places, other: Places) -> Flags:
        """Whether the texts that begin at `other`, as long as these, are the same."""
        order, steps = _steps(start, end)
        start, last, apart = start[order], end[order] - 8, (other - start)[order]
        ends = np.minimum(start, last) + 8
        differ = self._last_word(start, ends) ^ self._last_word(start + apart, ends + apart)
        for place, first in steps:
            at = np.minimum(start[first:] + place, last[first:])
            differ[first:] |= self._words[at] ^ self._words[at + apart[first:]]
        found: Flags = np.empty(len(order), dtype=np.bool_)
        found[order] = differ == 0
        return found

    def cut(self, texts: Spans) -> Iterator[bytes]:
        """The texts themselves."""
        text = self.text
        return (text[a:b] for a, b in zip(texts.start.tolist(), texts.end.tolist(), strict=True))

    def coded(self, texts: Spans, hashes: Words) -> tuple[list[bytes], Places, Flags]:
        """The different texts, which of them each one is, and whether that is certain.

        It is, but for two texts of one hash.
        """
        _, first, codes = np.unique(hashes, return_index=True, return_inverse=True)
        return list(self.cut(texts.of(first))), codes, self.same(texts, texts.of(first[codes]))


def _steps(start: Places, end: Places) -> tuple[Places, list[tuple[int, int]]]:
    """The order of texts by their size, and from which one on they go on at place 8, 16 and so on."""
    size = (end - start).astype(np.uint16)  # of which numpy sorts many in one go
    order = np.argsort(size, kind="stable")
    places = np.arange(8, int(size.max(initial=0)), 8)
    return order, list(zip(places.tolist(), np.searchsorted(size[order], places, side="right").tolist(), strict=True))


def _value(word: Words) -> Places:
    """Eight digits as a number: pairs, then fours, then all."""
    word = (word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    word = (word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return word.astype(np.int64)
