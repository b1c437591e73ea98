"""An Airflow cluster policy: HttpOperator and HttpSensor say which try makes their call. For Airflow 2.6 to 2.11 and 3.x.

The header is a template, rendered with the task's other fields, so that it travels to the triggerer too: this covers
deferrable operators, whose calls no plugin in the task's process sees.

Only tasks whose connection is named in AIRF5_HEADER_CONNECTIONS get it: names and patterns, as in
`orders_http,reports_*`; `*` is every connection, and without the variable nothing is added.

Nothing in here may raise: a policy that raises takes its DAG away. What goes wrong is logged once.
"""

from __future__ import annotations

import fnmatch
import logging
import os

HEADER = "X-Airflow-Task"
CONNECTIONS = "AIRF5_HEADER_CONNECTIONS"
OPERATORS = frozenset({"HttpOperator", "SimpleHttpOperator", "HttpSensor"})  # SimpleHttpOperator: providers before 4.7
DEFAULT_CONNECTION = "http_default"

# As airf5_trace.py names a try; escaped, for a run's name may hold what no header can. Airflow 2 has no ti.id.
VALUE = (
    "dag={{ ti.dag_id.encode('unicode_escape').decode() }};run={{ ti.run_id.encode('unicode_escape').decode() }};"
    "task={{ ti.task_id.encode('unicode_escape').decode() }};map={{ ti.map_index }};try={{ ti.try_number }}"
    "{% if ti.id is defined and ti.id %};ti={{ ti.id }}{% endif %}"
)

log = logging.getLogger(__name__)
_complained: set[str] = set()


def task_policy(task) -> None:
    """Airflow calls this for every task of every DAG file."""
    try:
        _add_header(task)
    except Exception as error:
        if "policy" not in _complained:
            _complained.add("policy")
            log.warning("airf5_policy could not do its work, the DAG goes on: %r", error)


def _add_header(task) -> None:
    mapped = getattr(task, "partial_kwargs", None)  # of .partial(...).expand(...)
    operator = getattr(task, "operator_class", None) if mapped is not None else type(task)
    if not isinstance(operator, type) or not OPERATORS & {cls.__name__ for cls in operator.__mro__}:
        return
    if "headers" not in (getattr(task, "template_fields", None) or ()):
        return  # it would be sent as it stands here
    if mapped is not None:
        _add_to_mapped(task, mapped)
    elif _allowed(getattr(task, "http_conn_id", "")) and _can_take(task.headers):
        task.headers = {**(task.headers or {}), HEADER: VALUE}


def _add_to_mapped(task, mapped: dict) -> None:
    """A mapped task keeps what all its tasks share in partial_kwargs; headers that are mapped over are left alone."""
    over = getattr(getattr(task, "expand_input", None), "value", None)
    if not isinstance(over, dict) or "headers" in over or "http_conn_id" in over:  # expand_kwargs: known at run time
        return
    if _allowed(mapped.get("http_conn_id", DEFAULT_CONNECTION)) and _can_take(mapped.get("headers")):
        mapped["headers"] = {**(mapped.get("headers") or {}), HEADER: VALUE}


def _allowed(connection) -> bool:
    wanted = os.environ.get(CONNECTIONS, "").split(",")
    return isinstance(connection, str) and any(
        fnmatch.fnmatchcase(connection, one.strip()) for one in wanted if one.strip()
    )


def _can_take(headers) -> bool:
    """A plain dict without the header, or nothing; what an upstream task gives is not known yet."""
    return headers is None or (
        isinstance(headers, dict) and HEADER.lower() not in {str(key).lower() for key in headers}
    )
