"""The device's own messages behind line ids: what a detail row, a half and a digest are made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from ingest.lines import Lines
from ingest.parsers.f5_header import clean, split_spool

# As our receivers write a line, before a line of airf5/1: the time of receipt, of which the second alone repeats
_RECEIVED = re.compile(r'([0-9-]{10}T[0-9:]{8})\.[0-9]{6}Z ([^ ]+) (?=airf5=")')


@lru_cache(maxsize=4096)
def _is_received(second: str, sender: str) -> bool:
    return split_spool(f'{second}.000000Z {sender} airf5="1"') is not None


def _message(line: str) -> str:
    """The device's own message in a line."""
    match = _RECEIVED.match(line)
    if match is not None and _is_received(match[1], match[2]):
        return line[match.end() :]
    spool = split_spool(line)
    return spool.message if spool else line


class Messages:
    """The messages behind line ids: of this batch, and of the halves that waited."""

    def __init__(self, file_id: int, lines: Lines, waited: dict[int, str]) -> None:
        self._base = file_id << 40
        self._lines = lines
        self._waited = waited  # and, later, what was asked for

    def line(self, line_id: int) -> str | None:
        """The whole spool line of this batch."""
        raw = self._lines.at(line_id - self._base)
        return None if raw is None else clean(raw.decode("utf-8", "replace"))

    def add(self, lines: Mapping[int, bytes]) -> None:
        """Take lines of this batch, by their ids, that somebody has at hand."""
        self._waited.update((pk, _message(clean(raw.decode("utf-8", "replace")))) for pk, raw in lines.items())

    def __getitem__(self, line_id: int) -> str:
        """The device's own message."""
        found = self._waited.get(line_id)
        if found is None:  # asked for again by the detail row
            found = self._waited[line_id] = _message(self.line(line_id) or "")
        return found

    def received_at(self, line_id: int) -> datetime | None:
        spool = split_spool(self.line(line_id) or "")
        return spool.received if spool else None
