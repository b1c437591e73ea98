"""A database of the bench's own in the embedded server (or the one of DATABASE_URL), migrated, dropped afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

NAME = "airf5_bench"


@contextmanager
def bench_database() -> Iterator[None]:
    """Django is set up and speaks to the bench's database inside."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from airf5 import embedded

    embedded.ensure()
    home = connection.settings_dict["NAME"]
    _create_or_drop(create=True)
    connection.close()
    connection.settings_dict["NAME"] = NAME
    try:
        call_command("migrate", verbosity=0, interactive=False)
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = home
        _create_or_drop(create=False)
        connection.close()
        embedded.stop()


def _create_or_drop(create: bool) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        if create:
            cursor.execute(f"CREATE DATABASE {NAME}")
