"""Whole answers of Airflow's REST API, as `manage.py parse` may be given them: a page of items, or one item."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Parse = Callable[[Any], Any]


def each(text: str, key: str, parse: Parse) -> Any:
    """What `parse` makes of one item's JSON, or a list of that for each item of a page `{key: [item, …], …}`.

    A recorded answer, `{"request": …, "status": …, "body": …}`, stands for its body.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return parse(text)
    body = found.get("body") if isinstance(found, dict) and "request" in found and "body" in found else found
    if isinstance(body, dict) and isinstance(body.get(key), list):
        return [parse(item) for item in body[key]]
    return parse(text if body is found else body)
