"""One pull of a BIG-IP over iControl REST: what is due and within the budget is asked, and each whole answer is stored.

The device's own work goes first. A pull asks for no more than the calls a minute that it may, keeps one token over many
pulls, waits twice as long after one that was slow or failed, and writes down what it cost (`Feed.footprint`).
"""

from __future__ import annotations

import atexit
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ingest import leases
from ingest.models import F5Pool, Feed
from ingest.setup import source_secrets
from ingest.sources import f5_rest
from ingest.sources.f5_rest import Reading, Reply
from ingest.sources.f5_session import Session, Spent, Target
from ingest.sources.http import SourceRefused, SourceUnavailable
from ingest.store import devices, feeds
from ingest.store.feeds import Counts

LOOK_EVERY_S = 30.0
TURN_S = 40.0  # a pull that takes longer goes on in the next one, well before its lease ends
CALLS_PER_MINUTE = 30
LEAST_CALLS, MOST_CALLS = 6, 600
MOST_BACK_OFF = 16.0
MOST_FAILED = 7
TRY_AGAIN_S = 86_400.0  # the one call for all members, where the device did not know it
STORE_S = 300.0
SLOW_S = 1.0  # an answer faster than that is never slow
SLOWER = 2.0  # times as long as is usual for this reading
LOGIN_AGAIN = timedelta(minutes=15)  # a device locks a user after a few wrong passwords
Connect = Callable[[Target], Session]

_sessions: dict[int, tuple[str, Session]] = {}  # of this process, by feed: a token is kept from pull to pull


@dataclass(slots=True)
class _Pull:
    """One pull under way: what was asked, and what came of it."""

    feed: Feed
    epoch: int
    now: datetime
    cursor: dict[str, Any]
    footprint: dict[str, Any]
    replies: list[Reply] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    spent: Spent = field(default_factory=Spent)


def read(feed: Feed, epoch: int, *, connect: Connect = Session, now: datetime | None = None) -> int:
    """Store one pull; the number of objects read. Raises what keeps the device from being read at all."""
    assert feed.device is not None
    now = now or timezone.now()
    pull = _Pull(feed, epoch, now, dict(feed.cursor), dict(feed.footprint))
    _login_may_be_tried(pull)
    readings = _to_ask(pull)
    try:
        session = session_of(feed, connect)
        before = Spent(session.spent.calls, session.spent.logins, session.spent.bytes, session.spent.seconds)
        try:
            for reply in f5_rest.read(session, readings, TURN_S):
                _store(pull, reply)
        finally:
            after = session.spent
            pull.spent = Spent(
                after.calls - before.calls, after.logins - before.logins, after.bytes - before.bytes,
                after.seconds - before.seconds,
            )  # fmt: skip
            since = session.token_since
            pull.footprint["token_since"] = since.isoformat() if since else None
            pull.footprint["token_age_s"] = round((session.now() - since).total_seconds(), 1) if since else None
        _raise_failure(pull)
    finally:
        _account(pull)
    _finish(pull)
    return pull.counts.read


def session_of(feed: Feed, connect: Connect = Session) -> Session:
    """The session of this feed: the one of the last pull, unless the configuration has changed since."""
    target = target_of(feed)
    mark = hashlib.sha256(repr((target, target.password)).encode()).hexdigest()
    known = _sessions.get(feed.pk)
    if known and known[0] == mark:
        return known[1]
    forget(feed.pk)
    session = connect(target)
    _sessions[feed.pk] = (mark, session)
    return session


def target_of(feed: Feed) -> Target:
    """How to reach the device of this feed. The configuration only says where a secret stands."""
    config = feed.config
    return Target(
        name=feed.device.name if feed.device else feed.name,
        base_url=str(config.get("base_url") or ""),
        username=str(config.get("username") or ""),
        password=source_secrets.of(feed, "password"),
        verify=config.get("verify", True),
        allow=tuple(config.get("allow") or ()),
    )


def forget(feed_id: int) -> None:
    """End the session of a feed and give its token back."""
    known = _sessions.pop(feed_id, None)
    if known:
        known[1].close()


def close_all() -> None:
    """End all sessions of this process."""
    for feed_id in list(_sessions):
        forget(feed_id)


atexit.register(close_all)  # a Celery child does not come here: ingest/tasks.py hears of its end


def calls_per_minute(feed: Feed) -> int:
    """The budget of this device."""
    told = feed.config.get("calls_per_minute", CALLS_PER_MINUTE)
    fine = isinstance(told, int | float) and not isinstance(told, bool)
    return int(min(max(told, LEAST_CALLS), MOST_CALLS)) if fine else CALLS_PER_MINUTE


