"""The pages in a real Chromium: both themes, wide and narrow, by keyboard, under the strict policy, without an error."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from ingest import models
from ingest.records import Outcome
from tests import world

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1440, 390)]

if CHROMIUM is None:
    warnings.warn("NO CHROMIUM HERE: the browser tests are skipped (make browser)", pytest.PytestWarning, stacklevel=1)
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the browser tests were SKIPPED (make browser)"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    # Playwright's own event loop runs in this thread, which Django takes for asynchronous code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def ids(transactional_db: None) -> dict[str, int]:
    """One incident with tries, requests of all outcomes and a member that went down."""
    at = timezone.now().replace(microsecond=0) - timedelta(minutes=6)
    endpoint = world.a_route()
    member = models.Member.objects.filter(f5_pool=endpoint.f5_pool).first()
    assert member is not None
    incident = world.an_incident(endpoint, start=at, tries=4, last_evidence_at=at + timedelta(seconds=40))
    tries = [a_hit(n, at, endpoint, member, incident) for n in range(4)]
    device = models.Device.objects.get(name="bigip-1")
    models.HealthEvent.objects.create(
        at=at, device=device, kind="member", state="down", member=member, f5_pool=endpoint.f5_pool
    )
    for n in range(20):
        world.a_request(endpoint, at + timedelta(seconds=n), member_id=member.pk, line_id=10_000 + n)
    world.a_minute(endpoint, at.replace(second=0), [20_000] * 20, member_id=member.pk)
    world.a_feed(complete_to=timezone.now() - timedelta(seconds=4), complete_from=at - timedelta(minutes=3))
    return {"incident": incident.pk, "try": tries[0].pk, "endpoint": endpoint.pk}


def a_hit(n: int, at: datetime, endpoint: Any, member: Any, incident: Any) -> models.Try:
    start = at + timedelta(seconds=10 * n)
    tried = world.a_try(at=start, state="failed", task_id=f"get_{n}", run_id="manual__2026-03-01T11:00:00+00:00")
    world.a_verdict(tried, endpoint=endpoint, member=member, incident=incident, links={"uuid": 2})
    world.a_request(endpoint, start, of=tried, outcome=Outcome.SERVER_ERROR, status=502, member_id=member.pk)
    slow = {"outcome": Outcome.SLOW, "response_us": 4_000_000, "member_id": member.pk}
    world.a_request(endpoint, start + timedelta(seconds=1), of=tried, **slow)
    return tried


@pytest.fixture
def visit(chromium: Any, live_server: Any, ids: dict[str, int]) -> Iterator[Any]:
    """visit(path, theme, width) is a page of somebody logged in; at the end no page may have complained."""
    user = get_user_model().objects.create_user("ann")
    user.groups.add(Group.objects.get_or_create(name="operator")[0])
    client = Client()
    client.force_login(user)
    cookie = client.cookies["airf5_session"]
    contexts, complaints = [], []

    def go(path: str, theme: str = "light", width: int = 1440, *, scripts: bool = True) -> Any:
        look = {"viewport": {"width": width, "height": 900}, "color_scheme": theme, "java_script_enabled": scripts}
        context = chromium.new_context(**look)
        contexts.append(context)
        context.add_cookies([{"name": "airf5_session", "value": cookie.value, "url": live_server.url}])
        page = context.new_page()
        page.on("console", lambda said: complaints.append(f"{path}: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(f"{path}: {error}"))
        page.on("request", lambda asked: complaints.append(asked.url) if live_server.url not in asked.url else None)
        page.goto(f"{live_server.url}{path}")
        page.wait_for_load_state("networkidle")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


def sideways(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_the_incident_and_try_pages_fit_and_follow_the_theme(
    theme: str, width: int, visit: Any, ids: dict[str, int]
) -> None:
    for path in (f"/incidents/{ids['incident']}/", f"/tries/{ids['try']}/"):
        page = visit(path, theme, width)
        assert sideways(page) == 0
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 23)"
        assert dark == (theme == "dark")
        assert page.locator("h1").count() == 1
        box = page.locator("#what svg.plot").last.bounding_box()
        assert box["width"] > 0.4 * width


@pytest.mark.parametrize(
    "path", ["/", "/now/", "/incidents/", "/dags/", "/tries/", "/endpoints/", "/audit/", "/sources/", "/accuracy/"]
)
def test_no_page_scrolls_sideways_on_a_phone(path: str, visit: Any) -> None:
    assert sideways(visit(path, "dark", 320)) == 0


@pytest.mark.parametrize("width", [1440, 1280, 1024, 800])
@pytest.mark.parametrize("path", ["/", "/tries/", "/audit/", "/sources/"])
def test_the_button_of_the_filter_stands_beside_its_fields(
    path: str, width: int, visit: Any, ids: dict[str, int]
) -> None:
    page = visit(path, "light", width)
    assert sideways(page) == 0
    form = page.locator(".filters").first
    button = form.locator(".fields > button").bounding_box()
    last = form.locator(".fields label").last.bounding_box()
    first = form.locator(".fields label").first.bounding_box()
    assert button["y"] + button["height"] == pytest.approx(last["y"] + last["height"], abs=1)
    assert first["y"] == pytest.approx(last["y"], abs=1)
    if width == 1440:
        assert page.locator(".filters .seg").bounding_box()["y"] == pytest.approx(button["y"], abs=1)


def test_a_link_to_a_folded_table_opens_it(visit: Any, ids: dict[str, int]) -> None:
    page = visit("/")
    table = page.locator("#strip table")
    assert not table.is_visible()
    page.get_by_role("link", name="as table").click()
    assert table.is_visible()


def test_the_timeline_joins_tries_above_with_members_below(visit: Any, ids: dict[str, int]) -> None:
    page = visit(f"/incidents/{ids['incident']}/")
    plot = page.locator("#what svg.plot").last
    assert plot.locator("a[data-state=failed] rect.bar").count() >= 4
    assert plot.locator("line.exact").count() >= 4
    assert plot.locator("a[data-state=slow]").count() >= 1
    plot.locator(f"a[data-state=failed][href='/tries/{ids['try']}/'] rect.bar").first.click()
    page.wait_for_url(f"**/tries/{ids['try']}/")


def test_the_keyboard_reaches_everything(visit: Any, ids: dict[str, int]) -> None:
    page = visit(f"/incidents/{ids['incident']}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('tbody tr') !== null")
    first = page.evaluate("document.activeElement.getAttribute('href')")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.getAttribute('href')") == first
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


def test_focus_can_be_seen(visit: Any, ids: dict[str, int]) -> None:
    page = visit(f"/tries/{ids['try']}/")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_form_swaps_the_results_and_keeps_the_address_clean(visit: Any) -> None:
    page = visit("/tries/")
    page.fill("input[name=dag]", "zzz")
    page.click("form[role=search][aria-label=Filter] button")
    page.wait_for_url("**/tries/?dag=zzz")
    assert "Nothing matches" in page.inner_text("#results")
    assert page.inner_text("h1").endswith("DAG zzz")
    page.go_back()
    page.wait_for_url("**/tries/")
    page.wait_for_load_state("networkidle")
    assert page.locator("header.top").count() == 1


def test_without_javascript_the_form_is_a_plain_one(visit: Any) -> None:
    page = visit("/tries/", scripts=False)
    page.fill("input[name=dag]", "orders_*")
    page.click("form[role=search][aria-label=Filter] button")
    page.wait_for_load_state()
    assert page.locator("tbody tr").count() == 4


def test_the_theme_button_goes_round_and_is_remembered(visit: Any) -> None:
    page = visit("/incidents/")
    seen = []
    for _ in range(3):
        page.click("#theme")
        seen.append(page.evaluate("document.documentElement.dataset.theme ?? 'auto'"))
    assert seen == ["light", "dark", "auto"]
    page.click("#theme")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_times_can_be_local_and_the_zone_is_always_written(visit: Any, ids: dict[str, int]) -> None:
    page = visit(f"/incidents/{ids['incident']}/")
    utc = page.inner_text("#fresh time")
    page.click("#zone")
    assert len(page.inner_text("#fresh time")) == len(utc)
    page.click("#zone")
    assert page.inner_text("#fresh time") == utc


def test_charts_are_drawn_under_the_strict_policy_and_lead_to_the_tries(visit: Any) -> None:
    page = visit("/dags/orders_sync/?last=1h")
    assert page.locator(".chart .main-svg").count() >= 2
    assert page.locator("style").count() == 0
    line = page.evaluate("getComputedStyle(document.querySelector('.chart .xgrid')).stroke")
    assert line == "rgb(224, 228, 234)"
    page.click("#theme")
    page.click("#theme")
    page.wait_for_timeout(300)
    assert page.evaluate("getComputedStyle(document.querySelector('.chart .xgrid')).stroke") == "rgb(40, 48, 58)"


def test_an_operator_writes_a_note(visit: Any, ids: dict[str, int]) -> None:
    page = visit(f"/incidents/{ids['incident']}/")
    page.fill("textarea[name=note]", "calling the orders team")
    page.click("text=Save note")
    page.wait_for_url("**/#notes")
    assert "calling the orders team" in page.inner_text("#notes")


def test_a_verdict_is_overturned_with_the_keyboard_and_confirmed_without_javascript(
    visit: Any, ids: dict[str, int]
) -> None:
    path = f"/tries/{ids['try']}/"
    page = visit(path)
    page.press("#review summary", "Enter")
    page.select_option("#review select", "task_error")
    page.fill("#review textarea", "a bug of ours")
    page.press("#review form.setup button", "Enter")
    page.wait_for_selector("#review .log")
    assert page.url.endswith(path)
    assert "it was task, error of the task's own code" in page.inner_text("#review .log")
    assert "a bug of ours" in page.inner_text("#review .log")

    plain = visit(path, scripts=False)
    plain.click("#review button:has-text('Confirm')")
    plain.wait_for_url("**/#review")
    assert "confirmed it" in plain.inner_text("#review .log")
    assert "confirmed by ann" in plain.inner_text("#why")
