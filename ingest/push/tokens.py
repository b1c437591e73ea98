"""Who may push to which source. Known for a second without asking again, and on while the database is away."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import Error, connection, transaction
from django.utils import timezone

from airf5.accounts import audit
from ingest.models import Feed, PushToken
from ingest.push.spool import folder_of
from ingest.setup import source_secrets
from ingest.sources.http import SourceRefused

MARK = "airf5ts_"
SHOWN = 12
FRESH_S = 1.0  # a token that was revoked is good for so long
STALE_S = 3600.0  # and one that was good before the database went away, for so long
ASK_AGAIN_S = 5.0  # a database that is away may take seconds to say so

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """Nobody can say just now who may push."""


@dataclass(frozen=True, slots=True)
class Pusher:
    """One source that may be pushed to: its device's name, its folder, and the SHA-256 of its tokens."""

    feed_id: int
    source: str
    folder: Path
    digests: tuple[str, ...]


def digest(value: str) -> str:
    """The SHA-256 of a token, as it is kept."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


class Pushers:
    """The sources that may be pushed to, as the database said last."""

    def __init__(self) -> None:
        self._known: tuple[Pusher, ...] | None = None
        self._asked = self._failed = -STALE_S

    def find(self, value: str) -> Pusher | None:
        """The source whose token this is. Every token is compared, in the same time whichever it is."""
        wanted, found = digest(value), None
        for pusher in self._all():
            for one in pusher.digests:
                if hmac.compare_digest(one, wanted):
                    found = pusher
        return found

    def forget(self) -> None:
        """Ask the database before the next answer."""
        self._known = None

    def _all(self) -> tuple[Pusher, ...]:
        now = time.monotonic()
        age = now - self._asked
        if self._known is not None and (age < FRESH_S or (age < STALE_S and now - self._failed < ASK_AGAIN_S)):
            return self._known
        try:
            self._known, self._asked, self._failed = _load(), now, -STALE_S
        except Error as error:
            self._failed = time.monotonic()
            connection.close()
            if self._known is None or age > STALE_S:
                raise Unavailable from error
            log.warning("The database is away; who may push is as it was %d s ago: %s", age, error)
        return self._known


def _load() -> tuple[Pusher, ...]:
    feeds = Feed.objects.filter(kind=Feed.Kind.F5_TELEMETRY, enabled=True, capture="").select_related("device")
    kept: dict[int, list[str]] = {}
    for feed_id, value in PushToken.objects.filter(revoked_at=None).values_list("feed_id", "hash"):
        kept.setdefault(feed_id, []).append(value)
    out = []
    for feed in feeds:
        source = feed.device.name if feed.device else feed.name
        mine = [*kept.get(feed.pk, ()), *_referred(feed)]
        out.append(Pusher(feed.pk, source, folder_of(Path(settings.AIRF5_SPOOL_DIR), source), tuple(mine)))
    return tuple(out)


def _referred(feed: Feed) -> list[str]:
    """The token that the source's settings refer to."""
    try:
        value = source_secrets.of(feed, "token")
    except SourceRefused as error:
        log.error("Nobody can push to %s: %s", feed.name, error.sentence)
        return []
    return [digest(value)] if value else []


@transaction.atomic
def create(feed: Feed, actor: str) -> str:
    """A new token of this source; older ones stay good until they are revoked. Nothing can show the value again."""
    value = MARK + secrets.token_urlsafe(32)
    PushToken.objects.create(feed=feed, prefix=value[:SHOWN], hash=digest(value))
    audit.record(actor, "push_token_create", feed.name, {"prefix": value[:SHOWN]})
    return value


@transaction.atomic
def revoke(feed: Feed, actor: str, keep: str = "") -> int:
    """End the tokens of this source, but for the one of this value; how many."""
    found = PushToken.objects.filter(feed=feed, revoked_at=None).exclude(hash=digest(keep) if keep else "")
    ended = sorted(found.values_list("prefix", flat=True))
    if ended:
        found.update(revoked_at=timezone.now())
        audit.record(actor, "push_token_revoke", feed.name, {"prefixes": ended})
    return len(ended)
