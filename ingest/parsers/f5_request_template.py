"""Request-log templates of any user: compiled to one pattern of literals and negated classes.

A user's text never becomes a regular expression: its variables become classes that stop at the literal behind them,
its literals are escaped. A line that does not fit the pattern (commas in a user agent) is cut at the literals, from the
left and from the right; where the two disagree, a client wrote a literal of the template into its own text: suspect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.parsers import times
from ingest.parsers.f5_header import clean, unwrap
from ingest.parsers.f5_request_fields import normal, request_line
from ingest.records import Reject, RequestLine

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_-]{1,128})\}|([A-Za-z][A-Za-z0-9_]{0,127}))")
_LONGEST_TEMPLATE = 16_384
# Apache's lines, which the device writes ready made; what it puts for the user is the user of basic auth.
_NCSA = '$CLIENT_IP - $Username $DATE_NCSA "$HTTP_REQUEST" $HTTP_STATCODE $RESPONSE_SIZE'
_READY_MADE = {"NCSA_COMMON": _NCSA, "NCSA_COMBINED": _NCSA + ' "$Referer" "${User-Agent}"'}

# A variable of F5 -> the name `f5_request_fields` knows. Every other bare name is a header.
_FIELDS = {
    "BIGIP_HOSTNAME": "hostname",
    "CLIENT_IP": "client_ip",
    "CLIENT_PORT": "client_port",
    "DATE_HTTP": "event_timestamp",
    "DATE_NCSA": "event_timestamp",
    "HTTP_METHOD": "http_method",
    "HTTP_PATH": "http_path",
    "HTTP_QUERY": "http_query",
    "HTTP_REQUEST": "http_request",
    "HTTP_STATCODE": "http_statcode",
    "HTTP_STATUS": "http_status",
    "HTTP_URI": "http_uri",
    "RESPONSE_MSECS": "response_ms",
    "RESPONSE_SIZE": "bytes",
    "RESPONSE_USECS": "response_us",
    "SERVER_IP": "server_ip",
    "SERVER_PORT": "server_port",
    "SNAT_IP": "snat_ip",
    "TIME_UNIX": "ts",
    "VIRTUAL_IP": "virtual_ip",
    "VIRTUAL_NAME": "virtual_name",
    "VIRTUAL_POOL_NAME": "pool",
    "VIRTUAL_PORT": "virtual_port",
}
_HEADERS = {
    "host": "host",
    "user_agent": "ua",
    "x_forwarded_for": "xff",
    "x_airflow_task": "task",
    "correlation_id": "correlation_id",
    "traceparent": "traceparent",
}
_ADDRESS = "[0-9a-fA-F.:%]{0,64}"
_DATE = "[A-Za-z]{3}, [0-9]{1,2} [A-Za-z]{3} [0-9]{4} [0-9:]{8}(?: [A-Za-z]{1,5}| [+-][0-9]{4})?"
# Variables whose text can be told by its own form, for where no literal parts them from their neighbour.
_OWN_FORM = {
    "DATE_NCSA": r"\[?[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9:]{8}(?: [+-][0-9]{4})?\]?",
    "DATE_D": "[0-9]{1,2}",
    "DATE_DD": "[0-9]{2}",
    "DATE_MM": "[0-9]{2}",
    "DATE_MON": "[A-Za-z]{3}",
    "DATE_DY": "[A-Za-z]{3}",
    "DATE_YY": "[0-9]{2}",
    "DATE_YYYY": "[0-9]{4}",
    "TIME_HMS": "[0-9]{1,2}:[0-9]{2}:[0-9]{2}",
    "TIME_HRS": "[0-9]{1,2}",
    "TIME_HH24": "[0-9]{1,2}",
    "TIME_MM": "[0-9]{1,2}",
    "TIME_SS": "[0-9]{1,2}",
    "TIME_UNIX": "[0-9]{0,12}",
    "TIME_MSECS": "[0-9]{0,6}",
    "TIME_USECS": "[0-9]{0,6}",
    "TIME_OFFSET": r"[+-]?[0-9:]{0,6}",
    "NULL": "",
}
_ANSWERS = ("HTTP_STATCODE", "HTTP_STATUS", "RESPONSE_MSECS", "RESPONSE_USECS", "RESPONSE_SIZE")


@dataclass(frozen=True, slots=True)
class Template:
    """One compiled template: its text, the variables in order, and the literals around them (one more)."""

    text: str
    variables: tuple[str, ...]
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    kind: str


def compile_template(text: str) -> Template:
    """Compile a request or response template. ValueError, with a sentence, where its values could not be told apart."""
    text = _VARIABLE.sub(
        lambda match: _READY_MADE.get(match.group(1) or match.group(2), match.group()), text.strip("\r\n")
    )
    if not text or len(text) > _LONGEST_TEMPLATE:
        raise ValueError("a template is one line of 1 to 16,384 characters")
    variables: list[str] = []
    literals: list[str] = []
    start = 0
    for match in _VARIABLE.finditer(text):
        literals.append(_unescaped(text[start : match.start()]))
        variables.append(match.group(1) or match.group(2))
        start = match.end()
    literals.append(_unescaped(text[start:]))
    if not variables:
        raise ValueError("the template holds no variable, such as $HTTP_STATCODE")
    pattern = re.compile(_pattern(variables, literals), re.DOTALL)
    answered = any(name in _ANSWERS for name in variables) or 'kind="response"' in text or "response_logging" in text
    return Template(text, tuple(variables), tuple(literals), pattern, "response" if answered else "request")


def _unescaped(literal: str) -> str:
    """tmsh writes a template's quotes as `\\"`; on the wire they are plain."""
    return literal.replace('\\"', '"').replace("\\r", "").replace("\\n", "")


