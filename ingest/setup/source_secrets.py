"""The secrets of sources: references that say where one stands, or texts sealed in the database by airf5/keyring.py.

A feed's `config` holds `env:NAME`, `file:/path` or `sealed:` and never the secret. A sealed text opens only in its own
row, for its own feed and field, and for the address it was given for: with another address it has to be given again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from airf5 import keyring
from airf5.accounts import audit
from ingest.models import Feed, SourceSecret
from ingest.sources.http import SourceRefused

SEALED = "sealed:"
FIELDS = ("password", "token", "database")
LONGEST = 4_000
REFERENCES = ("env:", "file:", SEALED)
# What decides where a secret is sent and who can read it on the way.
WHERE_TO = ("base_url", "url", "host", "port", "verify", "proxy")
ROTATING = 0x61697273  # advisory lock: shared while one is sealed, alone while the keys change


class SecretRefused(ValueError):
    """The secret cannot be kept; the sentence says why."""


@dataclass(slots=True)
class Rotation:
    """What a rotation did. `broken` names secrets that do not open any more."""

    key_id: str = ""
    sealed: int = 0
    dropped: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def of(feed: Feed, name: str) -> str:
    """The secret `name` of this feed, "" where it has none; SourceRefused says why it cannot be had."""
    reference = str(feed.config.get(name) or "")
    if not reference.startswith(SEALED):
        return referred(reference)
    row = SourceSecret.objects.filter(feed=feed, field=name).first()
    if row is None:
        raise SourceRefused(f"The {name} of {feed.name} is not kept any more: give it again.")
    try:
        return keyring.unseal(row.sealed, _place(row, feed.config))
    except keyring.KeyringError as error:
        raise SourceRefused(f"The {name} of {feed.name} cannot be opened. {error}") from error


def referred(reference: str) -> str:
    """What `env:NAME` or `file:/path` refers to."""
    kind, _, name = str(reference).partition(":")
    if not reference:
        return ""
    if kind == "env":
        if name not in os.environ:
            raise SourceRefused(f"The environment variable {name} with the password or token is not set.")
        return os.environ[name]
    if kind == "file":
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except OSError as error:
            sentence = f"The file {name} with the password or token cannot be read: {error.strerror}."
            raise SourceRefused(sentence) from error
        except UnicodeDecodeError as error:
            raise SourceRefused(f"The file {name} with the password or token is not text.") from error
    raise SourceRefused("A password or token is given as env:NAME or file:/path, not in clear.")


def destination(config: Mapping[str, Any]) -> str:
    """Where the secrets of a source with this configuration go, as one text to compare."""
    both = {**config.get("options", {}), **config}
    return json.dumps({name: both[name] for name in WHERE_TO if both.get(name) not in (None, "")}, sort_keys=True)


def check(old: Feed | None, config: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Refuse a secret in clear, one that is missing, and an old one for a new address."""
    for name in FIELDS:
        reference = str(config.get(name) or "")
        if reference and not reference.startswith(REFERENCES):
            raise SecretRefused(
                f"Give the {name} as env:NAME or file:/path: a secret does not belong into the database."
            )
        if len(given.get(name, "")) > LONGEST:
            raise SecretRefused(f"The {name} has more than {LONGEST:,} characters.")
    named = [name for name in FIELDS if config.get(name)]
    kept = [name for name in named if config[name] == SEALED and not given.get(name)]
    had = old is not None and any(old.config.get(name) for name in FIELDS)
    if old is not None and had and destination(old.config) != destination(config) and (kept or not named):
        raise SecretRefused(
            "The address changes: name the password or token again, so that it is not sent to a stranger."
        )
    known = set(old.secrets.values_list("field", flat=True)) if old is not None and kept else set()
    for name in kept:
        if name not in known:
            raise SecretRefused(f"The {name} is missing.")


def keep(feed: Feed, given: Mapping[str, str], actor: str) -> None:
    """Seal what was given, and drop what the feed's new configuration does not need or was sealed for elsewhere.

    Belongs into the transaction that changes the configuration, after `check`.
    """
    needed = [name for name in FIELDS if feed.config.get(name) == SEALED]
    SourceSecret.objects.filter(feed=feed).exclude(field__in=needed).delete()
    fresh = [name for name in needed if given.get(name)]
    if not fresh:
        return
    _lock(shared=True)
    SourceSecret.objects.filter(feed=feed, field__in=fresh).delete()
    for name in fresh:
        row = SourceSecret.objects.create(feed=feed, field=name, set_at=timezone.now(), set_by=actor[:150])
        row.sealed, row.key_id = keyring.seal(given[name], _place(row, feed.config))
        row.save(update_fields=["sealed", "key_id"])


def forget(feed: Feed) -> None:
    """Drop all sealed secrets of a feed that is not read any more."""
    SourceSecret.objects.filter(feed=feed).delete()


def rotate(actor: str, *, keep_old: bool = False) -> Rotation:
    """Seal all secrets with a new key, then drop the keys that none needs any more.

    One that was interrupted is finished by the next, which makes no further key then. With keys from the environment
    the first of them is the new one.
    """
    with transaction.atomic():
        _lock(shared=False)  # two that add a key at once would write over each other's
        ring = keyring.load(make=True)
        waiting = SourceSecret.objects.exclude(key_id=ring[0].ident).exists()
        if keyring.kept_in() is not None and not waiting:
            keyring.add_key()
    done = Rotation(key_id=keyring.load()[0].ident)
    for pk in SourceSecret.objects.exclude(key_id=done.key_id).order_by("pk").values_list("pk", flat=True):
        _seal_again(pk, done)
    with transaction.atomic():
        _lock(shared=False)
        if not keep_old:
            done.dropped = keyring.keep_only(list(SourceSecret.objects.values_list("key_id", flat=True).distinct()))
        told = {"key": done.key_id, "sealed": done.sealed, "dropped": done.dropped, "broken": done.broken}
        audit.record(actor, "rotate_secrets", "sealed secrets", told)
    return done


@transaction.atomic
def _seal_again(pk: int, done: Rotation) -> None:
    _lock(shared=True)
    row = SourceSecret.objects.select_for_update(of=("self",)).select_related("feed").filter(pk=pk).first()
    if row is None:
        return
    place = _place(row, row.feed.config)
    try:
        row.sealed, row.key_id = keyring.seal(keyring.unseal(row.sealed, place), place)
    except keyring.KeyringError:
        done.broken.append(f"{row.field} of {row.feed.name}")
        return
    row.save(update_fields=["sealed", "key_id"])
    done.sealed += 1


def _place(row: SourceSecret, config: Mapping[str, Any]) -> str:
    where = hashlib.sha256(destination(config).encode()).hexdigest()
    return f"{SourceSecret._meta.db_table}|{row.pk}|{row.feed_id}.{row.field}@{where}"


def _lock(*, shared: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}(%s)", [ROTATING])
