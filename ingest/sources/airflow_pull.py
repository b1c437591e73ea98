"""What every pull of an Airflow has: pages, the cursor as it grows, and lists walked to their end.

A pull that is cut off goes on where it was: the cursor of each page says how far its list was walked. A watermark moves
only at the end of its list, or (event logs) to what is known to be through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from airf5.failpoints import planted
from ingest.sources.airflow_session import Session
from ingest.sources.http import SourceError, SourceRefused, SourceUnavailable

PAGE_LIMIT = 100  # Airflow clamps a larger one to its maximum without saying so
OVERLAP_S = 30.0
FIRST_HOURS = 24.0
SETTLE = timedelta(seconds=5)  # rows carry the time of their change, but are seen after its commit
SLOW_LISTS_EVERY = timedelta(minutes=10)
MOST_PAGES = 20_000
MOST_IDS = 5_000

DAG_RUNS = "/dags/~/dagRuns"
TASK_INSTANCES = "/dags/~/dagRuns/~/taskInstances"
# All that is taken of a connection: Airflow 2 shows `extra` in clear, which is nobody's business here.
ADDRESS = ("connection_id", "conn_id", "conn_type", "host", "port", "schema")

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of one kind.

    kind: version health pools jobs dags connections event_logs dag_runs task_instances tries task_logs refused.
    `cursor` is what to keep once this page and all before it are saved (None: keep the old one);
    `complete_to` is set where a pull is through: Airflow's side is known up to that moment.
    """

    kind: str
    items: list[Item]
    cursor: Item | None = None
    complete_to: datetime | None = None


class TryKey(NamedTuple):
    """One try, as Airflow addresses it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Tries whose history (/tries) or log the database still lacks: final or waiting for a retry, each asked once."""

    histories: tuple[TryKey, ...] = ()
    logs: tuple[TryKey, ...] = ()


class Chunk(NamedTuple):
    """One page of a list, and the query parameters that lead to the next one (None: it was the last)."""

    items: list[Item]
    following: Item | None


@dataclass(slots=True)
class Pull:
    """The state of one pull: when it began by Airflow's clock, and the cursor as it grows."""

    session: Session
    began: datetime
    cursor: Item = field(default_factory=dict)

    def since(self, name: str) -> datetime:
        """From when to ask for changes: the last watermark less an overlap, at first a window back."""
        return since(self.cursor.get(name), self.began, self.session.source.options)

    def advance(self, name: str, value: Any) -> Item:
        """A copy of the cursor, with this part moved on."""
        self.cursor = {**self.cursor, name: value}
        return dict(self.cursor)

    def drop(self, name: str) -> None:
        """Without this part."""
        self.cursor = {key: value for key, value in self.cursor.items() if key != name}


def since(watermark: Any, began: datetime, options: Mapping[str, Any]) -> datetime:
    """From when to ask, by a kept watermark."""
    if seen := moment(watermark):
        # A watermark from the future (a clock was set back) would hide rows until it has passed.
        overlap_s = 0.0 if planted("no-overlap") else float(options.get("overlap_s", OVERLAP_S))
        return min(seen, began) - timedelta(seconds=overlap_s)
    return began - timedelta(hours=float(options.get("first_hours", FIRST_HOURS)))


def pull_changes(pull: Pull, kind: str, path: str, params: Item, *, keyset: bool = False) -> Iterator[Page]:
    """The rows of a list that changed since its watermark, ordered by id; the last page moves the watermark.

    Where the last pull was cut off it goes on, from the same moment. The watermark is the time at which the walk was
    begun: what changed meanwhile comes with the next pull.
    """
    place = f"{kind}_at"
    walk = pull.cursor.get(place) or {}
    from_ = moment(walk.get("since")) or pull.since(kind)
    began = moment(walk.get("began")) or pull.began
    query = {"updated_at_gte": from_.isoformat(), "order_by": "id", **params}
    try:
        for chunk in pages(pull.session, path, kind, query, keyset=keyset, at=walk.get("at")):
            kept = None
            if chunk.following:
                going_on = {"since": from_.isoformat(), "began": began.isoformat(), "at": chunk.following}
                kept = pull.advance(place, going_on)
            yield Page(kind, chunk.items, kept)
    except SourceRefused as error:
        if not walk or error.status in (401, 403):
            raise
        pull.drop(place)  # it does not know that place any more: from the start
        yield from pull_changes(pull, kind, path, params, keyset=keyset)
        return
    pull.drop(place)
    yield Page(kind, [], pull.advance(kind, began.isoformat()))


