"""What to ask a BIG-IP over iControl REST, how often, and one pull of what is due.

`READINGS` is the whole list. A reading is one call, or a few pages of one; each is told apart as told, refused (the role
may not), absent (the device has no such part) or empty where no BIG-IP is, which is how a role without rights looks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ingest.parsers.f5_config import next_page
from ingest.parsers.f5_icontrol import items
from ingest.sources.f5_session import AT_ONCE, NotAllowed, NotThere, Session, tilde
from ingest.sources.http import SourceError, SourceRefused

MOST_PAGES = 100
SELDOM_S = 3600
EXPANDED = {"expandSubcollections": "true"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing to ask for. `built_in`: what every BIG-IP has in this collection, so that empty means "not allowed"."""

    name: str
    path: str
    every_s: int
    what: str
    params: Mapping[str, str] = field(default_factory=dict)
    built_in: str = ""


MONITOR_KINDS = ("http", "https", "tcp", "tcp-half-open", "gateway-icmp", "external")
READINGS: tuple[Reading, ...] = (
    Reading("clock", "/mgmt/tm/sys/clock", 60, "the clock"),
    Reading("member_stats", "/mgmt/tm/ltm/pool/members/stats", 30, "members' states and counters"),
    Reading("failover", "/mgmt/tm/cm/failover-status", 30, "the failover state"),
    Reading("virtual_stats", "/mgmt/tm/ltm/virtual/stats", 60, "virtual servers' counters"),
    Reading("pool", "/mgmt/tm/ltm/pool", 300, "pools and members", EXPANDED),
    Reading("virtual", "/mgmt/tm/ltm/virtual", 300, "virtual servers", EXPANDED),
    Reading("policy", "/mgmt/tm/ltm/policy", 300, "policies", EXPANDED),
    Reading("rule", "/mgmt/tm/ltm/rule", 300, "iRules", built_in="the rules _sys_*"),
    Reading(
        "request_log", "/mgmt/tm/ltm/profile/request-log", 300, "request-log profiles",
        built_in="the profile request-log",
    ),
    Reading("sync", "/mgmt/tm/cm/sync-status", 300, "the sync state"),
    Reading("unit", "/mgmt/tm/cm/device", 300, "the units of the cluster", built_in="itself"),
    Reading(
        "http", "/mgmt/tm/ltm/profile/http", 900, "HTTP profiles", {"$select": "name,partition,fullPath"},
        "the profile http",
    ),
    Reading("group", "/mgmt/tm/cm/device-group", 900, "device groups", EXPANDED),
    Reading("user", "/mgmt/tm/auth/user", 900, "users and roles", built_in="the user admin"),
    Reading("syslog", "/mgmt/tm/sys/syslog", 900, "where syslog goes"),
    *(
        Reading(
            f"monitor/{kind}", f"/mgmt/tm/ltm/monitor/{kind}", 900, f"{kind} monitors",
            built_in=f"the monitor {kind.replace('-', '_')}" if kind in ("http", "https", "tcp") else "",
        )
        for kind in MONITOR_KINDS
    ),
    Reading(
        "certificate", "/mgmt/tm/sys/file/ssl-cert", 3600, "certificates", built_in="the certificate default.crt"
    ),
)  # fmt: skip
BY_NAME = {reading.name: reading for reading in READINGS}
# Asked instead where the first does not exist: the older form of the same.
INSTEAD = {"failover": Reading("failover", "/mgmt/tm/sys/failover", 30, "the failover state")}


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one reading. Only with `told` there is a body, and it is whole."""

    reading: Reading
    outcome: str  # told | refused | absent | failed | skipped
    body: Any = None
    sentence: str = ""
    middle: datetime | None = None  # our clock at the middle of the call
    elapsed_s: float = 0.0
    error: SourceError | None = None


def due(asked: Mapping[str, float], now: datetime, most: int, failed: Mapping[str, int] | None = None) -> list[Reading]:
    """The readings whose time has come, the most overdue first (by how many of its turns it waits), at most `most`.

    `failed`: how often in a row a reading failed while the device answered others. It is asked after all others, and
    from the second time on more seldom, up to once an hour: one list that takes too long must not keep the rest from
    being read.
    """
    at, failed = now.timestamp(), failed or {}
    every = {
        one.name: min(one.every_s << max(0, failed.get(one.name, 0) - 1), max(one.every_s, SELDOM_S))
        for one in READINGS
    }
    waits = {one.name: (at - asked.get(one.name, 0.0)) / every[one.name] for one in READINGS}
    ready = [one for one in READINGS if waits[one.name] >= 0.95]
    order = {one.name: place for place, one in enumerate(READINGS)}
    ready.sort(key=lambda one: (-waits[one.name] if asked.get(one.name) else 0.0, order[one.name]))
    chosen = ready[: max(0, most)]
    # The clock goes first, alone; what failed goes last.
    return sorted(chosen, key=lambda one: (failed.get(one.name, 0) > 0, order[one.name]))


def stats_of(pools: Iterable[str]) -> list[Reading]:
    """The members' statistics pool by pool, for versions before 12 that know no single call."""
    return [
        Reading("pool_stats", f"/mgmt/tm/ltm/pool/{tilde(pool)}/members/stats", 30, f"the members of {pool}")
        for pool in pools
    ]


