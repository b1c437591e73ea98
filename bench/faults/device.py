"""What the device says beside its request log: ltm and audit messages of faults, monitors, limits and resets.

Wording and message ids are those of shared facts on BIG-IP logs (real lines of the ids were read; see docs/faultbench.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bench.faults.inject import Fault
from bench.faults.traffic import Exchange
from bench.faults.world import Endpoint, Member, stream

if TYPE_CHECKING:
    from bench.faults.sim import Sim


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `state`, `object` and `fault` are what the oracle reads of it, as a person reads the text."""

    at: float
    device: int
    level: str
    process: str
    text: str
    state: str = ""
    object: str = ""
    fault: str = ""
    audit: bool = False
    client: str = ""


PRI = {"emerg": 128, "crit": 130, "err": 131, "warning": 132, "notice": 133, "info": 134}


def said(sim: Sim) -> list[Said]:
    """All messages of the run, in order of time."""
    out: list[Said] = []
    for fault in sim.faults:
        out += _of_fault(sim, fault)
    out += _monitors(sim)
    for x in sim.exchanges:
        out += _of_exchange(sim, x)
    out += _ordinary(sim)
    return sorted(out, key=lambda s: (s.at, s.text))


def _audit(at: float, ep: Endpoint, user: str, command: str, mcp: str, fault: str, n: int = 1) -> list[Said]:
    pid = 20000 + n
    return [
        Said(at, ep.device, "notice", f"tmsh[{pid}]",
             f"01420002:5: AUDIT - pid={pid} user={user} folder=/Common module=(tmos)# status=[Command OK] cmd_data={command}",
             "change", ep.vs, fault, True),
        Said(at + 0.001, ep.device, "notice", "mcpd[6896]",
             f"01070417:5: AUDIT - client tmsh, tmsh-pid-{pid}, user {user} - transaction #{7000 + n}-2 - object 0 - {mcp} [Status=Command OK]",
             "change", ep.vs, fault, True),
    ]  # fmt: skip


# What is typed when the fault begins, and when it is taken back; then the object that mcpd names.
CHANGES = {
    "N10": ("modify ltm policy /Common/policy_{s} rules modify {{ r1 {{ actions modify {{ 0 {{ pool /Common/pool_{o} }} }} }} }}",
            "modify ltm policy /Common/policy_{s} rules modify {{ r1 {{ actions modify {{ 0 {{ pool /Common/pool_{s} }} }} }} }}",
            'virtual_server {{ virtual_server_name "/Common/vs_{s}" virtual_server_default_pool "/Common/pool_{o}" }}'),
    "N8": ("modify ltm profile tcp /Common/tcp_{s} idle-timeout {t}", "modify ltm profile tcp /Common/tcp_{s} idle-timeout 300",
           'profile_tcp {{ profile_tcp_name "/Common/tcp_{s}" }}'),
    "N11": ("modify ltm virtual /Common/vs_{s} disabled", "modify ltm virtual /Common/vs_{s} enabled",
            'virtual_server {{ virtual_server_name "/Common/vs_{s}" virtual_server_enabled 0 }}'),
    "irule": ("modify ltm virtual /Common/vs_{s} rules {{ /Common/rule_{s} }}", "modify ltm virtual /Common/vs_{s} rules none",
              'virtual_server {{ virtual_server_name "/Common/vs_{s}" }}'),
    "snat": ("modify ltm virtual /Common/vs_{s} source-address-translation {{ type none }}",
             "modify ltm virtual /Common/vs_{s} source-address-translation {{ type automap }}",
             'virtual_server {{ virtual_server_name "/Common/vs_{s}" }}'),
    "profile": ("modify ltm virtual /Common/vs_{s} profiles add {{ /Common/httprouter }}",
                "modify ltm virtual /Common/vs_{s} profiles delete {{ /Common/httprouter }}",
                'virtual_server {{ virtual_server_name "/Common/vs_{s}" }}'),
}  # fmt: skip
QUIET = ("silent", "route")  # variants that nobody typed on this device


def _of_fault(sim: Sim, f: Fault) -> list[Said]:
    out: list[Said] = []
    if f.kind in ("N8", "N10", "N11", "N14") and f.variant not in QUIET:
        out += _changes(f)
    if f.kind == "N11" and f.variant == "disabled":
        out += _virtual(f)
    if f.kind == "N3" and f.variant == "disabled":
        out += _disabled(f)
    if f.kind == "N13":
        out += _failover(sim, f)
    if f.kind == "N20":
        out += _overload(sim, f)
    return out


