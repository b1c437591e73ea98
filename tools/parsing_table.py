"""Write the tables of docs/parsing.md anew, from what the parsers make of tests/samples/f5/own.

`python tools/parsing_table.py` writes them, `--check` says whether they are as they should be. Each row is one line of the
samples, parsed now: the tables cannot say what the code does not do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ingest.parsers import f5, f5_header  # noqa: E402
from ingest.records import Action, HealthEvent, Other, Reject, RequestLine  # noqa: E402

SAMPLES = ROOT / "tests" / "samples" / "f5" / "own"
PAGE = ROOT / "docs" / "parsing.md"
RECEIVED = datetime(2026, 11, 22, 9, 26, tzinfo=UTC)
LONGEST = 110


def lines(name: str) -> list[str]:
    """The lines of one file of the samples."""
    return (SAMPLES / name).read_text("utf-8").splitlines()


def meaning(line: str) -> tuple[str, str]:
    """What the line becomes, and what it says in a word or two."""
    record = f5.parse_auto(line, RECEIVED)
    if isinstance(record, HealthEvent):
        lost = record.state == "lost_messages"
        return "health event", f"{record.kind}: {record.state}" + (f" ({record.count or 'not said'})" if lost else "")
    if isinstance(record, Action):
        return "action", f"{record.verb} {record.result}".strip()
    if isinstance(record, RequestLine):
        return "request", f"{record.kind}, " + (
            "no response time" if record.response_us is None else "with response time"
        )
    return ("other", "kept as it is") if isinstance(record, Other) else ("rejected", reason(record))


def reason(record: object) -> str:
    return record.reason if isinstance(record, Reject) else "several records"


def message_rows() -> Iterator[str]:
    """One row a line, ordered by message id; lines without an id come last."""
    rows = []
    for place, line in enumerate(lines("messages.log")):
        header = f5_header.parse(line, RECEIVED)
        shown = header.text if header.message_id or header.process else line
        process = header.process.rstrip("0123456789") or header.process
        rows.append((header.message_id or "~", place, f"| {header.message_id or '—'} | {process or '—'} | {cell(shown)} |"
                     f" {' | '.join(meaning(line))} |"))  # fmt: skip
    return (row for _, _, row in sorted(rows))


def head_rows() -> Iterator[str]:
    """One row a form of head: what is read from it."""
    for line in lines("heads.log"):
        message, received, _ = f5_header.unwrap(line, RECEIVED)
        header = f5_header.parse(message, received)
        at = header.at.isoformat().replace("+00:00", "Z") if header.at else "—"
        cut = line.partition(header.text)[0] if header.text else line
        yield f"| {cell(cut.rstrip())} | {at} | {header.hostname or '—'} | {header.process or '—'} | {header.severity or '—'} |"


def cell(text: str) -> str:
    """Text as code in a cell of a table."""
    text = " ".join(text.replace("|", "¦").split())
    return f"`{text[: LONGEST - 1]}…`" if len(text) > LONGEST else f"`{text}`"


TABLES = {
    "messages": ("| id | process | text | becomes | says |", "| --- | --- | --- | --- | --- |", message_rows),
    "heads": ("| head | time | host | process | severity |", "| --- | --- | --- | --- | --- |", head_rows),
}


def page(old: str) -> str:
    """The page with its tables as they are now."""
    for name, (heading, rule, rows) in TABLES.items():
        begin, end = f"<!-- {name}: written by tools/parsing_table.py -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = old.partition(begin)
        _, _, after = rest.partition(end)
        old = before + begin + "\n".join((heading, rule, *rows(), "")) + end + after
    return old


def main() -> int:
    """0 if the page is as it should be, or was written."""
    old = PAGE.read_text("utf-8")
    new = page(old)
    if "--check" in sys.argv[1:]:
        print(
            "The tables are as they should be." if new == old else f"{PAGE.name} is out of date: python {sys.argv[0]}"
        )
        return int(new != old)
    PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
