"""Counts and latency histograms per endpoint, member and minute, and the same per hour."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import NamedTuple

from django.db import connection

from airf5.sql import load
from ingest.histogram import BOUNDS, BUCKETS
from ingest.records import Outcome
from ingest.store import arrays

Minute = tuple[int, int, int]  # endpoint id, member id (0: none), minutes since 1970

COLUMNS = (
    *("endpoint_id", "member_id", "start", "requests", "client_errors", "server_errors", "unanswered", "untimed"),
    *("sum_us", "max_us", "histogram"),
)
ROLL_BACK = timedelta(days=2)


class Row(NamedTuple):
    """One minute of one member, as the merge takes it."""

    endpoint_id: int
    member_id: int
    start: datetime
    requests: int
    client_errors: int
    server_errors: int
    unanswered: int
    untimed: int
    sum_us: int
    max_us: int
    histogram: str


class Tally(NamedTuple):
    """Times of answers in one minute that were added up already."""

    sum_us: int
    max_us: int
    histogram: list[int]


_NO_TALLY = Tally(0, 0, [0] * BUCKETS)


class Minutes:
    """The minutes of one batch. Times of answers go straight into `times`; what is not plainly well is counted."""

    def __init__(self) -> None:
        self.times: defaultdict[Minute, list[int]] = defaultdict(list)
        self.others: defaultdict[Minute, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self.tallies: dict[Minute, Tally] = {}

    def add(self, minute: Minute, tally: Tally) -> None:
        """Take the times of one minute, added up; each minute once."""
        self.tallies[minute] = tally

    def count(self, minute: Minute, how: Outcome, response_us: int | None) -> None:
        """Count one request that failed, was slow, or has no time."""
        others = self.others[minute]
        if how is Outcome.CLIENT_ERROR:
            others[0] += 1
        elif how is Outcome.SERVER_ERROR:
            others[1] += 1
        elif how is Outcome.UNANSWERED:
            others[2] += 1
            return
        if response_us is None:
            others[3] += 1
        else:
            self.times[minute].append(response_us)

    def rows(self) -> list[Row]:
        """In the order of the key, so that two workers lock the same rows in the same order."""
        return [self._row(minute) for minute in sorted({*self.times, *self.others, *self.tallies})]

    def _row(self, minute: Minute) -> Row:
        times, (client, server, unanswered, untimed) = self.times.get(minute, []), self.others.get(minute, [0] * 4)
        sum_us, max_us, histogram = self.tallies.get(minute, _NO_TALLY)
        counts = list(histogram)
        answered = len(times) + sum(histogram)
        for bucket, often in Counter(map(bisect_right, repeat(BOUNDS), times)).items():
            counts[bucket] += often
        return Row(
            *minute[:2],
            datetime.fromtimestamp(minute[2] * 60, UTC),
            answered + untimed + unanswered,
            client,
            server,
            unanswered,
            untimed,
            sum_us + sum(times),
            max(max_us, *times, 0),
            "{" + ",".join(map(str, counts)) + "}",
        )


def add(minutes: Minutes) -> None:
    """Add these to the stored minutes."""
    rows = minutes.rows()
    if rows:
        with connection.cursor() as cursor:
            columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
            said = {name: arrays.texts(map(str, column)) for name, column in columns.items()}
            cursor.execute(load("add_minutes"), said)


def roll_hours(upto: datetime, since: datetime | None = None) -> int:
    """Sum up the minutes of each hour from `since` (two days back) to `upto`; running it again leaves the same rows.

    Whoever brings older minutes (a replay, a catch-up) says from when. Hours whose minutes have expired stay as they
    are.
    """
    parameters = {"since": since or upto - ROLL_BACK, "upto": upto}
    with connection.cursor() as cursor:
        cursor.execute(load("roll_hours"), parameters)
        return cursor.rowcount
