"""`manage.py replay DIR`: ingest one capture folder."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest import replay
from ingest.capture import CaptureError


class Command(BaseCommand):
    help = "Ingest one capture folder through the real parsers and stores. The same folder twice reads nothing twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="a capture: meta.json, airflow/, f5/")
        parser.add_argument(
            "--shift-to-now", action="store_true", help="move all its times so that it ends now; a capture of its own"
        )
        parser.add_argument("--wait", action="store_true", help="close its feeds and return when all of it is judged")

    def handle(self, *args: Any, folder: Path, shift_to_now: bool, wait: bool, **options: Any) -> None:
        try:
            told = replay.replay(folder, shift_to_now=shift_to_now, wait=wait)
        except CaptureError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(summary(told))


def summary(told: replay.Told) -> str:
    """What was done, in a few lines."""
    counts = told.counts
    lines = [
        f"{told.name}: {counts.read} lines and items read in {told.seconds:.1f} s: {counts.rows} stored, "
        f"{counts.halves} waiting for their other half, {counts.repeated} repeated, {len(counts.rejects)} rejected"
    ]
    lines += [f"  rejected: {one.reason}" for one in counts.rejects[:5]]
    if told.verdicts:
        shares = ", ".join(f"{number} {culprit}" for culprit, number in sorted(told.verdicts.items()))
        open_ones = f"; {told.provisional} of them provisional" if told.provisional else ""
        lines.append(f"  verdicts of {told.airflow}: {shares}{open_ones}")
    return "\n".join(lines)