def pages(
    session: Session, path: str, name: str, params: Item, *, keyset: bool = False, at: Item | None = None
) -> Iterator[Chunk]:
    """All pages of a list, by what comes back and never by what was asked for; `at` is where to go on.

    Keyset paging needs `cursor=` on page 1 and exists from 3.3 on for runs and task instances; an answer that has no
    next_cursor but more entries than came is paged by offset.
    """
    query = {"limit": int(session.source.options.get("page_limit", PAGE_LIMIT)), **params}
    query |= at or ({"cursor": ""} if keyset else {})
    seen_cursors: set[str] = set()
    for _ in range(MOST_PAGES):
        body = session.get(path, query).body
        items = items_of(body, name, path)
        following = _following(query, body, len(items), bool(seen_cursors))
        if items:
            yield Chunk(items, following)
        if following is None:
            return
        if "cursor" in following:
            if following["cursor"] in seen_cursors:
                raise SourceUnavailable(f"{path} gives the same page again and again: its paging is broken.")
            seen_cursors.add(following["cursor"])
        else:
            query.pop("cursor", None)
        query |= following
    raise SourceUnavailable(f"{path} does not come to an end after {MOST_PAGES} pages: shorten the first window.")


def _following(query: Item, body: Item, count: int, by_cursor: bool) -> Item | None:
    """Where the next page is."""
    cursor, total = body.get("next_cursor"), body.get("total_entries")
    if "cursor" in query and isinstance(cursor, str) and cursor:
        return {"cursor": cursor}
    seen = int(query.get("offset", 0)) + count
    if not count or by_cursor or query.get("cursor") or not isinstance(total, int) or seen >= total:
        return None
    return {"offset": seen}


def list_or_note(session: Session, kind: str, path: str, name: str) -> Iterator[Page]:
    """A list that a pull can do without: where the role may not read it, a note says so."""
    try:
        for chunk in pages(session, path, name, {}):
            yield Page(kind, [address(item) for item in chunk.items] if kind == "connections" else chunk.items)
    except SourceRefused as error:
        if error.status == 401:  # nobody knows us: the next list would only cost another failed login
            raise
        yield note(path, error)


def is_due(watermark: Any, began: datetime) -> bool:
    """Whether the lists that are asked for every ten minutes only are due, by when they were last asked for."""
    seen = moment(watermark)
    return seen is None or not timedelta(0) <= began - seen < SLOW_LISTS_EVERY


def unseen(items: list[Item], known: dict[int, None]) -> list[Item]:
    """The event logs whose id is not known yet; they are known from now on."""
    fresh = [
        item for item in items if not (isinstance(item.get("event_log_id"), int) and item["event_log_id"] in known)
    ]
    known.update((item["event_log_id"], None) for item in fresh if isinstance(item.get("event_log_id"), int))
    return fresh


def address(connection: Item) -> Item:
    """A connection without login, password and extra."""
    return {name: connection[name] for name in ADDRESS if name in connection}


def note(path: str, error: SourceError) -> Page:
    """A refusal, as a page."""
    return remark(path, error.sentence, error.status)


def remark(path: str, sentence: str, status: int | None = None) -> Page:
    """Something that this Airflow does not tell, in a sentence."""
    return Page("refused", [{"endpoint": path, "status": status, "sentence": sentence}])


def items_of(body: Any, name: str, path: str) -> list[Item]:
    """The items of a list's answer."""
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise SourceUnavailable(f"{path} answered without {name!r}: is this the API of an Airflow?")
    return [item for item in found if isinstance(item, dict)]


def object_of(body: Any, path: str) -> Item:
    """An answer that must be an object."""
    if not isinstance(body, dict):
        raise SourceUnavailable(f"{path} did not answer an object: is this the API of an Airflow?")
    return body


def path_of(key: TryKey) -> str:
    """The path of a try's task instance."""
    dag_id, run_id, task_id = (quote(part, safe="") for part in key[:3])
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"


def moment(value: Any) -> datetime | None:
    """A time that we wrote into a cursor, or that Airflow wrote with its zone."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None
