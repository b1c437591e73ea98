"""Two workers, each on the log of another device: how much more they store together than one of them alone.

On a machine of two cores PostgreSQL needs one of them, so the ratio says as much of the machine as of the product.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from bench.report import Figure

_both: Barrier


def measure(folder: Path, count: int, rounds: int) -> list[Figure]:
    """`count` request pairs a device."""
    from django.db import connection

    from bench import ingestion, lines

    feeds, written = [], 0
    for number in (1, 2):
        path = folder / f"device {number}.log"
        written = lines.spool(path, count, seed=number, start_us=ingestion.yesterday_us())
        feeds.append(ingestion.feed_of(f"device {number}", path, logs_requests=True).pk)
    processes = get_context("spawn")
    both = processes.Barrier(2, timeout=120)
    with ProcessPoolExecutor(2, processes, _join, (dict(connection.settings_dict), both)) as workers:
        list(workers.map(_meet, (1, 2)))
        alone = together = math.inf
        for _ in range(rounds):
            for some in (feeds[:1], feeds):
                ingestion.empty()
                turns = list(workers.map(_turn, some))
                seconds = max(end for _, end in turns) - min(start for start, _ in turns)
                if len(some) == 1:
                    alone = min(alone, seconds)
                else:
                    together = min(together, seconds)
    return [
        Figure("one worker, pairs: lines", written / alone, "lines/s"),
        Figure("two workers on two devices, pairs: lines", 2 * written / together, "lines/s"),
        Figure("two workers / one", 2 * alone / together, ""),
    ]


def _join(settings: dict[str, Any], both: Barrier) -> None:
    """A process of its own becomes a worker on the bench's database; see `_meet`."""
    global _both
    import django

    django.setup()
    from django.db import connection

    connection.settings_dict.update(settings)
    _both = both


def _meet(_: int) -> None:
    """Wait until the other worker is there too."""
    _both.wait()


def _turn(feed_id: int) -> tuple[float, float]:
    """When a worker's turn on this feed began and ended, by the machine's clock."""
    from ingest import leases, models, pipeline
    from ingest.store import names

    names.forget()
    feed = models.Feed.objects.get(pk=feed_id)
    epoch = leases.take(feed.pk, "bench")
    assert epoch is not None
    began = time.monotonic()
    read = pipeline.read_spool(feed, epoch, math.inf, final=True)
    ended = time.monotonic()
    leases.release(feed.pk, epoch)
    assert read
    return began, ended
