"""Whatever an Airflow answers becomes a record that can be stored, or a reject."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers import airflow
from ingest.parsers.airflow_log import parse_task_log

KEY = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

FIELDS = st.sampled_from(
    [
        *("id", "dag_id", "dag_run_id", "task_id", "map_index", "try_number", "state", "queued_when", "start_date"),
        *("end_date", "hostname", "rendered_fields", "when", "event", "extra", "name", "connection_id", "host", "tags"),
    ]
)
PARSERS = [value for name, value in vars(airflow).items() if name.startswith("parse_")]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(FIELDS, JSON) | JSON)
def test_no_item_raises_and_every_record_can_be_stored(item):
    for parse in PARSERS:
        json.dumps(asdict(parse(item)), default=str).encode()


ENTRY = st.dictionaries(st.sampled_from(["event", "level", "logger", "error_detail", "ti_id", "timestamp"]), JSON)


@settings(max_examples=40, deadline=None)
@given(st.lists(ENTRY | JSON) | st.text() | JSON)
def test_no_log_raises(content):
    json.dumps(asdict(parse_task_log({"content": content}, **KEY)), default=str).encode()
