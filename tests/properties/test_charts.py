"""Plotly figures: plain dicts that plotly itself accepts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import plotly.graph_objects as go
import pytest

from dashboards import charts
from dashboards.queries.dag_rows import Bucket
from dashboards.queries.rows import Split

T0 = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SPLIT = Split(wait=1.0, own=2.0, lost=13.0, endpoints={"/Common/vs_orders": 3.0})
DAG: Any = SimpleNamespace(dag_id="d", airflow="lab1")
SERIES = (
    Bucket(T0, T0 + timedelta(minutes=1), 1, 1, 4.0, 8.0, 12.0, SPLIT),
    Bucket(T0 + timedelta(minutes=1), T0 + timedelta(minutes=2), 1, 0, None, None, None, SPLIT),
)


@pytest.mark.parametrize("figure", [charts.durations(SERIES, DAG), charts.where(SERIES, DAG), charts.where((), DAG)])
def test_plotly_accepts_the_figure(figure: charts.Figure) -> None:
    go.Figure(figure)  # refuses an unknown property or a value of the wrong kind
    json.dumps(figure)
