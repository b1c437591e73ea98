"""`manage.py doctor`: everything from end to end, each finding with a sentence and what to do next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

from django.db import DatabaseError, connection

from ingest.doctor import feeds, rights, routes, system
from ingest.doctor.findings import FAIL, OK, WARN, Finding, counted, worst
from ingest.models import Feed

__all__ = ["FAIL", "OK", "SECTIONS", "WARN", "Finding", "counted", "examine", "worst"]

Look = Callable[[datetime], Iterator[Finding]]


def sources_answer(now: datetime) -> Iterator[Finding]:
    """Connection and rights of every source that is asked over the network."""
    for feed in feeds.live():
        if feed.enabled:
            yield from rights.of_feed(feed)


# In the order in which one thing needs the other: the first failure is the one to mend first.
SECTIONS: tuple[tuple[str, tuple[Look, ...]], ...] = (
    ("airf5 itself", (system.settings_fit, system.keys_open)),
    ("Database", (system.database_keeps,)),
    ("Work", (system.broker_answers, system.workers_work)),
    ("Receiver", (system.spool_takes, system.receiver_listens, feeds.senders_are_known)),
    ("Rights", (sources_answer,)),
    ("Sources", (feeds.feeds_are_fresh, feeds.clocks_agree)),
    ("Routes", (routes.routes_are_seen,)),
)


def examine(now: datetime) -> Iterator[Finding]:
    """Every finding, section by section. What a look itself runs into is a finding too."""
    for section, looks in SECTIONS:
        for look in looks:
            yield from _looked(section, look, now)


def _looked(section: str, look: Look, now: datetime) -> Iterator[Finding]:
    began = time.monotonic()
    try:
        for one in look(now):
            yield replace(one, section=section)
    except DatabaseError as error:
        connection.close()
        said = str(error).strip().partition("\n")[0][:200]
        yield Finding(
            FAIL, "database", f"It could not be asked ({look.__name__.replace('_', ' ')}): {said}",
            "See that PostgreSQL runs, and run `manage.py migrate`.", section, time.monotonic() - began,
        )  # fmt: skip


def of_airflow(airflow_id: int) -> list[Finding]:
    """The connection test of one Airflow."""
    return [one for feed in Feed.objects.filter(airflow=airflow_id, capture="") for one in rights.of_feed(feed)]


def of_device(device_id: int, now: datetime) -> list[Finding]:
    """The connection test of one device: its iControl REST, and whether lines of it arrive."""
    found = Feed.objects.filter(device=device_id, capture="").select_related("device").order_by("name")
    told: list[Finding] = []
    for feed in found:
        told += rights.of_feed(feed)
        if feed.kind in feeds.SPOOLED:
            told += feeds.of_feed(feed, now)
    return told
