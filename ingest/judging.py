"""Judge what waits for a judgement: load facts, ask the rules, save the verdict with its evidence, keep what it replaces."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from airf5 import sql
from airf5.failpoints import failpoint
from ingest import rawlines, waiting
from ingest.correlate import TryRow, World, facts_of, load, read, world_of
from ingest.models import Airflow, Evidence, Feed, Gap, Try, Verdict, VerdictHistory
from ingest.records import Link
from ingest.rules import RULES_VERSION, bad, judge
from ingest.rules.causes import CAUSES
from ingest.rules.facts import Facts, Finding
from ingest.rules.split import Usual, where_it_went

BATCH = 500
SLOW_FACTOR, SLOW_EXTRA_S, SLOW_SAMPLES = 2.0, 10.0, 5  # DESIGN section 4
SETTLED = timedelta(seconds=5)  # lines of one device reach us out of order by less
MONITOR_WAIT = timedelta(seconds=38)  # a monitor may say why as late as this
ENDED = ("success", "failed")


def judge_pending(now: datetime, limit: int = BATCH) -> int:
    """Judge up to `limit` tries of each Airflow that changed or whose data has now arrived; returns how many were."""
    done = 0
    waits = Exists(Try.objects.filter(airflow=OuterRef("pk"), judge=True))
    for airflow in Airflow.objects.filter(waits).order_by("pk"):
        with transaction.atomic():
            # One worker judges one Airflow at a time: for another one nothing is due, and it comes back later
            if marks := waiting.due(airflow, limit):
                found = {t.pk: t for t in read(Try.objects.filter(pk__in=marks))}
                _settle(airflow, [found[pk] for pk in marks if pk in found], now, marks)
                done += len(found)
    return done


def pending(airflow_ids: Sequence[int]) -> int:
    """Tries of these Airflows that are not finally judged yet."""
    return Try.objects.filter(airflow__in=airflow_ids, judge=True, end_at__isnull=False).count()


def judge_again(airflow: Airflow, ids: Sequence[int], now: datetime) -> Answers:
    """Judge these tries with the rules of today, whatever they wait for, and save what came of it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", (waiting.LOCK, airflow.pk))
        found = read(Try.objects.filter(airflow=airflow, pk__in=ids, end_at__isnull=False).order_by("pk"))
        said = _settle(airflow, found, now)
        waits = [v.try_row_id for v in said.verdicts if v.status != Verdict.Status.FINAL]
        Try.objects.filter(pk__in=waits, judge=False).update(judge=True)
        return said


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """What the rules say of some tries; nothing of it is saved."""

    verdicts: list[Verdict]
    proofs: dict[int, Sequence[Any]]  # by try
    without: list[TryRow]  # read as ended, and neither failed nor slow: no verdict is due
    world: World | None = None


def answers(airflow: Airflow, found: Sequence[TryRow], now: datetime) -> Answers:
    """What the rules say now of tries of one Airflow; writes nothing."""
    tries = [t for t in found if t.state in ENDED and t.try_number >= 1]
    if not tries:
        return Answers([], {}, [])
    slow, medians = _slow(tries)
    judged = [t for t in tries if slow.get(t.pk) or (t.state == "failed" and (t.queued_at or t.start_at))]
    mine = {t.pk for t in judged}
    without = [t for t in tries if t.pk not in mine]
    return _answers(airflow, judged, without, slow, medians, now) if judged else Answers([], {}, without)


def _settle(
    airflow: Airflow, found: Sequence[TryRow], now: datetime, marks: Mapping[int, str] | None = None
) -> Answers:
    """Judge and save; the mark stays on what is not final."""
    said = answers(airflow, found, now)
    old = {t.pk: t.verdict for t in found if t.verdict is not None}
    _drop([t for t in said.without if t.pk in old], now)
    if said.world is not None:
        _save(said.verdicts, old, said.proofs, now, said.world)
        failpoint("judge.saved")
    waits = {v.try_row_id for v in said.verdicts if v.status != Verdict.Status.FINAL}
    _mark(found, {t.pk for t in found} - waits, marks)
    return said


def _drop(tries: Sequence[TryRow], now: datetime) -> None:
    """No verdict is due any more: what was said is kept as history."""
    if tries:
        _keep([(t.verdict, VerdictHistory.NOT_DUE) for t in tries if t.verdict], now)
        Verdict.objects.filter(try_row__in=[t.pk for t in tries]).delete()


def _mark(found: Sequence[TryRow], done: set[int], marks: Mapping[int, str] | None) -> None:
    """Take the mark from what is finally judged, but for tries that somebody changed since they were read."""
    parameters = {
        "tries": [t.pk for t in found], "versions": [t.version for t in found],
        "own": [t.own_s for t in found], "code": [t.code_s for t in found],
        "final": [t.pk in done for t in found], "marks": waiting.marks_of([t.pk for t in found], marks),
    }  # fmt: skip
    if found:
        load.rows("judged", **parameters)


