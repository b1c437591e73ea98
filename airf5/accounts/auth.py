"""Who is asking: token authentication for machines, and the limit on failed logins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from airf5.accounts import tokens
from airf5.accounts.models import UserAction

FAILED_LOGIN = "login_failed"
WINDOW = timedelta(minutes=15)
MOST_OF_NAME = 5  # failed logins of one name from one address
MOST_OF_ADDRESS = 20  # of one address, whatever the name


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Token <value>` or `Bearer <value>`."""

    def authenticate(self, request: Any) -> tuple[Any, Any] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() not in (b"token", b"bearer"):
            return None
        if len(words) != 2:
            raise AuthenticationFailed("The Authorization header must be “Token” or “Bearer”, a space, and the token.")
        token = tokens.find(words[1].decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("This token is not known.")
        if sentence := tokens.refusal(token):
            raise AuthenticationFailed(sentence)
        tokens.used(token)
        return token.user, token

    def authenticate_header(self, request: Any) -> str:
        return 'Token realm="airf5"'


def address(request: HttpRequest) -> str:
    """The peer's address. Behind a proxy the server sets REMOTE_ADDR; a header that a client can write is not read."""
    return str(request.META.get("REMOTE_ADDR", ""))


def too_many_failures(name: str, peer: str) -> bool:
    """Whether this name or address failed too often lately. The audit trail counts: it is shared and durable."""
    since = timezone.now() - WINDOW
    failed = UserAction.objects.filter(layer=UserAction.Layer.AIRF5, verb=FAILED_LOGIN, at__gte=since, address=peer)
    by_name = failed.filter(actor=name[:250])[:MOST_OF_NAME].count()
    return by_name >= MOST_OF_NAME or failed[:MOST_OF_ADDRESS].count() >= MOST_OF_ADDRESS
