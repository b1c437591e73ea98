"""What is known of a feed's time, and when a silence is beyond chance."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.completeness import usual
from ingest.completeness.intervals import Lack, Span, is_thin, ledger, merged, share, without
from ingest.sources import receiver_report
from ingest.sources.receiver_report import Report, Status

T = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # a Monday


def at(minutes: float) -> datetime:
    return T + timedelta(minutes=minutes)


def span(start: float, end: float) -> Span:
    return Span(at(start), at(end))


def test_spans_are_put_together_and_cut_out() -> None:
    assert merged([span(3, 4), span(0, 1), span(1, 2), span(5, 5)]) == [span(0, 2), span(3, 4)]
    assert without(span(0, 10), [span(8, 12), span(2, 3), span(-5, 0)]) == [span(0, 2), span(3, 8)]
    assert without(span(0, 1), [span(-1, 2)]) == []


def test_every_instant_of_the_window_is_said_once() -> None:
    parts = ledger(span(-10, 60), at(0), at(50), [Lack(at(10), at(20), "silent"), Lack(at(15), at(30), "3 lost", True)])
    assert [(p.state, (p.start - T).total_seconds() / 60, (p.end - T).total_seconds() / 60) for p in parts] == [
        ("before", -10, 0), ("complete", 0, 10), ("missing", 10, 20), ("thin", 20, 30), ("complete", 30, 50),
        ("coming", 50, 60),
    ]  # fmt: skip
    assert share(parts) == pytest.approx(0.8)


def test_where_all_is_missing_few_that_are_missing_too_are_not_said() -> None:
    parts = ledger(span(0, 60), at(0), at(60), [Lack(at(0), at(30), "3 lost", True), Lack(at(10), at(20), "silent")])
    assert [p.state for p in parts] == ["thin", "missing", "thin", "complete"]


def test_a_gap_that_lasts_hides_what_would_be_coming_and_nothing_known_is_no_share() -> None:
    parts = ledger(span(0, 60), at(0), at(30), [Lack(at(30), None, "silent")])
    assert [p.state for p in parts] == ["complete", "missing"]
    assert share(ledger(span(0, 60), None, None, [])) is None
    assert [p.state for p in ledger(span(0, 60), at(70), at(90), [])] == ["before"]


def test_few_of_many_are_thin() -> None:
    assert is_thin(3, 100) and not is_thin(30, 100) and not is_thin(None, 100) and not is_thin(3, None)


# Silence


def hours(count: int, arrivals: int = 300, longest: float = 10.0, before: datetime = T) -> list[usual.Hour]:
    return [usual.Hour(before - timedelta(hours=n), arrivals, longest) for n in range(count, 0, -1)]


def test_of_a_new_feed_nothing_is_usual() -> None:
    assert usual.usual(hours(4), T) is None
    assert usual.usual(hours(8, arrivals=5), T) is None
    reached = usual.reach(T, at(30), None, None, hours(4))
    assert (reached.upto, reached.silent_since, reached.sure) == (T, None, False)


def test_a_silence_is_beyond_chance_at_twice_the_longest_one_that_ended() -> None:
    known = hours(8, longest=240)
    assert usual.usual(known, T) == usual.Usual(240, "since it began")
    within, beyond = usual.reach(T, at(7), None, None, known), usual.reach(T, at(9), None, None, known)
    assert within.silent_since is None and within.upto == at(7) - usual.SETTLED and within.sure
    assert (beyond.silent_since, beyond.upto) == (T, T)


def test_a_short_silence_says_nothing() -> None:
    assert usual.reach(T, at(1.9), None, None, hours(8, longest=1)).upto == at(1.9) - usual.SETTLED
    assert usual.reach(T, at(2.1), None, None, hours(8, longest=1)).silent_since == T


def test_the_hour_of_the_week_counts_before_the_hour_of_the_day() -> None:
    known = []
    for day in range(28, 0, -1):
        start = T - timedelta(days=day)
        known.append(usual.Hour(start, 300, 3600.0 if start.weekday() == 0 else 20.0))
    assert usual.usual(known, T) == usual.Usual(3600.0, "at this hour of the week, 4 weeks back")
    tuesday = usual.usual(known, T + timedelta(days=1))
    assert tuesday is not None and tuesday.longest_s == 20.0
    recent = [hour for hour in known if T - hour.start <= timedelta(days=3)]
    assert usual.usual(recent, T) == usual.Usual(20.0, "at this hour of the day, 4 weeks back")


def test_an_hour_in_which_it_always_spoke_ends_a_long_night() -> None:
    known = []
    for week in range(4, 0, -1):
        for hour in (11, 12, 20):  # it is silent from 13 to 20 h, every day
            start = T.replace(hour=hour) - timedelta(weeks=week)
            known.append(usual.Hour(start, 300, 7 * 3600.0 if hour == 12 else 10.0))
    quiet = usual.reach(T.replace(hour=12, minute=59), T.replace(hour=19), None, None, known)
    assert quiet.silent_since is None
    late = usual.reach(T.replace(hour=12, minute=59), T.replace(hour=21, minute=1), None, None, known)
    assert late.silent_since == T.replace(hour=12, minute=59) and "20:00" in late.words
    two_weeks = [hour for hour in known if T - hour.start < timedelta(weeks=2, days=1)]
    assert usual.should_have_spoken(two_weeks, T.replace(hour=12, minute=59), T.replace(hour=21, minute=1)) is None


def test_counters_outweigh_chance_and_chance_outweighs_a_connection() -> None:
    known = hours(8, longest=60)
    assert usual.reach(T, at(9), at(9), at(8), known).silent_since is None
    assert usual.reach(T, at(9), at(9), None, known).silent_since == T
    connected = usual.reach(T, at(9), at(9), None, [])
    assert (connected.upto, connected.silent_since, connected.sure) == (at(8), None, True)
    assert usual.reach(T, at(9), None, at(5), []).upto == at(5)


# What the receiver says


def test_a_log_of_changes_is_judged_by_weeks_and_not_by_the_hour() -> None:
    """A member flapped all day, then it was mended: the calm after it is no gap. A week later, two days of silence are."""
    flapped = hours(8, longest=60)
    assert usual.reach(T, at(120), None, None, flapped).silent_since == T
    assert usual.usual(flapped, T, calm=True) is None
    assert usual.reach(T, at(120), None, None, flapped, calm=True).silent_since is None
    weeks = [*hours(24 * 9, arrivals=1, longest=10.0), usual.Hour(T - timedelta(days=8), 1, 20 * 3600.0)]
    assert usual.usual(weeks, T, calm=True) == usual.Usual(20 * 3600.0, "in 4 weeks")
    assert usual.reach(T, T + timedelta(hours=39), None, None, weeks[8:], calm=True).silent_since is None
    assert usual.reach(T, T + timedelta(hours=41), None, None, weeks[8:], calm=True).silent_since == T


def test_the_receiver_writes_down_what_it_lost(tmp_path: Path) -> None:
    status = Status()
    report = Report(tmp_path, status)
    status.sender("10.0.0.1").udp = 90
    status.sender("10.0.0.2").open["request"] = 1
    report.write()
    status.sender("10.0.0.1").udp = 190
    status.udp_dropped = 7
    report.write()
    status.sender("10.0.0.2").dropped = 2
    report.write()
    beat = receiver_report.read([f"{tmp_path}/10.0.0.1/request*.log*"])
    assert beat is not None and not beat.is_connected("f5_request")
    losses, offset = beat.losses(0)
    assert [(one.kind, one.count, one.expected, one.senders) for one in losses] == [
        ("udp", 7, 107, ("10.0.0.1",)),
        ("dropped", 2, 2, ("10.0.0.2",)),
    ]
    assert beat.concerns(losses[0]) and not beat.concerns(losses[1]) and beat.losses(offset) == ([], offset)
    other = receiver_report.read([f"{tmp_path}/10.0.0.2/request*.log*"])
    assert other is not None and other.is_connected("f5_request") and not other.is_connected("f5_ltm")


def test_a_receiver_that_starts_says_since_when_none_ran(tmp_path: Path) -> None:
    Report(tmp_path, Status()).write()
    Report(tmp_path, Status())
    beat = receiver_report.read([f"{tmp_path}/10.0.0.1/request*.log*"])
    assert beat is not None
    (loss,), _ = beat.losses(0)
    assert (loss.kind, loss.start, loss.senders) == ("receiver", beat.at, ())


@pytest.mark.parametrize(
    "said", ["", "[]", "nonsense", '{"at": 5}', '{"at": "2026-01-01"}', json.dumps({"at": "yesterday", "senders": 1})]
)
def test_a_heartbeat_that_cannot_be_read_is_none(tmp_path: Path, said: str) -> None:
    (tmp_path / "receiver.json").write_text(said)
    assert receiver_report.read([f"{tmp_path}/10.0.0.1/request*.log*"]) is None


def test_a_loss_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    Report(tmp_path, Status()).write()
    good = {"kind": "udp", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:02Z", "count": True}
    lines = [
        "[]",
        "x",
        "{}",
        json.dumps(good | {"kind": "boo"}),
        json.dumps(good | {"to": good["from"]}),
        json.dumps(good),
    ]
    (tmp_path / "losses.jsonl").write_text("\n".join(lines) + "\nhalf a l")
    beat = receiver_report.read([f"{tmp_path}/10.0.0.1/request*.log*"])
    assert beat is not None
    losses, offset = beat.losses(0)
    assert [one.count for one in losses] == [None] and offset == (tmp_path / "losses.jsonl").stat().st_size - 8
    assert beat.losses(10_000_000)[1] == offset  # begun anew


def a_loss(number: int) -> dict[str, object]:
    start = T + timedelta(seconds=2 * number)
    span = {"from": start.isoformat(), "to": (start + timedelta(seconds=2)).isoformat()}
    return {"kind": "udp", **span, "count": number, "expected": 10**6, "senders": ["10.0.0.1"]}


def test_the_list_of_losses_is_bounded_and_each_loss_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_report, "LONGEST", 4_000)
    report = Report(tmp_path, Status())
    report.write()
    beat = receiver_report.read([f"{tmp_path}/10.0.0.1/request*.log*"])
    assert beat is not None
    seen, at, sizes = [], 0, []
    for number in range(300):
        report._lose([a_loss(number)])
        sizes.append((tmp_path / "losses.jsonl").stat().st_size)
        if number % 7 == 0:  # a reader looks now and then, and never misses more than half of the list
            found, at = beat.losses(at)
            seen += [one.count for one in found]
    found, at = beat.losses(at)
    assert [*seen, *(one.count for one in found)] == list(range(300))
    assert max(sizes) < 4_500 and sum(later < sooner for sooner, later in itertools.pairwise(sizes)) > 10
    assert beat.losses(at) == ([], at) and at > 40_000  # it counts what is not there any more
    assert sorted(path.name for path in tmp_path.iterdir()) == ["losses.jsonl", "receiver.json"]


def test_who_was_away_too_long_is_told_from_when_to_when_losses_were_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_report, "LONGEST", 4_000)
    report = Report(tmp_path, Status())
    report.write()
    beat = receiver_report.read([f"{tmp_path}/10.0.0.1/request*.log*"])
    for number in range(100):
        report._lose([a_loss(number)])
    assert beat is not None
    (missed, first, *rest), end = beat.losses(0)
    assert (missed.kind, missed.start, missed.end, missed.senders) == ("dropped", T, first.start, ())
    assert [first.count, *(one.count for one in rest)] == list(range(first.count or 0, 100))
    (tmp_path / "losses.jsonl").unlink()  # by somebody
    report._lose([a_loss(5)])
    found, _ = beat.losses(end)
    assert [one.count for one in found] == [5]
