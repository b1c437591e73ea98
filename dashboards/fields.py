"""What can be asked of each list, as data: its fields, the words they take, its time range and its orders (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

LASTS: dict[str, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
LAST_WORDS = {
    "15m": "the last 15 minutes",
    "1h": "the last hour",
    "6h": "the last 6 hours",
    "24h": "the last 24 hours",
    "7d": "the last 7 days",
    "30d": "the last 30 days",
}

CULPRITS = ("route", "service", "task", "unknown")
TRY_STATES = (
    "success", "failed", "running", "queued", "scheduled", "up_for_retry", "up_for_reschedule", "upstream_failed",
    "deferred", "skipped", "restarting", "removed",
)  # fmt: skip
REQUEST_STATES = ("ok", "slow", "client_error", "server_error", "unanswered", "failed")
INCIDENT_STATES = ("open", "over")
REVIEWS = ("confirmed", "overturned", "none")
TASK_EVENTS = ("shown", "only")
LAYERS = ("airflow", "f5", "airf5")
FINDINGS = ("misroute", "latency", "errors")
CONTRACT_STATES = ("on", "off", "learning")


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a list can be narrowed by."""

    name: str
    label: str
    meaning: str
    pattern: bool = False  # takes * for any text
    words: tuple[str, ...] = ()  # takes these words only, several with commas
    many: bool = False  # several values with commas
    without: str = "any"  # what holds where it is not asked


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("airflow", "Airflow", "name of one Airflow instance", pattern=True),
        Field("device_group", "device group", "name of one BIG-IP or HA pair, exact or with *", pattern=True),
        Field("dag", "DAG", "DAG id, exact or with *", pattern=True),
        Field("task", "task", "task id, exact or with *", pattern=True),
        Field("run", "run", "run id, exact or with *", pattern=True),
        Field("airflow_pool", "Airflow pool", "slot pool the task runs in, exact or with *", pattern=True),
        Field("f5_pool", "F5 pool", "pool of the BIG-IP, full path or its last part, or with *", pattern=True),
        Field("endpoint", "endpoint", "virtual server, full path or its last part, or with *", pattern=True),
        Field("member", "member", "pool member, full path, its last part or address:port, or with *", pattern=True),
        Field("state", "state", "state, several with commas; the words depend on the list", many=True),
        Field("culprit", "verdict", "whose fault it was, several with commas", words=CULPRITS, many=True),
        Field("cause", "cause", "code of a cause, several with commas", many=True),
        Field("review", "review", "what people said of the verdict, several with commas", words=REVIEWS, many=True),
        Field("kind", "kind", "what was found, several with commas", words=FINDINGS, many=True),
        Field("layer", "layer", "whose action it is, several with commas", words=LAYERS, many=True),
        Field("actor", "actor", "who did it, exact or with *", pattern=True),
        Field("verb", "action", "what was done, exact or with *", pattern=True),
        Field(
            "task_events",
            "task events",
            "what Airflow says of its tasks' lives (running, success …), hidden without it",
            words=TASK_EVENTS,
            without="hidden",
        ),
        Field("feed", "feed", "name of a feed, exact or with *", pattern=True),
    )
}

COMMON = (
    "airflow", "device_group", "dag", "task", "run", "airflow_pool", "f5_pool", "endpoint", "member", "state", "culprit",
    "cause",
)  # fmt: skip
AUDIT = ("airflow", "device_group", "dag", "airflow_pool", "f5_pool", "endpoint", "member", "state")
SOURCE = ("airflow", "device_group", "dag", "airflow_pool", "f5_pool", "endpoint", "state", "feed")
CONTROLS = ("from", "to", "last", "sort", "limit", "after")


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: what it is called, what it can be asked, where it begins."""

    name: str
    noun: str
    fields: tuple[str, ...] = COMMON
    last: str = "24h"
    sorts: tuple[str, ...] = ()  # the first is the default; a leading - is descending
    states: tuple[str, ...] = ()  # the words `state` takes here; empty: any word


LISTINGS: dict[str, Listing] = {
    listing.name: listing
    for listing in (
        Listing("", "Everything"),
        Listing("overview", "Everything", last="15m"),
        Listing("now", "Everything", last="15m"),
        Listing("incidents", "Incidents", sorts=("-start", "start", "-tries"), states=INCIDENT_STATES),
        Listing(
            "tries", "Tries", fields=(*COMMON, "review"), sorts=("-queued", "queued", "-duration"), states=TRY_STATES
        ),
        Listing("dags", "DAGs", sorts=("dag", "-dag", "-tries", "-failed", "-p95", "-times_normal"), states=TRY_STATES),
        Listing("endpoints", "Endpoints", last="1h", sorts=("name", "-name")),
        Listing("devices", "Devices", last="1h", sorts=("name", "-name")),
        Listing("requests", "Requests", last="1h", sorts=("-at",), states=REQUEST_STATES),
        Listing("health_events", "Health events", fields=COMMON[:-2], sorts=("-at", "at")),
        Listing(
            "findings",
            "Findings before anything failed",
            fields=(*COMMON[:-3], "kind", "state"),
            last="7d",
            sorts=("-at", "at"),
            states=INCIDENT_STATES,
        ),
        Listing(
            "contracts",
            "Contracts of routes",
            fields=COMMON[:-2],
            last="30d",
            sorts=("-seen", "seen"),
            states=CONTRACT_STATES,
        ),
        Listing("audit", "User actions", fields=(*AUDIT, "layer", "actor", "verb", "task_events"), sorts=("-at", "at")),
        Listing("sources", "Feeds", fields=SOURCE, sorts=("name", "-name")),
        Listing("batches", "Batches", fields=SOURCE, sorts=("-at",)),
        Listing("gaps", "Gaps", fields=(*SOURCE[:-2], "feed"), sorts=("-start",)),
        Listing("rejects", "Unreadable lines", fields=SOURCE, sorts=("-at",)),
    )
}
