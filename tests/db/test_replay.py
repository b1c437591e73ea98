"""A capture is told once, whole or in part, beside others of the same run, and closed when asked to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ingest import rawlines, replay
from ingest.models import Batch, Feed, Reject, Request, RequestDetail, RequestHalf, Try, Verdict

CAPTURES = Path(__file__).parents[2] / "captures"


def test_the_same_folder_twice_reads_nothing_twice() -> None:
    first = replay.replay(CAPTURES / "lab1", wait=True)
    rows, batches = Request.objects.count(), Batch.objects.count()
    again = replay.replay(CAPTURES / "lab1", wait=True)
    assert first.counts.read > 4000 and not first.counts.rejects
    assert again.counts.read == 0
    assert (rows, batches) == (Request.objects.count(), Batch.objects.count())
    assert first.verdicts == again.verdicts


def test_with_wait_nothing_stays_open() -> None:
    told = replay.replay(CAPTURES / "lab1-bigip", wait=True)
    assert told.counts.halves == 49 and told.provisional == 0
    assert not RequestHalf.objects.exists()
    assert set(Feed.objects.values_list("state", flat=True)) == {Feed.State.CLOSED}
    assert not Verdict.objects.filter(status=Verdict.Status.PROVISIONAL).exists()


@pytest.mark.long
def test_two_captures_of_one_run_do_not_mix() -> None:
    for name in ("lab1", "lab1-bigip"):
        replay.replay(CAPTURES / name, wait=True)
    for airflow in ("lab1", "lab1-bigip/lab1"):
        assert Try.objects.filter(airflow__name=airflow, keys__isnull=False).distinct().count() == 240


def test_a_shifted_capture_keeps_its_own_lines() -> None:
    told = replay.replay(CAPTURES / "lab1", shift_to_now=True)
    assert told.name.startswith("lab1-2")
    detail = RequestDetail.objects.order_by("line_id").first()
    assert detail is not None
    assert detail.raw.split("\n")[0] in rawlines.read([detail.line_id])[detail.line_id]


@pytest.mark.long
@pytest.mark.parametrize(
    "missing", ["airflow/task_logs", "airflow/seen.jsonl", "f5/icontrol", "f5/ltm.log", "f5/audit.log"]
)
def test_a_capture_may_lack_a_part(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "lab1"
    shutil.copytree(CAPTURES / "lab1", folder)
    part = folder / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    told = replay.replay(folder, wait=True)
    assert told.verdicts and not told.provisional and not Reject.objects.exists()


def test_what_is_no_capture_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"has no meta\.json") as error:
        call_command("replay", tmp_path)
    assert error.value.returncode == 2


def test_broken_json_is_said_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "lab1"
    shutil.copytree(CAPTURES / "lab1", folder)
    (folder / "airflow" / "tries.json").write_text("[{")
    with pytest.raises(CommandError, match=r"tries\.json"):
        call_command("replay", folder)
    (folder / "airflow" / "tries.json").write_text(json.dumps([]))
    (folder / "airflow" / "seen.jsonl").write_text("{")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("replay", folder)
    assert not Feed.objects.exists()


def test_the_uuids_that_rest_forgot_are_found_by_time(tmp_path: Path) -> None:
    folder = tmp_path / "lab1"
    shutil.copytree(CAPTURES / "lab1", folder)
    shutil.rmtree(folder / "airflow" / "task_logs")
    seen = folder / "airflow" / "seen.jsonl"
    shown = [json.loads(line)["ti"] for line in seen.read_text().splitlines()]
    seen.unlink()
    names = ("dag_id", "dag_run_id", "task_id", "map_index", "try_number")
    truth = {tuple(ti[name] for name in names): ti["id"] for ti in shown}
    replay.replay(folder, wait=True)
    found = Try.objects.filter(ti_id_from="history")
    said = {(row.dag_id, row.run_id, row.task_id, row.map_index, row.try_number): str(row.ti_id) for row in found}
    assert len(said) == 20 and said.items() <= truth.items()
