"""The bound of a share: known values, and that it is exact by its own definition."""

from __future__ import annotations

import pytest

from dashboards.bounds import at_least, chance


@pytest.mark.parametrize(
    ("hits", "of", "expected"),
    [(88, 88, 0.9665), (10, 12, 0.5619), (1200, 1203, 0.99357), (5000, 10_000, 0.49173), (1, 1, 0.05), (0, 7, 0.0)],
)
def test_known_bounds(hits: int, of: int, expected: float) -> None:
    assert at_least(hits, of) == pytest.approx(expected, abs=5e-5)


def test_none_were_counted() -> None:
    assert at_least(0, 0) is None


@pytest.mark.parametrize(("hits", "of"), [(1, 3), (7, 9), (40, 60), (199, 200)])
def test_at_the_bound_so_many_hits_have_a_chance_of_one_in_twenty(hits: int, of: int) -> None:
    bound = at_least(hits, of)
    assert bound is not None
    assert chance(hits, of, bound) == pytest.approx(0.05, abs=1e-9)
    assert bound < hits / of
