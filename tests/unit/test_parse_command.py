import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management.base import CommandError

from ingest.management.commands.parse import Command

SAMPLES = Path(__file__).parent.parent / "samples" / "f5"


def run(monkeypatch: pytest.MonkeyPatch, name: str, data: bytes = b"", **options: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    monkeypatch.setattr(sys, "stdout", out)
    Command().handle(**{"format": name, "file": "-", "received": None, "template": None, **options})
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_object_for_each_line_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (
        (SAMPLES / "lab1" / "ltm.log").read_bytes()
        + b"\xff\x00rubbish\n\n"
        + (SAMPLES / "lab1" / "audit.log").read_bytes()
    )
    found = run(monkeypatch, "f5-auto", data)
    assert [row["record"] for row in found] == ["health_event"] * 16 + ["reject"] * 2 + ["user_action"] * 4
    assert found[0]["at"] == "2026-11-22T09:25:35Z"


def test_the_time_of_receipt_gives_the_year(monkeypatch: pytest.MonkeyPatch) -> None:
    line = b"Nov 13 04:06:16 b notice mcpd[1]: 01070639:5: Pool /C/p member /C/m:80 session status enabled.\n"
    (found,) = run(monkeypatch, "f5-ltm", line, received="2023-11-14T00:00:00+01:00")
    assert found["at"] == "2023-11-13T04:06:16Z"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("f5-nope", {}, "not a format"),
        ("f5-ltm", {"received": "2023-11-14T00:00:00"}, "with a zone"),
        ("f5-ltm", {"file": "/no/such/file"}, "cannot be read"),
        ("f5-ltm", {"template": "/no/such/file"}, "--template goes with"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(CommandError, match=said) as caught:
        run(monkeypatch, name, **options)
    assert caught.value.returncode == 2


def test_json_comes_as_lines_as_an_array_or_as_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    one = (SAMPLES / "telemetry-streaming" / "ltm_request_log.json").read_text()
    line = json.dumps(json.loads(one))
    for data, count in ((one, 1), (f"{line}\n{line}\n", 2), (f"[{one},\n{one}]", 2)):
        found = run(monkeypatch, "f5-telemetry", data.encode())
        assert [row["record"] for row in found] == ["request"] * count
        assert found[0]["at"] == "2019-01-01T00:00:00Z"


def test_a_document_of_many_records_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = run(
        monkeypatch, "f5-telemetry", (SAMPLES / "telemetry-streaming" / "system_poller_output.json").read_bytes()
    )
    assert found["record"] == "list" and {row["record"] for row in found["records"]} == {
        "member_state",
        "virtual_server",
    }


@pytest.mark.parametrize("recorded", [False, True])
def test_a_page_of_airflow_is_one_object_with_its_items(monkeypatch: pytest.MonkeyPatch, recorded: bool) -> None:
    items = [{"dag_id": "d", "dag_run_id": "r", "task_id": name, "try_number": 1, "state": "failed"} for name in "ab"]
    page: Any = {"task_instances": [*items, {"dag_id": "d"}], "total_entries": 3}
    page = {"request": {"method": "GET"}, "status": 200, "body": page} if recorded else page
    for text in (json.dumps(page), json.dumps(page, indent=1)):
        (found,) = run(monkeypatch, "airflow-task-instances", text.encode())
        assert found["record"] == "list"
        assert [(row["record"], row.get("task_id")) for row in found["records"]] == [
            ("try", "a"), ("try", "b"), ("reject", None),
        ]  # fmt: skip


def test_a_page_of_the_event_log_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = run(monkeypatch, "airflow-event-logs", b'{"event_logs": [], "total_entries": 0}')
    assert found == {"record": "list", "records": []}


def test_a_template_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.write_text("$CLIENT_IP $HTTP_METHOD $HTTP_URI\n$CLIENT_IP $HTTP_METHOD $HTTP_URI = $HTTP_STATCODE\n")
    found = run(
        monkeypatch, "f5-request-log", b"10.0.0.1 GET /x\n", received="2026-01-01T00:00:00Z", template=str(template)
    )
    assert (found[0]["record"], found[0]["uri"], found[0]["at"]) == ("request", "/x", "2026-01-01T00:00:00Z")
