"""Whole captures and any texts are told again at another time, and back."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.capture import read_capture, shift

CAPTURES = Path(__file__).parents[2] / "captures"
DAY = timedelta(days=1)


@pytest.mark.parametrize("name", ["request.log", "ltm.log", "audit.log"])
def test_a_spool_file_comes_back_from_a_lap(name):
    raw = (CAPTURES / "lab1" / "f5" / name).read_bytes()
    delta = timedelta(days=40, hours=7)
    moved = shift(raw, delta, 5)
    assert b"2026-11-22" not in moved
    assert b"Nov 22" not in moved
    assert shift(moved, -delta, -5) == raw


def test_the_request_log_is_moved_quickly():
    raw = (CAPTURES / "lab1" / "f5" / "request.log").read_bytes()
    began = time.perf_counter()
    moved = shift(raw, DAY, 1)
    assert time.perf_counter() - began < 4  # 1.3 s measured
    assert len(moved) == len(raw)


TEXTS = st.lists(
    st.sampled_from(
        [
            "2026-11-22T09:25:10.1Z",
            "2026-11-22T09%3A25%3A10",
            "Nov 22 09:25:35",
            'ts="1795339510.052000"',
            "Sun, 22 Nov 2026 09:32:45 GMT",
            "[22/Nov/2026:09:32:45 +0000]",
            "01a20292-e55e-7256-bf6c-250866266e5a",
            "00-618954d290a540ad1f42f5d824a92230-a2d6980f637ec3f6-00",
            '"event_log_id": 106',
        ]
    )
    | st.text(max_size=20)
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(-60 * 86_400, 60 * 86_400), st.integers(0, 1_000))
def test_a_shift_can_be_undone(text, seconds, lap):
    delta = timedelta(seconds=seconds)
    assert shift(shift(text, delta, lap), -delta, -lap) == text


def test_a_capture_is_read_shifted():
    capture = read_capture(CAPTURES / "lab1", DAY, lap=1)
    assert capture.start == datetime(2026, 11, 23, 9, 25, 10, tzinfo=UTC)
    assert sorted(capture.f5) == ["audit.log", "ltm.log", "request.log"]
    assert len(capture.airflow["taskInstances"]) == 222
    assert {"pool", "virtual"} <= set(capture.icontrol)
    logged = {(log["dag_id"], log["run_id"]) for log in capture.task_logs}
    assert logged <= {(run["dag_id"], run["dag_run_id"]) for run in capture.airflow["dagRuns"]}
