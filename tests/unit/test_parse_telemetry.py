import json
from datetime import UTC, datetime
from pathlib import Path

from ingest.parsers import f5, f5_icontrol, f5_telemetry
from ingest.records import Action, HealthEvent, MemberState, Other, Reject, RequestLine, VirtualServer

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SAMPLES = Path(__file__).parent.parent / "samples" / "f5"
STREAMING = SAMPLES / "telemetry-streaming"
ICONTROL = SAMPLES / "lab1" / "icontrol"


def load(path: Path) -> object:
    return json.loads(path.read_text())


def test_the_events_of_telemetry_streamings_own_tests() -> None:
    case = load(STREAMING / "event_listener_raw_to_normalized.json")[0]  # type: ignore[index]
    found = [f5_telemetry.parse(event, NEAR)[0] for event in case["expectedData"]]
    assert [type(record) for record in found] == [HealthEvent, Action, Other, HealthEvent, HealthEvent]
    member = found[3]
    assert isinstance(member, HealthEvent)
    assert (member.kind, member.state, member.member) == ("member", "down", "/Common/Shared/255.255.255.254:6514")
    assert member.at == datetime(2020, 7, 7, 5, 37, 15, 358418 + 12057, tzinfo=UTC)
    raw = [f5.parse_auto(line, NEAR) for line in case["rawEvents"]]
    assert [type(record) for record in raw] == [HealthEvent, Action, Other, HealthEvent, HealthEvent, Reject]


def test_the_documented_request_event_with_its_impossible_time() -> None:
    found = f5_telemetry.parse((STREAMING / "ltm_request_log.json").read_text(), NEAR)[0]
    assert isinstance(found, RequestLine)
    assert (found.kind, found.client_ip, found.uri, found.ts_us) == ("request", "192.168.2.42", "/", 1546300800_000000)


def test_the_poller_tells_every_member() -> None:
    found = f5_telemetry.parse((STREAMING / "system_poller_output.json").read_text(), NEAR)
    assert [type(record) for record in found] == [MemberState] * 7 + [VirtualServer] * 3
    server = VirtualServer("/Common/app.app/app_vs", "10.5.6.7", 80, "/Common/foofoo.app/foofoo_pool", sees_http=False)
    assert found[7] == server
    assert found[0] == MemberState("/Common/app.app/app_pool", "/Common/10.0.3.5:80", "10.0.3.5", 80, "up", "enabled")


def test_what_is_no_document_is_a_reject() -> None:
    for text in ("", "{", "[]", "7", "{}"):
        (found,) = f5_telemetry.parse(text, NEAR)
        assert isinstance(found, Reject) and found.reason


def test_icontrol_answers_of_the_capture() -> None:
    configured = f5_icontrol.parse_pools(load(ICONTROL / "pool.json"))
    now = f5_icontrol.parse_pool_members_stats(load(ICONTROL / "pool_members_stats.json"))
    assert {(m.f5_pool, m.member, m.state) for m in configured} == {(m.f5_pool, m.member, m.state) for m in now}
    first = f5_icontrol.parse_virtuals(load(ICONTROL / "virtual.json"))[0]
    assert (first.name, first.address, first.port, first.f5_pool) == (
        "/Common/vs_airflow_api",
        "127.0.10.10",
        8080,
        "/Common/pool_airflow_api",
    )
    assert first.hosts == ("127.0.10.10:8080",) and first.sees_http and first.logs_requests
    assert f5_icontrol.parse_clock(load(ICONTROL / "clock.json")) == datetime(2026, 11, 22, 9, 38, 36, tzinfo=UTC)


def test_answers_without_items_or_entries_are_empty() -> None:
    empty = {"kind": "tm:ltm:pool:poolcollectionstate", "selfLink": "https://localhost/mgmt/tm/ltm/pool?ver=14.1.0"}
    assert f5_icontrol.parse_pools(empty) == [] and f5_icontrol.parse_pool_members_stats(empty) == []
    assert f5_icontrol.parse_virtuals(empty) == [] and f5_icontrol.parse_clock(empty) is None


