"""Write the tables of docs/causes.md from ingest/rules/causes.py: `python tools/causes_table.py`; a test holds them equal."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ingest.rules.causes import CAUSES  # noqa: E402

DOC = ROOT / "docs/causes.md"
HEAD = "| code | name | what it means | what to do next | whom to call |\n| --- | --- | --- | --- | --- |"


def table(culprit: str) -> str:
    """The rows of one culprit, in the order of the code."""
    rows = [
        f"| `{c.code}` | {c.name} | {c.sentence} | {c.next_step} | {c.call} |"
        for c in CAUSES.values()
        if c.culprit == culprit
    ]
    return "\n".join([HEAD, *rows])


def written(text: str) -> str:
    """The page with its tables as the code has them now."""
    for culprit in dict.fromkeys(c.culprit for c in CAUSES.values()):
        text = re.sub(
            rf"(?<=## {culprit}\n\n)\| code \|.*?(?=\n\n|\Z)", lambda _, c=culprit: table(c), text, flags=re.S
        )  # type: ignore[misc]
    return text


if __name__ == "__main__":
    DOC.write_text(written(DOC.read_text("utf-8")), "utf-8")
