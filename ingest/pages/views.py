"""Sources set up on a page, tested, stopped and started; the doctor; and the outcome of a check while it comes in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from airf5.accounts import audit, auth
from airf5.accounts.roles import may
from ingest import doctor
from ingest.doctor import system
from ingest.models import Airflow, Check, Device
from ingest.pages import forms
from ingest.push.rate import Rate
from ingest.setup import checks, source_setup
from ingest.setup.source_file import KINDS
from ingest.setup.source_setup import Owner

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
Shown = dict[str, Any]
MODELS: dict[str, Any] = {"airflow": Airflow, "device": Device}
NOT_TAKEN = timedelta(seconds=10)
GIVEN_UP = timedelta(minutes=10)
refusals = Rate(1 / 60, 10)  # rows of the audit list about one person, in this process


def administrators_only(view: View[P]) -> View[P]:
    """Logged in and allowed to set sources up; nothing of these pages is kept by a cache."""

    @never_cache
    @login_required
    @sensitive_post_parameters()
    @functools.wraps(view)
    def inner(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not may(request.user, "sources"):
            _refused(request)
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return inner


def _refused(request: HttpRequest) -> None:
    """Who knocks here without the right to is written down, but not how often somebody presses reload."""
    name = request.user.get_username()
    if not refusals.take(name):
        detail = {"method": request.method or ""}
        audit.record(name, "refused_settings", request.path, detail, result="refused", address=auth.address(request))


@require_safe
@administrators_only
def index(request: HttpRequest) -> HttpResponse:
    return redirect("settings-sources")


@require_safe
@administrators_only
def source_list(request: HttpRequest) -> HttpResponse:
    rows = [_row(kind, owner) for kind in KINDS for owner in source_setup.owners(kind)]
    return render(request, "settings/sources.html", {"rows": rows, "nav": "sources"})


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def new_source(request: HttpRequest, kind: str) -> HttpResponse:
    if kind not in KINDS:
        raise Http404("There is no such kind of source.")
    return _form(request, kind, None)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def one_source(request: HttpRequest, kind: str, ident: int) -> HttpResponse:
    return _form(request, kind, _owner(kind, ident))


@require_POST
@administrators_only
def test_source(request: HttpRequest, kind: str, ident: int) -> HttpResponse:
    owner = _owner(kind, ident)
    _ask(request, Check.Kind.PROBE, **{kind: owner})
    return redirect("settings-source", kind=kind, ident=ident)


@require_POST
@administrators_only
def switch_source(request: HttpRequest, kind: str, ident: int) -> HttpResponse:
    owner, enabled = _owner(kind, ident), request.POST.get("enabled") == "yes"
    source_setup.set_enabled(owner, enabled, request.user.get_username())
    messages.info(request, f"{owner.name} is {'read again' if enabled else 'stopped; what it told stays'}.")
    return redirect("settings-source", kind=kind, ident=ident)


@require_http_methods(["GET", "HEAD", "POST"])
@administrators_only
def examine(request: HttpRequest) -> HttpResponse:
    """The doctor, and the loop-back test."""
    refused = ""
    if request.method == "POST":
        refused = _asked(request)
        if not refused:
            return redirect("settings-doctor")
    airflows = source_setup.owners("airflow")
    context = {
        "check": _looked_into(_latest(Check.Kind.DOCTOR)), "loop": _looked_into(_latest(Check.Kind.LOOP_BACK)),
        "airflows": airflows, "refused": refused, "through": request.POST.get("through", ""), "nav": "sources",
    }  # fmt: skip
    return render(request, "settings/doctor.html", context, status=400 if refused else 200)


@require_safe
@administrators_only
def check(request: HttpRequest, ident: int) -> HttpResponse:
    """The outcome of one check, as far as it has come; it asks for itself until it is done."""
    return render(request, "settings/check.html", {"check": _looked_into(_shown(get_object_or_404(Check, pk=ident)))})


def _asked(request: HttpRequest) -> str:
    """Ask for what the button says; why it is refused, or nothing."""
    if request.POST.get("what") != "loop_back":
        _ask(request, Check.Kind.DOCTOR)
        return ""
    airflow = Airflow.objects.filter(name=request.POST.get("airflow", "")).first()
    try:
        _ask(request, Check.Kind.LOOP_BACK, airflow=airflow, through=request.POST.get("through", "").strip())
    except checks.CheckRefused as error:
        return str(error)
    return ""


def _ask(request: HttpRequest, kind: str, through: str = "", **about: Any) -> None:
    """The same check once at a time: pressing twice asks once, and says so. Another address is another check."""
    since = timezone.now() - timedelta(minutes=1)
    same = Check.objects.filter(kind=kind, finished_at=None, asked_at__gt=since, **about)
    if same.filter(details={"through": through} if through else {}).exists():
        messages.info(request, "This test is under way already: it is not done twice at once.")
        return
    checks.ask(kind, request.user.get_username(), through=through, **about)


def _form(request: HttpRequest, kind: str, owner: Owner | None) -> HttpResponse:
    fields = KINDS[kind][0]
    entry = source_setup.entry_of(owner) if owner else {}
    refused, wrong = "", ""
    if request.method == "POST":
        try:
            typed = forms.read(fields, request.POST, entry)
            saved = source_setup.save(kind, typed, request.user.get_username(), owner)
            _ask(request, Check.Kind.PROBE, **{kind: saved})
            messages.info(request, f"{saved.name} is saved and is being tested.")
            return redirect("settings-source", kind=kind, ident=saved.pk)
        except source_setup.SetupRefused as error:
            refused, wrong = str(error), error.field
    typed_again = request.POST if refused else None
    shown = forms.inputs(fields, entry, typed=typed_again, wrong=wrong, is_new=owner is None)
    context = {
        "kind": kind, "owner": owner, "inputs": shown, "refused": refused, "nav": "sources",
        "title": owner.name if owner else f"A new {'Airflow' if kind == 'airflow' else 'device'}",
    }  # fmt: skip
    if owner is not None:
        row = _row(kind, owner)
        globs = [pattern for feed in row["feeds"] for pattern in feed.config.get("glob", ())]
        named = entry.get("sender") or entry.get("spool")
        context |= {"row": row, "check": _looked_into(row["check"]), "globs": () if named else globs}
    return render(request, "settings/source.html", context, status=400 if refused else 200)


def _owner(kind: str, ident: int) -> Owner:
    if kind not in MODELS:
        raise Http404("There is no such kind of source.")
    return get_object_or_404(MODELS[kind].objects.filter(feeds__capture="").distinct(), pk=ident)


def _row(kind: str, owner: Owner) -> dict[str, Any]:
    """One source in the list: its feeds, its address, and its worst state."""
    feeds = source_setup.feeds_of(owner)
    address = next((feed.config["base_url"] for feed in source_setup.current(feeds) if feed.config.get("base_url")), "")
    return {
        "kind": kind, "owner": owner, "feeds": feeds, "address": address, "check": _latest(Check.Kind.PROBE, **{kind: owner}),
        "enabled": any(feed.enabled for feed in feeds),
    }  # fmt: skip


def _latest(kind: str, **about: Any) -> Shown | None:
    """The check of this kind that was asked for last."""
    row = Check.objects.filter(kind=kind, **about).order_by("-asked_at", "-pk").first()
    return _shown(row) if row else None


def _shown(row: Check) -> Shown:
    """A check as the templates read it."""
    running = row.finished_at is None and timezone.now() - row.asked_at < GIVEN_UP
    found = [doctor.Finding(**one) for one in row.outcome]
    return {
        "row": row,
        "running": running,
        "waits": row.started_at is None,
        "ended": row.finished_at is not None,
    } | _told(found)


def _looked_into(shown: Shown | None) -> Shown | None:
    """One that no worker takes is looked into here: the reason is near. It takes seconds, so a list does not ask."""
    now = timezone.now()
    if shown is None or not (shown["running"] and shown["waits"] and now - shown["row"].asked_at > NOT_TAKEN):
        return shown
    return shown | _told([*system.broker_answers(now), *system.workers_work(now)])


def _told(found: Sequence[doctor.Finding]) -> Shown:
    worst = doctor.worst(found)
    said = [one.told() | forms.look(one.level) for one in found]
    return {"found": said, "worst": worst, "counted": doctor.counted(found), **forms.look(worst)}
