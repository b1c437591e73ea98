"""Real and documented lines and documents that the fuzzer starts from."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from bench import lines as bench_lines
from bench.request_forms import every_line

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
CAPTURES = Path(__file__).resolve().parents[2] / "captures"


@cache
def lines() -> tuple[str, ...]:
    """Lines of every stream and form."""
    found = [
        line for path in sorted(SAMPLES.glob("f5/**/*.log")) for line in path.read_text("utf-8").splitlines() if line
    ]
    found += every_line().values()
    for request, response in bench_lines.pairs(20):
        found += [request, response or request, f"2026-11-22T09:25:10.056000Z 10.0.0.245 {request}"]
    for case in json.loads((SAMPLES / "f5/telemetry-streaming/event_line_to_category_cases.json").read_text("utf-8")):
        found.append(str(case["data"]))
    return tuple(dict.fromkeys(found))


@cache
def documents() -> tuple[Any, ...]:
    """Answers of Airflow and iControl, and what Telemetry Streaming sends; the items of collections on their own too."""
    found: list[Any] = []
    for path in [*sorted(SAMPLES.glob("**/*.json")), *sorted(CAPTURES.glob("lab1/**/*.json"))]:
        document = json.loads(path.read_text("utf-8"))
        found += _with_items(document) if path.stat().st_size < 30_000 else _with_items(document)[1:]
    return tuple(found)


def _with_items(value: Any, depth: int = 0) -> list[Any]:
    """The document, and the first objects of every list in it."""
    found = [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in list(inner)[:12]:
        if isinstance(one, list):
            found += [item for item in one[:2] if isinstance(item, dict)]
        if isinstance(one, dict | list) and depth < 4:
            found += _with_items(one, depth + 1)[1 if len(str(one)) > 20_000 else 0 :]
    return found
