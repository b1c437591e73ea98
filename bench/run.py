"""Measure ingestion, joins and the reading of Airflow's tables and print it as a table: `make bench`.

`make bench ARGS=--small` takes some seconds and measures nothing: it tries that all of it runs.

Seconds depend on the machine and on what else it does; the ratios are what the goals are about. Each measurement is taken
`--rounds` times and the fastest counts. The database is one of its own, dropped afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
if __name__ == "__main__":
    sys.path[0] = str(ROOT)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airf5.settings")

from bench.database import bench_database  # noqa: E402
from bench.report import Figure, table  # noqa: E402


def main() -> int:
    """Run what was asked for; 0 whatever the figures say, for a busy machine is no fault."""
    asked = _arguments()
    if asked.only == "delay":  # runs the demo in a home of its own for a quarter of an hour: only where it is asked for
        from bench import delay

        figures = delay.measure(asked.small)
        print(table(figures))
        _keep(figures, asked.small)
        return 0
    with bench_database(), tempfile.TemporaryDirectory(prefix="airf5-bench-") as folder:
        figures = measure(Path(folder), asked.only, asked.small, asked.pairs, asked.rounds)
    print(table(figures))
    _keep(figures, asked.small)
    return 0


def measure(folder: Path, only: str = "", small: bool = False, pairs: int = 0, rounds: int = 1) -> list[Figure]:
    """The figures of one part, or of all, on the database that is connected; `pairs` 0 means the usual number."""
    from bench import airflow_db, ingestion, ingestion_forms, judging, links, parsing, two_workers

    figures: list[Figure] = []
    if only in ("", "ingestion"):
        figures += ingestion.measure(folder, pairs or (2_000 if small else 1_000_000), rounds)
        figures += ingestion_forms.measure(
            folder, 200 if small else min(pairs or 20_000, 20_000), rounds, 3 if small else 0
        )
        figures += two_workers.measure(folder, 1_000 if small else min(pairs or 300_000, 300_000), rounds)
    if only in ("", "links"):
        sizes = (2_000, 4_000) if small else (500_000, 1_000_000, 2_000_000, 4_000_000)
        figures += links.measure(sizes, rounds)
    if only in ("", "judging"):
        figures += judging.measure(folder, 60 if small else 10_000)
    if only in ("", "airflow"):
        figures += airflow_db.measure(500 if small else 100_000, rounds)
    if only in ("", "parsing"):
        figures += parsing.measure(100 if small else 100_000, rounds)
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few rows: does it run at all")
    parser.add_argument(
        "--only", choices=("ingestion", "links", "judging", "airflow", "parsing", "delay"), default="", help="one part"
    )
    parser.add_argument("--pairs", type=int, default=0, help="how many requests to ingest")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured; the fastest counts")
    return parser.parse_args()


def _keep(figures: list[Figure], small: bool) -> None:
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    result = {
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "small": small,
        "figures": [figure._asdict() for figure in figures],
    }
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}{'-small' if small else ''}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"\nKept as {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
