"""Is a simulated log like a real one? Prints the distributions of fields of two captures side by side.

    .venv/bin/python -m bench.faults.likeness captures/lab1-bigip SIMULATED

Counts are shares of the request lines, times and sizes are quantiles; what a capture lacks is shown as '-'.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import quantiles
from typing import Any

FIELD = re.compile(r'(\w+)="([^"]*)"')
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CODE = re.compile(r": ([0-9a-f]{8}):\d: ")


def shape(folder: Path) -> dict[str, dict[str, float]]:
    """By field: value (or quantile) and share (or seconds, bytes) of this capture."""
    requests, answers = Counter[str](), 0
    times: dict[str, list[float]] = {"Execution API": [], "outbound": []}
    sizes: list[float] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("method", "status", "call", "agent", "fields")}
    for line in (folder / "f5" / "request.log").read_text(encoding="utf-8").splitlines():
        row = dict(FIELD.findall(line))
        kind = row.get("kind") or row.get("event_source", "").removesuffix("_logging")
        requests[kind] += 1
        if kind == "request":
            counts["method"][row["http_method"]] += 1
            counts["call"][_call(row["http_uri"])] += 1
            counts["agent"][row.get("ua", "").split("/")[0]] += 1
            for name in ("traceparent", "task", "correlation_id"):
                counts["fields"][name] += bool(row.get(name))
        else:
            answers += 1
            counts["status"][row["http_statcode"]] += 1
            side = "Execution API" if row["http_uri"].startswith("/execution/") else "outbound"
            times[side].append(float(row.get("response_us") or 0) / 1e6)
            sizes.append(float(row.get("bytes") or 0))
    asked = max(1, requests["request"])
    out = {
        name: {k: v / (answers if name == "status" else asked) for k, v in found.items()}
        for name, found in counts.items()
    }
    out["answered"] = {"share": answers / asked}
    for side, found in times.items():
        out[f"seconds, {side}"] = _quantiles(found)
    out["bytes"] = _quantiles(sizes)
    out |= {"ltm message": _messages(folder / "f5" / "ltm.log"), "tries": _tries(folder), "event": _events(folder)}
    return out


def _call(uri: str) -> str:
    """The form of a call of the Execution API; all others are one."""
    if not uri.startswith("/execution/"):
        return "outbound"
    parts = UUID.sub("*", uri.split("?")[0]).split("/")[2:]
    return "/".join(parts if parts[0] == "task-instances" else parts[:1])


def _quantiles(values: list[float]) -> dict[str, float]:
    if len(values) < 4:
        return {}
    cut = quantiles(values, n=100)
    return {"p10": cut[9], "p50": cut[49], "p90": cut[89], "p99": cut[98]}


def _messages(path: Path) -> dict[str, float]:
    found = Counter(CODE.findall(path.read_text(encoding="utf-8")))
    total = max(1, sum(found.values()))
    return {code: n / total for code, n in found.items()}


def _tries(folder: Path) -> dict[str, float]:
    items: list[dict[str, Any]] = json.loads((folder / "airflow" / "tries.json").read_text(encoding="utf-8"))
    states = Counter(item["state"] for item in items)
    return {state: n / len(items) for state, n in states.items()}


def _events(folder: Path) -> dict[str, float]:
    items: list[dict[str, Any]] = json.loads((folder / "airflow" / "eventLogs.json").read_text(encoding="utf-8"))
    found = Counter(item["event"] for item in items)
    return {event: n / len(items) for event, n in found.items()}


def side_by_side(left: Path, right: Path) -> str:
    """Both shapes as one table."""
    a, b = shape(left), shape(right)
    lines = [f"{'':52}{left.name:>16}{right.name:>16}"]
    for name in a:
        lines.append(name)
        for value in sorted({*a[name], *b.get(name, {})}):
            shown = (
                f"{found[name][value]:16.4f}" if value in found.get(name, {}) else f"{'-':>16}" for found in (a, b)
            )
            lines.append(f"  {value[:48]:50}{''.join(shown)}")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(side_by_side(Path(sys.argv[1]), Path(sys.argv[2])))
