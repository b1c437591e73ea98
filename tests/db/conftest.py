"""What tests of sources share: a device read over iControl REST, the tables of an Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ingest import icontrol_feed
from tests.airflow_tables import Tables
from tests.icontrol import PASSWORD
from tests.icontrol_feed import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("BIGIP_PASSWORD", PASSWORD)
    yield World()
    icontrol_feed.close_all()


@pytest.fixture
def made() -> Iterator[Callable[[str], Tables]]:
    found: list[Tables] = []

    def make(version: str = "3.3.2") -> Tables:
        found.append(Tables(version))
        return found[-1]

    yield make
    for tables in found:
        tables.close()
