"""The latency histogram: fixed bounds, exact sums, quantiles that stay inside their bucket."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import histogram

TIMES = st.lists(st.integers(0, 3 * histogram.LAST_US), max_size=50)


def test_the_bounds_are_the_ones_that_stored_histograms_were_made_with() -> None:
    digest = hashlib.sha256(repr(histogram.BOUNDS).encode()).hexdigest()
    assert digest.startswith("7318574b0c68bc2e")


def test_there_are_eighty_buckets_from_1_ms_to_10_minutes() -> None:
    assert len(histogram.BOUNDS) == histogram.BUCKETS - 1 == 79
    assert (histogram.BOUNDS[0], histogram.BOUNDS[-1]) == (1_000, 600_000_000)
    assert list(histogram.BOUNDS) == sorted(set(histogram.BOUNDS))


@pytest.mark.parametrize(
    ("us", "number"), [(0, 0), (999, 0), (1_000, 1), (599_999_999, 78), (600_000_000, 79), (10**12, 79)]
)
def test_a_time_on_a_bound_belongs_to_the_bucket_it_begins(us: int, number: int) -> None:
    assert histogram.bucket(us) == number


@given(st.integers(0, 10**12))
def test_a_time_lies_between_the_bounds_of_its_bucket(us: int) -> None:
    low, high = histogram.bounds(histogram.bucket(us))
    assert low <= us and (high is None or us < high)


@given(TIMES, TIMES)
def test_merging_is_counting_together(one: list[int], other: list[int]) -> None:
    assert histogram.merge([histogram.of(one), histogram.of(other)]) == histogram.of(one + other)


def test_the_merge_of_nothing_is_empty() -> None:
    assert histogram.merge([]) == [0] * histogram.BUCKETS


@given(TIMES.filter(bool), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(times: list[int], q: float) -> None:
    found = histogram.quantile(histogram.of(times), q)
    assert found is not None
    true = sorted(times)[max(0, -int(-q * len(times) // 1) - 1)]
    low, high = histogram.bounds(histogram.bucket(true))
    assert low <= found and (high is None or found <= high)


def test_an_empty_histogram_has_no_quantile() -> None:
    assert histogram.quantile([0] * histogram.BUCKETS, 0.5) is None


def test_the_last_bucket_answers_with_its_beginning() -> None:
    assert histogram.quantile(histogram.of([histogram.LAST_US * 5]), 0.99) == histogram.LAST_US


def test_a_quantile_is_within_a_fifth_of_the_truth() -> None:
    rng = random.Random(7)
    times = [int(rng.lognormvariate(10, 1)) + 1_000 for _ in range(5_000)]
    for q in (0.5, 0.9, 0.99):
        true = sorted(times)[int(q * len(times)) - 1]
        assert histogram.quantile(histogram.of(times), q) == pytest.approx(true, rel=0.2)
