"""The watch on minutes: chances, what is usual, what is found, what is not, and a slice of its simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bench import latency_watch as bench
from ingest import histogram
from ingest.watch import series, usual
from ingest.watch.chance import Spread, beyond, moved, onset, pooled, shift_of, tail
from ingest.watch.limits import MOST_ERRORS
from ingest.watch.series import Series, counted, minute_of

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def day_factor(hour: int) -> float:
    return 1.5 if 8 <= hour < 18 else 1.0


def histograms() -> dict[float, list[int]]:
    rng = random.Random(1)
    return {f: histogram.of(int(20_000 * f * math.exp(rng.gauss(0, 0.5))) for _ in range(4000)) for f in (1.0, 1.5)}


def hours(weeks: int = 4) -> Iterator[usual.Hour]:
    by_factor = histograms()
    for hour in range(weeks * 168):
        counts = by_factor[day_factor(hour % 24)]
        yield usual.Hour(MONDAY - timedelta(weeks=weeks) + timedelta(hours=hour), counts, sum(counts), 0)


@pytest.fixture(scope="module")
def known() -> usual.Usual:
    made = usual.made_of(hours())
    assert made is not None
    return made


def through(
    one: Series, start: datetime, number: int, seed: int, factor: float = 1.0, failed: int = 0
) -> list[series.Alarm]:  # fmt: skip
    """These minutes, and every alarm they give."""
    rng = random.Random(seed)
    found: list[series.Alarm] = []
    for n in range(number):
        at = start + timedelta(minutes=n)
        times = [int(20_000 * day_factor(at.hour) * factor * math.exp(rng.gauss(0, 0.5))) for _ in range(60)]
        one.next(counted(minute_of(at), histogram.of(times), 60, failed, one.usual.bounds))
        one.learn()
        found += one.alarms()
    return found


@pytest.mark.parametrize(("k", "n", "p"), [(1, 10, 0.1), (5, 20, 0.05), (30, 60, 0.3), (200, 1000, 0.15)])
def test_the_binomial_tail_is_exact(k: int, n: int, p: float) -> None:
    exact = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    assert tail(k, n, p, 0.0) == pytest.approx(exact, rel=1e-3)
    assert tail(k, n, p, 1e-7) == pytest.approx(exact, rel=1e-2)


def test_the_beta_binomial_tail_sums_to_one_and_is_heavier() -> None:
    assert tail(0, 50, 0.1, 0.05) == 1.0
    assert tail(15, 50, 0.1, 0.05) > 10 * tail(15, 50, 0.1, 0.0)
    assert pooled(50 * 0.1 * 0.9 * (1 + 49 * 0.05), 50, 0.1) == pytest.approx(0.05)


def test_all_tests_together_take_no_more_than_alpha() -> None:
    assert series.SPENT <= series.ALPHA * 1.0001


def test_what_is_usual_knows_the_hour_and_the_day(known: usual.Usual) -> None:
    night, noon = (known.at(minute_of(MONDAY + timedelta(hours=h)))[0] for h in (3, 12))
    assert noon[1] > night[1] + 0.2
    assert known.hours == 672
    assert usual.Usual.of(known.plain()) == known


def test_an_hour_of_the_week_that_was_odd_once_in_four_is_not_usual(known: usual.Usual) -> None:
    some = list(hours())
    odd = some[12]._replace(histogram=[0] * 79 + [sum(some[12].histogram)])
    made = usual.made_of([*some[:12], odd, *some[13:]])
    assert made is not None
    assert made.shares[12][1] == pytest.approx(known.shares[12][1], abs=0.12)


def test_an_hour_never_seen_is_as_that_hour_of_other_days() -> None:
    some = [h for h in hours() if h.start.weekday() != 5]
    made = usual.made_of(some)
    assert made is not None
    assert made.shares[5 * 24 + 12][1] == pytest.approx(made.shares[4 * 24 + 12][1], abs=0.15)


def test_too_little_is_not_called_usual() -> None:
    assert usual.made_of(list(hours())[:5]) is None
    assert usual.made_of([]) is None
    assert usual.made_of([h._replace(histogram=[0] * 80, requests=0) for h in hours(1)]) is None


@pytest.mark.parametrize(("factor", "side"), [(1.7, "slow"), (0.5, "fast")])
def test_a_shift_is_found_on_both_sides(known: usual.Usual, factor: float, side: str) -> None:
    one = Series(known)
    assert through(one, MONDAY + timedelta(hours=10), 90, 2) == []
    found = through(one, MONDAY + timedelta(hours=11, minutes=30), 10, 3, factor)
    assert found[0].side == side
    assert abs(found[0].first - minute_of(MONDAY + timedelta(hours=11, minutes=30))) <= 1
    assert math.log(found[-1].ratio) == pytest.approx(math.log(factor), abs=0.3)


def test_two_odd_minutes_are_no_shift(known: usual.Usual) -> None:
    one = Series(known)
    assert through(one, MONDAY + timedelta(hours=10), 90, 2) == []
    assert through(one, MONDAY + timedelta(hours=11, minutes=30), 2, 3, 3.0) == []
    assert through(one, MONDAY + timedelta(hours=11, minutes=32), 20, 4) == []


def test_the_change_of_the_day_is_no_shift(known: usual.Usual) -> None:
    assert through(Series(known), MONDAY + timedelta(hours=6), 240, 5) == []


def test_errors_are_found_and_few_are_not(known: usual.Usual) -> None:
    one = Series(known)
    assert through(one, MONDAY + timedelta(hours=10), 60, 2, failed=0) == []
    assert through(one, MONDAY + timedelta(hours=11), 2, 3, failed=1) == []
    assert "errors" in {a.kind for a in through(one, MONDAY + timedelta(hours=11, minutes=2), 4, 4, failed=20)}


def test_a_few_errors_of_two_minutes_are_a_deployment_and_of_three_are_not() -> None:
    def chance(*failed: int) -> float:
        return beyond([(k, 130) for k in failed], 0.003, 0.0002, *MOST_ERRORS).chance

    assert chance(0, 8, 8) > 1e-7 and chance(0, 60, 60) > 1e-7
    assert max(chance(8, 8, 8), chance(0, 0, 8, 8, 8, 8)) < 1.3e-8


def test_it_lasts_until_it_is_as_usual_again(known: usual.Usual) -> None:
    one = Series(known)
    through(one, MONDAY + timedelta(hours=10), 90, 2)
    through(one, MONDAY + timedelta(hours=11, minutes=30), 10, 3, 2.0)
    one.mark(10)
    assert one.lasts("slow")
    through(one, MONDAY + timedelta(hours=11, minutes=40), 6, 4)
    assert not one.lasts("slow")


def test_what_a_finding_has_told_of_opens_no_new_one(known: usual.Usual) -> None:
    one = Series(known)
    through(one, MONDAY + timedelta(hours=10), 90, 2)
    assert through(one, MONDAY + timedelta(hours=11, minutes=30), 10, 3, 3.0)
    one.mark(10)
    well = MONDAY + timedelta(hours=11, minutes=40)
    through(one, well, series.CALM, 4)
    assert not one.lasts("slow") and one.alarms(), "half of the last ten minutes were slow"
    one.is_over("latency", minute_of(well))
    assert through(one, well + timedelta(minutes=series.CALM), 6, 4) == []
    assert through(one, well + timedelta(minutes=30), 10, 3, 3.0), "slow again"


def test_nothing_is_slow_before_an_hour_was_seen_but_errors_are_errors(known: usual.Usual) -> None:
    assert through(Series(known), MONDAY + timedelta(hours=10), series.HOUR - 1, 2, 3.0) == []
    one = Series(known)
    assert through(one, MONDAY + timedelta(hours=10), 10, 2) == []
    found = through(one, MONDAY + timedelta(hours=10, minutes=10), 4, 2, 3.0, failed=20)
    assert {alarm.kind for alarm in found} == {"errors"}


def test_the_tail_of_what_is_a_little_slower_is_no_finding_of_its_own(known: usual.Usual) -> None:
    shift, ratio = shift_of([0.85, 0.62, 0.36], [0.75, 0.5, 0.25], known.bounds, 500)
    assert 0.2 < shift < 0.5 and 1.1 < ratio < 1.3
    assert moved(0.01, shift) > 0.018 and moved(0.01, 0.0) == pytest.approx(0.01)
    one = Series(known)
    through(one, MONDAY + timedelta(hours=10), 90, 2)
    assert through(one, MONDAY + timedelta(hours=11, minutes=30), 20, 3, 1.2) == []


def test_bounds_stay_as_they_are_while_they_fit(known: usual.Usual) -> None:
    near = tuple(bound + (n == 1) for n, bound in enumerate(known.bounds))
    kept, far = usual.made_of(hours(), near), usual.made_of(hours(), tuple(bound + 8 for bound in known.bounds))
    assert kept is not None and far is not None
    assert (kept.bounds, far.bounds) == (near, known.bounds)


def test_a_series_is_the_same_after_it_was_stored(known: usual.Usual) -> None:
    one = Series(known)
    through(one, MONDAY + timedelta(hours=10), 100, 2)
    again = Series.of(known, *one.plain())
    late = MONDAY + timedelta(hours=11, minutes=40)
    assert through(one, late, 8, 3, 2.0) == through(again, late, 8, 3, 2.0)


def test_minutes_that_jitter_are_learned_to_differ() -> None:
    spread, rng = Spread(), random.Random(3)
    for _ in range(500):
        spread.met(rng.gauss(0, 40), 200, 0.25)
    assert spread.rho == pytest.approx((1600 - 50) / (200 * 199 * 0.25), rel=0.25)


def test_the_onset_is_the_first_request_from_which_it_fits() -> None:
    calls = [(MONDAY + timedelta(seconds=n), float(n >= 50 and n % 5 > 0)) for n in range(90)]
    assert onset(calls, (0.05, 0.8)) == MONDAY + timedelta(seconds=51)
    assert onset([], (0.1, 0.9)) is None


@pytest.mark.long
def test_a_slice_of_the_simulation_has_no_false_alarm_and_finds_shifts() -> None:
    alarms, days, _, _ = bench.false_alarms(3, 1, seed=11)
    assert (alarms, days) == (0, 3)
    told = [bench.shifted(bench.an_endpoint(random.Random(n), 60, 0.5), 1.5, (7, n)) for n in range(3)]
    assert all(minutes is not None and minutes < 11 for minutes, _ in told)
    assert sorted(abs(wrong or 0) for _, wrong in told)[1] < 60
