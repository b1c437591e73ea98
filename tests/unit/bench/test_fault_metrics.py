"""The figures of the fault bench, on rows made by hand."""

from __future__ import annotations

import pytest

from bench.faults import bounds, grouping, metrics, report, tables
from bench.faults.score import Expected, Row, Said, rows, said_of

NUMBER = iter(range(1_000_000))


def a_row(
    truth: str = "task",
    said: str = "task",
    *,
    cause: str = "",
    says: str = "",
    fault: str = "",
    kind: str = "A1",
    world: str = "w1",
    really: str = "",
    component: str = "",
    named: str = "",
    confidence: float = 0.9,
    incident: int | None = None,
    acquitted: bool = False,
    twin: str = "",
    unseen: bool = False,
    confounders: tuple[str, ...] = (),
    uncovered: bool = False,
    rule: str = "r",
    accepted: tuple[str, ...] = (),
    in_truth: bool = True,
    strict: bool = False,
) -> Row:
    """A try; the causes are named like the culprits where they are not given."""
    cause = cause or truth
    expected = Expected(
        truth,
        cause,
        frozenset({cause, *accepted}),
        component,
        "",
        really,
        kind,
        twin,
        unseen,
        f"{world}/{fault}" if fault else "",
        strict,
    )
    answer = Said(said, says or said, named, "", confidence, acquitted, "final", incident, rule, uncovered=uncovered)
    return Row(world, ("dag", "run", "task", -1, next(NUMBER)), expected if in_truth else None, answer, confounders)


def figure(found: list[Row], id: str) -> metrics.Figure:
    return next(f for f in metrics.figures(found) if f.id == id)


# Bounds


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (88, 88, 0.9665, 1.0),
        (0, 100, 0.0, 0.0295),
        (3, 1200, 0.00068, 0.00645),
        (5, 10, 0.2224, 0.7776),
        (0, 1, 0.0, 0.95),
    ],
)
def test_bounds_are_those_of_clopper_and_pearson(k: int, n: int, low: float, high: float) -> None:
    assert bounds.lower(k, n) == pytest.approx(low, abs=5e-5)
    assert bounds.upper(k, n) == pytest.approx(high, abs=5e-5)


def test_the_beta_function_agrees_with_the_binomial_sum() -> None:
    """P(X >= 3) of 10 at 0.2, summed by hand: 0.3222."""
    assert bounds.beta_cdf(0.2, 3, 8) == pytest.approx(0.32220, abs=1e-5)
    assert bounds.beta_cdf(0.8, 8, 3) == pytest.approx(1 - 0.32220, abs=1e-5)


def test_a_bound_by_worlds_needs_two_of_them_and_is_the_same_each_time() -> None:
    def mean(worlds: list[float]) -> float:  # type: ignore[type-arg]
        return sum(worlds) / len(worlds)

    assert bounds.resampled([1.0], mean, highest=False) is None  # type: ignore[arg-type]
    low = bounds.resampled([0.0, 1.0, 1.0, 1.0], mean, highest=False)  # type: ignore[arg-type]
    assert low == bounds.resampled([0.0, 1.0, 1.0, 1.0], mean, highest=False) and low < 0.75  # type: ignore[arg-type,operator]


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


# Grouping


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


# Tables and results


def test_wrong_answers_come_worst_first_and_one_of_each_sort() -> None:
    found = [
        a_row("route", "unknown"),
        a_row("route", "route"),
        a_row("task", "route", rule="x"),
        a_row("task", "route", rule="x"),
    ]
    worst = tables.wrong(found)
    assert [r.said.culprit for r in worst] == ["route", "route", "unknown"]
    assert [r.said.culprit for r in tables.few_of_each(worst, 2)] == ["route", "unknown"]


def test_a_rule_is_measured_by_the_causes_it_named() -> None:
    found = [a_row(rule="a"), a_row("task", "route", rule="a"), a_row("unknown", "unknown", rule="b")]
    assert [(r["rule"], r["n"], r["right"], r["unknown_right"]) for r in tables.by_rule(found)] == [
        ("a", 2, 1, 0),
        ("b", 0, 0, 1),
    ]


def test_tables_by_kind_count_in_the_order_of_the_kinds() -> None:
    found = [a_row(kind="N10"), a_row(kind="N2"), a_row(kind="A1")]
    assert [one["kind"] for one in tables.by_kind(found)] == ["A1", "N2", "N10"]