def test_members_in_f5s_own_rest_fixtures_keep_their_route_domain() -> None:
    tests = load(STREAMING / "icontrol_rest" / "collectPools.json")["tests"]  # type: ignore[index]
    answers = [endpoint["response"] for case in tests for endpoint in case["endpoints"]]
    found = [member for answer in answers for member in f5_icontrol.parse_pool_members_stats(answer)]
    assert any("%10" in member.member + member.address for member in found)
    assert not any("%25" in member.member for member in found)


def test_a_virtual_server_without_an_http_profile_sees_no_http() -> None:
    row = {
        "name": "v",
        "destination": "/Common/2001:db8::1.443",
        "disabled": True,
        "profilesReference": {"items": [{"name": "fastL4"}]},
    }
    (found,) = f5_icontrol.parse_virtuals({"items": [row]})
    assert (found.address, found.port, found.enabled, found.sees_http, found.logs_requests) == (
        "2001:db8::1",
        443,
        False,
        False,
        False,
    )


def test_splunks_irule_comes_as_json_too() -> None:
    event = {
        "src_ip": "192.0.2.9", "vip": "192.0.2.5", "http_method": "GET", "http_host": "a.example.net:80", "http_uri": "/x?y",
        "req_start_time": "2026/10/04 03:36:00", "virtual_server": "/Common/p 192.0.2.51 80", "node": "192.0.2.51",
        "node_port": "80", "http_status": "200", "req_elapsed_time": "5", "bytes_out": "45", "telemetryEventCategory": "LTM",
    }  # fmt: skip
    (found,) = f5_telemetry.parse(event, NEAR)
    assert isinstance(found, RequestLine)
    assert (found.kind, found.client_ip, found.virtual_ip, found.f5_pool) == (
        "response",
        "192.0.2.9",
        "192.0.2.5",
        "/Common/p",
    )
    assert (found.server_ip, found.server_port, found.status, found.response_us) == ("192.0.2.51", 80, 200, 5000)
    assert (found.uri, found.ts_us) == ("/x?y", 1791084960_000000)


def test_a_request_that_the_firewall_turned_down_is_an_event_of_its_virtual_server() -> None:
    event = {
        "hostname": "b1", "policy_name": "/Common/waf", "violations": "Evasion technique detected", "support_id": "1",
        "request_status": "blocked", "date_time": "2026-11-19 22:34:40", "dest_ip": "192.0.2.5", "dest_port": "443",
        "ip_client": "192.0.2.9", "src_port": "50000", "uri": "/x", "telemetryEventCategory": "ASM",
    }  # fmt: skip
    (found,) = f5_telemetry.parse(event, NEAR)
    assert isinstance(found, HealthEvent)
    assert (found.kind, found.state, found.object, found.hostname) == ("virtual", "waf_blocked", "192.0.2.5:443", "b1")
    assert found.at == datetime(2026, 11, 19, 22, 34, 40, tzinfo=UTC)
    (passed,) = f5_telemetry.parse({**event, "request_status": "passed"}, NEAR)
    assert isinstance(passed, Other)


def test_an_event_of_another_module_has_its_id_and_its_time() -> None:
    event = {
        "hostname": "b1", "errdefs_msgno": "01490102:5:", "Access_Profile": "/Common/a", "telemetryEventCategory": "APM",
        "f5telemetry_timestamp": "2026-11-03T22:10:07.783Z",
    }  # fmt: skip
    (found,) = f5_telemetry.parse(event, NEAR)
    assert isinstance(found, Other) and (found.message_id, found.hostname) == ("01490102", "b1")
    assert found.at == datetime(2026, 11, 3, 22, 10, 7, 783000, tzinfo=UTC)
