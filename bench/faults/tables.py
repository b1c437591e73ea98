"""The tables beside the figures: by kind, by confounder, by link, by rule, calibration and confusions (pure)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .metrics import BINS, bin_of, claims, pairs_of_twins
from .score import ROUTE, UNKNOWN, Row

Table = list[dict[str, Any]]
MOST_WRONG = 60  # single answers that a results file keeps


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """What is counted for every group of rows."""
    told = [r for r in rows if r.expected is not None]
    clear = [r for r in told if r.expected is not None and r.expected.identifiable]
    named = [r for r in clear if r.names_somebody]
    return {
        "n": len(told),
        "outside": len(rows) - len(told),
        "can_be_told": len(clear),
        "culprit_right": sum(r.culprit_right for r in clear),
        "cause_right": sum(r.cause_right for r in clear),
        "component_named": len(named),
        "component_right": sum(r.component_right for r in named),
        "unknown": sum(r.said.culprit == UNKNOWN and not r.culprit_right for r in clear),
        "said_blindly": sum(not r.culprit_right for r in told if r.expected and not r.expected.identifiable),
        "false_blame": sum(r.falsely_blamed for r in rows),
        "false_clear": sum(r.falsely_cleared for r in rows),
    }


def _by(rows: Iterable[Row], name: str, groups: Callable[[Row], Iterable[str]]) -> Table:
    found: dict[str, list[Row]] = defaultdict(list)
    for r in rows:
        for group in groups(r):
            found[group].append(r)
    return [{name: group, **counts(found[group])} for group in sorted(found, key=_natural)]


def _natural(name: str) -> tuple[str, int, str]:
    """N2 before N10."""
    digits = "".join(c for c in name if c.isdigit())
    return name[:1], int(digits) if digits and len(name) <= 4 else 0, name


def by_kind(rows: Iterable[Row]) -> Table:
    return _by(rows, "kind", lambda r: [r.expected.kind] if r.expected else ["not in the truth"])


def by_confounder(rows: Iterable[Row]) -> Table:
    return _by(rows, "confounder", lambda r: r.confounders or ("none",))


def by_link(rows: Iterable[Row]) -> Table:
    """By how the deciding request is joined to the try."""
    return _by(rows, "link", lambda r: [r.said.link])


def by_rule(rows: Iterable[Row]) -> Table:
    """How often each rule was right in its cause, of what it said with a name; and where it only says unknown."""
    out = []
    found: dict[str, list[Row]] = defaultdict(list)
    for r in rows:
        found[r.said.rule].append(r)
    for rule in sorted(found):
        said = claims(found[rule])
        quiet = [r for r in found[rule] if r.said.culprit == UNKNOWN and r.expected is not None]
        out.append(
            {
                "rule": rule,
                "n": len(said),
                "right": sum(r.cause_right for r in said),
                "culprit_right": sum(r.culprit_right for r in said),
                "unknown": len(quiet),
                "unknown_right": sum(r.culprit_right for r in quiet),
            }
        )
    return out


def by_twins(rows: Iterable[Row]) -> Table:
    """How often each kind of a pair was told from its twin."""
    return [
        {
            "pair": f"{one}/{other}",
            "n": len(a) + len(b),
            "right": sum(r.culprit_right for r in a + b),
            "first": [sum(r.culprit_right for r in a), len(a)],
            "second": [sum(r.culprit_right for r in b), len(b)],
        }
        for (one, other), (a, b) in pairs_of_twins(rows).items()
    ]


def calibration(rows: Iterable[Row]) -> Table:
    """For each span of confidence, how many claims were made and how many were right; empty spans are left out."""
    bins: dict[int, list[Row]] = defaultdict(list)
    for r in claims(rows):
        bins[bin_of(r.said.confidence)].append(r)
    return [
        {
            "from": round(place / BINS, 4),
            "to": round((place + 1) / BINS, 4),
            "n": len(found),
            "right": sum(r.cause_right for r in found),
            "said": round(sum(r.said.confidence for r in found) / len(found), 4),
        }
        for place, found in sorted(bins.items())
    ]


def confusion(rows: Iterable[Row], of: str) -> dict[str, dict[str, int]]:
    """expected -> said -> tries; `of` is "culprit" or "cause". A cause that is accepted counts as the one expected."""
    out: dict[str, Counter[str]] = defaultdict(Counter)
    for r in rows:
        truth = getattr(r.expected, of) if r.expected is not None else "no verdict needed"
        said = truth if of == "cause" and r.cause_right else getattr(r.said, of) or "none"
        out[truth][said] += 1
    return {truth: dict(said.most_common()) for truth, said in sorted(out.items())}


def wrong(rows: Iterable[Row]) -> list[Row]:
    """The answers that are wrong, the worst first: false blame, false clear, another wrong name, unknown for nothing."""

    def badness(r: Row) -> int:
        if r.falsely_blamed:
            return 0
        if r.falsely_cleared:
            return 1
        return 3 if r.said.culprit == UNKNOWN else 2

    found = [r for r in rows if (r.falsely_blamed if r.expected is None else _is_wrong(r))]
    return sorted(found, key=lambda r: (badness(r), r.world, r.key))


def _is_wrong(row: Row) -> bool:
    assert row.expected is not None
    return not row.cause_right if row.expected.identifiable else not row.culprit_right


def few_of_each(rows: Sequence[Row], most: int = MOST_WRONG) -> list[Row]:
    """Of wrong answers, one of each sort before a second one of any."""
    seen: Counter[tuple[str, ...]] = Counter()
    ranked = []
    for place, r in enumerate(rows):
        sort = (r.expected.kind if r.expected else "", r.said.cause, r.said.rule)
        ranked.append((seen[sort], place, r))
        seen[sort] += 1
    return [r for _, _, r in sorted(ranked, key=lambda one: one[:2])[:most]]


def baselines(rows: Sequence[Row]) -> Table:
    """What other rules say of the same tries, beside ours: their blame, clearing, precision and recall of the route."""
    names = sorted({name for r in rows for name in r.others})
    return [_binary("airf5", rows, lambda r: r.said.culprit)] + [
        _binary(name, rows, lambda r, name=name: r.others.get(name, UNKNOWN))  # type: ignore[misc]
        for name in names
    ]


def _binary(name: str, rows: Sequence[Row], of: Callable[[Row], str]) -> dict[str, Any]:
    known = [(r.expected.blamed if r.expected else "task", of(r)) for r in rows]
    innocent = [said for truth, said in known if truth not in (ROUTE, "")]
    guilty = [said for truth, said in known if truth == ROUTE]
    blamed = [truth for truth, said in known if said == ROUTE and truth]
    return {
        "name": name,
        "innocent": len(innocent),
        "false_blame": sum(said == ROUTE for said in innocent),
        "guilty": len(guilty),
        "false_clear": sum(said not in (ROUTE, UNKNOWN) for said in guilty),
        "found": sum(said == ROUTE for said in guilty),
        "said_route": len(blamed),
        "right": sum(truth == ROUTE for truth in blamed),
        "unknown": sum(said == UNKNOWN for _, said in known),
        "of": len(known),
    }
