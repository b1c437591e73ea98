"""The sources file: a YAML or JSON list of Airflows and devices becomes what `ingest.actions` is asked for.

`read` checks all of it and touches no database; `apply` changes what differs, all of it or nothing. An error is one
sentence that names the entry and the field.
"""

from __future__ import annotations

import glob
import json
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction
from django.db.models import Q

from ingest import actions
from ingest.models import Feed
from ingest.parsers.times import zone
from ingest.push import spool as push_spool
from ingest.receive import folder_of
from ingest.setup import source_fields, templates
from ingest.setup.source_fields import LONGEST_NAME, Field
from ingest.sources.http import redact

ACTOR = "sources file"
LARGEST_FILE = 2**20
_TABS = re.compile(r"(?m)^[ \t]*\t")  # JSON may be indented by tabs, YAML not
Config = dict[str, Any]


class SourcesError(ValueError):
    """The file cannot be used; the sentence names the entry and the field."""


@dataclass(frozen=True, slots=True)
class Source:
    """One feed as `ingest.actions.configure_source` takes it, and the entry that it came from."""

    entry: str
    kind: str
    name: str
    airflow: str | None
    device: str | None
    config: Config


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one feed: "created", "changed", "unchanged" or "stopped"."""

    name: str
    what: str


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which refuses a key that stands twice: the second would quietly win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
            seen.add(key.value if isinstance(key.value, str) else id(key))
        return super().construct_mapping(node, deep)


def read(file: Path, spool: Path) -> list[Source]:
    """The sources of this file. `spool` is where the receiver writes."""
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise SourcesError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SourcesError(f"{file} is not UTF-8: {error}.") from error
    return parse(text, str(file), spool)


def parse(text: str, where: str, spool: Path) -> list[Source]:
    """The sources of a YAML or JSON text; `where` it stands is named in errors."""
    if len(text) > LARGEST_FILE:
        raise SourcesError(f"{where} is longer than {LARGEST_FILE >> 20} MB.")
    try:
        entries = yaml.load(_TABS.sub(" ", text), _Loader)  # a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourcesError(f"{where} is not YAML or JSON: {_one_line(error)}.") from error
    if not isinstance(entries, list):
        raise SourcesError(f"{where} must hold a list of sources: entries that begin with -, or JSON's [ … ].")
    found: list[Source] = []
    taken: dict[tuple[str, str], str] = {}
    for number, entry in enumerate(entries, 1):
        found += sources_of(f"Entry {number}", entry, spool, taken)
    return found


def _one_line(error: Exception) -> str:
    """What the parser says and where, without the text around it, which may hold a secret."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return (problem or type(error).__name__) + place


def apply(sources: Sequence[Source], *, check: bool = False) -> list[Told]:
    """Create and change what differs, and stop what an entry has no more, in one transaction.

    With `check` it is undone at the end. Sources that have no entry at all are left alone: a page may have set them up.
    """
    told = []
    with transaction.atomic():
        for one in sources:
            arguments = (one.kind, one.name, one.airflow, one.device, one.config)
            exists = Feed.objects.filter(name=one.name).exists()
            if actions.is_configured(*arguments):
                told.append(Told(one.name, "unchanged"))
                continue
            try:
                actions.configure_source(*arguments, ACTOR)
            except actions.Refused as error:
                raise SourcesError(f"{one.entry}: {error}") from error
            told.append(Told(one.name, "changed" if exists else "created"))
        for feed in _no_more(sources):
            actions.drop_source(feed, ACTOR)
            told.append(Told(feed.name, "stopped"))
        if check:
            transaction.set_rollback(True)
    return told


def _no_more(sources: Sequence[Source]) -> list[Feed]:
    """The live feeds of what these entries are about that none of them has any more."""
    airflows, devices = {one.airflow for one in sources}, {one.device for one in sources}
    mine = Q(airflow__name__in=airflows - {None}) | Q(device__name__in=devices - {None})
    found = Feed.objects.filter(mine, capture="").exclude(name__in={one.name for one in sources})
    return [feed for feed in found.order_by("name") if not feed.config.get(actions.DROPPED)]


def sources_of(title: str, entry: Any, spool: Path, taken: dict[tuple[str, str], str]) -> list[Source]:
    """The feeds of one entry, which is called `title` in errors; `taken` holds what earlier entries claim."""
    if not isinstance(entry, dict):
        raise SourcesError(f"{title} is no object with fields.")
    kind, name = entry.get("kind"), entry.get("name")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _wrong(title, "kind", kind, "must be " + " or ".join(f'"{one}"' for one in KINDS))
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise _wrong(title, "name", name, f"must be a text of 1 to {LONGEST_NAME} characters")
    title = f"{title} ({kind} {name})"
    fields, maker = KINDS[kind]
    known = {field.name: field for field in fields}
    for name_of_field, value in entry.items():
        if name_of_field not in known:
            raise SourcesError(f"{title}: there is no field {name_of_field}; known are {', '.join(known)}.")
        if problem := known[name_of_field].check(value):
            # what was written may be a secret
            shown = None if known[name_of_field].is_secret else value
            raise _wrong(title, name_of_field, shown, problem)
    found = maker(title, name, entry, spool)
    for claim in [("name", f"{one.kind} {one.name}") for one in found] + [
        ("logs", path) for one in found for path in one.config.get("glob", ())
    ]:
        if taken.setdefault(claim, title) != title:
            raise SourcesError(f"{title}: {taken[claim]} has the same {claim[0]}.")
    return found


