"""What is asked of single tries, one call each: their history and their log."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.parsers.airflow_v1 import try_of_log
from ingest.sources.airflow_pull import Item, Page, TryKey, Wanted, items_of, path_of
from ingest.sources.airflow_session import Session
from ingest.sources.http import SourceRefused

MOST_DETAILS = 200
MOST_EARLIER = 10
LARGEST_LOG = 8 * 1024 * 1024


def fetch_wanted(session: Session, wanted: Wanted) -> Iterator[Page]:
    """Histories and logs, at most `most_details` a pull."""
    left = int(session.source.options.get("most_details", MOST_DETAILS))
    for key in wanted.histories[:left]:
        yield Page("tries", fetch_tries(session, key))
    for key in wanted.logs[: max(0, left - len(wanted.histories))]:
        yield Page("task_logs", [fetch_log(session, key)])


def fetch_tries(session: Session, key: TryKey) -> list[Item]:
    """All tries of a try's task instance; a mapped one is asked with its index (without, the list comes back empty).

    Up to 2.9 Airflow keeps the latest try only: the earlier ones are told by their logs, as far as those are left.
    """
    if session.api == "v1" and not session.at_least(2, 10):
        earlier = range(max(1, key.try_number - MOST_EARLIER), key.try_number)
        found = (try_of_log(fetch_log(session, key._replace(try_number=number))) for number in earlier)
        return [one for one in found if one is not None]
    path = path_of(key) + (f"/{key.map_index}" if key.map_index >= 0 else "") + "/tries"
    try:
        return items_of(session.get(path).body, "task_instances", path)
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
        body = session.get(f"{path_of(key)}/logs/{key.try_number}", params, largest=LARGEST_LOG, plain=True).body
    except SourceRefused as error:
        if error.status == 404:
            return {**item, "found": False}
        if error.status == 413:
            return {**item, "content": [{"event": "The log is too long to be read here.", "level": "warning"}]}
        raise
    return {**item, "content": body.get("content") if isinstance(body, dict) else body}
