"""The demo's page, mounted at /demo/ where the demo runs."""

from django.urls import path

from airf5.demo import views

app_name = "demo"

urlpatterns = [
    path("", views.page, name="page"),
    path("start/", views.start, name="start"),
]
