"""Tokens for machines: made, found and revoked here. The value is shown once; only its SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from airf5.accounts import audit
from airf5.accounts.models import Token

MARK = "airf5_"
SHOWN = 12
LONGEST_DAYS = 366
USED_EVERY = timedelta(minutes=1)  # last_used_at is not written more often


class TokenRefused(ValueError):
    """Why a token cannot be made, as a sentence."""


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def create(user: Any, name: str, days: int, *, actor: str, address: str = "") -> tuple[Token, str]:
    """A new token and its value, which nothing can show again."""
    name = " ".join(name.split())
    if not name or len(name) > 100 or not name.isprintable():
        raise TokenRefused("A token needs a name of 1 to 100 characters.")
    if not 1 <= days <= LONGEST_DAYS:
        raise TokenRefused(f"A token lives from 1 to {LONGEST_DAYS} days.")
    value = MARK + secrets.token_urlsafe(32)
    expires = timezone.now() + timedelta(days=days)
    with transaction.atomic():
        token, new = Token.objects.get_or_create(
            name=name, defaults={"user": user, "prefix": value[:SHOWN], "hash": digest(value), "expires_at": expires}
        )
        if not new:
            raise TokenRefused(
                f"There is already a token “{name}”; names are used once, so that an audit can tell them apart."
            )
        detail = {"user": user.get_username(), "expires": expires.isoformat(), "prefix": token.prefix}
        audit.record(actor, "token_create", name, detail, address=address)
    return token, value


def revoke(token: Token, *, actor: str, address: str = "") -> bool:
    """False: it was revoked before."""
    with transaction.atomic():
        changed = Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            audit.record(actor, "token_revoke", token.name, {"user": token.user.get_username()}, address=address)
    return bool(changed)


def find(value: str) -> Token | None:
    """The token of a value, whatever its state; the look-up is by hash, so it tells nothing by its time."""
    return Token.objects.select_related("user").filter(hash=digest(value)).first()


def refusal(token: Token) -> str:
    """Why it cannot be used, as a sentence; empty where it can."""
    if token.revoked_at is not None:
        return f"The token “{token.name}” was revoked."
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return f"The token “{token.name}” expired on {token.expires_at:%Y-%m-%d %H:%M} UTC."
    return "" if token.user.is_active else f"The user of the token “{token.name}” is not active."


def state(token: Token) -> str:
    """In a word, for lists: usable, revoked, expired or without an active user."""
    if token.revoked_at is not None:
        return "revoked"
    if not refusal(token):
        return "usable"
    return "expired" if token.user.is_active else "user not active"


def used(token: Token) -> None:
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        Token.objects.filter(pk=token.pk).update(last_used_at=now)
