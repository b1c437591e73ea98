"""manage.py sources: make the sources as a JSON file lists them."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ingest import source_file


class Command(BaseCommand):
    help = "Create and change the sources that a JSON file lists; what it does not list is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: AIRF5_SOURCES_FILE")
        parser.add_argument("--check", action="store_true", help="say what would be done and change nothing")

    def handle(self, *args: Any, file: Path | None, check: bool, **options: Any) -> None:
        file = file or (Path(settings.AIRF5_SOURCES_FILE) if settings.AIRF5_SOURCES_FILE else None)
        if file is None:
            self.stdout.write("There is no sources file: AIRF5_SOURCES_FILE is not set.")
            return
        try:
            told = source_file.apply(source_file.read(file, Path(settings.AIRF5_SPOOL_DIR)), check=check)
        except source_file.SourcesError as error:
            raise CommandError(str(error), returncode=2) from error
        for one in told:
            self.stdout.write(f"{one.name}: {'would be ' if check and one.what != 'unchanged' else ''}{one.what}")
        done = sum(one.what != "unchanged" for one in told)
        verb = "checked, nothing was changed" if check else f"{done} created or changed"
        self.stdout.write(f"{file}: {len(told)} sources, {verb}.")
