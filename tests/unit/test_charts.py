"""Plotly figures: plain dicts that plotly itself accepts, with tokens for colours and an address behind each point."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from dashboards import charts
from dashboards.queries.dag_rows import Bucket
from dashboards.queries.rows import Split

T0 = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def a_bucket(n: int, p50: float | None = 4.0, failed: int = 0, **split: float) -> Bucket:
    parts = Split(wait=1.0, own=2.0, endpoints={"/Common/vs_orders": 3.0}, **split)  # type: ignore[arg-type]
    start = T0 + timedelta(minutes=n)
    return Bucket(start, start + timedelta(minutes=1), 1, failed, p50, p50 and p50 * 2, p50 and p50 * 3, parts)


DAG: Any = SimpleNamespace(dag_id="d", airflow="lab1")
SERIES = (a_bucket(0), a_bucket(1, None), a_bucket(2, 17.0, failed=1, lost=13.0))


def test_a_stretch_without_runs_is_a_gap_and_not_zero() -> None:
    for trace in charts.durations(SERIES, DAG)["data"]:
        assert trace["y"][1] is None
        assert trace["connectgaps"] is False


def test_percentiles_are_three_lines() -> None:
    assert [trace["name"] for trace in charts.durations(SERIES, DAG)["data"]] == ["p50", "p95", "p99"]


def test_time_is_split_by_endpoint_and_a_part_without_time_is_left_out() -> None:
    names = [trace["name"] for trace in charts.where(SERIES, DAG)["data"]]
    assert names == ["waiting for a slot", "own work", "requests to vs_orders", "lost to failed tries"]


def test_a_click_leads_to_the_tries_behind_the_point() -> None:
    dag: Any = SimpleNamespace(dag_id="a&b", airflow="lab1")
    for trace in charts.durations(SERIES, dag)["data"] + charts.where(SERIES, dag)["data"]:
        window = "from=2026-11-22T09%3A00%3A00Z&to=2026-11-22T09%3A01%3A00Z"
        assert trace["customdata"][0] == f"/tries/?{window}&dag=a%26b&airflow=lab1"
        assert len(trace["customdata"]) == len(trace["x"]) == len(trace["y"])


def test_colours_are_tokens_of_the_sheet() -> None:
    text = json.dumps([charts.durations(SERIES, DAG), charts.where(SERIES, DAG)])
    assert "#" not in text.replace("%{", "")
    assert "var(--failed-mark)" in text


def test_a_hostile_endpoint_name_reaches_no_template_of_plotly() -> None:
    bad = Bucket(T0, T0 + timedelta(minutes=1), 1, 0, 1.0, 1.0, 1.0, Split(endpoints={"%{customdata}": 1.0}))
    (trace,) = charts.where((bad,), DAG)["data"]
    assert "%{customdata}" not in trace["hovertemplate"]
