"""Captures are read and told again at another time: every form of a time moves, nothing else does."""

from datetime import timedelta
from pathlib import Path

import pytest

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
