"""`manage.py telemetry-token DEVICE`: a token with which this device's Telemetry Streaming may push."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.models import Feed, PushToken
from ingest.push import tokens


class Command(BaseCommand):
    help = "Make a push token of a device and print its value, once, alone on standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("device", help="the name of the source, as in POST /ingest/telemetry/<name>")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--list", action="store_true", help="show the tokens that there are, without their values")
        which.add_argument("--revoke", action="store_true", help="end all its tokens")
        which.add_argument("--replace", action="store_true", help="make a new token and end all others")

    def handle(self, *args: Any, **options: Any) -> None:
        feed = _feed(options["device"])
        if options["list"]:
            for token in PushToken.objects.filter(feed=feed).order_by("pk"):
                state = f"revoked {token.revoked_at:%Y-%m-%d %H:%M}" if token.revoked_at else "usable"
                self.stdout.write(f"{token.prefix}…\t{token.created_at:%Y-%m-%d %H:%M}\t{state}")
            return
        if options["revoke"]:
            self.stdout.write(f"{tokens.revoke(feed, 'manage.py')} tokens of {options['device']} are revoked.")
            return
        value = tokens.create(feed, "manage.py")
        if options["replace"]:
            self.stderr.write(f"{tokens.revoke(feed, 'manage.py', keep=value)} older tokens are revoked.")
        self.stderr.write(f"Token with which {options['device']} may push to /ingest/telemetry/{options['device']}:")
        self.stdout.write(value)


def _feed(name: str) -> Feed:
    feeds = Feed.objects.filter(kind=Feed.Kind.F5_TELEMETRY, capture="")
    feed = feeds.filter(device__name=name).first() or feeds.filter(name=name).first()
    if feed is None:
        raise CommandError(f"There is no device {name} with telemetry: true in the sources.")
    return feed
