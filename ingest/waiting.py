"""Which of the tries that wait for a judgement are worth one now: those that nothing was said of yet, and those of which
something changed since: the row of the try or its log, how far a feed of its scope is complete, or a gap in its time.

A provisional verdict stands as long as a feed that it needs stands still, which can be hours. What was looked at is one
mark a try (`models.Waiting`), kept in the database, so that it counts for all workers and over restarts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import connection

from airf5.sql import load
from ingest.models import Airflow
from ingest.rules import RULES_VERSION

LOOKS = timedelta(seconds=150)  # what is later than this after a try's end tells its judgement nothing
LOCK = 0x41495246  # advisory lock space of judging


def due(airflow: Airflow, limit: int) -> dict[int, str]:
    """The tries of this Airflow that are worth a judgement now, with the mark to be remembered of each; at most `limit`.

    First those of which nothing was said yet, then those that were judged longest ago. Holds the Airflow's lock until the
    end of the transaction; none where another worker has it.
    """
    parameters = {"space": LOCK, "airflow": airflow.pk, "rules": RULES_VERSION, "looks": LOOKS, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(load("due"), parameters)
        return dict(cursor.fetchall())


def marks_of(tries: Sequence[int], marks: Mapping[int, str] | None) -> list[str | None]:
    """The mark of each try in the order given, as `judged.sql` takes them; None: nothing is to be remembered."""
    return [marks.get(pk) if marks else None for pk in tries]
