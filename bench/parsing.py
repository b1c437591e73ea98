"""How many lines a second each form of log is parsed at, without a database: the parser alone, one process.

A form is read as its feed reads it: airf5/1 on its fast path, a known form by finding it out, and the same with its template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import lines as bench_lines
from bench.report import Figure, fastest
from bench.request_forms import LINES, TEMPLATES, written
from ingest.parsers import f5_audit, f5_ltm
from ingest.parsers.f5_request_log import compile_template, parse, parse_with
from ingest.records import Reject

RECEIVED = datetime(2026, 11, 22, 9, 26, tzinfo=UTC)
SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "samples" / "f5"
HEAD = "2026-11-22T09:25:10.056000Z 10.0.0.245 "


def measure(count: int, rounds: int) -> list[Figure]:
    """Lines a second of each form; `count` lines are parsed for each."""
    pairs = list(bench_lines.pairs(max(count // 20, 100)))
    own = [HEAD + line for pair in pairs for line in pair if line]
    figures = [_rate("parse airf5/1, request and response", parse, own, count, rounds)]
    for name, template in TEMPLATES.items():
        some = _different(template, "request" in name)
        compiled = (compile_template(template),)
        figures.append(_rate(f"parse ({name}), found out", parse, some, count, rounds))
        figures.append(
            _rate(
                f"parse ({name}), by its template",
                lambda line, at, t=compiled: parse_with(t, line, at),
                some,
                count,
                rounds,
            )
        )
    for name, line in LINES.items():
        figures.append(_rate(f"parse ({name})", parse, [HEAD + line], count, rounds))
    ltm = (SAMPLES / "own" / "messages.log").read_text("utf-8").splitlines()
    offset = timedelta(0)
    figures.append(_rate("parse ltm, gtm and HA", lambda line, at: f5_ltm.parse(line, at, offset), ltm, count, rounds))
    audit = [line for line in ltm if not isinstance(f5_audit.parse(line, RECEIVED), Reject)]
    figures.append(_rate("parse audit", lambda line, at: f5_audit.parse(line, at, offset), audit, count, rounds))
    return figures


def _different(template: str, request: bool) -> list[str]:
    """Lines of the template that differ in what differs from line to line."""
    return [
        HEAD
        + written(
            template,
            answered="" if request else "yes",
            HTTP_URI=f"/orders/{number}?a={number}",
            HTTP_REQUEST=f"GET /orders/{number}?a={number} HTTP/1.1",
            CLIENT_PORT=str(20_000 + number),
        )
        for number in range(200)
    ]


def _rate(name: str, one: Callable[[str, datetime], Any], lines: Sequence[str], count: int, rounds: int) -> Figure:
    """Lines a second of this parser over these lines, again and again until it was `count`."""
    again = max(1, count // len(lines))

    def step() -> None:
        for _ in range(again):
            for line in lines:
                one(line, RECEIVED)

    return Figure(name, again * len(lines) / fastest(rounds, step), "lines/s")
