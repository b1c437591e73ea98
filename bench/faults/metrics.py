"""The figures of VERDICTS section 4 from rows of tries: each with its counts, its bound and its target (pure)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dashboards.bounds import lower, upper

from . import grouping
from .resample import resampled
from .score import GENERAL, ROUTE, UNKNOWN, Row

AT_MOST, AT_LEAST = "<=", ">="
BINS = 15
CERTAIN = 0.99
FAULT_NEEDED = 5  # a kind of fewer tries is shown and held to no target


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. A share has its counts; its bound is the one-sided 95 % one on the side that matters."""

    id: str
    name: str
    value: float | None
    n: int
    k: int | None = None
    side: str = AT_LEAST
    target: float | None = None
    bound: float | None = None
    bound_cases: float | None = None  # the same with a fault, and not a try, as what is drawn
    cases: int = 0
    note: str = ""

    @property
    def met(self) -> bool | None:
        """None: nothing was measured, or there is no target."""
        if self.value is None or self.target is None:
            return None
        return self.value <= self.target if self.side == AT_MOST else self.value >= self.target


def share(
    id: str, name: str, rows: Iterable[Row], hit: Callable[[Row], bool], side: str, target: float | None = None,
    note: str = "",
) -> Figure:  # fmt: skip
    """How many of these rows are so, bounded for tries and, as tries of one fault are not independent, for faults."""
    found = list(rows)
    k, n = sum(map(hit, found)), len(found)
    cases = len({_unit(row) for row in found})
    return counted(id, name, k, n, side, target, note, cases)


def _unit(row: Row) -> str:
    """What was drawn together with this try: its fault, else its run."""
    return (row.expected.fault if row.expected else "") or f"{row.world} {row.key[0]} {row.key[1]}"


def counted(
    id: str, name: str, k: int, n: int, side: str, target: float | None = None, note: str = "", cases: int = 0
) -> Figure:
    bound = upper if side == AT_MOST else lower
    return Figure(
        id, name, k / n if n else None, n, k, side, target,
        bound(k, n) if n else None,
        bound(k / n * cases, cases) if n and cases else None,
        cases, note,
    )  # fmt: skip


def _is_full(row: Row) -> bool:
    """A try of which no line is missing: by the world, never by what the product says of it."""
    return not row.cut and not any(name.startswith(("loss", "gap", "declared_gap", "late")) for name in row.confounders)


def _found(row: Row) -> bool:
    return row.said.culprit == ROUTE


def _of_the_route(rows: Iterable[Row]) -> list[Row]:
    """Tries whose fault was the route's, and the logs can tell."""
    told = [r for r in rows if r.expected is not None and r.expected.culprit == ROUTE]
    return [r for r in told if r.expected is not None and r.expected.blamed == ROUTE]


def figures(rows: Sequence[Row]) -> list[Figure]:
    """All figures that rows alone can tell."""
    return [
        *blame(rows), *coverage(rows), *causes(rows), *twins(rows), *unseen(rows), *calibration(rows), *confounded(rows),
        *groups(rows),
    ]  # fmt: skip


def blame(rows: Sequence[Row]) -> list[Figure]:
    """V1 to V3."""
    innocent = [r for r in rows if r.expected is None or r.expected.blamed not in (ROUTE, "")]
    guilty = [r for r in rows if r.expected is not None and r.expected.blamed == ROUTE]
    said = [r for r in rows if r.said.culprit == ROUTE]
    known = _of_the_route(rows)
    return [
        share("V1", "false blame: not the network, called so", innocent, lambda r: r.falsely_blamed, AT_MOST, 0.0025),
        share("V1u", "not the network, and no log tells more than unanswered", innocent, lambda r: r.honestly_blamed, AT_MOST),
        share("V2", "false clear: the network, called another's or acquitted", guilty,
              lambda r: r.falsely_cleared, AT_MOST, 0.005),
        share("V3p", "precision of route", said, _rightly, AT_LEAST, 0.995),
        share("V3r", "recall of route, no line missing", filter(_is_full, known), _found, AT_LEAST, 0.97,
              "unknown counts against it"),
        share("V3a", "recall of route, all", known, _found, AT_LEAST),
    ]  # fmt: skip


def _rightly(row: Row) -> bool:
    return row.expected is not None and (row.cause_right or row.expected.blamed == ROUTE)