def _slow(tries: Sequence[TryRow]) -> tuple[dict[int, bool], dict[int, tuple[int, float | None]]]:
    """Own and code times set; which tries succeeded slowly; (samples, median own time) of their tasks."""
    found = load.rows("own_seconds", **load.around_ends(tries))
    times = {row[0]: row for row in found}
    medians = {row[0]: (row[2], row[3]) for row in found}
    slow = {}
    for t in tries:
        _, t.own_s, _, _, t.code_s, *usual = times.get(t.pk, (t.pk, None, 0, None, None, 0, None))
        t.usual_code = Usual(*usual)
        samples, median = medians.get(t.pk, (0, None))
        if t.state == "success" and t.own_s is not None and median is not None and samples >= SLOW_SAMPLES:
            slow[t.pk] = t.own_s > SLOW_FACTOR * median and t.own_s > median + SLOW_EXTRA_S
    return slow, medians


def _answers(
    airflow: Airflow,
    tries: Sequence[TryRow],
    without: list[TryRow],
    slow: dict[int, bool],
    medians: dict[int, tuple[int, float | None]],
    now: datetime,
) -> Answers:
    world = world_of(airflow, min(t.span[0] for t in tries))
    found = facts_of(airflow, world, tries, slow, medians)
    marks = Watermarks(world)
    rows, proofs = [], {}
    for t, facts in zip(tries, found, strict=True):
        finding = judge(facts)
        waiting = marks.waiting_for(t, bool(bad.own_bad(facts) or facts.candidates))
        rows.append(_verdict(t, facts, finding, waiting, now, world))
        proofs[t.pk] = finding.proofs
    return Answers(rows, proofs, without, world)


class Watermarks:
    """How far the feeds of one scope are complete, and so what a verdict still waits for."""

    def __init__(self, world: World) -> None:
        self.airflow = world.airflow_feeds
        self.f5 = world.request_feeds()
        lasting = [g for g in world.gaps if g.end is None and g.kind != Gap.Kind.OTHER]
        self.lost_from = {g.feed_id: g.start for g in reversed(lasting)}

    def waiting_for(self, t: TryRow, failed_call: bool) -> list[str]:
        """What has not arrived yet, in words; a closed feed has said all it will."""
        assert t.end_at is not None
        out = []
        if any(
            f.state != Feed.State.CLOSED and (f.complete_to is None or f.complete_to < t.end_at) for f in self.airflow
        ):
            out.append("Airflow's answers up to the end of the try")
        if t.log_state == Try.LogState.WANTED and any(f.state != Feed.State.CLOSED for f in self.airflow):
            out.append("the task's log")
        until = t.end_at + (MONITOR_WAIT if failed_call else SETTLED)
        for feed in self.f5:
            if feed.pk in self.lost_from and self.lost_from[feed.pk] < until:
                continue  # what is lost will not arrive: the verdict says that it has no data
            if feed.state != Feed.State.CLOSED and (feed.complete_to is None or feed.complete_to < until):
                out.append(f"{feed.name} up to {until:%H:%M:%S}")
        return out


def _verdict(t: TryRow, facts: Facts, finding: Finding, waiting: list[str], now: datetime, world: World) -> Verdict:
    request, place = finding.request, finding.place
    endpoint_id = request.endpoint_id if request else (place.endpoint_id if place else None)
    return Verdict(
        try_row_id=t.pk,
        status=Verdict.Status.PROVISIONAL if waiting else Verdict.Status.FINAL,
        waiting_for=waiting,
        slow=facts.attempt.slow,
        culprit=CAUSES[finding.cause].culprit,
        cause=finding.cause,
        component_kind=finding.component_kind,
        component=finding.component[:300],
        sentence=finding.sentence,
        reasons=[{"for": speaks_for, "text": text} for speaks_for, text in finding.reasons],
        route_acquitted=finding.acquitted,
        confidence=finding.confidence,
        endpoint_id=endpoint_id,
        **_places(world, endpoint_id, finding),
        links=_links(facts, finding),
        candidates=finding.candidates,
        bad_at=request.at if request else (facts.attempt.over_at if place else None),
        absorbed=len(bad.absorbed(facts)),
        requests=len(facts.requests),
        split=where_it_went(facts, t.scheduled_at, t.usual_code),
        rule=finding.rule,
        rule_version=RULES_VERSION,
        judged_at=now,
    )


def _places(world: World, endpoint_id: int | None, finding: Finding) -> dict[str, int | None]:
    """The columns of a verdict that point at the F5 pool and the member that the finding names."""
    pool = member = None
    where = finding.request or finding.place
    if endpoint_id in world.endpoints and where is not None:
        pool = world.pools.get((world.endpoints[endpoint_id].group_id, where.f5_pool))
        name = finding.component if finding.component_kind == "member" else getattr(where, "member", "")
        member = world.members.get((pool, name)) if pool else None
    return {"f5_pool_id": pool, "member_id": member}