def _changes(f: Fault) -> list[Said]:
    """Somebody changes the configuration, and takes it back at the fault's end."""
    assert f.ep is not None
    made, undone, mcp = CHANGES[f.variant if f.kind == "N14" else f.kind]
    names = {"s": f.ep.service, "o": f.other.service if f.other else "", "t": int(f.factor)}
    n = int(f.id[1:]) * 10
    what = f"modify {{ {mcp.format(**names)} }}"
    return [
        *_audit(f.start - 0.2, f.ep, "netops", made.format(**names), what, f.id, n),
        *_audit(f.end - 0.2, f.ep, "netops", undone.format(**names), what, f.id, n + 1),
    ]


def _virtual(f: Fault) -> list[Said]:
    assert f.ep is not None
    down = f"01071682:5: SNMP_TRAP: Virtual {f.ep.vs} has become unavailable"
    up = f"01071681:5: SNMP_TRAP: Virtual {f.ep.vs} has become available"
    return [
        Said(f.start, f.ep.device, "notice", "mcpd[6896]", down, "vs_unavailable", f.ep.vs, f.id),
        Said(f.end, f.ep.device, "notice", "mcpd[6896]", up, "vs_available", f.ep.vs, f.id),
    ]


def _disabled(f: Fault) -> list[Said]:
    """A person disables every member of a pool, one after the other, and enables them again."""
    assert f.ep is not None
    out: list[Said] = []
    pool, n = f.ep.pool, int(f.id[1:]) * 10
    spells = ((f.start, "forced disabled", "user-disabled", "down"), (f.end, "enabled", "user-enabled", "up"))
    for begin, word, session, state in spells:
        for i, m in enumerate(f.members):
            at = begin + i * 0.002
            command = f"modify ltm pool {pool} members modify {{ {m.name[8:]} {{ session {session} }} }}"
            mcp = (f'modify {{ pool_member {{ pool_member_pool_name "{pool}" pool_member_node_name "/Common/{m.node}" '
                   f'pool_member_port {m.port} pool_member_session "{session}" }} }}')  # fmt: skip
            out += _audit(at, f.ep, "admin", command, mcp, f.id, n + i)
            text = f"01070639:5: Pool {pool} member {m.name} session status {word}."
            out.append(Said(at + 0.001, f.ep.device, "notice", "mcpd[6896]", text, state, m.name, f.id))
    return out


def _clock(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours}hr{'s' if hours > 1 else ''}:{minutes}min{'s' if minutes > 1 else ''}:{secs}sec"


def _monitors(sim: Sim) -> list[Said]:
    """Members that a monitor marks down and up; both units of a pair see it; a pool without members says so."""
    out: list[Said] = []
    world = sim.world
    units = range(min(2, len(world.devices)))
    for ep in world.endpoints:
        spans = {m.name: sim.down.get(m.name, []) for m in ep.members}
        for m in ep.members:
            was = world.start - 7200
            for low, high, fault in spans[m.name]:
                f = next(f for f in sim.faults if f.id == fault)
                if f.variant != "disabled":
                    stamp = datetime.fromtimestamp(low + world.utc_offset_s + world.skew_s, UTC).strftime(
                        "%Y/%m/%d %H:%M:%S"
                    )
                    for unit in units:
                        out += _down_up(
                            ep,
                            m,
                            low + unit * 0.4,
                            high + unit * 0.4,
                            stamp,
                            was,
                            f,
                            unit if len(units) > 1 else ep.device,
                        )
                was = high
        out += _no_members(ep, spans)
    return out


def _down_up(
    ep: Endpoint, m: Member, low: float, high: float, stamp: str, was: float, f: Fault, unit: int
) -> list[Said]:
    why = "No successful responses received before deadline." if f.variant == "hang" else "Unable to connect"
    out = []
    if f.variant == "node":
        out.append(Said(low, unit, "notice", "mcpd[6896]",
                        f"01070640:5: Node /Common/{m.node} address {m.address} monitor status down. [ /Common/icmp: down; last error: /Common/icmp: "
                        f"No successful responses received before deadline. @{stamp}.  ]  [ was up for {_clock(low - was)} ]", "down", m.name, f.id))  # fmt: skip
        out.append(Said(low + 0.01, unit, "notice", "mcpd[6896]", f"01070638:5: Pool {ep.pool} member {m.name} monitor status node down. "
                        f"[ {ep.monitor}: down ]  [ was up for {_clock(low - was)} ]", "down", m.name, f.id))  # fmt: skip
        out.append(Said(high, unit, "notice", "mcpd[6896]", f"01070728:5: Node /Common/{m.node} address {m.address} monitor status up. "
                        f"[ /Common/icmp: up ]  [ was down for {_clock(high - low)} ]", "up", m.name, f.id))  # fmt: skip
    else:
        out.append(Said(low, unit, "notice", "mcpd[6896]",
                        f"01070638:5: Pool {ep.pool} member {m.name} monitor status down. [ {ep.monitor}: down; last error: {ep.monitor}: "
                        f"{why} @{stamp}.  ]  [ was up for {_clock(low - was)} ]", "down", m.name, f.id))  # fmt: skip
    out.append(Said(high + 0.01, unit, "notice", "mcpd[6896]", f"01070727:5: Pool {ep.pool} member {m.name} monitor status up. "
                    f"[ {ep.monitor}: up ]  [ was down for {_clock(high - low)} ]", "up", m.name, f.id))  # fmt: skip
    return out


