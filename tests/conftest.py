"""What all tests share: the embedded PostgreSQL of the run, started by the first test that asks for the database."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airf5 import embedded

NEED_DATABASE = ("db", "web")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder says what a test needs: db and web have the database, but for what is marked `own_services`."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if folder in NEED_DATABASE and not any(map(item.get_closest_marker, ("django_db", "own_services"))):
            item.add_marker(pytest.mark.django_db)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Asked for by pytest-django before the first connection of the run; unit tests never come here."""
    embedded.ensure(durable=False)


@pytest.fixture(scope="session", autouse=True)
def _own_home() -> Iterator[None]:
    yield
    embedded.stop()
    shutil.rmtree(os.environ["AIRF5_HOME"], ignore_errors=True)
