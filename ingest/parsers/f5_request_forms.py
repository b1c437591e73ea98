"""Request lines of forms seen in the field: iRules' key=value, CEF, JSON, structured data, NCSA, Splunk text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime

from ingest.parsers import times
from ingest.parsers.f5_header import clean
from ingest.parsers.f5_header import parse as parse_header
from ingest.parsers.f5_request_fields import address, normal, request_line
from ingest.parsers.f5_request_template import compile_template, parse_message
from ingest.records import RequestLine

Found = RequestLine | str | None

_IRULE_KEY = re.compile(r",([a-z0-9_]{1,40})=")
_CEF_KEY = re.compile(r"(?:^| )([A-Za-z0-9_]{1,40})=")
_RULE_KEY = re.compile(r"(?:^| )([a-z_]{2,40})=")
_RULE = re.compile(r"Rule (/[^\s]{1,256}) <([A-Z_]{1,40})>: ")
_SPLUNK_KEY = re.compile(r"(?:, |-> )([A-Z0-9_]{2,40}) = ")
_CAPITAL_KEY = re.compile(r"(?:^|, ?)([A-Z_]{2,40})=")
_CAPITALS = {
    "server_node": "server_ip",
    "server_node_port": "server_port",
    "request_start_time": "req_start_time",
    "request_elapsed_time": "response_ms",
}
_CEF = {
    "src": "client_ip",
    "spt": "client_port",
    "dst": "virtual_ip",
    "dpt": "virtual_port",
    "requestmethod": "http_method",
    "request": "http_uri",
    "requestclientapplication": "ua",
    "http_code": "http_statcode",
    "host": "host",
    "dvchost": "hostname",
}
_NCSA = compile_template(
    "$CLIENT_IP ${X-Forwarded-For} $DATE_NCSA $VIRTUAL_IP $VIRTUAL_NAME $VIRTUAL_POOL_NAME $SERVER_IP $SERVER_PORT "
    '"$HTTP_PATH" "$HTTP_REQUEST" $HTTP_STATCODE $RESPONSE_SIZE $RESPONSE_MSECS "$Referer" "${User-agent}"'
)


def parse(message: str, received: datetime | None) -> Found:
    """The line's RequestLine; a reason if it is of such a form and cannot be used; None if it is of none of them."""
    for form in FORMS:
        found = form(message, received)
        if isinstance(found, RequestLine) and (found.task or found.traceparent or found.correlation_id):
            return found._replace(suspect=True)  # without the template nobody knows whether the device wrote that key
        if found is not None:
            return found
    return None


def _keyed(text: str, pattern: re.Pattern[str], most: int = 200) -> tuple[list[tuple[str, str]], bool]:
    """Values up to the next key; (pairs, whether a key occurs twice with different values)."""
    found = list(pattern.finditer(text))[:most]
    pairs: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    differs = False
    for place, match in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(text)
        key, value = match.group(1), text[match.end() : end].strip()
        differs = differs or seen.setdefault(key, value) != value
        pairs.append((key, value))
    return pairs, differs


