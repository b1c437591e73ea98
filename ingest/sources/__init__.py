"""Where bytes come from. `SOURCES` names, for each kind of live feed, the module that reads it.

Nothing is imported here: the receiver needs one small module of this package, and starts in a moment.
"""

from __future__ import annotations

SOURCES: dict[str, str] = {
    "airflow_api": "ingest.sources.airflow_api",
    "f5_request": "ingest.sources.spool",
    "f5_ltm": "ingest.sources.spool",
    "f5_audit": "ingest.sources.spool",
    "f5_telemetry": "ingest.sources.spool",
}
