"""manage.py parse FORMAT FILE|-: one JSON object on standard output for each line of input. Needs no database."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ingest.parsers import JSON_FORMATS, PARSERS, f5_request_log, times
from ingest.parsers.f5_header import clean
from ingest.records import Action, Reject, RequestLine

Parse = Callable[[str, datetime], Any]
_NAMES = {Action: "user_action", RequestLine: "request"}
_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_WHOLE_FILE = 256 * 1024 * 1024  # a JSON array is read at once, so it has a limit


class Command(BaseCommand):
    help = "Parse a file of log lines or JSON and print one JSON object for each line."
    requires_system_checks = ()  # no database, nothing to check

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("format", metavar="FORMAT", help=", ".join(PARSERS))
        parser.add_argument("file", metavar="FILE", help="a file, or - for standard input")
        parser.add_argument("--received", metavar="ISO", help="time of receipt with its zone, for lines without a year")
        parser.add_argument("--template", metavar="FILE", help="request-log templates, one on each line")

    def handle(self, *args: Any, **options: Any) -> None:
        parse = _parser(options["format"], options["template"])
        received = _received(options["received"])
        try:
            source: Any = _open(options["file"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}", returncode=2) from None
        try:
            with source as file:
                for line in _inputs(file, options["format"] in JSON_FORMATS):
                    sys.stdout.write(_output(parse(line, received)) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open(path: str) -> Any:
    return nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb")  # the caller closes it


def _parser(name: str, template_file: str | None) -> Parse:
    if name not in PARSERS:
        raise CommandError(f"{name} is not a format. Formats: {', '.join(PARSERS)}.", returncode=2)
    if not template_file:
        return PARSERS[name]
    if name not in ("f5-request-log", "f5-auto"):
        raise CommandError("--template goes with f5-request-log or f5-auto.", returncode=2)
    try:
        with open(template_file, encoding="utf-8", errors="replace") as file:
            templates = tuple(
                f5_request_log.compile_template(text) for text in file.read().splitlines() if text.strip()
            )
    except OSError as error:
        raise CommandError(f"{template_file} cannot be read: {error.strerror}", returncode=2) from None
    except ValueError as error:
        raise CommandError(f"the template in {template_file} cannot be used: {error}", returncode=2) from None
    if not templates:
        raise CommandError(f"{template_file} holds no template.", returncode=2)
    return lambda line, received: _with_templates(name, templates, line, received)


def _with_templates(name: str, templates: tuple[f5_request_log.Template, ...], line: str, received: datetime) -> Any:
    found = f5_request_log.parse_with(templates, line, received)
    return PARSERS[name](line, received) if isinstance(found, Reject) and name == "f5-auto" else found


def _received(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    at = times.instant(text.strip())
    if at is None:
        raise CommandError(
            f"--received {text} is not a time with a zone; write for example 2026-11-22T09:25:10Z or …+01:00.",
            returncode=2,
        )
    return at


def _inputs(file: IO[bytes], is_json: bool) -> Iterator[str]:
    """The lines of the file; for JSON formats the documents, which are one on each line or one in the whole file."""
    if not is_json:
        yield from (_text(line) for line in file)
        return
    first = file.readline()
    if _is_document(first):
        yield from (_text(line) for line in _chain(first, file) if line.strip())
        return
    yield from _whole(first + file.read(_WHOLE_FILE))


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _is_document(line: bytes) -> bool:
    """True where the first line is a JSON object by itself, so that the file is JSON lines."""
    try:
        return isinstance(json.loads(line.decode("utf-8", "replace")), dict)
    except (ValueError, RecursionError):
        return False


def _whole(data: bytes) -> Iterator[str]:
    text = _text(data)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # not JSON as a whole: each line answers for itself
        yield from (line for line in text.splitlines() if line.strip())
        return
    if isinstance(found, list):
        yield from (json.dumps(item, ensure_ascii=False) for item in found)
    else:
        yield text


def _text(data: bytes) -> str:
    return clean(data.decode("utf-8", "replace"))


def _output(result: Any) -> str:
    """The record as JSON; several records of one document are one object: a line of input is a line of output."""
    shaped = {"record": "list", "records": [_shape(r) for r in result]} if _several(result) else _shape(_single(result))
    return json.dumps(shaped, ensure_ascii=True, default=_plain, separators=(", ", ": "))


def _several(result: Any) -> bool:
    return isinstance(result, list) and len(result) != 1


def _single(result: Any) -> Any:
    return result[0] if isinstance(result, list) else result


def _shape(record: Any) -> dict[str, Any]:
    name = _NAMES.get(type(record)) or _WORD.sub("_", type(record).__name__).lower()
    if isinstance(record, RequestLine):
        at = times.from_us(record.ts_us)
        return {"record": name, "at": times.iso(at) if at else None, **record._asdict()}
    return {"record": name, **{field.name: getattr(record, field.name) for field in dataclasses.fields(record)}}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return times.iso(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)
