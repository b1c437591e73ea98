"""`manage.py rejects replay [FEED …] [--reason TEXT]`: read unreadable lines again, after a mend; `list` shows them by reason."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db.models import Count

from ingest import actions
from ingest.models import Feed, Reject

ACTOR = "manage.py"


class Command(BaseCommand):
    help = "List the lines that could not be read, by reason, or read them again after a mend."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=("list", "replay"))
        parser.add_argument(
            "feeds", nargs="*", metavar="FEED", help="names of feeds; all that have such lines by default"
        )
        parser.add_argument("--reason", default="", help="only lines that were rejected for exactly this reason")

    def handle(self, *args: Any, **options: Any) -> None:
        feeds = self._feeds(options["feeds"])
        if options["what"] == "list":
            return self._list(feeds, options["reason"])
        for feed in feeds:
            while True:
                try:
                    told = actions.replay_rejects(feed.pk, ACTOR, options["reason"])
                except actions.Refused as error:
                    raise CommandError(str(error)) from error
                self.stdout.write(f"{feed.name}: {told.sentence}")
                if told.read == told.still:  # nothing more can be gained
                    break
        if not feeds:
            self.stdout.write("There is no line that could not be read.")
        return None

    def _feeds(self, names: list[str]) -> list[Feed]:
        if not names:
            return list(Feed.objects.filter(rejects__isnull=False).distinct().order_by("name"))
        found = {feed.name: feed for feed in Feed.objects.filter(name__in=names)}
        if missing := [name for name in names if name not in found]:
            raise CommandError(f"There is no source {', '.join(missing)}.", returncode=2)
        return [found[name] for name in dict.fromkeys(names)]

    def _list(self, feeds: list[Feed], reason: str) -> None:
        rows = Reject.objects.filter(feed__in=feeds)
        if reason:
            rows = rows.filter(reason=reason)
        for name, why, count in (
            rows.values("feed__name", "reason").annotate(n=Count("id")).order_by("feed__name", "-n")
            .values_list("feed__name", "reason", "n")
        ):  # fmt: skip
            self.stdout.write(f"{name}\t{count}\t{why}")
