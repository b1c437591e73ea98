"""A source as a page sets it up: the entry of the sources file, made from what is stored and stored from what is typed.

A page is used over the network, so it may do less than the file of somebody on the machine: references to secrets stand
in AIRF5_SECRET_PLACES, folders lie below the spool folder, and a new address asks for every secret again.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from ingest import actions
from ingest.models import Airflow, Device, Feed
from ingest.receive import folder_of
from ingest.setup import source_secrets
from ingest.setup.source_fields import Field
from ingest.setup.source_file import KINDS, Source, SourcesError, sources_of
from ingest.setup.source_secrets import SEALED

KEPT = "env:AIRF5_SOURCE_KEPT"  # stands for a sealed secret while an entry is checked
ASKED_AGAIN = "The address changes: give {} again, so that it is not sent to a stranger."
DROPPED = actions.DROPPED
Entry = dict[str, Any]
Owner = Airflow | Device


class SetupRefused(ValueError):
    """What was typed cannot be stored; `field` is the one to look at, where it is one."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person typed: the entry without secrets, secrets in clear, references to them, and what to drop."""

    entry: Entry
    secrets: Mapping[str, str]
    references: Mapping[str, str]
    dropped: frozenset[str] = frozenset()


def feeds_of(owner: Owner) -> list[Feed]:
    """The live feeds of an Airflow or a device, also those that were dropped."""
    side = {"airflow": owner} if isinstance(owner, Airflow) else {"device": owner}
    return list(Feed.objects.filter(**side, capture="").order_by("pk"))


def current(feeds: Sequence[Feed]) -> list[Feed]:
    """Those that the entry has, read or stopped."""
    return [feed for feed in feeds if not feed.config.get(DROPPED)]


def owners(kind: str) -> list[Owner]:
    """All Airflows or devices that are read live, by name."""
    model: Any = {"airflow": Airflow, "device": Device}[kind]
    return list(model.objects.filter(feeds__capture="").distinct().order_by("name"))


def entry_of(owner: Owner) -> Entry:
    """The entry that would set this source up. A secret stands in it as its reference, or as `sealed:`."""
    feeds = {feed.kind: feed for feed in reversed(current(feeds_of(owner)))}
    if isinstance(owner, Airflow):
        return _entry_of_airflow(owner, feeds)
    return _entry_of_device(owner, feeds)


@transaction.atomic
def save(kind: str, typed: Typed, actor: str, owner: Owner | None = None) -> Owner:
    """Set a source up, or change it: all of its feeds or none."""
    before = entry_of(owner) if owner else {}
    name = owner.name if owner else str(typed.entry.get("name") or "").strip()
    if owner is None:
        _is_new(kind, name)
    secrets = [field.name for field in KINDS[kind][0] if field.control == "secret"]
    entry, kept = _with_secrets(secrets, {**typed.entry, "kind": kind, "name": name}, typed, before)
    _within_limits(entry, before)
    found = _sources(entry, owner)
    stopped = bool(before) and not any(feed.enabled for feed in current(feeds_of(owner)))  # type: ignore[arg-type]
    for one in found:
        old = Feed.objects.filter(name=one.name).first()
        _asks_again(old, one, kept)
        given = {name: text for name, text in typed.secrets.items() if text and one.config.get(name) == SEALED}
        if old is not None and not given and actions.is_configured(*_arguments(one)):
            continue
        try:
            is_old = old is not None and not old.config.get(DROPPED)
            actions.configure_source(*_arguments(one), actor, given, not old.enabled if old and is_old else stopped)
        except actions.Refused as error:
            raise SetupRefused(str(error)) from error
    _stop_others(owner, found, actor)
    model: Any = Airflow if kind == "airflow" else Device
    return model.objects.get(name=name)


def set_enabled(owner: Owner, enabled: bool, actor: str) -> None:
    """Stop or start reading all feeds of a source."""
    with transaction.atomic():
        for feed in current(feeds_of(owner)):
            if feed.enabled != enabled:
                actions.set_source_enabled(feed.name, enabled, actor)


