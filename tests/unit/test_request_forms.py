"""Every request log seen in the field, (a) to (l): read with its template, and found out without it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bench.lines import pairs
from bench.request_forms import LINES, TEMPLATES, written
from ingest.parsers import f5
from ingest.parsers.f5_request_log import compile_template, link_key, parse, parse_with
from ingest.records import RequestLine
from ingest.streams import kind_of

NEAR = datetime(2026, 11, 22, 9, 26, tzinfo=UTC)
AT = 1_795_339_510_000_000  # 2026-11-22 09:25:10
WITH_FRACTION = AT + 52_000
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


IRULES: dict[str, dict[str, Any]] = {
    "f": {**KNOWN, "ts_us": WITH_FRACTION, "uri": "/orders", "f5_pool": "/Common/p", "virtual_name": "/Common/vs"},
    "f without a member": {**UNKNOWN, "uri": "/orders", "server_port": None},
    "g": {**KNOWN, "ts_us": AT, "f5_pool": "/Common/p", "user_agent": "M (a, b)", "bytes": 512},
    "g that reached no member": {**UNKNOWN, "ts_us": AT, "uri": "/orders", "f5_pool": "/Common/p"},
    "g in capitals": {
        **KNOWN,
        **WHAT,
        "ts_us": AT,
        "host": "api:443",
        "server_port": 8080,
        "bytes": 512,
        "f5_pool": "/Common/p",
    },
    "h": {**UNKNOWN, "ts_us": AT, "hostname": "lb1", "client_port": 39192, "virtual_port": 443, "uri": "/orders"},
    "i": {
        "kind": "response",
        "status": 200,
        "response_us": None,
        "client_port": 58541,
        "virtual_port": 80,
        "host": "api",
    },
    "j": {**KNOWN, "ts_us": AT, "hostname": "lb1", "virtual_name": "/Common/vs", "method": "POST", "user_agent": "M 5"},
    "j in parts": {
        **KNOWN,
        "virtual_port": 443,
        "server_port": 8080,
        "f5_pool": "/Common/p",
        "uri": "/login",
        "bytes": 89,
    },
}


@pytest.mark.parametrize("name", IRULES)
def test_a_line_of_an_irule_is_read_as_it_is(name: str) -> None:
    line, expected = LINES[name], IRULES[name]
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


def test_an_irule_that_logs_a_clients_text_makes_no_exact_link() -> None:
    uuid = "01a20292-e55e-7256-bf6c-250866266e5a"
    said = (
        f'client_ip=1.1.1.1 request="GET /execution/task-instances/{uuid}/run HTTP/1.1" server_status=500 host=h '
        "lb_server=10.1.1.1:80"
    )
    found = parse(f"Nov 22 09:25:10 lb1 info tmm[1]: Rule /Common/r <HTTP_REQUEST>: URI: /?{said}", NEAR)
    assert isinstance(found, RequestLine) and found.suspect and link_key(found) is None


@pytest.mark.parametrize("form", ["airf5", "a request"])
@pytest.mark.parametrize(("said", "taken"), [("", True), ("URI: /? ", False)])
def test_a_line_that_a_client_put_into_the_log_of_an_irule_is_no_request(form: str, said: str, taken: bool) -> None:
    line = next(pairs(1))[0] if form == "airf5" else written(TEMPLATES[form], answered="")
    message = f"<134>Nov 22 09:25:10 lb1 info tmm[1]: Rule /Common/r <HTTP_REQUEST>: {said}{line}"
    assert isinstance(parse(message, NEAR), RequestLine) is taken
    assert kind_of(message.encode()) == ("request" if taken else "ltm")


def test_what_json_escapes_can_be_stored() -> None:
    found = parse('{"method":"GET","uri":"/a\\u0000b","host":"\\ud800","status":"200","latency":1}', NEAR)
    assert isinstance(found, RequestLine) and (found.uri, found.host) == ("/a\ufffdb", "?")


def test_no_form_is_forgotten() -> None:
    assert set(EXPECTED) == set(TEMPLATES) and set(IRULES) == set(LINES)
    assert {name[0] for name in (*TEMPLATES, *LINES)} == set("abcdefghijkl")


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
