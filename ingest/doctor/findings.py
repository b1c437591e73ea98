"""What a check found: a level, a sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

OK, WARN, FAIL = "ok", "warn", "fail"
LEVELS = (OK, WARN, FAIL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `todo` is empty where nothing is to be done; `seconds` is how long it took."""

    level: str
    subject: str
    sentence: str
    todo: str = ""
    section: str = ""
    seconds: float | None = None

    def told(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def worst(found: Iterable[Finding]) -> str:
    """The worst level of all."""
    return max((one.level for one in found), key=LEVELS.index, default=OK)


def counted(found: Iterable[Finding]) -> str:
    """`12 ok, 2 warnings, 1 failure` in words."""
    counts = dict.fromkeys(LEVELS, 0)
    for one in found:
        counts[one.level] += 1
    words = {WARN: ("warning", "warnings"), FAIL: ("failure", "failures")}
    parts = [f"{counts[OK]} ok"]
    parts += [f"{counts[level]} {words[level][counts[level] != 1]}" for level in (WARN, FAIL) if counts[level]]
    return ", ".join(parts)
