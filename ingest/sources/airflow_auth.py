"""How a session signs in to an Airflow: a token made elsewhere, /auth/token of Airflow 3, name and password of Airflow 2.

What a sign-in gave is kept in this process's memory and used by the next pulls too: a login costs the server a password
hash (0.15 to 0.35 s), and basic auth costs that with every single call. A cookie of the login form does not.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from ingest.sources.http import Answer, SourceError, SourceRefused, SourceUnavailable, ask, ask_page, redact

APIS = ("v2", "v1")
AUTHS = ("token", "basic", "bearer")
RENEW_AT = 0.8  # of a credential's life
UNKNOWN_LIFE = timedelta(hours=1)
COOKIE_LIFE = timedelta(hours=12)  # well within Airflow's own 30 days
MOST_KEPT = 100
# Every role may ask this: what refuses it does not know us, what refuses something else lacks the permission.
PROBE = "/dags"
PROBE_QUERY = {"limit": 1}

CSRF = re.compile(r"<input\b[^>]*\bname=[\"']csrf_token[\"'][^>]*>", re.IGNORECASE)
VALUE = re.compile(r"\bvalue=[\"']([^\"']+)[\"']", re.IGNORECASE)
PASSWORD_FIELD = re.compile(r"<input\b[^>]*\bname=[\"']password[\"']", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """One Airflow to read. With `token` (issued elsewhere) there is no login.

    api: auto, v2 or v1. auth: "" (what is given decides), token (/auth/token), basic (name and password) or bearer.
    options: verify (bool or a CA file), proxy, page_limit, overlap_s, first_hours, most_details.
    """

    name: str
    base_url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    api: str = "auto"
    auth: str = ""
    tries_elsewhere: bool = False  # its database is read too: only what that lacks is asked for


@dataclass(frozen=True, slots=True)
class Credential:
    """What to send with each call, and when to sign in anew (None: never by ourselves)."""

    headers: Mapping[str, str] = field(repr=False)
    renew_at: datetime | None = None


Keeper = MutableMapping[str, Credential]
Call = Callable[[Callable[[], Answer]], Answer]  # how the session makes a call: paced, and tried again where that helps
KEPT: Keeper = {}


def root_of(base_url: str) -> str:
    """The address before /api/v2 or /api/v1, whichever of them was configured."""
    root = base_url.strip().rstrip("/")
    for api in APIS:
        root = root.removesuffix(f"/api/{api}")
    return root


def method_of(source: Source, api: str) -> str:
    """How to sign in to this generation: bearer, token or basic; SourceRefused where that cannot be."""
    auth = source.auth or ("bearer" if source.token else {"v2": "token", "v1": "basic"}[api])
    if auth == "bearer":
        if not source.token:
            raise SourceRefused(f"{source.name} has no token: configure one, or another way to sign in.", 401)
        return auth
    if not source.username:
        raise SourceRefused(f"{source.name} has neither a token nor a user name: configure one.", 401)
    if (auth, api) == ("token", "v1"):
        raise SourceRefused(
            f"{source.name} is an Airflow 2, which has no /auth/token: set auth to basic or bearer.", 404
        )
    if (auth, api) == ("basic", "v2"):
        raise SourceRefused(f"{source.name} is an Airflow 3, which signs in by /auth/token: set auth to token.", 404)
    return auth


def bearer(token: str) -> Credential:
    """A token that was made elsewhere and is renewed there."""
    return Credential({"Authorization": f"Bearer {token}"})


def sign_in(client: httpx.Client, source: Source, api: str, call: Call, now: datetime) -> Credential:
    """A fresh credential."""
    method = method_of(source, api)
    if method == "bearer":
        return bearer(source.token)
    return _by_token(client, source, call, now) if method == "token" else _by_password(client, source, call, now)


def knows_us(client: httpx.Client, api: str, credential: Credential, call: Call) -> bool:
    """Whether a credential is accepted at all. Airflow 2 says 403 both to strangers and to a role that lacks a right."""
    try:
        call(lambda: ask(client, "GET", f"/api/{api}{PROBE}", params=PROBE_QUERY, headers=credential.headers))
    except SourceRefused as error:
        if error.status in (401, 403):
            return False
        raise
    return True


def place_of(source: Source, api: str) -> str:
    """Where the credential of this source is kept: another address, user or password is another place."""
    secret = hashlib.sha256(f"{source.password}\n{source.token}".encode()).hexdigest()
    return json.dumps([root_of(source.base_url), api, source.auth, source.username, secret])


def keep(keeper: Keeper, place: str, credential: Credential) -> None:
    """Keep a credential, the newest ones at most."""
    keeper.pop(place, None)
    while len(keeper) >= MOST_KEPT:
        del keeper[next(iter(keeper))]
    keeper[place] = credential


def life_of(token: str) -> timedelta:
    """How long a JWT lives, read without verifying it (it is the server's to verify)."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        life = timedelta(seconds=float(claims["exp"]) - float(claims["iat"]))
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return UNKNOWN_LIFE
    return life if life > timedelta(0) else UNKNOWN_LIFE


def _by_token(client: httpx.Client, source: Source, call: Call, now: datetime) -> Credential:
    """Airflow 3: POST /auth/token gives a JWT."""
    login = {"username": source.username, "password": source.password}
    try:
        answer = call(lambda: ask(client, "POST", "/auth/token", body=login))
    except SourceRefused as error:
        raise _login_refused(source, error) from error
    token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
    if not isinstance(token, str) or not token:
        raise SourceRefused(f"{source.name} signed us in without giving a token: use a static token instead.")
    return Credential(bearer(token).headers, now + life_of(token) * RENEW_AT)


def _by_password(client: httpx.Client, source: Source, call: Call, now: datetime) -> Credential:
    """Airflow 2: the cookie of the login form where that works, else basic auth with each call.

    The form works where `session` is among [api] auth_backends, as it is by default, basic auth where `basic_auth` is.
    """
    pair = base64.b64encode(f"{source.username}:{source.password}".encode()).decode()
    cookie = _cookie_of_form(client, source)
    tries = [Credential({"Cookie": cookie}, now + COOKIE_LIFE)] if cookie else []
    for credential in (*tries, Credential({"Authorization": f"Basic {pair}"}, now + COOKIE_LIFE)):
        if knows_us(client, "v1", credential, call):
            return credential
    raise SourceRefused(
        f"{source.name} does not accept user {source.username!r}: check name and password, and that [api] auth_backends "
        "of its configuration has airflow.api.auth.backend.session or basic_auth.",
        401,
    )


def _cookie_of_form(client: httpx.Client, source: Source) -> str:
    """The cookies that the login form gives for name and password; "" where there is no such form."""
    client.cookies.clear()
    try:
        status, page = ask_page(client, "GET", "/login/")
        if status != 200 or not PASSWORD_FIELD.search(page):  # a sign-in by somebody else (OAuth), or no such page
            return ""
        form = {"username": source.username, "password": source.password}
        if hidden := CSRF.search(page):
            form["csrf_token"] = found[1] if (found := VALUE.search(hidden[0])) else ""
        status, _ = ask_page(client, "POST", "/login/", form=form)
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar) if status < 400 else ""
    except SourceUnavailable:
        raise
    except SourceError:  # a page that is too long, an address that cannot be asked
        return ""
    finally:
        client.cookies.clear()  # they are sent on purpose, and to this Airflow alone


def _login_refused(source: Source, error: SourceRefused) -> SourceRefused:
    if error.status in (401, 403):
        return SourceRefused(f"{source.name} does not accept user {source.username!r}: check name and password.", 401)
    if error.status == 404:
        root = redact(root_of(source.base_url))
        return SourceRefused(f"{root} has no /auth/token: is it the address of an Airflow 3? Or give a token.", 404)
    return error
