"""The fault bench: worlds with known faults through the whole product, scored against the truth: `make faults`.

Each world is written by the simulator (or is a capture given with --captures), replayed into a database of its own as
`manage.py replay DIR --wait` does, read as `manage.py verdicts` prints it, and scored; then its database is dropped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.home import own_home

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ("dev", "validation", "held_out", "storms")
STEADY_WORLDS = {"small": 1, "full": 5}  # so many worlds are judged again in another order


@dataclass(frozen=True, slots=True)
class Job:
    """One world to be run: a plan of the simulator, or a folder that is there."""

    number: int
    name: str
    plan: Any  # None: `folder` holds the capture
    folder: Path
    keep: bool
    steady: bool


@dataclass(slots=True)
class Outcome:
    """What one world gave."""

    name: str
    rows: list[Any]
    grounds: Any
    cases: int
    steady: tuple[int, int] = (0, 0)
    seconds: dict[str, float] = field(default_factory=dict)
    unclear: int = 0  # tries that met a fault, and go badly without it too: asked of nobody
    error: str = ""  # what kept this world from being scored


def main() -> int:
    """Run and print; 1 if a world broke, or --gate is given and the run is worse than the newest one of its sort."""
    asked = _arguments()
    began, code = time.monotonic(), 0
    with _home() as scratch:
        jobs = _jobs(asked, scratch)
        from bench.faults import report

        runs: dict[str, report.Run] = {}
        for (split, _), done in zip(jobs, _run([job for _, job in jobs], asked.jobs), strict=True):
            run = runs.setdefault(split, report.Run(split, asked.seed, asked.size, only=asked.only))
            if done.error:
                code = 1
                run.broken.append(done.name)
                print(f"     {done.name} could not be scored:\n{done.error}", flush=True)
                continue
            _add(run, done)
            print(_progress(len(run.worlds), done), flush=True)
        for run in runs.values():
            run.seconds = time.monotonic() - began
            code |= _finish(run, asked)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.faults.run", description=__doc__)
    parser.add_argument(
        "--split", choices=(*SPLITS, "all"), default="dev", help="which worlds; held_out is for releases"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other worlds of the same sort")
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--only", default="", help="worlds that hold one of these kinds: N3,A5")
    parser.add_argument("--keep", type=Path, help="keep captures, and every answer as JSON lines, in this folder")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="worlds at a time")
    parser.add_argument(
        "--captures", type=Path, nargs="+", default=(), help="score these captures instead of made ones"
    )
    parser.add_argument(
        "--gate", action="store_true", help="exit 1 if worse than the newest results of this split and size"
    )
    parser.add_argument("--wrong", type=int, default=10, help="print so many wrong answers")
    parser.add_argument("--no-file", action="store_true", help="write no results file")
    return parser.parse_args()


@contextmanager
def _home() -> Iterator[Path]:
    """A home of the bench's own with an embedded PostgreSQL and the migrated template; gone afterwards."""
    with own_home("faults") as home:
        import django

        django.setup()
        from airf5 import embedded

        try:
            embedded.ensure(durable=False)
            from bench.faults import readings

            with readings.template():
                yield home / "worlds"
        finally:
            embedded.stop()


def _jobs(asked: argparse.Namespace, scratch: Path) -> list[tuple[str, Job]]:
    """The split and the job of every world that was asked for."""
    if asked.captures:
        given = [("captures", folder.name, None, folder) for folder in asked.captures]
    else:
        from bench.faults import cases

        target = (asked.keep or scratch).resolve()
        only = set(asked.only.split(",")) - {""}
        given = [
            (split, plan.name, plan, target / plan.name)
            for split in (SPLITS if asked.split == "all" else (asked.split,))
            for plan in cases.plans(split, asked.seed, asked.size)
            if not only or only & set(plan.kinds)
        ]
    steady = STEADY_WORLDS[asked.size]
    made: dict[str, int] = {}
    out = []
    for number, (split, name, plan, folder) in enumerate(given):
        made[split] = made.get(split, 0) + 1
        keep = bool(asked.keep or asked.captures)
        out.append((split, Job(number, name, plan, folder, keep, made[split] <= steady)))
    return out


def _run(jobs: Sequence[Job], at_once: int) -> Iterator[Outcome]:
    """The worlds in order. More than one at a time: in processes of their own, on the same server."""
    if at_once <= 1:
        yield from map(_tried, jobs)
        return
    from airf5 import embedded

    os.environ |= embedded.environment()
    with ProcessPoolExecutor(at_once, multiprocessing.get_context("spawn"), initializer=_set_up) as pool:
        yield from pool.map(_tried, jobs)


def _set_up() -> None:
    import django

    django.setup()


def _tried(job: Job) -> Outcome:
    """One world; one that breaks the bench or the product must not cost the others."""
    try:
        return world(job)
    except Exception:
        return Outcome(job.name, [], None, 0, error=traceback.format_exc(limit=-3))


