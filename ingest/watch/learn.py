"""Contracts learned from requests that went well, and the requests that break one (pure).

A contract counts once ENOUGH requests went well over OVER; every pool that was met until then is expected. A pool that
comes later breaks it, until requests to it have gone well for ADOPTED: then it is expected as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ingest.rules.contracts import DECLARED, LEARNED, Contract, broken_by, family_of, prefix_of

ENOUGH, OVER = 50, timedelta(minutes=30)
ADOPTED = timedelta(hours=24)
MOST_CONTRACTS, MOST_POOLS = 200, 12  # of one virtual server, of one contract: clients write paths and agents
FORGOTTEN, NEVER_READY = timedelta(days=30), timedelta(days=1)  # without a request

Key = tuple[int, str, str, str]  # endpoint id, host, prefix, family of agents


class Seen(NamedTuple):
    """Requests of one endpoint, path and agent that went to one pool."""

    endpoint_id: int
    f5_pool: str
    path: str
    agent: str
    well: int  # answered below 400
    answered: int
    first: datetime
    last: datetime
    lines: tuple[int, ...]  # of the first ones
    host: str | None = None  # of all of them as far as looked at; None: not looked at, or several

    @property
    def key(self) -> Key:
        return self.endpoint_id, self.host or "", prefix_of(self.path), family_of(self.agent)


@dataclass(slots=True)
class Known:
    """A contract as it is stored; `id` 0: not yet."""

    endpoint_id: int
    host: str
    prefix: str
    agent: str
    source: str = LEARNED
    state: str = "on"
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    count: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    ready_at: datetime | None = None
    by: str = ""
    id: int = 0
    changed: bool = False

    @property
    def key(self) -> Key:
        return self.endpoint_id, self.host, self.prefix, self.agent

    def as_contract(self) -> Contract | None:
        """As the rules see it; None where it does not count."""
        if self.ready_at is None or self.state != "on":
            return None
        since = ((name, about.get("since")) for name, about in sorted(self.pools.items()))
        pools = tuple((name, datetime.fromisoformat(at)) for name, at in since if at)
        return Contract(
            self.id, self.source, self.host, self.prefix, self.agent, self.count, self.ready_at, pools, self.by
        )


class Broken(NamedTuple):
    """Requests that went to a pool which no contract of theirs expects."""

    seen: Seen
    contract: Contract


def broken(known: Iterable[Known], seen: Iterable[Seen]) -> list[Broken]:
    """What breaks a contract, oldest first; where contracts name hosts, only what cannot be right for any host."""
    of_endpoint: dict[int, list[Contract]] = {}
    for row in known:
        contract = row.as_contract()
        if contract is not None:
            of_endpoint.setdefault(row.endpoint_id, []).append(contract)
    out = []
    for one in sorted(seen, key=lambda s: (s.first, s.lines)):
        found = broken_by(of_endpoint.get(one.endpoint_id, ()), one.f5_pool, one.path, one.first, one.agent, one.host)
        if found is not None and one.answered:
            out.append(Broken(one, found))
    return out


def learn(known: dict[Key, Known], seen: Iterable[Seen]) -> None:
    """Take in what went well; marks what changed. `known` are the learned contracts of these endpoints."""
    rooms: dict[int, int] = {}
    for row in known.values():
        rooms[row.endpoint_id] = rooms.get(row.endpoint_id, 0) + 1
    for one in sorted(seen, key=lambda s: (s.first, s.lines)):
        if not one.well or not one.f5_pool:
            continue
        contract = known.get(one.key)
        if contract is None:
            if rooms.get(one.endpoint_id, 0) >= MOST_CONTRACTS:
                continue
            rooms[one.endpoint_id] = rooms.get(one.endpoint_id, 0) + 1
            contract = known[one.key] = Known(*one.key)
        _take(contract, one)


def _take(contract: Known, seen: Seen) -> None:
    about = contract.pools.get(seen.f5_pool)
    if about is None:
        if len(contract.pools) >= MOST_POOLS:
            return
        ready = contract.ready_at is not None
        about = contract.pools[seen.f5_pool] = {
            "count": 0, "first": seen.first.isoformat(), "since": None if ready else seen.first.isoformat(),
        }  # fmt: skip
    contract.changed = True
    about["count"] += seen.well
    about["last"] = max(seen.last.isoformat(), about.get("last", ""))
    lasted = datetime.fromisoformat(about["last"]) - datetime.fromisoformat(about["first"])
    if about["since"] is None and about["count"] >= ENOUGH and lasted >= ADOPTED:
        about["since"] = about["last"]
    if about["since"] is None:
        return
    contract.count += seen.well
    contract.first_at = min(filter(None, (contract.first_at, seen.first)))
    contract.last_at = max(filter(None, (contract.last_at, seen.last)))
    if contract.ready_at is None and contract.count >= ENOUGH and contract.last_at - contract.first_at >= OVER:
        contract.ready_at = contract.last_at


def is_forgotten(contract: Known, now: datetime) -> bool:
    """Learned, untouched by a person, and without a request for long."""
    if contract.source == DECLARED or contract.by or contract.last_at is None:
        return False
    return contract.last_at < now - (FORGOTTEN if contract.ready_at else NEVER_READY)


def by_host(seen: Seen, hosts: Mapping[int, str]) -> Seen:
    """With the host that its lines name, where all that were found name the same one."""
    found = {hosts[line] for line in seen.lines if hosts.get(line)}
    return seen._replace(host=found.pop()) if len(found) == 1 else seen


def endpoints_of(seen: Sequence[Seen]) -> list[int]:
    return sorted({one.endpoint_id for one in seen})
