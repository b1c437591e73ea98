"""Groups that are one after all: nobody's try was hit for a while, but the component failed others all the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from ingest.incidents import extent, onset
from ingest.incidents.alike import REOPEN, WEAK
from ingest.incidents.groups import Group, merged, sequence

Key = tuple[int, str, str, frozenset[str], frozenset[datetime | None]]


def continued(groups: Sequence[Group], missing: Callable[[datetime, datetime], bool]) -> list[Group]:
    """The same trouble of the same component, hit again after longer than it takes to be a new incident, but never well
    in between. Three statements, none where no trouble comes twice.

    `missing` says whether requests of some time can be missing: nobody knows then that none went well. What nobody
    answered names no cause that could be the same.
    """
    alike: dict[Key, list[Group]] = defaultdict(list)
    for g in groups:
        if g.verdicts and g.cause != WEAK:
            explained = frozenset(i.part_of for i in g.verdicts)  # what a greater trouble did is not what came after it
            alike[g.first.group, g.first.place, g.cause, g.members, explained].append(g)
    pairs = [
        (a, b)
        for found in alike.values()
        for a, b in pairwise(found)
        if a.end is not None
        and b.verdicts[0].start - a.verdicts[-1].start <= extent.AHEAD
        and not missing(a.verdicts[-1].start, b.verdicts[0].start)
    ]
    if not pairs:
        return list(groups)
    windows = [(a.verdicts[-1].start, b.verdicts[0].start + extent.EDGE) for a, b in pairs]
    at = extent.targets([a for a, _ in pairs], windows)
    extent.count(at)
    into: dict[int, Group] = {}
    for (a, b), t, (start, end) in zip(pairs, at, windows, strict=True):
        if onset.kept_failing(t.counted(), start, end - extent.EDGE, REOPEN):
            into[id(b)] = a
    return sequence(_together(groups, into))


def _together(groups: Sequence[Group], into: dict[int, Group]) -> list[Group]:
    """Each group with those that continue it, however many follow one another."""
    parts: dict[int, list[Group]] = defaultdict(list)
    for g in groups:
        first = g
        while id(first) in into:
            first = into[id(first)]
        parts[id(first)].append(g)
    return [merged(found) for found in parts.values()]
