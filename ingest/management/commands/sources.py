"""manage.py sources: make the sources as a YAML or JSON file lists them."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ingest.setup import source_file, source_setup
from ingest.setup.source_secrets import SEALED


class Command(BaseCommand):
    help = "Create and change the sources that a YAML or JSON file lists; what it does not list is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: AIRF5_SOURCES_FILE")
        parser.add_argument("--check", action="store_true", help="say what would be done and change nothing")
        parser.add_argument(
            "--print", action="store_true", dest="show", help="print what is set up as such a file, in YAML"
        )

    def handle(self, *args: Any, file: Path | None, check: bool, show: bool, **options: Any) -> None:
        if show:
            self._print()
            return
        file = file or (Path(settings.AIRF5_SOURCES_FILE) if settings.AIRF5_SOURCES_FILE else None)
        spool, listed = Path(settings.AIRF5_SPOOL_DIR), settings.AIRF5_SOURCES
        if file is None and not listed:
            self.stdout.write("There is no sources file: AIRF5_SOURCES_FILE is not set, and nor is AIRF5_SOURCES.")
            return
        where = str(file or "AIRF5_SOURCES")
        try:
            sources = source_file.read(file, spool) if file else source_file.parse(listed, where, spool)
            told = source_file.apply(sources, check=check)
        except source_file.SourcesError as error:
            raise CommandError(str(error), returncode=2) from error
        for one in told:
            self.stdout.write(f"{one.name}: {'would be ' if check and one.what != 'unchanged' else ''}{one.what}")
        done = sum(one.what != "unchanged" for one in told)
        verb = "checked, nothing was changed" if check else f"{done} created, changed or stopped"
        self.stdout.write(f"{where}: {len(told)} sources, {verb}.")

    def _print(self) -> None:
        """Every source as its entry. A sealed secret cannot be printed: a comment says which reference is to be named."""
        for kind in source_file.KINDS:
            for owner in source_setup.owners(kind):
                entry = source_setup.entry_of(owner)
                sealed = [name for name, value in entry.items() if value == SEALED]
                told = {name: value for name, value in entry.items() if name not in sealed}
                self.stdout.write(yaml.safe_dump([told], sort_keys=False, allow_unicode=True), ending="")
                for name in sealed:
                    self.stdout.write(f"  # {name}: is sealed; name env:NAME or file:/path here")
