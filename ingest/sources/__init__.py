"""Where bytes come from. `SOURCES` names, for each kind of live feed, the function that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import airflow_api, spool

SOURCES: dict[str, Callable[..., Any]] = {
    "airflow_api": airflow_api.read,
    "f5_request": spool.follow,
    "f5_ltm": spool.follow,
    "f5_audit": spool.follow,
}
