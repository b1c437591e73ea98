"""Filter: from a query string, back to one, and as an English sentence. The address is the state of a page (pure)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from dashboards.fields import CONTROLS, FIELDS, LAST_WORDS, LASTS, LISTINGS, Field, Listing

MAX_LENGTH = 300
MAX_CURSOR = 1000
MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_RANGE = timedelta(days=400)
MAX_VALUES = 20

# Control, bidirectional and zero-width characters: unreadable on a page, forged in a log line.
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,59}")
# A + that was not escaped arrives as a space: 2026-01-31T00:00:00 02:00 is meant to be +02:00.
_LOST_PLUS = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")


class FilterError(ValueError):
    """A question that cannot be asked: which parameter, and a sentence for the person who asked."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Chip:
    """One narrowing, in words, with the query string of the same page without it."""

    field: str
    label: str
    value: str
    remove: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What a page, an API call or an export is asked for. `start` <= t < `end`, aware UTC."""

    start: datetime
    end: datetime
    last: str = ""
    airflow: str = ""
    device_group: str = ""
    dag: str = ""
    task: str = ""
    run: str = ""
    airflow_pool: str = ""
    f5_pool: str = ""
    endpoint: str = ""
    member: str = ""
    state: str = ""
    culprit: str = ""
    cause: str = ""
    review: str = ""
    kind: str = ""
    layer: str = ""
    actor: str = ""
    verb: str = ""
    task_events: str = ""
    feed: str = ""
    sort: str = ""
    limit: int = DEFAULT_LIMIT
    after: str = ""
    listing: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, Any], now: datetime, listing: str = "") -> Filter:
        """The filter of a query string (a QueryDict or a plain dict); raises FilterError."""
        page = LISTINGS[listing]
        given = _given(query, page)
        start, end, last = _range(given, page, now)
        values = {name: _value(FIELDS[name], given[name], page) for name in page.fields if given.get(name)}
        return cls(
            start=start, end=end, last=last, sort=_sort(given.get("sort", ""), page),
            limit=_limit(given.get("limit", "")),
            after=given.get("after", ""), listing=listing, **values,
        )  # fmt: skip

    def items(self, *, paging: bool = False) -> list[tuple[str, str]]:
        """The parameters of the address, in a fixed order; `paging` adds the cursor."""
        pairs = [("last", self.last)] if self.last else [("from", iso(self.start)), ("to", iso(self.end))]
        if self.last and self.last == LISTINGS[self.listing].last:
            pairs = []
        pairs += [(name, getattr(self, name)) for name in FIELDS if getattr(self, name)]
        sorts = LISTINGS[self.listing].sorts
        if self.sort and self.sort != (sorts[0] if sorts else ""):
            pairs.append(("sort", self.sort))
        if self.limit != DEFAULT_LIMIT:
            pairs.append(("limit", str(self.limit)))
        if paging and self.after:
            pairs.append(("after", self.after))
        return pairs

    def to_query(self, *, paging: bool = False) -> str:
        return urlencode(self.items(paging=paging))

    def without(self, field: str) -> Filter:
        """The same question without one narrowing; a cursor does not survive a changed question."""
        changes: dict[str, Any] = {field: "", "after": ""}
        return replace(self, **changes)

    def with_(self, **changes: Any) -> Filter:
        """The same question with other values (not checked again), from the first row on."""
        return replace(self, **{"after": "", **changes})

    def page_after(self, cursor: str) -> Filter:
        return replace(self, after=cursor)

    def absolute(self) -> Filter:
        """For a link that is sent to somebody: the same two instants for ever."""
        return replace(self, last="")

    def values(self, field: str) -> tuple[str, ...]:
        """The values of a field that takes several with commas."""
        text = getattr(self, field)
        return tuple(text.split(",")) if text else ()

    def narrowed(self) -> list[tuple[Field, str]]:
        return [(field, getattr(self, name)) for name, field in FIELDS.items() if getattr(self, name)]

    def chips(self) -> list[Chip]:
        return [
            Chip(f.name, f.label, value.replace(",", " or "), self.without(f.name).to_query())
            for f, value in self.narrowed()
        ]

    def time_words(self) -> str:
        if self.last:
            return LAST_WORDS[self.last]
        if self.start.date() == self.end.date():
            return f"{self.start:%-d %b %Y}, {self.start:%H:%M:%S} to {self.end:%H:%M:%S} UTC"
        return f"{self.start:%-d %b %Y %H:%M:%S} to {self.end:%-d %b %Y %H:%M:%S} UTC"

    def sentence(self) -> str:
        """The question in English: 'Tries of the last 24 hours, DAG orders_*, verdict route or service'."""
        noun = LISTINGS[self.listing].noun
        return ", ".join(
            [f"{noun}, {self.time_words()}", *(f"{f.label} {v.replace(',', ' or ')}" for f, v in self.narrowed())]
        )


def iso(at: datetime) -> str:
    """An instant as it stands in an address: UTC, with Z, fraction only where there is one."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def like(value: str) -> str:
    """A SQL LIKE pattern for a value in which * stands for any text."""
    return re.sub(r"([\\%_])", r"\\\1", value).replace("*", "%")


