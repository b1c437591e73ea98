from datetime import UTC, datetime
from typing import Any

import pytest

from ingest.parsers import f5, f5_audit
from ingest.records import Action, Reject

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HEAD = "Nov 13 04:19:15 b1 notice "
CASES: list[tuple[str, dict[str, Any]]] = [
    (
        HEAD
        + "mcpd[1]: 01070417:5: AUDIT - client tmsh, tmsh-pid-30987, user root - transaction #130616968-4 - object 0 - "
        'create { userdb_entry { userdb_entry_name "fadmin2" } } [Status=Command OK]',
        {
            "actor": "root",
            "verb": "create",
            "target": "fadmin2",
            "result": "ok",
            "tool": "tmsh",
            "external_id": "130616968-4",
        },
    ),
    (
        HEAD + "mcpd[1]: 01070417:5: AUDIT - user admin - transaction #123-1 - object 0 - modify { pool { pool_name "
        '"/Common/p" '
        "} } [Status=No such pool]",
        {"actor": "admin", "verb": "modify", "target": "/Common/p", "result": "failed", "tool": ""},
    ),
    (
        HEAD + "tmsh[1]: 01420002:5: AUDIT - pid=1 user=root folder=/Common module=(tmos)# status=[Command OK] "
        "cmd_data=modify ltm pool /Common/p members modify { a:80 { session user-disabled } }",
        {"actor": "root", "verb": "modify", "target": "/Common/p", "result": "ok", "tool": "tmsh"},
    ),
    (
        HEAD
        + "icrd_child[1]: 01420002:5: AUDIT - pid=1 user=admin client=x host=10.1.1.1 folder=/Common module=(tmos)# "
        "status=[Syntax Error: a=b] cmd_data=run util bash -c id=1",
        {
            "actor": "admin",
            "verb": "run",
            "target": "util bash -c id=1",
            "result": "failed",
            "address": "10.1.1.1",
            "tool": "icrd",
        },
    ),
    (
        "Jan 17 09:44:14 h info httpd(pam_audit)[16784]: 01070417:6: AUDIT - user ae - RAW: "
        "httpd(pam_audit): user=ae(ae) "
        'partition=[All] level=Administrator tty=(unknown) host=10.77.112.22 attempts=1 start=""Fri Jan 17 '
        '09:44:10 2020"" '
        'end=""Fri Jan 17 09:44:14 2020"".',
        {
            "actor": "ae",
            "verb": "logout",
            "address": "10.77.112.22",
            "at": datetime(2020, 1, 17, 9, 44, 14, tzinfo=UTC),
        },
    ),
    (
        HEAD + "sshd(pam_audit)[2]: 01070417:6: AUDIT - user ae - RAW: sshd(pam_audit): user=ae(ae) partition=[All] "
        'level=Administrator tty=ssh host=10.7.1.2 attempts=1 start="Fri Jan 17 09:52:46 2020".',
        {"actor": "ae", "verb": "login", "result": "ok", "tool": "sshd"},
    ),
    (
        "Nov 13 04:19:15 b1 info httpd[1]: 01070417:6: AUDIT - user x - RAW: httpd(mod_auth_pam): User=x tty=(unknown) "
        'host=192.168.4.39 failed to login after 1 attempts (start="Mon Dec 22 14:04:15 2014").',
        {"actor": "x", "verb": "login_failed", "result": "failed", "address": "192.168.4.39"},
    ),
    (
        HEAD + "sshd[15293]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= "
        "rhost=175.196.233.10  user=kjs",
        {"actor": "kjs", "verb": "login_failed", "result": "failed", "address": "175.196.233.10"},
    ),
    (
        HEAD + "httpd[1]: pam_bigip_authz: authenticated user user23 with role 0 (Administrator) in partition [All]",
        {"actor": "user23", "verb": "login", "result": "ok"},
    ),
    (
        'logger[1]: [ssl_acc] 1.2.3.4 - admin [15/Jul/2024:02:51:49 +0200] "/mgmt/tm/ltm" 200 2',
        {
            "actor": "admin",
            "target": "/mgmt/tm/ltm",
            "tool": "rest_api",
            "at": datetime(2024, 7, 15, 0, 51, 49, tzinfo=UTC),
        },
    ),
    (
        "logger[1]: [ssl_acc] 1.2.3.4 - - [15/Jul/2024:02:51:49 +0200] /mgmt/shared 401 2",
        {"actor": "", "target": "/mgmt/shared", "result": "failed"},
    ),
    (
        'logger[2]: [ssl_req][31/Jul/2024:16:36:53 +0200] 10.1.2.3 TLSv1.2 ECDHE-RSA "/my.policy" 199',
        {"address": "10.1.2.3", "target": "/my.policy", "tool": "tmui"},
    ),
    (
        '[I][1111][15 Jul 2024 02:51:49 UTC][ForwarderPassThroughWorker] {"user":"local/admin","method":"POST",'
        '"uri":"http://localhost:8100/mgmt/tm/util/bash","status":200,"from":"Unknown"}',
        {"actor": "admin", "verb": "run", "target": "/mgmt/tm/util/bash", "result": "ok", "address": ""},
    ),
]


