"""Measure ingestion, joins and the reading of Airflow's tables and print it as a table: `make bench`.

`make bench ARGS=--small` takes a minute.

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
sys.path[0] = str(ROOT)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airf5.settings")

from bench.database import bench_database  # noqa: E402
from bench.report import Figure, table  # noqa: E402


def main() -> int:
    """Run what was asked for; 0 whatever the figures say, for a busy machine is no fault."""
    asked = _arguments()
    with bench_database(), tempfile.TemporaryDirectory(prefix="airf5-bench-") as folder:
        from bench import airflow_db, ingestion, judging, links, parsing

        figures: list[Figure] = []
        if asked.only in ("", "ingestion"):
            count = asked.pairs or (20_000 if asked.small else 1_000_000)
            figures += ingestion.measure(Path(folder), count, asked.rounds)
        if asked.only in ("", "links"):
            sizes = (50_000, 100_000) if asked.small else (500_000, 1_000_000, 2_000_000, 4_000_000)
            figures += links.measure(sizes, asked.rounds)
        if asked.only in ("", "judging"):
            figures += judging.measure(Path(folder), 500 if asked.small else 10_000)
        if asked.only in ("", "airflow"):
            figures += airflow_db.measure(10_000 if asked.small else 100_000, asked.rounds)
        if asked.only in ("", "parsing"):
            figures += parsing.measure(5_000 if asked.small else 100_000, asked.rounds)
    print(table(figures))
    _keep(figures, asked.small)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few rows: does it run at all")
    parser.add_argument(
        "--only", choices=("ingestion", "links", "judging", "airflow", "parsing"), default="", help="one part"
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
