#!/usr/bin/env python
"""Django's command line. Commands that need the embedded database or broker start it first, or join it."""

from __future__ import annotations

import os
import sys

NEED_NO_SERVICE = {
    "", "check", "collectstatic", "compilemessages", "diffsettings", "f5config", "findstatic", "help", "makemessages",
    "makemigrations", "parse", "receive", "spectacular", "startapp", "testserver", "version",
}  # fmt: skip
NEED_TABLES = {
    "replay", "rejudge", "verdicts", "incidents", "demo", "runserver", "token", "doctor", "audit", "sources",
    "secrets", "createsuperuser",
}  # fmt: skip
NEED_BROKER = {"demo"}


def main(argv: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airf5.settings")
    command = argv[1] if len(argv) > 1 else ""
    asks_only = command.startswith("-") or not {"-h", "--help", "--version"}.isdisjoint(argv)
    if command not in NEED_NO_SERVICE and not asks_only:
        start_services(command)
    from django.core.management import execute_from_command_line

    execute_from_command_line(argv)


def start_services(command: str) -> None:
    """Have the services, and for our own embedded database also the tables."""
    import django

    from airf5 import embedded, env

    try:
        embedded.ensure(broker=command in NEED_BROKER)
    except embedded.EmbeddedError as error:
        sys.exit(f"airf5: {error}")
    if command in NEED_TABLES and not env.text("DATABASE_URL"):
        django.setup()
        embedded.migrate_if_needed()


if __name__ == "__main__":
    main(sys.argv)