def may_refer(reference: str) -> bool:
    """Whether a page may name this place of a secret (AIRF5_SECRET_PLACES)."""
    kind, _, name = reference.partition(":")
    plain = os.path.normpath(name) if kind == "file" else name
    own = {os.path.normpath(value) for variable, value in os.environ.items() if variable.endswith("_FILE")}
    if kind == "file" and (plain in own or os.path.realpath(plain) in own):  # what airf5 itself runs on
        return False
    return any(fnmatch.fnmatchcase(f"{kind}:{plain}", place) for place in settings.AIRF5_SECRET_PLACES)


def _arguments(one: Source) -> tuple[str, str, str | None, str | None, dict[str, Any]]:
    return one.kind, one.name, one.airflow, one.device, one.config


def _is_new(kind: str, name: str) -> None:
    model: Any = Airflow if kind == "airflow" else Device
    if name and (model.objects.filter(name=name).exists() or Feed.objects.filter(name=name).exists()):
        raise SetupRefused(f"There is a source named {name} already.", "name")


def _with_secrets(names: Sequence[str], entry: Entry, typed: Typed, before: Entry) -> tuple[Entry, set[str]]:
    """The entry with its secrets as references or `sealed:`, and which of them nobody gave anew."""
    kept = set()
    for name in names:
        reference = typed.references.get(name, "")
        if typed.secrets.get(name):
            entry[name] = SEALED
        elif reference:
            if not may_refer(reference) and reference != before.get(name):
                places = ", ".join(settings.AIRF5_SECRET_PLACES)
                raise SetupRefused(
                    f"On this page a reference may name {places} only (AIRF5_SECRET_PLACES); the sources file may name others.",
                    name,
                )
            entry[name] = reference
        elif before.get(name) and name not in typed.dropped:
            entry[name] = before[name]
            kept.add(name)
    return entry, kept


def _within_limits(entry: Entry, before: Entry) -> None:
    """Folders that a page names lie below the spool folder, unless they are as they were."""
    root = os.path.normpath(settings.AIRF5_SPOOL_DIR)
    spool, folder = entry.get("spool"), entry.get("folder")
    if spool and spool != before.get("spool"):
        path = os.path.normpath(os.path.join(root, str(spool)))
        if os.path.isabs(str(spool)) or not path.startswith(root + os.sep):
            raise SetupRefused(f"On this page spool is a folder below {root}.", "spool")
    if folder and folder != before.get("folder"):
        homes = (root, os.path.normpath(settings.AIRF5_HOME))
        if not any(os.path.normpath(str(folder)).startswith(home + os.sep) for home in homes):
            raise SetupRefused(f"On this page folder lies below {root} or {homes[1]}.", "folder")


def _sources(entry: Entry, owner: Owner | None) -> list[Source]:
    """The feeds of this entry, checked as those of a file are, under the names that they have already."""
    sealed = {name for name, value in entry.items() if value == SEALED}
    feeds = feeds_of(owner) if owner else []
    own_globs = {feed.kind: feed.config["glob"] for feed in feeds if feed.config.get("glob")}
    logs = bool(entry.get("sender") or entry.get("spool"))
    keeps = not logs and any(kind in actions.SPOOLED for kind in own_globs)
    checked = {**entry, **dict.fromkeys(sealed, KEPT), **({"spool": "kept"} if keeps else {})}
    try:
        found = sources_of("", checked, Path(settings.AIRF5_SPOOL_DIR), {})
    except SourcesError as error:
        raise SetupRefused(*_in_words(str(error), KINDS[entry["kind"]][0])) from error
    out = []
    for one in found:
        config = {name: SEALED if name in sealed and value == KEPT else value for name, value in one.config.items()}
        if keeps and one.kind in actions.SPOOLED:
            config["glob"] = own_globs.get(one.kind, config["glob"])
        known = next((feed.name for feed in feeds if feed.kind == one.kind), one.name)
        out.append(replace(one, config=config, name=known))
    _claim_logs(out)
    return out


