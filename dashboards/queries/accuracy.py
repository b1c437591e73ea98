"""How often verdicts are right: what people said of them, and beside it what the bench measured on simulated faults."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airf5.accounts.roles import Scope
from dashboards.bounds import lower
from dashboards.fields import CULPRITS
from dashboards.queries import narrow
from dashboards.queries.database import reading
from dashboards.queries.rows import TryRow
from dashboards.queries.try_rows import try_row, with_verdicts
from ingest import models
from ingest.models import Review, Verdict
from ingest.rules import RULES_VERSION

# The summary of the newest run of the bench on its held-out part; tools/faultbench.py puts it here.
BENCH = Path(__file__).resolve().parents[1] / "data" / "faultbench.json"
BINS = 15  # of confidence, as VERDICTS V11 counts them
NEWEST = 20


@dataclass(frozen=True, slots=True)
class Share:
    """So many right of so many, and the share that the truth is above, one-sided with 95 %. None: none were counted."""

    right: int
    of: int
    share: float | None
    at_least: float | None


@dataclass(frozen=True, slots=True)
class RuleRow:
    """How often the answers of one rule are right."""

    rule: str
    versions: tuple[str, ...]  # of the rule set, of the reviewed answers
    reviews: Share
    simulated: Share


@dataclass(frozen=True, slots=True)
class CulpritRow:
    """How often one culprit is right, whatever the cause."""

    culprit: str
    reviews: Share
    instead: dict[str, int]  # what people said it was


@dataclass(frozen=True, slots=True)
class BinRow:
    """Verdicts of like confidence: how sure they were, and how often they were right."""

    low: float
    high: float
    said: float | None  # mean confidence of the reviewed ones
    reviews: Share
    simulated: Share


@dataclass(frozen=True, slots=True)
class BenchFigure:
    """One figure of VERDICTS section 4 as the bench measured it."""

    id: str
    name: str
    value: float | None
    bound: float | None  # one-sided 95 %
    n: int
    k: int | None  # None: the figure is no share
    side: str  # <= >=
    target: float | None
    met: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class Bench:
    """A run of the bench: simulated worlds that no rule was tuned on."""

    at: datetime
    split: str
    seed: int
    size: str
    cases: int
    tries: int
    rules_version: str
    bound: str
    figures: tuple[BenchFigure, ...]


@dataclass(frozen=True, slots=True)
class AccuracyPage:
    verdicts: int  # final ones there are
    reviewed: int  # of them; the newest word on each counts
    reviewers: int
    all: Share
    acquitted: Share  # the route was acquitted, and nobody said that it was the route
    culprits: tuple[CulpritRow, ...]
    rules: tuple[RuleRow, ...]
    calibration: tuple[BinRow, ...]  # bins that hold anything
    calibration_error: float | None  # expected, of the reviewed ones
    provisional: int  # reviews of answers that were not final, which are not counted
    rules_now: str  # the version of the rules that judge now
    bench: Bench | None
    bench_missing: str  # why there is none, in words
    newest: tuple[TryRow, ...]  # tries with the newest reviews, overturned ones first


@reading()
def accuracy(scope: Scope) -> AccuracyPage:
    found = _counted(scope)
    final = [one for one in found if one.answer["status"] == Verdict.Status.FINAL]
    bench, given, missing = _bench()
    bins = _calibration(final, given.get("calibration", []))
    acquitted = [one for one in final if one.answer["route_acquitted"]]
    return AccuracyPage(
        verdicts=Verdict.objects.filter(_mine(scope), status=Verdict.Status.FINAL).count(),
        reviewed=len(final), reviewers=len({one.author for one in final}), all=_share(final),
        acquitted=share(sum(one.culprit != "route" for one in acquitted), len(acquitted)),
        culprits=_culprits(final), rules=_rules(final, given.get("rules", [])), calibration=bins,
        calibration_error=_error(bins, len(final)), provisional=len(found) - len(final), bench=bench,
        rules_now=RULES_VERSION, bench_missing=missing, newest=_newest(found),
    )  # fmt: skip


def share(right: int, of: int) -> Share:
    return Share(right, of, right / of if of else None, lower(right, of) if of else None)


def _mine(scope: Scope) -> Any:
    return narrow.in_scope(scope, "try_row__")


def _counted(scope: Scope) -> list[Review]:
    """The newest word on each try that was not withdrawn."""
    stands = Review.objects.filter(_mine(scope), withdrawn_at=None)
    return list(stands.order_by("try_row", "-at", "-id").distinct("try_row"))


def _right(one: Review) -> bool:
    return one.says == Review.Says.CONFIRMED


def _share(found: Sequence[Review]) -> Share:
    return share(sum(map(_right, found)), len(found))


def _culprits(found: Sequence[Review]) -> tuple[CulpritRow, ...]:
    rows = []
    for name in CULPRITS:
        said = [one for one in found if one.answer["culprit"] == name]
        instead = Counter(one.culprit for one in said if one.culprit and one.culprit != name)
        rows.append(CulpritRow(name, share(len(said) - instead.total(), len(said)), dict(sorted(instead.items()))))
    return tuple(rows)


def _rules(found: Sequence[Review], simulated: Iterable[dict[str, Any]]) -> tuple[RuleRow, ...]:
    """Every rule that answered anything, by name."""
    given = {str(one["rule"]): (int(one["right"]), int(one["n"])) for one in simulated}
    by_rule: dict[str, list[Review]] = defaultdict(list)
    for one in found:
        by_rule[one.answer["rule"]].append(one)
    return tuple(
        RuleRow(
            rule, tuple(sorted({one.answer["rule_version"] for one in by_rule[rule]})), _share(by_rule[rule]),
            share(*given.get(rule, (0, 0))),
        )
        for rule in sorted({*by_rule, *given})
    )  # fmt: skip


def _calibration(found: Sequence[Review], simulated: Iterable[dict[str, Any]]) -> tuple[BinRow, ...]:
    by_bin: dict[int, list[Review]] = defaultdict(list)
    for one in found:
        by_bin[_bin(one.answer["confidence"])].append(one)
    given: Counter[int] = Counter()
    right: Counter[int] = Counter()
    for one in simulated:
        place = _bin((float(one["from"]) + float(one["to"])) / 2)
        given[place] += int(one["n"])
        right[place] += int(one["right"])
    rows = []
    for place in sorted({*by_bin, *(place for place in given if given[place])}):
        mine = by_bin[place]
        said = sum(one.answer["confidence"] for one in mine) / len(mine) if mine else None
        rows.append(BinRow(place / BINS, (place + 1) / BINS, said, _share(mine), share(right[place], given[place])))
    return tuple(rows)


def _bin(confidence: float) -> int:
    return min(BINS - 1, max(0, int(confidence * BINS)))


def _error(bins: Sequence[BinRow], count: int) -> float | None:
    """How far sureness and truth are apart, weighed by the number of reviews."""
    if not count:
        return None
    return sum(
        abs(row.said - row.reviews.share) * row.reviews.of
        for row in bins
        if row.said is not None and row.reviews.share is not None
    ) / count  # fmt: skip


def _newest(found: Sequence[Review]) -> tuple[TryRow, ...]:
    ids = [
        one.try_row_id for one in sorted(found, key=lambda one: (_right(one), -one.at.timestamp(), -one.pk))[:NEWEST]
    ]
    rows = {row.id: row for row in map(try_row, with_verdicts(models.Try.objects.filter(id__in=ids)))}
    return tuple(rows[ident] for ident in ids)


def _bench() -> tuple[Bench | None, dict[str, Any], str]:
    """The run, its file, and why there is none."""
    try:
        given = json.loads(BENCH.read_text(encoding="utf-8"))
        figures = tuple(
            BenchFigure(**{name: one[name] for name in BenchFigure.__dataclass_fields__}) for one in given["figures"]
        )
        plain = {name: given[name] for name in ("split", "seed", "size", "cases", "tries", "rules_version", "bound")}
        return Bench(at=datetime.fromisoformat(given["at"]), figures=figures, **plain), given, ""
    except FileNotFoundError:
        return None, {}, "This version was built without a result of the bench."
    except (OSError, ValueError, TypeError, KeyError):
        return None, {}, "The result of the bench that came with this version cannot be read."
