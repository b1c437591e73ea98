"""The output of Telemetry Streaming's poller: members and virtual servers as they are, and what of it is a state.

Names and texts are clean of what PostgreSQL cannot hold. A poller may leave anything out, and F5's own sample has keys
that disagree with names, and ports that are 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ingest.parsers import times
from ingest.parsers.f5_header import clean
from ingest.parsers.f5_request_fields import number
from ingest.records import MemberState, Other, VirtualServer

NEAR = timedelta(minutes=10)  # a device's clock that is further off is no time to store anything by
_STATES = {
    "forced-down": "forced_down",
    "user-down": "forced_down",
    "node-down": "node_down",
    "fqdn-up": "up",
    "fqdn-down": "down",
}
_POOL_STATES = {"offline": "no_members", "available": "has_members"}
_SERVER_STATES = {"offline": "unavailable", "available": "available"}


class State(NamedTuple):
    """What one object is right now, in the words of `records.HealthEvent`; "" as state: the poller does not know."""

    kind: str  # member | pool | virtual | device
    object: str
    state: str
    f5_pool: str = ""
    member: str = ""
    reason: str = ""


def parse(found: dict[str, Any], raw: str, received: datetime | None) -> list[MemberState | VirtualServer | Other]:
    """Every member of every pool, and every virtual server; `Other` for a piece that has neither."""
    records: list[MemberState | VirtualServer | Other] = [
        _member(pool, name, row) for pool, name, row in _members(found)
    ]
    http = {clean(name) for name in _map(found, "httpProfiles")}
    records += [_server(name, row, http) for name, row in _rows(found, "virtualServers")]
    if records:
        return records
    text = "systemInfo with " + (", ".join(sorted(map(str, found))[:20]) or "nothing")
    return [Other(at(found, received), hostname(found), "", "", "", clean(text)[:500], raw)]


def at(found: dict[str, Any], received: datetime | None) -> datetime | None:
    """When it was polled, by the device's clock; the time of receipt where that clock says nothing that can be."""
    system = _map(found, "system")
    said = times.any_time(str(system.get("systemTimestamp", "")))
    if said is None or (received is not None and abs(said - received) > NEAR):
        return received or said
    return said


def hostname(found: dict[str, Any]) -> str:
    """The device's own name."""
    return clean(str(_map(found, "system").get("hostname", "")))


def states(found: dict[str, Any]) -> list[State]:
    """What each object is, where the poller says so."""
    out = []
    for pool, name, row in _members(found):
        said = _text(row, "monitorStatus") or _text(row, "availabilityState")
        state = _STATES.get(said, said.replace("-", "_").replace(" ", "_"))[:30]
        out.append(State("member", f"{pool} {name}", state, pool, name, _text(row, "status.statusReason")))
    for name, row in _rows(found, "pools"):
        state = _POOL_STATES.get(_text(row, "availabilityState"), "")
        out.append(State("pool", name, state, name, reason=_text(row, "status.statusReason")))
    for name, row in _rows(found, "virtualServers"):
        state = _SERVER_STATES.get(_text(row, "availabilityState"), "")
        out.append(State("virtual", name, state, reason=_text(row, "status.statusReason")))
    said = _text(_map(found, "system"), "failoverStatus").lower()
    if said in ("active", "standby"):
        out.append(State("device", "", said))
    return [one for one in out if one.state]


def _map(found: Any, key: str) -> dict[str, Any]:
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}


def _rows(found: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, row in _map(found, key).items():
        if isinstance(row, dict) and name:
            yield _name(name), row


def _members(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for pool, row in _rows(found, "pools"):
        for name, member in _rows(row, "members"):
            yield pool, name, member


def _name(text: Any) -> str:
    return clean(str(text)).replace("%25", "%")


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return clean(value).strip() if isinstance(value, str) else ""


def _member(pool: str, name: str, row: dict[str, Any]) -> MemberState:
    port = row.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65_536:
        port = number(name.rpartition(":")[2], 65_535)
    monitor = _text(row, "monitorRule")
    return MemberState(
        f5_pool=pool,
        member=name,
        address=_name(row.get("addr", "")),
        port=port,
        state=_text(row, "monitorStatus") or _text(row, "availabilityState"),
        session=_text(row, "sessionStatus") or _text(row, "enabledState"),
        monitor="" if monitor == "none" else monitor,
    )


def _server(name: str, row: dict[str, Any], http: set[str]) -> VirtualServer:
    """`destination` is 10.5.6.7:80, or 2001:db8::1.443. Without the list of HTTP profiles nobody knows what it sees."""
    destination = _name(row.get("destination", "")).rpartition("/")[2]
    sign = "." if destination.count(":") > 1 else ":"
    address, found, port = destination.rpartition(sign)
    profiles = {clean(str(profile)) for profile in _map(row, "profiles")}
    return VirtualServer(
        name=name,
        address=(address if found else destination)[:64],
        port=number(port, 65_535),
        f5_pool=_name(row.get("pool", "")) if isinstance(row.get("pool"), str) else "",
        enabled=row.get("isEnabled", _text(row, "enabledState") != "disabled") is not False,
        sees_http=not http or bool(profiles & http),
    )
