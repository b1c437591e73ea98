"""The hooks of the chaos suite: they do nothing for anybody else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from airf5 import failpoints

ROOT = Path(__file__).resolve().parents[2]
CALL = re.compile(r"\b(failpoint|planted)\(([^)]*)\)")


def calls() -> list[tuple[str, str, Path]]:
    """(function, argument as written, file) of every hook in the product."""
    found = []
    for folder in ("airf5", "ingest", "dashboards"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "failpoints.py":
                found += [(*match, path) for match in CALL.findall(path.read_text("utf-8"))]
    return found


def test_this_process_has_none_of_it() -> None:
    assert failpoints._place == "" and not failpoints.planted("bug")
    failpoints.failpoint("a.b")


def test_nothing_of_the_product_sets_the_variable() -> None:
    """Only the suite does; and what is read of it stands in one module."""
    for folder in ("airf5", "ingest", "dashboards", "integrations", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            assert path.name == "failpoints.py" or failpoints.VARIABLE not in path.read_text("utf-8"), path
    assert failpoints.VARIABLE not in (ROOT / "docker-compose.yml").read_text("utf-8")


def test_every_hook_has_a_name_of_its_own_and_the_suite_uses_it() -> None:
    from tests.chaos.planted import BUGS
    from tests.chaos.points import POINTS

    points = [ast.literal_eval(argument) for kind, argument, _ in calls() if kind == "failpoint"]
    bugs = {ast.literal_eval(argument) for kind, argument, _ in calls() if kind == "planted"}
    assert len(points) == len(set(points))
    assert set(points) == {point for group in POINTS for point in group.points}
    assert bugs == {bug.name for bug in BUGS}
    assert len(BUGS) == 10
