"""`manage.py receive`: the syslog and HSL receiver."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ingest.receive import serve


class Command(BaseCommand):
    help = "Receive F5's syslog and HSL on TCP and UDP, and write the files that the workers follow."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", default=settings.AIRF5_SYSLOG_BIND, help="address to listen on")
        parser.add_argument("--port", type=int, default=settings.AIRF5_SYSLOG_PORT, help="port, TCP and UDP")
        parser.add_argument("--spool", type=Path, default=settings.AIRF5_SPOOL_DIR, help="where to write")

    def handle(self, *args: Any, bind: str, port: int, spool: Path, **options: Any) -> None:
        try:
            asyncio.run(serve(Path(spool), bind, port))
        except OSError as error:
            raise CommandError(f"Cannot listen on {bind}:{port}: {error.strerror}.") from error
