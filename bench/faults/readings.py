"""One world through the product and back: its database, its replay, its verdicts with their facts, and what F5 logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from django.db import connection

from bench.faults.baselines import Call, Ended
from ingest import judging, replay, rules
from ingest.management.commands.verdicts import as_json
from ingest.models import Airflow, Request, Try, TryKey, Verdict
from ingest.parsers import times
from ingest.records import Outcome
from ingest.rules.facts import Facts, Finding
from ingest.store import names

TEMPLATE = "airf5_faults"  # migrated once; every world gets a copy, which takes 50 ms
SECOND = timedelta(seconds=1)
Judged = dict[int, tuple[Facts, Finding]]


@dataclass(slots=True)
class Told:
    """What the product made of one world."""

    capture: str
    airflow: Airflow
    verdicts: list[dict[str, Any]]
    judged: Judged  # by try id, as it was judged last
    tries: dict[tuple[Any, ...], Try] = field(default_factory=dict)


@contextmanager
def template() -> Iterator[None]:
    """A database with every migration and no row, dropped afterwards."""
    from django.core.management import call_command

    home = connection.settings_dict["NAME"]
    _server(f'DROP DATABASE IF EXISTS "{TEMPLATE}" WITH (FORCE)', f'CREATE DATABASE "{TEMPLATE}"')
    connection.settings_dict["NAME"] = TEMPLATE
    try:
        call_command("migrate", verbosity=0, interactive=False)
        connection.close()
        connection.settings_dict["NAME"] = home
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = home
        _server(f'DROP DATABASE IF EXISTS "{TEMPLATE}" WITH (FORCE)')


@contextmanager
def database(name: str) -> Iterator[None]:
    """A fresh copy of the template; Django speaks to it inside, and this process forgets the names of the last one."""
    home = connection.settings_dict["NAME"]
    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    _server(drop, f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" STRATEGY FILE_COPY')
    connection.settings_dict["NAME"] = name
    names.forget()
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = home
        _server(drop)


def _server(*statements: str) -> None:
    """Run statements that are about whole databases; nothing may be connected to those."""
    connection.close()
    home, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], "postgres"
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = home


@contextmanager
def noted() -> Iterator[Judged]:
    """Keeps the facts of every judgement made inside, with the finding."""
    found: Judged = {}

    def judge(facts: Facts) -> Finding:
        finding = rules.judge(facts)
        found[facts.attempt.try_id] = facts, finding
        return finding

    with mock.patch.object(judging, "judge", judge):
        yield found


def told(folder: Path) -> Told:
    """Replay a capture as `manage.py replay DIR --wait` does, and read the verdicts as `manage.py verdicts` prints them."""
    with noted() as judged:
        done = replay.replay(folder, wait=True)
    airflow = Airflow.objects.get(name=done.airflow)
    tries = {_key(t): t for t in Try.objects.filter(airflow=airflow).select_related("verdict")}
    return Told(done.name, airflow, verdicts_of(airflow, judged), judged, tries)


def _key(t: Try) -> tuple[Any, ...]:
    return t.dag_id, t.run_id, t.task_id, t.map_index, t.try_number


def verdicts_of(airflow: Airflow, judged: Judged) -> list[dict[str, Any]]:
    """Lines of `manage.py verdicts`, in order of their key, with what the bench needs besides."""
    found = Verdict.objects.filter(try_row__airflow=airflow).select_related(
        "try_row__airflow", "endpoint", "f5_pool", "member"
    )
    order = ("try_row__dag_id", "try_row__run_id", "try_row__task_id", "try_row__map_index", "try_row__try_number")
    out = []
    for v in found.prefetch_related("evidence", "f5_pool__members").order_by(*order):
        cited = list(v.evidence.all())
        facts = judged[v.try_row_id][0] if v.try_row_id in judged else None
        out.append(
            as_json(v)
            | {
                "rule": v.rule,
                "component_kind": v.component_kind,
                "kinds": [e.kind for e in cited],
                "link": next((e.link for e in cited if e.kind == "request"), ""),
                "uncovered": facts is not None and bool(facts.coverage.gap),
                "addresses": _addresses(v),
            }
        )
    return out


def _addresses(v: Verdict) -> list[str]:
    """Of the verdict's virtual server and of its pool's members: some messages name nothing else."""
    members = v.f5_pool.members.all() if v.f5_pool else ()
    return sorted({one.address for one in (v.endpoint, *members) if one is not None and one.address})


def span(t: Try) -> tuple[datetime, datetime]:
    """From when a try was wanted to its end."""
    end = t.end_at or t.start_at or t.queued_at
    assert end is not None
    return min(filter(None, (t.scheduled_at, t.queued_at, t.start_at, end))), end


def outside(t: Try, meta: Mapping[str, Any]) -> bool:
    """Whether F5's log is said to be incomplete in a part of this try's time: a capture may end, or begin, in it."""
    said = (meta.get("feeds") or {}).get("f5") or {}
    lo, hi = (times.instant(str(said.get(name))) for name in ("complete_from", "complete_to"))
    if not (t.end_at or t.start_at or t.queued_at):
        return False
    start, end = span(t)
    return (lo is not None and start < lo - SECOND) or (hi is not None and end > hi + SECOND)


def calls() -> list[Call]:
    """Every request of this database; keys are those of UUID and header only."""
    tries = dict(TryKey.objects.exclude(try_row=None).values_list("pk", "try_row_id"))
    rows = Request.objects.order_by("ts", "line_id").values_list(
        "ts", "endpoint_id", "outcome", "response_us", "method", "path_id", "try_key_id"
    )
    return [
        Call(
            ts.timestamp(), endpoint, outcome in (Outcome.SERVER_ERROR, Outcome.UNANSWERED), (took or 0) / 1e6,
            f"{method} {path}", tries.get(key),
        )
        for ts, endpoint, outcome, took, method, path, key in rows.iterator(chunk_size=20_000)
    ]  # fmt: skip


def ended(told: Told) -> list[Ended]:
    """Every try that ended."""
    return [
        Ended(key, t.pk, t.end_at.timestamp(), t.hostname, t.state == "failed")
        for key, t in told.tries.items()
        if t.end_at is not None
    ]


BEFORE, AFTER = timedelta(seconds=30), timedelta(seconds=90)  # of a fault, in which the device speaks of it


def lines_about(folder: Path, truth: Mapping[str, Any]) -> dict[str, int]:
    """By fault how many lines of ltm.log name its virtual server, pool or members, or come of its device, while it acts.

    Each is a line of an alert, or a trap. What names an object by its address alone is not counted.
    """
    path = folder / "f5" / "ltm.log"
    if not path.exists():
        return {}
    found = [line.split(" ", 1) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = [(datetime.fromisoformat(at.replace("Z", "+00:00")), text) for at, text in found]
    out = {}
    for fault in truth["faults"]:
        named = [fault.get("endpoint"), fault.get("f5_pool"), *(fault.get("members") or ())]
        names = {fault.get("component")} if fault.get("component_kind") == "device" else set(named)
        lo, hi = (datetime.fromisoformat(fault[edge].replace("Z", "+00:00")) for edge in ("start", "end"))
        spoken = [text for at, text in said if lo - BEFORE <= at <= hi + AFTER]
        out[fault["id"]] = sum(any(name and _names(text, name) for name in names) for text in spoken)
    return out


def _names(text: str, name: str) -> bool:
    """Whether a line names this object, and not one whose name only begins like it."""
    after = text.partition(name)[2]
    return name in text and not (after[:1].isalnum() or after[:1] == "_")
