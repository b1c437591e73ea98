"""Lines of /var/log/audit and /var/log/secure: who changed what, who logged in, who called the REST API, as actions.

Secrets that a device wrote in clear are masked in every field, the raw line included.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

from ingest.parsers import f5_header, f5_logins, times
from ingest.parsers.f5_header import Header, clean, unwrap
from ingest.parsers.f5_ltm import is_f5
from ingest.parsers.f5_secrets import mask
from ingest.records import Action, Other, Reject

Record = Action | Other | Reject
Fields = dict[str, Any]

_KEY = re.compile(r"(?:^|[\s(])([A-Za-z_]{1,32})=")
_QUOTED = re.compile(r'"([^"]{1,1024})"')
_PAIR = re.compile(r' ([a-z0-9_]{1,64}) (?:"([^"]{0,256})"|(-?[0-9]{1,18})(?= ))')
_AUTHZ = re.compile(
    r"pam_bigip_authz: authenticated user ([^\s]{1,256}) with role ([0-9-]{1,6}) \(([^)]{0,64})\)"
    r"(?: in partition \[([^\]]{0,128})\])?"
)
_AUTHENTICATED = re.compile(r"(?:pam_[a-z_]{1,32}: ){1,2}user ([^\s]{1,256}) successfully authenticated")
_SSHD = re.compile(
    r"(Accepted|Failed) ([a-z/-]{1,64}) for (?:invalid user )?([^\s]{1,256}) from ([^\s]{1,64}) port ([0-9]{1,5})"
)
_SSL_ACC = re.compile(r"\[ssl_acc\] ([^\s]{1,64}) [^\s]{1,128} ([^\s]{1,256}) \[([^\]]{1,40})\] ")
_SSL_REQ = re.compile(r"\[ssl_req\] ?\[([^\]]{1,40})\] ([^\s]{1,64}) ([^\s]{1,32}) ([^\s]{1,64}) ")
_ACCESS_TAIL = re.compile(r" ([0-9-]{1,20})(?: ([0-9-]{1,20}))?$")
_REST_TIME = re.compile(r"\[([0-9]{1,2}) ([A-Za-z]{3}) ([0-9]{4}) ([0-9:]{8}) UTC\]")
_ATTEMPTS = re.compile(r"failed to login after ([0-9]{1,6}) attempts?")
_REQUEST = re.compile(r"Request to run ([^\n]{1,512}?)\.?\Z")
_LONGEST = 4_000
_METHODS = {
    "GET": "read", "HEAD": "read", "OPTIONS": "read", "POST": "create", "PUT": "modify", "PATCH": "modify", "DELETE": "delete",
}  # fmt: skip


def parse(line: str, received: datetime | None = None, utc_offset: timedelta = times.NO_OFFSET) -> Record:
    """One line, bare or from a spool file."""
    text = clean(line)
    message, received, sender = unwrap(text, received)
    return from_message(message, None, text, received, sender, utc_offset)


def from_message(
    message: str,
    header: Header | None,
    raw: str,
    received: datetime | None,
    sender: str = "",
    utc_offset: timedelta = times.NO_OFFSET,
) -> Record:
    """The record of one message, whose head may be split already."""
    rest = _restjavad(message)
    if rest is not None:
        return _action(rest, received, "", raw)
    header = header or f5_header.parse(message, received, utc_offset)
    return from_header(header, raw, received, sender, utc_offset)


def from_header(
    header: Header, raw: str, received: datetime | None, sender: str = "", utc_offset: timedelta = times.NO_OFFSET
) -> Record:
    """The record of a line whose head is already split."""
    fields = find(header, utc_offset)
    if fields is not None:
        fields.setdefault("at", _with_year(header, fields, received, utc_offset) or received)
        return _action(fields, received, header.hostname or sender, raw)
    if is_f5(header):
        return Other(
            header.at or received,
            header.hostname or sender,
            header.process,
            header.message_id,
            header.severity,
            mask(header.text),
            mask(raw),
        )
    return Reject("not an F5 audit line: no audit message id, and no form that only F5 writes", mask(raw))


def _action(fields: Fields, received: datetime | None, hostname: str, raw: str) -> Record:
    at = fields.pop("at", None) or received
    if at is None:
        return Reject("no time in the line, and the time of receipt is not known", mask(raw))
    detail = {key: _masked(value) for key, value in fields.pop("detail", {}).items() if value not in ("", None)}
    if hostname:
        detail["hostname"] = hostname
    fields["target"] = mask(fields.get("target", ""))[:1_000]
    return Action(layer="f5", at=at, detail=detail, raw=mask(raw), **fields)


def _masked(value: Any) -> Any:
    return mask(value)[:_LONGEST] if isinstance(value, str) else value


def _with_year(header: Header, fields: Fields, received: datetime | None, offset: timedelta) -> datetime | None:
    """The head's time, in the year of the session's own start or end where the two agree to the day."""
    near = fields.pop("near", None)
    if header.at is None or near is None:
        return header.at
    for year in (near.year - 1, near.year, near.year + 1):
        try:
            at = header.at.replace(year=year)
        except ValueError:  # 29 February
            continue
        if abs(at - near) <= timedelta(days=1):
            return at
    return header.at


def find(header: Header, utc_offset: timedelta = times.NO_OFFSET) -> Fields | None:
    """The fields of the action this line is about, or None."""
    text = header.text
    if text.startswith("AUDIT - "):
        body = text[8:]
        if "RAW: " in body[:600]:
            head, _, told = body.partition("RAW: ")
            return pam_session(told, header, utc_offset) or requested(head, told)
        if " - transaction #" in body[:2_000]:
            return object_change(body) or said(body)
        if "cmd_data=" in body or "status=" in body:
            return command(body, header)
        if body.startswith('user="'):
            return script(body)
        if body.startswith("user "):
            return said(body)
    if "(pam_audit)" in header.process or "(mod_auth_pam)" in header.process:
        return pam_session(text, header, utc_offset)
    return login(text, header) or access(text)


def object_change(body: str) -> Fields | None:
    """`client tmsh, tmsh-pid-1, user a - transaction #1-4 - object 0 - create { type { name "x" } } [Status=…]`."""
    head, brace, tail = body.partition(" { ")
    parts = head.split(" - ")
    if len(parts) < 3 or not brace:
        return None
    client = user = ""
    for item in parts[0].split(","):
        word, _, value = item.strip().partition(" ")
        client = value if word == "client" else client
        user = value if word == "user" else user
    transaction = parts[1].partition("#")[2].strip()
    status_at = tail.rfind("[Status=")
    status = tail[status_at + 8 :].strip().rstrip("]") if status_at >= 0 else ""
    inner = tail[:status_at] if status_at >= 0 else tail
    name = _QUOTED.search(inner)
    # `start_transaction { }` is of no type
    detail: Fields = {"client": client, "type": inner.partition(" ")[0].strip("}"), "status": status}
    detail["object"] = next((p.partition(" ")[2] for p in parts if p.startswith("object ")), "")
    values = {
        m.group(1): m.group(2) if m.group(2) is not None else m.group(3) for m in _PAIR.finditer(inner[:_LONGEST])
    }
    if values:
        detail["values"] = {key: mask(f"{key} {text or ''}")[len(key) + 1 :] for key, text in list(values.items())[:40]}
    return {
        "actor": user,
        "verb": parts[-1].strip().lower()[:40],
        "target": name.group(1) if name else detail["type"],
        "result": _result(status),
        "tool": "" if client == "Unknown" else client.lower(),
        "external_id": transaction,
        "detail": detail,
    }


_USER = re.compile(r"(?:^|, ?)user ([^\s,]{1,256})")


def said(body: str) -> Fields | None:
    """`user a - command: tmsh create …`, `user a - … - operation MODIFY - … - status OK`: in words, without keys."""
    parts = body[:_LONGEST].split(" - ")
    user = _USER.search(parts[0])
    words = dict(part.strip().replace(": ", " ", 1).partition(" ")[::2] for part in parts[1:])
    data = words.get("command", "").removeprefix("tmsh ")
    if user is None or not (data or "operation" in words):
        return None
    verb, target = _verb_and_target(data) if data else (words["operation"].lower()[:40], words.get("module", ""))
    status = words.get("status", "")
    result = "ok" if status == "OK" else _result(status)
    detail = {"command": data, "status": status}
    return {"actor": user.group(1), "verb": verb, "target": target, "result": result, "detail": detail}


def _result(status: str) -> str:
    if not status:
        return ""
    return "ok" if status.startswith("Command OK") else "failed"


def command(body: str, header: Header) -> Fields | None:
    """`pid=1 user=root folder=/ module=(tmos)# status=[Command OK] cmd_data=…`: keys by name, cmd_data to the end."""
    head, _, data = body.partition("cmd_data=")
    values = _values(head)
    status = values.get("status", "").strip("[]")
    data = data.strip().strip('"') if data.startswith('"') else data.strip()
    verb, target = _verb_and_target(data)
    detail = {"command": data, "folder": values.get("folder", ""), "module": values.get("module", ""), "status": status}
    return {
        "actor": values.get("user", ""),
        "verb": verb,
        "target": target,
        "result": _result(status),
        "address": _host(values.get("host", "")),
        "tool": header.process.removesuffix("_child") or values.get("client", ""),
        "detail": detail,
    }


def requested(head: str, told: str) -> Fields | None:
    """`user a - RAW: Request to run /usr/bin/cmd_sod go standby GUI.`: what the pages of the device run."""
    match = _REQUEST.match(told)
    if not match:
        return None
    user = head.partition("user ")[2].partition(" ")[0]
    detail: Fields = {"command": match.group(1)}
    return {"actor": user, "verb": "run", "target": match.group(1)[:200], "tool": "tmui", "detail": detail}


def script(body: str) -> Fields:
    """scriptd's `user="a" folder="/Common" … ="…"`."""
    values = _values(body)
    target = next((values[key] for key in ("script", "name", "cmd", "command") if values.get(key)), "")
    return {"actor": values["user"], "verb": "run", "target": target, "tool": "scriptd", "detail": {**values}}


