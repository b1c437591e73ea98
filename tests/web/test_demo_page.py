"""The page with the button is there while a demo runs, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from airf5.demo import laps


def test_without_a_demo_there_is_no_page_and_no_word_of_it(admin_client: Client) -> None:
    assert admin_client.get("/demo/").status_code == 404
    assert admin_client.post("/demo/start/").status_code == 404
    assert b"repeated recording" not in admin_client.get("/incidents/").content


def test_in_a_demo_every_page_says_so_and_the_button_starts_a_lap(
    admin_client: Client, tmp_path: Path, settings: pytest.FixtureRequest
) -> None:
    settings.AIRF5_HOME = tmp_path  # type: ignore[attr-defined]
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "laps.json").write_text('{"epoch": "2026-11-24T10:00:00+00:00", "laps": []}')
    assert b"a repeated recording" in admin_client.get("/incidents/").content
    assert b"Break something now" in admin_client.get("/demo/").content
    assert admin_client.post("/demo/start/").status_code == 302
    assert b"The faults began at" in admin_client.get("/demo/").content
    assert laps.told(tmp_path)
    assert Client().get("/demo/").status_code == 302, "a stranger is sent to the login"
