"""How well incidents are the faults: the adjusted Rand index, wrong merges, splits, and what is saved of a storm (pure)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from captures.score import ari

from .score import ROUTE, SERVICE, Row

STORM = 100  # tries of one fault from which on it is a storm


class Pairs(NamedTuple):
    """Pairs of tries of one world that have one incident, that have one fault, and that have both."""

    said: int
    true: int
    both: int

    @property
    def merged_wrongly(self) -> int:
        return self.said - self.both

    @property
    def split(self) -> int:
        return self.true - self.both


@dataclass(frozen=True, slots=True)
class Storm:
    """One fault: its tries, the incidents they are in (a try in none is alone), and whether one names its cause."""

    fault: str
    tries: int
    incidents: int
    kept: bool


def _grouped(rows: Iterable[Row]) -> list[tuple[str, object, Row]]:
    """(fault, incident) of every try that a fault of a route or a service hit, as far as the logs can tell."""
    found: list[tuple[str, object, Row]] = []
    for row in rows:
        if row.expected is not None and row.expected.fault and row.expected.culprit in (ROUTE, SERVICE):
            incident: object = row.key if row.said.incident is None else row.said.incident
            found.append((row.expected.fault, (row.world, incident), row))
    return found


def rand_index(world: Sequence[Row]) -> tuple[float, int] | None:
    """(adjusted Rand index, tries) of one world; None with fewer than two tries."""
    found = _grouped(world)
    index = ari([fault for fault, _, _ in found], [incident for _, incident, _ in found])
    return None if index is None else (float(index), len(found))


def mean_index(worlds: Sequence[tuple[float, int]]) -> float | None:
    """The mean over worlds, each as heavy as its tries: over all tries at once the index would be flattered."""
    tries = sum(number for _, number in worlds)
    return sum(index * number for index, number in worlds) / tries if tries else None


def pairs(world: Sequence[Row]) -> Pairs:
    found = _grouped(world)
    said = Counter(incident for _, incident, _ in found)
    true = Counter(fault for fault, _, _ in found)
    both = Counter((fault, incident) for fault, incident, _ in found)
    return Pairs(_two(said), _two(true), _two(both))


def _two(groups: Mapping[Any, int]) -> int:
    return sum(number * (number - 1) // 2 for number in groups.values())


def storms(rows: Iterable[Row]) -> list[Storm]:
    """Every fault of a route or a service that hit tries, in order of its name."""
    by_fault: dict[str, list[tuple[object, Row]]] = defaultdict(list)
    for fault, incident, row in _grouped(rows):
        by_fault[fault].append((incident, row))
    return [
        Storm(
            fault,
            len(found),
            len({incident for incident, _ in found}),
            any(row.cause_right and row.said.incident is not None for _, row in found),
        )
        for fault, found in sorted(by_fault.items())
    ]
