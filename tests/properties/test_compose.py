"""The commands of docker-compose.yml can be run: Django knows them, and their modules can be imported."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

COMPOSE = yaml.safe_load((Path(__file__).resolve().parents[2] / "docker-compose.yml").read_text("utf-8"))
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("build") == "."}


@pytest.mark.parametrize("name", OURS)
def test_its_command_can_be_run(name: str) -> None:
    match OURS[name]["command"]:
        case ["sh", "-c", both]:
            for one in both.split(" && "):
                python, manage, command, *_ = one.split()
                assert (python, manage) == ("python", "manage.py") and command in get_commands()
        case ["python", "manage.py", command, *_]:
            assert command in get_commands()
        case ["gunicorn", module]:
            assert callable(importlib.import_module(module).application)
        case ["celery", "-A", package, "worker" | "beat", *_]:
            assert importlib.import_module(f"{package}.celery").app.main == package
        case other:
            pytest.fail(f"nobody has checked {other}")
