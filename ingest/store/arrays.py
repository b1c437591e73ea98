"""Arrays as PostgreSQL reads them, for statements that take thousands of names at once.

psycopg writes any list whatever it holds, and looks at each element several times for that. What is known to be texts, or
numbers, is written here in one go; the statement says of what type it is (`%(names)s::text[]`).
"""

from __future__ import annotations

from collections.abc import Iterable


def texts(values: Iterable[str]) -> str:
    """An array of texts, or of anything that is read from a text."""
    found = list(values)
    if not found:
        return "{}"
    joined = '","'.join(found)
    if "\\" in joined or joined.count('"') != 2 * (len(found) - 1):
        joined = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in found])
    return f'{{"{joined}"}}'


def numbers(values: Iterable[int]) -> str:
    """An array of whole numbers."""
    return "{" + ",".join(map(str, values)) + "}"