def _claim_logs(found: Sequence[Source]) -> None:
    """Two sources that read the same files would count every line twice."""
    mine = {one.name for one in found}
    taken = {
        pattern: feed.name
        for feed in Feed.objects.filter(capture="").exclude(name__in=mine)
        for pattern in feed.config.get("glob", ())
    }
    for one in found:
        for pattern in one.config.get("glob", ()):
            if pattern in taken:
                raise SetupRefused(f"{taken[pattern]} reads the same logs already.", "sender")


def _asks_again(old: Feed | None, one: Source, kept: set[str]) -> None:
    """A page shows no secret, so that whoever moves an address has to know it."""
    if old is None or source_secrets.destination(old.config) == source_secrets.destination(one.config):
        return
    moved = sorted(name for name in kept if one.config.get(name) and old.config.get(name))
    if moved:
        raise SetupRefused(ASKED_AGAIN.format(f"the {moved[0]}"), moved[0])


def _stop_others(owner: Owner | None, found: Sequence[Source], actor: str) -> None:
    """A feed that the entry has no more is stopped and its secrets go; what it read stays."""
    names = {one.name for one in found}
    for feed in feeds_of(owner) if owner else ():
        if feed.name not in names and not feed.config.get(DROPPED):
            actions.drop_source(feed, actor)


def _in_words(sentence: str, fields: Sequence[Field]) -> tuple[str, str]:
    """(the sentence without the entry's title and with the field's label, the field)."""
    words = sentence.partition("): ")[2] or sentence.lstrip(": ")
    for field in fields:
        if words.startswith(f"{field.name} "):
            return f"{field.label}{words[len(field.name) :]}", field.name
    return words[:1].upper() + words[1:], ""


def _entry_of_airflow(owner: Airflow, feeds: Mapping[str, Feed]) -> Entry:
    entry: Entry = {"kind": "airflow", "name": owner.name}
    for kind in (Feed.Kind.AIRFLOW_DB, Feed.Kind.AIRFLOW_API):
        if kind in feeds:
            entry |= _as_typed(feeds[kind].config)
    return entry


def _entry_of_device(owner: Device, feeds: Mapping[str, Feed]) -> Entry:
    entry: Entry = {
        "kind": "device", "name": owner.name, "hostname": owner.hostname,
        "group": "" if owner.group.name == owner.name else owner.group.name,
        "utc_offset": _offset(timedelta(seconds=owner.utc_offset_s)) if owner.utc_offset_s else "",
        "makes_own_errors": owner.makes_own_errors, "logs_requests": owner.logs_requests,
    }  # fmt: skip
    request = feeds.get(Feed.Kind.F5_REQUEST)
    if request is not None:
        entry |= {"template": request.config["template"]} if request.config.get("template") else {}
        entry |= _logs(request.config.get("glob") or [])
    if Feed.Kind.F5_ICONTROL in feeds:
        entry["folder"] = feeds[Feed.Kind.F5_ICONTROL].config.get("folder", "")
    if Feed.Kind.F5_TELEMETRY in feeds:
        entry["telemetry"] = feeds[Feed.Kind.F5_TELEMETRY].config.get("token") or True
    if Feed.Kind.F5_REST in feeds:
        entry |= _as_typed(feeds[Feed.Kind.F5_REST].config)
    return {name: value for name, value in entry.items() if value != ""}


def _as_typed(config: Mapping[str, Any]) -> Entry:
    names = {"base_url": "url", "poll_s": "poll_seconds"}
    return {names.get(name, name): value for name, value in config.items() if name != "tries_from"}


def _logs(patterns: Sequence[str] | str) -> Entry:
    """The sender or folder that these patterns stand for; nothing where they are of another form."""
    pattern = (patterns if isinstance(patterns, str) else next(iter(patterns), "")).replace("[[]", "[")
    path = Path(pattern)
    if path.name != "request*.log*" or not path.is_relative_to(settings.AIRF5_SPOOL_DIR):
        return {}
    folder = str(path.parent.relative_to(settings.AIRF5_SPOOL_DIR))
    sender = folder.replace("-", ":") if ":" not in folder and "." not in folder else folder
    return {"sender": sender} if folder_of(sender) == folder and folder != "unknown" else {"spool": folder}


def _offset(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
