"""manage.py rejudge: judge history again with the rules of today, in the shade or in earnest, and say what differs."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from airf5.accounts import audit
from ingest import rejudging
from ingest.management.commands.verdicts import airflows_named
from ingest.models import Airflow
from ingest.rejudging import Difference

SHOWN = 20  # changed tries in the text form; the JSON form has all
ACTOR = "manage.py rejudge"


class Command(BaseCommand):
    help = (
        "Judge tries again with the rules of this version and print what differs. --dry-run writes nothing. Tries whose"
        " requests are expired are left as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--airflow", help="only this Airflow (a capture's Airflow is named capture/airflow)")
        parser.add_argument("--since", type=_moment, help="tries that ended then or later, as 2026-01-31T08:00:00Z")
        parser.add_argument("--until", type=_moment, help="tries that ended before this")
        parser.add_argument("--dry-run", action="store_true", help="in the shade: compare and write nothing")
        parser.add_argument(
            "--resume", action="store_true", help="leave out what these rules judged already: goes on after a stop"
        )
        parser.add_argument(
            "--format", choices=("text", "json"), default="text",
            help="json: one object a line for each try that changed, and one with the summary at the end",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        found = airflows_named(options["airflow"]) if options["airflow"] else list(Airflow.objects.order_by("name"))
        asked = rejudging.Asked(
            found, options["since"], options["until"], dry=options["dry_run"], again=not options["resume"]
        )
        self.as_json, self.shown, self.last = options["format"] == "json", 0, None
        try:
            made = rejudging.run(asked, timezone.now(), self._changed, self._progress)
        except KeyboardInterrupt:
            self.stderr.write(f"Stopped. {_go_on(asked.dry, self.last)}")
            raise
        if not asked.dry:
            detail = {name: value for name, value in summary(made).items() if isinstance(value, int | str)}
            audit.record(ACTOR, "rejudge", options["airflow"] or "all", detail)
        if self.as_json:
            self.stdout.write(json.dumps({"summary": summary(made) | {"dry_run": asked.dry}}, ensure_ascii=False))
            return
        if self.shown > SHOWN:
            self.stdout.write(f"  … and {self.shown - SHOWN:,} more; --format json prints each")
        for line in text(made, asked.dry):
            self.stdout.write(line)

    def _changed(self, row: dict[str, Any]) -> None:
        self.shown += 1
        if self.as_json:
            self.stdout.write(json.dumps(row, ensure_ascii=False))
        elif self.shown <= SHOWN:
            index = f"[{row['map_index']}]" if row["map_index"] >= 0 else ""
            where = f"{row['dag_id']} {row['run_id']} {row['task_id']}{index} try {row['try_number']}"
            self.stdout.write(f"  {where}: {_in_words(row['old'])} -> {_in_words(row['new'])}")

    def _progress(self, made: Difference, upto: datetime) -> None:
        self.last = upto
        changed = made.judged - made.unchanged
        self.stderr.write(f"{made.tries:,} tries up to {_iso(upto)}: {made.judged:,} judged, {changed:,} differ")


def _go_on(dry: bool, last: datetime | None) -> str:
    if dry:
        return f"Nothing was written. Go on with --since {_iso(last)}" if last else "Nothing was written."
    return "What was judged is saved; run it again with --resume to go on."


def summary(made: Difference) -> dict[str, Any]:
    """The counts as plain values; pairs are lists of {from, to, tries}, the most frequent first."""
    plain = {name: value for name, value in asdict(made).items() if not isinstance(value, Counter)}
    pairs = {name: list(_pairs(getattr(made, name))) for name in ("culprits", "causes", "rules")}
    return {
        **plain,
        "changed": made.judged - made.unchanged,
        "from_rules": dict(sorted(made.from_rules.items())),
        **pairs,
    }


def _pairs(counted: Counter[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    for (before, now), tries in sorted(counted.items(), key=lambda one: (-one[1], one[0])):
        yield {"from": before, "to": now, "tries": tries}


def text(made: Difference, dry: bool) -> Iterator[str]:
    """The difference for a person."""
    before = ", ".join(f"{n:,} by rules {version}" for version, n in sorted(made.from_rules.items())) or "none"
    yield f"{made.tries:,} tries ended in the time; {made.with_verdict:,} had a verdict ({before})."
    if made.expired:
        yield f"{made.expired:,} of them were left as they are: their requests are expired."
    changed = made.judged - made.unchanged
    verb = "would change" if dry else "changed"
    yield f"Rules {made.to_rules} judged {made.judged:,}: {changed:,} {verb}, {made.unchanged:,} stay" + (
        f" ({made.reworded:,} of them in other words)." if made.reworded else "."
    )
    yield f"The route: {made.newly_blamed:,} newly blamed, {made.newly_cleared:,} newly cleared."
    for name, title in (("culprits", "Culprits"), ("causes", "Causes"), ("rules", "Rules")):
        for n, pair in enumerate(_pairs(getattr(made, name))):
            yield f"{title if n == 0 else '':9} {pair['tries']:7,}  {pair['from']} -> {pair['to']}"
    if made.confirmed or made.overturned:
        yield (
            f"Reviews: {made.confirmed_changed:,} of {made.confirmed:,} confirmed answers {verb};"
            f" {made.overturned_agreed:,} of {made.overturned:,} overturned ones {'would now agree' if dry else 'agree now'}."
        )
    if dry:
        yield "Nothing was written."


def _in_words(answer: dict[str, Any] | None) -> str:
    return f"{answer['culprit']} {answer['cause']} {answer['component']}".strip() if answer else "no verdict"


def _moment(given: str) -> datetime:
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise ArgumentTypeError(f"{given!r} is no time; write 2026-01-31T08:00:00Z") from None
    if at.tzinfo is None:
        raise ArgumentTypeError(f"{given!r} has no time zone; write 2026-01-31T08:00:00Z")
    return at.astimezone(UTC)


def _iso(at: datetime | None) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else ""
