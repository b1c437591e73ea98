"""manage.py secrets: which sealed secrets of sources there are, and a new key for them."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from airf5 import keyring
from ingest.models import SourceSecret
from ingest.setup import source_secrets
from ingest.sources.http import SourceRefused


class Command(BaseCommand):
    help = "List the sealed secrets of sources and whether they open, or seal them with a new key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=("list", "rotate"))
        parser.add_argument("--keep-old", action="store_true", help="rotate: keep the old keys, for old backups")

    def handle(self, *args: Any, what: str, keep_old: bool, **options: Any) -> None:
        try:
            self._list() if what == "list" else self._rotate(keep_old)
        except keyring.KeyringError as error:
            raise CommandError(str(error)) from error

    def _list(self) -> None:
        ring = keyring.load()
        used = Counter(SourceSecret.objects.values_list("key_id", flat=True))
        where = keyring.kept_in() or keyring.VARIABLE
        self.stdout.write(f"{len(ring)} keys in {where}, the newest first.")
        for key in ring:
            self.stdout.write(f"  key {key.ident}: {used.pop(key.ident, 0)} secrets")
        for ident, count in used.items():
            self.stdout.write(f"  key {ident}: {count} secrets, but the key is missing")
        broken = 0
        for row in SourceSecret.objects.select_related("feed").order_by("feed__name", "field"):
            try:
                source_secrets.of(row.feed, row.field)
                state = "opens"
            except SourceRefused as error:
                broken, state = broken + 1, error.sentence
            self.stdout.write(f"{row.feed.name} {row.field}, set {row.set_at:%Y-%m-%d} by {row.set_by}: {state}")
        if broken:
            raise CommandError(f"{broken} secrets do not open.")

    def _rotate(self, keep_old: bool) -> None:
        done = source_secrets.rotate("secrets rotate", keep_old=keep_old)
        self.stdout.write(f"{done.sealed} secrets are sealed with key {done.key_id} now.")
        if done.dropped:
            self.stdout.write(f"Dropped what none needs any more: {', '.join(done.dropped)}.")
        if done.broken:
            raise CommandError(f"These do not open and have to be given again: {', '.join(done.broken)}.")
