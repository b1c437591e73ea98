"""What f5config prints is exactly what the parsers take: templates through tmsh's quotes, and the lines of the iRules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ingest.device_findings import findings
from ingest.f5config import PARTS, Plan, PlanRefused, request_template, response_template
from ingest.f5config.irules import headers, lb_failed
from ingest.f5config.plan import receiver_of, virtual_of, web_of
from ingest.f5config.template import VARIABLES, quoted
from ingest.parsers import f5_request_log
from ingest.parsers.f5_request_kv import ORDER
from ingest.parsers.f5_request_template import compile_template, parse_line
from ingest.records import RequestLine

ROOT = Path(__file__).parents[2]
PLAN = Plan(
    "bigip-1", ("192.0.2.50", 5514), ("airf5.example.com", 443), ("/Common/vs_orders",), sync_group="/Common/pair"
)
VALUES = {
    "TIME_UNIX": "1795339510", "TIME_USECS": "52001", "BIGIP_HOSTNAME": "lb1.example.net",
    "VIRTUAL_NAME": "/Common/vs_orders", "VIRTUAL_IP": "10.0.0.10", "VIRTUAL_PORT": "443",
    "VIRTUAL_POOL_NAME": "/Common/pool_orders", "CLIENT_IP": "10.1.0.7", "CLIENT_PORT": "51000",
    "SERVER_IP": "10.2.0.3", "SERVER_PORT": "9000", "SNAT_IP": "10.2.0.1", "HTTP_STATCODE": "503",
    "RESPONSE_MSECS": "12", "RESPONSE_USECS": "12345", "RESPONSE_SIZE": "77", "HTTP_METHOD": "GET",
    "Host": "orders.example.com", "correlation-id": "c-1", "traceparent": "00-ab-cd-01",
    "X-Airflow-Task": "dag=a;run=b;task=c;map=-1;try=1", "X-Forwarded-For": "10.9.9.9",
    "User-Agent": "python-httpx/0.27", "HTTP_URI": "/orders?id=5",
}  # fmt: skip


def filled(template: str, values: dict[str, str] = VALUES) -> str:
    """What TMM sends: plain substitution, nothing escaped."""
    return re.sub(r"\$(?:\{([^}]+)\}|(\w+))", lambda match: values[match[1] or match[2]], template)


def unquoted(printed: str) -> str:
    """What tmsh makes of a quoted text: a backslash takes the next character as it is."""
    assert printed[0] == printed[-1] == '"'
    return re.sub(r"\\(.)", r"\1", printed[1:-1])


def in_tmsh(name: str) -> str:
    assert PARTS["request-log"].tmsh is not None
    (line,) = [one for one in PARTS["request-log"].tmsh(PLAN).splitlines() if one.strip().startswith(name)]
    return line.strip().removeprefix(name).strip()


@pytest.mark.parametrize(
    ("printed", "kind"), [("request-log-template", "request"), ("response-log-template", "response")]
)
def test_the_template_that_tmsh_gets_is_what_the_parser_takes(printed: str, kind: str) -> None:
    template = unquoted(in_tmsh(printed))
    found = f5_request_log.parse(filled(template))
    assert isinstance(found, RequestLine)
    assert (found.kind, found.ts_us, found.virtual_name, found.client_port) == (
        kind, 1795339510_052001, "/Common/vs_orders", 51000,
    )  # fmt: skip
    assert (found.host, found.uri, found.user_agent, found.xff) == (
        "orders.example.com", "/orders?id=5", "python-httpx/0.27", "10.9.9.9",
    )  # fmt: skip
    assert (found.correlation_id, found.traceparent, found.task) == (
        "c-1", "00-ab-cd-01", "dag=a;run=b;task=c;map=-1;try=1",
    )  # fmt: skip
    assert not found.suspect
    if kind == "response":
        assert (found.status, found.response_us, found.bytes, found.server_ip, found.server_port) == (
            503, 12345, 77, "10.2.0.3", 9000,
        )  # fmt: skip
        assert found.snat_ip == "10.2.0.1"


def test_a_line_of_the_printed_template_goes_the_fast_way() -> None:
    for template in (request_template(), response_template()):
        assert f5_request_log._fast(filled(template)) is not None


@pytest.mark.parametrize("template", [request_template(), response_template()])
def test_the_printed_template_also_works_as_a_template_of_ones_own(template: str) -> None:
    for text in (template, quoted(template)[1:-1]):  # as it is on the wire, and as tmsh shows it
        found = parse_line(compile_template(text), filled(template))
        assert isinstance(found, RequestLine) and (found.uri, found.ts_us) == ("/orders?id=5", 1795339510_052001)


def test_empty_values_and_quotes_of_a_client_are_taken_too() -> None:
    empty = dict.fromkeys(VALUES, "") | {"TIME_UNIX": "1795339510", "TIME_USECS": "0"}
    found = f5_request_log.parse(filled(response_template(), empty))
    assert isinstance(found, RequestLine) and (found.status, found.response_us) == (None, None)
    forged = VALUES | {"HTTP_URI": '/x",http_statcode="200'}
    found = f5_request_log.parse(filled(response_template(), forged))
    assert isinstance(found, RequestLine) and (found.status, found.suspect) == (503, True)


def test_every_key_of_the_parser_is_in_the_template() -> None:
    assert ["airf5", "kind", *VARIABLES] == ORDER
    assert [part.partition("=")[0] for part in response_template().split(",")] == ORDER


def test_the_readme_and_the_captures_show_the_same_template() -> None:
    for file in ("README.md", "captures/README.md"):
        assert f"\n{response_template()}\n" in (ROOT / file).read_text("utf-8"), file


def test_a_declaration_has_the_same_templates() -> None:
    assert PARTS["request-log"].as3 is not None
    shared = json.loads(json.dumps(PARTS["request-log"].as3(PLAN)))["declaration"]["Common"]["Shared"]
    log, pool = shared["airf5_request_log"], shared["airf5_hsl"]
    assert log["class"] == "Traffic_Log_Profile"
    assert log["requestSettings"]["requestTemplate"] == request_template()
    assert log["responseSettings"]["responseTemplate"] == response_template()
    assert log["responseSettings"]["responsePool"] == {"use": "airf5_hsl"}
    assert pool["members"][0] == {"servicePort": 5514, "serverAddresses": ["192.0.2.50"], "shareNodes": True}


def test_the_profile_that_is_printed_lacks_nothing() -> None:
    from ingest.device_findings import Switch
    from ingest.device_records import Profile
    from ingest.parsers.f5_config import parse_request_logs

    row = {
        "fullPath": "/Common/airf5_request_log", "requestLogging": "enabled", "responseLogging": "enabled",
        "requestLogTemplate": in_tmsh("request-log-template")[1:-1],  # mcpd hands the backslashes out
        "responseLogTemplate": in_tmsh("response-log-template")[1:-1], "requestLogPool": "/Common/airf5_hsl",
        "responseLogPool": "/Common/airf5_hsl", "requestLogProtocol": in_tmsh("request-log-protocol"),
        "responseLogProtocol": "mds-tcp", "logResponseByDefault": "yes",
    }  # fmt: skip
    (log,) = parse_request_logs({"items": [row]})
    server = Switch("/Common/v", (Profile("/Common/http", "http"), Profile(log.name, "request-log")))
    assert findings(server, {log.name: log}) == ()


def tcl(text: str, commands: dict[str, str]) -> str:
    """A quoted Tcl text with its commands replaced: enough of Tcl for the line of our own rule."""
    text = text.replace('\\"', "\0")
    for _ in range(10):
        text, count = re.subn(r"\[string map \{\0 %22\} ([^\[\]]*)\]", lambda match: match[1].replace('"', "%22"), text)
        for command, value in commands.items():
            count += text.count(command)
            text = text.replace(command, value)
        if not count:
            break
    return text.replace("\0", '"').replace("\\n", "\n")


def line_of(rule: str, uri: str) -> str:
    """The line that the LB_FAILED rule sends for a request of this URI."""
    asked = re.search(r'set airf5_asked "(.*)"\n', rule)
    sent = re.search(r'HSL::send \$airf5_hsl "(.*)"\n', rule)
    assert asked and sent
    commands = {
        "[HTTP::method]": "GET", "[HTTP::host]": "orders.example.com", "[HTTP::uri]": uri,
        "[HTTP::header value correlation-id]": "c-1", "[HTTP::header value traceparent]": "",
        "[HTTP::header value X-Airflow-Task]": "dag=a", "[HTTP::header value X-Forwarded-For]": "",
        "[HTTP::header value User-Agent]": 'odd "agent"', "$airf5_asked": "ASKED",
        "[expr {$airf5_ms / 1000}]": "1795339510", "[format %06d [expr {($airf5_ms % 1000) * 1000}]]": "052000",
        "$static::tcl_platform(machine)": "lb1.example.net", "[virtual name]": "/Common/vs_orders",
        "[IP::local_addr clientside]": "10.0.0.10", "[TCP::local_port clientside]": "443",
        "[LB::server pool]": "/Common/pool_orders", "[IP::client_addr]": "10.1.0.7", "[TCP::client_port]": "51000",
    }  # fmt: skip
    line = tcl(sent[1], commands).replace("ASKED", tcl(asked[1], commands))
    assert "[" not in line and "$" not in line  # no command is left that this test does not know
    return line


def test_the_line_of_the_lb_failed_rule_is_a_request_that_nobody_took() -> None:
    line = line_of(lb_failed("/Common/airf5_hsl"), '/orders?q="x"')
    assert line.endswith("\n")
    found = f5_request_log.parse(line.rstrip("\n"))
    assert isinstance(found, RequestLine) and f5_request_log._fast(line) is not None
    assert (found.kind, found.ts_us, found.status, found.server_ip) == ("request", 1795339510_052000, None, "")
    assert (found.virtual_name, found.f5_pool, found.client_port) == ("/Common/vs_orders", "/Common/pool_orders", 51000)
    assert (found.uri, found.user_agent, found.suspect) == ("/orders?q=%22x%22", "odd %22agent%22", False)
    assert (found.correlation_id, found.task) == ("c-1", "dag=a")


@pytest.mark.parametrize("rule", [lb_failed("/Common/airf5_hsl"), headers()])
def test_braces_and_quotes_of_the_rules_are_balanced(rule: str) -> None:
    plain = rule.replace('\\"', "")
    assert plain.count("{") == plain.count("}") and plain.count('"') % 2 == 0 and plain.count("[") == plain.count("]")
    assert all(len(line) < 1_000 for line in rule.splitlines())


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.name)
def test_every_part_says_what_it_costs_and_how_to_undo_it(part: Any) -> None:
    assert part.costs and part.undo(PLAN)
    if part.tmsh:
        pasted, undone = part.tmsh(PLAN), part.undo(PLAN)
        assert "save sys config" in pasted
        assert ("run cm config-sync to-group pair" in pasted) == ("To be done on each unit" not in part.costs[0])
        for name in set(re.findall(r"/Common/airf5_\w+", pasted)) & {
            "/Common/airf5_request_log", "/Common/airf5_lb_failed", "/Common/airf5_headers",
        }:  # fmt: skip
            assert f"{{ {name} }}" in pasted and f"delete {{ {name} }}" in undone and f" {name}\n" in undone


def test_the_telemetry_declaration_pushes_to_this_source() -> None:
    assert PARTS["telemetry"].json is not None
    consumer = PARTS["telemetry"].json(PLAN)["airf5"]
    assert (consumer["host"], consumer["protocol"], consumer["path"]) == (
        "airf5.example.com", "https", "/ingest/telemetry/bigip-1",
    )  # fmt: skip
    assert {"name": "x-airf5-token", "value": "`>@/passphrase`"} in consumer["headers"]


def test_an_ipv6_receiver_has_its_port_behind_a_dot() -> None:
    assert PARTS["request-log"].tmsh is not None
    told = PARTS["request-log"].tmsh(Plan("b", receiver_of("[2001:db8::50]:5514")))
    assert "/Common/2001:db8::50.5514 {" in told and "/Common/YOUR_VIRTUAL_SERVER" in told


@pytest.mark.parametrize("text", ["", "host", "host:0", "host:99999", ":5514", 'a"b:1', "a b:1", "a{:1"])
def test_what_is_no_receiver(text: str) -> None:
    with pytest.raises(PlanRefused):
        receiver_of(text)


def test_a_receiver_is_an_address_and_a_web_server_has_tls() -> None:
    with pytest.raises(PlanRefused, match="is a name"):
        Plan("b", receiver_of("logs.example.com:5514")).receives()
    with pytest.raises(PlanRefused, match="--receiver"):
        Plan("b").receives()
    assert web_of("https://airf5.example.com:8443/") == ("airf5.example.com", 8443)
    for text in ("http://airf5.example.com", "airf5", "https://u:p@airf5.example.com", "https://x/path"):
        with pytest.raises(PlanRefused):
            web_of(text)
    for name in ("vs", "/Common/a\nb", "/Common/a{b", "/Common/a;b", "//x"):
        with pytest.raises(PlanRefused):
            virtual_of(name)
