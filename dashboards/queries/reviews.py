"""What became of a verdict: the answers before it, what changed them, and what people said of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airf5.accounts.roles import Scope
from dashboards.queries import narrow
from dashboards.queries.database import reading
from dashboards.queries.rows import EvidenceRow, ReviewRow
from dashboards.queries.try_rows import cause_name, review_row
from ingest import models
from ingest.models import VerdictHistory

ANSWER = ("status", "culprit", "cause", "component", "requests", "waiting_for", "rule", "rule_version")


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer as far as a change of it is told."""

    status: str
    culprit: str
    cause: str
    cause_name: str
    component: str
    rule: str
    rule_version: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One change of an answer: what it was, what it became, and the rows that came or went with it."""

    replaced_at: datetime
    answer: dict[str, Any]  # all that was said before
    was: AnswerRow
    became: AnswerRow | None  # None: no verdict was due any more
    why: str
    came: tuple[EvidenceRow, ...]  # rows that only the new answer rests on
    went: tuple[EvidenceRow, ...]  # rows that only the old one rested on
    requests: int  # how many more requests of the try were known
    arrived: tuple[str, ...]  # what the old one waited for and the new one does not


@reading()
def of_try(try_id: int, scope: Scope) -> tuple[ReviewRow, ...] | None:
    """None: there is no such try."""
    found = models.Try.objects.filter(narrow.in_scope(scope), id=try_id).select_related("verdict").first()
    return None if found is None else reviews(try_id, getattr(found, "verdict", None))


def reviews(try_id: int, verdict: Any | None) -> tuple[ReviewRow, ...]:
    found = models.Review.objects.filter(try_row_id=try_id).order_by("-at", "-id")
    return tuple(review_row(one, verdict) for one in found)


def history(try_id: int, verdict: Any | None, evidence: Sequence[EvidenceRow]) -> tuple[HistoryRow, ...]:
    """The changes of a try's answer, oldest first; each became the one after it, the last what the verdict says now."""
    found = list(VerdictHistory.objects.filter(try_row_id=try_id).order_by("replaced_at", "id"))
    if not found:
        return ()
    later: list[tuple[dict[str, Any] | None, Sequence[EvidenceRow]]] = [
        (old.answer, _kept(old.evidence)) for old in found[1:]
    ]
    later.append((_of(verdict), evidence) if verdict else (None, ()))
    return tuple(_change(old, *then) for old, then in zip(found, later, strict=True))


def _change(old: Any, became: dict[str, Any] | None, rows: Sequence[EvidenceRow]) -> HistoryRow:
    if old.why == VerdictHistory.NOT_DUE:
        became, rows = None, ()
    kept = _kept(old.evidence)
    before, after = {_fact(row) for row in kept}, {_fact(row) for row in rows}
    waited = [str(word) for word in old.answer.get("waiting_for", ())]
    waits = became.get("waiting_for", ()) if became else ()
    return HistoryRow(
        replaced_at=old.replaced_at, answer=old.answer, was=_answer(old.answer),
        became=_answer(became) if became is not None else None, why=old.why,
        came=tuple(row for row in rows if _fact(row) not in before),
        went=tuple(row for row in kept if _fact(row) not in after) if became is not None else (),
        requests=became.get("requests", 0) - old.answer.get("requests", 0) if became is not None else 0,
        arrived=tuple(word for word in waited if word not in waits) if became is not None else (),
    )  # fmt: skip


def _fact(row: EvidenceRow) -> tuple[Any, ...]:
    """A row of evidence by what it is, and not by the words of the rule that cites it."""
    return row.kind, row.line_id, row.at, row.raw


def _of(verdict: Any) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in ANSWER}


def _answer(answer: dict[str, Any]) -> AnswerRow:
    given = {name: str(answer.get(name, "")) for name in ANSWER}
    return AnswerRow(
        status=given["status"], culprit=given["culprit"], cause=given["cause"], cause_name=cause_name(given["cause"]),
        component=given["component"], rule=given["rule"], rule_version=given["rule_version"],
    )  # fmt: skip


def _kept(rows: Sequence[dict[str, Any]]) -> list[EvidenceRow]:
    return [
        EvidenceRow(
            position=n, feed=row["feed"], kind=row["kind"], line_id=row["line_id"],
            at=datetime.fromisoformat(row["at"]) if row["at"] else None, link=row["link"], says=row["says"],
            raw=row["raw"],
        )
        for n, row in enumerate(rows)
    ]  # fmt: skip
