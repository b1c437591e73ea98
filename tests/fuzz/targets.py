"""Every parser as a target, and what must hold of its answer: one outcome an input, storable, soon, and nothing lost."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from bench.request_forms import TEMPLATES
from ingest.parsers import (
    PARSERS,
    airflow,
    airflow_log,
    airflow_v1,
    f5_audit,
    f5_config,
    f5_folded,
    f5_header,
    f5_icontrol,
    f5_irule,
    f5_telemetry,
)
from ingest.parsers.f5_request_log import Template, compile_template, link_key, parse_with, path_template
from ingest.records import Action, HealthEvent, MemberState, Other, Reject, RequestLine, Try, VirtualServer
from tests.fuzz import seeds

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LONGEST_S = 0.05
RECORDS = (Action, HealthEvent, MemberState, Other, Reject, RequestLine, Try, VirtualServer)
KEPT = 16_384  # of the text of a document; of a line all is kept
USERS_OWN = 's="$HTTP_STATCODE",ua="${User-Agent}",task="${X-Airflow-Task}",http_uri="$HTTP_URI"'


class Broken(AssertionError):
    """An answer that is not as it must be."""


class Target(NamedTuple):
    """A parser: `run` takes a line, or a document, and returns the word for its outcome."""

    name: str
    takes: str  # "line" or "document"
    run: Callable[[Any], str]
    longest_s: float = LONGEST_S


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


def _storable(value: Any) -> None:
    """PostgreSQL takes neither NUL nor half a character, nor JSON with a number that is none."""
    if isinstance(value, str):
        _must("\x00" not in value, "a NUL in the record")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise Broken("a lone surrogate in the record") from None
    elif isinstance(value, float):
        _must(math.isfinite(value), f"{value} in the record")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _storable(key)
            _storable(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            _storable(inner)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _storable(getattr(value, field.name))


def outcome(found: Any, given: str, kept: int | None = None) -> str:
    """The word for one outcome, which is checked: one record (or some, of a document), and the text is kept."""
    several = found if isinstance(found, list) else [found]
    _must(bool(several), "nothing came out")
    for record in several:
        _must(isinstance(record, RECORDS), f"{type(record).__name__} is no record")
        _storable(record)
        if isinstance(record, Reject):
            _must(bool(record.reason), "a reject without a reason")
            message = f5_header.unwrap(given, None)[0]  # a document is kept without the head of the spool's line
            _must(
                record.raw in (given, given[:kept], f5_audit.mask(given), message, message[:kept]),
                "a reject lost its text",
            )
        if isinstance(record, Other) and kept is None:
            _must(record.raw == f5_audit.mask(given) or record.raw == given, "an other lost its text")
        if isinstance(record, RequestLine):
            _request(record)
    return type(several[0]).__name__ if len(several) == 1 else "several"


def _request(line: RequestLine) -> None:
    _must(line.kind in ("request", "response"), f"kind {line.kind}")
    _must(line.kind == "response" or (line.status, line.response_us) == (None, None), "a request with an answer")
    _must(line.status is None or 100 <= line.status <= 999, f"status {line.status}")
    # The fast path looks at the number of digits of a port only; no device writes one beyond 65535.
    for value, most in (
        (line.response_us, 2**63),
        (line.bytes, 2**63),
        (line.client_port, 100_000),
        (line.server_port, 100_000),
    ):
        _must(value is None or 0 <= value < most, f"{value} is out of its range")
    _must(not (line.suspect and link_key(line)), "an exact link of a suspect line")
    _must(len(path_template(line.uri)) <= 200, "a long path")


def _format(name: str) -> Callable[[str], str]:
    parse = PARSERS[name]
    # Documents are kept up to a length, and so is a line that turns out to be one.
    whole = None if name in ("f5-request-log", "f5-ltm", "f5-audit") else KEPT

    def run(text: str) -> str:
        given = f5_header.clean(text)
        received = None if len(text) % 8 == 0 else NEAR
        return outcome(parse(text, received), given, whole if whole and _is_document(name, given) else None)

    return run


def _is_document(name: str, text: str) -> bool:
    return (
        name == "f5-telemetry"
        or f5_header.unwrap(text, None)[0].lstrip().startswith("{")
        or "errdefs_msg_name=" in text
    )


def _templates(*texts: str) -> Callable[[str], str]:
    templates: tuple[Template, ...] = tuple(map(compile_template, texts))
    return lambda text: outcome(parse_with(templates, text, NEAR), f5_header.clean(text))


def _compile(text: str) -> str:
    """Any text as a template: it is refused in a sentence, or reads any line."""
    try:
        template = compile_template(text)
    except ValueError as error:
        _must(bool(str(error)), "refused without a word")
        return "refused"
    outcome(parse_with((template,), text, NEAR), f5_header.clean(text))
    return "template"


def _head(text: str) -> str:
    header = f5_header.parse(f5_header.clean(text), NEAR, timedelta(hours=2))
    _storable(header)
    _must(header.message_id == "" or len(header.message_id) == 8, "a message id of another length")
    f5_folded.continues(text[: len(text) // 2], text[len(text) // 2 :])
    f5_telemetry.pushed(text)
    return "head" if header.at else "no time"


def _whole_text(name: str) -> Callable[[Any], str]:
    """A format of JSON: the document as text."""
    parse = PARSERS[name]

    def run(document: Any) -> str:
        text = document if isinstance(document, str) else json.dumps(document)
        given = f5_header.clean(text)
        found = parse(text, NEAR)
        for record in found if isinstance(found, list) else [found]:
            _must(isinstance(record, RECORDS), f"{type(record).__name__} is no record")
            _storable(record)
            _must(
                not isinstance(record, Reject) or bool(record.reason and (record.raw or not given.strip("\ufffd"))),
                "a reject lost its text",
            )
        return type(found[0] if isinstance(found, list) else found).__name__

    return run


def _value(parse: Callable[[Any], Any]) -> Callable[[Any], str]:
    """A parser of one answer: a value or a list of values, and each can be stored."""

    def run(document: Any) -> str:
        found = parse(document)
        _storable(found)
        return type(found).__name__ if not isinstance(found, list) else ("list" if found else "empty list")

    return run


def _log(document: Any) -> Any:
    return airflow_log.parse_task_log(document, dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1)


def _v1(document: Any) -> Any:
    return airflow.parse_task_instance(airflow_v1.with_true_try(document)) if isinstance(document, dict) else None


def _rule(text: str) -> str:
    _storable(f5_irule.choices("/Common/r", f5_header.clean(text)))
    return "choices"


LINES = (
    *(Target(name, "line", _format(name)) for name in ("f5-auto", "f5-request-log", "f5-ltm", "f5-audit")),
    Target("f5-telemetry as text", "line", _format("f5-telemetry")),
    Target("head and folding", "line", _head),
    Target("one template", "line", _templates(USERS_OWN)),
    Target("all templates", "line", _templates(*TEMPLATES.values())),
    Target("a template", "line", _compile, 1.0),
    Target("iRule", "line", _rule),
)
_ICONTROL = (
    f5_icontrol.parse_pools,
    f5_icontrol.parse_pool_members_stats,
    f5_icontrol.parse_virtuals,
    f5_icontrol.parse_clock,
)
_CONFIG = (
    f5_config.next_page, f5_config.parse_policies, f5_config.parse_rules, f5_config.parse_request_logs,
    f5_config.parse_certificates, f5_config.parse_users, f5_config.parse_virtual_counts, f5_config.parse_pool_counts,
    f5_config.parse_status, f5_config.parse_failover, f5_config.parse_units, f5_config.parse_groups, f5_config.parse_syslog,
    f5_config.parse_names,
)  # fmt: skip
_AIRFLOW = (
    airflow.parse_task_instance, airflow.parse_try, airflow.parse_dag_run, airflow.parse_event_log, airflow.parse_dag,
    airflow.parse_pool, airflow.parse_connection, airflow.parse_job,
)  # fmt: skip
DOCUMENTS = (
    *(
        Target(name, "document", _whole_text(name))
        for name in ("f5-telemetry", "airflow-task-instances", "airflow-event-logs")
    ),
    Target("f5-auto on JSON", "document", _whole_text("f5-auto")),
    *(Target(f"icontrol {parse.__name__}", "document", _value(parse)) for parse in (*_ICONTROL, *_CONFIG)),
    Target("icontrol parse_monitors", "document", _value(lambda answer: f5_config.parse_monitors(answer, "http"))),
    *(Target(f"airflow {parse.__name__}", "document", _value(parse)) for parse in _AIRFLOW),
    Target("airflow parse_task_log", "document", _value(_log)),
    Target("airflow of /api/v1", "document", _value(_v1)),
)


NOTHING = frozenset(
    ("Reject", "NoneType", "empty list", "Other", "")
)  # outcomes of a document that a parser is not for


@cache
def meant_for(target: Target) -> tuple[Any, ...]:
    """The documents of the samples that this parser makes something of."""
    found = []
    for document in seeds.documents():
        with contextlib.suppress(Broken):
            if target.run(document) not in NOTHING:
                found.append(document)
    return tuple(found) or seeds.documents()


def timed(target: Target, given: Any) -> tuple[str, float]:
    """The outcome and how long it took; a slow one is tried again by the thread's own clock, for a busy machine is no fault."""
    began = time.perf_counter()
    said = target.run(given)
    took = time.perf_counter() - began
    for _ in range(3):
        if took <= target.longest_s:
            return said, took
        own = time.thread_time()
        said = target.run(given)
        took = min(took, time.thread_time() - own)
    if took <= target.longest_s:
        return said, took
    raise Broken(f"it took {took * 1000:.0f} ms")
