"""What a virtual server lacks for a request log, from its configuration alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.device_findings import Switch, findings, of_syslog
from ingest.device_records import Profile, RequestLogProfile, Syslog
from ingest.f5config import request_template, response_template
from ingest.parsers.f5_config import parse_request_logs
from ingest.parsers.f5_icontrol import parse_virtuals
from tests.icontrol import sample

HTTP, LOG = Profile("/Common/http", "http"), Profile("/Common/rl", "request-log")
GOOD = RequestLogProfile(
    "/Common/rl", True, True, True, request_template(), response_template(), "/Common/p", "/Common/p", ("mds-tcp",)
)  # fmt: skip
SERVER = Switch("/Common/vs", (HTTP, LOG), port=80)


def codes(server: Switch = SERVER, **changes: object) -> list[str]:
    return [one.code for one in findings(server, {"/Common/rl": replace(GOOD, **changes)})]  # type: ignore[arg-type]


def test_a_server_that_logs_all_lacks_nothing() -> None:
    assert codes() == []


@pytest.mark.parametrize(
    ("profiles", "port", "code", "says"),
    [
        (None, 80, "not_told", "has not told"),
        ((Profile("/Common/fastL4", "fastl4"),), 5432, "fastl4", "without reading HTTP"),
        ((Profile("/Common/tcp", "tcp"),), 80, "no_http", "no HTTP profile: without one there is no request log"),
        ((Profile("/Common/tcp", "tcp"),), 443, "no_http", "TLS is passed through"),
        ((HTTP,), 80, "no_request_log", "no request-log profile"),
        ((Profile("/Common/http", ""), Profile("/Common/rl", "")), 80, "types_not_told", "/Common/http is"),
        ((HTTP, Profile("/Common/other", "")), 80, "types_not_told", "/Common/other is"),
        ((Profile("/Common/fastL4", "fastl4"), Profile("/Common/x", "")), 80, "fastl4", "without reading HTTP"),
        ((HTTP, Profile("/Common/other", "request-log")), 80, "profile_not_told", "/Common/other"),
    ],
)
def test_why_nothing_is_seen(profiles: tuple[Profile, ...] | None, port: int, code: str, says: str) -> None:
    (found,) = findings(Switch("/Common/vs", profiles, port=port), {"/Common/rl": GOOD})
    assert found.code == code and says in found.sentence and found.remedy


def test_tls_that_ends_here_is_not_called_passed_through() -> None:
    server = Switch("/Common/vs", (Profile("/Common/cs", "client-ssl"),), port=443)
    assert "passed through" not in findings(server, {})[0].sentence


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"logs_requests": False, "logs_responses": False}, ["logs_nothing"]),
        ({"logs_responses": False}, ["no_responses"]),
        ({"logs_requests": False}, ["no_requests"]),
        ({"responses_by_default": False}, ["responses_by_rule"]),
        ({"request_pool": ""}, ["request_no_pool"]),
        ({"response_template": ""}, ["response_no_template"]),
        ({"response_template": "$CLIENT_IP$HTTP_STATCODE"}, ["response_template"]),
        ({"response_template": 'a="$HTTP_URI",b="$HTTP_STATCODE"'}, ["no_time", "no_member"]),
        ({"response_template": 'a="$HTTP_URI",b="$RESPONSE_MSEC",c="$SERVER_IP"'}, ["no_time", "no_status"]),
        ({"protocols": ("mds-udp",)}, ["udp"]),
        ({"protocols": ("mds-udp",), "request_pool": ""}, ["request_no_pool", "udp"]),
    ],
)
def test_what_a_profile_leaves_out(changes: dict[str, object], expected: list[str]) -> None:
    assert codes(**changes) == expected


def test_what_is_off_is_not_asked_for_its_pool() -> None:
    assert codes(logs_requests=False, request_pool="", request_template="") == ["no_requests"]


def test_a_disabled_server_is_said_to_be() -> None:
    assert codes(replace(SERVER, enabled=False)) == ["disabled"]


def test_profiles_that_nobody_may_read_are_no_accusation() -> None:
    (found,) = findings(SERVER, None)
    assert found.code == "profile_not_told"


def test_a_recorded_device() -> None:
    logs = {one.name: one for one in parse_request_logs(sample("request_log"))}
    told = {
        one.name: [said.code for said in findings(Switch(one.name, one.profiles, one.enabled, one.port), logs)]
        for one in parse_virtuals(sample("virtual"))
    }
    assert told == {
        "/Common/vs_airflow_api": ["no_member"], "/Common/vs_orders": ["no_member"],
        "/Common/vs_reports": ["no_request_log"], "/Common/vs_ledger": ["fastl4", "disabled"],
    }  # fmt: skip


def test_syslog_that_goes_nowhere_or_elsewhere() -> None:
    assert [one.code for one in of_syslog(Syslog())] == ["no_syslog"]
    there = Syslog((("/Common/a", "192.0.2.50", 514),))
    assert of_syslog(there) == () == of_syslog(there, "192.0.2.50") == of_syslog(None)
    assert [one.code for one in of_syslog(there, "192.0.2.9")] == ["other_syslog"]
