"""The lines of a piece of a file, in one block of bytes: cut only when somebody asks for one.

Millions of lines go by a day, and few are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Line = tuple[int, bytes]


class Lines(Sequence[Line]):
    """(byte offset in the file, line without its newline), in the order of the file.

    `text` holds the lines, line n from `starts[n]` to `ends[n]`; `offsets` are their places in the file.
    """

    def __init__(self, text: bytes, starts: Numbers, ends: Numbers, offsets: Numbers) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends
        self.offsets = offsets

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Lines:
        """These lines, where somebody has cut them already."""
        if isinstance(lines, Lines):
            return lines
        pairs = list(lines)
        raws = [raw for _, raw in pairs]
        sizes = np.fromiter(map(len, raws), np.int64, len(raws))
        ends = np.cumsum(sizes)
        offsets = np.fromiter((offset for offset, _ in pairs), np.int64, len(pairs))
        return cls(b"".join(raws), ends - sizes, ends, offsets)

    @classmethod
    def cut(cls, block: bytes, offset: int, most: int, longest: int) -> tuple[Lines, int]:
        """At most so many whole lines of a block that stands at this offset, and how many bytes they take up.

        Of a line that is longer than `longest` bytes, so many are kept.
        """
        newlines: Numbers = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))[:most]
        starts = np.concatenate((np.zeros(min(1, len(newlines)), dtype=np.int64), newlines[:-1] + 1))
        used = int(newlines[-1]) + 1 if len(newlines) else 0
        return cls(block, starts, np.minimum(newlines, starts + longest), starts + offset), used

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, place: int) -> Line: ...
    @overload
    def __getitem__(self, place: slice) -> Lines: ...
    def __getitem__(self, place: int | slice) -> Line | Lines:
        if isinstance(place, slice):
            return Lines(self.text, self.starts[place], self.ends[place], self.offsets[place])
        return int(self.offsets[place]), self.text[self.starts[place] : self.ends[place]]

    def __iter__(self) -> Iterator[Line]:
        text = self.text
        places = zip(self.offsets.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True)
        return ((offset, text[start:end]) for offset, start, end in places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list

    def at(self, offset: int) -> bytes | None:
        """The line at this offset of the file."""
        place = int(np.searchsorted(self.offsets, offset))
        return self[place][1] if place < len(self) and self.offsets[place] == offset else None

    def chosen(self, which: NDArray[np.bool_]) -> Lines:
        """Those lines for which `which` is true."""
        return Lines(self.text, self.starts[which], self.ends[which], self.offsets[which])

    def __add__(self, more: Sequence[Line]) -> Lines:
        return Lines.of([*self, *more])
