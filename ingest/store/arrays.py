"""Arrays as PostgreSQL reads them, for statements that take thousands of names at once.

psycopg writes any list whatever it holds, and looks at each element several times for that. What is known to be texts, or
numbers, is written here in one go; the statement says of what type it is (`%(names)s::text[]`).
"""

from __future__ import annotations

from collections.abc import Iterable


def texts(values: Iterable[str | None]) -> str:
    """An array of texts, or of anything that is read from a text."""
    quoted = (None if text is None else text.replace("\\", "\\\\").replace('"', '\\"') for text in values)
    return "{" + ",".join(["NULL" if text is None else f'"{text}"' for text in quoted]) + "}"


def numbers(values: Iterable[int | None]) -> str:
    """An array of whole numbers."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
