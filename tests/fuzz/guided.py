"""`make fuzz GUIDED=yes`: the same parsers and the same rules, with inputs that atheris grows towards code not yet reached.

atheris measures the coverage of `ingest.parsers` and keeps what reaches more. It is no part of the usual set-up:
`.venv/bin/python -m pip install -r requirements-fuzz.txt`, or the same with uv. Arguments are libFuzzer's:

    python -m tests.fuzz.guided corpus/ -runs=1000000 -seed=7
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: it is in requirements-fuzz.txt.")

with atheris.instrument_imports(include=["ingest.parsers", "json.decoder"]):
    from tests.fuzz import mutate, seeds, targets

EVERY = (*targets.LINES, *targets.DOCUMENTS)


def one_input(data: bytes) -> None:
    """The first byte chooses the parser, the rest is its line, or a document as JSON."""
    if len(data) < 2:
        return
    target = EVERY[data[0] % len(EVERY)]
    text = data[1:].decode("utf-8", "surrogateescape")
    if target.takes == "line":
        target.run(text)
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    target.run(document)


def shaped(data: bytes, most: int, seed: int) -> bytes:
    """A change that knows the shape, every second time; else libFuzzer's own."""
    if len(data) < 2 or seed % 2:
        return bytes(atheris.Mutate(data, most))
    target, change = (
        EVERY[data[0] % len(EVERY)],
        mutate.Change(seed, seed * 7_919 % 1_000_000, seed * 104_729 % 1_000_000, seed),
    )
    text = data[1:].decode("utf-8", "surrogateescape")
    if target.takes == "line":
        return data[:1] + mutate.line(text, [change]).encode("utf-8", "surrogatepass")[: most - 1]
    try:
        changed = json.dumps(mutate.document(json.loads(text), [change]))
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, most))
    return data[:1] + changed.encode()[: most - 1]


def write_corpus(folder: Path) -> None:
    """One file for every parser and every tenth of its seeds, where the folder is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        return
    for number, target in enumerate(EVERY):
        some = seeds.lines() if target.takes == "line" else targets.meant_for(target)
        for place, seed in enumerate(some[:: max(1, len(some) // 40)]):
            text = seed if isinstance(seed, str) else json.dumps(seed)
            (folder / f"{number:02d}-{place:03d}").write_bytes(
                bytes([number]) + text.encode("utf-8", "replace")[:8_000]
            )


def main() -> None:
    """Run until -runs or -max_total_time is reached; what breaks a parser is kept by libFuzzer as crash-…."""
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    for folder in folders[:1]:
        write_corpus(Path(folder))
    atheris.Setup(sys.argv, one_input, custom_mutator=shaped)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
