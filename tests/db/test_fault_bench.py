"""A recorded world goes through the fault bench from its folder to its figures."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.faults import readings, report, run, steady
from ingest.models import Airflow

CAPTURES = Path(__file__).resolve().parents[2] / "captures"

pytestmark = pytest.mark.long


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a test the database is the test's own, which its transaction empties."""
    monkeypatch.setattr(readings, "database", lambda name: nullcontext())


def test_lab1_is_scored_as_its_truth_says(here: None) -> None:
    done = run.world(run.Job(1, "lab1-bigip", None, CAPTURES / "lab1-bigip", True, False))
    found = {f.id: f for f in report.figures(report.Run("captures", 1, "small", done.rows, grounds=done.grounds))}
    assert (found["V6"].k, found["V6"].n) == (
        found["V6"].n,
        sum(r.expected.identifiable for r in done.rows if r.expected),
    )
    assert found["V1"].k == found["V2"].k == 0 and found["V16"].value == 1.0
    assert found["V10"].value == 1.0, done.grounds.wrong
    assert done.grounds.steady == len([r for r in done.rows if r.said.status == "final"])
    naive = [r for r in done.rows if r.others["naive"] == "route" and r.expected and r.expected.culprit == "task"]
    assert naive, "the rule that must not be used blames the network for bugs"


def test_order_and_batches_are_compared_byte_for_byte(here: None, tmp_path: Path) -> None:
    told = readings.told(CAPTURES / "lab1-bigip")
    first = steady.answers(told.airflow)
    steady.judge_in_small_batches(Airflow.objects.get(), told.capture)
    assert steady.differing(first, steady.answers(told.airflow)) == 0
    assert steady.differing(first, [*first[1:], first[0] + " "]) == 1


def test_a_shuffled_capture_holds_the_same_lines(tmp_path: Path) -> None:
    folder = steady.shuffled(CAPTURES / "lab1", tmp_path / "copy", 1)

    def messages(log: Path) -> list[bytes]:
        return [line.split(b" ", 1)[1] for line in log.read_bytes().splitlines()]

    whole, mixed = messages(CAPTURES / "lab1" / "f5" / "request.log"), messages(folder / "f5" / "request.log")
    assert whole != mixed and sorted(whole) == sorted(mixed)
    received = [line.split(b" ", 1)[0] for line in (folder / "f5" / "request.log").read_bytes().splitlines()]
    assert received == sorted(received)
    shutil.rmtree(folder)
