"""No parser raises, whatever is logged; and what a client writes never becomes an exact link of another key."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers import (
    PARSERS,
    airflow_log,
    f5_config,
    f5_header,
    f5_icontrol,
    f5_request_fields,
    f5_telemetry,
    times,
)
from ingest.parsers.f5_request_log import compile_template, link_key, parse, parse_line, path_template
from ingest.records import Action, HealthEvent, MemberState, Other, Reject, RequestLine

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
RECORDS = (Action, HealthEvent, MemberState, Other, Reject, RequestLine)
F5_FORMATS = [name for name in PARSERS if name.startswith("f5-")]
PIECES = st.sampled_from(
    (
        '",kind="response" ",http_statcode="200 airf5="1", <133> Nov|22|09:28:51 h notice mcpd[1]: '
        "01070638:5: AUDIT|- RAW: "
        "Pool|/C/p member|/C/m:80 monitor|status down. [|/C/x:|down; last|error: @2023/11/13|04:19:15 "
        "]|[|was|up|for|1hr:1min:1sec "
        'transaction|#1-1 { "x" [Status= cmd_data= password [ssl_acc] CEF:0|F5|BIG-IP ,f5_irule=X-HTTP '
        'Rule|/C/r [F5@12276 \\" ='
    )
    .replace("|", " ")
    .split(" ")
)
LINES = st.one_of(
    st.text(max_size=300),
    st.binary(max_size=300).map(lambda b: b.decode("utf-8", "surrogateescape")),
    st.lists(PIECES, max_size=40).map(" ".join),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
TEMPLATE = compile_template('s="$HTTP_STATCODE",ua="${User-Agent}",task="${X-Airflow-Task}",http_uri="$HTTP_URI"')
GOOD = (
    'airf5="1",kind="{kind}",ts="1795339510.52",hostname="b",virtual_name="/v",virtual_ip="1.1.1.1",'
    'virtual_port="80",pool="/p",'
    'client_ip="2.2.2.2",client_port="5",http_method="GET",host="{host}",correlation_id="",'
    'traceparent="",task="{task}",xff="",'
    'ua="{ua}",http_uri="{uri}"'
)


@given(LINES)
@settings(max_examples=60, deadline=None)
def test_no_line_makes_a_parser_raise(line: str) -> None:
    for name in F5_FORMATS:
        for received in (NEAR, None):
            found = PARSERS[name](line, received)
            for record in found if isinstance(found, list) else [found]:
                assert isinstance(record, RECORDS)
                assert "\x00" not in repr(record)
                repr(record).encode("utf-8")
    parse_line(TEMPLATE, line, NEAR)


@given(JSON)
@settings(max_examples=40, deadline=None)
def test_no_document_makes_a_parser_raise(document: object) -> None:
    f5_icontrol.parse_pools(document)
    f5_icontrol.parse_pool_members_stats({"entries": document})
    f5_icontrol.parse_virtuals({"items": [document]})
    f5_icontrol.parse_clock(document)
    for of_items in (f5_config.parse_policies, f5_config.parse_rules, f5_config.parse_request_logs):
        of_items({"items": [document]})
    f5_telemetry.parse({"pools": {"p": {"members": document}}, "telemetryEventCategory": "systemInfo"}, NEAR)
    f5_telemetry.parse({"telemetryEventCategory": "LTM", "event_source": "request_logging", "http_uri": document}, NEAR)


@given(
    st.sampled_from(("host", "ua", "uri")),
    st.lists(
        st.sampled_from(
            (
                '"',
                ",",
                '",',
                '="',
                "task",
                "kind",
                "ua",
                "http_uri",
                ";ti=",
                "x",
                '",task="dag=d;run=r;task=t;map=-1;try=1',
            )
        ),
        max_size=12,
    ),
)
@settings(max_examples=120, deadline=None)
def test_no_text_of_a_client_becomes_the_header_of_a_task(place: str, pieces: list[str]) -> None:
    values = {"kind": "request", "host": "h", "task": "", "ua": "u", "uri": "/x", place: "".join(pieces)}
    found = parse(GOOD.format(**values), NEAR)
    assert isinstance(found, RequestLine)
    assert found.suspect or not found.task
    assert link_key(found) is None
    assert len(path_template(found.uri)) <= 200


def test_the_time_grows_with_the_length_of_a_line_only() -> None:
    head = "<133>Nov 22 09:28:51 h notice mcpd[6896]: 01070638:5: Pool /C/p member /C/m:1 monitor status down. [ "
    started = time.process_time()
    for line in (
        '",a="' * 10_000,
        head + "@" * 50_000,
        head + ", /a: up" * 6_000,
        "<1>1 2022-01-10T08:23:01Z h a - b [" + 'a="\\' * 12_000,
    ):
        for name in F5_FORMATS:
            PARSERS[name](line, NEAR)
    assert time.process_time() - started < 5  # quadratic would be minutes


def test_what_is_remembered_between_lines_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for module, name in ((f5_header, "_is_address"), (f5_request_fields, "_normal"), (times, "_any_time")):
        kept = getattr(module, name)
        monkeypatch.setattr(module, name, lambda text, *more, kept=kept: (asked.append(text), kept(text, *more))[1])
    long = "9" * 10_000
    for name in F5_FORMATS:
        PARSERS[name](f"2026-11-22T09:00:00Z {long} x", NEAR)
        PARSERS[name](f'2026-11-22T09:00:00Z 10.0.0.1 {{"client-ip": "10.9.9.9", "uri": "/", "timestamp": "{long}", '
                      f'"status": "200", "{long}": "x"}}', NEAR)  # fmt: skip
    assert {"10.0.0.1", "client-ip"} <= set(asked)
    assert times.any_time(long) is None and max(map(len, asked)) <= 64


HEAD = "[2026-11-22T10:00:00,000+0000] {a.py:1} ERROR - "
SLOW_LOGS = {
    "a literal of braces": "[(" + "{1:2}," * 30_000 + ")]",
    "a literal of names": "[(" + "a," * 90_000 + ")]",
    "many pairs": repr([("h", "x")] * 15_000),
    "a text that does not end": "[('h','" + "\\'" * 90_000,
    "a word again and again": HEAD + "'exception_type': '" + "Timeout" * 25_000,
}


@pytest.mark.parametrize("name", SLOW_LOGS)
def test_a_task_log_takes_time_by_its_length_alone(name: str) -> None:
    """180 kB each: they took up to a minute, for a word's pattern was tried at each of its places to the end."""
    began = time.thread_time()
    airflow_log.parse_task_log(SLOW_LOGS[name], dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1)
    assert time.thread_time() - began < 0.6


def test_the_text_of_an_airflow_2_is_found_in_its_repr() -> None:
    told = [("worker-1", 'it\'s "so"\n\\x é\n'), ("", "b")]
    assert airflow_log.pairs_of(repr(told)) == told and airflow_log.pairs_of(repr(told) + "\n") == told
    for none in (repr(told)[:-1], "[()]", "[(1, 2)]", "x", "[('a', 'b')]x", r"[('a', '\x')]", "[('a', b'b')]", ""):
        assert airflow_log.pairs_of(none) == []