def _no_members(ep: Endpoint, spans: dict[str, list[tuple[float, float, str]]]) -> list[Said]:
    """`No members available` when the last one goes, `now has available members` when the first is back."""
    out = []
    for low, _high, fault in (s for found in spans.values() for s in found):
        if all(any(a <= low < b for a, b, _ in found) for found in spans.values()):
            back = min(b for found in spans.values() for a, b, _ in found if a <= low < b)
            out.append(
                Said(
                    low + 0.02,
                    ep.device,
                    "err",
                    "tmm[11612]",
                    f"01010028:3: No members available for pool {ep.pool}",
                    "no_members",
                    ep.pool,
                    fault,
                )
            )
            out.append(
                Said(
                    back + 0.03,
                    ep.device,
                    "err",
                    "tmm[11612]",
                    f"01010221:3: Pool {ep.pool} now has available members",
                    "members",
                    ep.pool,
                    fault,
                )
            )
    return out


def _failover(sim: Sim, f: Fault) -> list[Said]:
    mine, peer = f.device, 1 - f.device
    group = "/Common/traffic-group-1"
    out = []
    for at, old, new in ((f.start, mine, peer), (f.end, peer, mine)):
        host = sim.world.devices[old].hostname
        out += [
            Said(at - 0.1, old, "notice", "sod[4368]", "010c0026:5: Failover condition, active attempting to go standby.", "standby", "", f.id),
            Said(at, old, "notice", "sod[4368]", f"010c0052:5: Standby for traffic group {group}.", "standby", "", f.id),
            Said(at + min(2.0, f.factor * 0.6), new, "warning", "sod[4368]",
                 f"010c0083:4: No failover status messages received for 3.100 seconds, from device {host} (10.10.0.{245 + old}) (unicast: -> 10.1.10.242).",
                 "heartbeat_lost", "", f.id),
            Said(at + f.factor, new, "notice", "sod[4368]", f"010c0053:5: Active for traffic group {group}.", "active", "", f.id),
        ]  # fmt: skip
    return out


def _overload(sim: Sim, f: Fault) -> list[Said]:
    out, at = [], f.start + 0.4
    policy = "/Common/default-eviction-policy"

    def tmm(when: float, level: str, text: str, state: str = "overload") -> None:
        out.append(Said(when, f.device, level, "tmm[11612]", text, state, "", f.id))

    while at < f.end:
        tmm(
            at,
            "warning",
            f"011e0002:4: sweeper_update: Aggressive mode {policy} activated (0) (global memory). (19923200/20971520 pages)",
        )
        tmm(
            at + 3,
            "warning",
            f"011e0003:4: Aggressive mode sweeper: {policy} (0) (global memory) {40 + int(at) % 60} Connections killed",
        )
        tmm(at + 5, "crit", f"01010029:2: Clock advanced by {100 + int(at) % 900} ticks")
        at += 20.0
    text = f"011e0002:4: sweeper_update: Aggressive mode {policy} deactivated (0) (global memory). (12793204/20971520 pages)"
    tmm(f.end, "warning", text, "overload_end")
    return out


def _reset(sim: Sim, x: Exchange) -> tuple[str, str, str, str] | None:
    if not sim.world.reset_causes or sim.world.makes_own_errors:
        return None
    code = f"[0x31ae141:{stream('rst', x.reason).randrange(300, 5000)}]"
    text = f"01230140:3: RST sent from {x.ep.address}:{x.ep.port} to {x.client}:{x.port}, {code} {x.reason}"
    return "err", text, "rst", x.reason


