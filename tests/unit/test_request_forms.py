"""Every request log seen in the field, (a) to (l): read with its template, and found out without it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.parsers import f5
from ingest.parsers.f5_request_log import compile_template, link_key, parse, parse_with
from ingest.records import RequestLine

NEAR = datetime(2026, 11, 22, 9, 26, tzinfo=UTC)
AT = 1_795_339_510_000_000  # 2026-11-22 09:25:10
WITH_FRACTION = AT + 52_000
DEVICE = {
    "BIGIP_HOSTNAME": "lb1.example.net",
    "CLIENT_IP": "10.9.9.9",
    "CLIENT_PORT": "39954",
    "DATE_HTTP": "Sun, 22 Nov 2026 09:25:10 GMT",
    "DATE_NCSA": "[22/Nov/2026:09:25:10 +0000]",
    "DATE_YYYY": "2026",
    "DATE_MM": "11",
    "DATE_DD": "22",
    "HTTP_KEEPALIVE": "Y",
    "HTTP_METHOD": "GET",
    "HTTP_PATH": "/orders",
    "HTTP_QUERY": "a=1",
    "HTTP_REQUEST": "GET /orders?a=1 HTTP/1.1",
    "HTTP_URI": "/orders?a=1",
    "HTTP_VERSION": "1.1",
    "TIME_HMS": "09:25:10",
    "TIME_OFFSET": "+0000",
    "TIME_USECS": "52000",
    "VIRTUAL_IP": "10.0.0.1",
    "VIRTUAL_NAME": "/Common/vs",
    "VIRTUAL_PORT": "443",
    "VIRTUAL_POOL_NAME": "/Common/p",
    "Host": "api.example.net",
    "host": "api.example.net",
    "User-agent": "curl/8.7 (x, y)",
    "X-Forwarded-For": "10.7.7.7, 10.8.8.8",
    "Content-Type": "application/json",
}
ANSWER = {
    "HTTP_STATCODE": "200",
    "HTTP_STATUS": "HTTP/1.1 200 OK",
    "RESPONSE_MSECS": "7",
    "RESPONSE_SIZE": "512",
    "SERVER_IP": "10.1.1.51",
    "SERVER_PORT": "8080",
    "SNAT_IP": "10.0.0.9",
    "SNAT_PORT": "1024",
}
VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_-]+)\}|([A-Za-z][A-Za-z0-9_]*))")


def written(template: str, **values: str) -> str:
    """What a device writes with this template; what it does not have it leaves empty."""
    known = DEVICE | (ANSWER if values.pop("answered", "yes") else {}) | values
    return VARIABLE.sub(lambda match: known.get(match.group(1) or match.group(2), ""), template)


KV = 'hostname="$BIGIP_HOSTNAME",client_ip="$CLIENT_IP",server_ip="$SERVER_IP"'
REQUEST = 'event_source="request_logging",' + KV
RESPONSE = 'event_source="response_logging",' + KV
ASKED = 'http_method="$HTTP_METHOD",http_uri="$HTTP_URI"'
ENDS = 'virtual_name="$VIRTUAL_NAME",event_timestamp="$DATE_HTTP"'
STATUS = 'http_statcode="$HTTP_STATCODE",http_status="$HTTP_STATUS"'
TEMPLATES: dict[str, str] = {
    "a request": f"{REQUEST},{ASKED},{ENDS}",
    "a response": f'{RESPONSE},{ASKED},{ENDS},{STATUS},response_ms="$RESPONSE_MSECS"',
    "b request": f'{REQUEST},dest_ip="$VIRTUAL_IP",dest_port="$VIRTUAL_PORT",{ASKED},{ENDS},Microtimestamp="$TIME_USECS"',
    "b response": f'{RESPONSE},{ASKED},{ENDS},{STATUS},Microtimestamp="$TIME_USECS",response_ms="$RESPONSE_MSECS"',
    "c": "$CLIENT_IP ${X-Forwarded-For} $DATE_NCSA $VIRTUAL_IP $VIRTUAL_NAME $VIRTUAL_POOL_NAME $SERVER_IP $SERVER_PORT "
    '"$HTTP_PATH" "$HTTP_REQUEST" $HTTP_STATCODE $RESPONSE_SIZE $RESPONSE_MSECS "$Referer" "${User-agent}"',
    "d": '{"timestamp": "$DATE_YYYY-$DATE_MM-${DATE_DD}T${TIME_HMS}.000${TIME_OFFSET}", "client-ip": "${X-Forwarded-For}", '
    '"host": "$Host", "user-agent": "${User-agent}", "cookie": "$Cookie", "method": "$HTTP_METHOD", "uri": "$HTTP_URI", '
    '"username": "$Username", "content-type": "${Content-Type}", "server-ip": "$SERVER_IP", "latency": $RESPONSE_MSECS, '
    '"status": "$HTTP_STATCODE"}',
    "e request": "$DATE_NCSA REQUEST -> CLIENT = $CLIENT_IP:$CLIENT_PORT, VIP = $VIRTUAL_IP:$VIRTUAL_PORT, "
    "HTTP_VERSION = $HTTP_VERSION, HTTP_METHOD = $HTTP_METHOD, HTTP_KEEPALIVE = $HTTP_KEEPALIVE, HTTP_PATH = $HTTP_PATH, "
    "HTTP_QUERY = $HTTP_QUERY, HTTP_REQUEST = $HTTP_REQUEST, HTTP_URI = $HTTP_URI",
    "e response": "$DATE_NCSA, RESPONSE -> CLIENT = $CLIENT_IP:$CLIENT_PORT, VIP = $VIRTUAL_IP:$VIRTUAL_PORT, "
    "SERVER = $SERVER_IP:$SERVER_PORT, HTTP_VERSION = $HTTP_VERSION, HTTP_METHOD = $HTTP_METHOD, "
    "HTTP_KEEPALIVE = $HTTP_KEEPALIVE, HTTP_PATH = $HTTP_PATH, HTTP_QUERY = $HTTP_QUERY, HTTP_REQUEST = $HTTP_REQUEST, "
    "HTTP_STATUS = $HTTP_STATUS, HTTP_URI = $HTTP_URI, SNAT_IP = $SNAT_IP:$SNAT_PORT, F5_HOSTNAME = $BIGIP_HOSTNAME, "
    "RESPONSE_TIME = $RESPONSE_MSECS, RESPONSE_SIZE = $RESPONSE_SIZE",
    "k request": f'{REQUEST},{ASKED},http_host="${{host}}",{ENDS}',
    "k response": f'{RESPONSE},{ASKED},http_host="${{host}}",virtual_name="$VIRTUAL_NAME",http_statcode="$HTTP_STATCODE",'
    'event_timestamp="$DATE_HTTP"',
    "l": f'{RESPONSE},{ASKED},response_msec="$RESPONSE_MSEC",response_size="RESPONSE_SIZE",{ENDS}',
}
WHO: dict[str, Any] = {"hostname": "lb1.example.net", "client_ip": "10.9.9.9", "virtual_name": "/Common/vs"}
WHAT: dict[str, Any] = {"method": "GET", "uri": "/orders?a=1", "suspect": False}
KNOWN: dict[str, Any] = {"kind": "response", "status": 200, "response_us": 7000, "server_ip": "10.1.1.51"}
UNKNOWN: dict[str, Any] = {"kind": "request", "status": None, "response_us": None, "server_ip": ""}
EXPECTED: dict[str, dict[str, Any]] = {
    "a request": {**WHO, **WHAT, **UNKNOWN, "ts_us": AT},
    "a response": {**WHO, **WHAT, **KNOWN, "ts_us": AT},
    "b request": {**WHO, **WHAT, **UNKNOWN, "ts_us": WITH_FRACTION, "virtual_ip": "10.0.0.1", "virtual_port": 443},
    "b response": {**WHO, **WHAT, **KNOWN, "ts_us": WITH_FRACTION},
    "c": {
        **WHAT,
        **KNOWN,
        "ts_us": AT,
        "xff": "10.7.7.7, 10.8.8.8",
        "f5_pool": "/Common/p",
        "server_port": 8080,
        "bytes": 512,
        "user_agent": "curl/8.7 (x, y)",
    },
    "d": {**WHAT, **KNOWN, "ts_us": AT, "host": "api.example.net", "user_agent": "curl/8.7 (x, y)"},
    "e request": {**WHAT, **UNKNOWN, "ts_us": AT, "client_ip": "10.9.9.9", "client_port": 39954, "virtual_port": 443},
    "e response": {**WHAT, **KNOWN, "ts_us": AT, "server_port": 8080, "snat_ip": "10.0.0.9", "bytes": 512},
    "k request": {**WHO, **WHAT, **UNKNOWN, "ts_us": AT, "host": "api.example.net"},
    "k response": {**WHO, **WHAT, **KNOWN, "ts_us": AT, "host": "api.example.net", "response_us": None},
    "l": {**WHO, **WHAT, **KNOWN, "ts_us": AT, "status": None, "response_us": None, "bytes": None},
}


def seen(line: RequestLine, expected: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(line, name) for name in expected}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("head", ["", "2026-11-22T09:25:10.056000Z 10.0.0.245 "])
def test_a_line_is_read_with_its_template_and_without_it(name: str, head: str) -> None:
    answered = "" if EXPECTED[name]["kind"] == "request" else "yes"
    line = head + written(TEMPLATES[name], answered=answered)
    templates = tuple(map(compile_template, TEMPLATES.values()))
    for found in (
        parse(line, NEAR),
        f5.parse_auto(line, NEAR),
        parse_with((compile_template(TEMPLATES[name]),), line, NEAR),
        parse_with(templates, line, NEAR),
    ):
        assert isinstance(found, RequestLine), found
        assert seen(found, EXPECTED[name]) == EXPECTED[name]


def test_a_template_as_tmsh_shows_it_is_the_same_template() -> None:
    shown = TEMPLATES["b response"].replace('"', '\\"')
    found = parse_with((compile_template(shown),), written(TEMPLATES["b response"]), NEAR)
    assert isinstance(found, RequestLine) and seen(found, EXPECTED["b response"]) == EXPECTED["b response"]


# What iRules and publishers write has no template: lines in the shape that the projects show.
LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "f": (
        '<133>1 2026-11-22T09:25:10.570Z lb1.example.net f5LTM - ID2 [srcip="10.9.9.9" reqtime="1795339510052" method="GET" '
        'host="api" uri="/orders" uagent="curl/8" vsip="10.0.0.1" vsname="/Common/vs" vs="/Common/p" status="200" '
        'statusmsg="OK" responsetime="7" bytes="512" realserver="10.1.1.51" realport="8080" pool="/Common/p" rtt="1"]',
        {**KNOWN, "ts_us": WITH_FRACTION, "uri": "/orders", "f5_pool": "/Common/p", "virtual_name": "/Common/vs"},
    ),
    "f without a member": (
        '<133>1 2026-11-22T09:25:10.570Z lb1.example.net f5LTM - ID2 [srcip="10.9.9.9" reqtime="1795339510052" method="GET" '
        'host="api" uri="/orders" uagent="curl/8" vsip="10.0.0.1" vsname="/Common/vs" vs="" status="" responsetime="" '
        'bytes="" realserver="" realport=""]',
        {**UNKNOWN, "uri": "/orders", "server_port": None},
    ),
    "g": (
        "<190>,f5_irule=Splunk-iRule-HTTP,src_ip=10.9.9.9,vip=10.0.0.1,http_method=GET,http_host=api:443,http_uri=/orders,"
        'http_url=api:443/orders,http_version=1.1,http_user_agent="M (a, b)",http_content_type=,http_referrer="",'
        'req_start_time=2026/11/22 09:25:10,cookie="a b",user=,virtual_server="/Common/p 10.1.1.51 8080",bytes_in=0,'
        "res_start_time=2026/11/22 09:25:10,node=10.1.1.51,node_port=8080,http_status=200,req_elapsed_time=7,bytes_out=512"
        "\r\n",
        {**KNOWN, "ts_us": AT, "f5_pool": "/Common/p", "user_agent": "M (a, b)", "bytes": 512},
    ),
    "g that reached no member": (
        "<190>,f5_irule=Splunk-iRule-LB_FAILED,src_ip=10.9.9.9,vip=10.0.0.1,http_method=GET,http_host=api:443,"
        'http_uri=/orders,http_url=api:443/orders,http_version=1.1,http_user_agent="M",http_content_type=,http_referrer="",'
        'req_start_time=2026/11/22 09:25:10,cookie="",user=,virtual_server="/Common/p 0",bytes_in=0#015',
        {**UNKNOWN, "ts_us": AT, "uri": "/orders", "f5_pool": "/Common/p"},
    ),
    "g in capitals": (
        '<190> CLIENT_IP=10.9.9.9, VIP=10.0.0.1, VIP_NAME="/Common/p 10.1.1.51 8080", SERVER_NODE=10.1.1.51, '
        "SERVER_NODE_PORT=8080, HTTP_URL=api:443/orders?a=1, HTTP_VERSION=1.1, HTTP_STATUS=200, HTTP_METHOD=GET, "
        'HTTP_CONTENT_TYPE=, HTTP_USER_AGENT="M (a, b)", HTTP_REFERRER="", COOKIE="", '
        "REQUEST_START_TIME=2026/11/22 09:25:10,REQUEST_ELAPSED_TIME=7, BYTES_IN=0, BYTES_OUT=512\r\n",
        {**KNOWN, **WHAT, "ts_us": AT, "host": "api:443", "server_port": 8080, "bytes": 512, "f5_pool": "/Common/p"},
    ),
    "h": (
        '<111>1 2026-11-22T09:25:10+00:00 lb1 F5 - access_json - {"timestamp":"Sun, 22 Nov 2026 09:25:10 UTC", '
        '"event_type":"HTTP_REQUEST", "src_ip":"10.9.9.9", "src_port":"39192", "dest_ip":"10.0.0.1", "dest_port":"443", '
        '"http_host":"api", "uri_path":"/orders", "uri_query":"", "http_method":"GET", "header": { "Accept":"*/*" }}',
        {**UNKNOWN, "ts_us": AT, "hostname": "lb1", "client_port": 39192, "virtual_port": 443, "uri": "/orders"},
    ),
    "i": (
        "CEF:0|F5|BIG-IP|||HTTP Request|Low| src=10.9.9.9 spt=58541 dst=10.0.0.1 dpt=80 requestMethod=GET request=/orders "
        "requestClientApplication=Mozilla/5.0 (X; Y) http_code=200 suser= host=api",
        {
            "kind": "response",
            "status": 200,
            "response_us": None,
            "client_port": 58541,
            "virtual_port": 80,
            "host": "api",
        },
    ),
    "j": (
        "Nov 22 09:25:10 lb1 info tmm1[16963]: Rule /Common/log <HTTP_RESPONSE>: virtual=/Common/vs client_ip=10.9.9.9 "
        'client_port=39954 lb_server=10.1.1.51:8080 host=api username= /orders request="POST /orders HTTP/1.1" '
        "server_status=200 content_type=application/json; charset=utf-8 content_length=725 resp_time=7 "
        'user_agent="M 5]" referer=https://x/y?z=1',
        {**KNOWN, "ts_us": AT, "hostname": "lb1", "virtual_name": "/Common/vs", "method": "POST", "user_agent": "M 5"},
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_of_an_irule_is_read_as_it_is(name: str) -> None:
    line, expected = LINES[name]
    for found in (parse(line, NEAR), f5.parse_auto(line, NEAR), parse("2026-11-22T09:25:10Z 10.0.0.245 " + line, NEAR)):
        assert isinstance(found, RequestLine), found
        assert seen(found, expected) == expected
        assert link_key(found) is None


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_value_that_is_missing_is_unknown_and_never_zero(name: str) -> None:
    line = written(TEMPLATES[name], answered="")
    for found in (parse(line, NEAR), parse_with((compile_template(TEMPLATES[name]),), line, NEAR)):
        if isinstance(found, RequestLine):
            assert (found.status, found.response_us, found.bytes, found.server_port) == (None, None, None, None)


def test_json_that_a_template_of_several_lines_wrote_is_one_line_of_the_spool() -> None:
    several = TEMPLATES["d"].replace(", ", ", \\n      ").replace("{", "{\\n      ", 1)
    line = written(several.replace("${X-Forwarded-For}", "$CLIENT_IP"))
    found = parse(line, NEAR)
    assert isinstance(found, RequestLine) and seen(found, EXPECTED["d"] | {"suspect": found.suspect})
    assert (found.uri, found.status, found.response_us) == ("/orders?a=1", 200, 7000)


def test_apaches_ready_made_lines_are_a_template_too() -> None:
    line = '10.9.9.9 - admin [22/Nov/2026:09:25:10 +0000] "GET /orders?a=1 HTTP/1.1" 200 512 "-" "curl/8"'
    found = parse_with((compile_template("$NCSA_COMBINED"),), line, NEAR)
    assert isinstance(found, RequestLine)
    assert (found.client_ip, found.uri, found.status, found.bytes) == ("10.9.9.9", "/orders?a=1", 200, 512)
    assert found.response_us is None
