"""How far a figure that is no share can be off: whole worlds drawn with return, the same draws each time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from dashboards.bounds import SURE

RESAMPLES = 400

T = TypeVar("T")


def resampled(worlds: Sequence[T], of: Callable[[Sequence[T]], float | None], highest: bool) -> float | None:
    """The 95 % bound of a figure that is no share: worlds drawn with return, the same ones each time; None with one."""
    if len(worlds) < 2:
        return None
    rng = random.Random(95)
    found = sorted(value for _ in range(RESAMPLES) if (value := of(rng.choices(worlds, k=len(worlds)))) is not None)
    if not found:
        return None
    place = math.ceil(SURE * len(found)) - 1 if highest else math.floor((1 - SURE) * len(found))
    return found[place]
