"""Airflow's public REST API v2, page by page: what changed since the last pull, and details of the tries asked for.

`read` walks a whole pull and knows no database: the caller saves each page together with its cursor. A cursor that is
lost or old only means that rows come again, and they merge on their natural keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from ingest.sources.airflow_session import Session, Source
from ingest.sources.http import SourceRefused, SourceUnavailable

PAGE_LIMIT = 100  # Airflow clamps a larger one to its maximum without saying so
OVERLAP_S = 30.0
FIRST_HOURS = 24.0
SETTLE = timedelta(seconds=5)  # rows carry the time of their change, but are seen after its commit
SLOW_LISTS_EVERY = timedelta(minutes=10)
MOST_PAGES = 20_000
MOST_IDS = 5_000
MOST_DETAILS = 200
LARGEST_LOG = 8 * 1024 * 1024

DAG_RUNS = "/dags/~/dagRuns"
TASK_INSTANCES = "/dags/~/dagRuns/~/taskInstances"

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


@dataclass(slots=True)
class Pull:
    """The state of one pull: when it began by Airflow's clock, and the cursor as it grows."""

    session: Session
    began: datetime
    cursor: Item = field(default_factory=dict)

    def since(self, name: str) -> datetime:
        """From when to ask for changes: the last watermark less an overlap, at first a window back."""
        options = self.session.source.options
        if seen := _moment(self.cursor.get(name)):
            # A watermark from the future (a clock was set back) would hide rows until it has passed.
            return min(seen, self.began) - timedelta(seconds=float(options.get("overlap_s", OVERLAP_S)))
        return self.began - timedelta(hours=float(options.get("first_hours", FIRST_HOURS)))

    def advance(self, name: str, value: Any) -> Item:
        """A copy of the cursor, with this part moved on."""
        self.cursor = {**self.cursor, name: value}
        return dict(self.cursor)


def read(source: Source, cursor: Item | None, wanted: Wanted | None = None, **session: Any) -> Iterator[Page]:
    """One pull. The task instances come last but for details: their last page carries `complete_to`."""
    with Session(source, **session) as opened:
        pull = start(opened, cursor)
        yield from pull_small_lists(pull)
        yield from pull_event_logs(pull)
        yield from pull_dag_runs(pull)
        yield from pull_task_instances(pull)
        yield from fetch_wanted(opened, wanted or Wanted())


def start(session: Session, cursor: Item | None) -> Pull:
    """Begin a pull: the first call is the cheapest one, and its Date header tells Airflow's clock."""
    began = session.now()
    session.get_open("/version")
    return Pull(session, began + session.skew, dict(cursor or {}))


def pull_small_lists(pull: Pull) -> Iterator[Page]:
    """Version, health, pools and jobs as they are now; DAGs and connections every ten minutes."""
    session = pull.session
    yield Page("version", [_object(session.get_open("/version").body, "/version")])
    yield Page("health", [_object(session.get_open("/monitor/health").body, "/monitor/health")])
    yield from _list_or_note(session, "pools", "/pools", "pools")
    yield from _list_or_note(session, "jobs", "/jobs", "jobs")
    seen = _moment(pull.cursor.get("slow_lists"))
    if seen is not None and timedelta(0) <= pull.began - seen < SLOW_LISTS_EVERY:
        return
    yield from _list_or_note(session, "dags", "/dags", "dags")
    yield from _list_or_note(session, "connections", "/connections", "connections")
    yield Page("dags", [], pull.advance("slow_lists", pull.began.isoformat()))


def pull_event_logs(pull: Pull) -> Iterator[Page]:
    """New event logs. Ids are given before the commit, so a smaller one may come later: the overlap is deduplicated."""
    since = pull.since("event_logs")
    known: dict[int, None] = dict.fromkeys(pull.cursor.get("event_log_ids") or ())
    params = {"order_by": "event_log_id", "after": since.isoformat()}
    try:
        for items in pages(pull.session, "/eventLogs", "event_logs", params):
            fresh = [item for item in items if item.get("event_log_id") not in known]
            known.update(dict.fromkeys(item["event_log_id"] for item in fresh if "event_log_id" in item))
            if fresh:
                yield Page("event_logs", fresh)
    except SourceRefused as error:
        yield _note("/eventLogs", error)
        return
    pull.advance("event_log_ids", list(known)[-MOST_IDS:])
    yield Page("event_logs", [], pull.advance("event_logs", pull.began.isoformat()))


def pull_dag_runs(pull: Pull) -> Iterator[Page]:
    """DAG runs that changed."""
    params = {"updated_at_gte": pull.since("dag_runs").isoformat(), "order_by": "id"}
    for items in pages(pull.session, DAG_RUNS, "dag_runs", params, by_cursor=True):
        yield Page("dag_runs", items)
    yield Page("dag_runs", [], pull.advance("dag_runs", pull.began.isoformat()))


