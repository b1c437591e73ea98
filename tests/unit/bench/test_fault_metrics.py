"""The figures of the fault bench, on rows made by hand."""

from __future__ import annotations

import pytest

from bench.faults import metrics, tables
from bench.faults.resample import resampled
from bench.faults.score import Expected, Row, said_of
from tests.unit.bench.fault_rows import a_row, figure

# Bounds


def test_a_bound_by_worlds_needs_two_of_them_and_is_the_same_each_time() -> None:
    def mean(worlds: list[float]) -> float:  # type: ignore[type-arg]
        return sum(worlds) / len(worlds)

    assert resampled([1.0], mean, highest=False) is None  # type: ignore[arg-type]
    low = resampled([0.0, 1.0, 1.0, 1.0], mean, highest=False)  # type: ignore[arg-type]
    assert low == resampled([0.0, 1.0, 1.0, 1.0], mean, highest=False) and low < 0.75  # type: ignore[arg-type,operator]


# Blame


def test_who_calls_a_bug_or_the_service_the_route_blames_falsely() -> None:
    found = [a_row("task", "route"), a_row("service", "route"), a_row("task", "task"), a_row("route", "route")]
    assert (figure(found, "V1").k, figure(found, "V1").n) == (2, 3)
    assert figure(found, "V1").met is False


def test_a_verdict_that_nobody_needs_is_false_blame_if_it_says_route() -> None:
    found = [a_row(said="route", in_truth=False), a_row(said="task", in_truth=False)]
    assert (figure(found, "V1").k, figure(found, "V1").n) == (1, 2)
    assert figure(found, "V3p").value == 0.0


def test_the_twin_run_says_who_is_innocent_where_the_logs_cannot() -> None:
    blamed = [a_row("unknown", "route", really="task"), a_row("unknown", "route", really="route")]
    assert (figure(blamed, "V1").k, figure(blamed, "V1").n) == (1, 1)
    assert (figure(blamed, "V3p").k, figure(blamed, "V3p").n) == (1, 2)
    assert figure(blamed, "V4n").value == 0.0


def test_an_acquittal_of_the_guilty_is_a_false_clear_too() -> None:
    found = [
        a_row("route", "unknown", acquitted=True), a_row("route", "unknown"), a_row("route", "service"), a_row("route", "route"),
        a_row("unknown", "unknown", really="route", acquitted=True),
    ]  # fmt: skip
    assert (figure(found, "V2").k, figure(found, "V2").n) == (3, 5)


def test_unknown_counts_against_recall_but_not_where_lines_are_missing() -> None:
    found = [a_row("route", "unknown"), a_row("route", "route"), a_row("route", "unknown", confounders=("loss_50",))]
    assert (figure(found, "V3r").k, figure(found, "V3r").n) == (1, 2)
    assert (figure(found, "V3a").k, figure(found, "V3a").n) == (1, 3)
    assert figure(found, "V15r 50").value == 0.0
    assert (figure(found, "V4").k, figure(found, "V4").n) == (1, 2)


def test_an_honest_undecided_is_no_recall_and_neither_is_a_fault_of_anothers() -> None:
    found = [
        a_row("route", "unknown", says="undecided", accepted=("undecided",)),
        a_row("route", "route", really="service"),
        a_row("route", "route", really="route"),
    ]
    assert (
        (figure(found, "V3r").k, figure(found, "V3r").n) == (figure(found, "V3a").k, figure(found, "V3a").n) == (1, 2)
    )


def test_the_product_does_not_say_itself_where_lines_are_missing() -> None:
    found = [a_row("route", "unknown", uncovered=True), a_row("route", "unknown", cut=True)]
    assert (figure(found, "V3r").k, figure(found, "V3r").n) == (0, 1)
    assert (figure(found, "V4").k, figure(found, "V4").n) == (1, 1)


def test_over_a_gap_the_route_is_neither_blamed_nor_acquitted() -> None:
    found = [
        a_row("unknown", "route", cause="no_data"), a_row("task", "task", acquitted=True, uncovered=True),
        a_row("task", "task", uncovered=True), a_row("unknown", "unknown", cause="no_data"),
    ]  # fmt: skip
    assert (figure(found, "V5").k, figure(found, "V5").n) == (2, 4)


def test_who_says_unanswered_where_no_log_tells_more_is_not_charged_but_counted() -> None:
    honest = a_row("route", "route", cause="unanswered", says="unanswered", really="service")
    found = [honest, a_row("route", "route", cause="unanswered", says="no_member", really="service")]
    assert (figure(found, "V1").k, figure(found, "V1u").k, figure(found, "V1").n) == (1, 1, 2)
    assert figure(found, "V3p").k == 1


# Causes


def test_a_cause_is_right_with_its_culprit_and_one_of_its_codes() -> None:
    found = [
        a_row("route", "route", cause="member_down", says="member_grey", accepted=("member_grey",)),
        a_row("route", "route", cause="member_down", says="no_member"),
        a_row("route", "unknown", cause="member_down", says="member_down", strict=True),
        a_row("unknown", "unknown"),
    ]  # fmt: skip
    assert (figure(found, "V6").k, figure(found, "V6").n) == (1, 3)


