from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.parsers import f5_ltm
from ingest.records import HealthEvent, Other, Reject

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HEAD = "Nov 13 04:19:15 b1 notice mcpd[7128]: "
SAMPLES = Path(__file__).parent.parent / "samples" / "f5"

MEMBER: dict[str, Any] = {"kind": "member", "f5_pool": "/Common/p", "member": "/Common/10.1.1.51:80"}
CASES: list[tuple[str, dict[str, Any]]] = [
    (
        "01070638:5: Pool /Common/p member /Common/10.1.1.51:80 monitor status down. [ /Common/http: down; last error: "
        "/Common/http: Unable to connect @2023/11/13 04:19:15.  ]  [ was up for 0hr:0min:19sec ]",
        {
            **MEMBER,
            "state": "down",
            "monitor": "/Common/http",
            "monitor_state": "down",
            "reason": "Unable to connect",
            "was": "up",
            "lasted_s": 19,
            "at": datetime(2023, 11, 13, 4, 19, 15, tzinfo=UTC),
        },
    ),
    (
        "01070638:5: Pool /Common/p member /Common/10.1.1.51:80 monitor status forced down. [ /Common/tcp: up ]  "
        "[ was up for 1525hrs:55mins:10sec ]",
        {**MEMBER, "state": "forced_down", "monitor": "/Common/tcp", "monitor_state": "up", "lasted_s": 5493310},
    ),
    (
        "01070638:5: Pool /Common/p member /Common/10.1.1.51:80 monitor status down. [ /Common/http: up, /Common/tcp: "
        "down; last error: /Common/tcp: refused, really @2026/11/13 04:19:15.  ] [ was unchecked for -1hr:0min:5sec ]",
        {
            **MEMBER,
            "state": "down",
            "monitor": "/Common/tcp",
            "reason": "refused, really",
            "was": "unchecked",
            "lasted_s": -3595,
        },
    ),
    (
        "01070638:5: Pool /Common/p member /Common/go_web3:4000 monitor status down. [ /Common/t: down; last "
        "error:  ]  "
        "[ was up for 837hrs:31mins:36sec ]",
        {"member": "/Common/go_web3:4000", "state": "down", "monitor": "/Common/t", "reason": "", "lasted_s": 3015096},
    ),
    (
        "01070639:5: Pool /Common/p member /Common/10.1.1.51:80 session status forced disabled.",
        {**MEMBER, "state": "forced_disabled"},
    ),
    ("01070639:5: Pool /Common/p member /Common/10.1.1.51:80 session status enabled.", {**MEMBER, "state": "enabled"}),
    (
        "01070638:5: Pool /Common/p member /Common/10.1.1.51:80 monitor status node down.",
        {**MEMBER, "state": "node_down"},
    ),
    (
        "01070638:5: Pool /Common/p member /Common/10.1.1.51%10:80 monitor status checking.",
        {"member": "/Common/10.1.1.51%10:80", "state": "checking"},
    ),
    (
        "01070638:3: Pool member 10.0.0.154:80 monitor status forced down.",
        {"member": "10.0.0.154:80", "f5_pool": "", "state": "forced_down"},
    ),
    (
        "01070638:3: Pool member 2001:20:5004:1606::89:8790 monitor status down.",
        {"member": "2001:20:5004:1606::89:8790", "state": "down"},
    ),
    (
        "01070640:5: Node /Common/n address 10.1.1.1 monitor status down. [ /Common/icmp: down ]  [ was up "
        "for 1hr:1min:1sec ]",
        {"kind": "node", "object": "/Common/n", "state": "down", "lasted_s": 3661},
    ),
    (
        "01070807:5: Monitor /Common/http instance 10.1.1.1:80 has been disabled.",
        {"kind": "member", "state": "monitor_disabled"},
    ),
    (
        "01010028:3: No members available for pool /Common/p",
        {"kind": "pool", "state": "no_members", "f5_pool": "/Common/p"},
    ),
    (
        "01010221:3: Pool /Common/p now has available members",
        {"kind": "pool", "state": "has_members", "f5_pool": "/Common/p"},
    ),
    (
        "01071682:5: SNMP_TRAP: Virtual /Common/vs has become unavailable",
        {"kind": "virtual", "state": "unavailable", "object": "/Common/vs"},
    ),
    (
        "010719e7:5: Virtual Address /Common/10.1.1.1 general status changed from GREEN to RED.",
        {"kind": "virtual_address", "state": "unavailable", "was": "available", "object": "/Common/10.1.1.1"},
    ),
    (
        "010719e8:5: Virtual Address /Common/10.1.1.1 monitor status changed from UP to DOWN.",
        {"state": "down", "was": "up"},
    ),
    (
        "01010201:2: Re-enabling general logging; held 26 messages.",
        {"kind": "device", "state": "lost_messages", "count": 26},
    ),
    (
        "01010201:2: Inet port exhaustion on 10.0.2.103 to 10.0.2.104:443 (proto 6)",
        {"state": "port_exhaustion", "member": "10.0.2.104:443"},
    ),
    (
        "01230140:3: RST sent from 10.1.1.1:443 to 10.2.2.2:51000, [0x1f3c5b7:2375] No local listener",
        {"state": "reset_sent", "object": "10.1.1.1:443", "reason": "No local listener"},
    ),
    (
        "01010250:4: Pool member 10.1.1.1:80 exceeded configured rate limit.",
        {"kind": "member", "state": "limit", "member": "10.1.1.1:80"},
    ),
    (
        "01200009:4: Packet rejected remote IP 10.1.1.1 port 999 local IP 10.2.2.2 port 80 proto TCP: "
        "Connection limit exceeded.",
        {"kind": "virtual", "state": "limit", "object": "10.2.2.2:80"},
    ),
    (
        "01260013:4: SSL Handshake failed for TCP 10.1.1.1:5 -> 10.2.2.2:443",
        {"state": "tls_failure", "object": "10.2.2.2:443"},
    ),
    (
        "01260026:4: No shared ciphers between SSL peers 192.168.99.86.32962:192.168.20.230.636.",
        {"state": "tls_failure", "object": "192.168.20.230.636"},
    ),
    (
        "01010038:4: Syncookie threshold 1993 exceeded, virtual = 203.0.113.132:443",
        {"state": "syncookie_on", "object": "203.0.113.132:443"},
    ),
    (
        "011a4003:1: SNMP_TRAP: Pool /Common/p member vs_1 (ip:port=10.1.1.51:80) state change green -> red ( Monitor "
        "/Common/m from 192.168.6.10 : state: connect failed)",
        {
            "kind": "member",
            "state": "down",
            "was": "up",
            "member": "10.1.1.51:80",
            "monitor": "/Common/m",
            "reason": "connect failed",
        },
    ),
    (
        "011ae0f2:1: Monitor instance /Common/m 10.1.1.1:80 UP --> DOWN from /Common/gtm (no reply from "
        "big3d: timed out)",
        {"state": "down", "was": "up", "member": "10.1.1.1:80", "reason": "no reply from big3d: timed out"},
    ),
    (
        "010c0053:5: Active for traffic group /Common/traffic-group-1.",
        {"kind": "device", "state": "active", "object": "/Common/traffic-group-1"},
    ),
    ("010c0018:5: Standby", {"kind": "device", "state": "standby"}),
    ("010719fb:5: HA Group g score updated from 30 to 0.", {"kind": "device", "state": "ha_score"}),
    (
        "010c0083:4: No failover status messages received for 3.100 seconds, from device bigipA (10.1.1.5) "
        "(unicast: -> x).",
        {"kind": "device", "state": "heartbeat_lost", "object": "bigipA"},
    ),
]

