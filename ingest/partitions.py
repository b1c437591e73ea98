"""The days of the two big tables: made ahead, dropped when their time is over.

A day that a capture was replayed into is marked as kept. Such a day is never dropped; what live feeds wrote into it
goes when its time has come.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import sql

from airf5.sql import load

logger = logging.getLogger(__name__)

TABLES = ("ingest_request", "ingest_request_detail")
ROLLUPS = {"minutes": "ingest_requestminute", "hours": "ingest_requesthour"}
AHEAD = 3
KEPT = "kept: a capture was replayed into this day"
# Two processes that make the same day at once would wait for each other's locks on the parent; they queue here instead.
_LOCK = 0x61697270


def retention(kind: str) -> timedelta:
    """How long rows of this class are kept: requests, minutes or hours."""
    return timedelta(days=getattr(settings, f"AIRF5_RETENTION_{kind.upper()}_DAYS"))


def name_of(table: str, day: date) -> str:
    return f"{table}_p{day:%Y%m%d}"


def day_of(name: str) -> date:
    return datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date()


def existing(table: str) -> dict[date, str]:
    """The days that are there, with the remark on each ("" for none)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), '') FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass ORDER BY 1",
            [table],
        )
        return {day_of(name): remark for name, remark in cursor.fetchall()}


def make_coming(now: datetime) -> int:
    """Make every day that a line may carry, from the start of the retention to some days ahead; how many were new."""
    first = (now - retention("requests")).date()
    return make(first + timedelta(days=n) for n in range((now.date() - first).days + AHEAD + 1))


def make(days: Iterable[date], kept: bool = False) -> int:
    """Make these days where they are missing; `kept` exempts them from retention."""
    wanted = set(days)
    made = 0
    with transaction.atomic():
        there = existing(TABLES[1])
        if wanted <= there.keys() and (not kept or all(there[day] for day in wanted)):
            return 0
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        for table in TABLES:
            there = existing(table)
            for day in sorted(wanted):
                if day not in there:
                    _make(table, day)
                    made += table == TABLES[0]
                if kept and not there.get(day):
                    _remark(table, day)
    return made


def _make(table: str, day: date) -> None:
    # CREATE … PARTITION OF would lock readers out of the whole table; ATTACH does not.
    name, start, end = (sql.Identifier(name_of(table, day)), sql.Literal(f"{day} +00"), day + timedelta(days=1))
    statement = (
        "CREATE TABLE {name} (LIKE {table} INCLUDING ALL);"
        "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"
    )
    parts = {"name": name, "table": sql.Identifier(table), "start": start, "end": sql.Literal(f"{end} +00")}
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(**parts))


def _remark(table: str, day: date) -> None:
    statement = sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(name_of(table, day)), sql.Literal(KEPT))
    with connection.cursor() as cursor:
        cursor.execute(statement)


def expire(now: datetime) -> dict[str, int]:
    """Drop what is older than its class allows: how many days of requests, how many rows of minutes and of hours."""
    dropped = _expire_requests((now - retention("requests")).date())
    return {"requests": dropped} | {kind: _expire_rollup(kind, now - retention(kind)) for kind in ROLLUPS}


def _expire_requests(first: date) -> int:
    dropped = 0
    for table in TABLES:
        for day, remark in existing(table).items():
            if day >= first:
                continue
            if remark:
                _delete_live(table, day)
            else:
                dropped += _drop(table, day)
    return dropped


def _drop(table: str, day: date) -> bool:
    """Drop one day; left for the next turn when readers hold the table, rather than make everybody queue behind us."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name_of(table, day))))
            cursor.execute("SET LOCAL lock_timeout = 0")
    except OperationalError as error:
        logger.info("%s stays until the next turn: %s", name_of(table, day), error)
        return False
    return table == TABLES[0]


def _delete_live(table: str, day: date) -> None:
    statement = sql.SQL(load("delete_live")).format(table=sql.Identifier(name_of(table, day)))
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _expire_rollup(kind: str, before: datetime) -> int:
    statement = sql.SQL(load("expire_rollup")).format(table=sql.Identifier(ROLLUPS[kind]))
    with connection.cursor() as cursor:
        cursor.execute(statement, [before.replace(hour=0, minute=0, second=0, microsecond=0)])
        return cursor.rowcount


def summarise() -> None:
    """Bring the BRIN indexes of the days written last up to date; between two turns new blocks are simply read."""
    with connection.cursor() as cursor:
        for table in TABLES:
            for day in list(existing(table))[-AHEAD - 2 :]:
                cursor.execute("SELECT brin_summarize_new_values(%s::regclass)", [f"{name_of(table, day)}_ts_idx"])


def analyze() -> None:
    """Tell the planner of tables that were just filled: autovacuum comes a minute later, and to partitioned parents never."""
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE ingest_request, ingest_request_detail, ingest_try, ingest_trykey, ingest_trace, ingest_healthevent,"
            " ingest_requestminute, accounts_useraction"
        )
