"""Tries as judging reads them: plain values, for a batch reads thousands, and rows of models cost more than their judgement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, Func, QuerySet
from django.db.models.expressions import RawSQL

from ingest import records
from ingest.models import Try, Verdict
from ingest.rules.split import Usual

from . import load

VERSION = RawSQL("ingest_try.xmin::text::bigint", ())  # any change of the row gives it another one


class Micros(Func):
    """A time as microseconds since 1970 (`load.moment` makes it a time again)."""

    template = "(date_part('epoch', %(expressions)s) * 1e6)::bigint"
    output_field = BigIntegerField()


NOT_KNOWN = Usual()


@dataclass(slots=True)
class TryRow:
    """What judging reads of one try; the names are those of `models.Try`."""

    pk: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    queued_at: datetime | None
    start_at: datetime | None
    end_at: datetime | None
    duration_s: float | None
    own_s: float | None
    operator: str
    conn_id: str
    path: str
    hostname: str
    rendered: dict[str, Any] | None
    log: records.TaskLog | None
    airflow_id: int = 0
    state: str = "failed"
    ti_id: UUID | None = None
    scheduled_at: datetime | None = None
    code_s: float | None = None
    airflow_pool: str = ""
    log_state: str = ""
    version: int = 0  # of its row
    verdict: Verdict | None = None  # what was said of it last
    usual_code: Usual = NOT_KNOWN  # what its task's own code usually takes

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The time in which it can have called; of a try that has ended."""
        return span(self)

    @property
    def defers(self) -> bool:
        """Its fields say that it may wait in another process, and go on with another start."""
        return bool(self.rendered and "deferr" in str(self.rendered)[:2000].lower())

    @property
    def endpoint(self) -> str:
        """The endpoint as it was rendered, else the path that is known."""
        return str((self.rendered or {}).get("endpoint") or self.path)


def span(one: Try | TryRow) -> tuple[datetime, datetime]:
    """The time in which this try can have called: a resume moves start_date, so queued counts where it is known."""
    assert one.end_at is not None
    starts = [t for t in (one.queued_at, one.start_at) if t is not None]
    return min(starts, default=one.end_at - timedelta(hours=1)), one.end_at


_PLAIN = ("pk", "dag_id", "run_id", "task_id", "map_index", "try_number", "duration_s", "own_s", "operator", "conn_id", "path",
          "hostname", "rendered", "airflow_id", "state", "ti_id", "code_s", "airflow_pool", "log_state")  # fmt: skip
_TIMES = ("queued_at", "start_at", "end_at", "scheduled_at")
_ANSWER = tuple(field.attname for field in Verdict._meta.concrete_fields)


def read(tries: QuerySet[Try]) -> list[TryRow]:
    """These tries, with what judging needs of each: its log, the version of its row, and what was said of it."""
    columns = (*_PLAIN, "log__facts", VERSION, *(Micros(name) for name in _TIMES), *(f"verdict__{n}" for n in _ANSWER))
    return [_row(found) for found in tries.values_list(*columns)]


def _row(found: Sequence[Any]) -> TryRow:
    plain, (facts, version), rest = found[: len(_PLAIN)], found[len(_PLAIN) :][:2], found[len(_PLAIN) + 2 :]
    times, answer = rest[: len(_TIMES)], rest[len(_TIMES) :]
    return TryRow(
        **dict(zip(_PLAIN, plain, strict=True)), **dict(zip(_TIMES, map(_moment, times), strict=True)), version=version,
        log=None if facts is None else load.task_log(facts),
        verdict=None if answer[0] is None else Verdict.from_db(None, _ANSWER, answer),
    )  # fmt: skip


def _moment(us: int | None) -> datetime | None:
    return None if us is None else load.moment(us)


@dataclass(frozen=True, slots=True)
class Calling:
    """A try that is known to call a path while it runs."""

    dag_id: str
    task_id: str
    endpoint: str  # as it was rendered, else the path that is known
    start_at: datetime
    end_at: datetime
    hostname: str


def others(airflow_id: int, mine: Sequence[int], lo: datetime, hi: datetime) -> tuple[list[TryRow], list[Calling]]:
    """Of this time: tries that failed and are not these, and all tries, these too, that are known to call a path."""
    peers, calling = [], []
    for found in load.rows("other_tries", airflow=airflow_id, tries=list(mine), **{"from": lo, "to": hi}):
        peer, pk, dag, run, task, index, number, queued, start, end, took, own, operator, *more = found
        connection, path, host, endpoint, rendered, facts = more
        start_at, end_at = _moment(start), load.moment(end)
        if peer:
            log = None if facts is None else load.task_log(json.loads(facts))
            peers.append(
                TryRow(pk, dag, run, task, index, number, _moment(queued), start_at, end_at, took, own, operator, connection,
                       path, host, rendered and json.loads(rendered), log)
            )  # fmt: skip
        if path and start_at is not None and start_at < hi:
            known = str((endpoint and json.loads(endpoint)) or path)
            calling.append(Calling(dag, task, known, start_at, end_at, host))
    return peers, calling
