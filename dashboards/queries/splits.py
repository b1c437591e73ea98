"""Where the time of tries went: waiting, own work, Airflow's API, other endpoints, lost. Computed in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from dashboards.queries import database
from dashboards.queries.rows import Split
from dashboards.words import dur


def split_of(stored: dict[str, Any]) -> Split:
    """The split a verdict carries (ingest.rules.split), in seconds."""
    endpoints = stored.get("endpoints") or {}
    unexplained, usual = stored.get("unexplained"), stored.get("usual_s")
    return Split(
        wait=float(stored.get("wait") or 0), queued=float(stored.get("queue") or stored.get("queued") or 0),
        own=float(stored.get("own") or 0), api=float(stored.get("api") or 0),
        endpoints={str(name): float(seconds) for name, seconds in endpoints.items()},
        lost=float(stored.get("lost") or 0), unexplained=None if unexplained is None else float(unexplained),
        usual_s=None if usual is None else float(usual), usual_of=int(stored.get("usual_of") or 0),
    )  # fmt: skip


class Line(NamedTuple):
    """One part of a try's time in words; `part` is its colour."""

    part: str
    says: str
    seconds: float
    note: str = ""


def lines(split: Split) -> tuple[Line, ...]:
    """All parts of one try's time, in the order of its life; their seconds add up to all of it."""
    found = [
        Line("wait", "Waiting for a slot", split.wait, "scheduled to queued"),
        Line("wait", "Queued", split.queued, "queued to running"),
        Line("own", "Own code", split.own, _usual(split)),
        Line("api", "API of Airflow, through F5", split.api),
        *(Line("endpoint", f"Requests to {name}", seconds) for name, seconds in split.endpoints.items()),
        Line("lost", "Lost to failed requests", split.lost),
    ]
    if split.unexplained is not None:
        found.append(Line("unexplained", "Unexplained", split.unexplained, "own time above what is usual"))
    return tuple(found)


def _usual(split: Split) -> str:
    if split.usual_s is None:
        tries = "1 successful try" if split.usual_of == 1 else f"{split.usual_of} successful tries"
        return f"how much of it is usual is not known: {tries} of this task so far, 5 are needed"
    return f"at most what is usual: {dur(split.usual_s)}, the median of {split.usual_of} successful tries"


def add(splits: Iterable[Split]) -> Split:
    """The sum, part by part."""
    wait = queued = own = api = lost = 0.0
    endpoints: dict[str, float] = {}
    for one in splits:
        wait, queued, own, api, lost = (
            wait + one.wait,
            queued + one.queued,
            own + one.own,
            api + one.api,
            lost + one.lost,
        )
        for name, seconds in one.endpoints.items():
            endpoints[name] = endpoints.get(name, 0.0) + seconds
    return Split(wait, queued, own, api, dict(sorted(endpoints.items())), lost)


def mostly(split: Split) -> str:
    """The biggest part, in words."""
    parts = {
        "waiting for a slot": split.wait, "queued": split.queued, "own work": split.own, "Airflow API": split.api,
        "lost to failed tries": split.lost, **split.endpoints,
    }  # fmt: skip
    name = max(parts, key=lambda part: parts[part])
    return name if parts[name] > 0 else ""


Group = tuple[int, str, str, str]  # airflow id, DAG, run ("" for all), task ("" for all)


def grouped(
    dags: Sequence[tuple[int, str]], start: datetime, end: datetime, *, by_run: bool = False, by_task: bool = False
) -> dict[Group, Split]:
    """The splits of the tries that were queued in the window."""
    if not dags:
        return {}
    found = database.rows(
        "splits",
        {
            "airflows": [airflow for airflow, _ in dags], "dags": [dag for _, dag in dags], "start": start, "end": end,
            "now": end, "by_run": by_run, "by_task": by_task,
        },
    )  # fmt: skip
    return {(row["airflow_id"], row["dag_id"], row["run_id"], row["task_id"]): _split(row) for row in found}


def _split(row: dict[str, Any]) -> Split:
    # A raw cursor hands jsonb over as text.
    endpoints = json.loads(row["endpoints"]) if isinstance(row["endpoints"], str) else row["endpoints"]
    return Split(row["wait"], row["queued"], row["own"], row["api"], dict(sorted(endpoints.items())), row["lost"])


def fit(split: Split, seconds: float | None) -> Split:
    """As high as the run was long: tries side by side share its time; what no try used was waiting."""
    if seconds is None or split.total <= 0:
        return split
    if split.total <= seconds:
        return replace(split, wait=split.wait + seconds - split.total)
    share = seconds / split.total
    endpoints = {name: value * share for name, value in split.endpoints.items()}
    parts = (split.wait, split.queued, split.own, split.api)
    return Split(*(part * share for part in parts), endpoints, split.lost * share)
