"""The bounds of a share: known values, and that they are exact by their own definition."""

from __future__ import annotations

import math

import pytest

from dashboards.bounds import beta_cdf, lower, upper


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (88, 88, 0.9665, 1.0),
        (10, 12, 0.5619, 0.96954),
        (1200, 1203, 0.99357, 0.99932),
        (5, 10, 0.2224, 0.7776),
        (3, 1200, 0.00068, 0.00645),
        (0, 100, 0.0, 0.0295),
        (1, 1, 0.05, 1.0),
        (0, 1, 0.0, 0.95),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(hits: int, of: int, low: float, high: float) -> None:
    assert lower(hits, of) == pytest.approx(low, abs=5e-5)
    assert upper(hits, of) == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(("hits", "of"), [(1, 3), (7, 9), (40, 60), (199, 200)])
def test_at_the_bound_so_many_hits_have_a_chance_of_one_in_twenty(hits: int, of: int) -> None:
    bound = lower(hits, of)
    chance = math.fsum(math.comb(of, n) * bound**n * (1 - bound) ** (of - n) for n in range(hits, of + 1))
    assert chance == pytest.approx(0.05, abs=1e-9) and bound < hits / of


def test_the_beta_function_agrees_with_the_binomial_sum() -> None:
    """P(X >= 3) of 10 at 0.2, summed by hand: 0.3222."""
    assert beta_cdf(0.2, 3, 8) == pytest.approx(0.32220, abs=1e-5)
    assert beta_cdf(0.8, 8, 3) == pytest.approx(1 - 0.32220, abs=1e-5)
