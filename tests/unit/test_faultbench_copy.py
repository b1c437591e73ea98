"""The figures that /accuracy/ shows are copied from the newest run of the bench, and never written by hand."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faultbench", ROOT / "tools" / "faultbench.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_run(folder: Path, name: str, **changes: Any) -> None:
    (folder / name).write_text(json.dumps({"summary": {"size": "full", "name": name, **changes}, "kinds": []}))


def test_the_page_shows_the_newest_run(tool: ModuleType) -> None:
    assert tool.is_current(), "python tools/faultbench.py copies it"


def test_the_newest_whole_held_out_run_is_taken(tool: ModuleType, tmp_path: Path) -> None:
    assert tool.newest(tmp_path) is None
    a_run(tmp_path, "20261124T200000Z-faults-held_out.json")
    a_run(tmp_path, "20261124T210000Z-faults-held_out.json")
    a_run(tmp_path, "20261124T220000Z-faults-held_out.json", size="small")
    a_run(tmp_path, "20261124T230000Z-faults-held_out-part.json")
    a_run(tmp_path, "20261124T230000Z-faults-validation.json")
    summary = tool.newest(tmp_path)
    assert summary["name"] == "20261124T210000Z-faults-held_out.json"
    target = tmp_path / "copy.json"
    assert not tool.is_current(tmp_path, target)
    target.write_text(tool.text(summary))
    assert tool.is_current(tmp_path, target)
    target.write_text(tool.text({**summary, "size": "better"}))
    assert not tool.is_current(tmp_path, target)
