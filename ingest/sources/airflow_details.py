"""What is asked of single tries, one call each: their history and their log."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.parsers.airflow_v1 import try_of_log
from ingest.sources.airflow_pull import Item, Page, TryKey, Wanted, items_of, note, path_of
from ingest.sources.airflow_session import Session
from ingest.sources.http import SourceError, SourceRefused, SourceUnavailable

MOST_DETAILS = 200
MOST_EARLIER = 10
MOST_BROKEN = 3  # DAGs whose logs end in an error 500: then it is the Airflow
LARGEST_LOG = 8 * 1024 * 1024


def fetch_wanted(session: Session, wanted: Wanted) -> Iterator[Page]:
    """Histories and logs, at most `most_details` a pull. What is refused is a note, and the other ones are asked for.

    A refused history will not be asked for again; a refused log stays wanted, but no other one of its DAG in this pull.
    Each log that failed is told (`log_failed`; `whole_dag` where it is our role that may not), also where the pull ends.
    """
    left = int(session.source.options.get("most_details", MOST_DETAILS))
    for key in wanted.histories[:left]:
        try:
            items = fetch_tries(session, key)
        except SourceRefused as error:
            if error.status == 401:
                raise
            items = []
            yield note(f"{path_of(key)}/tries", error)
        yield Page("tries", items)
    failed: dict[str, SourceError] = {}
    for key in wanted.logs[: max(0, left - len(wanted.histories))]:
        if key.dag_id in failed:
            continue
        try:
            item = fetch_log(session, key)
        except SourceError as error:
            failed[key.dag_id] = error
            broken = sum(isinstance(one, SourceUnavailable) for one in failed.values())
            if isinstance(error, SourceUnavailable) or error.status != 401:
                yield Page("log_failed", [{**key._asdict(), "whole_dag": isinstance(error, SourceRefused)}])
            if not _is_of_one_log(error) or broken >= MOST_BROKEN:
                raise
            yield note(f"{path_of(key)}/logs", error)
            continue
        yield Page("task_logs", [item])


def _is_of_one_log(error: SourceError) -> bool:
    """Whether it may be this log alone: our role may not read that DAG, or Airflow's own code fails on it."""
    return error.status == 500 or (isinstance(error, SourceRefused) and error.status != 401)


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