def test_a_code_that_is_as_right_may_name_another_or_nobody() -> None:
    starved = a_row("task", "unknown", cause="slot_starvation", says="undecided", accepted=("undecided",))
    dark = a_row("unknown", "task", cause="undecided", says="worker_network", accepted=("worker_network",))
    wrong = a_row("unknown", "task", cause="undecided", says="task_error", accepted=("worker_network",))
    found = [starved, dark, wrong]
    assert figure(found, "V6").k == 1 and figure(found, "V4").k == 0
    assert (figure(found, "V4n").k, figure(found, "V4n").n) == (1, 2)
    assert tables.wrong(found) == [wrong]


def test_macro_f1_weighs_causes_alike() -> None:
    found = [a_row("task", cause="a", says="a") for _ in range(9)] + [a_row("task", cause="b", says="a")]
    assert figure(found, "V6f").value == pytest.approx((18 / 19 + 0) / 2)


def test_the_weakest_kind_is_named_and_kinds_of_few_tries_are_not_held_to_it() -> None:
    found = [a_row("route", "route", kind="N1", fault="f1") for _ in range(5)]
    found += [a_row("route", "unknown" if i else "route", kind="N2", fault="f2") for i in range(5)]
    found += [a_row("route", "unknown", kind="N3", fault="f3")]
    worst = figure(found, "V6k")
    assert worst.value == pytest.approx(0.2) and worst.note.startswith("N2; under 0.85: N2, of 2 kinds")


def test_a_fault_is_found_if_one_of_its_tries_has_the_cause() -> None:
    found = [
        a_row("route", "route", fault="f1"),
        a_row("route", "unknown", fault="f1"),
        a_row("route", "task", fault="f2"),
    ]
    assert (figure(found, "V6c").k, figure(found, "V6c").n) == (1, 2)


def test_components_are_the_same_with_and_without_their_partition() -> None:
    found = [
        a_row(component="/Common/Orders2:9000", named="orders2:9000"), a_row(component="/Common/vs_a", named="/Common/pool_a"),
        a_row(named="anything"),
    ]  # fmt: skip
    assert (figure(found, "V7").k, figure(found, "V7").n) == (1, 2)


def test_a_service_may_be_named_by_its_pool_but_a_member_may_not() -> None:
    place = {
        "component_kind": "service",
        "component": "/Common/pool_a",
        "endpoint": "/Common/vs_a",
        "f5_pool": "/Common/pool_a",
    }
    said = said_of({"culprit": "service", **place})
    truth = Expected("service", "service_slow", frozenset({"service_slow"}), "/Common/vs_a", "virtual_server")
    assert Row("w", ("d", "r", "t", -1, 1), truth, said).component_right
    member = Expected("route", "slow_member", frozenset({"slow_member"}), "/Common/m1:80", "member")
    assert not Row("w", ("d", "r", "t", -1, 1), member, said).component_right


def test_twins_are_held_apart_pair_by_pair() -> None:
    found = [a_row("route", "route", kind="N3", twin="A5", fault="f1") for _ in range(5)]
    found += [a_row("service", "route" if i < 2 else "service", kind="A5", twin="N3", fault="f2") for i in range(5)]
    assert (figure(found, "V8").k, figure(found, "V8").n) == (8, 10)
    assert tables.by_twins(found) == [{"pair": "A5/N3", "n": 10, "right": 8, "first": [3, 5], "second": [5, 5]}]


def test_of_an_unseen_kind_a_general_answer_is_no_wrong_name() -> None:
    found = [
        a_row("route", "route", cause="mtu", says="unanswered", unseen=True),
        a_row("route", "route", cause="mtu", says="no_member", unseen=True),
        a_row("route", "unknown", cause="mtu", says="undecided", unseen=True),
    ]
    assert figure(found, "V9b").k == 2
    assert figure(found, "V9g").k == 2
    assert figure(found, "V9w").k == 1


# Calibration


def test_calibration_compares_what_is_claimed_with_what_is_right() -> None:
    found = [a_row("task", "task" if i < 8 else "route", confidence=0.9) for i in range(10)]
    assert figure(found, "V11").value == pytest.approx(0.1)
    assert tables.calibration(found) == [{"from": 0.8667, "to": 0.9333, "n": 10, "right": 8, "said": 0.9}]


def test_what_names_nobody_claims_nothing() -> None:
    found = [
        a_row("task", "unknown", confidence=0.3),
        a_row(said="task", in_truth=False),
        a_row(said="service", in_truth=False),
    ]
    assert figure(found, "V11").n == 1


def test_claims_of_certainty_are_counted_apart() -> None:
    found = [a_row(confidence=0.99), a_row("task", "route", confidence=1.0), a_row(confidence=0.98)]
    assert (figure(found, "V11c").k, figure(found, "V11c").n) == (1, 2)
    assert metrics.bin_of(1.0) == metrics.BINS - 1
