"""Write ingest/rules/measured.py from answers of the fault bench: `python -m bench.faults.calibrate ANSWERS.jsonl…`.

The answers are those that `python -m bench.faults.run --keep DIR` leaves in DIR, of the splits dev and validation. An answer
is right if its cause is one that the truth accepts; of a try that needs none, who blames route or service is wrong.
Answers that claim nothing (unknown) are left out.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "ingest/rules/measured.py"
BEGIN = "MEASURED: dict[str, tuple[int, int]] = {"


def counts(rows: Iterable[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """(right, answers) by rule, in the order of their names."""
    out: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        said, expected = row["said"], row["expected"]
        nobody_asked = expected is None and said["culprit"] not in ("route", "service")
        if said["culprit"] == "unknown" or not said["rule"] or nobody_asked:
            continue
        count = out[said["rule"]]
        count[0] += expected is not None and said["cause"] in {expected["cause"], *expected["accepted"]}
        count[1] += 1
    return {rule: (right, answers) for rule, (right, answers) in sorted(out.items())}


def written(source: str, found: dict[str, tuple[int, int]]) -> str:
    """The module's text with these counts in the place of the old ones."""
    start = source.index(BEGIN)
    end = source.index("}\n", start) + 2
    rows = "".join(f'    "{rule}": ({right}, {answers}),\n' for rule, (right, answers) in found.items())
    return f"{source[:start]}{BEGIN}\n{rows}}}\n{source[end:]}"


def main(paths: list[str]) -> int:
    if not paths or any("held" in Path(path).name for path in paths):
        print("Give answers of the splits dev and validation; what was held out stays so.", file=sys.stderr)
        return 2
    rows = (json.loads(line) for path in paths for line in Path(path).read_text("utf-8").splitlines())
    found = counts(rows)
    TARGET.write_text(written(TARGET.read_text("utf-8"), found), "utf-8")
    print(f"{len(found)} rules, {sum(answers for _, answers in found.values()):,} answers")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