def read(session: Session, readings: Sequence[Reading], seconds: float = 60.0) -> Iterator[Reply]:
    """Ask for these, two at a time. After the first that fails for now nothing more is asked: the device is in need.

    Nor is anything asked after so many seconds.
    """
    halt = _Halt(session, seconds)
    # One goes ahead alone: where the password is wrong, two at once would be two failed logins.
    first = [one for one in readings if one.name == "clock"] or readings[:1]
    for one in first:
        yield _one(session, one, halt)
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="icontrol") as pool:
        yield from pool.map(lambda one: _one(session, one, halt), [one for one in readings if one not in first])


class _Halt:
    """Whether to ask on."""

    def __init__(self, session: Session, seconds: float) -> None:
        self._clock, self._end = session.clock, session.clock() + seconds
        self._failed = threading.Event()

    def set(self) -> None:
        self._failed.set()

    def is_set(self) -> bool:
        return self._failed.is_set() or self._clock() > self._end


def _one(session: Session, reading: Reading, halt: _Halt) -> Reply:
    if halt.is_set():
        return Reply(reading, "skipped")
    try:
        return _whole(session, reading)
    except NotAllowed as error:
        return Reply(reading, "refused", sentence=f"Not allowed: {error.sentence}")
    except NotThere as error:
        if (other := INSTEAD.get(reading.name)) and other != reading:
            return _one(session, other, halt)
        return Reply(reading, "absent", sentence=f"Not there: {error.sentence}")
    except SourceRefused as error:
        if error.status == 413:  # too large for us: the others still are of use
            return Reply(reading, "refused", sentence=error.sentence)
        halt.set()
        return Reply(reading, "failed", sentence=error.sentence, error=error)
    except SourceError as error:
        halt.set()
        return Reply(reading, "failed", sentence=error.sentence, error=error)


def _whole(session: Session, reading: Reading) -> Reply:
    """The answer with all of its pages."""
    params: Mapping[str, Any] | str = dict(reading.params)
    answer = session.get(reading.path, params or None)
    middle = session.now() - timedelta(seconds=answer.elapsed_s / 2)
    body, page, took = answer.body, answer.body, answer.elapsed_s
    for _ in range(MOST_PAGES):
        query = next_page(page)
        if not query:
            break
        page = session.get(f"{reading.path}?{query}").body
        more = items(page)
        if not more or not isinstance(body, dict):
            break
        body = {**body, "items": [*items(body), *more]}
    else:
        if next_page(page):  # what is not whole must not be stored: rows that it lacks would be deleted
            raise SourceRefused(f"{reading.path} has more than {MOST_PAGES} pages: too many for airf5.", 413)
    if reading.built_in and not items(body):
        sentence = (
            f"Empty, though every BIG-IP has {reading.built_in}: the user's role may not read {reading.what}. "
            "airf5 needs the role auditor on all partitions."
        )
        return Reply(reading, "refused", sentence=sentence, elapsed_s=took)
    return Reply(reading, "told", body, middle=middle, elapsed_s=took)
