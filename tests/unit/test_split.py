"""Where the time of a try went: parts that add up to all of it, and nothing counted twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest.rules.split import Usual, where_it_went
from tests.unit.test_rules import API, TIMED_OUT, a_request, at, facts

RUN = {**API, "path": "/execution/task-instances/{uuid}/run", "uri": "/execution/task-instances/x/run"}
USUAL = Usual(7, 0.5)
OTHER = {"endpoint": "/Common/vs_stock", "endpoint_id": 2}


def a_split(*requests: Any, usual: Usual = USUAL, end: float = 10.0, **more: Any) -> dict[str, Any]:
    # scheduled -8 s, queued -5 s, started -4 s
    return where_it_went(facts(requests, end=end, **more), at(-8), usual)


def ms(split: dict[str, Any]) -> dict[str, int]:
    names = ("wait", "queue", "own", "api", "lost", "unexplained")
    parts = {name: round((split[name] or 0) * 1000) for name in names}
    return parts | {name: round(seconds * 1000) for name, seconds in split["endpoints"].items()}


def test_every_part_is_named_and_they_add_up_to_the_whole() -> None:
    split = a_split(
        a_request(-3.9, took=0.1, **RUN), a_request(0, took=2.0), a_request(3, took=1.5, **OTHER), a_request(5, 503, took=0.25)
    )  # fmt: skip
    assert ms(split) == {
        "wait": 3000, "queue": 1100, "own": 500, "api": 100, "lost": 250, "/Common/vs_orders": 2000,
        "/Common/vs_stock": 1500, "unexplained": 9550,
    }  # fmt: skip
    assert sum(ms(split).values()) == round(split["total"] * 1000) == 18_000
    assert (split["usual_s"], split["usual_of"]) == (0.5, 7)


@pytest.mark.parametrize("usual", [Usual(), Usual(4, 0.5), Usual(5, 0.1234), Usual(900, 1e6)])
@pytest.mark.parametrize("took", [0.0004, 0.3333, 1.7, 40.0])
def test_parts_add_up_whatever_overlaps_or_outlasts_the_try(usual: Usual, took: float) -> None:
    calls = [a_request(-20 + n * 0.777, took=took * (1 + n % 3), **(OTHER if n % 2 else {})) for n in range(40)]
    split = a_split(*calls, usual=usual)
    assert sum(ms(split).values()) == round(split["total"] * 1000) == 18_000
    assert all(value >= 0 for value in ms(split).values())


def test_without_five_successful_tries_nothing_is_called_unexplained() -> None:
    split = a_split(a_request(0, took=2.0), usual=Usual(4, 0.5))
    assert split["unexplained"] is None
    assert split["usual_s"] is None
    assert ms(split)["own"] == 12_000


def test_own_time_below_what_is_usual_leaves_nothing_unexplained() -> None:
    split = a_split(a_request(0, took=2.0), usual=Usual(5, 60.0))
    assert (ms(split)["own"], ms(split)["unexplained"]) == (12_000, 0)


def test_what_was_asked_at_the_same_time_counts_once() -> None:
    split = a_split(a_request(0, took=4.0), a_request(1, took=4.0, **OTHER))
    assert split["endpoints"] == {"/Common/vs_orders": 4.0, "/Common/vs_stock": 1.0}


def test_an_unanswered_call_is_lost_until_the_next_one_or_the_end() -> None:
    split = a_split(a_request(0, None, took=None), a_request(3, 200, took=1.0), a_request(6, None, took=None))
    assert split["lost"] == 3.0 + 4.0


def test_an_answer_that_came_after_the_client_left_is_lost_up_to_the_end() -> None:
    split = a_split(a_request(2, took=30.0), log=replace(TIMED_OUT, timeout_s=8.0))
    assert split["lost"] == 8.0


def test_requests_are_laid_on_the_workers_clock() -> None:
    early = facts((a_request(-2, took=1.0),), end=10.0)
    skewed = replace(early, attempt=replace(early.attempt, ahead=timedelta(seconds=3)))
    assert where_it_went(skewed, at(-8), Usual())["endpoints"] == {}  # -5 s of the worker: before it ran
    assert where_it_went(early, at(-8), Usual())["endpoints"] == {"/Common/vs_orders": 1.0}


def test_a_try_that_never_ran_was_queued() -> None:
    base = facts(end=10.0)
    never = replace(base, attempt=replace(base.attempt, start_at=None))
    split = where_it_went(never, None, Usual())
    assert (split["wait"], split["queue"], split["own"], split["total"]) == (0.0, 15.0, 0.0, 15.0)
