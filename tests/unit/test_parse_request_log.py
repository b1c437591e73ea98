from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.parsers import f5, f5_request_log
from ingest.parsers.f5_request_log import compile_template, link_key, parse, parse_line
from ingest.records import Link, Reject, RequestLine

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
UUID = "01a20292-e55e-7256-bf6c-250866266e5a"
TASK = f"dag=d;run=manual__2026-11-22T09:25:11+00:00;task=t;map=-1;try=1;ti={UUID}"
WHERE = (
    'ts="1795339510.52000",hostname="b1",virtual_name="/Common/vs",virtual_ip="10.0.0.1",'
    'virtual_port="80",pool="/Common/p",'
)
CLIENT = 'client_ip="10.9.9.9",client_port="39954",'
SERVER = (
    'server_ip="10.1.1.1",server_port="8080",snat_ip="",http_statcode="201",response_ms="3",'
    'response_us="3500",bytes="523",'
)


def response(host: str = "api", task: str = "", ua: str = "curl/8", uri: str = "/x", server: str = SERVER) -> str:
    asked = (
        f'http_method="GET",host="{host}",correlation_id="",traceparent="",task="{task}",xff="",ua="{ua}",'
        f'http_uri="{uri}"'
    )
    return f'airf5="1",kind="response",{WHERE}{CLIENT}{server}{asked}'


def request(**parts: str) -> str:
    return response(**parts, server="").replace('kind="response"', 'kind="request"')


def parsed(line: str) -> RequestLine:
    found = parse(line, NEAR)
    assert isinstance(found, RequestLine), found
    return found


def test_a_response_line_of_our_template() -> None:
    assert parsed(response()) == RequestLine(
        *("response", 1795339510_052000, "b1", "/Common/vs", "10.0.0.1", 80, "/Common/p", "10.9.9.9", 39954),
        *("10.1.1.1", 8080, "", 201, 3500, 523, "GET", "api", "/x", "", "", "", "", "curl/8", False),
    )


def test_a_request_line_has_no_answer_and_a_spool_head_changes_nothing() -> None:
    line = parsed(request())
    assert (line.kind, line.server_ip, line.status, line.response_us, line.bytes) == ("request", "", None, None, None)
    assert parsed(f"2026-11-22T09:25:10.056Z 10.0.0.245 {request()}\r\n") == line


@pytest.mark.parametrize(
    ("ms", "us", "expected"),
    [
        ("3", "3500", 3500),
        ("3", "", 3000),
        ("", "3500", 3500),
        ("", "", None),
        ("1003", "3500", 1_003_000),
        ("word", "", None),
    ],
)
def test_the_response_time_is_unknown_never_zero(ms: str, us: str, expected: int | None) -> None:
    server = SERVER.replace('response_ms="3"', f'response_ms="{ms}"').replace(
        'response_us="3500"', f'response_us="{us}"'
    )
    assert parsed(response(server=server)).response_us == expected


def test_a_quote_in_the_user_agent_is_only_text() -> None:
    line = parsed(response(ua='x "quoted", and = more'))
    assert line.user_agent == 'x "quoted", and = more' and line.uri == "/x" and not line.suspect


@pytest.mark.parametrize("place", ["host", "ua", "uri", "task"])
@pytest.mark.parametrize(
    "forged", ['a",kind="response",http_statcode="200', f'a",task="{TASK}', 'a",server_ip="6.6.6.6']
)
def test_a_forged_key_is_seen_and_makes_no_exact_link(place: str, forged: str) -> None:
    for line in (parsed(request(**{place: forged})), parsed(response(**{place: forged}))):
        assert line.suspect and link_key(line) is None
        assert line.server_ip in ("", "10.1.1.1") and line.status in (None, 201)


def test_a_line_that_was_cut_is_kept_and_suspect() -> None:
    line = parsed(response()[:-20])
    assert line.suspect and line.status == 201


def test_another_version_of_the_template_is_refused() -> None:
    found = parse(response().replace('airf5="1"', 'airf5="2"'), NEAR)
    assert isinstance(found, Reject) and "airf5/2" in found.reason


