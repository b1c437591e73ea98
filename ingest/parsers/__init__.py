"""Raw text and JSON to records. Pure: the standard library, `ingest.records` and each other; parsing never raises.

PARSERS names every format of `manage.py parse`. Each function takes one line (or JSON document) and the time of
receipt, and returns one record or a list of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ingest.parsers import airflow, airflow_pages, f5, f5_audit, f5_ltm, f5_request_log, f5_telemetry

Parser = Callable[[str, datetime | None], Any]


def _task_instance(text: str, received: datetime | None) -> Any:
    return airflow_pages.each(text, "task_instances", airflow.parse_task_instance)


def _event_log(text: str, received: datetime | None) -> Any:
    return airflow_pages.each(text, "event_logs", airflow.parse_event_log)


PARSERS: dict[str, Parser] = {
    "f5-auto": f5.parse_auto,
    "f5-request-log": f5_request_log.parse,
    "f5-ltm": f5_ltm.parse,
    "f5-audit": f5_audit.parse,
    "f5-telemetry": f5_telemetry.parse,
    "airflow-task-instances": _task_instance,
    "airflow-event-logs": _event_log,
}

# Formats whose input is JSON: a document a line, or one document in the whole file.
JSON_FORMATS = frozenset(("f5-telemetry", "airflow-task-instances", "airflow-event-logs"))
