"""A source that is pushed to, with its token, and a spool of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.models import Feed
from ingest.push import tokens, view
from ingest.push.spool import Writer
from tests.pushing import configure


@pytest.fixture
def spool(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.AIRF5_SPOOL_DIR = tmp_path
    monkeypatch.setattr(view, "writer", Writer())
    for rate in (view.pushes, view.failures):
        rate.clear()
    view.pushers.forget()
    return tmp_path


@pytest.fixture
def feed(spool: Path) -> Feed:
    return configure(spool)


@pytest.fixture
def token(feed: Feed) -> str:
    value = tokens.create(feed, "test")
    view.pushers.forget()
    return value