CASES += [
    (
        '[I][1111][15 Jul 2024 02:51:49 UTC][ForwarderPassThroughWorker{"user":"local/admin","method":"DELETE",'
        '"uri":"http://localhost:8100/mgmt/tm/ltm/pool/~Common~p\\u0000","status":404,"from":"10.1.1.9"}',
        {"verb": "delete", "target": "/mgmt/tm/ltm/pool/~Common~p\ufffd", "result": "failed", "address": "10.1.1.9"},
    ),
    (
        HEAD + "httpd[1]: 01070417:6: AUDIT - user admin - RAW: Request to run /usr/bin/cmd_sod go standby GUI.",
        {"actor": "admin", "verb": "run", "target": "/usr/bin/cmd_sod go standby GUI", "tool": "tmui"},
    ),
    (
        HEAD + 'scriptd[1]: 014f0005:5: AUDIT - user="admin" script="/Common/cleanup" cmd="run"',
        {"actor": "admin", "verb": "run", "target": "/Common/cleanup", "tool": "scriptd"},
    ),
]

CASES += [
    (
        HEAD
        + "httpd[1]: [error] [client 192.0.2.77:50123] AUTHCACHE PAM: user 'a' (fallback: false) - not authenticated: "
        "Authentication failure, referer: https://192.0.2.5/tmui/login.jsp",
        {"actor": "a", "verb": "login_failed", "result": "failed", "address": "192.0.2.77", "tool": "httpd"},
    ),
    (
        HEAD + "sshd[1]: error: PAM: Authentication failure for root from 2001:db8::7",
        {"actor": "root", "verb": "login_failed", "address": "2001:db8::7", "tool": "sshd"},
    ),
    (
        HEAD + "mcpd[1]: 01070417:5: AUDIT - client tmsh, tmsh-pid-1, user root - transaction #5-3 - object 0 - "
        "start_transaction { } [Status=Command OK]",
        {"actor": "root", "verb": "start_transaction", "target": "", "result": "ok"},
    ),
    (
        HEAD + "mcpd[1]: 01070417:5: AUDIT - user admin - command: tmsh create auth user bob password x",
        {"actor": "admin", "verb": "create", "target": "auth user bob password ****"},
    ),
    (
        HEAD
        + "mcpd[1]: 01070417:5: AUDIT - user admin - transaction #1 - object 0 - operation MODIFY - module CLI - status OK",
        {"actor": "admin", "verb": "modify", "target": "CLI", "result": "ok"},
    ),
    (
        'logger[1]: [ssl_acc] 192.0.2.7 - admin [15/Jul/2024:02:51:49 +0200] "POST /mgmt/shared/authn/login HTTP/1.1" 401 2',
        {"target": "/mgmt/shared/authn/login", "tool": "rest_api", "result": "failed"},
    ),
]


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_an_audit_line_becomes_its_action(line: str, expected: dict[str, Any]) -> None:
    for found in (f5_audit.parse(line, NEAR), f5.parse_auto(line, NEAR)):
        assert isinstance(found, Action) and found.layer == "f5"
        assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    "data",
    [
        "modify auth user admin password hunter2",
        'modify auth user admin password "hunter2 x"',
        "create auth user a { password hunter2 }",
        'run util curl -d {"password":"hunter2"}',
        "modify sys x encrypted-password hunter2",
        "create ltm monitor m secret hunter2",
        "modify sys crypto key k passphrase hunter2",
    ],
)
def test_a_secret_in_clear_is_masked_everywhere(data: str) -> None:
    line = (
        HEAD
        + f"tmsh[1]: 01420002:5: AUDIT - pid=1 user=root folder=/ module=(tmos)# status=[Command OK] cmd_data={data}"
    )
    assert "hunter2" not in repr(f5_audit.parse(line, NEAR))


@pytest.mark.parametrize(
    "text",
    [
        "info sshd[1]: Failed password for invalid user test from 192.0.2.77 port 40022 ssh2",
        "err mcpd[1]: 01071769:3: Decryption of the field (passphrase) for object (/Common/k.key) failed.",
    ],
)
def test_words_about_a_password_are_kept(text: str) -> None:
    assert f5.parse_auto(f"Nov 13 04:19:15 b1 {text}", NEAR).raw == f"Nov 13 04:19:15 b1 {text}"


@pytest.mark.parametrize("value", ["for", ")x", "check"])
def test_in_a_command_such_a_word_is_a_secret(value: str) -> None:
    line = HEAD + "tmsh[1]: 01420002:5: AUDIT - pid=1 user=root folder=/ module=(tmos)# status=[Command OK] cmd_data="
    found = f5_audit.parse(line + f"modify auth user a password {value}", NEAR)
    assert isinstance(found, Action) and found.raw.endswith("password ****")


def test_a_line_of_another_kind_is_rejected_with_a_reason() -> None:
    found = f5_audit.parse("hello world", NEAR)
    assert isinstance(found, Reject) and found.reason and found.raw == "hello world"