def _values(head: str) -> dict[str, str]:
    """`key=value key="value"` with values up to the next ` key=`."""
    found = list(_KEY.finditer(head))
    values: dict[str, str] = {}
    for place, match in enumerate(found[:50]):
        end = found[place + 1].start() if place + 1 < len(found) else len(head)
        values.setdefault(match.group(1).lower(), head[match.end() : end].strip().strip('"'))
    return values


def _verb_and_target(data: str) -> tuple[str, str]:
    words = data.rstrip(" ;").split(None, 12)[:12]
    if not words:
        return "run", ""
    verb = words[0].lower()
    if not verb.replace("-", "").replace("_", "").isalnum() or len(verb) > 40:
        return "run", data[:200]
    rest = words[1:]
    for word in rest:
        if word.startswith("/"):
            return verb, word.rstrip(";")
    kept: list[str] = []
    for word in rest[:6]:
        if word.startswith(("{", "}")):
            break
        kept.append(word)
    return verb, " ".join(kept)


def _host(text: str) -> str:
    return "" if text in ("(unknown)", "unknown", "?", "(null)") else text.rstrip(".")


def pam_session(body: str, header: Header, offset: timedelta) -> Fields | None:
    """`httpd(pam_audit): user=a(a) partition=[All] level=… tty=ssh host=1.2.3.4 attempts=1 start="…" end="…".`"""
    values = _values(body)
    if "user" not in values:
        return None
    failed = _ATTEMPTS.search(body, 0, 4_000)
    service = body.partition("(")[0].strip() if body[:40].partition("(")[0].isalnum() else ""
    service = service or header.process.partition("(")[0]
    start, end = (values.get(key, "").strip('". )') for key in ("start", "end"))
    # the session's own dates hold the year that the head of the line lacks
    near = times.ctime(end or start, offset) if (end or start) else None
    detail = {
        "role": values.get("level", ""),
        "partition": values.get("partition", "").strip("[]"),
        "tty": values.get("tty", ""),
        "attempts": failed.group(1) if failed else values.get("attempts", "").partition(" ")[0],
        "start": start,
        "end": end,
    }
    fields: Fields = {
        "actor": values["user"].partition("(")[0].strip(),
        "verb": "login_failed" if failed else ("logout" if end else "login"),
        "target": service,
        "result": "failed" if failed else "ok",
        "address": _host(values.get("host", "").partition(" ")[0]),
        "tool": service,
        "detail": detail,
    }
    return fields if near is None else {**fields, "near": near}


