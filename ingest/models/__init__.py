"""The tables, by subject: feeds (where bytes come from), airflow, f5, verdicts."""

from .airflow import Airflow, AirflowPool, Connection, Dag, DagRun, DagVersion, Job, TaskLog, Trace, Try, TryKey
from .device import Certificate, DeviceUser, Listing, Monitor, RequestLogProfile, RoutingPolicy
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
from .feeds import Batch, Feed, Reject, Slot, SpoolFile, request_feeds
from .ledger import CounterSample, Expiry, FeedHour, Gap, Recount, SkewSample, Waiting
from .push import PolledState, PushBatch, PushToken
from .review import Review
from .routes import RouteBaseline, RouteContract, RouteFinding, RouteWatch
from .setup import Check, SourceSecret
from .verdicts import Evidence, Incident, IncidentNote, Verdict, VerdictHistory

__all__ = [
    "Agent", "Airflow", "AirflowPool", "Batch", "Certificate", "Check", "Client", "Connection", "CounterSample",
    "Dag", "DagRun", "DagVersion", "Device", "DeviceGroup", "DeviceUser", "Endpoint", "Evidence", "Expiry",
    "F5Message", "F5Pool", "Feed",
    "FeedHour", "Gap", "HealthEvent", "Incident", "IncidentNote", "Job", "Listing", "Member", "Monitor", "Path", "PolledState",
    "PushBatch", "PushToken", "Recount", "Reject", "Request", "RequestDetail", "RequestHalf", "RequestHour",
    "RequestLogProfile", "RequestMinute", "Review", "RouteBaseline", "RouteContract", "RouteFinding",
    "RouteWatch", "RoutingPolicy", "SkewSample", "Slot", "SourceSecret", "SpoolFile",
    "TaskLog", "Trace", "Try", "TryKey", "Verdict", "VerdictHistory", "Waiting", "request_feeds",
]  # fmt: skip
