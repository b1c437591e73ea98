"""The sources file: a JSON list of Airflows and devices becomes what `ingest.actions` is asked for.

`read` checks all of it and touches no database; `apply` changes what differs, all of it or nothing. An error is one
sentence that names the entry and the field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from ingest import actions, templates
from ingest.models import Feed
from ingest.parsers.times import zone
from ingest.receive import folder_of

ACTOR = "sources file"
LONGEST_NAME = 100
LONGEST_OFFSET = timedelta(hours=14)
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
    """What became of one feed: "created", "changed" or "unchanged"."""

    name: str
    what: str


def read(file: Path, spool: Path) -> list[Source]:
    """The sources of this file. `spool` is where the receiver writes."""
    try:
        entries = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SourcesError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SourcesError(f"{file} is not JSON: {error}.") from error
    if not isinstance(entries, list):
        raise SourcesError(f"{file} must hold a JSON list of sources, [ … ].")
    found: list[Source] = []
    taken: dict[tuple[str, str], str] = {}
    for number, entry in enumerate(entries, 1):
        found += _entry(number, entry, spool, taken)
    return found


def apply(sources: Sequence[Source], *, check: bool = False) -> list[Told]:
    """Create and change what differs, in one transaction; with `check` it is undone at the end."""
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
        if check:
            transaction.set_rollback(True)
    return told


def _entry(number: int, entry: Any, spool: Path, taken: dict[tuple[str, str], str]) -> list[Source]:
    """The feeds of one entry."""
    title = f"Entry {number}"
    if not isinstance(entry, dict):
        raise SourcesError(f"{title} is no JSON object, {{ … }}.")
    kind, name = entry.get("kind"), entry.get("name")
    if kind not in KINDS:
        raise _wrong(title, "kind", kind, "must be " + " or ".join(f'"{one}"' for one in KINDS))
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise _wrong(title, "name", name, f"must be a text of 1 to {LONGEST_NAME} characters")
    title = f"{title} ({kind} {name})"
    checks, sources_of = KINDS[kind]
    for field, value in entry.items():
        if field not in checks:
            raise SourcesError(f"{title}: there is no field {field}; known are {', '.join(checks)}.")
        if problem := checks[field](value):
            # what was written may be a secret
            raise _wrong(title, field, None if field in actions.SECRETS else value, problem)
    found = sources_of(title, name, entry, spool)
    for claim in [("name", f"{one.kind} {one.name}") for one in found] + [
        ("logs", path) for one in found for path in one.config.get("glob", ())
    ]:
        if taken.setdefault(claim, title) != title:
            raise SourcesError(f"{title}: {taken[claim]} has the same {claim[0]}.")
    return found


def _airflow(title: str, name: str, entry: Mapping[str, Any], spool: Path) -> list[Source]:
    if not entry.get("url"):
        raise _wrong(title, "url", None, "is missing")
    if not entry.get("token") and not (entry.get("username") and entry.get("password")):
        raise _wrong(title, "token", None, "is missing, and so is a username with its password")
    config: Config = {"base_url": entry["url"]}
    config |= {key: entry[key] for key in ("username", "password", "token", "options") if entry.get(key)}
    if "poll_seconds" in entry:
        config["poll_s"] = entry["poll_seconds"]
    return [Source(title, Feed.Kind.AIRFLOW_API, name, name, None, config)]


def _device(title: str, name: str, entry: Mapping[str, Any], spool: Path) -> list[Source]:
    if bool(entry.get("spool")) == bool(entry.get("sender")):
        raise _wrong(title, "sender", None, "or spool is needed, and only one of them")
    about: Config = {"group": entry.get("group") or name, "hostname": entry.get("hostname") or ""}
    about["utc_offset_s"] = int((zone(entry.get("utc_offset")) or timedelta()).total_seconds())
    about["makes_own_errors"] = entry.get("makes_own_errors", False)
    about["logs_requests"] = entry.get("logs_requests", not templates.answers_only(entry.get("template")))
    told = about | ({"template": entry["template"]} if entry.get("template") else {})
    feeds = actions.device_sources(name, _spool(entry, spool), told)
    if entry.get("folder"):
        feeds.append((Feed.Kind.F5_ICONTROL, f"{name}/icontrol", {"folder": entry["folder"], **about}))
    return [Source(title, kind, feed, None, name, config) for kind, feed, config in feeds]


def _spool(entry: Mapping[str, Any], spool: Path) -> str:
    """The folder with the device's logs."""
    return str(spool / (entry["spool"] if entry.get("spool") else folder_of(entry["sender"])))


# What may stand in a field: None, or what is wrong with it.


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.isprintable() else "must be a text"


def _yes_or_no(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _address(value: Any) -> str | None:
    problem = "must be an address such as https://airflow.example.com"
    try:
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return problem
    if parts.username or parts.password:
        return "must not hold a user or a password: give username and password"
    return None if fine and len(value) <= 300 else problem


def _reference(value: Any) -> str | None:
    kind, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    fine = (kind == "env" and name.isidentifier()) or (kind == "file" and name.startswith("/"))
    return None if fine else "must be env:NAME or file:/path, which says where the secret stands"


def _seconds(value: Any) -> str | None:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 3600
    return None if fine else "must be a number of seconds from 1 to 3600"


def _sender(value: Any) -> str | None:
    try:
        ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return "must be an IP address"
    return None


def _offset(value: Any) -> str | None:
    found = zone(value) if isinstance(value, str) else None
    return None if found is not None and abs(found) <= LONGEST_OFFSET else 'must be an offset such as "+01:00"'


def _template(value: Any) -> str | None:
    try:
        templates.compiled(templates.texts(value))
    except templates.TemplateRefused as error:
        return f"is refused: {str(error).rstrip('.')}"
    return None


def _folder(value: Any) -> str | None:
    return (
        None if isinstance(value, str) and value.startswith("/") and value.isprintable() else "must be an absolute path"
    )


def _options(value: Any) -> str | None:
    known = ("verify", "proxy", "first_hours", "page_limit", "overlap_s", "most_details")
    fine = isinstance(value, dict) and set(value) <= set(known)
    if fine and value.get("proxy") is not None:
        return _address(value["proxy"])
    return None if fine else "must be an object with " + ", ".join(known)


Check = Callable[[Any], str | None]
Maker = Callable[[str, str, Mapping[str, Any], Path], list[Source]]
KINDS: dict[str, tuple[dict[str, Check], Maker]] = {
    "airflow": (
        {
            "kind": _text, "name": _text, "url": _address, "username": _text, "password": _reference,
            "token": _reference, "poll_seconds": _seconds, "options": _options,
        },
        _airflow,
    ),
    "device": (
        {
            "kind": _text, "name": _text, "group": _text, "hostname": _text, "sender": _sender, "spool": _text,
            "utc_offset": _offset, "makes_own_errors": _yes_or_no, "logs_requests": _yes_or_no,
            "template": _template, "folder": _folder,
        },
        _device,
    ),
}  # fmt: skip


def _wrong(title: str, field: str, value: Any, problem: str) -> SourcesError:
    shown = f" {json.dumps(value, ensure_ascii=False)[:200]}" if value is not None else ""
    return SourcesError(f"{title}: {field}{shown} {problem}.")
