"""The admin's view of tokens and user actions: to look at, not to change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from airf5.accounts.models import Token, UserAction


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Token)
class TokenAdmin(ReadOnly):
    list_display = ("name", "user", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
    exclude = ("hash",)


@admin.register(UserAction)
class UserActionAdmin(ReadOnly):
    list_display = ("at", "layer", "source", "actor", "verb", "target", "result")
    list_filter = ("layer", "verb")
    show_full_result_count = False
