"""A source's form: inputs made from the table of fields, and what was typed made into an entry. No database here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from ingest.setup.source_fields import Field
from ingest.setup.source_secrets import SEALED
from ingest.setup.source_setup import Entry, SetupRefused, Typed
from ingest.sources.http import redact

LONGEST_LIST = 20_000
UNSHOWN = frozenset({"kind"})
YES_NO = {True: "yes", False: "no"}


@dataclass(frozen=True, slots=True)
class Input:
    """One input as the template draws it. `state` says where a secret stands now; the secret itself is nowhere."""

    name: str
    label: str
    help: str
    control: str
    value: str
    wide: bool
    wrong: bool
    state: str = ""
    locked: bool = False


def inputs(fields: Sequence[Field], entry: Entry, *, typed: QueryDict | None, wrong: str, is_new: bool) -> list[Input]:
    """The inputs of a form with what is stored, or with what was typed when that was refused."""
    out = []
    for field in fields:
        if field.name in UNSHOWN:
            continue
        value = entry.get(field.name)
        shown = "" if field.control == "secret" else _shown(field, value)
        if typed is not None and field.control != "secret":
            shown = redact(typed.get(field.name, ""))
        elif typed is not None:
            reference = typed.get(f"{field.name}_ref", "")
            shown = reference if reference.startswith(("env:", "file:")) else ""  # else it may be the secret itself
        out.append(
            Input(
                field.name, field.label, field.help, field.control, shown, field.wide, field.name == wrong,
                _secret_state(value) if field.control == "secret" else "", field.name == "name" and not is_new,
            )
        )  # fmt: skip
    return out


def read(fields: Sequence[Field], post: QueryDict, before: Entry) -> Typed:
    """What was typed; a text that is no number or no JSON is refused with its field."""
    entry: Entry = {}
    secrets: dict[str, str] = {}
    references: dict[str, str] = {}
    dropped = set()
    for field in fields:
        if field.name in UNSHOWN:
            continue
        if field.control == "secret":
            secrets[field.name] = post.get(field.name, "")
            references[field.name] = post.get(f"{field.name}_ref", "").strip()
            if post.get(f"{field.name}_drop"):
                dropped.add(field.name)
            continue
        value = _value(field, post.get(field.name, ""), before.get(field.name))
        if value is not None:
            entry[field.name] = value
    return Typed(entry, secrets, references, frozenset(dropped))


def _value(field: Field, text: str, before: Any) -> Any:
    """The typed text as YAML would have it; None where nothing was typed."""
    text = text.replace("\r\n", "\n").strip("\n " if field.control != "text" else None)
    if not text:
        return None
    if len(text) > LONGEST_LIST:
        raise SetupRefused(f"{field.label} is longer than {LONGEST_LIST:,} characters.", field.name)
    if field.control == "number":
        return _number(field, text)
    if field.control == "flag":
        return before if text == "yes" and isinstance(before, str) else text == "yes"
    if field.control == "list":
        lines = [line for line in (one.strip("\r") for one in text.split("\n")) if line.strip()]
        lines = [line.strip() for line in lines] if field.name == "allow" else lines
        return lines[0] if len(lines) == 1 and field.name != "allow" and not isinstance(before, list) else lines
    if field.control == "json":
        return _json(field, text)
    return text


def _number(field: Field, text: str) -> float | int:
    try:
        found = float(text)
    except ValueError as error:
        raise SetupRefused(f"{field.label} must be a number.", field.name) from error
    return int(found) if found.is_integer() else found


def _json(field: Field, text: str) -> Any:
    if text.startswith("/"):  # the path of a file, as it is
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SetupRefused(f"{field.label} must be JSON, such as true or {{…}}.", field.name) from error


def _shown(field: Field, value: Any) -> str:
    if value is None:
        return ""
    if field.control == "flag":
        return YES_NO[bool(value)]
    if field.control == "list":
        return value if isinstance(value, str) else "\n".join(map(str, value))
    if field.control == "json" and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _secret_state(value: Any) -> str:
    if not value:
        return ""
    return "one is kept, sealed" if value == SEALED else f"taken from {value}"


LOOKS = {"ok": ("success", "ok"), "warn": ("slow", "info"), "fail": ("failed", "x")}


def look(level: str) -> dict[str, str]:
    """The hue and the icon of a level."""
    hue, glyph = LOOKS.get(level, ("unknown", "unknown"))
    return {"hue": hue, "glyph": glyph}
