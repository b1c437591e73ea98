"""Captures are read and told again at another time: every form of a time moves, nothing else does."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.capture import CaptureError, log_key, read_capture, shift

CAPTURES = Path(__file__).parent.parent.parent / "captures"
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-11-22T09:25:10Z", "2026-11-23T09:25:10Z"),
        ("2026-11-22T09:25:10.052+00:00", "2026-11-23T09:25:10.052+00:00"),
        ("2026-11-22 09:25:10,123", "2026-11-23 09:25:10,123"),
        ("manual__2026-11-22T09%3A25%3A10.1%2B00%3A00", "manual__2026-11-23T09%3A25%3A10.1%2B00%3A00"),
        ("manual__2026-11-22T09%3a25%3a10%2E1%2b00%3a00", "manual__2026-11-23T09%3a25%3a10%2E1%2b00%3a00"),
        ("<133>Nov 22 09:25:35 host", "<133>Nov 23 09:25:35 host"),
        ("<133>Nov 30 09:25:35 host", "<133>Dec  1 09:25:35 host"),
        ("@2026/11/22 09:28:51.  ]", "@2026/11/23 09:28:51.  ]"),
        ('ts="1795339510.052000"', 'ts="1795425910.052000"'),
        ("Sun, 22 Nov 2026 09:32:45 GMT", "Mon, 23 Nov 2026 09:32:45 GMT"),
        ("[30/Nov/2026:09:32:45 +0000]", "[01/Dec/2026:09:32:45 +0000]"),
        ("execution_date=20261122T104903,", "execution_date=20261123T104903,"),
        ("datetime.datetime(2026, 11, 22, 9, 33, 53, 26534)", "datetime.datetime(2026, 11, 23, 9, 33, 53, 26534)"),
        ("2026-12-31T23:59:59Z", "2027-01-01T23:59:59Z"),
        ("2028-02-28T00:00:00Z Feb 28 00:00:00", "2028-02-29T00:00:00Z Feb 29 00:00:00"),
    ],
)
def test_every_form_of_a_time_moves(before, after):
    assert shift(before, DAY) == after
    assert shift(before.encode(), DAY) == after.encode()


@pytest.mark.parametrize(
    "text",
    [
        "127.0.10.11:8080",
        "version 3.3.2",
        "for 0hr:8mins:56sec",
        "9:25:10",
        "2026-13-22T09:25:10Z",
        "2026-11-22",
        'client_port="39954"',
        'response_us="1795339510"',
        "1795339510",
        "Marc 22 09:25:35",
        "550e8400-e29b-41d4-a716-446655440000",
        "01070638:5:",
    ],
)
def test_what_only_looks_like_a_time_stays(text):
    assert shift(text, DAY, lap=3) == text


def test_a_uuid_moves_with_its_time_and_its_lap():
    before = "01a20292-e55e-7256-bf6c-250866266e5a"
    moved, lapped = shift(before, DAY), shift(before, DAY, lap=1)
    assert int(moved[:13].replace("-", ""), 16) - int(before[:13].replace("-", ""), 16) == 86_400_000
    assert moved[14:] == before[14:]
    assert lapped[:23] == moved[:23]
    assert lapped[24:] != moved[24:]


def test_laps_share_no_identifier():
    text = (
        '"event_log_id": 106, "id": 3, 00-618954d290a540ad1f42f5d824a92230-a2d6980f637ec3f6-00 transaction #7001-2 '
        "01a20292-e55e-7256-bf6c-250866266e5a"
    )
    laps = [shift(text, DAY, lap).split() for lap in range(200)]
    for position in (1, 3, 4, 6, 7):
        assert len({lap[position] for lap in laps}) == 200


def test_parts_of_a_second_are_not_moved():
    assert shift("2026-11-22T09:25:10.5Z", timedelta(seconds=1.9)) == "2026-11-22T09:25:11.5Z"


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


def test_a_folder_that_is_no_capture_says_so(tmp_path):
    with pytest.raises(CaptureError, match=r"no meta\.json"):
        read_capture(tmp_path)
    (tmp_path / "meta.json").write_text('{"name": "x"}')
    with pytest.raises(CaptureError, match="no usable 'start'"):
        read_capture(tmp_path)


def test_the_name_of_a_log_is_its_key():
    key = log_key("d%2Ex.manual__2026-11-22T09%3A25%3A50%2E29%2B00%3A00.group%2Etask.3.2.json")
    assert (key["dag_id"], key["task_id"], key["map_index"], key["try_number"]) == ("d.x", "group.task", 3, 2)
    assert log_key("README.json") is None
