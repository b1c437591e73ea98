"""A fast slice of `make fuzz`: changed lines and documents through every parser, the changes drawn by Hypothesis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import mutate, seeds, targets

PART = st.integers(0, 999_999)
CHANGES = st.lists(st.builds(mutate.Change, PART, PART, PART, PART), max_size=4)


@given(st.sampled_from(seeds.lines()), CHANGES)
@settings(max_examples=25, deadline=None)
def test_a_changed_line_ends_in_one_record_and_loses_nothing(seed: str, changes: list[mutate.Change]) -> None:
    line = mutate.line(seed, changes)
    for target in targets.LINES:
        target.run(line)


@given(st.sampled_from(seeds.documents()), CHANGES)
@settings(max_examples=15, deadline=None)
def test_a_changed_document_ends_in_records_that_can_be_stored(seed: Any, changes: list[mutate.Change]) -> None:
    document = mutate.document(seed, changes)
    for target in targets.DOCUMENTS:
        target.run(document)


@pytest.mark.parametrize(
    "line",
    [
        '",a="' * 10_000,
        "password " * 4_000,
        "Nov 13 04:19:15 lb1 notice mcpd[1]: 01070638:5: Pool /C/p member /C/m:1 monitor status down. [ "
        + ", /a: up" * 7_000,
        "<1>1 2022-01-10T08:23:01Z h a - b [" + 'a="\\' * 12_000,
        "Nov 13 04:19:15 lb1 notice mcpd[1]: 01070417:5: AUDIT - user a - transaction #1-1 - object 0 - modify { "
        + ' a "b"' * 9_000,
        "#015" * 16_000,
    ],
)
def test_no_line_takes_50_ms(line: str) -> None:
    for target in targets.LINES:
        targets.timed(target, line)


def test_what_must_hold_can_fail() -> None:
    target = targets.Target("broken", "line", lambda text: targets.outcome(None, text))
    with pytest.raises(targets.Broken, match="no record"):
        targets.timed(target, "x")
    with pytest.raises(targets.Broken, match="lost its text"):
        targets.outcome(targets.Reject("why", "another text"), "the text")
    with pytest.raises(targets.Broken, match="NUL"):
        targets.outcome(targets.Reject("why", "a\x00b"), "a\x00b")
