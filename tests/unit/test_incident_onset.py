"""When a component began to fail, dated from its counts: not by the first error, and not by the first failed try."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ingest.incidents import onset
from ingest.incidents.onset import Minute

T0 = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def at(minute: float) -> datetime:
    return T0 + timedelta(minutes=minute)


def counted(*bad_of: tuple[int, int]) -> list[Minute]:
    return [Minute(at(n), bad, all_) for n, (bad, all_) in enumerate(bad_of)]


def began(minutes: list[Minute], bad: list[float], first: float) -> onset.Cut | None:
    window = onset.before(minutes, at(first), onset.rates(minutes, at(first), at(first)))
    return onset.first_bad(window, [at(b) for b in bad], at(first))


def ended(minutes: list[Minute], bad: list[float], last: float) -> onset.Cut | None:
    window = onset.after(minutes, at(last), onset.rates(minutes, at(last), at(last)))
    return onset.last_bad(window, [at(b) for b in bad], at(last))


def test_the_onset_is_the_first_bad_request_and_not_the_first_failed_try() -> None:
    minutes = counted(*[(0, 60)] * 10, (20, 40), (30, 30), (30, 30))
    bad = [10.5 + n / 40 for n in range(20)] + [11 + n / 30 for n in range(31)]
    cut = began(minutes, bad, first=12.0)
    assert cut is not None and cut.at == at(10.5) and cut.before[0] == 0


def test_an_error_now_and_then_before_it_is_no_onset() -> None:
    minutes = counted((1, 60), (0, 60), (1, 60), (0, 60), (1, 60), (0, 60), (25, 30), (30, 30))
    cut = began(minutes, [4.2, 6.1, 6.2, 6.3, 6.4, 7.0], first=7.0)
    assert cut is not None and cut.at == at(6.1)


def test_a_trouble_that_ended_before_is_another_one() -> None:
    minutes = counted((30, 30), (30, 30), (0, 60), (0, 60), (0, 60), (28, 30), (30, 30))
    cut = began(minutes, [5.0, 5.1, 5.2, 6.0], first=6.0)
    assert cut is not None and cut.at == at(5.0)


def test_a_member_that_fails_one_in_five_is_not_well_after_a_few_good_answers() -> None:
    minutes = counted(*[(0, 50)] * 5, (2, 10), (0, 3), (2, 10), (1, 6), (2, 10))
    window = onset.before(minutes, at(9.5), onset.rates(minutes, at(9.5), at(9.5)))
    assert onset.begins(window) == at(5)


def test_it_ends_with_its_last_bad_request_and_what_fails_an_hour_later_is_not_it() -> None:
    minutes = counted((30, 30), (30, 30), (10, 40), *[(0, 60)] * 20, (30, 30))
    cut = ended(minutes, [1 + n / 30 for n in range(30)] + [2 + n / 40 for n in range(10)], last=1.5)
    assert cut is not None and cut.at == at(2.225)


def test_without_any_good_request_all_of_it_belongs_to_the_trouble() -> None:
    cut = began(counted((3, 3), (2, 2)), [0.1, 0.5, 0.9, 1.1, 1.2], first=1.2)
    assert cut is not None and (cut.at, cut.before) == (at(0.1), (0, 0))


def test_without_counts_there_is_no_date() -> None:
    assert began([], [], first=1.0) is None
    assert onset.begins([]) is None and onset.ends(counted((0, 5))) is None


def test_what_went_well_meanwhile_is_counted_by_share_of_its_minutes() -> None:
    whole = onset.Counted(counted((0, 60), (10, 40), (0, 60)), ())
    assert whole.well(at(0.5), at(2.5)) == 30 + 30 + 30


PAUSE = timedelta(minutes=10)


def test_a_component_that_was_never_well_between_two_hits_failed_all_the_time() -> None:
    assert onset.kept_failing(counted(*[(6, 20)] * 40), at(0.5), at(39.5), PAUSE)


def test_one_good_stretch_or_a_long_pause_between_two_hits_ends_a_trouble() -> None:
    assert not onset.kept_failing(counted(*[(6, 20)] * 10, *[(0, 20)] * 3, *[(6, 20)] * 10), at(0.5), at(22.5), PAUSE)
    assert not onset.kept_failing([Minute(at(0), 6, 20), Minute(at(30), 6, 20)], at(0.5), at(30.5), PAUSE)
    assert not onset.kept_failing([], at(0), at(30), PAUSE)
