"""From named values of a request-log line, in whatever form they came, to one RequestLine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from ingest.parsers import times
from ingest.records import RequestLine

# The names that templates in the field use (vendor documentation, Google SecOps, mis-typed templates), lower case, with
# "_" for "-". The first name that holds a value counts.
NAMES: dict[str, tuple[str, ...]] = {
    "hostname": ("hostname", "bigip_hostname", "unit_hostname", "f5_hostname", "device"),
    "virtual_name": ("virtual_name", "virtual", "vsname", "vs_name", "virtual_server"),
    "virtual_ip": ("virtual_ip", "dest_ip", "vip", "vsip"),
    "virtual_port": ("virtual_port", "dest_port", "vport", "vsport"),
    "f5_pool": ("pool", "virtual_pool_name", "pool_name", "f5_pool"),
    "client_ip": ("client_ip", "src_ip", "srcip", "clientip", "client", "source_ip"),
    "client_port": ("client_port", "src_port", "srcport", "source_port"),
    "server_ip": ("server_ip", "node", "realserver", "node_ip", "server"),
    "server_port": ("server_port", "node_port", "realport"),
    "snat_ip": ("snat_ip",),
    "status": ("http_statcode", "status", "http_status", "server_status", "status_code", "http_code", "statcode"),
    "response_ms": (
        *("response_ms", "response_msecs", "response_msec", "response_time", "responsetime"),
        *("latency", "resp_time", "req_elapsed_time"),
    ),
    "response_us": ("response_us", "response_usecs", "response_usec"),
    "bytes": ("bytes", "response_size", "bytes_out", "content_length"),
    "method": ("http_method", "method"),
    "host": ("host", "http_host"),
    "uri": ("http_uri", "uri", "url", "request_uri"),
    "correlation_id": ("correlation_id",),
    "traceparent": ("traceparent",),
    "task": ("task", "x_airflow_task", "airflow_task"),
    "xff": ("xff", "x_forwarded_for"),
    "user_agent": ("ua", "user_agent", "http_user_agent", "uagent", "agent"),
}
TIMES = ("ts", "event_timestamp", "timestamp", "req_start_time", "reqtime", "date_time", "time")
# Written by the client: what stands behind one of these in a line may be forged by it.
_CLIENT = (
    "http_method method host http_host correlation_id traceparent task x_airflow_task airflow_task xff x_forwarded_for "
    "ua user_agent http_user_agent uagent http_uri uri http_path http_request http_query referer http_referrer cookie "
    "http_version username user"
)
CLIENT_KEYS = frozenset(_CLIENT.split())
EXACT_KEYS = frozenset(("task", "x_airflow_task", "airflow_task", "traceparent", "correlation_id"))
RESPONSE_KEYS = frozenset(
    name
    for field in ("status", "response_ms", "response_us", "bytes", "server_ip", "server_port")
    for name in NAMES[field]
)


def number(text: str, most: int = 10**17) -> int | None:
    """A plain decimal number; None for nothing, a word (a template that lacks its `$`), or more than fits."""
    text = text.strip()
    if not text or len(text) > 18 or not (text.isascii() and text.isdigit()):
        return None
    value = int(text)
    return value if value <= most else None


def status_code(text: str) -> int | None:
    """`200`, or the status line `HTTP/1.1 200 OK`."""
    if text.startswith("HTTP/"):
        text = text.partition(" ")[2][:3]
    code = number(text, 999)
    return code if code is not None and code >= 100 else None


def elapsed_us(ms: str, us: str) -> int | None:
    """The response time in us: the us where they agree with the ms, else the ms; None where neither is a number."""
    millis, micros = number(ms, 10**12), number(us)
    if millis is None and "." in ms:  # some iRules log fractions of a ms
        whole, _, part = ms.strip().partition(".")
        head, tail = number(whole, 10**12), number(part[:3].ljust(3, "0"))
        return None if head is None or tail is None else head * 1000 + tail
    if micros is not None and (millis is None or micros + 1000 > millis * 1000):
        return micros
    return None if millis is None else millis * 1000


def first(values: Mapping[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        if found := values.get(name):
            return found
    return ""


def normal(key: str) -> str:
    return _normal(key) if len(key) <= 64 else key.lower().replace("-", "_")  # a client's JSON has keys of any length


@lru_cache(maxsize=4096)  # a template has the same keys on every line
def _normal(key: str) -> str:
    return key.lower().replace("-", "_")


def time_us(values: Mapping[str, str], received: datetime | None) -> int | None:
    """When the device took the request; the time of receipt where the line says nothing usable."""
    micro = values.get("microtimestamp", "") or values.get("time_usecs", "")
    if micro.isascii() and micro.isdigit() and 13 <= len(micro) <= 16:
        return times.epoch_us(micro)
    found: int | None = None
    for name in TIMES:
        text = values.get(name, "")
        if not text:
            continue
        found = times.epoch_us(text.strip())
        if found is None:
            at = times.any_time(text)
            found = times.to_us(at) if at else None
        if found is not None:
            break
    if found is not None and micro.isascii() and micro.isdigit() and len(micro) <= 6:
        # $TIME_USECS is the fraction of the second alone, and $DATE_HTTP has none
        found = found - found % 1_000_000 + int(micro)
    if found is None and received is not None:
        found = times.to_us(received)
    return found if found is None or times.from_us(found) else None


def _kind(values: Mapping[str, str]) -> str:
    said = values.get("event_source") or values.get("kind") or ""
    if said in ("request", "request_logging"):
        return "request"
    if said in ("response", "response_logging"):
        return "response"
    answered = any(values.get(name) for name in (*NAMES["status"], *NAMES["response_ms"], "response_us"))
    return "response" if answered else "request"


def _uri(values: Mapping[str, str]) -> str:
    uri = first(values, NAMES["uri"])
    if uri:
        return uri
    parts = values.get("http_request", "").split(" ")
    if len(parts) > 1:  # the whole first line, which has the query too
        return parts[1]
    path, query = values.get("http_path", "") or values.get("path", ""), values.get("http_query", "")
    return f"{path}?{query}" if path and query and "?" not in path else path


def _method(values: Mapping[str, str]) -> str:
    method = first(values, NAMES["method"])
    return method or values.get("http_request", "").partition(" ")[0]


def address(text: str) -> tuple[str, str]:
    """`10.1.1.1:80`, `2001:db8::1.443` or a bare address, as (address, port)."""
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return (host, port) if port.isdigit() else (text, "")
    if text.count(":") > 1 and "." in text:
        host, _, port = text.rpartition(".")
        return (host, port) if port.isdigit() and ":" in host else (text, "")
    return text, ""


def request_line(values: Mapping[str, str], received: datetime | None, suspect: bool) -> RequestLine | str:
    """One RequestLine from values under any of the names above, or a reason why there is none."""
    kind = _kind(values)
    if kind == "request" and any(values.get(name) for name in RESPONSE_KEYS):
        # The request template has no response fields, so somebody else wrote them.
        suspect = suspect or any(values.get(name) for name in NAMES["status"])
        values = {key: text for key, text in values.items() if key not in RESPONSE_KEYS}
    ts_us = time_us(values, received)
    if ts_us is None:
        return "no time in the line, and the time of receipt is not known"
    get = {field: first(values, names) for field, names in NAMES.items()}
    client_ip, client_port = address(get["client_ip"])
    server_ip, server_port = address(get["server_ip"])
    return RequestLine(
        kind,
        ts_us,
        get["hostname"],
        get["virtual_name"],
        get["virtual_ip"],
        number(get["virtual_port"], 65535),
        get["f5_pool"],
        client_ip,
        number(get["client_port"] or client_port, 65535),
        server_ip,
        number(get["server_port"] or server_port, 65535),
        get["snat_ip"],
        status_code(get["status"]),
        elapsed_us(get["response_ms"], get["response_us"]),
        number(get["bytes"]),
        _method(values),
        get["host"],
        _uri(values),
        get["correlation_id"],
        get["traceparent"],
        get["task"],
        "" if get["xff"] == "-" else get["xff"],
        get["user_agent"],
        suspect,
    )