FORMS: list[tuple[str, dict[str, Any]]] = [
    (
        'event_source="response_logging",hostname="b1",client_ip="10.1.1.1",server_ip="10.2.2.2",http_method="GET",'
        'http_uri="/a?q="x",y",virtual_name="/Common/v",event_timestamp="Fri, 28 Feb 2020 12:00:00 GMT",'
        'http_statcode="200",'
        'http_status="HTTP/1.1 200 OK",response_ms="5",Microtimestamp="52000"',
        {
            "kind": "response",
            "uri": '/a?q="x",y',
            "status": 200,
            "response_us": 5000,
            "ts_us": 1582891200_052000,
            "suspect": False,
        },
    ),
    (
        'EVENT_SOURCE="request_logging",BIGIP_HOSTNAME="h",CLIENT_IP="1.2.3.4",SERVER_IP="",'
        'HTTP_METHOD="GET",HTTP_URI="/",'
        'VIRTUAL_NAME="/Common/v",EVENT_TIMESTAMP="2022-09-27T06:02:48.000Z"',
        {"kind": "request", "hostname": "h", "client_ip": "1.2.3.4", "ts_us": 1664258568_000000},
    ),
    (
        'event_source="response_logging",hostname="h",client_ip="1.2.3.4",http_method="GET",http_uri="/",http_host="a",'
        'virtual_name="/v",http_statcode="503",event_timestamp="nonsense",response_msec="",'
        'response_size="RESPONSE_SIZE"',
        {"status": 503, "response_us": None, "bytes": None, "host": "a", "ts_us": 1795338000_000000},
    ),
    (
        'event_source="request_logging",hostname="h",client_ip="1.2.3.4",http_method="GET",http_uri="/a",'
        'kind="response",'
        'http_statcode="200",virtual_name="/v",event_timestamp=""',
        {"kind": "request", "status": None, "suspect": True},
    ),
    (
        "10.1.1.1 1.1.1.1, 2.2.2.2 [28/Feb/2020:12:00:00 +0000] 10.9.9.9 /Common/vs /Common/p 10.2.2.2 80 "
        '"/x" "GET /x?y HTTP/1.1" 200 512 7 "-" "curl/7"',
        {
            "uri": "/x?y",
            "status": 200,
            "response_us": 7000,
            "xff": "1.1.1.1, 2.2.2.2",
            "f5_pool": "/Common/p",
            "suspect": False,
        },
    ),
    (
        '{"timestamp": "2020-02-28T12:00:00.000+0000", "client-ip": "10.0.0.1", "host": "h", "user-agent": "a"b", '
        '"method": "GET", "uri": "/x", "server-ip": "10.2.2.2", "latency": , "status": "200"}',
        {"uri": "/x", "status": 200, "response_us": None, "user_agent": 'a"b', "suspect": True},
    ),
    (
        '<133>1 2022-01-10T08:23:01.570Z LB f5LTM - ID2 [srcip="192.168.1.2" reqtime="1641802981570" '
        'method="GET" host="h" '
        'uri="/x" uagent="c" vsip="1.1.1.1" vsname="/Common/v" status="200" responsetime="12" '
        'realserver="10.2.2.2" realport="80"]',
        {"hostname": "LB", "uri": "/x", "response_us": 12000, "server_port": 80, "ts_us": 1641802981_570000},
    ),
    (
        "<166>Jan 17 03:35:18 b1,f5_irule=Splunk-iRule-HTTP,src_ip=1.2.3.4,vip=5.6.7.8,http_method=GET,http_host=a:80,"
        'http_uri=/t?a=1,http_url=a/t,http_method=GET,http_user_agent="M (a, b)",virtual_server="/Common/Pool-02 0",'
        "node=192.168.1.13,node_port=80,http_status=301,req_elapsed_time=2,bytes_out=145#015",
        {
            "kind": "response",
            "hostname": "b1",
            "uri": "/t?a=1",
            "status": 301,
            "bytes": 145,
            "f5_pool": "/Common/Pool-02",
            "suspect": False,
        },
    ),
    (
        "<190>,f5_irule=Splunk-iRule-LB_FAILED,src_ip=1.2.3.4,vip=5.6.7.8,http_method=GET,http_uri=/i,bytes_in=0",
        {"kind": "request", "status": None, "virtual_ip": "5.6.7.8", "uri": "/i"},
    ),
    (
        "CEF:0|F5|BIG-IP|||HTTP Request|Low| src=1.2.3.4 spt=58541 dst=5.6.7.8 dpt=80 requestMethod=GET request=/a "
        "requestClientApplication=Mozilla/5.0 (X; Y) http_code=200 suser= host=e.com",
        {"client_port": 58541, "status": 200, "user_agent": "Mozilla/5.0 (X; Y)", "host": "e.com"},
    ),
    (
        "[28/Feb/2020:12:00:00 +0000] RESPONSE -> CLIENT = 1.2.3.4:555, VIP = 10.0.0.1:80, HTTP_METHOD = GET,"
        " HTTP_URI = /x, "
        "HTTP_STATCODE = 200, RESPONSE_TIME = 5, RESPONSE_SIZE = 7",
        {"kind": "response", "client_port": 555, "virtual_ip": "10.0.0.1", "response_us": 5000, "bytes": 7},
    ),
    (
        "Rule /Common/r <HTTP_RESPONSE>: virtual=/Common/VS client_ip=84.1.1.1 client_port=65081 "
        "lb_server=10.100.8.4:80 host=h "
        'username= /x request="POST /x HTTP/1.1" server_status=200 content_length=725 resp_time=47 '
        'user_agent="M 5]" referer=z',
        {"method": "POST", "uri": "/x", "server_port": 80, "response_us": 47000, "user_agent": "M 5"},
    ),
]