def _to_ask(pull: _Pull) -> Sequence[Reading]:
    """What is due, as far as the budget of this minute goes. Pool by pool only where there is no call for all."""
    at = pull.now.timestamp()
    recent = [one for one in pull.footprint.get("recent", ()) if at - 60 < one <= at]
    pull.footprint["recent"] = recent
    budget = int(calls_per_minute(pull.feed) / _back_off(pull))
    left = max(1, budget) - len(recent)
    asked = pull.cursor.get("asked", {})
    failed = {name: told[0] for name, told in pull.footprint.get("failing", {}).items()}
    if at - float(pull.cursor.get("one_by_one", 0.0)) > TRY_AGAIN_S:  # a device may have been updated
        return f5_rest.due(asked, pull.now, left, failed)
    readings = f5_rest.due({**asked, "member_stats": at}, pull.now, left, failed)
    room = max(0, left - len(readings))
    group = pull.feed.device.group_id if pull.feed.device else None
    pools = list(F5Pool.objects.filter(group=group, removed_at=None).order_by("name").values_list("name", flat=True))
    if not pools:
        return readings
    start = int(pull.cursor.get("next_pool", 0)) % len(pools)
    chosen = (pools[start:] + pools[:start])[:room]
    pull.cursor["next_pool"] = (start + len(chosen)) % len(pools)
    return [*readings, *f5_rest.stats_of(chosen)]


def _store(pull: _Pull, reply: Reply) -> None:
    """Keep one reply; a whole answer is stored in a transaction of its own, fenced by the lease."""
    name, device = reply.reading.name, pull.feed.device
    assert device is not None
    pull.replies.append(reply)
    if reply.outcome in ("told", "refused", "absent"):
        pull.cursor["asked"] = {**pull.cursor.get("asked", {}), name: pull.now.timestamp()}
    if name == "member_stats" and reply.outcome == "absent":
        pull.cursor["one_by_one"] = pull.now.timestamp()
    if reply.outcome != "told" or reply.middle is None:
        return
    digest = hashlib.sha256(json.dumps(reply.body, sort_keys=True).encode()).hexdigest()[:32]
    leases.renew(pull.feed.pk, pull.epoch, STORE_S)  # the first answers of a large device take their time
    with transaction.atomic():
        if name == "clock":
            offset = devices.save_clock(device, reply.body, reply.middle, reply.elapsed_s)
            if offset is not None:
                pull.cursor["ahead_s"] = offset.total_seconds()
        elif name == "virtual_stats":
            pools = next((one.body for one in pull.replies if one.reading.name == "member_stats"), None)
            devices.save_counters(device, reply.body, pools, reply.middle)
        elif pull.cursor.get("digests", {}).get(name) != digest:
            at = reply.middle + timedelta(seconds=float(pull.cursor.get("ahead_s", 0.0)))
            counts = devices.save_answer(device, name, reply.body, at)
            pull.counts.add(counts)
            digests = {**pull.cursor.get("digests", {}), name: digest}
            if name in devices.TELL_PROFILES and counts.rows:
                digests.pop("virtual", None)  # the same answer may say something else now
            if name == "pool" and counts.rows:
                digests.pop("member_stats", None)  # nor are the states of members that are there again known
            pull.cursor["digests"] = digests
        leases.commit_cursor(pull.feed.pk, pull.epoch, cursor=pull.cursor)


def _raise_failure(pull: _Pull) -> None:
    """What ended the pull early is raised when all that came before it is stored."""
    for reply in pull.replies:
        if reply.outcome != "failed" or reply.error is None:
            continue
        if isinstance(reply.error, SourceRefused) and reply.error.status == 401:
            pull.footprint["no_login_before"] = (pull.now + LOGIN_AGAIN).isoformat()
            pull.footprint["login_said"] = reply.error.sentence
            pull.footprint["login_of"] = _login_of(pull.feed)
        raise reply.error


def _login_may_be_tried(pull: _Pull) -> None:
    """Do not try a password that was refused again and again: the device would lock the user."""
    before = pull.footprint.get("no_login_before")
    if not before or pull.footprint.get("login_of") != _login_of(pull.feed):
        return
    if pull.now < datetime.fromisoformat(before):
        raise SourceRefused(f"{pull.footprint.get('login_said')} It is tried again at {before[11:16]} UTC.", 401)


def _login_of(feed: Feed) -> str:
    """What decides a login, without being able to tell it."""
    told = (feed.config.get("base_url"), feed.config.get("username"), source_secrets.of(feed, "password"))
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _back_off(pull: _Pull) -> float:
    return float(pull.footprint.get("back_off", 1.0))


