"""The fields of a source, one table for both ways to name one: the sources file and the page under /settings/.

A check gives None, or what is wrong with the value; the caller puts the entry's and the field's name before it. Values
are what YAML and JSON hold; the page makes such values from its form first (`ingest/pages/forms.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from ingest.parsers.times import zone
from ingest.setup import templates

LONGEST_NAME = 100
LONGEST_TEXT = 1_000
LONGEST_OFFSET = timedelta(hours=14)
MOST_RANGES = 50
OPTIONS = ("verify", "proxy", "first_hours", "page_limit", "overlap_s", "most_details", "statement_s")
# What airf5 runs on itself must not be sent to a source as if it were its password.
OWN_VARIABLES = ("AIRF5_", "DATABASE_URL", "REDIS_URL", "DJANGO_")
SOURCE_VARIABLES = "AIRF5_SOURCE_"

Check = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: what it is called on the page, what may stand in it, and how the page asks for it.

    control: text, secret, number, flag, list (one a line), choice, or json (an object).
    """

    name: str
    check: Check
    label: str
    help: str = ""
    control: str = "text"
    wide: bool = False
    hidden: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether what stands in it may be a secret by mistake, so that no error shows it."""
        return self.hidden or self.control == "secret"


def text(value: Any) -> str | None:
    """A printable text of one line."""
    fine = isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_TEXT
    return None if fine else "must be a text"


def yes_or_no(value: Any) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "must be true or false"


def address(value: Any) -> str | None:
    """An http or https address without credentials in it."""
    problem = "must be an address such as https://airflow.example.com"
    try:
        parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return problem
    if parts.username or parts.password:
        return "must not hold a user or a password: give username and password"
    if parts.query or parts.fragment:
        return "must end with its path: no ? and no #"
    return None if fine and value.isprintable() and " " not in value and len(value) <= 300 else problem


def reference(value: Any) -> str | None:
    """Where a secret stands: never the secret itself."""
    kind, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind == "env" and name.startswith(OWN_VARIABLES) and not name.startswith(SOURCE_VARIABLES):
        return "must not name a variable that airf5 itself runs on"
    fine = (kind == "env" and name.isidentifier()) or (kind == "file" and name.startswith("/") and name.isprintable())
    return None if fine else "must be env:NAME or file:/path, which says where the secret stands"


def api(value: Any) -> str | None:
    """Which REST API an Airflow has."""
    return None if value in ("auto", "v1", "v2") else "must be auto, v1 or v2"


def auth(value: Any) -> str | None:
    """How to sign in to an Airflow."""
    return None if value in ("basic", "token", "bearer") else "must be basic, token or bearer"


def seconds(value: Any) -> str | None:
    """Seconds between two looks."""
    fine = isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 3600
    return None if fine else "must be a number of seconds from 1 to 3600"


def sender(value: Any) -> str | None:
    """The address that logs come from."""
    try:
        ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return "must be an IP address"
    return None


def offset(value: Any) -> str | None:
    """The offset of a clock from UTC."""
    found = zone(value) if isinstance(value, str) else None
    return None if found is not None and abs(found) <= LONGEST_OFFSET else 'must be an offset such as "+01:00"'


def template(value: Any) -> str | None:
    """A request-log template, or several."""
    try:
        templates.compiled(templates.texts(value))
    except templates.TemplateRefused as error:
        return f"is refused: {str(error).rstrip('.')}"
    return None


def folder(value: Any) -> str | None:
    """An absolute path."""
    fine = isinstance(value, str) and value.startswith("/") and value.isprintable()
    return None if fine else "must be an absolute path"


def ranges(value: Any) -> str | None:
    """Address ranges that a source may be called at, as CIDR."""
    if not isinstance(value, list) or not 0 < len(value) <= MOST_RANGES:
        return f'must be a list of 1 to {MOST_RANGES} address ranges such as "10.1.0.0/16"'
    for one in value:
        try:
            ip_network(one if isinstance(one, str) else "")
        except ValueError as error:
            said = str(error) if "host bits" in str(error) else f"{str(one)[:60]!r} is none"
            return f'must hold address ranges such as "10.1.0.0/16" or "10.1.2.3/32": {said}'
    return None


def verify(value: Any) -> str | None:
    """Whether the certificate is checked, or against which CA."""
    fine = isinstance(value, bool) or folder(value) is None
    return None if fine else "must be true, false or the absolute path of a CA file"


def calls(value: Any) -> str | None:
    """A budget of calls."""
    fine = isinstance(value, int) and not isinstance(value, bool) and 6 <= value <= 600
    return None if fine else "must be a whole number of calls from 6 to 600"


def options(value: Any) -> str | None:
    """The seldom needed settings of a connection."""
    if not isinstance(value, dict) or not set(value) <= set(OPTIONS):
        return "must be an object with " + ", ".join(OPTIONS)
    if value.get("proxy") is not None and (problem := address(value["proxy"])):
        return f"has a proxy that {problem}"
    if not isinstance(value.get("verify", True), bool) and folder(value["verify"]):
        return "has a verify that must be true, false or the absolute path of a CA file"
    for name in ("first_hours", "page_limit", "overlap_s", "most_details", "statement_s"):
        one = value.get(name, 1)
        if not isinstance(one, int | float) or isinstance(one, bool) or not 0 <= one <= 100_000:
            return f"has a {name} that must be a number from 0 to 100,000"
    return None


def telemetry(value: Any) -> str | None:
    """Whether Telemetry Streaming pushes here, or where the token stands that it has to show."""
    fine = isinstance(value, bool) or reference(value) is None
    return None if fine else "must be true, false, or env:NAME or file:/path, which says where its token stands"


_KIND = Field("kind", text, "Kind")
_NAME = Field("name", text, "Name", "Stands for the same source for good.")
_ALLOW = Field(
    "allow", ranges, "Address ranges it may be called at",
    "One a line, as 10.1.0.0/16. Empty: any address but loopback, link-local and cloud metadata, which have to be "
    "listed to be called.", "list", True,
)  # fmt: skip

AIRFLOW: tuple[Field, ...] = (
    _KIND,
    _NAME,
    Field("url", address, "Address", "Where its web server answers, such as https://airflow.example.com", wide=True),
    Field("api", api, "API", "auto, v1 (Airflow 2) or v2 (Airflow 3); empty: auto."),
    Field("auth", auth, "Signs in by", "token (/auth/token), basic or bearer; empty: as fits what is given."),
    Field("username", text, "User name", "A user that may read."),
    Field("password", reference, "Password", "", "secret"),
    Field("token", reference, "Token", "In place of user name and password.", "secret"),
    Field(
        "database", reference, "Address of a replica of its database",
        "Optional: postgresql://user:password@host:5432/airflow. With it tries and history come from there. MySQL is "
        "not read.", "secret",
    ),
    Field("poll_seconds", seconds, "Seconds between two looks", "1 to 3600; default 5, and 15 for its database.", "number"),
    _ALLOW,
    Field(
        "through", address, "Address through F5",
        "Where the workers reach its Execution API by way of a virtual server; the loop-back test asks there.",
        wide=True,
    ),
    Field("options", options, "Options", f"A JSON object with {', '.join(OPTIONS)}.", "json", True),
)  # fmt: skip
DEVICE: tuple[Field, ...] = (
    _KIND,
    _NAME,
    Field("group", text, "Pair or cluster", "Empty: alone."),
    Field("hostname", text, "Its own name in its logs"),
    Field("sender", sender, "Address its logs come from"),
    Field("spool", text, "Or the folder the receiver writes them to", "Below the spool folder."),
    Field("utc_offset", offset, "Its clock's offset from UTC", "Such as +01:00; empty: UTC."),
    Field("makes_own_errors", yes_or_no, "Answers 502, 503 and 504 itself", "A BIG-IP does not.", "flag"),
    Field("logs_requests", yes_or_no, "Logs requests as well as responses", "Empty: as its template says.", "flag"),
    Field(
        "template", template, "Request-log template",
        "As it is set on the device; empty: airf5's own. Several: one a line.", "list", True,
    ),
    Field("folder", folder, "Folder with snapshots of iControl REST"),
    Field(
        "url", address, "Address of its iControl REST",
        "The management address of this one unit, such as https://bigip-1.example.com", wide=True,
    ),
    Field("username", text, "User name", "A user of airf5 alone, with the role auditor on all partitions."),
    Field("password", reference, "Password", "", "secret"),
    Field("verify", verify, "Certificate is checked", "true; false; or the absolute path of a CA file.", "json"),
    Field("calls_per_minute", calls, "Most calls a minute", "6 to 600; default 30.", "number"),
    _ALLOW,
    Field(
        "telemetry", telemetry, "Telemetry Streaming pushes here",
        "To /ingest/telemetry/ and the device's name, with a token of manage.py telemetry-token.", "flag", hidden=True,
    ),
)  # fmt: skip
