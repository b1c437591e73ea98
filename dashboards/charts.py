"""Rows of a query as Plotly figures: plain dicts, which tests validate with plotly itself (pure).

Colours are written as var(--token); charts.js asks the sheet for them, so that both themes are right. `customdata`
is the address of the rows behind a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dashboards.plots import links
from dashboards.words import dur, short

if TYPE_CHECKING:
    from dashboards.queries.dag_rows import Bucket, DagRow

Figure = dict[str, Any]

LINES = (("p50", "p50_s", "solid"), ("p95", "p95_s", "dash"), ("p99", "p99_s", "dot"))
ENDPOINT_TOKENS = ("var(--part-endpoint)", "var(--running-mark)", "var(--deferred-mark)", "var(--success-mark)")


def durations(series: Sequence[Bucket], of: DagRow) -> Figure:
    """How long runs took: p50, p95 and p99 over time. A gap in the data stays a gap in the line."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": [_iso(bucket) for bucket in series],
            "y": [getattr(bucket, field) for bucket in series],
            "customdata": [_tries(bucket, of) for bucket in series],
            "connectgaps": False,
            "line": {"color": "var(--part-own)" if name == "p50" else "var(--link)", "dash": dash, "width": 1.5},
            "marker": {"size": 5, "color": [_dot(bucket, name) for bucket in series]},
            "text": [dur(getattr(bucket, field)) for bucket in series],
            "hovertemplate": "%{x|%H:%M} " + name + " %{text}<extra></extra>",
        }
        for name, field, dash in LINES
    ]
    return {"data": traces, "layout": _layout("seconds")}


def _dot(bucket: Bucket, name: str) -> str:
    return "var(--failed-mark)" if bucket.failed else "var(--part-own)" if name == "p50" else "var(--link)"


def where(series: Sequence[Bucket], of: DagRow) -> Figure:
    """Where the time of all tries went, stacked: waiting, queued, own work, each endpoint, lost."""
    names = sorted({name for bucket in series for name in bucket.split.endpoints})
    stack = [
        ("waiting for a slot", "var(--part-wait)", [bucket.split.wait for bucket in series]),
        ("queued", "var(--line-strong)", [bucket.split.queued for bucket in series]),
        ("own work", "var(--part-own)", [bucket.split.own for bucket in series]),
        ("Airflow API through F5", "var(--part-api)", [bucket.split.api for bucket in series]),
    ]
    for n, name in enumerate(names):
        seconds = [bucket.split.endpoints.get(name, 0.0) for bucket in series]
        stack.append((f"requests to {short(name)}", ENDPOINT_TOKENS[n % len(ENDPOINT_TOKENS)], seconds))
    stack.append(("lost to failed tries", "var(--failed-mark)", [bucket.split.lost for bucket in series]))
    traces = [_bar(series, of, *part) for part in stack if any(part[2])]
    return {"data": traces, "layout": {**_layout("seconds"), "barmode": "stack", "bargap": 0.2}}


def _bar(series: Sequence[Bucket], of: DagRow, name: str, colour: str, seconds: Sequence[float]) -> Figure:
    return {
        "type": "bar",
        "name": name,
        "x": [_iso(bucket) for bucket in series],
        "y": [round(value, 3) for value in seconds],
        "customdata": [_tries(bucket, of) for bucket in series],
        "marker": {"color": colour},
        "text": [dur(value) for value in seconds],
        "textposition": "none",
        "hovertemplate": "%{x|%H:%M} " + name.replace("%", "") + " %{text}<extra></extra>",
    }


def _layout(unit: str) -> Figure:
    axis = {"gridcolor": "var(--line)", "zerolinecolor": "var(--line-strong)", "linecolor": "var(--line-strong)"}
    return {
        "height": 240,
        "margin": {"l": 56, "r": 16, "t": 8, "b": 32},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12, "color": "var(--text-quiet)"},
        "hoverlabel": {
            "bgcolor": "var(--surface)",
            "bordercolor": "var(--line-strong)",
            "font": {"color": "var(--text)"},
        },
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {**axis, "type": "date", "fixedrange": True},
        "yaxis": {**axis, "rangemode": "tozero", "fixedrange": True, "ticksuffix": " s", "title": {"text": ""}},
        "meta": {"unit": unit},
    }


def _iso(bucket: Bucket) -> str:
    middle = bucket.start + (bucket.end - bucket.start) / 2
    return middle.strftime("%Y-%m-%d %H:%M:%S")


def _tries(bucket: Bucket, of: DagRow) -> str:
    return links.rows("tries", bucket.start, bucket.end, dag=of.dag_id, airflow=of.airflow)
