"""How far two clocks are apart, and what a join makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.completeness.skew import NONE, Measured, Skew, combined, of_bounds, of_pairs, of_receipt
from ingest.correlate import loose
from ingest.records import Link, Outcome, TaskLog
from ingest.rules.facts import Request

T = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T + timedelta(seconds=seconds)


def skew(offset_s: float, error_s: float) -> Skew:
    return Skew(timedelta(seconds=offset_s), timedelta(seconds=error_s))


def test_measurements_leave_what_they_have_in_common() -> None:
    assert combined([]) is None
    assert combined([Measured(100, 500)]) == (100, 500)
    assert combined([Measured(0, 500), Measured(800, 500)]) == (400, 100)
    assert combined([Measured(0, 500), Measured(800, 500), Measured(450, 60)]) == (445, 55)


def test_what_contradicts_the_more_certain_is_left_out() -> None:
    late = of_receipt(-90_000)  # every line came a minute and a half late
    assert combined([late, Measured(200, 300)]) == (200, 300)
    old = Measured(5000, 300, age_h=5)  # before somebody set the clock
    assert combined([old, Measured(0, 400)]) == (0, 400)
    assert combined([Measured(0, 100, age_h=10)]) == (0, 460)  # and it may have drifted since


def test_a_line_cannot_be_received_before_its_event() -> None:
    found = of_receipt(3000)
    assert (found.offset - found.error, found.offset + found.error) == (3000, 4000)
    assert of_receipt(3000, whole_seconds=True).error == 1000


def test_pairs_of_run_and_start_are_exact_to_a_tenth_of_a_second() -> None:
    few, many = of_pairs([2009.0]), of_pairs([2001, 2005, 2009, 2012, 2060])
    assert few == Measured(2000, 225)
    assert many.offset == 2000 and 60 < many.error < 100


def test_a_difference_within_its_uncertainty_shifts_nothing() -> None:
    assert skew(0.4, 0.5).shift == timedelta(0) and skew(-0.6, 0.5).shift == timedelta(seconds=-0.6)
    assert loose.by_device((at(0), at(9)), NONE) == (at(0) - loose.SLACK, at(9))
    assert loose.by_device((at(0), at(9)), skew(40, 0.2)) == (at(40) - loose.SLACK, at(49.2))
    assert loose.by_device((at(0), at(9)), skew(40, 2)) == (at(38), at(51))


def a_request(seconds: float, **changes: Any) -> Request:
    fields: dict[str, Any] = {
        "line_id": int(seconds * 1000), "at": at(seconds), "endpoint_id": 1, "endpoint": "vs", "f5_pool": "p", "member": "m",
        "client": "c", "client_port": 1, "method": "GET", "path": "/orders", "uri": "/orders", "status": 503,
        "outcome": Outcome.SERVER_ERROR, "response_us": 1000, "bytes": 1, "link": Link.NONE,
    }  # fmt: skip
    return Request(**{**fields, **changes})


def a_caller(**changes: Any) -> loose.Caller:
    log = TaskLog("d", "r", "t", -1, 1, None, http_status=503)
    return loose.Caller(1, ("d", "r", "t", -1), 1, at(0), at(5), frozenset({1}), log, "/orders", **changes)


@pytest.mark.parametrize(("ahead", "fits"), [(NONE, False), (skew(40, 0.3), True), (skew(-40, 0.3), False)])
def test_a_request_of_a_device_that_is_ahead_fits_the_try_that_made_it(ahead: Skew, fits: bool) -> None:
    caller = a_caller(clocks={1: ahead})
    loose.Match([caller], [a_request(43)], [])
    assert bool(caller.fitting) is fits


def test_others_claims_are_seen_by_the_same_clock() -> None:
    ahead = {1: skew(40, 0.3)}
    other = loose.User("d2", "t2", "/orders", at(1), at(4), ahead)
    caller = a_caller(clocks=ahead)
    loose.Match([caller], [a_request(43), a_request(44.5)], [other])
    assert [r.at for r in caller.fitting] == [at(44.5)]


def test_where_a_caller_s_own_address_asked_another_one_s_request_is_not_its_own() -> None:
    caller = a_caller(clients=frozenset({"10.0.0.1"}))
    asked = [a_request(1, client="10.0.0.1"), a_request(2, client="10.0.0.9")]
    loose.Match([caller], asked, [])
    assert [r.client for r in caller.fitting] == ["10.0.0.1"]
    behind = a_caller(clients=frozenset({"10.0.0.1"}))
    loose.Match([behind], [a_request(1, client="10.0.0.3")], [])
    assert len(behind.fitting) == 1  # a proxy may stand between


def test_a_try_s_own_requests_lie_between_its_start_and_its_end() -> None:
    firsts, lasts = [6300.0, 6900, 7400, 6600, 8000, 9000, 6500, 7000, 6400, 8100], [4980.0] * 9 + [9900]
    measured = of_bounds(firsts, lasts)
    assert measured is not None  # one of ten was ended by somebody: its process went on
    assert measured.offset - measured.error == 4980 and measured.offset + measured.error == 6400
    assert of_bounds(firsts[:4], lasts[:4]) is None
    assert of_bounds([100.0] * 5, [200.0] * 5) is None
