"""The simpler rules that are run beside ours."""

from __future__ import annotations

import pytest

from bench.faults.baselines import Call, Ended, Seen, robust_score, say

T0 = 1_795_000_000.0
KEY = ("dag", "run", "task", -1, 1)


def a_try(number: int = 1, end: float = T0, dag: str = "dag", worker: str = "w1") -> Ended:
    return Ended((dag, "run", "task", -1, number), number, end, worker)


def quiet(endpoint: int = 1, lo: float = -900, hi: float = 60, every: float = 5) -> list[Call]:
    return [Call(T0 + lo + every * i, endpoint, False, 0.1, "GET 1") for i in range(int((hi - lo) / every))]


def said(calls: list[Call], tries: list[Ended]) -> dict[str, str]:
    return say(Seen(calls, tries), tries[:1])[tries[0].key]


def test_naive_blames_any_error_near_the_end_on_an_endpoint_of_the_task() -> None:
    mine = Call(T0 - 1, 1, False, 0.1, "GET 1", 1)
    assert said([mine, Call(T0 - 20, 1, True, 0.1)], [a_try()])["naive"] == "route"
    assert said([mine, Call(T0 - 40, 1, True, 0.1)], [a_try()])["naive"] == "task"
    assert said([mine, Call(T0 - 20, 2, True, 0.1)], [a_try()])["naive"] == "task"
    assert said([Call(T0 - 20, 2, True, 0.1)], [a_try()])["naive"] == "route"  # its endpoints are not known


@pytest.mark.parametrize(
    ("calls", "culprit"),
    [
        ([Call(T0 - 2, 1, True, 0.1, "GET 1", 1)], "route"),
        ([Call(T0 - 2, 1, True, 0.1, "GET 1", 1), Call(T0 - 1, 1, False, 0.1, "GET 1", 1)], "task"),
        ([Call(T0 - 2, 1, True, 0.1, "GET 1", 1), Call(T0 - 1, 1, False, 0.1, "GET 2", 1)], "route"),
        ([Call(T0 - 2, 1, True, 0.1, "GET 1")], "unknown"),
    ],
)
def test_exact_key_reads_the_tries_own_requests_alone(calls: list[Call], culprit: str) -> None:
    assert said(calls, [a_try()])["exact_key"] == culprit


def test_three_sigma_blames_what_is_beyond_its_usual() -> None:
    burst = [Call(T0 - 5 + i, 1, True, 0.1) for i in range(5)]
    assert said(quiet(), [a_try()])["three_sigma"] == "task"
    assert said(quiet() + burst, [a_try()])["three_sigma"] == "route"
    slow = [Call(T0 - 5, 1, False, 30.0)]
    assert said(quiet() + slow, [a_try()])["three_sigma"] == "route"


def test_baro_names_what_sticks_out_most() -> None:
    burst = [Call(T0 - 5 + i / 10, 1, True, 0.1) for i in range(40)]
    assert said(quiet() + burst, [a_try()])["baro"] == "route"
    storm = [a_try(number, T0 - number / 10) for number in range(1, 20)]
    assert said(quiet(), storm)["baro"] == "task"


def test_the_robust_score_is_in_distances_of_the_quartiles() -> None:
    assert robust_score([1, 2, 3, 4, 5], [3, 9]) == pytest.approx((9 - 3) / 2)
    assert robust_score([0, 0, 0, 0], [7]) == 7  # where the quartiles are one
