"""`manage.py token create NAME --user U --days N`, `token list`, `token revoke NAME`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from airf5.accounts import tokens
from airf5.accounts.models import Token


class Command(BaseCommand):
    help = "Make, list and revoke API tokens. The value of a new token is printed once, alone on standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a token and print its value")
        create.add_argument("name")
        create.add_argument("--user", required=True)
        create.add_argument("--days", type=int, default=90)
        revoke = actions.add_parser("revoke", help="end a token for ever")
        revoke.add_argument("name")
        actions.add_parser("list", help="all tokens, without their values")

    def handle(self, *args: Any, **options: Any) -> None:
        {"create": self.create, "revoke": self.revoke, "list": self.show}[options["action"]](options)

    def create(self, options: dict[str, Any]) -> None:
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user “{options['user']}”.")
        try:
            token, value = tokens.create(user, options["name"], options["days"], actor="manage.py")
        except tokens.TokenRefused as error:
            raise CommandError(str(error)) from None
        self.stderr.write(f"Token “{token.name}” of {user}, valid to {token.expires_at:%Y-%m-%d %H:%M} UTC:")
        self.stdout.write(value)

    def revoke(self, options: dict[str, Any]) -> None:
        token = Token.objects.select_related("user").filter(name=options["name"]).first()
        if token is None:
            raise CommandError(f"There is no token “{options['name']}”.")
        again = tokens.revoke(token, actor="manage.py")
        self.stdout.write(f"Token “{token.name}” {'is revoked' if again else 'was revoked before'}.")

    def show(self, options: dict[str, Any]) -> None:
        for token in Token.objects.select_related("user").order_by("name"):
            state = tokens.refusal(token) or "usable"
            self.stdout.write(f"{token.name}\t{token.prefix}…\t{token.user}\t{token.expires_at:%Y-%m-%d}\t{state}")
