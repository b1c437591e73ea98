"""A database that is away gives a page with a sentence and status 503, never a stack trace."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError
from django.test import Client

from dashboards.views import overview


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), "That question took too long."),
        (psycopg.OperationalError("connection refused"), "The database does not answer right now."),
    ],
)
def test_it_says_what_is_wrong(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, cause: Exception, sentence: str
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError(str(cause)) from cause

    monkeypatch.setattr(overview.query, "overview", broken)
    answer = admin_client.get("/")
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    assert sentence in answer.content.decode() and "Traceback" not in answer.content.decode()
