"""Does a verdict rest on what it cites? Every cited row must be in the capture, on the try's path and in its time; and
without the rows that it cites the answer must be another (pure: captures, facts and rules, no database)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ingest.capture import Capture
from ingest.rules import judge
from ingest.rules.facts import Change, Facts, Finding, Health, Proof, Request

from .score import UNKNOWN, short

EARLY = {  # how long before a try's start a row can speak of it
    "request": timedelta(minutes=5),
    "health_event": timedelta(hours=6),  # the state of a member lasts
    "user_action": timedelta(hours=1),
    "task_log": timedelta(minutes=5),
}
LATE = timedelta(minutes=2)
SKEW = timedelta(seconds=125)  # clocks may be off by two minutes (VERDICTS 3.4)
DEVICE_WIDE = ("device",)
OUR_WORDS = ("The log ends here:",)  # what the parser says of a log that says nothing
_WORD = re.compile(r"\w+")
_OBJECT = re.compile(r"(?<![\w.:/])/[\w.-]+/[\w.:%-]+")  # the full path of an object of the device
_RECEIVED = re.compile(r"^\S+ \S+ ")


@dataclass(slots=True)
class Grounds:
    """Counts over verdicts; `wrong` holds (key, what is wrong, the row)."""

    verdicts: int = 0  # that cite rows, or name somebody
    rows: int = 0
    grounded: int = 0  # verdicts of which all rows are there, on the path and in the window
    missing: int = 0
    off_path: int = 0
    out_of_time: int = 0
    bare: int = 0  # verdicts that name somebody and cite nothing
    dropped: int = 0  # verdicts that name somebody, judged again without what they cite
    changed: int = 0
    steady: int = 0  # judged again with the same facts: the same finding
    wrong: list[tuple[Any, str, str]] = field(default_factory=list)

    def add(self, other: Grounds) -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Source:
    """All that a capture holds, to look cited rows up in."""

    def __init__(self, capture: Capture) -> None:
        self.lines: set[str] = set()
        for content in capture.f5.values():
            for line in content.decode("utf-8", "replace").splitlines():
                self.lines.update((line, _RECEIVED.sub("", line, count=1)))
        self.events = {_canonical(item) for item in capture.airflow.get("eventLogs") or ()}
        # Airflow 2 answers a log as the repr of a list: its line ends are two characters
        self.logs = {
            _log_key(item): "\n".join(_strings(item)).replace("\\n", "\n").replace("\\'", "'")
            for item in capture.task_logs
        }

        self.tries: dict[tuple[Any, ...], list[Any]] = {}
        for name in ("tries", "taskInstances"):
            for item in capture.airflow.get(name) or ():
                key = (item["dag_id"], item["dag_run_id"], item["task_id"], item["map_index"], item["try_number"])
                self.tries.setdefault(key, []).append(_times(item))
        for seen in capture.seen:
            item = seen["ti"]
            key = (item["dag_id"], item["dag_run_id"], item["task_id"], item["map_index"], item["try_number"])
            self.tries.setdefault(key, []).append(_times(item))

    def holds(self, kind: str, raw: str, key: Sequence[Any]) -> bool:
        """Whether this cited row is one of the capture's."""
        if kind == "task_instance":
            return _times(json.loads(raw)) in self.tries.get(tuple(key), ())
        if kind == "task_log":
            return self._in_log(raw, self.logs.get(tuple(key), ""))
        if raw.startswith("{"):
            try:
                return _canonical(json.loads(raw)) in self.events
            except ValueError:
                return False
        return bool(raw) and all(line in self.lines for line in raw.split("\n"))

    @staticmethod
    def _in_log(raw: str, text: str) -> bool:
        """Each line of what is cited stands in the log, or all its words do: "ValueError: no rows" is two fields there."""
        if not text:
            return False
        known = set(_WORD.findall(text))
        cited = (line.strip() for line in raw.split("\n") if not line.startswith(OUR_WORDS))
        return all(line in text or known.issuperset(_WORD.findall(line.rstrip("…"))) for line in cited)


def _times(item: Mapping[str, Any]) -> tuple[datetime | None, ...]:
    """Queued, started and ended, as Airflow tells it."""
    told = (item.get(name) for name in ("queued_when", "start_date", "end_date"))
    return tuple(datetime.fromisoformat(at.replace("Z", "+00:00")) if at else None for at in told)


