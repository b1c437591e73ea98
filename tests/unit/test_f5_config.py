"""What a device tells of its configuration: who chooses the pool, what is logged, certificates, users, monitors, HA."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.device_records import Choice, Count, DeviceUser, Profile, Status, Syslog
from ingest.parsers import f5_config, f5_icontrol, f5_irule
from tests.icontrol import sample

STREAMING = Path(__file__).parent.parent / "samples" / "f5" / "telemetry-streaming" / "icontrol_rest"


def test_a_policy_tells_what_its_rules_choose_in_their_order() -> None:
    (policy,) = f5_config.parse_policies(sample("policy"))  # the draft beside it is not in use
    assert (policy.name, policy.kind, policy.strategy) == ("/Common/orders_paths", "policy", "/Common/first-match")
    assert policy.choices == (
        Choice("redirect", "https://orders.example.com/", "old", "host is old.example.com; header X-Legacy exists"),
        Choice("pool", "/Common/pool_reports", "reports", "path starts with /reports or /export"),
        Choice("pool", "/Common/pool_orders", "default"),
    )


def test_an_irule_tells_the_pools_it_names_and_where_it_computes_one() -> None:
    redirect, rule = f5_config.parse_rules(sample("rule"))
    assert [(one.kind, one.target) for one in redirect.choices] == [("redirect", "")]
    assert [(one.kind, one.target, one.rule) for one in rule.choices] == [
        ("pool", "/Common/pool_reports", "HTTP_REQUEST"),
        ("pool", "", "HTTP_REQUEST"),  # $usual
        ("respond", "503", "HTTP_REQUEST"),
        ("pool", "/Common/pool_orders", "HTTP_REQUEST"),
        ("pool", "/Common/pool_reports", "LB_FAILED"),
    ]
    assert rule.choices[0].when == '"tenant-b.*" { pool pool_reports }'
    assert "hunter2" not in repr(rule)  # the line that holds a key is not shown


@pytest.mark.parametrize(
    ("line", "kind", "target"),
    [
        ("pool web_pool", "pool", "/App/Web/web_pool"),
        ("use pool /Common/p", "pool", "/Common/p"),
        ("pool /Common/p member 10.0.0.1 80", "pool", "/Common/p"),
        ("if {1} {pool p;return}", "pool", "/App/Web/p"),
        ("set x 1; virtual /Common/vs2", "virtual", "/Common/vs2"),
        ("node 10.0.0.9 8080", "node", "10.0.0.9:8080"),
        ("clone pool /Common/mirror", "clone_pool", "/Common/mirror"),
        ("pool [class match -value [HTTP::host] equals hosts]", "pool", ""),
        ('HTTP::redirect "https://elsewhere.example.com/"', "redirect", "https://elsewhere.example.com/"),
        ("drop", "reset", ""),
    ],
)
def test_commands_of_an_irule(line: str, kind: str, target: str) -> None:
    (found,) = f5_irule.choices("/App/Web/rule", f"when HTTP_REQUEST {{\n    {line}\n}}")
    assert (found.kind, found.target, found.rule) == (kind, target, "HTTP_REQUEST")


@pytest.mark.parametrize(
    "line",
    [
        "# pool web_pool", "set vs [virtual name]", "set p [LB::server pool]", 'log local0. "to pool web"',
        "if { [active_members web_pool] < 1 } { return }", "set pool web", "persist source_addr", "set v [virtual]",
        "return ;# pool web",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_choice(line: str) -> None:
    assert f5_irule.choices("/Common/r", f"when HTTP_REQUEST {{\n  {line}\n}}") == ()


def test_a_long_and_hostile_rule_is_read_in_time() -> None:
    for part in ("[", "; ", "{pool ", "when ", " ", '"'):
        assert len(f5_irule.choices("/Common/r", (part * 2_000 + "\n") * 20)) <= 500
    assert len(f5_irule.choices("/Common/r", "pool p\n" * 300_000)) == 1


def test_a_virtual_server_tells_profiles_policies_and_rules() -> None:
    api, orders, reports, ledger = f5_icontrol.parse_virtuals(sample("virtual"))
    assert (orders.policies, orders.rules) == (("/Common/orders_paths",), ("/Common/orders_by_tenant",))
    assert (api.policies, api.rules, api.logs_requests, reports.logs_requests) == ((), (), True, False)
    assert ledger.profiles == (Profile("/Common/fastL4", "fastl4", "all"),)
    assert (ledger.enabled, ledger.sees_http, ledger.logs_requests, ledger.port) == (False, False, False, 5432)


def test_profiles_that_are_not_expanded_are_not_told() -> None:
    rows = json.loads((STREAMING / "collectVirtualServers.json").read_text())["tests"][2]["endpoints"][0]["response"]
    first = f5_icontrol.parse_virtuals(rows)[0]
    assert (first.name, first.profiles, first.sees_http) == ("/Common/app/test_vs_0", None, True)


def test_a_version_that_names_profiles_without_their_type() -> None:
    row = {"name": "v", "profilesReference": {"items": [{"fullPath": "/Common/web"}, {"fullPath": "/Common/rl"}]}}
    kinds = {"/Common/web": "http", "/Common/rl": "request-log"}
    (known,), (unknown,) = f5_icontrol.parse_virtuals(row, kinds), f5_icontrol.parse_virtuals(row)
    assert (known.sees_http, known.logs_requests) == (True, True)
    assert (unknown.sees_http, unknown.logs_requests) == (False, False)


def test_a_request_log_profile_has_its_templates_as_they_are_on_the_wire() -> None:
    default, ours = f5_config.parse_request_logs(sample("request_log"))
    assert (default.logs_requests, default.logs_responses, default.response_pool) == (False, False, "")
    assert (default.request_template, default.protocols) == ("", ())
    assert ours.request_template.startswith('airf5="1",kind="request",ts="$TIME_UNIX.$TIME_USECS",')
    assert (ours.response_pool, ours.protocols) == ("/Common/airf5_hsl", ("mds-tcp",))


def test_certificates_of_the_device_and_of_f5s_own_test_data() -> None:
    _, orders, old = f5_config.parse_certificates(sample("certificate"))
    assert (
        orders.expires_at == datetime(2026, 12, 3, tzinfo=UTC) and orders.subject == "CN=orders.example.com,O=Example"
    )
    assert (old.key, old.is_bundle) == ("rsa-public 2048", False)
    tests = json.loads((STREAMING / "collectSslCerts.json").read_text())["tests"]
    found = [f5_config.parse_certificates(test["endpoints"][0]["response"]) for test in tests]
    assert found[:2] == [[], []]
    told = {one.name.removeprefix("/Common/"): one for one in found[2]}
    for name, row in tests[2]["expectedData"]["sslCerts"].items():
        at = datetime.fromtimestamp(row["expirationDate"], UTC)
        assert (told[name].expires_at, told[name].subject, told[name].issuer) == (at, row["subject"], row["issuer"])


def test_users_have_their_roles_and_nothing_of_their_password() -> None:
    users = f5_config.parse_users(sample("user"))
    assert users[2] == DeviceUser("ops", (("Common", "operator"), ("Orders", "manager")), "tmsh")
    assert "$6$" not in repr(users) and users[0].shell == ""
    old = {"items": [{"name": "old", "partitionAccess": "all", "role": "guest"}, {"name": "bare"}]}
    assert [one.roles for one in f5_config.parse_users(old)] == [(("all", "guest"),), ()]


def test_monitors_keep_no_credentials() -> None:
    ours = f5_config.parse_monitors(sample("monitor/http"), "http")[1]
    assert (ours.send, ours.recv, ours.recv_disable) == (
        "GET /health HTTP/1.1", "AIRF5-STATE: UP", "AIRF5-STATE: DRAIN",
    )  # fmt: skip
    assert (ours.interval_s, ours.timeout_s) == (5, 16)
    assert "c2VjcmV0" not in repr(ours) and "$M$" not in repr(ours)


@pytest.mark.parametrize(
    ("send", "kept"),
    [
        (r"GET /health\nX-Key: hunter2", "GET /health"),
        (r"AUTH hunter2\r\nPING\r\n", "…"),
        (r"GET /health?api_key=hunter2 HTTP/1.0\r\n\r\n", "GET /health?…"),
    ],
)
def test_the_first_line_of_a_monitor_ends_where_its_text_says(send: str, kept: str) -> None:
    (found,) = f5_config.parse_monitors({"items": [{"fullPath": "/Common/m", "send": send}]}, "tcp")
    assert found.send == kept


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"httpHeader": True, "tmName": "Authorization", "equals": True, "values": ["Basic hunter2"]},
         "header Authorization is …"),
        ({"httpCookie": True, "tmName": "sid", "values": ["hunter2"]}, "cookie sid is …"),
        ({"httpUri": True, "queryString": True, "contains": True, "values": ["token=hunter2"]}, "query contains …"),
        ({"httpUri": True, "path": True, "startsWith": True, "values": ["/oauth/token"]}, "path starts with /oauth/token"),
        ({"httpHeader": True, "tmName": "X-Token", "exists": True}, "header X-Token exists"),
    ],
)  # fmt: skip
def test_a_condition_tells_what_is_asked_for_and_no_key(condition: dict[str, Any], said: str) -> None:
    rule = {"name": "r", "conditions": [condition], "actions": [{"forward": True, "pool": "/Common/p"}]}
    (policy,) = f5_config.parse_policies({"items": [{"fullPath": "/Common/x", "rules": [rule]}]})
    assert policy.choices[0].when == said


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://ann:hunter2@x.example.com/a", "https://…@x.example.com/a"),
        ("https://x.example.com/a?token=hunter2", "https://x.example.com/a?…"),
        ("https://x.example.com/oauth/token?next=1", "https://x.example.com/oauth/token?next=1"),
    ],
)
def test_a_redirect_tells_no_password_and_no_key(url: str, kept: str) -> None:
    action = {"redirect": True, "location": url}
    rows = [{"fullPath": "/Common/x", "rules": [{"name": "r", "actions": [action]}]}]
    (of_policy,) = f5_config.parse_policies({"items": rows})[0].choices
    (of_rule,) = f5_irule.choices("/Common/r", f'when HTTP_REQUEST {{\n  HTTP::redirect "{url}"\n}}')
    assert of_policy.target == of_rule.target == kept and "hunter2" not in repr((of_policy, of_rule))


def test_counters_recount_virtual_servers_and_pools() -> None:
    assert f5_config.parse_virtual_counts(sample("virtual_stats"))[0] == Count("/Common/vs_airflow_api", 2224, 1112)
    pools = {one.name: one for one in f5_config.parse_pool_counts(sample("member_stats"))}
    assert pools["/Common/pool_airflow_api"].requests == 2176
    assert set(pools) == {"/Common/pool_airflow_api", "/Common/pool_orders", "/Common/pool_reports"}


def test_an_ipv6_member_has_one_name_in_both_answers() -> None:
    entries = {"nodeName": {"description": "/Common/2001:db8::1"}, "poolName": {"description": "/Common/p"}}
    entries |= {"port": {"value": 443}, "addr": {"description": "2001:db8::1"}}  # type: ignore[dict-item]
    (now,) = f5_icontrol.parse_pool_members_stats({"entries": entries})
    row = {"fullPath": "/Common/p", "members": [{"fullPath": "/Common/2001:db8::1.443", "address": "2001:db8::1"}]}
    (configured,) = f5_icontrol.parse_pools({"items": [row]})
    assert (now.member, now.port) == (configured.member, configured.port) == ("/Common/2001:db8::1.443", 443)


def test_the_state_of_a_pair() -> None:
    assert f5_config.parse_status(sample("failover")) == Status("ACTIVE", "green", "1/1 active")
    assert f5_config.parse_failover({"apiRawValues": {"apiAnonymous": "Failover active for 0d 01:20:32\n"}}) == Status(
        "ACTIVE"
    )
    assert f5_config.parse_status({"kind": "tm:cm:failover-status:failover-statusstats"}) is None
    first, second = f5_config.parse_units(sample("unit"))
    assert (first.is_self, first.failover, first.version, second.is_self) == (True, "active", "16.1.3", False)
    (pair,) = f5_config.parse_groups(sample("group"))  # without the trust group that every device has
    assert (pair.kind, pair.units) == ("sync-failover", ("/Common/lb1.example.net", "/Common/lb2.example.net"))
    assert f5_config.parse_syslog(sample("syslog")) == Syslog((("/Common/airf5", "192.0.2.50", 5514),))


PARSERS: tuple[Any, ...] = (
    f5_config.parse_policies, f5_config.parse_rules, f5_config.parse_request_logs, f5_config.parse_certificates,
    f5_config.parse_users, f5_config.parse_units, f5_config.parse_groups, f5_config.parse_virtual_counts,
    f5_config.parse_pool_counts, f5_config.parse_names, f5_icontrol.parse_virtuals,
)  # fmt: skip


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "tm:ltm:policy:policycollectionstate", "selfLink": "https://localhost/mgmt/tm/ltm/policy"},
        None, [], "text", 7, {"items": None}, {"items": [None, 3, "x"]}, {"entries": []},
    ],
)  # fmt: skip
def test_an_answer_without_items_is_empty(parse: Any, answer: Any) -> None:
    assert parse(answer) == []


@pytest.mark.parametrize("parse", PARSERS)
def test_fields_of_any_type_make_no_parser_raise(parse: Any) -> None:
    fields = [
        "name", "fullPath", "rulesReference", "actionsReference", "profiles", "profilesReference", "partitionAccess",
        "expirationDate", "apiAnonymous", "values", "requestLogTemplate", "poolName", "nodeName", "tmName", "rules",
        "clientside.totConns", "destination", "pool", "devicesReference", "ordinal", "certificateKeySize", "status",
    ]  # fmt: skip
    for value in (None, True, 10**30, -1, [1], {"items": [{"items": [{}]}]}, {"value": "x"}, "%25\x00", "none"):
        row = dict.fromkeys(fields, value)
        parse({"items": [row], "entries": {"u": {"nestedStats": {"entries": row}}}})
