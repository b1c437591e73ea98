"""The request-log templates of airf5/1, and how tmsh and a declaration write them.

They are made from the keys in the order that the parser knows (`f5_request_kv.ORDER`): a key that is added there and not
here fails a test. What a client writes stands last, so that a quote in it can forge nothing before it.
"""

from __future__ import annotations

from ingest.parsers.f5_request_kv import ORDER

VARIABLES = {
    "ts": "$TIME_UNIX.$TIME_USECS",
    "hostname": "$BIGIP_HOSTNAME",
    "virtual_name": "$VIRTUAL_NAME",
    "virtual_ip": "$VIRTUAL_IP",
    "virtual_port": "$VIRTUAL_PORT",
    "pool": "$VIRTUAL_POOL_NAME",
    "client_ip": "$CLIENT_IP",
    "client_port": "$CLIENT_PORT",
    "server_ip": "$SERVER_IP",
    "server_port": "$SERVER_PORT",
    "snat_ip": "$SNAT_IP",
    "http_statcode": "$HTTP_STATCODE",
    "response_ms": "$RESPONSE_MSECS",
    "response_us": "$RESPONSE_USECS",
    "bytes": "$RESPONSE_SIZE",
    "http_method": "$HTTP_METHOD",
    "host": "$Host",
    "correlation_id": "${correlation-id}",
    "traceparent": "$traceparent",
    "task": "${X-Airflow-Task}",
    "xff": "${X-Forwarded-For}",
    "ua": "${User-Agent}",
    "http_uri": "$HTTP_URI",
}
OF_RESPONSES = ("server_ip", "server_port", "snat_ip", "http_statcode", "response_ms", "response_us", "bytes")


def _template(kind: str) -> str:
    left_out = OF_RESPONSES if kind == "request" else ()
    texts = {"airf5": "1", "kind": kind, **VARIABLES}
    return ",".join(f'{key}="{texts[key]}"' for key in ORDER if key not in left_out)


def request_template() -> str:
    """The template for request lines, as it is on the wire."""
    return _template("request")


def response_template() -> str:
    """The template for response lines, as it is on the wire."""
    return _template("response")


def quoted(text: str) -> str:
    """A text as tmsh and bigip.conf take it: in quotes, with a backslash before a quote or a backslash."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