def login(text: str, header: Header) -> Fields | None:
    """Logins as pam and sshd tell them; without a message id."""
    service = header.process.partition("(")[0]
    match = _AUTHZ.match(text)
    if match:
        user, number, role, partition = match.groups()
        detail: Fields = {"role": role, "role_number": number, "partition": partition or ""}
        return {"actor": user, "verb": "login", "target": service, "result": "ok", "tool": service, "detail": detail}
    match = _AUTHENTICATED.match(text)
    if match:
        return {"actor": match.group(1), "verb": "login", "target": service, "result": "ok", "tool": service}
    match = _SSHD.match(text) if service == "sshd" else None
    if match:
        what, method, user, address, _ = match.groups()
        verb, result = ("login", "ok") if what == "Accepted" else ("login_failed", "failed")
        fields: Fields = {"actor": user, "verb": verb, "target": service, "result": result, "address": address}
        return {**fields, "tool": service, "detail": {"method": method}}
    failed = f5_logins.failed(text, service)
    if failed is not None:
        return failed
    if "authentication failure;" in text[:200] and text.startswith("pam_"):
        values = _values(text.partition(";")[2])
        fields = {"actor": values.get("user", ""), "verb": "login_failed", "target": service, "result": "failed"}
        return {
            **fields,
            "address": _host(values.get("rhost", "")),
            "tool": service,
            "detail": {"tty": values.get("tty", "")},
        }
    return None


