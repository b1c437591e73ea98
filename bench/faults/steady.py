"""V22: the same rows in another order, or judged in other batches, give the same answers byte for byte."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.utils import timezone

from bench.faults import readings
from ingest import judging
from ingest.incidents import update as incidents
from ingest.models import Airflow, Try, Verdict, VerdictHistory

SMALL_BATCH = 7
LATE_S = 2.0  # lines of one device reach us out of order by less than judging waits
_RECEIVED = re.compile(r"^\d{4}-\S+Z \S+ ")


def answers(airflow: Airflow) -> list[str]:
    """Every verdict as one text, without what only says where a row is kept: ids of lines and of incidents."""
    out, incident = [], {}
    for verdict in readings.verdicts_of(airflow, {}):
        if verdict["incident"] is not None:
            verdict["incident"] = incident.setdefault(verdict["incident"], len(incident))
        for row in verdict["evidence"]:
            row["line_id"] = None
            row["raw"] = _RECEIVED.sub("", row["raw"])
        out.append(json.dumps(verdict, sort_keys=True, ensure_ascii=False))
    return out


def differing(one: Sequence[str], other: Sequence[str]) -> int:
    """How many answers are not the same text."""
    same = len(set(one) & set(other))
    return max(len(one), len(other)) - same


def judge_in_small_batches(airflow: Airflow, scope: str) -> None:
    """Forget every verdict of this world and judge it again, a few tries at a time."""
    ids = list(Verdict.objects.filter(try_row__airflow=airflow).values_list("try_row_id", flat=True))
    VerdictHistory.objects.filter(try_row__in=ids).delete()
    Verdict.objects.filter(try_row__in=ids).delete()
    Try.objects.filter(pk__in=ids).update(judge=True)
    now = timezone.now()
    while judging.pending([airflow.pk]):
        judging.judge_pending(now, SMALL_BATCH)
    incidents.update(scope, now)


def shuffled(folder: Path, target: Path, seed: int) -> Path:
    """A copy of a capture whose Airflow lists are in another order and whose request lines came a little out of order."""
    shutil.copytree(folder, target)
    rng = random.Random(seed)
    for path in sorted((target / "airflow").glob("*.json")):
        items: Any = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(items, list):
            rng.shuffle(items)
            path.write_text(json.dumps(items), encoding="utf-8")
    for path in sorted((target / "f5").glob("request*.log")):
        lines = path.read_bytes().splitlines()
        # The receiver stamps a line when it comes, so times stay in order and the messages move
        received = [line.split(b" ", 1)[0] for line in lines]
        order = sorted(range(len(lines)), key=lambda i: _seconds(received[i]) + rng.uniform(0, LATE_S))
        moved = (received[place] + b" " + lines[i].split(b" ", 1)[1] for place, i in enumerate(order))
        path.write_bytes(b"\n".join(moved) + b"\n")
    return target


def _seconds(received: bytes) -> float:
    from datetime import datetime

    return datetime.fromisoformat(received.decode().replace("Z", "+00:00")).timestamp()