def regex(value: str, *, path: bool = False) -> str:
    """An anchored regular expression for a value with *; with `path`, the last part of a full path is enough."""
    body = ".*".join(re.escape(part) for part in value.split("*"))
    before = "(.*/)?" if path and not value.startswith("/") else ""
    return f"^{before}{body}$"


def _given(query: Mapping[str, Any], page: Listing) -> dict[str, str]:
    """The parameters as single, readable strings; anything unknown, doubled or unreadable is refused."""
    known = (*CONTROLS, *page.fields)
    given: dict[str, str] = {}
    for name in query:
        if name not in known:
            raise FilterError(_shown(name), _unknown(name, known, page))
        values = query.getlist(name) if hasattr(query, "getlist") else [query[name]]
        if len(values) > 1:
            raise FilterError(name, f"{name} is given {len(values)} times; give it once.")
        value = str(values[0]).strip() if values else ""
        longest = MAX_CURSOR if name == "after" else MAX_LENGTH
        if len(value) > longest:
            raise FilterError(name, f"{name} is {len(value):,} characters long; at most {longest} are allowed.")
        if _UNREADABLE.search(value):
            raise FilterError(name, f"{name} holds a control character or one that cannot be seen.")
        given[name] = value
    return given


def _unknown(name: str, known: Iterable[str], page: Listing) -> str:
    if name in FIELDS:
        return f"{page.noun} cannot be narrowed by {name}. Known here are: {', '.join(known)}."
    near = difflib.get_close_matches(name[:60], list(known), n=1, cutoff=0.0)
    return f"There is no parameter “{_shown(name)}” here; the nearest is “{near[0]}”. Known are: {', '.join(known)}."


def _shown(text: str) -> str:
    return _UNREADABLE.sub("?", text[:60])


def _value(field: Field, value: str, page: Listing) -> str:
    words = page.states if field.name == "state" else field.words
    if not field.many:
        if words and value not in words:
            raise FilterError(field.name, f"{field.name} cannot be “{_shown(value)}”; it is one of {', '.join(words)}.")
        return value
    parts = list(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    if len(parts) > MAX_VALUES:
        raise FilterError(field.name, f"{field.name} has {len(parts)} values; at most {MAX_VALUES} are allowed.")
    for part in parts:
        if words and part not in words:
            raise FilterError(field.name, f"{field.name} cannot be “{_shown(part)}”; it is one of {', '.join(words)}.")
        if not _WORD.fullmatch(part):
            raise FilterError(field.name, f"{field.name} cannot be “{_shown(part)}”; it takes words such as no_member.")
    return ",".join(parts)


def _range(given: Mapping[str, str], page: Listing, now: datetime) -> tuple[datetime, datetime, str]:
    last, start, end = given.get("last", ""), _instant("from", given), _instant("to", given)
    if last and (start or end):
        raise FilterError("last", "last cannot be combined with from or to; give either.")
    if start or end:
        end = end or now
        start = start or _earlier(end, LASTS[page.last])
        if start >= end:
            raise FilterError("from", f"from ({iso(start)}) must be earlier than to ({iso(end)}).")
        if end - start > MAX_RANGE:
            raise FilterError(
                "from", f"from and to are {(end - start).days} days apart; at most {MAX_RANGE.days} are allowed."
            )
        return start, end, ""
    last = last or page.last
    if last not in LASTS:
        raise FilterError("last", f"last cannot be “{_shown(last)}”; it is one of {', '.join(LASTS)}.")
    return now - LASTS[last], now, last


def _earlier(end: datetime, span: timedelta) -> datetime:
    return end - span if end - datetime.min.replace(tzinfo=UTC) > span else datetime.min.replace(tzinfo=UTC)


def _instant(name: str, given: Mapping[str, str]) -> datetime | None:
    text = _LOST_PLUS.sub("+", given.get(name, ""))
    if not text:
        return None
    hint = f"write {name} as 2026-01-31T08:00:00Z or with an offset such as +02:00"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise FilterError(name, f"{name} is no time: {hint}.") from None
    if at.tzinfo is None:
        raise FilterError(name, f"{name} has no time zone: {hint}.")
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise FilterError(name, f"{name} is out of range: {hint}.") from None
    if not 1970 <= at.year <= 2200:
        raise FilterError(name, f"{name} lies outside the years 1970 to 2200.")
    return at


def _sort(value: str, page: Listing) -> str:
    if value and value not in page.sorts:
        known = ", ".join(page.sorts) or "nothing here"
        raise FilterError("sort", f"sort cannot be “{_shown(value)}”; it is one of: {known}.")
    return value or (page.sorts[0] if page.sorts else "")


def _limit(value: str) -> int:
    if not value:
        return DEFAULT_LIMIT
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= MAX_LIMIT:
        raise FilterError("limit", f"limit is a number from 1 to {MAX_LIMIT}.")
    return int(value)
