"""Samples against what the projects they come from expect of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.parsers import f5
from ingest.records import Action, HealthEvent, Other, Reject, RequestLine

NEAR = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SAMPLES = Path(__file__).parent.parent / "samples" / "f5"
CASES = json.loads((SAMPLES / "telemetry-streaming" / "event_line_to_category_cases.json").read_text("utf-8"))
# F5 takes any key="value" for an event of LTM, and any other text for an event; we take neither for a line of F5's.
CATEGORIES: dict[str, tuple[type, ...]] = {
    "syslog": (Action, HealthEvent, Other),
    "LTM": (RequestLine, Reject),
    "event": (Reject,),
} | dict.fromkeys(("APM", "AFM", "ASM", "AVR", "CGNAT"), (Other, HealthEvent))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_line_is_of_the_category_that_telemetry_streaming_gives_it(case: dict[str, Any]) -> None:
    category = case.get("category") or case["expectedData"]["telemetryEventCategory"]
    found = f5.parse_auto(case["data"], NEAR)
    assert isinstance(found, CATEGORIES[category]), found
    if isinstance(found, Other | Reject):
        assert found.raw == case["data"]


SC4S = SAMPLES / "splunk-sc4s"
SOURCETYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "nix:syslog": ((Other, HealthEvent), ""),
    "f5:bigip:syslog": ((Action, HealthEvent, Other), ""),
    "f5:bigip:ltm:ssl:error": ((HealthEvent,), "tls_failure"),
    "f5:bigip:ltm:tcl:error": ((HealthEvent,), "rule_error"),
    "f5:bigip:ltm:log:error": ((HealthEvent,), "server_sent_too_much"),
    "f5:bigip:ltm:traffic": ((HealthEvent,), "rst_limited"),
    "f5:bigip:irule": ((RequestLine,), "response"),
    "f5:bigip:ltm:http:irule": ((RequestLine,), "response"),
    "f5:bigip:ltm:failed:irule": ((RequestLine,), "request"),
    "f5:bigip:ltm:access_json": ((RequestLine,), "request"),
    "f5:bigip:gtm:dns:request:irule": ((Other,), ""),
    "f5:bigip:gtm:dns:response:irule": ((Other,), ""),
    "f5:bigip:asm:syslog": ((Other,), ""),
    "f5:bigip:apm:syslog": ((Other,), ""),
    "-": ((Action, HealthEvent, Other), ""),
}
LINES = list(
    zip(
        (SC4S / "bigip_syslog_and_irule.log").read_text("utf-8").splitlines(),
        (SC4S / "expected_sourcetype.txt").read_text("utf-8").splitlines(),
        strict=True,
    )
)


@pytest.mark.parametrize(("line", "sourcetype"), LINES)
def test_a_line_is_of_the_kind_that_splunk_connect_sorts_it_into(line: str, sourcetype: str) -> None:
    kinds, says = SOURCETYPES[sourcetype]
    found = f5.parse_auto(line, NEAR)
    assert isinstance(found, kinds), found
    assert not says or says in (getattr(found, "state", ""), getattr(found, "kind", ""))
    host = found.detail["hostname"] if isinstance(found, Action) else found.hostname  # type: ignore[union-attr]
    assert host == "sc4s-f5-host"


def test_every_real_line_that_is_a_comment_there_is_understood() -> None:
    lines = (SC4S / "original_comment_lines.log").read_text("utf-8").splitlines()
    found = [f5.parse_auto(line, NEAR) for line in lines]
    assert len(found) == 19 and not any(isinstance(record, Reject) for record in found)