def _canonical(item: Any) -> str:
    return json.dumps(item, sort_keys=True)


def _log_key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(item[name] for name in ("dag_id", "run_id", "task_id", "map_index", "try_number"))


def _strings(value: Any) -> Iterable[str]:
    """Every text in a value, with its keys in words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name.replace("_", " ")
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
    elif value is not None:
        yield str(value)


def check(
    verdict: Mapping[str, Any], key: Sequence[Any], span: tuple[datetime, datetime], source: Source, out: Grounds
) -> None:
    """Count one verdict's cited rows. `verdict`: a line of `manage.py verdicts` with `kinds` of its evidence."""
    cited = list(zip(verdict["kinds"], verdict["evidence"], strict=True))
    if not cited:
        if verdict["culprit"] != UNKNOWN:
            out.verdicts, out.bare = out.verdicts + 1, out.bare + 1
            out.wrong.append((key, "cites nothing", verdict["cause"]))
        return
    out.verdicts += 1
    well = True
    for kind, row in cited:
        out.rows += 1
        for name, fine in (
            ("missing", source.holds(kind, row["raw"], key)),
            ("off_path", _on_path(kind, row["raw"], verdict)),
            ("out_of_time", _in_time(kind, row["at"], span)),
        ):
            if not fine:
                well = False
                setattr(out, name, getattr(out, name) + 1)
                out.wrong.append((key, name, row["raw"][:300]))
    out.grounded += well


def _on_path(kind: str, raw: str, verdict: Mapping[str, Any]) -> bool:
    """The row names the virtual server, pool, member or device of the verdict, by name or address, or the try itself."""
    if kind in ("task_log", "job", "task_instance"):
        return True  # looked up in the try's own log, or a process of its Airflow
    if kind == "health_event" and verdict.get("component_kind") in DEVICE_WIDE:
        return True
    names = {verdict.get(name) for name in ("endpoint", "f5_pool", "member", "component", "ti_id")}
    names |= {verdict["dag_id"]} if kind != "health_event" else set()
    member = short(verdict.get("member") or "")
    names.add(member.rpartition(":")[0])  # a node is named without the port
    text = raw.lower()
    wanted = [short(name) for name in names if name] + list(verdict.get("addresses", ()))
    if any(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) for name in wanted if name):
        return True
    # That others reached it well is said of a virtual server that the try itself never reached, and an iRule has no column
    sentence = verdict.get("sentence", "").lower()
    return any(short(name) in sentence for name in _OBJECT.findall(text))


def _in_time(kind: str, at: str | None, span: tuple[datetime, datetime]) -> bool:
    if at is None:
        return kind == "job"
    moment = datetime.fromisoformat(at)
    return span[0] - EARLY.get(kind, LATE) - SKEW <= moment <= span[1] + LATE + SKEW


# Judged again without what is cited


def drop(facts: Facts, finding: Finding, out: Grounds) -> bool | None:
    """Whether the answer changes once the rows it cites are taken out of the facts; None: it names nobody."""
    out.steady += judge(facts) == finding
    if finding.cause in ("undecided", "no_data", "no_f5_path"):
        return None
    out.dropped += 1
    other = judge(without(facts, finding.proofs))
    changed = (other.cause, other.component) != (finding.cause, finding.component)
    out.changed += changed
    return changed


def without(facts: Facts, proofs: Iterable[Proof]) -> Facts:
    """The facts as if these rows had not been logged."""
    cited = list(proofs)
    ids = {p.line_id for p in cited if p.line_id is not None}
    raws = {(p.at, p.raw) for p in cited if p.line_id is None}

    def stays(row: Request | Health | Change) -> bool:
        return row.line_id not in ids if row.line_id is not None else (row.at, row.raw) not in raws

    def kept(rows: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(filter(stays, rows))

    routes = {
        pk: replace(r, near=kept(r.near), before=kept(r.before), health=kept(r.health), changes=kept(r.changes))
        for pk, r in facts.routes.items()
    }
    candidates = tuple(c for c in facts.candidates if stays(c.request))
    log = None if any(p.kind == "task_log" for p in cited) else facts.log
    told = not any(p.kind == "task_instance" for p in cited)
    attempt = facts.attempt if told else replace(facts.attempt, queued_at=None, start_at=None)
    return replace(
        facts,
        attempt=attempt,
        log=log,
        requests=kept(facts.requests),
        candidates=candidates,
        routes=routes,
        events=kept(facts.events),
    )
