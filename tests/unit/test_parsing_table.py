"""docs/parsing.md says what the parsers do, because it is written from what they do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parsing_table", ROOT / "tools" / "parsing_table.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_what_the_parsers_say_now(tool: ModuleType) -> None:
    page = tool.PAGE.read_text("utf-8")
    assert tool.page(page) == page, "python tools/parsing_table.py writes them anew"


def test_no_line_of_the_table_is_rejected(tool: ModuleType) -> None:
    assert [line for line in tool.lines("messages.log") if tool.meaning(line)[0] == "rejected"] == []


def test_every_head_gives_a_host_and_a_time_where_it_has_one(tool: ModuleType) -> None:
    rows = list(tool.head_rows())
    assert len([row for row in rows if "| lb1 |" in row]) >= len(rows) - 3


def test_no_line_of_ltm_and_audit_is_taken_for_a_request(tool: ModuleType) -> None:
    assert [line for line in tool.lines("messages.log") if tool.meaning(line)[0] == "request"] == []


def test_the_tables_of_causes_are_what_the_rules_say() -> None:
    spec = importlib.util.spec_from_file_location("causes_table", ROOT / "tools" / "causes_table.py")
    assert spec and spec.loader
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    page = tables.DOC.read_text("utf-8")
    assert tables.written(page) == page, "python tools/causes_table.py writes them anew"
