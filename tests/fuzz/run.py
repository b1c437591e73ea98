"""`make fuzz`: a million changed lines and documents through every parser; the seed says which, and is printed.

    python -m tests.fuzz.run --inputs 1000000 --seed 7

An input is one text or document given to one parser. Every parser gets the same number of them. What breaks a parser is
printed as a Python literal with its target, and kept in `fuzz-found.txt`; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz import mutate, seeds, targets

FOUND = Path("fuzz-found.txt")
MOST_FOUND = 50


def main() -> int:
    """0 when every input of every parser ended as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if asked.seed is None else asked.seed
    print(
        f"seed {seed}, {asked.inputs:,} inputs, {len(targets.LINES)} parsers of lines, {len(targets.DOCUMENTS)} of documents"
    )
    return run(asked.inputs, seed)


def run(inputs: int, seed: int) -> int:
    """Give out the inputs; print what came of them."""
    every = (*targets.LINES, *targets.DOCUMENTS)
    rounds = -(-inputs // len(every))
    ended: dict[str, Counter[str]] = {target.name: Counter() for target in every}
    slowest: dict[str, float] = dict.fromkeys(ended, 0.0)
    found: dict[tuple[str, str], Any] = {}
    rng, began, shown = random.Random(seed), time.monotonic(), time.monotonic()
    for number in range(rounds):
        line = _line(rng)
        for target in every:
            given = line if target.takes == "line" else _document(rng, target)
            try:
                said, took = targets.timed(target, given)
                slowest[target.name] = max(slowest[target.name], took)
            except Exception as error:  # any of them is a find, and it is shown at once
                said, what = "broken", (target.name, f"{type(error).__name__}: {error}"[:200])
                if what not in found:
                    found[what] = given
                    print(f"  {' '.join(what)}: {given!r:.300}", flush=True)
            ended[target.name][said] += 1
        if len(found) >= MOST_FOUND:
            break
        if time.monotonic() - shown > 20:
            shown = time.monotonic()
            print(f"  {(number + 1) * len(every):,} inputs, {shown - began:.0f} s, {len(found)} found", flush=True)
    _report(ended, slowest, time.monotonic() - began)
    return _keep(found)


def _changes(rng: random.Random) -> list[mutate.Change]:
    return [
        mutate.Change(
            rng.randrange(1_000_000), rng.randrange(1_000_000), rng.randrange(1_000_000), rng.randrange(1_000_000)
        )
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 2, 3, 6)))
    ]


def _line(rng: random.Random) -> str:
    return mutate.line(rng.choice(seeds.lines()), _changes(rng))


def _document(rng: random.Random, target: targets.Target) -> Any:
    """Mostly a document that the parser is for."""
    some = targets.meant_for(target) if rng.random() < 0.85 else seeds.documents()
    return mutate.document(rng.choice(some), _changes(rng))


def _report(ended: dict[str, Counter[str]], slowest: dict[str, float], seconds: float) -> None:
    total = 0
    for name, counts in ended.items():
        number = sum(counts.values())
        total += number
        said = ", ".join(f"{word} {count:,}" for word, count in counts.most_common(6))
        print(f"{name:<38} {number:>9,}  slowest {slowest[name] * 1000:5.1f} ms  {said}")
    print(f"{total:,} inputs in {seconds:.0f} s, {total / max(seconds, 0.001):,.0f} a second")


def _keep(found: dict[tuple[str, str], Any]) -> int:
    for (name, what), given in found.items():
        shown = repr(given)
        print(f"\n{name}: {what}\n  {shown[:1_000]}{' …' if len(shown) > 1_000 else ''}")
    if found:
        FOUND.write_text("".join(f"{name}\t{what}\t{given!r}\n" for (name, what), given in found.items()), "utf-8")
        print(f"\n{len(found)} found, kept whole in {FOUND}")
    else:
        print("Nothing was found.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
