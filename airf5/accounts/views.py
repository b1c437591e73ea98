"""Log in, log out, and the page on which people make and revoke their tokens."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from airf5.accounts import audit, auth, tokens
from airf5.accounts.models import Token

DEFAULT_DAYS = 90


class LoginView(auth_views.LoginView):
    """Django's own, with each try in the audit trail and a limit on the failed ones."""

    template_name = "accounts/login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if auth.too_many_failures(self._name(), auth.address(request)):
            minutes = int(auth.WINDOW.total_seconds() // 60)
            wait = f"Too many failed logins. Wait {minutes} minutes."
            response = render(request, self.template_name, {"form": self.get_form(), "refused": wait}, status=429)
            response["Retry-After"] = str(minutes * 60)
            return response
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        audit.record(form.get_user().get_username(), "login", "airf5", address=auth.address(self.request))
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        # An empty form is no attempt, and a guessed password is not written down.
        if self._name():
            audit.record(self._name(), auth.FAILED_LOGIN, "airf5", result="failed", address=auth.address(self.request))
        return super().form_invalid(form)

    def _name(self) -> str:
        text = self.request.POST.get("username", "")[:150]
        return "".join(letter if letter.isprintable() else "?" for letter in text)


@never_cache
@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        audit.record(request.user.get_username(), "logout", "airf5", address=auth.address(request))
    logout(request)
    return redirect("login")


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def token_list(request: HttpRequest) -> HttpResponse:
    """All tokens of the person; a new one's value is in the answer to the POST and nowhere else."""
    refused, value = "", ""
    if request.method == "POST":
        who = {"actor": request.user.get_username(), "address": auth.address(request)}
        try:
            _, value = tokens.create(request.user, request.POST.get("name", ""), _days(request), **who)
        except tokens.TokenRefused as error:
            refused = str(error)
    found = Token.objects.filter(user=request.user).select_related("user").order_by("-created_at")
    mine = [{"token": token, "state": tokens.state(token)} for token in found]
    context = {"tokens": mine, "value": value, "refused": refused, "days": DEFAULT_DAYS, "longest": tokens.LONGEST_DAYS}
    return render(request, "accounts/tokens.html", context, status=400 if refused else 200)


def _days(request: HttpRequest) -> int:
    text = request.POST.get("days", str(DEFAULT_DAYS))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


@login_required
@require_POST
def token_revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(Token.objects.select_related("user"), id=token_id, user=request.user)
    tokens.revoke(token, actor=request.user.get_username(), address=auth.address(request))
    return redirect("tokens")


login = method_decorator(never_cache, name="dispatch")(LoginView).as_view()