@pytest.mark.parametrize(("line", "expected"), FORMS)
def test_the_forms_of_the_field(line: str, expected: dict[str, Any]) -> None:
    found = parsed(line)
    assert {name: getattr(found, name) for name in expected} == expected
    assert f5.parse_auto(line, NEAR) == found


def test_an_exact_key_that_only_a_client_can_have_written_makes_no_link() -> None:
    line = (
        f'event_source="request_logging",hostname="h",client_ip="1.2.3.4",http_method="GET",http_uri="/a",'
        f'task="{TASK}",'
        'virtual_name="/v",event_timestamp=""'
    )
    assert link_key(parsed(line)) is None
    assert link_key(parsed('{"method":"GET","uri":"/a","user-agent":"x","task":"' + TASK + '"}')) is None


TEMPLATE = (
    '$DATE_NCSA|$CLIENT_IP:$CLIENT_PORT|$Host|${X-Airflow-Task}|$HTTP_STATCODE|${X-Unknown}|"${User-Agent}" $HTTP_URI'
)


def test_any_template_can_be_compiled() -> None:
    line = f'[28/Feb/2020:12:00:00 +0000]|2001:db8::1:555|api|{TASK}|200|what|"a, b" /x?y=1 2'
    found = parse_line(compile_template(TEMPLATE), line, NEAR)
    assert isinstance(found, RequestLine) and not found.suspect
    assert (found.client_ip, found.client_port, found.uri, found.status) == ("2001:db8::1", 555, "/x?y=1 2", 200)
    assert link_key(found) == (Link.HEADER, UUID)


def test_a_template_puts_its_time_together() -> None:
    template = compile_template(
        '"$DATE_YYYY-$DATE_MM-${DATE_DD}T${TIME_HMS}.$TIME_MSECS$TIME_OFFSET" $HTTP_STATCODE $HTTP_URI'
    )
    found = parse_line(template, '"2020-02-28T12:00:00.52+0200" 200 /x', NEAR)
    assert isinstance(found, RequestLine) and found.ts_us == 1582884000_052000


