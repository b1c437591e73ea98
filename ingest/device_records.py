"""What a BIG-IP tells of its own configuration over iControl REST, as plain values (pure, like `ingest.records`)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, NamedTuple


class Profile(NamedTuple):
    """A profile as a virtual server holds it. `kind` is the type in its URL: http, fastl4, request-log, client-ssl …"""

    name: str
    kind: str
    context: str = ""  # all | clientside | serverside


class Choice(NamedTuple):
    """One place in a policy or an iRule that decides where a request goes.

    kind: pool | virtual | node | clone_pool, or redirect | respond | reset, where no pool is asked at all.
    """

    kind: str
    target: str  # full path of a pool or virtual server, address:port, a URL; "" where it is computed while it runs
    rule: str  # the policy's rule, or the iRule's event
    when: str = ""  # the policy's conditions in words; the iRule's own line


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """An LTM policy or an iRule, with every choice that it names."""

    name: str
    kind: str  # policy | irule
    choices: tuple[Choice, ...] = ()
    strategy: str = ""  # of a policy: /Common/first-match …


@dataclass(frozen=True, slots=True)
class RequestLogProfile:
    """An LTM request-log profile. Templates as they stand on the wire (without tmsh's backslashes)."""

    name: str
    logs_requests: bool = False
    logs_responses: bool = False
    responses_by_default: bool = True  # no: only where an iRule asks for it
    request_template: str = ""
    response_template: str = ""
    request_pool: str = ""
    response_pool: str = ""
    protocols: tuple[str, ...] = ()  # mds-tcp, mds-udp: of what it logs

    @classmethod
    def of(cls, row: Any) -> RequestLogProfile:
        """The profile as its table keeps it."""
        told = cls(**{field.name: getattr(row, field.name) for field in fields(cls)})
        return replace(told, protocols=tuple(told.protocols))


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate file on the device."""

    name: str
    expires_at: datetime | None
    subject: str = ""
    issuer: str = ""
    key: str = ""  # "rsa-public 2048"
    is_bundle: bool = False


@dataclass(frozen=True, slots=True)
class DeviceUser:
    """A local user of the device, without anything of the password."""

    name: str
    roles: tuple[tuple[str, str], ...] = ()  # (partition, role)
    shell: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Monitor:
    """A health monitor. `send` is the request's first line alone: what follows may hold credentials."""

    name: str
    kind: str  # http, https, tcp, gateway-icmp …
    interval_s: int | None = None
    timeout_s: int | None = None
    send: str = ""
    recv: str = ""
    recv_disable: str = ""
    destination: str = ""
    reverse: bool = False


class Count(NamedTuple):
    """The totals that a device keeps of one virtual server or pool member since its counters were reset."""

    name: str  # full path of the virtual server, or of the member's pool
    requests: int | None
    connections: int | None


@dataclass(frozen=True, slots=True)
class Unit:
    """One BIG-IP of a trust domain as /mgmt/tm/cm/device lists it."""

    name: str
    hostname: str = ""
    version: str = ""
    failover: str = ""  # active | standby | offline | forced-offline …
    time_zone: str = ""
    is_self: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A device group: its units share the configuration (sync-failover) or parts of it (sync-only)."""

    name: str
    kind: str
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """A coloured status of /mgmt/tm/cm: failover-status, sync-status."""

    status: str
    color: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Syslog:
    """Where the device's own syslog goes: (name, host, port) of each remote server."""

    servers: tuple[tuple[str, str, int | None], ...] = ()
    iso_date: bool = False
