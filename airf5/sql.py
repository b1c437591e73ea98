"""The text of a statement by its name: each lives in a file NAME.sql in some app's sql/ folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def load(name: str) -> str:
    """The statement in NAME.sql; KeyError where no app has it, or two have."""
    found = sorted(ROOT.glob(f"*/sql/{name}.sql"))
    if len(found) != 1:
        raise KeyError(f"{len(found)} files are called {name}.sql")
    return found[0].read_text(encoding="utf-8")