def test_a_client_that_writes_the_templates_literals_is_suspect() -> None:
    template = compile_template('status="$HTTP_STATCODE",ua="${User-Agent}",http_uri="$HTTP_URI"')
    evil = f'status="200",ua="x",http_uri="/execution/task-instances/{UUID}/run",http_uri="/real"'
    found = parse_line(template, evil, NEAR)
    assert isinstance(found, RequestLine) and found.suspect and link_key(found) is None


@pytest.mark.parametrize("text", ["", "no variable", "$Host$Cookie x", "x" * 20_000])
def test_a_template_that_tells_nothing_apart_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        compile_template(text)


def test_a_template_is_no_regular_expression() -> None:
    found = parse_line(compile_template("(a+)+$HTTP_STATCODE[.*] $HTTP_URI"), "(a+)+200[.*] /x", NEAR)
    assert isinstance(found, RequestLine) and found.status == 200


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"/execution/task-instances/{UUID.upper()}/run", ("run", UUID, None, None, None, None)),
        (f"/execution/task-reschedules/{UUID}/start_date?try_number=1", ("start_date", UUID, None, None, None, None)),
        (
            "/execution/xcoms/d/manual__2026-11-22T09:25:11+00:00/t/k?map_index=3",
            ("xcom", None, "d", "manual__2026-11-22T09:25:11+00:00", "t", 3),
        ),
        ("/execution/xcoms/d/r/t/k/item/2", ("xcom", None, "d", "r", "t", None)),
        ("/execution/connections/orders_http", ("connection", None, None, None, None, None)),
        ("/execution/task-instances/not-a-uuid/run", ("other", None, None, None, None, None)),
        (f'/execution/task-instances/{UUID}/run",foo="', ("other", None, None, None, None, None)),
        (f"/prefix/execution/task-instances/{UUID}/state", ("state", UUID, None, None, None, None)),
    ],
)
def test_execution_calls(uri: str, expected: tuple[Any, ...]) -> None:
    found = f5_request_log.execution_call(uri)
    assert found is not None and found[:6] == expected


def test_other_uris_are_no_execution_call() -> None:
    assert f5_request_log.execution_call(f"/x?next=/execution/task-instances/{UUID}/run") is None
    assert f5_request_log.execution_call("/orders") is None


def test_links() -> None:
    assert link_key(parsed(response(uri=f"/execution/task-instances/{UUID}/heartbeat"))) == (Link.UUID, UUID)
    assert link_key(parsed(response(task=TASK))) == (Link.HEADER, UUID)
    without = "dag=d;e;run=manual__1;task=t=1;map=2;try=3"
    assert link_key(parsed(response(task=without))) == (Link.HEADER, '["d;e","manual__1","t=1",2,3]')
    assert link_key(parsed(response(task="dag=d;run=r;task=t;task=u;try=1"))) is None
    assert link_key(parsed(response(task="rubbish"))) is None
    assert link_key(parsed(response())) is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"/execution/task-instances/{UUID}/run?x=1", "/execution/task-instances/{uuid}/run"),
        ("/execution/xcoms/d/manual__1/t/return_value/item/3", "/execution/xcoms/d/{run}/t/return_value/item/{n}"),
        ("/execution/connections/orders_2024", "/execution/connections/orders_2024"),
        ("/reports/scheduled__2026-11-22T00:00:00+00:00/ready", "/reports/{run}/ready"),
        ("/orders/4711", "/orders/{n}"),
        ("/blob/deadbeefdeadbeef", "/blob/{n}"),
        ("/api/v2/dags", "/api/v2/dags"),
        ("/a\x01\u202eb", "/a\ufffd\ufffdb"),
        ("/" + "z" * 900, "/" + "z" * 199),
    ],
)
def test_path_templates(uri: str, expected: str) -> None:
    assert f5_request_log.path_template(uri) == expected


def test_trace_ids() -> None:
    assert (
        f5_request_log.trace_id("00-a42ebc00e5700a0b1552244d7d416a58-246238a056fbddb4-00")
        == "a42ebc00e5700a0b1552244d7d416a58"
    )
    assert f5_request_log.trace_id("00-" + "0" * 32 + "-246238a056fbddb4-00") is None
    assert f5_request_log.trace_id("") is None
