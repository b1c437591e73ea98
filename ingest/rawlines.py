"""Find a stored row's own line again, in the spool file it was read from."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

from ingest.models import SpoolFile

LINE_BITS = 40
LONGEST = 16 * 1024


def read(line_ids: Iterable[int]) -> dict[int, str]:
    """The raw lines of these ids; an id whose file is gone is left out."""
    wanted = sorted(set(line_ids))
    paths = dict(SpoolFile.objects.filter(pk__in={i >> LINE_BITS for i in wanted}).values_list("id", "path"))
    out: dict[int, str] = {}
    for line_id in wanted:
        path = paths.get(line_id >> LINE_BITS)
        text = _line(Path(path), line_id & ((1 << LINE_BITS) - 1)) if path else None
        if text is not None:
            out[line_id] = text
    return out


def _line(path: Path, offset: int) -> str | None:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            file.seek(offset)
            return file.readline(LONGEST).decode("utf-8", "replace").rstrip("\r\n")
    except OSError:
        return None
