"""Texts of many ASCII lines at once, in columns, by numpy.

A place is a position in the block; every question takes an array of places and answers with an array of that length.
Ask a few thousand lines at a time: what the cache of a processor can hold. No text may be longer than LONGEST.

A text of `size` bytes, width <= size < 2 * width, is its first `width` bytes and its last `width` bytes. Both are fetched
whole, by one copy a row, which is far cheaper than to walk along the texts word by word; and nothing is ever read that
lies outside of a text.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Words = NDArray[np.uint64]
Rows = Places | slice

LONGEST = 60_000
MOST_DIGITS = 8
_LEAST = 256  # bytes of a block: what is asked of a line that is no line of the template may reach a little behind it
_ALL = slice(None)
_AT_ONCE = 4_000  # texts: neighbours, whose lines the cache of a processor can hold
_ZEROS = np.uint64(0x3030303030303030)
_HIGH = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIXES = np.uint64(0x0606060606060606)
_ONES, _TOPS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_POINT = np.uint64((ord(".") ^ ord("0")) << 8)
_ROUNDS = 4


def _odd(number: int) -> Words:
    return np.frombuffer(secrets.token_bytes(8 * number), dtype=np.uint64) | np.uint64(1)


# Nobody can prepare texts that share a hash; odd, so that two texts that differ in one word never do
_FACTORS = _odd(LONGEST // 4)
_SPREAD = _odd(_ROUNDS)
_OF_SIZE = _odd(1)[0]

assert sys.byteorder == "little", "words are read as they lie in memory"


class Spans(NamedTuple):
    """Texts of a block: from `start` up to `end`."""

    start: Places
    end: Places

    def of(self, rows: Rows | Flags) -> Spans:
        """Some of them."""
        return Spans(self.start[rows], self.end[rows])


class Block:
    """One piece of memory with lines in it."""

    def __init__(self, text: bytes) -> None:
        self.text = text if len(text) >= _LEAST else text + b" " * _LEAST
        self._bytes = np.frombuffer(self.text, dtype=np.uint8)
        self._words: Words = self._wide(8, "<u8")

    def _wide(self, width: int, kind: str = "") -> NDArray[Any]:
        """The `width` bytes from each place on."""
        size = len(self.text) - width + 1
        return np.ndarray((size,), dtype=kind or f"V{width}", buffer=self.text, strides=(1,))

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
        same = self._words[at] == np.uint64(int.from_bytes(literal[:8], "little"))
        for place in (min(place, size - 8) for place in range(8, size, 8)):
            word = int.from_bytes(literal[place : place + 8], "little")
            same &= self._words[at + place] == np.uint64(word)
        return same

    def first(self, letter: str, texts: Spans, most: int) -> Places:
        """Where this letter stands first in each text, looked for in its first `most` bytes; its end where it does not.

        The letter must not be "0".
        """
        found, rows, (start, end) = texts.end.copy(), np.arange(len(texts.end)), texts
        sought = np.uint64(int.from_bytes(letter.encode() * 8, "little"))
        for place in range(0, most, 8):
            some = start + place < end
            if not some.all():
                rows, start, end = rows[some], start[some], end[some]
            if not len(rows):
                break
            upto = np.minimum(start + place + 8, end)
            zero = _zero_bytes(self._last_word(start, upto) ^ sought)
            there = np.flatnonzero(zero)
            if len(there):
                lowest = zero[there] & (~zero[there] + np.uint64(1))
                found[rows[there]] = upto[there] - 8 + (np.bitwise_count(lowest - np.uint64(1)) >> 3)
                some = zero == 0
                rows, start, end = rows[some], start[some], end[some]
        return found

    def has_blank(self, texts: Spans) -> Flags:
        """Whether a blank stands in these texts."""
        start, end = texts
        found: Flags = np.zeros(len(start), dtype=np.bool_)
        for place in range(0, int((end - start).max(initial=0)), 8):
            word = self._last_word(start, np.minimum(start + place + 8, end))
            found |= _zero_bytes(word ^ np.uint64(0x2020202020202020)) != 0
        return found

    def has_blank_in(self, start: Places, size: int) -> Flags:
        """Whether a blank stands in the first `size` bytes from these places on; 32 of them have to be there."""
        words = self._wide(32)[start].view("<u8").reshape(-1, 4) ^ np.uint64(0x2020202020202020)
        beyond = np.frombuffer(bytes(size) + b"\xff" * (32 - size), dtype=np.uint64)
        zero = _zero_bytes(words | beyond)
        found: Flags = np.zeros(len(start), dtype=np.bool_)
        found[np.flatnonzero(zero) // 4] = True
        return found

    def _last_word(self, start: Places, end: Places) -> Words:
        """The last eight bytes before `end`, those before `start` given as "0"."""
        unused = (np.maximum(8 - (end - start), 0) << 3).astype(np.uint64)
        word: Words = (((self._words[end - 8] ^ _ZEROS) >> unused) << unused) ^ _ZEROS
        return word

    def numbers(self, texts: Spans) -> tuple[Places, Flags]:
        """The values of these texts, and whether each is one: 1 to MOST_DIGITS digits and nothing else."""
        word, size = self._last_word(*texts), texts.end - texts.start
        return _value(word), _digits(word) & (size > 0) & (size <= MOST_DIGITS)

    def instants(self, texts: Spans) -> tuple[Places, Places, Flags]:
        """Seconds, microseconds, and whether the text is one: ten digits, a point, six digits.

        Of other texts (of 17 bytes at least) it gives numbers that mean nothing, the same ones for the same text.
        """
        start, end = texts
        early, late = self._words[start], self._words[start + 9] ^ _POINT
        ninth, tenth = self._bytes[start + 8], (late & np.uint64(0xFF)).astype(np.int64) - ord("0")
        good = (end - start == 17) & _digits(early) & (ninth - ord("0") <= 9) & _digits(late)
        good &= late & np.uint64(0xFF00) == np.uint64(0x3000)
        seconds = _value(early) * 100 + (ninth.astype(np.int64) - ord("0")) * 10 + tenth
        return seconds, _value(late) - tenth * 10_000_000, good

    def same(self, one: Spans, two: Spans) -> Flags:
        """Whether these texts are the same to the last byte, pair by pair."""
        found: Flags = one.end - one.start == two.end - two.start
        for cut in range(0, len(found), _AT_ONCE):
            part = slice(cut, cut + _AT_ONCE)
            rows = np.flatnonzero(found[part]) + cut
            found[rows] = self._same(one.of(rows), two.of(rows))
        return found

    def _same(self, one: Spans, two: Spans) -> Flags:
        """The same of texts of the same size."""
        found: Flags = np.ones(len(one.start), dtype=np.bool_)
        for rows, width in _widths(one.end - one.start):
            parts = zip(self._ends(one.of(rows), width), self._ends(two.of(rows), width), strict=True)
            for mine, theirs in parts:
                found[rows] &= _equal(mine, theirs)
        return found

    def _ends(self, texts: Spans, width: int) -> tuple[NDArray[Any], ...]:
        """The first and the last bytes of each of these texts, which together are the text; see `_widths`."""
        if not width:
            return (self._last_word(*texts).view("V8"),)
        wide = self._wide(width)
        return wide[texts.start], wide[texts.end - width]

    def cut(self, texts: Spans) -> Iterator[bytes]:
        """The texts themselves."""
        return map(self.text.__getitem__, map(slice, texts.start.tolist(), texts.end.tolist()))

    def coded(self, texts: Spans) -> tuple[Places, Places]:
        """The rows of different texts, and for each row which of these texts it has, counted from 0."""
        first = np.empty(len(texts.start), dtype=np.int64)
        for rows, width in _widths(texts.end - texts.start):
            found = self._first_of_each(texts.of(rows), width)
            first[rows] = found if isinstance(rows, slice) else rows[found]
        return numbered(first, len(first))

    def _first_of_each(self, texts: Spans, width: int) -> Places:
        """For each row a row with the same text, the same one for all of these.

        A hash says which row that may be; that it is, their bytes say.
        """
        size, ends = texts.end - texts.start, self._ends(texts, width)
        hashes = _hashes(ends, size)
        found, left = np.empty(len(size), dtype=np.int64), np.arange(len(size))
        bits = len(size).bit_length() + 2
        table = np.empty(1 << bits, dtype=np.int64)
        for factor in _SPREAD:
            slot = (hashes[left] * factor) >> np.uint64(64 - bits)
            table[slot] = left
            first = table[slot]
            same = size[first] == size[left]
            for end in ends:
                same &= _equal(end[first], end[left])
            if same.all():
                found[left] = first
                return found
            found[left[same]] = first[same]
            left = left[~same]
        known: dict[bytes, int] = {}
        rows = left.tolist()
        found[left] = [known.setdefault(text, row) for row, text in zip(rows, self.cut(texts.of(left)), strict=True)]
        return found


def numbered(values: Places, size: int) -> tuple[Places, Places]:
    """The different values (from 0 up to `size`) in order, and the place of each value among them."""
    there = np.zeros(size, dtype=np.bool_)
    there[values] = True
    different = np.flatnonzero(there)
    place = np.empty(size, dtype=np.int64)
    place[different] = np.arange(len(different))
    return different, place[values]


def _widths(size: Places) -> Iterator[tuple[Rows, int]]:
    """Rows of texts and a width, at least half as wide as each of them and no wider; 0 for texts of less than 8 bytes."""
    if not len(size):
        return
    low, high = (1 << number.bit_length() >> 1 for number in (int(size.min()) | 4, int(size.max()) | 4))
    if low == high:
        yield _ALL, low if low >= 8 else 0
        return
    while low <= high:
        rows = np.flatnonzero((size < 2 * low) & (size >= (low if low >= 8 else 0)))
        if len(rows):
            yield rows, low if low >= 8 else 0
        low *= 2


def _hashes(ends: tuple[NDArray[Any], ...], size: Places) -> Words:
    hashes: Words = size.astype(np.uint64) * _OF_SIZE
    used = 0
    for end in ends:
        words = end.view("<u8").reshape(len(size), -1)
        hashes += words @ _FACTORS[used : used + words.shape[1]]
        used += words.shape[1]
    return hashes ^ (hashes >> np.uint64(32))


def _equal(one: NDArray[Any], two: NDArray[Any]) -> Flags:
    """Whether these rows of bytes are the same, one by one."""
    found: Flags = np.ones(len(one), dtype=np.bool_)
    differ = one.view("<u8") != two.view("<u8")
    if differ.any():
        found[np.flatnonzero(differ) // (one.itemsize // 8)] = False
    return found


def _zero_bytes(word: Words) -> Words:
    """The usual way to find zero bytes in words: not 0 where there are some, and the lowest bit marks the first."""
    found: Words = (word - _ONES) & ~word & _TOPS
    return found


def _digits(word: Words) -> Flags:
    good: Flags = (word & _HIGH == _ZEROS) & ((word + _SIXES) & _HIGH == _ZEROS)
    return good


def _value(word: Words) -> Places:
    """Eight digits as a number: pairs, then fours, then all."""
    word = (word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561) >> np.uint64(8)
    word = (word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601) >> np.uint64(16)
    word = (word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001) >> np.uint64(32)
    return word.astype(np.int64)
