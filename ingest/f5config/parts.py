"""The parts that can be printed: each with what it is for, what to paste, what it costs the device and how to undo it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ingest.f5config import irules
from ingest.f5config.plan import HEADERS, LB_FAILED, LOG, POOL, Plan
from ingest.f5config.template import quoted, request_template, response_template

AS3_SCHEMA = "3.20.0"  # old enough for every AS3 in use; nothing newer is asked for
MERGE = "load sys config merge from-terminal"
ON_EACH = "To be done on each unit of a pair."
Text = Callable[[Plan], str]
Declaration = Callable[[Plan], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `as3` is None where a declaration has no word for it; `json` is for what is a declaration anyway."""

    name: str
    what: str
    costs: tuple[str, ...]
    tmsh: Text | None
    undo: Text
    as3: Declaration | None = None
    json: Declaration | None = None


def _common(name: str) -> str:
    return f"/Common/{name}"


def _merge(*objects: str) -> str:
    """Objects to paste behind the merge command."""
    return f"# first this, then Ctrl-D on a line of its own:\n{MERGE}\n" + "\n".join(objects) + "\n\n# then this:"


def _saved(plan: Plan) -> str:
    group = plan.sync_group.rpartition("/")[2]
    return "save sys config" + (f"\nrun cm config-sync to-group {group}" if group else "")


def _saved_here() -> str:
    """What is the unit's own is not told to its peer by a sync."""
    return "save sys config"


def _member(plan: Plan) -> tuple[str, str, str]:
    """(node, member, address) as tmsh names them: an IPv6 member has its port behind a dot."""
    host, port = plan.receives()
    return _common(host), f"{_common(host)}{'.' if ':' in host else ':'}{port}", host


def _pool(plan: Plan) -> str:
    node, member, host = _member(plan)
    return (
        f"ltm node {node} {{\n    address {host}\n}}\n"
        f"ltm pool {_common(POOL)} {{\n    description {quoted('airf5: where logs are sent')}\n"
        f"    members {{\n        {member} {{\n            address {host}\n        }}\n    }}\n"
        f"    monitor /Common/tcp\n}}"
    )


def _request_log(plan: Plan) -> str:
    pool = _common(POOL)
    profile = "\n".join(
        (
            f"ltm profile request-log {_common(LOG)} {{", "    defaults-from /Common/request-log",
            f"    request-log-pool {pool}", "    request-log-protocol mds-tcp",
            f"    request-log-template {quoted(request_template())}", "    request-logging enabled",
            f"    response-log-pool {pool}", "    response-log-protocol mds-tcp",
            f"    response-log-template {quoted(response_template())}", "    response-logging enabled", "}",
        )
    )  # fmt: skip
    lines = [f"modify ltm virtual {name} profiles add {{ {_common(LOG)} }}" for name in plan.attached()]
    return "\n".join((_merge(_pool(plan), profile), *lines, _saved(plan)))


def _no_request_log(plan: Plan) -> str:
    node, _, _ = _member(plan)
    lines = [f"modify ltm virtual {name} profiles delete {{ {_common(LOG)} }}" for name in plan.attached()]
    return "\n".join(
        (*lines, f"delete ltm profile request-log {_common(LOG)}", f"delete ltm pool {_common(POOL)}",
         f"delete ltm node {node}", _saved(plan))
    )  # fmt: skip


def _rule(name: str, text: Callable[[], str], with_pool: bool) -> tuple[Text, Text]:
    """(paste, undo) of an iRule."""

    def paste(plan: Plan) -> str:
        body = "".join(f"    {line}\n" if line else "\n" for line in text().splitlines())
        rule = f"ltm rule {_common(name)} {{\n{body}}}"
        attach = [f"modify ltm virtual {one} rules add {{ {_common(name)} }}" for one in plan.attached()]
        objects = (_pool(plan), rule) if with_pool else (rule,)
        return "\n".join((_merge(*objects), *attach, _saved(plan)))

    def undo(plan: Plan) -> str:
        detach = [f"modify ltm virtual {one} rules delete {{ {_common(name)} }}" for one in plan.attached()]
        return "\n".join((*detach, f"delete ltm rule {_common(name)}", _saved(plan)))

    return paste, undo


