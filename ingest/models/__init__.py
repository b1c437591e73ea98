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
from .feeds import Batch, Feed, Reject, Slot, SpoolFile
from .ledger import CounterSample, FeedHour, Gap, Recount, SkewSample
from .push import PolledState, PushBatch, PushToken
from .verdicts import Evidence, Incident, IncidentNote, Verdict, VerdictHistory

__all__ = [
    "Agent", "Airflow", "AirflowPool", "Batch", "Client", "Connection", "CounterSample", "Dag", "DagRun", "Device",
    "DeviceGroup", "Endpoint", "Evidence", "F5Message", "F5Pool", "Feed", "FeedHour", "Gap", "HealthEvent", "Incident",
    "IncidentNote", "Job", "Member", "Path", "PolledState", "PushBatch", "PushToken", "Recount", "Reject", "Request", "RequestDetail", "RequestHalf",
    "RequestHour", "RequestMinute", "SkewSample", "Slot", "SpoolFile", "TaskLog", "Trace", "Try", "TryKey", "Verdict", "VerdictHistory",
]  # fmt: skip
