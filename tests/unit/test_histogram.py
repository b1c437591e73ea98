"""The latency histogram: fixed bounds, exact sums, quantiles that stay inside their bucket."""

from __future__ import annotations

import hashlib

import pytest

from ingest import histogram


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


def test_the_merge_of_nothing_is_empty() -> None:
    assert histogram.merge([]) == [0] * histogram.BUCKETS


def test_an_empty_histogram_has_no_quantile() -> None:
    assert histogram.quantile([0] * histogram.BUCKETS, 0.5) is None


def test_the_last_bucket_answers_with_its_beginning() -> None:
    assert histogram.quantile(histogram.of([histogram.LAST_US * 5]), 0.99) == histogram.LAST_US
