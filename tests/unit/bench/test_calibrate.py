"""What the rules claim of themselves is drawn towards what the bench measured, and the table of it is written from answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.faults import calibrate
from ingest.rules import RULES, measured


def an_answer(rule: str, culprit: str, cause: str, right: str, *accepted: str) -> dict[str, Any]:
    return {
        "said": {"rule": rule, "culprit": culprit, "cause": cause},
        "expected": {"cause": right, "accepted": list(accepted)},
    }


ANSWERS = [
    an_answer("route.misroute", "route", "misroute", "misroute"),
    an_answer("route.misroute", "route", "misroute", "config_change", "misroute"),
    an_answer("route.misroute", "route", "misroute", "bad_request"),
    an_answer("unknown.undecided", "unknown", "undecided", "misroute"),
]


def test_answers_are_counted_by_rule_and_what_claims_nothing_is_left_out() -> None:
    assert calibrate.counts(ANSWERS) == {"route.misroute": (2, 3)}


def test_who_blames_a_route_of_a_try_that_needs_no_verdict_is_wrong() -> None:
    nobody = [an_answer("route.misroute", "route", "misroute", "") | {"expected": None}]
    own = [an_answer("task.own", "task", "task_error", "") | {"expected": None}]
    assert calibrate.counts(ANSWERS + nobody + own) == {"route.misroute": (2, 4)}


def test_the_table_is_written_in_place_of_the_old_one() -> None:
    source = calibrate.TARGET.read_text("utf-8")
    once = calibrate.written(source, {"a.b": (1, 2)})
    assert '    "a.b": (1, 2),\n}\n' in once and once.count("MEASURED: dict") == 1
    assert calibrate.written(once, measured.MEASURED) == source


def test_held_out_answers_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "answers-held_out.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in ANSWERS))
    before = calibrate.TARGET.read_bytes()
    assert calibrate.main([str(path)]) == 2 and calibrate.TARGET.read_bytes() == before
    assert "held out" in capsys.readouterr().err


def test_a_claim_is_drawn_towards_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "MEASURED", {"a.b": (980, 980), "a.c": (0, 20)})
    assert measured.drawn("a.b", 0.8) == 0.996
    assert measured.drawn("a.c", 0.8) == 0.4
    assert measured.drawn("a.d", 0.8) == 0.8


def test_only_rules_that_there_are_were_measured() -> None:
    names = {f"{rule.__module__.rsplit('.', 1)[-1]}.{rule.__name__}" for rule in RULES}
    assert set(measured.MEASURED) <= names
