"""Put the figures of the bench of faults where the page /accuracy/ reads them.

`python tools/faultbench.py` copies the summary of the newest whole run of the held-out part in bench/results/ to
dashboards/data/faultbench.json; `--check` says whether that has been done. The figures are copied and never written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
TARGET = ROOT / "dashboards" / "data" / "faultbench.json"


def newest(folder: Path = RESULTS) -> dict[str, Any] | None:
    """The summary of the newest full run; None while there is none. Runs of some kinds of faults only are left out."""
    for path in sorted(folder.glob("*-faults-held_out.json"), reverse=True):
        summary = dict(json.loads(path.read_text("utf-8"))["summary"])
        if summary["size"] == "full":
            return summary
    return None


def text(summary: dict[str, Any]) -> str:
    return json.dumps(summary, indent=1, ensure_ascii=False) + "\n"


def is_current(folder: Path = RESULTS, target: Path = TARGET) -> bool:
    """Whether the page shows the newest run, or nothing where there is none."""
    summary = newest(folder)
    there = target.read_text("utf-8") if target.exists() else None
    return there == (text(summary) if summary else None)


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        if is_current():
            return 0
        print("dashboards/data/faultbench.json is not the newest run: python tools/faultbench.py")
        return 1
    summary = newest()
    if summary is None:
        print("bench/results/ holds no full run of the held-out part: make faults ARGS='--split held_out --size full'")
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text(summary), "utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {summary['tries']} tries, measured {summary['at']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