def _links(facts: Facts, finding: Finding) -> dict[str, int]:
    out: dict[str, int] = {}
    requests = list(facts.requests)
    if finding.request is not None and all(finding.request.line_id != r.line_id for r in requests):
        kinds = {c.request.line_id: c.link for c in facts.candidates}
        requests.append(
            dataclasses.replace(finding.request, link=kinds.get(finding.request.line_id, finding.request.link))
        )
    for r in requests:
        name = Link(r.link).name.lower()
        out[name] = out.get(name, 0) + 1
    return dict(sorted(out.items()))


# Saving

ANSWER = (
    "status", "waiting_for", "slow", "culprit", "cause", "component_kind", "component", "sentence", "reasons", "route_acquitted",
    "confidence", "endpoint_id", "f5_pool_id", "member_id", "links", "candidates", "bad_at", "absorbed",
    "requests", "split", "rule", "rule_version",
)  # fmt: skip
MATTERS = ("culprit", "cause", "component", "route_acquitted", "status")
EVIDENCE = ("feed", "kind", "line_id", "at", "link", "says", "raw")


def _save(
    rows: Sequence[Verdict], old: dict[int, Verdict], proofs: dict[int, Sequence[Any]], now: datetime, world: World
) -> None:
    """New answers in, replaced ones kept; an answer that did not change is left alone but for its time."""
    changed = [r for r in rows if r.try_row_id not in old or _differs(old[r.try_row_id], r)]
    replaced = [(old[r.try_row_id], r) for r in changed if r.try_row_id in old]
    _keep([(was, _why(was, r)) for was, r in replaced if _matters(was, r)], now)
    names = ("try_row_id", *ANSWER, "judged_at")
    ids = _write("save_verdicts", [{name: getattr(r, name) for name in names} for r in rows], names)
    _save_evidence({r.try_row_id: ids[r.try_row_id] for r in changed}, proofs, world)


def _keep(replaced: Sequence[tuple[Verdict, str]], now: datetime) -> None:
    """Answers that go, with the rows they rested on and why they go."""
    if not replaced:
        return
    rows: dict[int, list[dict[str, Any]]] = {was.pk: [] for was, _ in replaced}
    told = Evidence.objects.filter(verdict__in=rows).order_by("verdict", "position")
    for row in told.values("verdict_id", *EVIDENCE):
        rows[row.pop("verdict_id")].append({**row, "at": row["at"] and row["at"].isoformat()})
    VerdictHistory.objects.bulk_create(
        VerdictHistory(try_row_id=was.try_row_id, replaced_at=now, answer=_answer(was), evidence=rows[was.pk], why=why)
        for was, why in replaced
    )


def _write(name: str, rows: list[dict[str, Any]], names: Sequence[str]) -> dict[int, int]:
    """Insert or replace rows; their ids by try."""
    columns = ", ".join(names)
    changes = ", ".join(f"{column} = excluded.{column}" for column in names[1:])
    with connection.cursor() as cursor:
        statement = sql.load(name).format(columns=columns, changes=changes)
        cursor.execute(statement, {"rows": json.dumps(rows, default=datetime.isoformat)})
        return {try_id: pk for pk, try_id in cursor.fetchall()}


def _save_evidence(ids: dict[int, int], proofs: dict[int, Sequence[Any]], world: World) -> None:
    if not ids:
        return
    missing = rawlines.read((p.line_id for t in ids for p in proofs[t] if not p.raw and p.line_id), world.paths)
    rows = [
        {
            "verdict_id": pk, "position": i, "feed": p.feed, "kind": p.kind, "line_id": p.line_id,
            "at": p.at and p.at.isoformat(), "link": p.link, "says": p.says,
            "raw": p.raw or missing.get(p.line_id or 0, ""),
        }
        for try_id, pk in ids.items()
        for i, p in enumerate(proofs[try_id])
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(sql.load("save_evidence"), {"verdicts": list(ids.values()), "rows": json.dumps(rows)})


def _answer(v: Verdict) -> dict[str, Any]:
    """The answer alone: without ids of rows, judged time and incident."""
    out = {name: getattr(v, name) for name in ANSWER}
    out["bad_at"] = v.bad_at.isoformat() if v.bad_at else None
    return out


def _differs(old: Verdict, new: Verdict) -> bool:
    return _answer(old) != _answer(new)


def _matters(old: Verdict, new: Verdict) -> bool:
    """A changed waiting list alone is no new answer."""
    return any(getattr(old, name) != getattr(new, name) for name in MATTERS)


def _why(old: Verdict, new: Verdict) -> str:
    if old.rule_version != new.rule_version:
        return f"rules {new.rule_version} replaced rules {old.rule_version}"
    if (old.culprit, old.cause, old.component) != (new.culprit, new.cause, new.component):
        return f"late rows: {old.cause} became {new.cause}"
    if old.route_acquitted != new.route_acquitted:
        return f"late rows: the route is {'acquitted' if new.route_acquitted else 'no longer acquitted'}"
    return "all data arrived" if new.status == Verdict.Status.FINAL else "waits again for data"