def _account(pull: _Pull) -> None:
    """Write down what the pull cost, also where it failed."""
    at, told = pull.now.timestamp(), pull.footprint
    told["recent"] = [*told.get("recent", ()), *[at] * pull.spent.calls][-MOST_CALLS:]
    usual = dict(told.get("usual", {}))
    slow = False
    for reply in pull.replies:
        if reply.outcome != "told":
            continue
        name, took = reply.reading.name, reply.elapsed_s
        slow = slow or (took > SLOW_S and took > SLOWER * usual.get(name, took))
        usual[name] = round(0.9 * usual[name] + 0.1 * took if name in usual else took, 4)
    failed = any(isinstance(one.error, SourceUnavailable) for one in pull.replies)
    back_off = _back_off(pull)
    told["back_off"] = min(MOST_BACK_OFF, back_off * 2) if slow or failed else max(1.0, back_off / 2)
    told |= {
        "usual": usual, "at": pull.now.isoformat(), "budget": calls_per_minute(pull.feed), "slow": slow or failed,
        "calls": int(told.get("calls", 0)) + pull.spent.calls,
        "bytes": int(told.get("bytes", 0)) + pull.spent.bytes,
        "logins": int(told.get("logins", 0)) + pull.spent.logins,
        "seconds": round(float(told.get("seconds", 0.0)) + pull.spent.seconds, 3),
        "since": told.get("since") or pull.now.isoformat(),
        "per_minute": len([one for one in told["recent"] if one > at - 60]),
    }  # fmt: skip
    if pull.spent.calls:
        told |= {
            "mean_s": round(pull.spent.seconds / pull.spent.calls, 4), "last_calls": pull.spent.calls,
            "last_bytes": pull.spent.bytes,
        }  # fmt: skip
    told["failing"] = _failing(pull)
    told["absent"] = _kept(told.get("absent", ()), pull, "absent")
    Feed.objects.filter(pk=pull.feed.pk, epoch=pull.epoch).update(footprint=told, cursor=pull.cursor)


def _failing(pull: _Pull) -> dict[str, list[Any]]:
    """Readings that fail while the device answers others: {name: [how often in a row, what it said last]}."""
    found = dict(pull.footprint.get("failing", {}))
    answers = any(one.outcome in ("told", "refused", "absent") for one in pull.replies)
    for one in pull.replies:
        name = one.reading.name
        if one.outcome == "failed" and answers:
            found[name] = [min(MOST_FAILED, found.get(name, [0])[0] + 1), one.sentence]
            if found[name][0] > 1:
                pull.cursor["asked"] = {**pull.cursor.get("asked", {}), name: pull.now.timestamp()}
        elif one.outcome in ("told", "refused", "absent"):
            found.pop(name, None)
    return found


def _kept(before: Sequence[dict[str, Any]], pull: _Pull, outcome: str) -> list[dict[str, Any]]:
    """What of the readings ended so: as they said now, and as they said before where they were not asked now."""
    asked = {one.reading.path for one in pull.replies if one.outcome in ("told", "refused", "absent")}
    fresh = [
        {"endpoint": one.reading.path, "sentence": one.sentence, "what": one.reading.what}
        for one in pull.replies
        if one.outcome == outcome
    ]
    return sorted([one for one in before if one["endpoint"] not in asked] + fresh, key=lambda one: one["endpoint"])


def _finish(pull: _Pull) -> None:
    """The pull went through: what the feed knows now, in one transaction with its batch."""
    feed, device = pull.feed, pull.feed.device
    assert device is not None
    wait_s = LOOK_EVERY_S * float(pull.footprint.get("back_off", 1.0))
    refusals = _kept(feed.refusals, pull, "refused")
    known: dict[str, Any] = {
        "state": Feed.State.OK, "message": "", "failures": 0, "last_ok_at": pull.now, "complete_to": pull.now,
        "complete_from": feed.complete_from or pull.now, "next_at": pull.now + timedelta(seconds=wait_s),
        "refusals": refusals, "cursor": pull.cursor,
    }  # fmt: skip
    with transaction.atomic():
        if pull.counts.rows:
            feeds.save_batch(feed, pull.counts, pull.now, pull.spent.seconds, "iControl REST")
            known["last_row_at"] = pull.now
        if pull.replies:
            type(device).objects.filter(pk=device.pk).update(told_at=pull.now)
        leases.commit_cursor(feed.pk, pull.epoch, **known)
    feed.refusals = refusals
