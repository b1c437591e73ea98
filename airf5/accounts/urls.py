"""The addresses of people and their tokens."""

from django.urls import path

from airf5.accounts import views

urlpatterns = [
    path("login/", views.login, name="login"),
    path("logout/", views.log_out, name="logout"),
    path("account/tokens/", views.token_list, name="tokens"),
    path("account/tokens/<int:token_id>/revoke/", views.token_revoke, name="token-revoke"),
]
