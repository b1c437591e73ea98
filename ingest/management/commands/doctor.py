"""manage.py doctor: everything checked from end to end, and what to do next; or one request followed hop by hop."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ingest import doctor
from ingest.doctor import loop_back
from ingest.doctor.findings import FAIL, Finding
from ingest.setup import checks

SIGNS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


class Command(BaseCommand):
    help = "Check everything from end to end and say what to do next. The exit status is 1 when something fails."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object")
        parser.add_argument("--loop-back", metavar="AIRFLOW", help="send one made-up request and follow it hop by hop")
        parser.add_argument("--through", default="", metavar="URL", help="where it is sent: a virtual server's address")
        parser.add_argument("--wait", type=float, default=loop_back.WAIT_S, metavar="SECONDS", help="for each hop")

    def handle(self, *args: Any, loop_back: str | None, through: str, wait: float, **options: Any) -> None:
        if through and not loop_back:
            raise CommandError("--through goes with --loop-back AIRFLOW.", returncode=2)
        try:
            found = checks.follow(loop_back, through, wait, "doctor") if loop_back else doctor.examine(timezone.now())
            told = self._as_json(found) if options["json"] else self._as_text(found)
        except checks.CheckRefused as error:
            raise CommandError(str(error), returncode=2) from error
        if doctor.worst(told) == FAIL:
            raise SystemExit(1)

    def _as_json(self, found: Iterable[Finding]) -> list[Finding]:
        told = list(found)
        body = {"worst": doctor.worst(told), "findings": [one.told() for one in told]}
        self.stdout.write(json.dumps(body, ensure_ascii=False, indent=1))
        return told

    def _as_text(self, found: Iterable[Finding]) -> list[Finding]:
        told, section = [], ""
        for one in found:
            if one.section != section:
                section = one.section
                self.stdout.write(f"\n{section}" if told else section)
            told.append(one)
            took = f" ({one.seconds:.2f} s)" if one.seconds is not None else ""
            self.stdout.write(f"  {SIGNS[one.level]} {one.subject}: {one.sentence}{took}")
            if one.todo:
                self.stdout.write(f"       → {one.todo}")
            self.stdout.flush()
        self.stdout.write(f"\n{doctor.counted(told)}.")
        return told
