"""Tables, results and gate of the fault bench, and its rows from truth and verdicts."""

from __future__ import annotations

from bench.faults import metrics, report, tables
from bench.faults.score import Row, rows
from tests.unit.bench.fault_rows import a_row


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
