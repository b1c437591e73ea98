"""The same rows give the same verdicts, byte for byte: in any order of arrival, in any batches, by any number of workers."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from ingest import actions, judging, replay
from ingest.models import Evidence, Feed, Try, Verdict, VerdictHistory
from ingest.store import names

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

CAPTURES = Path(__file__).parents[2] / "captures"
KEY = ("dag_id", "run_id", "task_id", "map_index", "try_number")
# Ids of rows and of lines follow the order of arrival; what they point at stands beside them by name or as text.
ANSWER = [name for name in judging.ANSWER if not name.endswith("_id")] + [
    "endpoint__name",
    "f5_pool__name",
    "member__name",
]
ROW = ("position", "feed", "kind", "at", "link", "says", "raw")


# Parts of where the time went that are measured against what is usual of the task.
USUAL = ("own", "unexplained", "usual_s", "usual_of")


@pytest.fixture(autouse=True)
def _no_ids_of_before() -> Iterator[None]:
    """The tables are emptied behind this process's back."""
    names.forget()
    yield
    names.forget()


def answers(*, usual: bool = True) -> dict[str, str]:
    """Each verdict with its evidence as one text, by the key of its try; without `usual`, what is usual of its task is
    left out."""
    rows: dict[int, list[Any]] = {}
    for verdict, *row in Evidence.objects.order_by("verdict", "position").values_list("verdict", *ROW):
        rows.setdefault(verdict, []).append(row)
    key = [f"try_row__{name}" for name in KEY]
    out = {}
    for pk, *row in Verdict.objects.values_list("pk", *key, *ANSWER):
        said = dict(zip(ANSWER, row[len(KEY) :], strict=True))
        if not usual:
            said["split"] = {part: s for part, s in said["split"].items() if part not in USUAL}
        out[json.dumps(row[: len(KEY)])] = json.dumps([said, rows.get(pk, [])], default=str)
    return out


def differing(one: dict[str, str], other: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    return {k: (one.get(k), other.get(k)) for k in {*one, *other} if one.get(k) != other.get(k)}


def disordered(folder: Path, target: Path) -> Path:
    """The capture with its Airflow lists and its lines in another order, as far as a file can hold them so."""
    shutil.copytree(folder, target)
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


# What iControl told stays first: it is no row but the state of the device, after which members are called.
OTHERWISE = (
    Feed.Kind.F5_ICONTROL, Feed.Kind.F5_AUDIT, Feed.Kind.F5_LTM, Feed.Kind.AIRFLOW_CAPTURE, Feed.Kind.F5_REQUEST,
)  # fmt: skip


def told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The feeds are read in another order, the requests last, and what is there is judged after each of them."""
    feeds, ingest = replay._feeds, replay._ingest

    def judged_between(*given: Any) -> Any:
        counts = ingest(*given)
        judging.judge_pending(timezone.now())
        return counts

    monkeypatch.setattr(
        replay, "_feeds", lambda *given: sorted(feeds(*given), key=lambda feed: OTHERWISE.index(feed.kind))
    )
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


@pytest.mark.parametrize("name", ["lab1-bigip", "lab2-bigip"])
def test_neither_batches_nor_workers_change_a_byte(name: str) -> None:
    """lab2 has tries that were deferred: Airflow tells another begin of them than their first call does."""
    replay.replay(CAPTURES / name, wait=True)
    first = answers()
    assert len(first) >= 40 and not VerdictHistory.objects.exists()
    for number in (1, 2, 5):
        assert differing(first, judged_anew(in_batches(number))) == {}
    assert differing(first, judged_anew(by_two_workers)) == {}


def test_no_order_of_arrival_changes_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for what is usual of a task: the times of its successful tries are taken once, when Airflow tells their end."""
    name = "lab1-bigip"
    replay.replay(CAPTURES / name, wait=True)
    first = answers(usual=False)
    actions.forget_capture(name, "ann")
    told_otherwise(monkeypatch)
    replay.replay(disordered(CAPTURES / name, tmp_path / name), wait=True)
    assert differing(first, answers(usual=False)) == {}
    assert VerdictHistory.objects.exists()  # it was judged before all was there, and keeps what it said then