def _shared(objects: dict[str, Any]) -> dict[str, Any]:
    shared = {"class": "Application", "template": "shared", **objects}
    declaration = {"class": "ADC", "schemaVersion": AS3_SCHEMA, "Common": {"class": "Tenant", "Shared": shared}}
    return {"class": "AS3", "action": "deploy", "persist": True, "declaration": declaration}


def _pool_as3(plan: Plan) -> dict[str, Any]:
    host, port = plan.receives()
    return {
        POOL: {
            "class": "Pool", "remark": "airf5: where logs are sent", "monitors": [{"bigip": "/Common/tcp"}],
            "members": [{"servicePort": port, "serverAddresses": [host], "shareNodes": True}],
        }
    }  # fmt: skip


def _request_log_as3(plan: Plan) -> dict[str, Any]:
    to = {"use": POOL}
    log = {
        "class": "Traffic_Log_Profile",
        "requestSettings": {
            "requestEnabled": True, "requestProtocol": "mds-tcp", "requestPool": to,
            "requestTemplate": request_template(),
        },
        "responseSettings": {
            "responseEnabled": True, "responseProtocol": "mds-tcp", "responsePool": to,
            "responseTemplate": response_template(),
        },
    }  # fmt: skip
    return _shared({**_pool_as3(plan), LOG: log})


def _lb_failed_as3(plan: Plan) -> dict[str, Any]:
    rule = {"class": "iRule", "iRule": irules.lb_failed(f"/Common/Shared/{POOL}")}
    return _shared({**_pool_as3(plan), LB_FAILED: rule})


def _headers_as3(plan: Plan) -> dict[str, Any]:
    return _shared({HEADERS: {"class": "iRule", "iRule": irules.headers()}})


def _remote(plan: Plan) -> str:
    host, port = plan.receives()
    return f"modify sys syslog remote-servers add {{ airf5 {{ host {host} remote-port {port} }} }}"


def _ltm(plan: Plan) -> str:
    return f"{_remote(plan)}\n{_saved_here()}"


def _no_syslog(plan: Plan) -> str:
    return f"modify sys syslog remote-servers delete {{ airf5 }}\n{_saved_here()}"


def _audit(plan: Plan) -> str:
    return "\n".join(
        (
            "list sys daemon-log-settings mcpd audit",
            "modify sys daemon-log-settings mcpd audit enabled",
            "# and, where the part ltm has not done it yet:",
            _remote(plan),
            _saved_here(),
        )
    )


def _no_audit(plan: Plan) -> str:
    return "\n".join(
        (
            "# only if the list above said disabled:",
            "modify sys daemon-log-settings mcpd audit disabled",
            "# and, unless the part ltm is to stay:",
            _no_syslog(plan),
        )
    )


def _telemetry(plan: Plan) -> dict[str, Any]:
    host, port = plan.serves()
    return {
        "class": "Telemetry",
        "airf5_system": {"class": "Telemetry_System", "systemPoller": {"interval": 60}},
        "airf5": {
            "class": "Telemetry_Consumer", "type": "Generic_HTTP", "host": host, "protocol": "https", "port": port,
            "path": f"/ingest/telemetry/{quote(plan.device, safe='')}", "method": "POST",
            "headers": [
                {"name": "content-type", "value": "application/json"},
                {"name": "x-airf5-token", "value": "`>@/passphrase`"},
            ],
            "passphrase": {"cipherText": "THE_TOKEN_OF_manage.py_telemetry-token"},
        },
    }  # fmt: skip