def _pattern(variables: list[str], literals: list[str]) -> str:
    parts = [re.escape(literals[0])]
    last = len(variables) - 1
    for place, name in enumerate(variables):
        after = literals[place + 1]
        following = variables[place + 1] if place < last else ""
        parts.append(f"({_class(name, after, following, place == last)}){re.escape(after)}")
    return "".join(parts) + r"\Z"


def _class(name: str, after: str, following: str, is_last: bool) -> str:
    if is_last and name not in _OWN_FORM:
        return ".*"
    if name in _OWN_FORM and (not after or name == "DATE_NCSA"):
        return _OWN_FORM[name]
    if not after:
        raise ValueError(f"nothing stands between ${name} and ${following}: write a separator between them")
    if name.endswith("_IP") and after[0] == ":":
        return _ADDRESS  # an IPv6 address holds the separator
    if name == "DATE_HTTP" and after[0] in ", ":
        return _DATE
    if after == " " and following == "DATE_NCSA":
        return r"[^\[]*"  # X-Forwarded-For may hold spaces or be empty; the date brings its own bracket
    return "[^" + re.escape(after[0]) + "]*"


def parse_line(template: Template, line: str, received: datetime | None = None) -> RequestLine | Reject:
    """One line, bare or from a spool file, read with this template."""
    text = clean(line)
    message, received, _ = unwrap(text, received)
    found = parse_message(template, message, received)
    return Reject(found, text) if isinstance(found, str) else found


def parse_message(template: Template, message: str, received: datetime | None) -> RequestLine | str:
    """The message's RequestLine, or a reason."""
    match = template.pattern.match(message)
    texts = match.groups() if match else _cut(template.literals, message)
    # of a line that fits, only the last value, which runs to the end, can have swallowed literals that a client wrote
    checked = match is None or (texts is not None and '"' in texts[-1])
    suspect = checked and _cut(template.literals, message) != _cut_back(template.literals, message)
    if texts is None:
        return "the line does not fit the template"
    return request_line(_values(template, texts), received, suspect)


def _cut(literals: tuple[str, ...], message: str) -> tuple[str, ...] | None:
    """The values between the literals, each literal at its first place."""
    if not message.startswith(literals[0]) or not message.endswith(literals[-1]):
        return None
    pos, values = len(literals[0]), []
    end = len(message) - len(literals[-1])
    for literal in literals[1:-1]:
        place = message.find(literal, pos, end) if literal else -1
        if place < 0:
            return None
        values.append(message[pos:place])
        pos = place + len(literal)
    return (*values, message[pos:end]) if pos <= end else None


def _cut_back(literals: tuple[str, ...], message: str) -> tuple[str, ...] | None:
    """The same from the right, each literal at its last place."""
    start, end, values = len(literals[0]), len(message) - len(literals[-1]), []
    for literal in reversed(literals[1:-1]):
        place = message.rfind(literal, start, end) if literal else -1
        if place < 0:
            return None
        values.append(message[place + len(literal) : end])
        end = place
    return (message[start:end], *reversed(values)) if start <= end else None


def _values(template: Template, texts: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {"kind": template.kind}
    raw: dict[str, str] = {}
    for name, text in zip(template.variables, texts, strict=True):
        raw.setdefault(name, text)
        field = _FIELDS.get(name) or _HEADERS.get(normal(name))
        if field:
            values.setdefault(field, text)
    if not values.get("event_timestamp") and not values.get("ts"):
        at = _from_parts(raw)
        values["event_timestamp"] = at.isoformat() if at else ""
    _add_fraction(raw, values)
    return values


def _add_fraction(raw: dict[str, str], values: dict[str, str]) -> None:
    """$TIME_USECS and $TIME_MSECS are fractions of the second, not always padded."""
    usecs, msecs = raw.get("TIME_USECS", ""), raw.get("TIME_MSECS", "")
    if usecs:
        values["time_usecs"] = usecs
    elif msecs.isascii() and msecs.isdigit() and len(msecs) <= 3:
        values["time_usecs"] = str(int(msecs) * 1000)


def _from_parts(raw: dict[str, str]) -> datetime | None:
    """A time that the template puts together from $DATE_YYYY, $DATE_MM, $TIME_HMS … ."""
    year, day = raw.get("DATE_YYYY") or "20" + raw.get("DATE_YY", ""), raw.get("DATE_DD") or raw.get("DATE_D", "")
    month = raw.get("DATE_MM", "") or str(times.MONTHS.get(raw.get("DATE_MON", "").lower(), ""))
    clock = (
        raw.get("TIME_HMS")
        or f"{raw.get('TIME_HH24') or raw.get('TIME_HRS', '')}:{raw.get('TIME_MM', '')}:{raw.get('TIME_SS', '')}"
    )
    hms = clock.split(":")
    if len(hms) != 3 or not all(part.isascii() and part.isdigit() for part in (year, month, day, *hms)):
        return None
    offset = times.zone(raw.get("TIME_OFFSET")) or timedelta(0)
    at = times.build(int(year), int(month), int(day), (hms[0], hms[1], hms[2], None), offset)
    return at.astimezone(UTC) if at else None
