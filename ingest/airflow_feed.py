"""One pull of an Airflow feed, by REST or from its database: pages, each stored with the cursor that it allows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from airf5.failpoints import failpoint
from ingest import leases
from ingest.models import Feed, Try
from ingest.setup import source_secrets
from ingest.sources import airflow_api, airflow_db
from ingest.sources.airflow_api import Page, TryKey, Wanted
from ingest.sources.airflow_session import Source
from ingest.sources.postgres import Database
from ingest.store import airflow as store
from ingest.store import feeds
from ingest.store.tries import KEY_FIELDS

POLL_S = 5.0
DATABASE_POLL_S = 15.0  # each look reads a whole table
MOST_WANTED = 100
MOST_FAILED = 8  # a log that could not be read so often, for 21 minutes, is not asked for any more
LOG_AGAIN = timedelta(seconds=10)
LOGS_LAST = timedelta(days=7)  # so long a log that was given up is worth one more call
LOG_DELAY = timedelta(seconds=2)  # a worker writes the last lines of a log after the state
# Told anew in every pull: a batch for each would say nothing.
AS_NOW = frozenset({"version", "health", "pools", "jobs"})
SELDOM = frozenset({"/dags", "/connections", "dag", "connection"})  # paths of REST, and tables of the database


@dataclass(slots=True)
class _Turn:
    feed: Feed
    epoch: int
    histories: deque[TryKey]
    refusals: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0


def read(feed: Feed, epoch: int, seconds: float, **session: Any) -> int:
    """Store one pull page by page, until it is through or the turn is over; the number of items read."""
    began = time.monotonic()
    needed = wanted(feed, timezone.now())
    lists_read = feed.cursor.get("slow_lists")
    turn = _Turn(feed, epoch, deque(needed.histories))
    for page in pages_of(feed, needed, **session):
        _store_page(turn, page)
        if time.monotonic() - began > seconds:
            _say_it_goes_on(turn)
            return turn.read
    if feed.cursor.get("slow_lists") == lists_read:  # they were not asked for this time, so what they said stands
        turn.refusals += [one for one in feed.refusals if one["endpoint"] in SELDOM]
    now = timezone.now()
    usual_s = DATABASE_POLL_S if feed.kind == Feed.Kind.AIRFLOW_DB else POLL_S
    poll_s = float(feed.config.get("poll_s", usual_s))
    feed.refusals = turn.refusals
    with transaction.atomic():
        leases.commit_cursor(
            feed.pk, epoch, state=Feed.State.OK, message="", failures=0, refusals=turn.refusals,
            last_ok_at=now, next_at=now + timedelta(seconds=poll_s),
        )  # fmt: skip
    return turn.read


def pages_of(feed: Feed, needed: Wanted, **session: Any) -> Iterator[Page]:
    """The pages of one pull, by REST or from the database."""
    if feed.kind == Feed.Kind.AIRFLOW_DB:
        return airflow_db.read(database_of(feed), feed.cursor)
    return airflow_api.read(source_of(feed), feed.cursor, needed, **session)


def wanted(feed: Feed, now: datetime) -> Wanted:
    """The tries whose history or log is still to be fetched by REST, at most MOST_WANTED of each."""
    if feed.kind == Feed.Kind.AIRFLOW_DB:
        return Wanted()
    tries = Try.objects.filter(airflow=feed.airflow_id)
    logs = tries.filter(log_state=Try.LogState.WANTED, end_at__lt=now - LOG_DELAY)
    logs = logs.filter(Q(log_next_at=None) | Q(log_next_at__lte=now))
    return Wanted(_in_turn(tries.filter(history_wanted=True), "seen_at"), _in_turn(logs, "end_at"))


def _in_turn(found: QuerySet[Try], by: str) -> tuple[TryKey, ...]:
    """The newest and the oldest in turn: what just failed is looked at now, and what waits longest gets its turn too."""
    newest = found.order_by(f"-{by}", "-pk").values_list(*KEY_FIELDS)[: MOST_WANTED // 2]
    oldest = found.order_by(by, "pk").values_list(*KEY_FIELDS)[: MOST_WANTED // 2]
    both = [one for pair in zip_longest(newest, oldest) for one in pair if one is not None]
    return tuple(TryKey(*key) for key in dict.fromkeys(both))


def _log_failed(feed: Feed, asked: Iterable[dict[str, Any]], now: datetime) -> None:
    """A log that could not be read: later again, twice as long each time, and no more after MOST_FAILED times.

    Where our role may not read a DAG's logs, that is said of all of them that are wanted.
    """
    for one in asked:
        key = {name: one[name] for name in (("dag_id",) if one["whole_dag"] else KEY_FIELDS)}
        wanted = Try.objects.select_for_update().filter(airflow=feed.airflow_id, log_state=Try.LogState.WANTED, **key)
        rows = list(wanted.only("pk", "log_failed"))
        for row in rows:
            row.log_failed += 1
            row.log_next_at = now + LOG_AGAIN * 2 ** (row.log_failed - 1)
            row.log_state = Try.LogState.REFUSED if row.log_failed >= MOST_FAILED else Try.LogState.WANTED
        Try.objects.bulk_update(rows, ["log_failed", "log_next_at", "log_state"])


def _ask_once_more(feed: Feed, dag_ids: set[str], now: datetime) -> None:
    """A log of this DAG was read: rights may have been granted, so each one that was given up is asked for once more."""
    _given_up(feed, dag_ids, now).update(log_state=Try.LogState.WANTED, log_next_at=None)


def _given_up(feed: Feed, dag_ids: set[str], now: datetime) -> QuerySet[Try]:
    found = Try.objects.filter(airflow=feed.airflow_id, dag_id__in=dag_ids, log_state=Try.LogState.REFUSED)
    return found.filter(log_failed=MOST_FAILED, end_at__gt=now - LOGS_LAST)


def source_of(feed: Feed) -> Source:
    """How to reach the Airflow of this feed. The configuration only says where a secret stands."""
    config = feed.config
    return Source(
        name=feed.airflow.name if feed.airflow else feed.name,
        base_url=str(config.get("base_url", "")),
        username=str(config.get("username", "")),
        password=source_secrets.of(feed, "password"),
        token=source_secrets.of(feed, "token"),
        options={**config.get("options", {}), "allow": config.get("allow", ())},
        api=str(config.get("api") or "auto"),
        auth=str(config.get("auth") or ""),
        tries_elsewhere=config.get("tries_from") == "database",
    )


def database_of(feed: Feed) -> Database:
    """The metadata database of this feed's Airflow."""
    return Database(
        name=feed.airflow.name if feed.airflow else feed.name,
        url=source_secrets.of(feed, "database"),
        options=feed.config.get("options", {}),
        allow=feed.config.get("allow", ()),
    )


