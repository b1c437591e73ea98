"""The Django app of people, machines and what they did."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "airf5.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
