"""Sources: how complete each feed is and why not, what it read, what it could not use, and what may be read again."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from airf5.accounts import auth
from airf5.accounts.roles import PERMISSIONS, may, scope
from dashboards.filters import Filter
from dashboards.plots import sources as drawn
from dashboards.queries import freshness, missing_line, source_page
from dashboards.queries import sources as query
from dashboards.queries.database import reading
from dashboards.views.page import page, page_or_part
from ingest import actions

ICONS = {"ok": "ok", "late": "slow", "down": "x"}
SHOWN = "%Y-%m-%d %H:%M"
_MOMENT = re.compile(r"(?:(\d{4}-\d\d-\d\d)[T ])?(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?")


@page("sources")
def sources(request: HttpRequest, asked: Filter) -> HttpResponse:
    who, now = scope(request.user), timezone.now()
    batches = replace(asked, listing="batches", sort="-at", after="", limit=20)
    fresh = freshness.freshness(now, asked)
    found = freshness.feeds(asked, who, now)
    context = {
        "found": found,
        "fresh": fresh,
        "fresh_icon": ICONS.get(fresh.state, "unknown"),
        "plot": _plot(asked, source_page.ribbons(asked, found.rows, now), now),
        "gaps": query.gaps(replace(asked, listing="gaps", sort="-start", after="", limit=50), who),
        "batches": query.batches(batches, who),
        "groups": query.reject_groups([row.id for row in found.rows], asked),
        "may_replay": who.role in PERMISSIONS["replay_rejects"],
        "may_set_up": who.role in PERMISSIONS["sources"],
        **_ask(now),
    }
    return page_or_part(request, "sources", asked, context)


def _plot(asked: Filter, ribbons: list[source_page.Ribbon], now: datetime) -> object:
    """The ribbons; the ones of captures that the range does not touch would be empty lanes."""
    shown = [one for one in ribbons if any(part.state not in ("before",) for part in one.parts)]
    return drawn.plot(shown, asked.start, max(asked.start + timedelta(seconds=1), min(asked.end, now)))


@page("sources")
def source(request: HttpRequest, asked: Filter, ident: int) -> HttpResponse:
    who, now = scope(request.user), timezone.now()
    found = source_page.one(ident, asked, now)
    if found is None:
        raise Http404("There is no such source.")
    ribbon = source_page.Ribbon(found.row, found.parts, found.share)
    context = {
        "page": found,
        "ribbon": ribbon,
        "said": drawn.said(ribbon),
        "title": found.row.name,
        "crumbs": [("Sources", reverse("sources")), (found.row.kind_words, "")],
        "nav": "sources",
        "filters": False,
        "live": bool(asked.last) and not found.row.capture,
        "plot": drawn.plot([ribbon], asked.start, max(asked.start + timedelta(seconds=1), min(asked.end, now)), 8),
        "may_replay": who.role in PERMISSIONS["replay_rejects"],
        **_ask(now, found.row.device or found.row.airflow, "device" if found.row.device else "airflow"),
    }
    return page_or_part(request, "source", asked, context)


@page("gaps")
def gap_list(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(request, "gaps", asked, {"found": query.gaps(asked, scope(request.user)), "nav": "sources"})


@require_safe
@login_required
def why(request: HttpRequest) -> HttpResponse:
    """Why a line is missing: a device or an Airflow, and a moment."""
    if not may(request.user, "read"):
        raise PermissionDenied
    now = timezone.now()
    kind, _, name = request.GET.get("of", "").partition("/")
    given = request.GET.get("at", "").strip()[:60]
    at = moment(given, now)
    problem, found = "", None
    with reading():
        if name and given and at is None:
            problem = f"“{given}” is no time: write it as {now:{SHOWN}}, in UTC."
        elif name and at is not None:
            found = missing_line.why(kind, name, at, now) if kind in ("device", "airflow") else None
            problem = "" if found else "There is no such device or Airflow with a feed."
        asked = Filter.from_query({}, now, "sources")
        if found:
            asked = asked.with_(start=found.start, end=found.end, last="")
        context = {
            "why": found, "problem": problem, "title": "Why is a line missing?", "nav": "sources", "filters": False,
            "live": False, "crumbs": [("Sources", reverse("sources")), ("a missing line", "")],
            **_ask(now, name, kind, given),
        }  # fmt: skip
        return page_or_part(request, "why", asked, context)


def moment(text: str, now: datetime) -> datetime | None:
    """A moment as people type it: 08:41, 2026-01-31 08:41:55, with a zone or in UTC; a time of day is the last such."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day = match[1] or f"{now:%Y-%m-%d}"
    clock = text[match.start(2) : match.start(3)] if match[3] else text[match.start(2) :]
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{(match[3] or '+00:00').replace('Z', '+00:00')}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at - timedelta(days=1) if not match[1] and at > now else at


def _ask(now: datetime, name: str = "", kind: str = "", at: str = "") -> dict[str, object]:
    devices, airflows = missing_line.owners()
    return {
        "why_devices": devices,
        "why_airflows": airflows,
        "why_of": f"{kind}/{name}",
        "why_at": at,
        "why_now": f"{now:{SHOWN}}",
    }


@require_POST
@login_required
def replay(request: HttpRequest, ident: int) -> HttpResponse:
    """Read the unreadable lines of a feed again, all or those with one reason."""
    if not may(request.user, "replay_rejects"):
        raise PermissionDenied
    reason = request.POST.get("reason", "")[:300]
    try:
        told = actions.replay_rejects(ident, request.user.get_username(), reason, auth.address(request))
        messages.info(request, told.sentence)
    except actions.Refused as error:
        messages.warning(request, str(error))
    return HttpResponseRedirect(f"/sources/{ident}/#rejects")


@page("batches")
def batch_list(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(
        request, "batches", asked, {"found": query.batches(asked, scope(request.user)), "nav": "sources"}
    )


@page("rejects")
def reject_list(request: HttpRequest, asked: Filter) -> HttpResponse:
    return page_or_part(
        request, "rejects", asked, {"found": query.rejects(asked, scope(request.user)), "nav": "sources"}
    )
