"""The tables, by subject: feeds (where bytes come from), airflow, f5, verdicts."""

from .airflow import Airflow, AirflowPool, Connection, Dag, DagRun, Job, TaskLog, Trace, Try, TryKey
from .f5 import (
    Agent,
    Client,
    Device,
    DeviceGroup,
    Endpoint,
    F5Message,
    F5Pool,
    HealthEvent,
    Member,
    Path,
    Request,
    RequestDetail,
    RequestHalf,
    RequestHour,
    RequestMinute,
)
from .feeds import Batch, Feed, Gap, Reject, Slot, SpoolFile
from .verdicts import Evidence, Incident, IncidentNote, Verdict, VerdictHistory

__all__ = [
    "Agent", "Airflow", "AirflowPool", "Batch", "Client", "Connection", "Dag", "DagRun", "Device", "DeviceGroup",
    "Endpoint", "Evidence", "F5Message", "F5Pool", "Feed", "Gap", "HealthEvent", "Incident", "IncidentNote", "Job",
    "Member", "Path", "Reject", "Request", "RequestDetail", "RequestHalf", "RequestHour", "RequestMinute", "Slot",
    "SpoolFile", "TaskLog", "Trace", "Try", "TryKey", "Verdict", "VerdictHistory",
]  # fmt: skip
