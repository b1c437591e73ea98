"""Where bytes come from. `SOURCES` names, for each kind of live feed, the function that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import airflow_api, airflow_db, f5_icontrol, f5_rest, spool

SOURCES: dict[str, Callable[..., Any]] = {
    "airflow_api": airflow_api.read,
    "airflow_db": airflow_db.read,
    "f5_request": spool.follow,
    "f5_ltm": spool.follow,
    "f5_audit": spool.follow,
    "f5_icontrol": f5_icontrol.read,
    "f5_rest": f5_rest.read,
}
