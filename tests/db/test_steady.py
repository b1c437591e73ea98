"""The same rows give the same verdicts, byte for byte: in any order of arrival, in any batches, by any number of workers."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from ingest import actions, judging, replay
from ingest.models import Evidence, Feed, Try, Verdict, VerdictHistory

pytestmark = pytest.mark.django_db(transaction=True)

CAPTURE = Path(__file__).parents[2] / "captures" / "lab1-bigip"
KEY = ("dag_id", "run_id", "task_id", "map_index", "try_number")
# Ids of rows and of lines follow the order of arrival; what they point at stands beside them by name or as text.
ANSWER = [name for name in judging.ANSWER if not name.endswith("_id")] + [
    "endpoint__name",
    "f5_pool__name",
    "member__name",
]
ROW = ("position", "feed", "kind", "at", "link", "says", "raw")


def answers() -> dict[str, str]:
    """Each verdict with its evidence as one text, by the key of its try."""
    rows: dict[int, list[Any]] = {}
    for verdict, *row in Evidence.objects.order_by("verdict", "position").values_list("verdict", *ROW):
        rows.setdefault(verdict, []).append(row)
    key = [f"try_row__{name}" for name in KEY]
    found = Verdict.objects.values_list("pk", *key, *ANSWER)
    return {
        json.dumps(row[1 : len(KEY) + 1]): json.dumps([row[len(KEY) + 1 :], rows.get(row[0], [])], default=str)
        for row in found
    }


def differing(one: dict[str, str], other: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    return {k: (one.get(k), other.get(k)) for k in {*one, *other} if one.get(k) != other.get(k)}


def disordered(target: Path) -> Path:
    """The capture with its Airflow lists and its lines in another order, as far as a file can hold them so."""
    shutil.copytree(CAPTURE, target)
    random = Random(4)
    for path in sorted((target / "airflow").glob("*.json")):
        items = json.loads(path.read_text())
        if isinstance(items, list):
            random.shuffle(items)
            path.write_text(json.dumps(items))
    log = target / "f5" / "request.log"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[i] for i in sorted(range(len(lines)), key=lambda i: i + random.randrange(40))))
    return target


def told_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logs are read in the opposite order, Airflow last, and what is there is judged after each of them.

    What iControl told stays first: it is no row but the state of the device, after which members are called.
    """
    feeds, ingest = replay._feeds, replay._ingest

    def judged_between(*given: Any) -> Any:
        counts = ingest(*given)
        judging.judge_pending(timezone.now())
        return counts

    def backwards(*given: Any) -> list[Feed]:
        made = feeds(*given)
        return [feed for feed in made if feed.kind == Feed.Kind.F5_ICONTROL] + [
            feed for feed in reversed(made) if feed.kind != Feed.Kind.F5_ICONTROL
        ]

    monkeypatch.setattr(replay, "_feeds", backwards)
    monkeypatch.setattr(replay, "_ingest", judged_between)


def judged_anew(how: Callable[[int], None]) -> dict[str, str]:
    """All verdicts forgotten and made again."""
    ids = list(Verdict.objects.values_list("try_row", flat=True))
    Verdict.objects.all().delete()
    VerdictHistory.objects.all().delete()
    Try.objects.filter(pk__in=ids).update(judge=True)
    how(len(ids))
    assert not Try.objects.filter(judge=True).exists()
    return answers()


def in_batches(number: int) -> Callable[[int], None]:
    def judge(tries: int) -> None:
        now = timezone.now()
        assert sum(judging.judge_pending(now, -(-tries // number)) for _ in range(number)) == tries

    return judge


def by_two_workers(tries: int) -> None:
    """Each takes a few whenever the other is not at it, as the worker processes do."""

    def work() -> None:
        try:
            until = timezone.now() + timedelta(seconds=60)
            while Try.objects.filter(judge=True).exists() and timezone.now() < until:
                judging.judge_pending(timezone.now(), limit=10)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_neither_order_nor_batches_nor_workers_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replay.replay(CAPTURE, wait=True)
    first = answers()
    assert len(first) == 40 and not VerdictHistory.objects.exists()
    for number in (1, 2, 5):
        assert differing(first, judged_anew(in_batches(number))) == {}
    assert differing(first, judged_anew(by_two_workers)) == {}

    name = Feed.objects.values_list("capture", flat=True).first()
    assert name
    actions.forget_capture(name, "ann")
    told_backwards(monkeypatch)
    replay.replay(disordered(tmp_path / CAPTURE.name), wait=True)
    assert differing(first, answers()) == {}
    assert VerdictHistory.objects.exists()  # it was judged before all was there, and keeps what it said then
