"""Failed tries judged, 500 at a time as the product does: seconds, tries a second, SQL round trips a batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from bench import storms
from bench.report import Figure
from ingest import judging, models, partitions
from ingest.sources import spool
from ingest.store import names, requests, tries

LOGS_AT_ONCE = 2_000


class RoundTrips:
    """Counts the statements sent to the server, `with connection.execute_wrapper(...)`; BEGIN and COMMIT are two more."""

    def __init__(self) -> None:
        self.statements = 0

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements += not sql.startswith(("SAVEPOINT", "RELEASE"))  # a test's own
        return execute(sql, params, many, context)


def measure(folder: Path, failed: int) -> list[Figure]:
    """Fill the database with so many failed tries and their requests, and judge them all."""
    now = fill(folder, failed)
    batches, seconds, own, most = 0, 0.0, 0.0, 0
    while True:
        trips = RoundTrips()
        began, began_own = time.perf_counter(), time.process_time()
        with connection.execute_wrapper(trips):
            done = judging.judge_pending(now)
        if not done:
            break
        seconds += time.perf_counter() - began
        own += time.process_time() - began_own
        batches, most = batches + 1, max(most, trips.statements)
    causes = Counter(models.Verdict.objects.values_list("cause", flat=True))
    print("Judged as " + ", ".join(f"{number:,} {cause}" for cause, number in sorted(causes.items())))
    name = f"{failed:,} failed tries"
    return [
        Figure(f"{name}: judged", seconds, "s", "<= 30 for 10,000"),
        Figure(f"{name}: of that, processor time of the judging process", own, "s"),
        Figure(f"{name}: tries", failed / seconds, "tries/s"),
        Figure(f"{name}: statements a batch of {judging.BATCH}, at most", most, "", "<= 25"),
        Figure(f"{name}: batches", batches, ""),
    ]


def fill(folder: Path, failed: int) -> datetime:
    """Yesterday's tries and requests, ready to be judged; returns the time at which to judge."""
    partitions.make_coming(timezone.now())
    _empty()
    day = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    start_us = int(day.timestamp()) * 1_000_000
    made = storms.tries(failed, start_us)
    _fill_requests(folder / "judging.log", storms.spooled(made, failed, start_us), day)
    _fill_tries(made, day)
    partitions.analyze()
    return day + timedelta(days=1)


def _empty() -> None:
    """What other parts of the bench left behind."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE ingest_request, ingest_request_detail, ingest_requestminute, ingest_requesthalf")


def _fill_requests(path: Path, lines: Any, day: datetime) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(lines)
    group = models.DeviceGroup.objects.create(name="storms")
    device = models.Device.objects.create(name="storms", group=group)
    span = {"complete_from": day - timedelta(hours=1), "complete_to": day + timedelta(days=1), "state": "closed"}
    feed = models.Feed.objects.create(name="storms/request", kind=models.Feed.Kind.F5_REQUEST, device=device, **span)
    file_row = models.SpoolFile.objects.create(feed=feed, fingerprint="storms", path=str(path))
    for chunk in spool.follow([str(path)], [], final=True):
        with transaction.atomic():
            requests.save_lines(feed, device, file_row.pk, chunk.lines)
    requests.expire_halves(feed, day + timedelta(days=1))


def _fill_tries(made: list[storms.OneTry], day: datetime) -> None:
    airflow = models.Airflow.objects.create(name="storms")
    span = {"complete_from": day - timedelta(hours=1), "complete_to": day + timedelta(days=1), "state": "closed"}
    models.Feed.objects.create(name="storms/airflow", kind=models.Feed.Kind.AIRFLOW_API, airflow=airflow, **span)
    rows = [_row(airflow, one) for one in made]
    models.Try.objects.bulk_create(rows, batch_size=2_000)
    models.TryKey.objects.bulk_create(
        [models.TryKey(key=names.scoped_key("", str(row.ti_id)), try_row=row) for row in rows],
        update_conflicts=True, unique_fields=("key",), update_fields=("try_row",), batch_size=2_000,
    )  # fmt: skip
    logs = [storms.log_of(one) for one in made if one.kind]
    for start in range(0, len(logs), LOGS_AT_ONCE):
        tries.save_task_logs(airflow, logs[start : start + LOGS_AT_ONCE], datetime.now(UTC))


def _row(airflow: models.Airflow, one: storms.OneTry) -> models.Try:
    dag, run, task, index, number = one.key
    return models.Try(
        airflow=airflow, dag_id=dag, run_id=run, task_id=task, map_index=index, try_number=number, ti_id=one.uuid,
        state="failed" if one.kind else "success", scheduled_at=one.at(-1), queued_at=one.at(0), start_at=one.at(1),
        end_at=one.at(12.01), duration_s=11.0, own_s=None if one.kind else 11.0, airflow_pool="default_pool",
        operator="HttpOperator", path=one.path, rendered={"endpoint": one.path}, judge=bool(one.kind),
        seen_at=one.at(13),
    )  # fmt: skip
