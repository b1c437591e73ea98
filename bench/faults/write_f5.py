"""The device's side of a capture: request.log, ltm.log, audit.log and icontrol/."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.faults.confound import Emitted, Row, device_time
from bench.faults.device import PRI, Said
from bench.faults.sim import Sim
from bench.faults.world import Endpoint, Member, World, stream

VERSION = "16.1.3"
RESPONSE = (
    'airf5="1",kind="response",ts="$TIME_UNIX.$TIME_USECS",hostname="$BIGIP_HOSTNAME",virtual_name="$VIRTUAL_NAME",'
    'virtual_ip="$VIRTUAL_IP",virtual_port="$VIRTUAL_PORT",pool="$VIRTUAL_POOL_NAME",client_ip="$CLIENT_IP",'
    'client_port="$CLIENT_PORT",server_ip="$SERVER_IP",server_port="$SERVER_PORT",snat_ip="$SNAT_IP",'
    'http_statcode="$HTTP_STATCODE",response_ms="$RESPONSE_MSECS",response_us="$RESPONSE_USECS",bytes="$RESPONSE_SIZE",'
    'http_method="$HTTP_METHOD",host="$Host",correlation_id="${correlation-id}",traceparent="$traceparent",'
    'task="${X-Airflow-Task}",xff="${X-Forwarded-For}",ua="${User-Agent}",http_uri="$HTTP_URI"'
)


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def write(sim: Sim, emitted: Emitted, folder: Path, end: float) -> int:
    """Write f5/; returns how many request and response lines."""
    folder.mkdir(parents=True, exist_ok=True)
    world = sim.world
    lines: list[tuple[float, str]] = []
    render = _ts if world.template == "ts" else _airf5
    for rows in emitted.rows.values():
        for row in rows:
            sender = world.devices[row.unit].address
            if row.request is not None:
                lines.append((row.request, f"{stamp(row.request)} {sender} {render(world, row, False)}"))
            if row.response is not None:
                lines.append((row.response, f"{stamp(row.response)} {sender} {render(world, row, True)}"))
    lines.sort()
    (folder / "request.log").write_text("".join(f"{text}\n" for _, text in lines), encoding="utf-8")
    for name, audit in (("ltm.log", False), ("audit.log", True)):
        kept = sorted((at, _syslog(world, at, one)) for at, one in emitted.said if one.audit is audit)
        (folder / name).write_text("".join(f"{text}\n" for _, text in kept), encoding="utf-8")
    _icontrol(sim, folder / "icontrol", end)
    return len(lines)


def _airf5(world: World, row: Row, response: bool) -> str:
    x, ep = row.x, row.x.ep
    ts = device_time(world, x.at)
    unit = world.devices[row.unit]
    head = (
        f'airf5="1",kind="{"response" if response else "request"}",ts="{int(ts)}.{int(ts % 1 * 1e6):06d}",hostname="{unit.hostname}",'
        f'virtual_name="{ep.vs}",virtual_ip="{ep.address}",virtual_port="{ep.port}",pool="{x.pool}",client_ip="{x.client}",client_port="{x.port}",'
    )
    if response:
        server = x.member if x.member and not (x.own and x.status == 503) else None
        ms = int(x.dur * 1000)
        head += (
            f'server_ip="{server.address if server else ""}",server_port="{server.port if server else ""}",snat_ip="{"10.30.255.5" if server else ""}",'
            f'http_statcode="{x.status}",response_ms="{ms}",response_us="{int(x.dur * 1e6)}",bytes="{x.bytes}",'
        )
    task, trace, corr = (x.task, x.trace, x.corr) if world.headers else ("", "", "")
    host = f"{ep.host}:{ep.port}" if ep.port not in (80,) else ep.host
    return f'{head}http_method="{x.method}",host="{host}",correlation_id="{corr}",traceparent="{trace}",task="{task}",xff="",ua="{x.ua}",http_uri="{x.uri}"'


def _ts(world: World, row: Row, response: bool) -> str:
    """The documented pair for Telemetry Streaming, with the microseconds that people add to join it."""
    x, ep = row.x, row.x.ep
    ts = device_time(world, x.at)
    said = datetime.fromtimestamp(ts, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    server = x.member.address if response and x.member and not (x.own and x.status == 503) else ""
    out = (
        f'event_source="{"response" if response else "request"}_logging",hostname="{world.devices[row.unit].hostname}",client_ip="{x.client}",'
        f'server_ip="{server}",dest_ip="{ep.address}",dest_port="{ep.port}",http_method="{x.method}",http_uri="{x.uri}",virtual_name="{ep.vs}",'
        f'event_timestamp="{said}",Microtimestamp="{int(ts % 1 * 1e6)}"'
    )
    if response:
        out += f',http_statcode="{x.status}",http_status="HTTP/1.1 {x.status}",response_ms="{int(x.dur * 1000)}"'
    return out


def _syslog(world: World, at: float, one: Said) -> str:
    unit = world.devices[one.device]
    local = datetime.fromtimestamp(device_time(world, one.at) + world.utc_offset_s, UTC)
    when = f"{local:%b} {local.day:2d} {local:%H:%M:%S}"
    middle = f" {one.level} {one.process}: " if one.process else " "
    return f"{stamp(at)} {unit.address} <{PRI[one.level]}>{when} {unit.hostname}{middle}{one.text}"


# --- iControl REST at the end of the capture ------------------------------------------------------------------------


def _icontrol(sim: Sim, folder: Path, end: float) -> None:
    folder.mkdir(exist_ok=True)
    world = sim.world
    base = "https://localhost/mgmt/tm"
    clock = {
        "fullDate": {"description": datetime.fromtimestamp(device_time(world, end), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    }
    answers: dict[str, Any] = {
        "clock": {"kind": "tm:sys:clock:clockstats", "selfLink": f"{base}/sys/clock?ver={VERSION}",
                  "entries": {f"{base}/sys/clock/0": {"nestedStats": {"entries": clock}}}},
        "pool": {"kind": "tm:ltm:pool:poolcollectionstate", "selfLink": f"{base}/ltm/pool?ver={VERSION}",
                 "items": [_pool(ep, base) for ep in world.endpoints]},
        "virtual": {"kind": "tm:ltm:virtual:virtualcollectionstate", "selfLink": f"{base}/ltm/virtual?ver={VERSION}",
                    "items": [_virtual(ep, base) for ep in world.endpoints]},
        "pool_members_stats": {"kind": "tm:ltm:pool:members:memberscollectionstats", "selfLink": f"{base}/ltm/pool/members/stats?ver={VERSION}",
                               "entries": dict(_stats(ep, base) for ep in world.endpoints)},
    }  # fmt: skip
    for name, body in answers.items():
        (folder / f"{name}.json").write_text(json.dumps(body, indent=1), encoding="utf-8")


def _pool(ep: Endpoint, base: str) -> dict[str, Any]:
    link = f"{base}/ltm/pool/~Common~pool_{ep.service}"
    return {"kind": "tm:ltm:pool:poolstate", "name": f"pool_{ep.service}", "partition": "Common", "fullPath": ep.pool, "generation": 1,
            "selfLink": f"{link}?ver={VERSION}", "loadBalancingMode": "round-robin", "minActiveMembers": 0, "monitor": ep.monitor,
            "reselectTries": 0, "serviceDownAction": "none", "slowRampTime": 10,
            "membersReference": {"link": f"{link}/members?ver={VERSION}", "isSubcollection": True, "items": [_member(m, link) for m in ep.members]}}  # fmt: skip


def _member(m: Member, link: str) -> dict[str, Any]:
    return {"kind": "tm:ltm:pool:members:membersstate", "name": f"{m.node}:{m.port}", "partition": "Common", "fullPath": m.name, "generation": 1,
            "selfLink": f"{link}/members/~Common~{m.node}:{m.port}?ver={VERSION}", "address": m.address, "connectionLimit": 0, "ephemeral": "false",
            "monitor": "default", "priorityGroup": 0, "rateLimit": "disabled", "ratio": 1, "session": "monitor-enabled", "state": "up"}  # fmt: skip


def _virtual(ep: Endpoint, base: str) -> dict[str, Any]:
    profiles = ["tcp", "http", *(["clientssl"] if ep.tls else [])]
    link = f"{base}/ltm/virtual/~Common~vs_{ep.service}"
    return {"kind": "tm:ltm:virtual:virtualstate", "name": f"vs_{ep.service}", "partition": "Common", "fullPath": ep.vs, "generation": 1,
            "selfLink": f"{link}?ver={VERSION}", "connectionLimit": 0, "description": f"hosts: {ep.host}:{ep.port}", "enabled": True,
            "destination": f"/Common/{ep.address}:{ep.port}", "ipProtocol": "tcp", "mask": "255.255.255.255", "pool": ep.pool,
            "source": "0.0.0.0/0", "sourceAddressTranslation": {"type": "automap"}, "sourcePort": "preserve", "vsIndex": ep.index + 2,
            "profilesReference": {"link": f"{link}/profiles?ver={VERSION}", "isSubcollection": True,
                                  "items": [{"kind": "tm:ltm:virtual:profiles:profilesstate", "name": p, "partition": "Common",
                                             "fullPath": f"/Common/{p}", "context": "all"} for p in profiles]}}  # fmt: skip


def _stats(ep: Endpoint, base: str) -> tuple[str, dict[str, Any]]:
    link = f"{base}/ltm/pool/~Common~pool_{ep.service}"
    well = {"status.availabilityState": {"description": "available"}, "status.enabledState": {"description": "enabled"}}
    members = {}
    for m in ep.members:
        members[f"{link}/members/~Common~{m.node}:{m.port}/stats"] = {"nestedStats": {"kind": "tm:ltm:pool:members:membersstats", "entries": {
            "addr": {"description": m.address}, "nodeName": {"description": f"/Common/{m.node}"}, "poolName": {"description": ep.pool},
            "port": {"value": m.port}, "monitorRule": {"description": f"{ep.monitor} (default)"}, "monitorStatus": {"description": "up"},
            "sessionStatus": {"description": "enabled"}, "totRequests": {"value": stream(m.name).randrange(10**5)},
            "curSessions": {"value": 0}, **well, "status.statusReason": {"description": "Pool member is available"}}}}  # fmt: skip
    count = {"value": len(ep.members)}
    return f"{link}/stats", {"nestedStats": {"kind": "tm:ltm:pool:poolstats", "selfLink": f"{link}/stats?ver={VERSION}", "entries": {
        "activeMemberCnt": count, "availableMemberCnt": count, "memberCnt": count, "curSessions": {"value": 0},
        "monitorRule": {"description": ep.monitor}, **well, "status.statusReason": {"description": "The pool is available"},
        "tmName": {"description": ep.pool}, "totRequests": {"value": 0},
        f"{link}/members/stats": {"nestedStats": {"kind": "tm:ltm:pool:members:memberscollectionstats", "entries": members}}}}}  # fmt: skip
