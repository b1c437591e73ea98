"""Logins, tokens and the trail they leave."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from airf5.accounts import auth, roles, tokens
from airf5.accounts.models import Token, UserAction

PASSWORD = "a long enough one"


@pytest.fixture
def ann(db: None) -> Any:
    return get_user_model().objects.create_user("ann", password=PASSWORD)


def a_token(user: Any, **changes: Any) -> str:
    token, value = tokens.create(user, "ci", 30, actor="ann")
    Token.objects.filter(pk=token.pk).update(**changes)
    return value


def ask(value: str, word: str = "Token") -> int:
    return Client().get("/api/v1/sources", headers={"authorization": f"{word} {value}"}).status_code


def verbs() -> list[str]:
    return list(UserAction.objects.order_by("id").values_list("verb", flat=True))


@pytest.mark.parametrize("word", ["Token", "Bearer", "bearer"])
def test_a_token_opens_the_api(ann: Any, word: str) -> None:
    assert ask(a_token(ann), word) == 200
    assert Token.objects.get().last_used_at is not None


def test_only_the_hash_of_a_token_is_kept(ann: Any) -> None:
    value = a_token(ann)
    kept = Token.objects.get()
    assert value not in repr(Token.objects.values().get())
    assert (kept.hash, value.startswith(kept.prefix)) == (tokens.digest(value), True)


@pytest.mark.parametrize(
    "changes", [{"expires_at": timezone.now() - timedelta(seconds=1)}, {"revoked_at": timezone.now()}]
)
def test_a_token_that_expired_or_was_revoked_opens_nothing(ann: Any, changes: dict[str, Any]) -> None:
    assert ask(a_token(ann, **changes)) == 401


def test_a_token_of_a_user_who_left_opens_nothing(ann: Any) -> None:
    value = a_token(ann)
    get_user_model().objects.update(is_active=False)
    assert ask(value) == 401


@pytest.mark.parametrize("value", ["", "x", "a b", "\xff\xfe", "x" * 5000])
def test_what_is_no_token_is_a_401(ann: Any, value: str) -> None:
    assert ask(value) == 401


def test_a_token_is_made_shown_once_and_revoked_on_its_page(ann: Any) -> None:
    client = Client()
    client.force_login(ann)
    made = client.post("/account/tokens/", {"name": "ci", "days": "30"})
    token = Token.objects.get()
    assert made.context["value"].startswith(token.prefix)
    assert client.get("/account/tokens/").context["value"] == ""
    assert client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 302
    assert verbs() == ["token_create", "token_revoke"]
    assert ask(made.context["value"]) == 401


def test_the_token_of_another_cannot_be_revoked(ann: Any) -> None:
    a_token(ann)
    other = Client()
    other.force_login(get_user_model().objects.create_user("bob"))
    assert other.post(f"/account/tokens/{Token.objects.get().pk}/revoke/").status_code == 404


@pytest.mark.parametrize(
    "form", [{"name": "", "days": "3"}, {"name": "x", "days": "0"}, {"name": "x", "days": "9999"}, {"name": "x" * 101}]
)
def test_a_token_that_cannot_be_made_is_refused(ann: Any, form: dict[str, str]) -> None:
    client = Client()
    client.force_login(ann)
    assert client.post("/account/tokens/", form).status_code == 400
    assert not Token.objects.exists()


def test_logins_and_failures_are_in_the_trail(ann: Any) -> None:
    client = Client()
    client.post("/login/", {"username": "ann", "password": "wrong"})
    assert client.post("/login/", {"username": "ann", "password": PASSWORD}).status_code == 302
    client.post("/logout/")
    assert verbs() == ["login_failed", "login", "logout"]
    assert "wrong" not in repr(list(UserAction.objects.values()))


def test_too_many_failed_logins_are_stopped_even_with_the_right_password(ann: Any) -> None:
    client = Client()
    for _ in range(auth.MOST_OF_NAME):
        client.post("/login/", {"username": "ann", "password": "wrong"})
    stopped = client.post("/login/", {"username": "ann", "password": PASSWORD})
    assert (stopped.status_code, int(stopped["Retry-After"])) == (429, 900)
    elsewhere = client.post("/login/", {"username": "ann", "password": PASSWORD}, REMOTE_ADDR="10.9.9.9")
    assert elsewhere.status_code == 302


def test_logging_in_does_not_lead_to_another_site(ann: Any) -> None:
    answer = Client().post("/login/", {"username": "ann", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/"


def test_unsafe_requests_of_a_browser_need_its_csrf_token(ann: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    assert client.post("/account/tokens/", {"name": "ci"}).status_code == 403
    assert client.post("/logout/").status_code == 403


def test_the_command_prints_the_value_alone(ann: Any) -> None:
    out = StringIO()
    call_command("token", "create", "ci", "--user", "ann", "--days", "3", stdout=out, stderr=StringIO())
    assert ask(out.getvalue().strip()) == 200
    call_command("token", "revoke", "ci", stdout=StringIO())
    assert ask(out.getvalue().strip()) == 401
    for wrong in (["create", "ci", "--user", "ann"], ["create", "x", "--user", "nobody"], ["revoke", "x"]):
        with pytest.raises(CommandError):
            call_command("token", *wrong, stdout=StringIO(), stderr=StringIO())


def test_a_stranger_may_nothing_and_a_group_names_a_role(ann: Any) -> None:
    from django.contrib.auth.models import AnonymousUser, Group

    assert (roles.role(AnonymousUser()), roles.role(ann)) == ("", roles.VIEWER)
    assert not any(roles.may(AnonymousUser(), permission) for permission in roles.PERMISSIONS)
    ann.groups.add(Group.objects.create(name="operator"))
    assert roles.may(ann, "acknowledge") and not roles.may(ann, "sources")
