"""The results of one run: a file that the product's page and the gate read, and a table for people."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingest.rules import RULES_VERSION

from . import metrics, tables
from .grounding import Grounds
from .metrics import AT_LEAST, AT_MOST, Figure
from .score import Row

RESULTS = Path(__file__).resolve().parents[1] / "results"
ALLOWED_DROP = 0.01  # of cause top 1; of false blame no rise at all (VERDICTS 3.5)


@dataclass(slots=True)
class Run:
    """What a run measured."""

    split: str
    seed: int
    size: str
    rows: list[Row] = field(default_factory=list)
    cases: int = 0
    worlds: list[dict[str, Any]] = field(default_factory=list)  # name, cases, tries, seconds by step
    grounds: Grounds = field(default_factory=Grounds)
    steady: tuple[int, int] = (0, 0)  # answers that differed, of so many compared
    only: str = ""  # kinds that were asked for, "" for all
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)  # worlds that could not be scored


def figures(run: Run) -> list[Figure]:
    """All figures of VERDICTS section 4 that this bench measures, in its order."""
    g = run.grounds
    found = [
        *metrics.figures(run.rows),
        metrics.counted("V10", "cited rows exist, on the path, in the window", g.grounded, g.verdicts, AT_LEAST, 1.0,
                        f"{g.rows} rows: {g.missing} missing, {g.off_path} off the path, {g.out_of_time} out of time; "
                        f"{g.bare} verdicts cite nothing"),
        metrics.counted("V10d", "without the cited rows the answer changes", g.changed, g.dropped, AT_LEAST, 0.98),
        metrics.counted("V22", "answers that differ in another order or batch", *run.steady, AT_MOST, 0.0),
    ]  # fmt: skip
    return sorted(found, key=lambda f: (int("".join(c for c in f.id.split()[0] if c.isdigit())), f.id))


def _figure(f: Figure) -> dict[str, Any]:
    return asdict(f) | {"met": f.met}


def result(run: Run) -> dict[str, Any]:
    """The results file. `summary` stands first and keeps its form; the page reads nothing else."""
    found, rows = figures(run), run.rows
    by_rule = tables.by_rule(rows)
    summary = {
        "split": run.split,
        "seed": run.seed,
        "size": run.size,
        "cases": run.cases,
        "tries": sum(r.expected is not None for r in rows),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rules_version": RULES_VERSION,
        "bound": "one-sided 95 %: Clopper-Pearson over tries, by worlds drawn with return where the figure is no share",
        "figures": [
            {
                k: v
                for k, v in _figure(f).items()
                if k in ("id", "name", "value", "bound", "n", "k", "side", "target", "met", "note")
            }
            for f in found
        ],
        "rules": [{k: one[k] for k in ("rule", "n", "right")} for one in by_rule if one["n"]],
        "calibration": [{k: one[k] for k in ("from", "to", "n", "right")} for one in tables.calibration(rows)],
    }
    return {
        "summary": summary,
        "only": run.only,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "seconds": round(run.seconds, 1),
        "figures": [_figure(f) for f in found],
        "baselines": tables.baselines(rows),
        "kinds": tables.by_kind(rows),
        "twins": tables.by_twins(rows),
        "confounders": tables.by_confounder(rows),
        "links": tables.by_link(rows),
        "rules": by_rule,
        "calibration": tables.calibration(rows),
        "culprits": tables.confusion(rows, "culprit"),
        "causes": tables.confusion(rows, "cause"),
        "grounding": {k: v for k, v in asdict(run.grounds).items() if k != "wrong"}
        | {"wrong": [list(map(str, one)) for one in run.grounds.wrong[: tables.MOST_WRONG]]},
        "wrong": [r.told() for r in tables.few_of_each(tables.wrong(rows))],
        "worlds": run.worlds,
        "broken": run.broken,
    }


def save(run: Run, folder: Path = RESULTS) -> Path:
    """Write the results file; its name says when and which split, and whether worlds are missing in it."""
    folder.mkdir(exist_ok=True)
    path = (
        folder
        / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-faults-{run.split}{'-part' if run.only or run.broken else ''}.json"
    )
    path.write_text(json.dumps(result(run), indent=1) + "\n", encoding="utf-8")
    return path


def newest(split: str, size: str, folder: Path = RESULTS, before: Path | None = None) -> dict[str, Any] | None:
    """The summary of the newest whole run of this split and size; `before`: leave this file out."""
    for path in sorted(folder.glob(f"*-faults-{split}.json"), reverse=True):
        if path == before:
            continue
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))["summary"]
        except (OSError, ValueError, KeyError):
            continue
        if summary.get("size") == size:
            return dict(summary)
    return None


def gate(now: dict[str, Any], last: dict[str, Any] | None) -> list[str]:
    """Why this run must not be merged, in words; nothing: it may."""
    if last is None:
        return []
    new, old = ({f["id"]: f["value"] for f in one["figures"]} for one in (now, last))
    why = []
    if _rose(old.get("V6"), new.get("V6"), -ALLOWED_DROP):
        why.append(f"cause top 1 fell from {old['V6']:.4f} to {new['V6']:.4f}, by more than {ALLOWED_DROP}")
    if _rose(new.get("V1"), old.get("V1"), 0.0):
        why.append(f"false blame rose from {old['V1']:.4%} to {new['V1']:.4%}")
    return why


def _rose(value: float | None, over: float | None, by: float) -> bool:
    """Whether value > over, or, with a negative `by`, whether it is that much more."""
    return value is not None and over is not None and value - over > -by + 1e-12


# For people


def text(run: Run, wrong: int = 10) -> str:
    """The figures with their targets, and the tables that say where to look."""
    told = [
        f"{run.split}, seed {run.seed}, {run.size}: {run.cases} cases in {len(run.worlds)} worlds, "
        f"{sum(r.expected is not None for r in run.rows):,} tries to judge, {run.seconds:.0f} s",
        "Bounds are one-sided 95 % (Clopper-Pearson over tries; in brackets with a fault as what is drawn).",
        "",
        _figures(figures(run)),
        "",
        "Beside it, on the same tries:",
        _baselines(tables.baselines(run.rows)),
        "",
        "By kind (of the tries whose answer the logs can tell):",
        _kinds(tables.by_kind(run.rows), "kind"),
        "",
        "By confounder:",
        _kinds(tables.by_confounder(run.rows), "confounder"),
    ]
    if unclear := sum(world.get("unclear", 0) for world in run.worlds):
        told.insert(1, f"{unclear} tries more met a fault and go badly without it too: they are asked of nobody")
    if run.broken:
        told.insert(1, f"{len(run.broken)} worlds could not be scored: {', '.join(run.broken)}")
    some = tables.few_of_each(tables.wrong(run.rows), wrong)
    if some:
        told += [
            "",
            f"{len(some)} of {len(tables.wrong(run.rows))} wrong answers, the worst first:",
            *map(_answer, some),
        ]
    return "\n".join(told)


def _figures(found: Iterable[Figure]) -> str:
    lines = [["", "figure", "value", "of", "bound", "target", ""]]
    for f in found:
        value = "-" if f.value is None else f"{f.value:.4f}"
        of = f"{f.k:,} of {f.n:,}" if f.k is not None else f"{f.n:,}"
        bound = (
            "-" if f.bound is None else f"{f.bound:.4f}" + ("" if f.bound_cases is None else f" ({f.bound_cases:.3f})")
        )
        target = "" if f.target is None else f"{f.side} {f.target:g}"
        met = {True: "met", False: "MISSED", None: ""}[f.met]
        lines.append([f.id, f.name, value, of if f.n else "none", bound, target, f"{met} {f.note}".strip()])
    return _table(lines)


BASELINE_SHARES = (
    ("false blame", "false_blame", "innocent"),
    ("false clear", "false_clear", "guilty"),
    ("precision", "right", "said_route"),
    ("recall", "found", "guilty"),
    ("unknown", "unknown", "of"),
)
KIND_SHARES = (
    ("culprit", "culprit_right", "can_be_told"),
    ("cause", "cause_right", "can_be_told"),
    ("component", "component_right", "component_named"),
    ("unknown", "unknown", "can_be_told"),
)
KIND_COUNTS = (("said blindly", "said_blindly"), ("blamed", "false_blame"), ("cleared", "false_clear"))


def _baselines(found: Iterable[dict[str, Any]]) -> str:
    lines = [["rule", *(name for name, _, _ in BASELINE_SHARES)]]
    lines += [[one["name"], *(_of(one[k], one[n]) for _, k, n in BASELINE_SHARES)] for one in found]
    return _table(lines)


def _kinds(found: Iterable[dict[str, Any]], name: str) -> str:
    lines = [
        [name, "tries", "can be told", *(title for title, _, _ in KIND_SHARES), *(title for title, _ in KIND_COUNTS)]
    ]
    for one in found:
        shares = (_of(one[k], one[n]) for _, k, n in KIND_SHARES)
        counts = (str(one[k]) for _, k in KIND_COUNTS)
        lines.append([one[name], f"{one['n'] + one['outside']:,}", f"{one['can_be_told']:,}", *shares, *counts])
    return _table(lines)


def _of(k: int, n: int) -> str:
    return f"{k / n:.3f}" if n else "-"


def _answer(row: Row) -> str:
    truth = f"{row.expected.kind} {row.expected.cause}" if row.expected else "no verdict needed"
    confounders = f" [{', '.join(row.confounders)}]" if row.confounders else ""
    said = f"said {row.said.cause or 'nothing'}: {row.said.sentence[:150]}"
    return f"  {row.world} {'/'.join(map(str, row.key))}{confounders}: {truth}, {said}"


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