def _airflow(title: str, name: str, entry: Mapping[str, Any], spool: Path) -> list[Source]:
    if not entry.get("url") and not entry.get("database"):
        raise _wrong(title, "url", None, "is missing, and so is database")
    shared: Config = {key: entry[key] for key in ("allow", "options") if entry.get(key)}
    if "poll_seconds" in entry:
        shared["poll_s"] = entry["poll_seconds"]
    found = []
    if entry.get("url"):
        found.append(Source(title, Feed.Kind.AIRFLOW_API, name, name, None, _rest_of_airflow(title, entry) | shared))
    if entry.get("database"):
        config = {"database": entry["database"], **shared}
        found.append(Source(title, Feed.Kind.AIRFLOW_DB, f"{name}/database", name, None, config))
    return found


def _rest_of_airflow(title: str, entry: Mapping[str, Any]) -> Config:
    """How to reach an Airflow's REST API. Where its database is read too, the tries come from there."""
    auth, person = entry.get("auth"), entry.get("username") and entry.get("password")
    if auth == "bearer" and not entry.get("token"):
        raise _wrong(title, "token", None, "is missing: auth bearer needs it")
    if auth in ("basic", "token") and not person:
        raise _wrong(title, "username", None, f"with its password is missing: auth {auth} needs both")
    if not entry.get("token") and not person:
        raise _wrong(title, "token", None, "is missing, and so is a username with its password")
    config: Config = {"base_url": entry["url"]}
    config |= {key: entry[key] for key in ("api", "auth", "username", "password", "token", "through") if entry.get(key)}
    return config | ({"tries_from": "database"} if entry.get("database") else {})


def _device(title: str, name: str, entry: Mapping[str, Any], spool: Path) -> list[Source]:
    logs, pushes = bool(entry.get("spool")) + bool(entry.get("sender")), entry.get("telemetry")
    if logs != 1 and not ((pushes or entry.get("url")) and not logs):
        raise _wrong(title, "sender", None, "or spool is needed, and only one of them")
    about: Config = {"group": entry.get("group") or name, "hostname": entry.get("hostname") or ""}
    about["utc_offset_s"] = int((zone(entry.get("utc_offset")) or timedelta()).total_seconds())
    about["makes_own_errors"] = entry.get("makes_own_errors", False)
    about["logs_requests"] = entry.get("logs_requests", not templates.answers_only(entry.get("template")))
    told = about | ({"template": entry["template"]} if entry.get("template") else {})
    feeds = actions.device_sources(name, _spool(entry, spool), told) if logs else []
    if pushes:
        pattern = f"{glob.escape(str(push_spool.folder_of(spool, name)))}/telemetry*.log*"
        token = {"token": pushes} if isinstance(pushes, str) else {}
        feeds.append((Feed.Kind.F5_TELEMETRY, f"{name}/telemetry", {"glob": [pattern], **token, **about}))
    if entry.get("folder"):
        feeds.append((Feed.Kind.F5_ICONTROL, f"{name}/icontrol", {"folder": entry["folder"], **about}))
    if entry.get("url"):
        feeds.append((Feed.Kind.F5_REST, f"{name}/rest", {**_rest(title, entry), **about}))
    return [Source(title, kind, feed, None, name, config) for kind, feed, config in feeds]


def _rest(title: str, entry: Mapping[str, Any]) -> Config:
    """How to reach the device's iControl REST."""
    for field in ("username", "password"):
        if not entry.get(field):
            raise _wrong(title, field, None, "is missing: iControl REST at url asks for both")
    config: Config = {"base_url": entry["url"], "username": entry["username"], "password": entry["password"]}
    return config | {name: entry[name] for name in ("verify", "calls_per_minute", "allow") if name in entry}


def _spool(entry: Mapping[str, Any], spool: Path) -> str:
    """The folder with the device's logs."""
    return str(spool / (entry["spool"] if entry.get("spool") else folder_of(entry["sender"])))


Maker = Callable[[str, str, Mapping[str, Any], Path], list[Source]]
KINDS: dict[str, tuple[Sequence[Field], Maker]] = {
    "airflow": (source_fields.AIRFLOW, _airflow),
    "device": (source_fields.DEVICE, _device),
}


def _wrong(title: str, field: str, value: Any, problem: str) -> SourcesError:
    plain = isinstance(value, str | int | float)
    words = (
        json.dumps(value, ensure_ascii=False)[:200] if plain else reprlib.repr(value)[:200]
    )  # aliases may nest deeply
    shown = f" {redact(words)}" if value is not None else ""
    return SourcesError(f"{title}: {field}{shown} {problem}.")
