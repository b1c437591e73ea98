"""What every page says while a demo runs: that it is a recording, and where to break something."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from airf5.demo import laps


def demo(request: HttpRequest) -> dict[str, str]:
    """`demo_url`: the page with the button, "" where no demo runs."""
    return {"demo_url": reverse("demo:page") if laps.told(Path(settings.AIRF5_HOME)) else ""}
