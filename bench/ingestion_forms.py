"""From a spool file to committed rows, for each template that is seen in the field, as a ratio to the bare COPY.

airf5/1 alone takes the fast lane (`bench.ingestion`); what a user's own template writes is read line by line. The traffic
is the same: that of `bench.lines`, written down by the other templates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import lines
from bench.ingestion import feed_of, measured, yesterday_us
from bench.report import Figure
from bench.request_forms import TEMPLATES, written
from ingest.parsers.f5_request_log import parse
from ingest.records import RequestLine

# By their letters in `request_forms`: the template of requests, if there is one, and that of responses.
FORMS = {
    "a": ("a request", "a response"),
    "b": ("b request", "b response"),
    "c": (None, "c"),
    "d": (None, "d"),
    "e": ("e request", "e response"),
    "k": ("k request", "k response"),
    "l": (None, "l"),
}

SOME = ("a", "c", "e")


def measure(folder: Path, count: int, rounds: int, small: bool = False) -> list[Figure]:
    """The ratio of each template, and requests a second; `small`: of some."""
    figures = []
    for name, (request, response) in FORMS.items():
        if small and name not in SOME:
            continue
        path = folder / f"{name}.log"
        number = lines.write(path, _made(request, response, count))
        templates = [TEMPLATES[one] for one in (request, response) if one is not None]
        feed = feed_of(f"template {name}", path, logs_requests=request is not None, templates=templates)
        found = measured(feed, number, rounds)
        assert found.rows > count * 0.9, f"of {count} requests {found.rows} rows came of template ({name})"
        path.unlink()
        what = f"template ({name}), {'pairs' if request else 'responses alone'}"
        figures += [
            Figure(f"{what}: requests", found.rows / found.seconds, "rows/s"),
            Figure(f"{what}: bare COPY / file to rows", found.bare / found.seconds, ""),
        ]
    return figures


def _made(request: str | None, response: str | None, count: int) -> Iterator[tuple[int, str | None, int, str | None]]:
    for asked, answered in lines.pairs(count, start_us=yesterday_us()):
        said = parse(answered or asked)
        assert isinstance(said, RequestLine)
        values = _values(said)
        one = written(TEMPLATES[request], answered="", **values) if request else None
        two = written(TEMPLATES[response], **values, **_answer(said)) if response and answered else None
        yield said.ts_us, one, lines.took_us(answered), two


def _values(line: RequestLine) -> dict[str, str]:
    at = datetime.fromtimestamp(line.ts_us / 1e6, UTC)
    path, _, query = line.uri.partition("?")
    return {
        "BIGIP_HOSTNAME": line.hostname,
        "CLIENT_IP": line.client_ip,
        "CLIENT_PORT": str(line.client_port),
        "DATE_HTTP": f"{at:%a, %d %b %Y %H:%M:%S} GMT",
        "DATE_NCSA": f"[{at:%d/%b/%Y:%H:%M:%S} +0000]",
        "DATE_YYYY": f"{at:%Y}",
        "DATE_MM": f"{at:%m}",
        "DATE_DD": f"{at:%d}",
        "TIME_HMS": f"{at:%H:%M:%S}",
        "TIME_USECS": f"{line.ts_us % 1_000_000}",
        "HTTP_METHOD": line.method,
        "HTTP_PATH": path,
        "HTTP_QUERY": query,
        "HTTP_REQUEST": f"{line.method} {line.uri} HTTP/1.1",
        "HTTP_URI": line.uri,
        "VIRTUAL_IP": line.virtual_ip,
        "VIRTUAL_NAME": line.virtual_name,
        "VIRTUAL_PORT": str(line.virtual_port),
        "VIRTUAL_POOL_NAME": line.f5_pool,
        "Host": line.host,
        "host": line.host,
        "User-agent": line.user_agent,
    }


def _answer(line: RequestLine) -> dict[str, str]:
    return {
        "HTTP_STATCODE": str(line.status),
        "HTTP_STATUS": f"HTTP/1.1 {line.status} -",
        "RESPONSE_MSECS": str((line.response_us or 0) // 1_000),
        "RESPONSE_SIZE": str(line.bytes),
        "SERVER_IP": line.server_ip,
        "SERVER_PORT": str(line.server_port),
    }
