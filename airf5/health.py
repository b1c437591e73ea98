"""Is it alive, is it ready? The status code is the answer; ?verbose tells what was looked at."""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse


def livez(request: HttpRequest) -> HttpResponse:
    """This process answers. It touches nothing else: restarting it would not mend a database."""
    return _answer(request, {})


def readyz(request: HttpRequest) -> HttpResponse:
    """Requests can be served: the database answers, is migrated, and the broker answers."""
    checks: dict[str, Callable[[], str]] = {"database": _database, "migrations": _migrations, "broker": _broker}
    return _answer(request, {name: check() for name, check in checks.items()})


def _answer(request: HttpRequest, checks: dict[str, str]) -> HttpResponse:
    ok = all(result == "ok" for result in checks.values())
    body: dict[str, object] = {"status": "ok" if ok else "failed"}
    if "verbose" in request.GET:
        body["checks"] = checks
    return JsonResponse(body, status=200 if ok else 503, headers={"Cache-Control": "no-store"})


# The words are for strangers too, so no check repeats what a driver says: that may name hosts and users.
def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "no answer"
    return "ok"


def _migrations() -> str:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "unknown"
    return f"{len(missing)} not applied" if missing else "ok"


def _broker() -> str:
    try:
        with redis.Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=2, socket_connect_timeout=2) as client:
            client.ping()
    except redis.RedisError:
        return "no answer"
    return "ok"