def _reset_to_server(sim: Sim, x: Exchange) -> tuple[str, str, str, str] | None:
    if not sim.world.reset_causes or x.member is None:
        return None
    text = f"01230140:3: RST sent from 10.30.255.5:{x.port} to {x.member.address}:{x.member.port}, [0x31ae141:4666] {{peer}} {x.reason}"
    return "err", text, "rst_server", x.member.name


def _handshake(sim: Sim, x: Exchange) -> tuple[str, str, str, str]:
    client, vip = f"{x.client}:{x.port}", f"{x.ep.address}:{x.ep.port}"
    if x.reason == "cert":
        text = f"01260009:4: {client} -> {vip}: Connection error: ssl_codec_rx:2314: alert(45) received alert"
    else:
        text = f"01260013:4: SSL Handshake failed for TCP {client} -> {vip}"
    return "warning", text, "tls", x.ep.vs


def _ports(sim: Sim, x: Exchange) -> tuple[str, str, str, str]:
    m = x.member or x.ep.members[x.port % len(x.ep.members)]
    return (
        "crit",
        f"01010201:2: Inet port exhaustion on 10.30.255.5 to {m.address}:{m.port} (proto 6)",
        "ports",
        x.ep.pool,
    )


def _limit(sim: Sim, x: Exchange) -> tuple[str, str, str, str]:
    if x.reason == "rate":
        return "notice", f"01010251:5: Virtual {x.ep.vs} exceeded configured rate limit.", "limit", x.ep.vs
    where = f"remote IP {x.client} port {x.port} local IP {x.ep.address} port {x.ep.port} proto TCP"
    return "warning", f"01200009:4: Packet rejected {where}: Connection limit exceeded.", "limit", x.ep.vs


def _tcl(sim: Sim, x: Exchange) -> tuple[str, str, str, str]:
    said = 'can\'t read "host": no such variable     while executing "HTTP::header replace"'
    return "err", f"01220001:3: TCL error: /Common/rule_{x.ep.service} <HTTP_REQUEST> - {said}", "tcl", x.ep.vs


OF_EXCHANGE = {
    "rst": _reset, "rst_client": _reset_to_server, "tls": _handshake, "ports": _ports, "limit": _limit, "tcl": _tcl,
}  # fmt: skip


def _of_exchange(sim: Sim, x: Exchange) -> list[Said]:
    """What the device says of one request that it, or a peer, ended."""
    if not x.kind:
        return []
    unit = unit_of(sim, x.end, x.ep.device)
    if x.kind == "waf":
        return [_asm(sim.world.devices[unit].hostname, x, unit)]
    made = OF_EXCHANGE[x.kind](sim, x) if x.kind in OF_EXCHANGE else None
    if made is None:
        return []
    level, text, state, target = made
    return [Said(x.end, unit, level, "tmm[11612]", text, state, target, x.fault, client=f"{x.client}:{x.port}")]


def _asm(host: str, x: Exchange, unit: int) -> Said:
    text = (f'ASM:unit_hostname="{host}",management_ip_address="10.10.0.245",http_class_name="/Common/waf_{x.ep.service}",'
            f'policy_name="/Common/waf_{x.ep.service}",violations="Attack signature detected",support_id="{x.reason}",request_status="blocked",'
            f'response_code="0",ip_client="{x.client}",route_domain="0",method="{x.method}",protocol="HTTP",src_port="{x.port}",'
            f'dest_port="{x.ep.port}",dest_ip="{x.ep.address}",uri="{x.path}"')  # fmt: skip
    return Said(x.at, unit, "err", "", text, "waf", x.ep.vs, x.fault, client=f"{x.client}:{x.port}")


def unit_of(sim: Sim, at: float, device: int) -> int:
    """Which unit carries this traffic now: a failover moves it to the other one."""
    for f in sim.faults:
        if f.kind == "N13" and f.device == device and f.start <= at < f.end:
            return 1 - f.device
    return device


def _ordinary(sim: Sim) -> list[Said]:
    """Logins and changes that break nothing."""
    out = []
    rng = stream(sim.world.seed, "ordinary")
    at, n = sim.world.start + rng.uniform(60, 600), 0
    while at < sim.world.end:
        ep = rng.choice(sim.world.endpoints)
        out += _audit(at, ep, rng.choice(("admin", "netops", "svc_ansible")), f"modify ltm virtual {ep.vs} description updated",
                      f'modify {{ virtual_server {{ virtual_server_name "{ep.vs}" virtual_server_description "updated" }} }}', "", 500 + n)  # fmt: skip
        at, n = at + rng.uniform(300, 1500), n + 1
    return out