def _first_of(pairs: list[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in pairs:
        if len(value) > 1 and value[0] == '"' and value[-1] == '"':
            value = value[1:-1]
        values.setdefault(normal(key), value.strip('"') if value in ('"', '""') else value)
    return values


def splunk_irule(message: str, received: datetime | None) -> Found:
    """Splunk's iRule: `<190>,f5_irule=Splunk-iRule-HTTP,src_ip=…`; LB_FAILED has no status: no member was reached."""
    place = message.find(",f5_irule=", 0, 400)
    if place < 0:
        return None
    pairs, differs = _keyed(message[place:].rstrip().removesuffix("#015"), _IRULE_KEY)
    values = _first_of(pairs)
    name = values.get("f5_irule", "")
    if not name.endswith(("-HTTP", "-LB_FAILED")):
        return None
    failed = name.endswith("LB_FAILED")
    values["kind"] = "request" if failed else "response"
    # "/Common/pool 10.1.1.1 8090": what [LB::server] says is the pool and the member, whatever the key is called
    chosen = values.pop("virtual_server", "").split(" ")
    values["pool"] = chosen[0] if chosen[0].startswith("/") else ""
    head = message[:place]
    start = head.rfind("> ") + 2 if "> " in head else head.rfind(">") + 1
    stamp = times.stamp(head, start, received)
    if stamp:
        values["hostname"] = head[stamp[1] :].strip()
        if (
            stamp[0] is not None
        ):  # the relay's time has a zone or the time of receipt behind it; the iRule's has neither
            values["ts"] = f"{times.to_us(stamp[0]) // 1_000_000}.{times.to_us(stamp[0]) % 1_000_000:06d}"
    return request_line(values, received, differs)


def capital_irule(message: str, received: datetime | None) -> Found:
    """The same iRule in capitals, `<190> CLIENT_IP=1.2.3.4, VIP=…, HTTP_URL=host:80/x, …`: its status is empty on LB_FAILED."""
    place = message.find("CLIENT_IP=", 0, 200)
    if place < 0 or "HTTP_URL=" not in message or "=" in message[:place]:
        return None
    pairs, differs = _keyed(message[place:].rstrip().removesuffix("#015"), _CAPITAL_KEY)
    values = {_CAPITALS.get(name, name): value for name, value in _first_of(pairs).items()}
    chosen = values.pop("vip_name", "").split(" ")
    values["pool"] = chosen[0] if chosen[0].startswith("/") else ""
    host, slash, uri = values.pop("http_url", "").partition("/")
    return request_line({**values, "host": host, "uri": slash + uri}, received, differs)


def cef(message: str, received: datetime | None) -> Found:
    """`CEF:0|F5|BIG-IP|||HTTP Request|Low| src=… requestMethod=GET …`; other modules' CEF is no request line."""
    place = message.find("CEF:0|F5|BIG-IP|", 0, 400)
    if place < 0:
        return None
    parts = message[place:].split("|", 7)
    if len(parts) < 8 or "HTTP" not in parts[5]:
        return None
    pairs, differs = _keyed(parts[7], _CEF_KEY)
    values = {_CEF[normal(key)]: value for key, value in reversed(pairs) if normal(key) in _CEF}
    return request_line(values, received, differs)


def json_line(message: str, received: datetime | None) -> Found:
    """A template that writes JSON. A quote in a header, or no value (`"latency": ,`), breaks it: then by its keys."""
    place = message.find("{", 0, 400)
    if place < 0 or not message.rstrip().endswith("}") or "Worker" in message[:place]:  # restjavad's audit log
        return None
    body = message[place:].rstrip()
    row = _loaded(body)
    if row is None and (
        "\\n" in body[:64] or "#012" in body[:64]
    ):  # a template of several lines, made one by a receiver
        body = body.replace("\\n", " ").replace("#012", " ")
        row = _loaded(body)
    suspect = row is None
    if row is None:
        row = _broken_json(body)
    if not isinstance(row, dict):
        return None
    values = {normal(key): _text(value) for key, value in row.items() if not isinstance(value, (dict, list))}
    if "telemetryeventcategory" in values:
        return None  # an event of Telemetry Streaming, which has its own parser
    values.setdefault("http_path", values.get("uri_path", ""))
    values.setdefault("http_query", values.get("uri_query", ""))
    if not any(values.get(key) for key in ("uri", "http_uri", "http_path")) or not (
        values.get("method") or values.get("http_method")
    ):
        return None
    if not suspect and body.count('":') > 2 * len(row) + 40:
        suspect = True
    values = {**values, "hostname": values.get("hostname", "") or parse_header(message[:place], received).hostname}
    return request_line(values, received, suspect or _doubled(body, row))


def _loaded(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _doubled(body: str, row: dict[str, object]) -> bool:
    """json keeps the last of two equal keys, and the second may be a client's."""
    return any(body.count(f'"{key}":') > 1 for key in list(row)[:60] if isinstance(key, str))


def _text(value: object) -> str:
    """A value of JSON as text; its escapes can hold NULs and half characters."""
    return "" if value is None else clean(str(value))


def _broken_json(body: str) -> dict[str, str] | None:
    found = list(re.finditer(r'[{,] ?"([A-Za-z0-9_-]{1,40})" ?: ?', body))[:200]
    if len(found) < 3:
        return None
    row: dict[str, str] = {}
    for place, match in enumerate(found):
        end = found[place + 1].start() if place + 1 < len(found) else len(body) - 1
        value = body[match.end() : end].strip()
        row.setdefault(
            match.group(1), value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value.strip('" ')
        )
    return row


def structured(message: str, received: datetime | None) -> Found:
    """RFC 5424 with the fields as structured data (an iRule or HSL); the SD-ID may be missing."""
    if " [" not in message[:600] or '="' not in message[:1_200]:
        return None
    header = parse_header(message, received)
    if not header.data or not (
        {"uri", "method"} <= header.data.keys() or {"http_uri", "http_method"} <= header.data.keys()
    ):
        return None
    values = {normal(key): value for key, value in header.data.items()}
    values.setdefault("hostname", header.hostname)
    values["vsname"] = values.get("vsname") or values.get("vs", "")
    return request_line(values, header.at or received, False)


def ncsa_like(message: str, received: datetime | None) -> Found:
    """The NCSA-like template that ELK examples use."""
    if ' "' not in message[:2_000] or "[" not in message[:600]:
        return None
    start = message.find("> ") + 2 if message.startswith("<") and "> " in message[:8] else 0
    found = parse_message(_NCSA, message[start:], received)
    if isinstance(found, str) or found.status is None or found.ts_us == 0:
        return None
    return found


def splunk_text(message: str, received: datetime | None) -> Found:
    """`$DATE_NCSA REQUEST -> CLIENT = 1.2.3.4:5, VIP = 1.2.3.5:80, HTTP_METHOD = GET, …`."""
    place = message.find(" -> CLIENT = ", 0, 400)
    if place < 0:
        return None
    head = message[:place]
    pairs, differs = _keyed(message[place:], _SPLUNK_KEY)
    values = {normal(key): value for key, value in reversed(pairs)}
    at = times.ncsa(head[head.find("[") :]) if "[" in head else times.ncsa(head.rpartition(" ")[0].strip())
    if at:
        values["ts"] = str(times.to_us(at) // 1_000_000)
    values["kind"] = "response" if "RESPONSE" in head else "request"
    for name, ip, port in (
        ("vip", "virtual_ip", "virtual_port"),
        ("client", "client_ip", "client_port"),
        ("server", "server_ip", "server_port"),
        ("snat_ip", "snat_ip", "snat_port"),
    ):
        host, _, number = values.pop(name, "").rpartition(":")
        values.setdefault(ip, host or number)
        values.setdefault(port, number if host else "")
    return request_line(values, received, differs)


def irule(message: str, received: datetime | None) -> Found:
    """An iRule's `log local0.` line that names client, member, status and request as key=value."""
    place = message.find("Rule /", 0, 400)
    match = _RULE.match(message, place) if place >= 0 else None
    if not match or not ("client_ip=" in message or "client=" in message):
        return None
    pairs, differs = _keyed(message[match.end() :], _RULE_KEY)
    values = _first_of(pairs)
    whole = "request" in values  # `request="GET /x HTTP/1.1"`, or its parts
    if not (whole or {"method", "uri"} <= values.keys()) or not ("server_status" in values or "status" in values):
        return None
    if whole:
        values["http_request"] = values.pop("request").strip('"')
    values["server_ip"] = values.pop("lb_server", "") or values.pop("member", "") or values.get("server_ip", "")
    values["vip"], port = address(values.get("vip", ""))
    values.setdefault("virtual_port", port)
    values["response_time"] = values.get("response_time", "").removesuffix("ms")
    values["ua"] = values.pop("user_agent", "").strip('"').removesuffix("]")
    header = parse_header(message, received)
    values["hostname"] = header.hostname
    # An iRule that logs something else first may log a client's text there, which can look like this form.
    ours = message.startswith(("virtual=", "client_ip=", "client="), match.end())
    return request_line(values, header.at or received, differs or not ours)


FORMS: tuple[Callable[[str, datetime | None], Found], ...] = (
    splunk_irule,
    capital_irule,
    cef,
    irule,
    json_line,
    structured,
    splunk_text,
    ncsa_like,
)
