"""What one request's lines say before any name is looked up: both as one, the path, and the try they name exactly."""

from __future__ import annotations

import re
from typing import NamedTuple

from ingest.pairing import Pair
from ingest.parsers.f5_request_log import link_key, path_template
from ingest.records import Link, RequestLine

_MOST_KEPT = 100_000
# What lies at these places of a RequestLine is the same in both lines of a request, where both templates log it.
_TARGET, _ASKED = slice(2, 9), slice(15, 24)
_new = tuple.__new__
# Most calls of a fleet, each with a UUID of its own: what `link_key` and `path_template` say of them, without the way there.
CALL = "/execution/task-instances/"
VERB = re.compile(r"/[a-z][a-z_-]{0,10}")  # what follows on the UUID
MOST_VERB = 12
_CALL = re.compile(rf"{CALL}([0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}})({VERB.pattern})")


# As our plugin writes it: each part once, and none with a separator in it.
_HEADER = re.compile(
    r"dag=[^;]*;run=[^;]*;task=[^;]*;map=[^;]*;try=[^;]*;ti=([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)
_LONGEST_HEADER = 4_000


class Whole(NamedTuple):
    """One request, ready to be stored: its identity, its merged line, and the line id of its response."""

    line_id: int
    line: RequestLine
    response_line_id: int | None


class Facts:
    """What a URI and a task header say, whoever sent them. Compared by identity, which is fast in a dict."""

    __slots__ = ("is_execution", "key", "link", "path")

    def __init__(self, path: str, link: Link, key: str | None, is_execution: bool) -> None:
        self.path = path
        self.link = int(link)
        self.key = key
        self.is_execution = is_execution


_NOTHING = RequestLine(
    *("request", 0, "", "", "", None, "", "", None, "", None, "", None, None, None),
    *("", "", "", "", "", "", "", "", False),
)


def call_path(verb: str) -> str:
    """The path of a call that names its try, with this VERB behind the UUID."""
    return f"{CALL}{{uuid}}{verb}"


class _ByUri(dict[str, Facts]):
    """URIs repeat: heartbeats, the items of a list."""

    def __missing__(self, uri: str) -> Facts:
        if len(self) > _MOST_KEPT:
            self.clear()
        call = _CALL.fullmatch(uri)
        if call is not None:
            found = Facts(call_path(call[2]), Link.UUID, call[1].lower(), True)
        else:
            # Without this word no path names a try
            exact = link_key(_NOTHING._replace(uri=uri)) if "/execution/task-" in uri else None
            link, key = exact or (Link.NONE, None)
            found = Facts(path_template(uri), link, key, uri.startswith("/execution/"))
        self[uri] = found
        return found


class _ByTask(dict[str, tuple[Link, str | None]]):
    """A try sends one X-Airflow-Task with all its calls."""

    def __missing__(self, task: str) -> tuple[Link, str | None]:
        if len(self) > _MOST_KEPT:
            self.clear()
        match = _HEADER.fullmatch(task) if len(task) <= _LONGEST_HEADER else None
        if match is not None:
            found: tuple[Link, str | None] = (Link.HEADER, match[1].lower())
        else:
            found = link_key(_NOTHING._replace(task=task)) or (Link.NONE, None)
        self[task] = found
        return found


class _ByHeader(dict[tuple[str, str], Facts]):
    """Facts of a path that names no try, called with this X-Airflow-Task."""

    def __missing__(self, at: tuple[str, str]) -> Facts:
        if len(self) > _MOST_KEPT:
            self.clear()
        path, task = at
        link, key = _by_task[task]
        found = self[at] = Facts(path, link, key, path.startswith("/execution/"))
        return found


_by_uri = _ByUri()
_by_task = _ByTask()
_by_header = _ByHeader()


def facts_of(line: RequestLine) -> Facts:
    """Path and link of a line, those of `link_key`: the UUID in the path beats the header, a suspect line has none."""
    found = _by_uri[line[17]]
    if line[23]:
        return Facts(found.path, Link.SUSPECT, None, False)
    return found if found.key is not None or not line[20] else _by_header[found.path, line[20]]


def facts_of_path(uri: str) -> Facts:
    """What a URI alone says, of a line that is not suspect; its query may be left out, but not its question mark."""
    return _by_uri[uri]


def link_of_task(task: str) -> tuple[Link, str | None]:
    """The link and the try key of an X-Airflow-Task, where the path names no try."""
    return _by_task[task]


def merged(pair: Pair) -> Whole:
    """The two lines of one request as one, each field from the line that has it; the time is the request's."""
    request, response, request_id, response_id = pair
    if request is None or response is None:
        line_id = request_id if request_id is not None else response_id
        return Whole(line_id, request or response, response_id)  # type: ignore[arg-type]  # one of them is there
    if request[1] == response[1] and request[_ASKED] == response[_ASKED] and request[_TARGET] == response[_TARGET]:
        return _new(Whole, (request_id, response, response_id))
    fields = [mine if mine not in ("", None) else other for mine, other in zip(response, request, strict=True)]
    line = RequestLine(*fields)._replace(ts_us=request.ts_us, suspect=request.suspect or response.suspect)
    # Two keys that differ: somebody wrote one of them into a line that is not his
    if {link_key(one) for one in (request, response)} - {None} != {link_key(line)} - {None}:
        line = line._replace(suspect=True)
    return Whole(request_id, line, response_id)  # type: ignore[arg-type]
