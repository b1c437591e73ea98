"""The page with the button: break something now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from airf5.accounts import audit
from airf5.demo import laps

FAULTS = (
    ("Right away", "One of three servers of the orders API answers 503 while its monitor stays green."),
    ("After 2 minutes", "One server of the orders API is killed; its monitor sees it."),
    ("After 4 minutes", "One server of the orders API gets slow: requests end in time-outs."),
    ("After 6 minutes", "Both API servers of Airflow freeze; tasks cannot report and the scheduler crashes."),
    ("After 9 minutes", "Both servers of the reports API fail their monitor: no member is left."),
    ("After 10 minutes", "Two servers of the orders API reset their connections."),
    ("All the time", "Two DAGs fail for reasons of their own, and must not be blamed on the route."),
)


@require_safe
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """Say what the demo is, what comes next, and offer the button."""
    now = datetime.now(UTC)
    state = laps.load(_home(), now)
    running = laps.running_lap(state, now + timedelta(seconds=1))  # a lap starts on the next whole second
    context = {
        "running_since": running,
        "running_until": running + laps.LAP_LENGTH if running else None,
        "next_at": laps.next_lap_at(state),
        "first_failure_s": int((laps.FIRST_FAILURE - laps.LAP_BEGINS).total_seconds()),
        "lap_minutes": round(laps.LAP_LENGTH.total_seconds() / 60),
        "faults": FAULTS,
    }
    return render(request, "demo/demo.html", context)


@require_POST
@login_required
def start(request: HttpRequest) -> HttpResponse:
    """Start a lap; while one is running nothing happens."""
    now = datetime.now(UTC)
    home = _home()
    before = laps.load(home, now)
    if laps.start_lap(home, now).laps != before.laps:
        audit.record(request.user.get_username(), "start_demo_lap", "demo")
    return redirect("demo:page")


def _home() -> Path:
    """Where the demo's state lies; without a demo there is no such page, and no button without effect."""
    home = Path(settings.AIRF5_HOME)
    if not laps.told(home):
        raise Http404("No demo runs here.")
    return home
