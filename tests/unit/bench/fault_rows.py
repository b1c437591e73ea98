"""Rows of the fault bench made by hand."""

from __future__ import annotations

from bench.faults import metrics
from bench.faults.score import Expected, Row, Said

NUMBER = iter(range(1_000_000))


def a_row(
    truth: str = "task",
    said: str = "task",
    *,
    cause: str = "",
    says: str = "",
    fault: str = "",
    kind: str = "A1",
    world: str = "w1",
    really: str = "",
    component: str = "",
    named: str = "",
    confidence: float = 0.9,
    incident: int | None = None,
    acquitted: bool = False,
    twin: str = "",
    unseen: bool = False,
    confounders: tuple[str, ...] = (),
    uncovered: bool = False,
    rule: str = "r",
    accepted: tuple[str, ...] = (),
    in_truth: bool = True,
    strict: bool = False,
    acted: tuple[float, float] | None = None,
    cut: bool = False,
) -> Row:
    """A try; the causes are named like the culprits where they are not given."""
    cause = cause or truth
    expected = Expected(
        truth,
        cause,
        frozenset({cause, *accepted}),
        component,
        "",
        really,
        kind,
        twin,
        unseen,
        f"{world}/{fault}" if fault else "",
        strict=strict,
        acted=acted,
    )
    answer = Said(said, says or said, named, "", confidence, acquitted, "final", incident, rule, uncovered=uncovered)
    return Row(
        world, ("dag", "run", "task", -1, next(NUMBER)), expected if in_truth else None, answer, confounders, cut=cut
    )


def figure(found: list[Row], id: str) -> metrics.Figure:
    return next(f for f in metrics.figures(found) if f.id == id)
