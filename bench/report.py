"""Figures and how they are printed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured number, with the goal it is held to ("" for none)."""

    name: str
    value: float
    unit: str
    goal: str = ""


def fastest(rounds: int, step: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return min(times)


def table(figures: list[Figure]) -> str:
    """One line per figure."""
    width = max((len(figure.name) for figure in figures), default=0)
    lines = []
    for name, value, unit, goal in figures:
        number = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.3g}"
        lines.append(f"{name:<{width}}  {number:>12} {unit:<9}  {goal}".rstrip())
    return "\n".join(lines)
