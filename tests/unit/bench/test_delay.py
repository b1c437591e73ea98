"""From when on a verdict's delay counts, and which values the bench prints of many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bench import delay

END = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WAIT = timedelta(seconds=38)


@pytest.mark.parametrize(
    ("last_row_s", "needed_s"),
    [
        pytest.param(-3, 38, id="its last row came before its end: absence counts from the end of its wait"),
        pytest.param(20, 38, id="a row that came while others could still come"),
        pytest.param(50, 50, id="a row that came later than the wait"),
    ],
)
def test_a_delay_counts_from_the_last_row_or_the_end_of_the_wait(last_row_s: float, needed_s: float) -> None:
    needed = delay.Needed(END, END + timedelta(seconds=last_row_s), WAIT)
    assert needed.at == END + timedelta(seconds=needed_s)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [delay.percentile(values, share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert delay.percentile([4.0], 0.95) == 4.0


def test_the_goal_stands_at_p95_and_nothing_measured_is_said() -> None:
    found = delay.figures([3.0, 1.0, 20.0])
    assert [(f.name.rsplit(", ", 1)[-1], f.value) for f in found] == [
        ("running demo: verdicts", 3), ("p50", 3.0), ("p95", 20.0), ("p99", 20.0), ("longest", 20.0),
    ]  # fmt: skip
    assert [f.goal for f in found if f.goal] == [delay.GOAL]
    assert delay.figures([]) == [delay.Figure("running demo: verdicts", 0, "")]