def access(text: str) -> Fields | None:
    """Apache's access log of the management interface, `[ssl_acc]` and `[ssl_req]`; some quote the URI."""
    match = _SSL_ACC.match(text)
    if match:
        address, user, when = match.groups()
        uri, status, size = _uri_and_tail(text[match.end() :])
        code = int(status) if status.isascii() and status.isdigit() else 0
        detail: Fields = {"status": status, "bytes": size}
        result = "" if not code else ("ok" if code < 400 else "failed")
        actor = "" if user == "-" else user
    else:
        match = _SSL_REQ.match(text)
        if not match:
            return None
        when, address, protocol, cipher = match.groups()
        uri, size, _ = _uri_and_tail(text[match.end() :])
        detail, result, actor = {"protocol": protocol, "cipher": cipher, "bytes": size}, "", ""
    tool = "rest_api" if uri.startswith("/mgmt") else "tmui"
    fields: Fields = {
        "actor": actor,
        "verb": "access",
        "target": uri,
        "result": result,
        "address": address,
        "tool": tool,
    }
    at = times.ncsa(when)
    return {**fields, "detail": detail, **({"at": at} if at else {})}


def _uri_and_tail(text: str) -> tuple[str, str, str]:
    text = text.rstrip()
    match = _ACCESS_TAIL.search(text, max(0, len(text) - 64))
    uri = text[: match.start()] if match else text
    uri = uri.strip().strip('"')
    if uri.partition(" ")[0] in _METHODS:  # a whole request line: `"POST /mgmt/… HTTP/1.1"`
        uri = uri.partition(" ")[2].removesuffix(" HTTP/1.1").removesuffix(" HTTP/1.0")
    return uri, (match.group(1) if match else ""), (match.group(2) or "" if match else "")


def _restjavad(message: str) -> Fields | None:
    """`[I][1111][15 Jul 2024 02:51:49 UTC][ForwarderPassThroughWorker] {"user":"local/admin","method":"POST",…}`."""
    brace = message.find("{", 0, 600)
    if brace < 0 or "Worker" not in message[:brace]:
        return None
    try:
        row = json.loads(message[brace:])
        row = {key: clean(value) if isinstance(value, str) else value for key, value in row.items()}
    except (ValueError, RecursionError, AttributeError):  # AttributeError: JSON, but no object
        return None
    if "method" not in row or "uri" not in row:
        return None
    found = _REST_TIME.search(message, 0, brace)
    at = times.http_date(found.group(0).strip("[]")) if found else None
    uri = str(row.get("uri", ""))
    path = "/" + uri.partition("://")[2].partition("/")[2] if "://" in uri else uri
    method, status, source = str(row["method"]).upper()[:20], row.get("status"), str(row.get("from", ""))
    verb = "run" if method == "POST" and path.startswith("/mgmt/tm/util/") else _METHODS.get(method, method.lower())
    result = ("ok" if status < 400 else "failed") if isinstance(status, int) else ""
    return {
        "at": at,
        "actor": str(row.get("user", "")).removeprefix("local/")[:256],
        "verb": verb,
        "target": path,
        "result": result,
        "address": "" if source in ("Unknown", "") else source[:64],
        "tool": "rest_api",
        "detail": {"method": method, "status": status, "uri": uri},
    }