def world(job: Job) -> Outcome:
    """Write, replay, read, score, and clean up one world."""
    from bench.faults import readings, score
    from ingest.capture import read_capture

    clock = _Clock()
    if job.plan is not None:
        from bench.faults.write import write

        shutil.rmtree(job.folder, ignore_errors=True)
        write(job.plan, job.folder)
    clock.lap("write")
    truth = json.loads((job.folder / "truth.json").read_text(encoding="utf-8"))
    with readings.database(f"airf5_world_{job.number}"):
        clock.lap("database")
        told = readings.told(job.folder)
        clock.lap("replay")
        others = _others(told, truth)
        clock.lap("baselines")
        capture = read_capture(job.folder)
        grounds = _grounds(told, capture)
        cut = {key for key, t in told.tries.items() if readings.outside(t, capture.meta)}
        for verdict in told.verdicts:
            verdict["uncovered"] |= score.key(verdict) in cut
        clock.lap("grounding")
        expected = _answers(told) if job.steady else []
    rows = score.rows(job.name, truth, told.verdicts, others, cut, readings.lines_about(job.folder, truth))
    steady = _steady(job, expected) if job.steady else (0, 0)
    clock.lap("order")
    if job.plan is not None and not job.keep:
        shutil.rmtree(job.folder, ignore_errors=True)
    unclear = (truth.get("world") or {}).get("unclear", 0)
    return Outcome(job.name, rows, grounds, len(truth["faults"]), steady, clock.laps, unclear)


class _Clock:
    """Seconds by step."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._at = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._at, 3)
        self._at = now


def _others(told: Any, truth: dict[str, Any]) -> dict[Any, dict[str, str]]:
    """What simpler rules say of the tries that the truth or the product speaks of."""
    from bench.faults import baselines, readings, score

    every = readings.ended(told)
    asked = {score.key(one) for one in (*truth["tries"], *told.verdicts)}
    seen = baselines.Seen(readings.calls(), every)
    return baselines.say(seen, [t for t in every if t.key in asked])


def _grounds(told: Any, capture: Any) -> Any:
    """Whether each verdict's evidence is real, and carries it."""
    from bench.faults import grounding, readings, score

    out, source = grounding.Grounds(), grounding.Source(capture)
    for verdict in told.verdicts:
        key = score.key(verdict)
        t = told.tries[key]
        grounding.check(verdict, key, readings.span(t), source, out)
        if t.pk in told.judged:
            facts, finding = told.judged[t.pk]
            if grounding.drop(facts, finding, out) is False:
                out.wrong.append((key, "stays without what it cites", f"{finding.cause} {finding.component}"))
    return out


def _answers(told: Any) -> list[list[str]]:
    """The answers as they stand, and judged again in small batches."""
    from bench.faults import steady

    first = steady.answers(told.airflow)
    steady.judge_in_small_batches(told.airflow, told.capture)
    return [first, steady.answers(told.airflow)]


def _steady(job: Job, known: list[list[str]]) -> tuple[int, int]:
    """(answers that differ, answers compared): small batches, and the same rows in another order, in a fresh database."""
    from bench.faults import readings, steady

    first, again = known
    copy = job.folder.parent / f"{job.name}.shuffled"
    try:
        steady.shuffled(job.folder, copy, job.number)
        with readings.database(f"airf5_world_{job.number}"):
            other = steady.answers(readings.told(copy).airflow)
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    return steady.differing(first, again) + steady.differing(first, other), 2 * len(first)


def _add(run: Any, done: Outcome) -> None:
    run.rows += done.rows
    run.cases += done.cases
    run.grounds.add(done.grounds)
    run.steady = (run.steady[0] + done.steady[0], run.steady[1] + done.steady[1])
    tries = sum(row.expected is not None for row in done.rows)
    run.worlds.append(
        {"name": done.name, "cases": done.cases, "tries": tries, "unclear": done.unclear, "seconds": done.seconds}
    )


def _progress(number: int, done: Outcome) -> str:
    tries = [row for row in done.rows if row.expected is not None]
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in done.seconds.items() if seconds >= 0.05)
    return (
        f"{number:4} {done.name}: {done.cases} cases, {len(tries)} tries, "
        f"{sum(row.culprit_right for row in tries)} culprits right, {sum(done.seconds.values()):.1f} s ({steps})"
    )


def _finish(run: Any, asked: argparse.Namespace) -> int:
    """Print, keep, and compare with the last run of this sort."""
    from bench.faults import report

    print("\n" + report.text(run, asked.wrong))
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        answers = asked.keep / f"answers-{run.split}.jsonl"
        answers.write_text("".join(json.dumps(row.told()) + "\n" for row in run.rows), encoding="utf-8")
        print(f"\nEvery answer: {answers}")
    last = report.newest(run.split, run.size)
    if not asked.no_file and not asked.captures:
        print(f"\nKept as {report.save(run).relative_to(ROOT)}")
    why = report.gate(report.result(run)["summary"], last) if asked.gate and not run.only else []
    for one in why:
        print(f"GATE: {one}")
    return bool(why)


if __name__ == "__main__":
    sys.exit(main())
