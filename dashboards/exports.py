"""What a page shows as a file: CSV or JSON under the same path with a suffix, streamed page by page in constant memory.

A file says at its head what was asked, how many rows there are and how far the data is complete, and at its end how
many rows were written, so that one that was cut off can be told from a whole one.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import re_path
from django.utils import timezone
from django.views.decorators.http import require_GET

from airf5.accounts import audit as trail
from airf5.accounts import auth, roles
from dashboards import lists
from dashboards.filters import MAX_LIMIT, Filter, FilterError, iso
from dashboards.plain import cells, columns, plain
from dashboards.queries import audit, dags, endpoints, freshness, incidents, tries
from dashboards.queries.dag_rows import RunRow
from dashboards.queries.rows import MemberAnswers, RequestRow

log = logging.getLogger(__name__)
TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json; charset=utf-8"}
Meta = dict[str, Any]


@login_required
@require_GET
def export(request: HttpRequest, slug: str, kind: str) -> HttpResponseBase:
    """A whole list: every row of the filter, whatever `limit` and `after` say."""
    now, scope, subject = timezone.now(), _scope(request), lists.SUBJECTS[slug]
    try:
        asked = Filter.from_query(request.GET, now, subject.listing).absolute().with_(limit=MAX_LIMIT)
    except FilterError as error:
        return HttpResponse(f"{error.sentence}\n", status=400, content_type="text/plain; charset=utf-8")
    meta = _meta(asked, subject.count(asked, scope))
    if slug == "audit":
        meta |= _population(asked, scope)
    rows = _walk(lambda page: subject.read(page, scope, now), asked)
    return _answer(request, kind, subject.row, meta, rows, slug.replace("/", "-"))


@login_required
@require_GET
def export_one(request: HttpRequest, slug: str, ident: str, kind: str) -> HttpResponseBase:
    """A single thing: all of it as JSON, its rows as CSV."""
    now, scope = timezone.now(), _scope(request)
    try:
        asked = Filter.from_query(request.GET, now, slug if slug in ("dags", "endpoints") else "")
    except FilterError as error:
        return HttpResponse(f"{error.sentence}\n", status=400, content_type="text/plain; charset=utf-8")
    found = _one(slug, ident, asked, scope, now)
    if found is None:
        raise Http404
    row, rows = _rows_of(slug, found)
    meta = {**_meta(asked, len(rows)), "of": f"{slug}/{ident}"}
    if slug in ("incidents", "tries"):
        meta = {**meta, "filter": f"{slug}/{ident}", "time_range": "all of it"}
    whole = plain(found) if kind == "json" else None
    return _answer(request, kind, row, meta, iter(rows), f"{slug}-{ident}", whole)


def _scope(request: HttpRequest) -> roles.Scope:
    if not roles.may(request.user, "export"):
        raise PermissionDenied
    return roles.scope(request.user)


def _one(slug: str, ident: str, asked: Filter, scope: roles.Scope, now: Any) -> Any:
    if slug == "dags":
        return dags.one(asked.airflow, ident, asked, scope)
    if not ident.isascii() or not ident.isdigit() or len(ident) > 18:
        return None
    readers: dict[str, Callable[[int], Any]] = {
        "incidents": lambda number: incidents.one(number, scope, now),
        "tries": lambda number: tries.one(number, scope),
        "endpoints": lambda number: endpoints.one(number, asked, scope, now),
    }
    return readers[slug](int(ident))


def _rows_of(slug: str, page: Any) -> tuple[type, list[Any]]:
    """The rows that are the CSV of a single thing."""
    if slug == "dags":
        return RunRow, list(page.runs)
    if slug == "endpoints":
        return MemberAnswers, list(page.answers)
    return RequestRow, [*page.requests, *getattr(page, "candidates", ())]


def _meta(asked: Filter, count: int) -> Meta:
    fresh = freshness.watermark(timezone.now(), asked)
    return {
        "filter": asked.sentence(),
        "time_range": f"{iso(asked.start)} to {iso(asked.end)}, its end not included",
        "time_zone": "UTC",
        "rows": count,
        "complete": fresh.sentence,
        "complete_to": iso(fresh.complete_to) if fresh.complete_to else None,
        "made_at": iso(timezone.now()),
    }


def _population(asked: Filter, scope: roles.Scope) -> Meta:
    whole = audit.population(asked, scope)
    gaps = [f"{gap.feed}: {iso(gap.start)} to {iso(gap.end) if gap.end else 'now'}, {gap.reason}" for gap in whole.gaps]
    left = f"hidden, {whole.hidden} of them" if not asked.task_events else asked.task_events
    return {"population": whole.sentence, "task_events": left, "gaps": gaps or ["none known"]}


def _walk(read: Callable[[Filter], Any], asked: Filter) -> Iterator[Any]:
    """Every row once, one keyset page in memory at a time."""
    while True:
        page = read(asked)
        yield from page.rows
        if not page.next:
            return
        asked = asked.page_after(page.next)


def _answer(
    request: HttpRequest, kind: str, row: type, meta: Meta, rows: Iterator[Any], name: str, whole: Any = None
) -> StreamingHttpResponse:
    # First the record, then the bytes: an export that nobody recorded must not exist.
    detail = {"filter": meta["filter"], "rows": meta["rows"], "time_range": meta["time_range"]}
    trail.record(request.user.get_username(), "export", request.path, detail, address=auth.address(request))
    body = _csv(row, meta, rows) if kind == "csv" else _json(meta, rows, whole)
    response = StreamingHttpResponse(body, content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="airf5-{_file_name(name)}.{kind}"'
    response["Cache-Control"] = "private, no-store"
    return response


def _file_name(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name)[
        :120
    ]


class _Line:
    """What csv.writer writes to: it hands the line back."""

    def write(self, text: str) -> str:
        return text


def _csv(row: type, meta: Meta, rows: Iterator[Any]) -> Iterator[str]:
    """Comment lines `# key: value`, the header, the rows, and a comment with what was written."""
    writer = csv.writer(_Line())
    yield "".join(f"# {key}: {text}\r\n" for key, text in _comments(meta))
    yield writer.writerow(".".join(way) for way in columns(row))
    written = 0
    try:
        for one in rows:
            written += 1
            yield writer.writerow(cells(one))
    except DatabaseError:
        log.exception("An export broke after %s rows", written)
        yield f"# INCOMPLETE: the export broke after {written} rows; ask for a shorter time range\r\n"
        return
    yield f"# end: {written} rows written\r\n"


def _comments(meta: Meta) -> Iterable[tuple[str, str]]:
    """One line each: a line break in a value would begin a line that is no comment."""
    for key, value in meta.items():
        for text in value if isinstance(value, list) else [value]:
            yield key, " ".join(str("unknown" if text is None else text).split())


def _json(meta: Meta, rows: Iterator[Any], whole: Any) -> Iterator[str]:
    """{"meta": …, "rows": [ … ], "end": …}; a single thing has all of itself under "page" instead of rows."""
    yield '{"meta": ' + json.dumps(meta, ensure_ascii=False)
    if whole is not None:
        yield ',\n"page": ' + json.dumps(whole, ensure_ascii=False) + "}\n"
        return
    yield ',\n"rows": [\n'
    written, broke = 0, False
    try:
        for one in rows:
            yield (",\n" if written else "") + json.dumps(plain(one), ensure_ascii=False)
            written += 1
    except DatabaseError:
        log.exception("An export broke after %s rows", written)
        broke = True
    yield f'\n],\n"end": {{"rows": {written}, "complete": {"false" if broke else "true"}}}}}\n'


_LISTS = "|".join(sorted(lists.SUBJECTS, key=len, reverse=True))
urlpatterns = [
    re_path(rf"^(?P<slug>{_LISTS})\.(?P<kind>csv|json)$", export, name="export"),
    re_path(
        r"^(?P<slug>incidents|tries|endpoints)/(?P<ident>[^/]{1,250})\.(?P<kind>csv|json)$",
        export_one,
        name="export-one",
    ),
    re_path(r"^(?P<slug>dags)/(?P<ident>.{1,250})\.(?P<kind>csv|json)$", export_one, name="export-dag"),
]
