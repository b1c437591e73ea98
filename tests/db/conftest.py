"""What tests of a device read over iControl REST share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingest import icontrol_feed
from tests.icontrol import PASSWORD
from tests.icontrol_feed import World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("BIGIP_PASSWORD", PASSWORD)
    yield World()
    icontrol_feed.close_all()