def _store_page(turn: _Turn, page: Page) -> None:
    """Store one page and the cursor it allows, in one transaction."""
    feed, began, now = turn.feed, time.monotonic(), timezone.now()
    assert feed.airflow is not None
    if page.kind == "refused":
        turn.refusals += [{"endpoint": item["endpoint"], "sentence": item["sentence"]} for item in page.items]
        return
    if page.kind == "log_failed":
        with transaction.atomic():
            _log_failed(feed, page.items, now)
            leases.commit_cursor(feed.pk, turn.epoch)
        return
    moves: dict[str, Any] = {}
    if page.cursor is not None:
        moves["cursor"] = page.cursor
    if page.complete_to is not None:
        moves["complete_to"] = max(filter(None, (feed.complete_to, page.complete_to)))
    with transaction.atomic():
        if page.items:
            counts = store.save(feed.airflow, page.kind, page.items, now)
            failpoint("page.stored")
            if counts.rows or counts.rejects or page.kind not in AS_NOW:
                feeds.save_batch(feed, counts, now, time.monotonic() - began, page.kind)
            if counts.newest_at:
                moves["last_row_at"] = max(filter(None, (feed.last_row_at, counts.newest_at)))
        if page.kind == "tries":
            _forget_history(feed, [turn.histories.popleft()] if turn.histories else ())
        if page.kind == "task_logs":
            _ask_once_more(feed, {str(item["dag_id"]) for item in page.items}, now)
        if page.kind == "task_instances" and feed.kind == Feed.Kind.AIRFLOW_DB:
            _ask_for_no_logs(feed)
        if feed.complete_from is None and page.complete_to is not None:
            moves["complete_from"] = now - timedelta(hours=float(source_hours(feed)))
        leases.commit_cursor(feed.pk, turn.epoch, **moves)
        failpoint("page.fenced")
    failpoint("page.committed")
    for name, value in moves.items():
        setattr(feed, name, value)
    turn.read += len(page.items)


def source_hours(feed: Feed) -> float:
    """How far back the first pull went."""
    return float(feed.config.get("options", {}).get("first_hours", airflow_api.FIRST_HOURS))


def _forget_history(feed: Feed, asked: Iterable[TryKey]) -> None:
    """A history that was asked for is not asked for again, whatever it held."""
    for key in asked:
        Try.objects.filter(airflow=feed.airflow_id, **key._asdict()).update(history_wanted=False)


def _ask_for_no_logs(feed: Feed) -> None:
    """The database has no task logs: where it is all that is read of this Airflow, no verdict waits for one."""
    if not Feed.objects.filter(airflow=feed.airflow_id, kind=Feed.Kind.AIRFLOW_API, enabled=True).exists():
        waiting = Try.objects.filter(airflow=feed.airflow_id, log_state=Try.LogState.WANTED)
        waiting.update(log_state=Try.LogState.ABSENT)


def _say_it_goes_on(turn: _Turn) -> None:
    """A pull that takes more than a turn goes on at once, and is no silence meanwhile."""
    sentence = "A long list is being read: it goes on where this turn ended."
    with transaction.atomic():
        leases.commit_cursor(
            turn.feed.pk, turn.epoch, state=Feed.State.LATE, message=sentence, failures=0, last_ok_at=timezone.now()
        )
