"""Who may import whom, checked on the source without running it, and how long a module and a function may be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("airf5", "ingest", "dashboards")
LONGEST_MODULE, LONGEST_FUNCTION = 400, 50

PURE = (
    "ingest.records",
    "ingest.device_records",
    "ingest.device_findings",
    "ingest.f5config",
    "ingest.capture",
    "ingest.completeness.intervals",
    "ingest.completeness.skew",
    "ingest.completeness.usual",
    "ingest.incidents.alike",
    "ingest.incidents.groups",
    "ingest.incidents.onset",
    "ingest.parsers",
    "ingest.rules",
    "ingest.watch.chance",
    "ingest.watch.learn",
    "ingest.watch.series",
    "ingest.watch.usual",
    "dashboards.filters",
    "dashboards.bounds",
    "dashboards.charts",
    "dashboards.timeline",
)
# Judging and parsing the same rows gives the same answer, so nothing there may ask a clock, chance or the network.
STEADY = ("ingest.incidents.groups", "ingest.incidents.onset", "ingest.parsers", "ingest.rules")
UNSTEADY = {
    "asyncio",
    "os",
    "random",
    "requests",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "urllib.request",
}

# What the modules on the left must not import. More is allowed than STYLE's table says only where it names nothing.
FORBIDDEN = {
    "ingest": ("dashboards", "airf5.demo"),
    "ingest.sources": ("django.db", "ingest.models", "ingest.store", "ingest.pipeline"),
    "ingest.models": ("ingest.store", "ingest.pipeline", "ingest.sources", "ingest.parsers"),
    "dashboards": (
        "airf5.demo",
        "ingest.correlate",
        "ingest.leases",
        "ingest.partitions",
        "ingest.pipeline",
        "ingest.sources",
        "ingest.store",
        "ingest.tasks",
    ),
    "dashboards.views": ("django.db", "ingest.models"),
    "dashboards.queries": ("dashboards.views", "dashboards.api", "dashboards.exports", "ingest.actions"),
    "airf5": ("ingest", "dashboards"),
}
# The demo plays an Airflow and a BIG-IP from a capture, and tells airf5 of them as a person would.
EXCEPT = {"airf5.demo": ("ingest.capture", "ingest.records", "ingest.actions")}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    _name(path): path
    for folder in OURS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
}


def _within(name: str, places: tuple[str, ...] | set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


class Seen(NamedTuple):
    """What these tests ask of a module, from one walk through it."""

    imports: frozenset[str]
    functions: dict[str, int]  # name -> lines
    is_silent: bool


@cache
def _seen(module: str) -> Seen:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    nodes = list(ast.walk(tree))
    functions = {
        f"{module}.{node.name}:{node.lineno}": (node.end_lineno or 0) - node.lineno + 1
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return Seen(_imported(module, nodes), functions, bool(tree.body) and not ast.get_docstring(tree))


def _imported(module: str, nodes: Sequence[ast.AST]) -> frozenset[str]:
    """Every module this one imports, wherever in it; `from a import b` counts as a.b where that is a module."""
    found = set()
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES or _within(name, ("django.db",)) else source for name in names}
    return frozenset(found)


def _impure(module: str, seen: set[str]) -> set[str]:
    """What keeps a module from being pure: it, or what it imports, needs more than the standard library."""
    seen.add(module)
    wrong = set()
    for name in _seen(module).imports:
        if name in MODULES:
            wrong |= _impure(name, seen) if name not in seen else set()
        elif name.split(".")[0] not in sys.stdlib_module_names:
            wrong.add(f"{module} imports {name}")
    return wrong


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 60
    assert len([name for name in MODULES if _within(name, PURE)]) > 20


@pytest.mark.parametrize("module", [name for name in MODULES if _within(name, PURE)])
def test_pure_modules_need_the_standard_library_only(module: str) -> None:
    assert _impure(module, set()) == set()


@pytest.mark.parametrize("module", [name for name in MODULES if _within(name, STEADY)])
def test_parsers_and_rules_ask_no_clock_and_no_network(module: str) -> None:
    assert {name for name in _seen(module).imports if _within(name, UNSTEADY)} == set()


@pytest.mark.parametrize("place", FORBIDDEN)
def test_no_layer_reaches_into_another(place: str) -> None:
    wrong = []
    for module in (name for name in MODULES if _within(name, (place,))):
        allowed = next((names for other, names in EXCEPT.items() if _within(module, (other,))), ())
        bad = {name for name in _seen(module).imports if _within(name, FORBIDDEN[place]) and not _within(name, allowed)}
        wrong += [f"{module} imports {name}" for name in sorted(bad)]
    assert wrong == []


def test_only_the_store_and_actions_write_facts_for_pages() -> None:
    """A page changes something through ingest.actions and nothing else that writes."""
    doors = {
        name
        for module in MODULES
        if _within(module, ("dashboards",))
        for name in _seen(module).imports
        if _within(name, ("ingest",))
        and not _within(name, ("ingest.models", "ingest.actions", "ingest.contract_actions"))
    }
    assert {name for name in doors if name in MODULES and _impure(name, set())} == set()


def test_no_module_is_long() -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_no_function_is_long() -> None:
    lengths = {name: lines for module in MODULES for name, lines in _seen(module).functions.items()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_every_module_says_what_lives_there() -> None:
    assert [module for module in MODULES if _seen(module).is_silent] == []