def _no_telemetry(plan: Plan) -> str:
    return (
        "# POST /mgmt/shared/telemetry/declare with the declaration that was there before; where there was none:\n"
        + '{"class": "Telemetry"}'
    )


def _user(plan: Plan) -> str:
    return (
        "create auth user airf5 partition-access add { all-partitions { role auditor } } shell none "
        f"description {quoted('airf5 reads over iControl REST')} prompt-for-password\n{_saved_here()}"
    )


def _no_user(plan: Plan) -> str:
    return f"delete auth user airf5\n{_saved_here()}"


_LB_PASTE, _LB_UNDO = _rule(LB_FAILED, lambda: irules.lb_failed(_common(POOL)), True)
_HEADERS_PASTE, _HEADERS_UNDO = _rule(HEADERS, irules.headers, False)

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            "request-log",
            "Every HTTP request and its response as one line each, from TMM to airf5's receiver.",
            (
                "Two lines a request, together about 1.2 kB (measured on the recorded incident), sent by TMM over its "
                "own routes, not over the management port.",
                "Nothing waits for it: when the receiver is away, lines are lost and traffic goes on "
                "(proxy-respond-on-logging-error stays no).",
                "The monitor opens a connection to the receiver every 5 s from each unit.",
                "A virtual server needs an HTTP profile for it; where there is none, nothing can be logged.",
            ),
            _request_log, _no_request_log, _request_log_as3,
        ),
        Part(
            "lb-failed",
            "A line for a request that found no member, for virtual servers that log responses alone.",
            (
                "An iRule that keeps some text of each request; it sends only when load balancing fails.",
                "Do not add it where request lines are logged: the request would be counted twice.",
                "An iRule on a virtual server takes part in every request: try it on a quiet one first.",
            ),
            _LB_PASTE, _LB_UNDO, _lb_failed_as3,
        ),
        Part(
            "headers",
            "A correlation-id on every request that has none, and in the response: the task's log then holds it too.",
            (
                "An iRule that looks for one header in each request and each response.",
                "The service sees one header more. Airflow's own workers send one already.",
            ),
            _HEADERS_PASTE, _HEADERS_UNDO, _headers_as3,
        ),
        Part(
            "ltm",
            "The device's own log: members going down and up, failover, TLS and limits.",
            (
                ON_EACH,
                "One more copy of what syslog-ng writes; over UDP, so lines can be lost. Few lines on a healthy device.",
                "With `modify sys syslog iso-date enabled` lines get a year and a zone; it changes the files on the "
                "device too. Without it, give the source its utc_offset.",
            ),
            _ltm, _no_syslog,
        ),
        Part(
            "audit",
            "Who changed what: one line for each changed object, and logins.",
            (
                ON_EACH,
                "Lines of tens of kB where an iRule or certificate is changed: they are logged in full.",
                "Passwords are masked by the device, the text of iRules is not.",
            ),
            _audit, _no_audit,
        ),
        Part(
            "telemetry",
            "Telemetry Streaming pushes pool and member states every minute (in place of syslog, or beside it).",
            (
                "The poller runs in the control plane once a minute and asks for every pool and virtual server.",
                "A declaration replaces the one before: merge this into yours.",
                "What it cannot deliver is lost: it keeps nothing for later.",
            ),
            None, _no_telemetry, None, _telemetry,
        ),
        Part(
            "user",
            "The user that reads over iControl REST: the role auditor reads everything and changes nothing.",
            (
                ON_EACH,
                "30 calls a minute at most (calls_per_minute), two at a time, fewer when the device slows down.",
                "One login about every 16 minutes for each worker process, each with a line in the audit log; the user "
                "may have 100 tokens, so give it to nobody else.",
                "With the role guest, pools and virtual servers are seen, certificates and users are not.",
            ),
            _user, _no_user,
        ),
    )
}  # fmt: skip


def rendered(declaration: dict[str, Any]) -> str:
    """A declaration as it is pasted."""
    return json.dumps(declaration, indent=2, ensure_ascii=False)
