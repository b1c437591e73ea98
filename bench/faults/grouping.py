"""How well incidents are the faults: the adjusted Rand index, wrong merges, splits, and what is saved of a storm (pure).

The same cause of the same component within ten minutes is one incident (docs/incidents.md), so two faults that the logs
show as that are one *trouble* here. Pairs of tries of two such faults are counted apart. A try that was given no incident is
alone; what the grouping itself did is told by the tries whose cause is right (`right`), whom a wrong or missing verdict has
not put elsewhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from captures.score import ari

from .score import ROUTE, SERVICE, Row, short

STORM = 100  # tries of one fault from which on it is a storm
AGAIN_S = 600.0  # so soon after its end the same trouble is the same incident


class Pairs(NamedTuple):
    """Pairs of tries of one world that have one incident, that have one trouble, and that have both."""

    said: int
    true: int
    both: int
    again: int = 0  # of `both`: of two faults that are one trouble

    @property
    def merged_wrongly(self) -> int:
        return self.said - self.both

    @property
    def split(self) -> int:
        return self.true - self.both


@dataclass(frozen=True, slots=True)
class Storm:
    """One fault: its tries, the incidents they are in (a try in none is alone), and whether one names its cause.

    `messages`: a mail for each try that failed, and each line that the BIG-IP wrote about it.
    """

    fault: str
    tries: int
    incidents: int
    kept: bool
    messages: int = 0


def _grouped(rows: Iterable[Row]) -> list[tuple[str, object, Row]]:
    """(fault, incident) of every try that a fault of a route or a service hit, as far as the logs can tell."""
    found: list[tuple[str, object, Row]] = []
    for row in rows:
        if row.expected is not None and row.expected.fault and row.expected.culprit in (ROUTE, SERVICE):
            incident: object = row.key if row.said.incident is None else row.said.incident
            found.append((row.expected.fault, (row.world, incident), row))
    return found


def _shown(row: Row) -> tuple[str, str]:
    """Cause and component that the logs show of this try: of several that are as right the one that was said."""
    assert row.expected is not None
    if row.cause_right and row.component_right:
        return row.said.cause, short(row.said.component)
    return row.expected.cause, short(row.expected.component)


def _troubles(found: Sequence[tuple[str, object, Row]]) -> dict[str, str]:
    """By fault of one world: the first fault of its trouble. What a fault shows is what most of its tries can tell."""
    shown: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    acted: dict[str, tuple[float, float]] = {}
    for fault, _, row in found:
        assert row.expected is not None
        shown[fault][_shown(row)] += 1
        if row.expected.acted is not None:
            acted[fault] = row.expected.acted
    first = {fault: fault for fault in shown}
    last: dict[tuple[str, str], tuple[str, float]] = {}  # the trouble that this cause of this component is, and its end
    for fault in sorted(acted, key=lambda fault: (acted[fault], fault)):
        trouble = min(shown[fault], key=lambda one: (-shown[fault][one], one))
        start, end = acted[fault]
        known, until = last.get(trouble, (fault, end))
        first[fault] = known if trouble[1] and start - until <= AGAIN_S else fault
        last[trouble] = first[fault], max(end, until)
    return first


def right(world: Iterable[Row]) -> list[Row]:
    """Tries with an incident whose cause is right: what is wrong of these is the grouping's own doing."""
    return [row for row in world if row.cause_right and row.said.incident is not None]


def rand_index(world: Sequence[Row], each_fault: bool = False) -> tuple[float, int] | None:
    """(adjusted Rand index, tries) of one world; None with fewer than two tries. `each_fault`: each is a trouble of its own."""
    found = _grouped(world)
    trouble = {fault: fault for fault, _, _ in found} if each_fault else _troubles(found)
    index = ari([trouble[fault] for fault, _, _ in found], [incident for _, incident, _ in found])
    return None if index is None else (float(index), len(found))


def mean_index(worlds: Sequence[tuple[float, int]]) -> float | None:
    """The mean over worlds, each as heavy as its tries: over all tries at once the index would be flattered."""
    tries = sum(number for _, number in worlds)
    return sum(index * number for index, number in worlds) / tries if tries else None


def pairs(world: Sequence[Row]) -> Pairs:
    found = _grouped(world)
    said = Counter(incident for _, incident, _ in found)
    trouble = _troubles(found)
    true = Counter(trouble[fault] for fault, _, _ in found)
    both = _two(Counter((trouble[fault], incident) for fault, incident, _ in found))
    once = _two(Counter((fault, incident) for fault, incident, _ in found))
    return Pairs(_two(said), _two(true), both, both - once)


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
            _messages([row for _, row in found]),
        )
        for fault, found in sorted(by_fault.items())
    ]


def _messages(rows: Sequence[Row]) -> int:
    asked = [row.expected for row in rows if row.expected is not None]
    return sum(not one.slow for one in asked) + max((one.lines for one in asked), default=0)