def summary(found: list[Row]) -> dict:  # type: ignore[type-arg]
    return report.result(report.Run("dev", 1, "small", found))["summary"]


def test_the_gate_closes_on_any_rise_of_false_blame_and_on_a_point_of_cause() -> None:
    well = summary([a_row() for _ in range(100)])
    assert report.gate(well, None) == report.gate(well, well) == []
    worse = summary([a_row("task", "unknown") for _ in range(2)] + [a_row() for _ in range(98)])
    assert len(report.gate(worse, well)) == 1 and "cause top 1 fell" in report.gate(worse, well)[0]
    within = summary([a_row("task", "unknown")] + [a_row() for _ in range(99)])
    assert report.gate(within, well) == []
    blames = summary([a_row("task", "route")] + [a_row() for _ in range(199)])
    assert len(report.gate(blames, well)) == 1 and "false blame rose" in report.gate(blames, well)[0]


def test_the_newest_results_are_those_of_the_same_split_and_size(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for size in ("small", "full"):
        path = report.save(report.Run("dev", 1, size, [a_row()]), tmp_path)
        path.rename(tmp_path / f"{size}-faults-dev.json")
    report.save(report.Run("dev", 1, "small", [a_row()], only="N3"), tmp_path)
    (tmp_path / "zzz-faults-dev.json").write_text("{")
    assert report.newest("dev", "full", tmp_path)["size"] == "full"  # type: ignore[index]
    assert report.newest("held_out", "full", tmp_path) is None


def test_a_run_prints_as_tables_of_plain_text() -> None:
    run = report.Run("dev", 1, "small", [a_row("task", "route", fault="f1"), a_row()], cases=1)
    text = report.text(run)
    assert text.isascii() and "MISSED" in text and "false blame" in text


# From truth and verdicts


def test_loss_and_skew_are_confounders_with_their_size() -> None:
    names = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
    truth = {
        "faults": [],
        "tries": [{**names, "culprit": "route", "cause": "no_member", "fault": None, "confounders": ["loss", "skew"]}],
    }
    (row,) = rows("w", {**truth, "world": {"loss": 0.15, "skew_s": -5.5}}, [])
    assert row.confounders == ("loss", "loss_15", "skew", "skew_5.5") and metrics.lost(row) == 15
    assert [f.id for f in metrics.confounded([row])] == ["V15p 50", "V15r 50", "V14b"]


def test_rows_join_truth_and_verdicts_by_the_key_of_the_try() -> None:
    names = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}
    truth = {
        "faults": [{"id": "F1", "kind": "N3", "twin": "A5", "confounders": ["skew_5"], "unseen": True}],
        "tries": [
            {
                **names,
                "try_number": 1,
                "culprit": "route",
                "cause": "no_member",
                "fault": "F1",
                "accepted": ["member_down"],
            },
            {
                **names,
                "try_number": 2,
                "culprit": "unknown",
                "cause": "undecided",
                "fault": None,
                "really": {"culprit": "task"},
            },
        ],
    }
    verdicts = [
        {**names, "try_number": 1, "culprit": "route", "cause": "member_down", "link": "by the X-Airflow-Task header"},
        {**names, "try_number": 3, "culprit": "route", "cause": "no_member"},
    ]
    one, two, three = rows("w", truth, verdicts)
    assert one.cause_right and one.said.link == "header" and one.confounders == ("skew_5",)
    assert (
        one.expected is not None and one.expected.kind == "N3" and one.expected.unseen and one.expected.fault == "w/F1"
    )
    assert (
        two.culprit_right
        and two.said.status == "missing"
        and two.expected is not None
        and two.expected.blamed == "task"
    )
    assert three.expected is None and three.falsely_blamed


def test_what_is_slow_or_not_by_a_hair_is_asked_of_nobody() -> None:
    names = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
    truth = {"faults": [], "tries": [], "ignored": [["d", "r", "t", -1, 1]]}
    assert rows("w", truth, [{**names, "culprit": "route", "cause": "slow_member"}]) == []


def test_a_capture_without_accepted_codes_takes_the_usual_names() -> None:
    names = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}
    truth = {"faults": [], "tries": [{**names, "culprit": "route", "cause": "api_unreachable", "fault": None}]}
    (row,) = rows("w", truth, [{**names, "culprit": "route", "cause": "no_member"}])
    assert row.cause_right and row.expected is not None and row.expected.kind == "own"
    (row,) = rows("w", truth, [{**names, "culprit": "task", "cause": "no_member"}])
    assert not row.cause_right