# Shapes that public lines have, found after the forms above were written.
CASES += [
    ("01070638:5: Pool /Common/p member /Common/m:80 monitor status down. [ was up for 142hrs ]",
     {"state": "down", "was": "up", "lasted_s": 511_200}),
    ("01070640:5: Node /Common/www.example.net address :: monitor status fqdn-down. [ was fqdn-up for 0hr:1min:10sec ]",
     {"kind": "node", "object": "/Common/www.example.net", "state": "fqdn_down", "was": "fqdn_up", "lasted_s": 70}),
    ("01010028:5: No members available in pool /Common/p for virtual /Common/vs",
     {"state": "no_members", "f5_pool": "/Common/p"}),
    ("01010343:5: Syncookie SW mode activated, server name = /Common/vs server IP = 192.0.2.5:443, HSB modId = 2",
     {"state": "syncookie_on", "object": "/Common/vs"}),
    ("01220001:3: TCL error: MyiRule - Out of bounds (line 2) invoked from within \"HTTP::respond\"",
     {"state": "rule_error", "object": "MyiRule", "detail": {"event": "", "process": "mcpd"}}),
    ("01220001:3: TCL error: /Common/r <HTTP_REQUEST> - Illegal value invoked from within \"b64decode $tok\" aborted for "
     "192.0.2.9:53212 -> 192.0.2.5:443",
     {"state": "rule_error", "detail": {"event": "HTTP_REQUEST", "source": "192.0.2.9:53212", "target": "192.0.2.5:443",
                                        "process": "mcpd"}}),
    ("01260013:4: SSL Handshake failed for TCP from 192.0.2.9:53212 to 192.0.2.5:443",
     {"state": "tls_failure", "object": "192.0.2.5:443"}),
    ("01260009:4: clientside 192.0.2.9%1:53212 -> 192.0.2.5%1:443: Connection error: ssl_hs_cert:1: alert(42) bad",
     {"state": "tls_failure", "object": "192.0.2.5%1:443"}),
    ("01260006:4: Peer cert verify error: certificate has expired (depth 0; cert /CN=a)", {"state": "tls_peer_untrusted"}),
    ("01200017:4: Warning, pool member IP 192.0.2.51 port 80 for pool /Common/p has reached its connection limit.",
     {"kind": "member", "state": "limit", "member": "192.0.2.51:80", "f5_pool": "/Common/p"}),
    ("01200009:4: Packet rejected remote IP 2001:db8::9 port 999 local IP 2001:db8::5 port 80 proto TCP: Port closed.",
     {"kind": "virtual", "state": "packet_rejected", "object": "2001:db8::5:80", "reason": "Port closed"}),
    ("011a6006:1: SNMP_TRAP: VS v (ip:port=192.0.2.9:80) (Server /Common/s) state change green --> red ( Monitor /Common/m :"
     " state: timeout)", {"kind": "virtual", "state": "unavailable", "monitor": "/Common/m", "reason": "timeout"}),
    ("011a4101:1: SNMP_TRAP: Prober Pool /Common/pp member /Common/lb2 state change red --> green",
     {"kind": "device", "state": "available", "was": "unavailable", "object": "/Common/lb2"}),
    ("01010023:2: Switchboard failsafe action indicated by bcm56xxd, exiting",
     {"kind": "device", "state": "failsafe", "object": "bcm56xxd"}),
    ("01010025:2: Device error: hsb_lbb0 tre2_crc_errs count 1", {"state": "hardware_error", "object": "hsb_lbb0"}),
    ("010c002c:5: Traffic group /Common/tg going active via targeted failover command.",
     {"state": "failover_command", "object": "/Common/tg"}),
    ("010c0057:5: Activating traffic group /Common/tg.", {"state": "going_active", "object": "/Common/tg"}),
    ("010c006d:5: Leaving Standby for Active (best ha score).", {"state": "leaving_standby"}),
    ("01071433:5: CMI heartbeat timer expired, status: 192.0.2.6", {"state": "peer_lost", "object": "192.0.2.6"}),
    ("01140102:0: Overdog daemon requests reboot.", {"state": "reboot_requested"}),
    ("01140104:5: Watchdog touch disabled.", {"kind": "device", "state": "watchdog_disabled"}),
    ("011d0004:1: Disk partition /var has only 0% free", {"state": "disk_full", "object": "/var"}),
    ("010d0005:3: Chassis fan 1: status (0) is bad.", {"state": "hardware_alarm", "object": "Chassis fan 1"}),
    ("01260008:3: SSL transaction (TPS) rate limit reached", {"kind": "device", "state": "tls_limit"}),
    ("01260030:2: Profile /Common/c - cannot load key/cert/chain: /a /b: x",
     {"state": "tls_profile_error", "object": "/Common/c"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_health_message_becomes_its_event(text: str, expected: dict[str, Any]) -> None:
    found = f5_ltm.parse(HEAD + text, NEAR)
    assert isinstance(found, HealthEvent)
    assert {name: getattr(found, name) for name in expected} == expected
    assert (found.hostname, found.message_id) == ("b1", text[:8])


def test_an_id_with_two_texts_is_decided_by_its_text() -> None:
    text = (
        "010719e7:5: HTTP_REQUEST event in rule (/Common/x) requires an associated HTTP profile on the "
        "virtual-server (/Common/v)."
    )
    assert isinstance(f5_ltm.parse(HEAD + text, NEAR), Other)


@pytest.mark.parametrize(
    "line",
    [
        "Jan 17 03:35:18 h err mcpd[7]: 01070734:3: Configuration error: no such thing",
        "May 24 11:15:01 HOSTNAME notice logrotate[3582]: ALERT exited abnormally with [1]",
        "Jan 17 03:35:18 h info CROND[6551]: (root) CMD (/usr/bin/diskmonitor)",
        "apmd[14173]: GSSAPI client step 1",
        "CROND[1786]: (root) CMD (/usr/bin/diskmonitor)",
        "/Common/SAML:Common:76220fff: Username 'a'",
        "Oct 28 03:36:30 gtm1 Saving running configuration...",
        "Feb 17 23:35:29 b info tmm2[17067]: Rule /Common/r <HTTP_RESPONSE>: Response Code: 404",
        "Jan 17 03:35:18 h info audit_forwarder[16218]: audit_forwarder started.",
        'Dec 6 13:14:50 h ASM:"Information Leakage","2019-12-06 13:14:49","192.0.2.56","443","blocked"',
    ],
)
def test_f5_lines_of_other_kinds_are_kept(line: str) -> None:
    assert isinstance(f5_ltm.parse(line, NEAR), Other)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "CROND[1786]: (root) CMD (/usr/bin/run)",
        "last message repeated 3 times",
        "Jan 17 03:35:18 web1 sshd[12]: Connection closed by 10.0.0.1",
        "Oct 11 22:14:15 cisco %ASA-6-302013: Built outbound TCP connection",
        '10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326',
    ],
)
def test_other_products_are_not_taken_for_f5(line: str) -> None:
    assert isinstance(f5_ltm.parse(line, NEAR), Reject)


@pytest.mark.parametrize(
    ("head", "hostname", "process"),
    [
        ("Nov 13 04:19:15: host=192.0.2.1: local/b1 notice mcpd[3]: ", "b1", "mcpd"),
        ("Nov 13 04:19:15 b1: notice mcpd[3]: ", "b1", "mcpd"),
        ("Nov 13 04:19:15 b1 Notice mcpd[3]: ", "b1", "mcpd"),
        ("Nov 13 04:19:15 b1 local0.notice mcpd[3]: ", "b1", "mcpd"),
        ("<133>1 2026-11-13T04:19:15+00:00 b1 notice - - -  mcpd[3]: ", "b1", "mcpd"),
        ("<133>1 2026-11-13T04:19:15Z b1 mcpd[3] - - - ", "b1", "mcpd"),
        ("2026-11-13 04:19:15\tLocal0.Notice\t192.0.2.5\tNov 13 04:19:15 b1 notice mcpd[3]: ", "b1", "mcpd"),
        ("Nov 13 04:19:15 local/tmm notice mcpd[3]: ", "", "mcpd"),
    ],
)
def test_a_collectors_head_hides_nothing(head: str, hostname: str, process: str) -> None:
    found = f5_ltm.parse(head + "01070638:5: Pool /Common/p member /Common/m:80 monitor status down.", NEAR)
    assert isinstance(found, HealthEvent)
    assert (found.hostname, found.detail["process"], found.message_id, found.state) == (
        hostname,
        process,
        "01070638",
        "down",
    )
    assert found.at == datetime(2026, 11, 13, 4, 19, 15, tzinfo=UTC)


def test_lab1_is_understood_whole() -> None:
    lines = (SAMPLES / "lab1" / "ltm.log").read_text().splitlines()
    assert lines and all(isinstance(f5_ltm.parse(line), HealthEvent) for line in lines)


def test_a_process_that_is_started_again_is_an_event_of_the_device() -> None:
    found = f5_ltm.parse("Nov 13 04:19:15 b1 emerg logger: Re-starting tmm", NEAR)
    assert isinstance(found, HealthEvent) and (found.kind, found.state, found.object) == ("device", "restarting", "tmm")


def test_the_journal_that_drops_messages_is_a_loss() -> None:
    found = f5_ltm.parse(
        "Jan 17 03:35:18 h info systemd-journal[626]: Suppressed 1255 messages from /system.slice/runit.service", NEAR
    )
    assert isinstance(found, HealthEvent) and (found.state, found.count) == ("lost_messages", 1255)
