"""The hooks of the chaos suite in processes of their own: one dies where it is told to, the next one does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airf5 import failpoints

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = "from airf5.failpoints import failpoint, planted; failpoint('a.b'); print(planted('bug'))"


def run(place: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop(failpoints.VARIABLE, None)
    if place is not None:
        environment[failpoints.VARIABLE] = str(place)
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("armed", "planted"):
        (tmp_path / name).mkdir()
    (tmp_path / "armed" / "a.b").write_text("kill")
    (tmp_path / "planted" / "bug").touch()
    return tmp_path


def test_without_the_variable_nothing_happens(place: Path) -> None:
    done = run(None)
    assert (done.returncode, done.stdout) == (0, "False\n")
    assert (place / "armed" / "a.b").exists()


def test_the_process_that_comes_by_an_armed_point_dies_there_and_the_next_one_does_not(place: Path) -> None:
    assert run(place).returncode == -signal.SIGKILL
    assert (place / "hits").read_text().startswith("a.b kill ")
    done = run(place)
    assert (done.returncode, done.stdout) == (0, "True\n")