def coverage(rows: Sequence[Row]) -> list[Figure]:
    """V4 and V5."""
    told = [r for r in rows if r.expected is not None]
    clear = [r for r in told if r.expected is not None and r.expected.identifiable]
    dark = [r for r in told if r.expected is not None and not r.expected.identifiable]
    blind = [r for r in rows if r.said.uncovered or (r.expected is not None and r.expected.cause == "no_data")]
    return [
        share("V4", "unknown where it can be told, no line missing", filter(_is_full, clear),
              lambda r: r.said.culprit == UNKNOWN and not r.culprit_right, AT_MOST, 0.03),
        share("V4n", "unknown where it cannot be told", dark, lambda r: r.culprit_right, AT_LEAST, 0.95),
        share("V5", "sure of the route over a gap", blind, _sure_of_route, AT_MOST, 0.0,
              "blamed, called the service's fault, or acquitted"),
    ]  # fmt: skip


def _sure_of_route(row: Row) -> bool:
    return row.said.culprit in (ROUTE, "service") or row.said.acquitted


def causes(rows: Sequence[Row]) -> list[Figure]:
    """V6 and V7."""
    clear = [r for r in rows if r.expected is not None and r.expected.identifiable]
    named = [r for r in clear if r.names_somebody]
    faults: dict[str, list[Row]] = defaultdict(list)
    for r in clear:
        if r.expected is not None and r.expected.fault:
            faults[r.expected.fault].append(r)
    found = sum(any(r.cause_right for r in of) for of in faults.values())
    return [
        share("V6", "cause, top 1", clear, lambda r: r.cause_right, AT_LEAST, 0.95),
        macro_f1(clear),
        weakest(clear),
        counted("V6c", "faults of which a try at least has the right cause", found, len(faults), AT_LEAST, cases=len(faults)),
        share("V7", "component, top 1", named, lambda r: r.component_right, AT_LEAST, 0.97,
              "the product names one component: Avg@5 is not measured"),
    ]  # fmt: skip


Counts = Counter[tuple[str, str]]  # (cause, "hit" | "said" | "true") -> tries


def _cause_counts(world: Iterable[Row]) -> Counts:
    out: Counts = Counter()
    for r in world:
        assert r.expected is not None
        said = r.expected.cause if r.cause_right else r.said.cause
        out[r.expected.cause, "true"] += 1
        out[said, "said"] += 1
        out[said, "hit"] += r.cause_right
    return out


def _macro(worlds: Sequence[Counts]) -> float | None:
    total: Counts = Counter()
    for one in worlds:
        total.update(one)
    names = [cause for cause, what in total if what == "true"]
    scores = [2 * total[c, "hit"] / (total[c, "true"] + total[c, "said"]) for c in names]
    return sum(scores) / len(scores) if scores else None


def macro_f1(clear: Sequence[Row]) -> Figure:
    worlds = [_cause_counts(found) for found in by_world(clear)]
    bound = resampled(worlds, _macro, highest=False)
    names = {r.expected.cause for r in clear if r.expected is not None}
    return Figure("V6f", "macro F1 over causes", _macro(worlds), len(clear), None, AT_LEAST, 0.93, bound,
                  note=f"{len(names)} causes")  # fmt: skip


