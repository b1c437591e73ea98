"""The SVG timeline's rules: axis, ticks, marks that lie close, words that fit, gaps, and what each mark leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dashboards import timeline, words
from dashboards.plots import links, parts
from dashboards.queries.rows import IncidentRow, MemberTrack, RequestRow, Span, TryRow
from dashboards.queries.watermark import Stretch

T0 = datetime(2026, 11, 22, 9, 36, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def an_axis(seconds: float = 100) -> timeline.Axis:
    return timeline.Axis(T0, at(seconds))


def a_plot(seconds: float = 100) -> timeline.Plot:
    return timeline.Plot(an_axis(seconds), "a plot")


def a_request(seconds: float, **changes: object) -> RequestRow:
    values: dict[str, object] = {
        "line_id": int(seconds * 1000), "at": at(seconds), "endpoint_id": 1, "endpoint": "/Common/vs_orders",
        "f5_pool": "/Common/pool_orders", "member_id": 1, "member": "/Common/orders1:9000", "client": "10.0.0.1",
        "client_port": 1, "method": "GET", "path": "/orders", "status": 502, "outcome": "server_error", "took_us": 1000,
        "bytes": 0, "link": "header", "suspect": False,
    }  # fmt: skip
    return RequestRow(**{**values, **changes})  # type: ignore[arg-type]


def a_try(**changes: object) -> TryRow:
    values: dict[str, object] = {
        "id": 7, "airflow": "lab", "dag_id": "orders_sync", "run_id": "manual__2026-11-22T09:36:00+00:00",
        "task_id": "get_orders", "map_index": -1, "try_number": 1, "state": "failed", "ti_id": "", "airflow_pool": "p",
        "operator": "", "conn_id": "", "hostname": "", "scheduled_at": at(0), "queued_at": at(1), "start_at": at(10),
        "end_at": at(20), "duration_s": 10.0,
    }  # fmt: skip
    return TryRow(**{**values, **changes})  # type: ignore[arg-type]


def marks(plot: timeline.Plot) -> list[timeline.Mark]:
    return [item for item in plot.over() if isinstance(item, timeline.Mark)]


def test_places_are_per_cent_of_the_axis_and_stay_on_it() -> None:
    axis = an_axis(200)
    assert [axis.pc(at(s)) for s in (-5, 0, 50, 200, 999)] == ["0.00%", "0.00%", "25.00%", "100.00%", "100.00%"]


def test_a_bar_without_length_keeps_a_width() -> None:
    assert an_axis().span(at(5), at(5)) == {"x": "5.00%", "width": "0.02%"}


def test_an_axis_without_length_does_not_divide_by_zero() -> None:
    assert timeline.Axis(T0, T0).x(at(1)) == 100.0


@pytest.mark.parametrize(
    ("seconds", "wish", "step"),
    [(50, 8, 10), (8, 8, 1), (900, 15, 60), (3600, 15, 300), (86_400, 15, 7200), (604_800, 15, 43_200)],
)
def test_ticks_take_the_smallest_round_step_that_fits(seconds: int, wish: int, step: int) -> None:
    ticks = an_axis(seconds).ticks(wish)
    assert len(ticks) <= wish + 1
    assert (ticks[1] - ticks[0]).total_seconds() == step
    assert all(tick.timestamp() % step == 0 for tick in ticks)


def test_a_long_axis_still_has_ticks() -> None:
    assert 2 <= len(timeline.Axis(T0, T0 + timedelta(days=395)).ticks(15)) <= 60


def test_tick_words_have_no_seconds_on_whole_minutes() -> None:
    assert [words.tick(at(0)), words.tick(at(5)), words.tick(T0.replace(hour=0, minute=0))] == [
        "09:36",
        "09:36:05",
        "22 Nov",
    ]


def test_about_four_ticks_stay_on_a_phone() -> None:
    drawn = [s for s in a_plot(900).under() if s.tag == "text"]
    stay = [s for s in drawn if ("class", "minor") not in s.attrs]
    assert len(drawn) > 10
    assert 3 <= len(stay) <= 5


def test_near_marks_become_one_that_knows_its_number() -> None:
    groups = timeline.near(an_axis(), [at(10), at(10.5), at(11), at(40)], lambda moment: moment)
    assert [len(group.items) for group in groups] == [3, 1]
    assert (groups[0].start, groups[0].end) == (at(10), at(11))


def test_three_near_failures_are_a_bar_with_a_number_and_a_link_to_the_rows() -> None:
    plot = a_plot()
    parts.failures(plot, 10, [a_request(10), a_request(10.2), a_request(10.4)])
    (mark,) = marks(plot)
    assert [s.tag for s in mark.shapes] == ["rect", "text"]
    assert mark.shapes[1].text == "3"
    assert "3\u00a0failed requests" in mark.title
    assert mark.href.startswith("/requests/?from=2026-11-22T09%3A36%3A10Z")


def test_one_failure_is_a_cross_that_opens_its_try() -> None:
    plot = a_plot()
    parts.failures(plot, 10, [a_request(10, try_id=7)])
    (mark,) = marks(plot)
    assert mark.shapes[0].tag == "icon"
    assert mark.href == "/tries/7/"
    assert mark.state == "failed"


def test_failures_are_drawn_last() -> None:
    plot = a_plot()
    requests = (a_request(10), a_request(50, outcome="slow", took_us=9_000_000))
    track = MemberTrack(1, "/Common/orders1:9000", 1, "pool", "up", "", (Span(at(0), at(100), "up"),), requests)
    parts.draw_track(plot, 0, track)
    assert [mark.state for mark in marks(plot)] == ["up", "slow", "failed"]


def test_answered_requests_are_ticks_without_a_link() -> None:
    plot = a_plot()
    parts.draw_requests(plot, 0, [a_request(10, outcome="ok", status=200)])
    assert marks(plot) == []
    (tick,) = plot.over()
    assert isinstance(tick, timeline.Shape)
    assert "200 after 1\u00a0ms" in tick.title


def test_a_down_member_is_thicker_than_an_up_one() -> None:
    plot = a_plot()
    spans = (Span(at(0), at(50), "up"), Span(at(50), at(60), "down", "refused"), Span(at(60), at(100), "disabled"))
    parts.draw_track(plot, 0, MemberTrack(1, "/Common/orders1:9000", 1, "pool", "up", "", spans))
    high = {mark.state: dict(mark.shapes[0].attrs)["height"] for mark in marks(plot)}
    assert high == {"up": "4", "down": "8", "unknown": "8"}


def test_words_stand_right_of_a_mark_and_left_of_it_near_the_edge() -> None:
    plot = a_plot()
    right, left = plot.words(at(10), 0, "x", end=at(20)), plot.words(at(80), 0, "x", end=at(95))
    assert dict(right.attrs)["x"] == "20.00%"
    assert "text-anchor" not in dict(right.attrs)
    assert dict(left.attrs)["x"] == "80.00%"
    assert dict(left.attrs)["text-anchor"] == "end"


def test_a_try_has_its_wait_its_icon_and_its_number_and_is_a_link() -> None:
    plot = a_plot()
    parts.draw_try(plot, 0, a_try(), at(100))
    (mark,) = marks(plot)
    assert [s.tag for s in mark.shapes] == ["line", "rect", "icon", "text"]
    assert (mark.href, mark.state) == ("/tries/7/", "failed")
    assert mark.title == "orders_sync get_orders try 1: failed, 09:36:10.000 to 09:36:20.000"


def test_a_running_try_reaches_to_the_watermark() -> None:
    plot = a_plot()
    parts.draw_try(plot, 0, a_try(state="running", end_at=None), at(60))
    (mark,) = marks(plot)
    bar = next(s for s in mark.shapes if s.tag == "rect")
    assert dict(bar.attrs)["width"] == "50.00%"
    assert "soft" in dict(bar.attrs)["class"]


@pytest.mark.parametrize("change", [{"start_at": None, "queued_at": None, "scheduled_at": None}, {"start_at": at(500)}])
def test_a_try_without_a_place_on_the_axis_is_not_drawn(change: dict[str, object]) -> None:
    plot = a_plot()
    parts.draw_try(plot, 0, a_try(**change), at(100))
    assert plot.over() == []


def test_gaps_are_hatched_and_say_why_where_there_is_room() -> None:
    plot = a_plot()
    plot.lane("a")
    plot.gap(at(-50), at(30), "No log data before 09:36:30: the feed began then")
    plot.gap(at(98), at(120), "Not yet arrived")
    shapes = plot.gap_shapes()
    assert [s.tag for s in shapes] == ["rect", "rect", "text"]
    assert shapes[2].text == "No log data before 09:36:30"
    assert dict(shapes[0].attrs)["fill"] == "url(#gap)"
    assert shapes[1].title == "Not yet arrived"


def test_a_gap_beyond_the_axis_is_none() -> None:
    plot = a_plot()
    plot.gap(at(200), at(300), "later")
    assert plot.gaps == []


def test_lanes_have_labels_of_the_same_height() -> None:
    plot = a_plot()
    plot.group("Airflow")
    plot.lane("a")
    plot.tall("took", [(0, "1 s")], 100)
    assert sum(label.height for label in plot.labels) == plot.y


def test_more_than_twelve_lanes_fold() -> None:
    own, rest = timeline.folded(range(30))
    assert (len(own), len(rest)) == (11, 19)
    assert timeline.folded(range(12)) == (range(12), ())


def test_the_span_of_an_incident_has_an_edge_where_it_begins() -> None:
    plot = a_plot()
    plot.window(at(10), at(50))
    plot.window(at(-10), at(5))
    assert [dict(s.attrs)["class"] for s in plot.under()[:3]] == ["window", "edge", "window"]


def test_an_incident_is_a_bar_with_its_number() -> None:
    plot = a_plot()
    row = IncidentRow(6, "open", "route", "no_member", "no member", "pool", "p", "said", "", 1, "vs", 1, "p", (), at(10),
                      None, at(20), 10.0, 2, ("orders_sync",))  # fmt: skip
    parts.draw_incident(plot, 0, row, at(60))
    (mark,) = marks(plot)
    assert (mark.href, mark.state, mark.shapes[1].text) == ("/incidents/6/", "route", "6")
    assert mark.title == "Incident 6: said, 09:36:10 to 09:37:00"


def fresh_of(*stretches: tuple[float, float, bool]) -> Any:
    return SimpleNamespace(stretches=tuple(Stretch(at(a), at(b), live) for a, b, live in stretches), gaps=(), hiding=())


def test_before_the_live_feeds_began_and_after_their_watermark_there_is_no_data() -> None:
    fresh = fresh_of((-500, -400, False), (10, 80, True))
    assert parts.until(fresh, at(0), at(100)) == at(80)
    plot = a_plot()
    parts.draw_gaps(plot, fresh)
    assert [(gap.start, gap.end, gap.why) for gap in plot.gaps] == [
        (at(0), at(10), "No log data before 09:36:10"),
        (at(80), at(100), "Not yet arrived"),
    ]


def test_between_two_captures_there_is_no_data() -> None:
    plot = a_plot()
    parts.draw_gaps(plot, fresh_of((0, 20, False), (60, 70, False)))
    assert [(gap.start, gap.end) for gap in plot.gaps] == [(at(20), at(60)), (at(70), at(100))]


def test_words_give_way_to_the_next_try() -> None:
    tags = []
    for then in (None, at(24), at(21)):
        plot = a_plot()
        parts.draw_try(plot, 0, a_try(), at(100), then)
        tags.append([s.tag for s in marks(plot)[0].shapes])
    assert tags == [["line", "rect", "icon", "text"], ["line", "rect", "icon"], ["line", "rect"]]


def test_a_link_leaves_out_what_is_not_asked() -> None:
    assert links.rows("tries", T0, at(1), dag="a&b", run="") == (
        "/tries/?from=2026-11-22T09%3A36%3A00Z&to=2026-11-22T09%3A36%3A01Z&dag=a%26b"
    )


def test_a_scale_is_round_and_holds_the_highest_value() -> None:
    for top in (0.05, 0.9, 7, 30, 61, 5000, 10**6):
        marks_ = parts.scale(top)
        assert marks_[0] == 0
        assert marks_[-1] >= top
        assert len(marks_) <= 5


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0004, "0 ms"), (0.59, "590 ms"), (1, "1.0 s"), (9.96, "10 s"), (99.4, "99 s"), (61.7 * 60, "1 h 1 min"),
     (119.6, "2 min 0 s"), (90_000, "1 d 1 h"), (None, "")],
)  # fmt: skip
def test_durations_in_words(seconds: float | None, said: str) -> None:
    assert words.dur(seconds) == said.replace(" ", words.NBSP)


def test_names_in_words() -> None:
    assert words.run_name("manual__2026-11-22T09:36:51.224163+00:00", T0) == "manual 09:36:51"
    assert words.run_name("scheduled__2026-11-21T00:00:00+00:00", T0) == "scheduled 2026-11-21 00:00:00"
    assert words.run_name("x" * 60) == "x" * 12 + "…" + "x" * 14
    assert words.short("/Common/orders1:9000") == "orders1:9000"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed("abcdefgh", 4) == "a, b, c and 5 more"
    assert words.unprefixed("Route: pool_reports had no member") == "pool_reports had no member"
    assert words.unprefixed("Route: orders1:9000 of pool_orders was slow") == "orders1:9000 of pool_orders was slow"
    assert words.unprefixed("Route: the servers behind it") == "The servers behind it"
    assert words.unprefixed("Task: it's own") == "It's own"
    assert [words.full_stop(text) for text in ("a", "a.", "")] == ["a.", "a.", ""]
    assert words.unprefixed("GET /x: 502") == "GET /x: 502"
    assert words.latency(12_001_400) == "12,001\u00a0ms"
