"""SQL lives in files: one statement each, opened by a comment of what it returns and which index it needs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "ingest" / "sql", ROOT / "dashboards" / "sql")


@cache
def load(name: str) -> str:
    """The text of the statement with this name, from the one sql/ folder that holds it."""
    found = [path for folder in FOLDERS if (path := folder / f"{name}.sql").is_file()]
    if len(found) != 1:
        raise LookupError(f"There are {len(found)} files {name}.sql in " + " and ".join(map(str, FOLDERS)))
    return found[0].read_text("utf-8")