def pull_task_instances(pull: Pull) -> Iterator[Page]:
    """Task instances that changed. `updated_at` is a filter only: no row shows it and ordering by it is refused."""
    params = {"updated_at_gte": pull.since("task_instances").isoformat(), "order_by": "id"}
    for items in pages(pull.session, TASK_INSTANCES, "task_instances", params, by_cursor=True):
        yield Page("task_instances", items)
    cursor = pull.advance("task_instances", pull.began.isoformat())
    yield Page("task_instances", [], cursor, complete_to=pull.began - SETTLE)


def fetch_wanted(session: Session, wanted: Wanted) -> Iterator[Page]:
    """Histories and logs, one call each, at most `most_details` a pull."""
    left = int(session.source.options.get("most_details", MOST_DETAILS))
    for key in wanted.histories[:left]:
        yield Page("tries", fetch_tries(session, key))
    for key in wanted.logs[: max(0, left - len(wanted.histories))]:
        yield Page("task_logs", [fetch_log(session, key)])


def fetch_tries(session: Session, key: TryKey) -> list[Item]:
    """All tries of a try's task instance; a mapped one is asked with its index (without, the list comes back empty)."""
    path = _path(key) + (f"/{key.map_index}" if key.map_index >= 0 else "") + "/tries"
    try:
        return _items(session.get(path).body, "task_instances", path)
    except SourceRefused as error:
        if error.status == 404:  # cleared or deleted meanwhile
            return []
        raise


def fetch_log(session: Session, key: TryKey) -> Item:
    """The log of one try; `found` is False where Airflow has none (never ran, or rotated away)."""
    params: Item = {"full_content": "true"}
    if key.map_index >= 0:
        params["map_index"] = key.map_index
    item: Item = {**key._asdict(), "found": True, "content": []}
    try:
        body = session.get(f"{_path(key)}/logs/{key.try_number}", params, largest=LARGEST_LOG).body
    except SourceRefused as error:
        if error.status == 404:
            return {**item, "found": False}
        if error.status == 413:
            return {**item, "content": [{"event": "The log is too long to be read here.", "level": "warning"}]}
        raise
    return {**item, "content": body.get("content") if isinstance(body, dict) else body}


def pages(session: Session, path: str, name: str, params: Item, *, by_cursor: bool = False) -> Iterator[list[Item]]:
    """All pages of a list, by what comes back and never by what was asked for.

    Keyset paging needs `cursor=` on page 1 and exists from 3.3 on for runs and task instances; an answer that has no
    next_cursor but more entries than came is paged by offset.
    """
    query = {**params, "limit": int(session.source.options.get("page_limit", PAGE_LIMIT))}
    seen_cursors: set[str] = set()
    count = 0
    if by_cursor:
        query["cursor"] = ""
    for _ in range(MOST_PAGES):
        body = session.get(path, query).body
        items = _items(body, name, path)
        count += len(items)
        if items:
            yield items
        following = body.get("next_cursor")
        if by_cursor and isinstance(following, str) and following:
            if following in seen_cursors:
                raise SourceUnavailable(f"{path} gives the same page again and again: its paging is broken.")
            seen_cursors.add(following)
            query["cursor"] = following
            continue
        total = body.get("total_entries")
        if not items or seen_cursors or not isinstance(total, int) or count >= total:
            return
        query.pop("cursor", None)
        query["offset"] = count
    raise SourceUnavailable(f"{path} does not come to an end after {MOST_PAGES} pages: shorten the first window.")


def _list_or_note(session: Session, kind: str, path: str, name: str) -> Iterator[Page]:
    """A list that a pull can do without: where the role may not read it, a note says so."""
    try:
        for items in pages(session, path, name, {}):
            yield Page(kind, items)
    except SourceRefused as error:
        if error.status == 401:
            raise
        yield _note(path, error)


def _note(path: str, error: SourceRefused) -> Page:
    return Page("refused", [{"endpoint": path, "status": error.status, "sentence": error.sentence}])


def _items(body: Any, name: str, path: str) -> list[Item]:
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise SourceUnavailable(f"{path} answered without {name!r}: is this the API of an Airflow 3?")
    return [item for item in found if isinstance(item, dict)]


def _object(body: Any, path: str) -> Item:
    if not isinstance(body, dict):
        raise SourceUnavailable(f"{path} did not answer an object: is this the API of an Airflow 3?")
    return body


def _path(key: TryKey) -> str:
    dag_id, run_id, task_id = (quote(part, safe="") for part in key[:3])
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
