"""What a person can set is written down: every variable that is read is in .env.example, and the other way round."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READERS = ("text", "number", "flag", "words", "secret", "url", "folder")
READING = [ROOT / "gunicorn.conf.py", *sorted((ROOT / "airf5").rglob("*.py"))]
PAST_ENV = re.compile(r"(environ|getenv)\S{0,8}[\"'](AIRF5|DATABASE|REDIS)_")
LINES = (ROOT / ".env.example").read_text("utf-8").splitlines()
DOCUMENTED = {line.partition("=")[0]: line for line in LINES if re.match(r"[A-Z]", line)}


def _calls(path: Path) -> list[tuple[str, str, str]]:
    """Every env.reader("NAME", default) in a module: the reader, the name, the default as it is written."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name("env"), attr=reader), args=[ast.Constant(str(name)), *rest]
            ) if reader in READERS:
                default = rest[0].value if rest and isinstance(rest[0], ast.Constant) else ""
                found.append((reader, name, str(default)))
    return found


@cache
def _all_calls() -> list[tuple[str, str, str]]:
    return [call for path in READING for call in _calls(path)]


def _read() -> set[str]:
    names = {name for _, name, _ in _all_calls()}
    return names | {f"{name}_FILE" for reader, name, _ in _all_calls() if reader == "secret"}


def test_every_variable_that_is_read_is_in_env_example() -> None:
    assert len(_read()) > 20
    assert _read() - set(DOCUMENTED) == set()


def test_env_example_has_no_variable_that_nobody_reads() -> None:
    assert set(DOCUMENTED) - _read() == set()


def test_every_variable_has_a_line_of_meaning() -> None:
    assert [name for name, line in DOCUMENTED.items() if not re.search(r" # \w.{8,}", line)] == []


def test_the_defaults_are_the_ones_of_the_code() -> None:
    wrong = {}
    for reader, name, default in _all_calls():
        written = DOCUMENTED[name].partition("=")[2].partition(" #")[0].strip()
        if reader in ("text", "number", "words") and default and written != default:
            wrong[name] = (written, default)
    assert wrong == {}


def test_only_env_reads_the_environment() -> None:
    """A variable read past airf5.env would be in no list."""
    for path in READING + sorted((ROOT / "ingest").rglob("*.py")) + sorted((ROOT / "dashboards").rglob("*.py")):
        if path.name != "env.py":  # PYTHONPATH and the like are not ours
            assert not PAST_ENV.search(path.read_text("utf-8")), path