def by_world(rows: Iterable[Row]) -> list[list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for r in rows:
        found[r.world].append(r)
    return [found[name] for name in sorted(found)]


def weakest(clear: Iterable[Row]) -> Figure:
    """The kind whose cause is found least often."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for r in clear:
        if r.expected is not None and r.expected.fault:
            kinds[r.expected.kind].append(r)
    many = {kind: found for kind, found in kinds.items() if len(found) >= FAULT_NEEDED}
    if not many:
        return Figure("V6k", "cause, weakest kind", None, 0, target=0.85)
    worst = min(many, key=lambda kind: (sum(r.cause_right for r in many[kind]) / len(many[kind]), kind))
    under = sorted(k for k, found in many.items() if sum(r.cause_right for r in found) < 0.85 * len(found))
    note = f"{worst}; under 0.85: {', '.join(under) or 'none'}, of {len(many)} kinds"
    return share("V6k", "cause, weakest kind", many[worst], lambda r: r.cause_right, AT_LEAST, 0.85, note)


def pairs_of_twins(rows: Iterable[Row]) -> dict[tuple[str, str], tuple[list[Row], list[Row]]]:
    """A kind and the one that looks most like it, with the tries of each that can be told."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    pairs = set()
    for r in rows:
        if r.expected is not None and r.expected.identifiable and r.expected.fault:
            kinds[r.expected.kind].append(r)
            if r.expected.twin:
                pairs.add((min(r.expected.kind, r.expected.twin), max(r.expected.kind, r.expected.twin)))
    return {(one, other): (kinds[one], kinds[other]) for one, other in sorted(pairs) if kinds[one] and kinds[other]}


def twins(rows: Iterable[Row]) -> list[Figure]:
    """V8: the pair of twins that is told apart worst; its culprit must be right, unknown is wrong."""
    pairs = {p: a + b for p, (a, b) in pairs_of_twins(rows).items() if min(len(a), len(b)) >= FAULT_NEEDED}
    name = "hard twins, weakest pair"
    if not pairs:
        return [Figure("V8", name, None, 0, target=0.97)]

    def right(pair: tuple[str, str]) -> float:
        return sum(r.culprit_right for r in pairs[pair]) / len(pairs[pair])

    under = [f"{a}/{b}" for a, b in pairs if right((a, b)) < 0.97]
    worst = min(pairs, key=lambda pair: (right(pair), pair))
    note = f"{worst[0]}/{worst[1]}; under 0.97: {', '.join(under) or 'none'}, of {len(pairs)} pairs"
    return [share("V8", name, pairs[worst], lambda r: r.culprit_right, AT_LEAST, 0.97, note)]


def unseen(rows: Iterable[Row]) -> list[Figure]:
    """V9: kinds that no split for tuning has."""
    new = [r for r in rows if r.expected is not None and r.expected.unseen]
    clear = [r for r in new if r.expected is not None and r.expected.identifiable]
    return [
        share("V9b", "unseen kinds: route or not", clear, _binary, AT_LEAST, 0.97),
        share("V9g", "unseen kinds: right, general, or unknown", new, lambda r: not _misnamed(r), AT_LEAST, 0.9),
        share("V9w", "unseen kinds: a wrong kind named", new, _misnamed, AT_MOST, 0.05),
    ]


def _binary(row: Row) -> bool:
    """Called the network's or not, as it is; unknown is neither, unless the logs tell no more."""
    known = row.said.culprit != UNKNOWN and row.expected is not None
    return row.cause_right or (known and (row.said.culprit == ROUTE) == (row.expected.culprit == ROUTE))  # type: ignore[union-attr]


def _misnamed(row: Row) -> bool:
    return not row.cause_right and row.said.culprit != UNKNOWN and row.said.cause not in GENERAL


def claims(rows: Iterable[Row]) -> list[Row]:
    """What the product said for certain enough to name somebody; of tries without a truth only what accuses."""
    return [
        r for r in rows
        if r.said.culprit != UNKNOWN and (r.expected is not None or r.said.culprit in (ROUTE, "service"))
    ]  # fmt: skip


def bin_of(confidence: float) -> int:
    return min(BINS - 1, max(0, int(confidence * BINS)))


def calibration(rows: Iterable[Row]) -> list[Figure]:
    """V11. A claim is right if its cause is."""
    said = claims(rows)
    worlds = [_binned(found) for found in by_world(said)]
    sure = [r for r in said if r.said.confidence >= CERTAIN]
    return [
        Figure("V11", f"calibration error, {BINS} bins", _ece(worlds), len(said), None, AT_MOST, 0.015,
               resampled(worlds, _ece, highest=True)),
        share("V11c", "claims of 99 % and more that are right", sure, lambda r: r.cause_right, AT_LEAST, 0.99),
    ]  # fmt: skip


Bins = list[tuple[int, float, int]]  # tries, sum of their confidences, right ones


def _binned(rows: Iterable[Row]) -> Bins:
    out: Bins = [(0, 0.0, 0)] * BINS
    for r in rows:
        place = bin_of(r.said.confidence)
        n, total, right = out[place]
        out[place] = (n + 1, total + r.said.confidence, right + r.cause_right)
    return out


def _ece(worlds: Sequence[Bins]) -> float | None:
    bins = [tuple(map(sum, zip(*same, strict=True))) for same in zip(*worlds, strict=True)]
    n = sum(one[0] for one in bins)
    return sum(abs(total - right) for _, total, right in bins) / n if n else None


LOSSES = ((0, 10, 0.99, 0.93), (10, 50, 0.99, 0.75))  # more than, up to so many % of the lines; precision, recall


def confounded(rows: Sequence[Row]) -> list[Figure]:
    """V14 and V15: the same figures where clocks are off or lines are lost."""
    out = []
    for over, upto, precision, recall in LOSSES:
        some = [r for r in rows if over < lost(r) <= upto]
        known = _of_the_route(some)
        said = [r for r in some if r.said.culprit == ROUTE]
        if some:
            what = f"up to {upto} % of the lines lost"
            out += [
                share(f"V15p {upto}", f"precision of route, {what}", said, _rightly, AT_LEAST, precision),
                share(f"V15r {upto}", f"recall of route, {what}", known, _found, AT_LEAST, recall),
            ]
    off = [r for r in rows if any(name.startswith("skew") for name in r.confounders)]
    innocent = [r for r in off if r.expected is None or r.expected.blamed not in (ROUTE, "")]
    if off:
        out.append(share("V14b", "false blame, clocks off", innocent, lambda r: r.falsely_blamed, AT_MOST, 0.005))
    return out


def lost(row: Row) -> int:
    """How many % of the lines of this try's world are lost."""
    return max(
        (int(name[5:]) for name in row.confounders if name.startswith("loss_") and name[5:].isdigit()), default=0
    )


def groups(rows: Sequence[Row]) -> list[Figure]:
    """V16 and V17."""
    worlds = by_world(rows)
    own = [grouping.right(world) for world in worlds]
    every = grouping.storms(rows)
    big = [s for s in every if s.tries >= grouping.STORM]
    tries = sum(s.tries for s in big)
    whole, alone = sum(s.tries for s in every), sum(s.incidents for s in every)
    best = (
        f"; over all {len(every)} faults {1 - alone / whole:.3f}, at best {1 - len(every) / whole:.3f}" if whole else ""
    )
    return [
        *_grouping("V16", "", worlds),
        *_grouping("V16r", ", of tries whose cause is right", own),
        _index("V16x", "grouping, adjusted Rand index, each fault alone", worlds, each_fault=True),
        counted("V17", f"noise cut in storms of {grouping.STORM} tries", tries - sum(s.incidents for s in big), tries,
                AT_LEAST, 0.99, f"{len(big)} storms{best}", len(big)),
        counted("V17n", "the same for messages of Airflow and F5", sum(s.messages - s.incidents for s in big),
                sum(s.messages for s in big), AT_LEAST, 0.99, "a mail for each failed try, a line of the BIG-IP each", len(big)),
        counted("V17s", "storms that have an incident of their cause", sum(s.kept for s in big), len(big), AT_LEAST, 1.0,
                "", len(big)),
        counted("V17k", "faults that have an incident of their cause", sum(s.kept for s in every), len(every), AT_LEAST, 1.0,
                "", len(every)),
    ]  # fmt: skip


def _index(
    id: str, name: str, worlds: Sequence[list[Row]], target: float | None = None, each_fault: bool = False
) -> Figure:
    found = [one for world in worlds if (one := grouping.rand_index(world, each_fault)) is not None]
    bound = resampled(found, grouping.mean_index, highest=False)
    tries = sum(n for _, n in found)
    return Figure(
        id, name, grouping.mean_index(found), tries, None, AT_LEAST, target, bound, note="mean over worlds by tries"
    )


def _grouping(id: str, of: str, worlds: Sequence[list[Row]]) -> list[Figure]:
    """The index, pairs wrongly merged and wrongly split, and those of faults that are one trouble by design."""
    pairs = [grouping.pairs(world) for world in worlds]
    said, true = sum(p.said for p in pairs), sum(p.true for p in pairs)
    merged, split = sum(p.merged_wrongly for p in pairs), sum(p.split for p in pairs)
    return [
        _index(id, f"grouping, adjusted Rand index{of}", worlds, 0.97),
        counted(f"{id}d", f"pairs in one incident, of two faults that are one trouble{of}", sum(p.again for p in pairs), said,
                AT_MOST, note="the same cause of one component within ten minutes is one incident"),
        counted(f"{id}m", f"pairs in one incident that are two troubles{of}", merged, said, AT_MOST, 0.005),
        counted(f"{id}s", f"pairs of one trouble in two incidents{of}", split, true, AT_MOST, 0.03),
    ]  # fmt: skip
