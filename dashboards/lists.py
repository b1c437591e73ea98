"""Every list by name: what reads it, what its rows are, how many. The API and the exports go by this table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airf5.accounts.roles import Scope
from dashboards.filters import Filter
from dashboards.queries import (
    audit,
    dags,
    devices,
    endpoints,
    findings,
    freshness,
    health_events,
    incidents,
    requests,
    sources,
    tries,
)
from dashboards.queries.dag_rows import DagRow
from dashboards.queries.database import reading
from dashboards.queries.rows import ActionRow, HealthEventRow, IncidentRow, Page, RequestRow, TryRow


@dataclass(frozen=True, slots=True)
class Subject:
    """One list, under the same name in the address of its page, its export and the API."""

    slug: str
    listing: str  # its name in dashboards.fields.LISTINGS
    row: type
    summary: str
    read: Callable[[Filter, Scope, datetime], Page[Any]]
    count: Callable[[Filter, Scope], int]


@reading()
def _count_requests(asked: Filter, scope: Scope) -> int:
    return requests.chosen(asked, scope).count()


@reading()
def _count_tries(asked: Filter, scope: Scope) -> int:
    return tries.chosen(asked, scope).count()


@reading()
def _count_incidents(asked: Filter, scope: Scope) -> int:
    return incidents.chosen(asked, scope).count()


@reading()
def _count_health_events(asked: Filter, scope: Scope) -> int:
    return health_events.chosen(asked, scope).count()


@reading()
def _count_findings(asked: Filter, scope: Scope) -> int:
    return findings.chosen(asked, scope).count()


@reading()
def _count_contracts(asked: Filter, scope: Scope) -> int:
    return findings.contracts_chosen(asked, scope).count()


@reading()
def _count_actions(asked: Filter, scope: Scope) -> int:
    return audit.chosen(asked, scope).count()


@reading()
def _count_batches(asked: Filter, scope: Scope) -> int:
    return sources.chosen_batches(asked).count()


@reading()
def _count_gaps(asked: Filter, scope: Scope) -> int:
    return sources.chosen_gaps(asked).count()


@reading()
def _count_rejects(asked: Filter, scope: Scope) -> int:
    return sources.chosen_rejects(asked).count()


def _count_small(read: Callable[[Filter, Scope], Page[Any]]) -> Callable[[Filter, Scope], int]:
    """The length of a list that is held in memory anyway."""
    return lambda asked, scope: len(read(asked.with_(limit=1_000_000), scope).rows)


def _feeds(asked: Filter, scope: Scope) -> Page[freshness.FeedRow]:
    return freshness.feeds(asked, scope, asked.end)


SUBJECTS: dict[str, Subject] = {
    subject.slug: subject
    for subject in (
        Subject("incidents", "incidents", IncidentRow, "Incidents that touch the time range, newest first.",
                incidents.listed, _count_incidents),
        Subject("tries", "tries", TryRow, "Tries that were active in the time range, with their verdicts.",
                lambda asked, scope, now: tries.listed(asked, scope), _count_tries),
        Subject("dags", "dags", DagRow, "DAGs: failures, durations against their own normal, where the time went.",
                lambda asked, scope, now: dags.listed(asked, scope), _count_small(dags.listed)),
        Subject("endpoints", "endpoints", endpoints.EndpointRow, "Virtual servers with what requests met at them.",
                lambda asked, scope, now: endpoints.listed(asked, scope), _count_small(endpoints.listed)),
        Subject("devices", "devices", devices.DeviceRow, "BIG-IPs as iControl REST tells of them: version, certificates, users.",
                endpoints.devices_listed, _count_small(lambda asked, scope: endpoints.devices_listed(asked, scope, asked.end))),
        Subject("requests", "requests", RequestRow, "Requests that crossed F5, newest first.",
                lambda asked, scope, now: requests.listed(asked, scope), _count_requests),
        Subject("health-events", "health_events", HealthEventRow, "Changes of members, nodes, pools and endpoints.",
                lambda asked, scope, now: health_events.listed(asked, scope), _count_health_events),
        Subject("findings", "findings", findings.FindingRow, "What is not as usual of routes, found before anything failed.",
                lambda asked, scope, now: findings.listed(asked, scope), _count_findings),
        Subject("contracts", "contracts", findings.ContractRow, "Which pools the requests of a path go to, learned or declared.",
                lambda asked, scope, now: findings.contracts_listed(asked, scope), _count_contracts),
        Subject("audit", "audit", ActionRow, "User actions of Airflow, F5 and airf5.",
                lambda asked, scope, now: audit.listed(asked, scope), _count_actions),
        Subject("sources", "sources", freshness.FeedRow, "Feeds: state, lag, and what they read and rejected.",
                freshness.feeds, _count_small(_feeds)),
        Subject("sources/batches", "batches", sources.BatchRow, "Committed batches; each adds up.",
                lambda asked, scope, now: sources.batches(asked, scope), _count_batches),
        Subject("sources/gaps", "gaps", freshness.GapRow, "Gaps of feeds that touch the time range, with the reason.",
                lambda asked, scope, now: sources.gaps(asked, scope), _count_gaps),
        Subject("sources/rejects", "rejects", sources.RejectRow, "Lines that could not be read, with the reason.",
                lambda asked, scope, now: sources.rejects(asked, scope), _count_rejects),
    )
}  # fmt: skip
