"""How well incidents are the faults, on rows made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.faults import grouping
from bench.faults.score import Row
from tests.unit.bench.fault_rows import a_row, figure


def test_a_right_grouping_has_index_one_and_nothing_merged() -> None:
    found = [a_row("route", "route", fault=f"f{i % 2}", incident=i % 2) for i in range(8)]
    assert figure(found, "V16").value == 1.0
    assert (figure(found, "V16m").k, figure(found, "V16s").k) == (0, 0)


def test_merging_two_faults_and_splitting_one_are_told_apart() -> None:
    merged = [a_row("route", "route", fault=f"f{i % 2}", incident=1) for i in range(4)]
    assert (figure(merged, "V16m").k, figure(merged, "V16m").n) == (4, 6)
    split = [a_row("route", "route", fault="f1", incident=i % 2) for i in range(4)]
    assert (figure(split, "V16s").k, figure(split, "V16s").n) == (4, 6)


def test_a_try_without_an_incident_is_alone() -> None:
    assert grouping.pairs([a_row("route", "unknown", fault="f1") for _ in range(3)]).both == 0


def test_the_index_of_worlds_is_not_flattered_by_their_being_apart() -> None:
    found = [a_row("route", "route", fault=f"f{i % 2}", incident=1, world=f"w{i % 3}") for i in range(12)]
    assert figure(found, "V16").value == pytest.approx(0.0, abs=1e-9)


def test_a_storm_is_cut_to_its_incidents_and_its_cause_is_kept() -> None:
    found = [a_row("route", "route", fault="big", incident=1 + i // 150) for i in range(200)] + [
        a_row("route", "unknown", fault="s")
    ]
    assert (figure(found, "V17").k, figure(found, "V17").n) == (198, 200)
    assert (figure(found, "V17k").k, figure(found, "V17k").n) == (1, 2)


def again(fault: str, start: float, incident: int, cause: str = "no_member", component: str = "/Common/p") -> list[Row]:
    """Two tries of a fault that acted for 60 s."""
    told = {"cause": cause, "component": component, "acted": (start, start + 60)}
    return [a_row("route", "route", fault=fault, incident=incident, **told) for _ in range(2)]  # type: ignore[arg-type]


def test_the_same_cause_of_the_same_component_within_ten_minutes_is_one_trouble() -> None:
    found = again("f1", 0, 1) + again("f2", 660, 1)
    assert (figure(found, "V16m").k, figure(found, "V16d").k, figure(found, "V16d").n) == (0, 4, 6)
    assert figure(found, "V16").value == 1.0
    apart = again("f1", 0, 1) + again("f2", 660, 2)
    assert (figure(apart, "V16s").k, figure(apart, "V16s").n) == (4, 6)


@pytest.mark.parametrize(
    "other",
    [
        again("f2", 661, 1),  # later
        again("f2", 300, 1, cause="misroute"),
        again("f2", 300, 1, component="/Common/q"),
    ],
    ids=["later", "another cause", "another component"],
)
def test_other_faults_in_one_incident_are_wrongly_merged(other: list[Row]) -> None:
    found = again("f1", 0, 1) + other
    assert (figure(found, "V16m").k, figure(found, "V16d").k) == (4, 0)


def test_faults_of_which_the_logs_name_no_component_are_never_one_trouble() -> None:
    found = again("f1", 0, 1, component="") + again("f2", 100, 1, component="")
    assert figure(found, "V16m").k == 4


def test_what_a_missing_or_wrong_verdict_puts_elsewhere_is_told_apart_from_the_grouping() -> None:
    found = [a_row("route", "route", fault=f"f{i % 2}", incident=i % 2) for i in range(8)]
    found += [
        a_row("route", "unknown", fault="f0"),
        a_row("route", "service", says="service_slow", fault="f0", incident=9),
    ]
    assert figure(found, "V16").value < 1.0 and figure(found, "V16s").k == 9
    assert (figure(found, "V16r").value, figure(found, "V16r").n, figure(found, "V16rs").k) == (1.0, 8, 0)


def test_two_faults_of_which_the_same_is_rightly_said_are_one_trouble_but_each_is_counted_alone_too() -> None:
    told = {"accepted": ("no_member",), "component": "/Common/p", "named": "/Common/p"}
    found = again("f1", 0, 1)
    found += [
        a_row("route", "route", fault="f2", incident=1, cause="reset_by_f5", says="no_member", acted=(300, 360), **told)
        for _ in range(2)
    ]
    assert (figure(found, "V16").value, figure(found, "V16m").k, figure(found, "V16d").k) == (1.0, 0, 4)
    assert figure(found, "V16x").value == pytest.approx(0.0, abs=1e-9)


def test_a_storm_counts_mails_of_failed_tries_and_lines_of_the_device() -> None:
    def of(number: int, **facts: Any) -> list[Row]:
        rows = [a_row("route", "route", fault="big", incident=1) for _ in range(number)]
        return [replace(r, expected=replace(r.expected, **facts)) for r in rows if r.expected is not None]

    found = of(120, lines=30) + of(10, slow=True, lines=30)
    assert (figure(found, "V17").k, figure(found, "V17").n) == (129, 130)
    assert (figure(found, "V17n").k, figure(found, "V17n").n) == (149, 150)
    assert figure(found, "V17s").value == 1.0
