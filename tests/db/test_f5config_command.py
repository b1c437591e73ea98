"""`manage.py f5config`: what is printed for a device that was read."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from ingest.f5config import PARTS
from ingest.models import Device, Endpoint
from tests.icontrol_feed import World


def config_of(*arguments: str) -> tuple[str, str]:
    """What `manage.py f5config` prints: (pasted, notes)."""
    out, notes = io.StringIO(), io.StringIO()
    call_command("f5config", "--device", "bigip-1", *arguments, stdout=out, stderr=notes)
    return out.getvalue(), notes.getvalue()


def test_f5config_attaches_to_what_lacks_a_request_log(world: World) -> None:
    world.pull()
    told, _ = config_of("--part", "request-log", "--receiver", "192.0.2.50:5514")
    assert "modify ltm virtual /Common/vs_reports profiles add { /Common/airf5_request_log }" in told
    assert "vs_orders" not in told and "vs_ledger" not in told  # it logs already; it cannot
    assert "# --- to undo ---" in told and "run cm config-sync to-group pair" in told
    told, _ = config_of("--part", "headers")
    assert {one for one in ("airflow_api", "orders", "reports", "ledger") if f"vs_{one}" in told} == {
        "airflow_api", "orders", "reports",
    }  # fmt: skip
    told, _ = config_of("--part", "request-log", "--receiver", "192.0.2.50:5514", "--virtual", "/Common/mine")
    assert "/Common/mine" in told and "vs_reports" not in told


def test_a_name_that_a_device_told_puts_no_command_into_what_is_pasted(world: World) -> None:
    world.pull()
    device = Device.objects.get()
    for name in ("/Common/x\nrun util bash", "/Common/x; reboot"):
        Device.objects.update(about={**device.about, "groups": [{"name": name, "kind": "sync-failover", "units": []}]})
        Endpoint.objects.filter(name__startswith="/Common/vs_reports").update(name="/Common/vs_reports\nreboot")
        told, _ = config_of("--part", "request-log", "--receiver", "192.0.2.50:5514")
        assert "reboot" not in told and "util bash" not in told and "config-sync" not in told


def test_f5config_prints_everything_it_can(world: World) -> None:
    told, _ = config_of()
    assert "# left out. Say where the device reaches airf5's receiver" in told and "create auth user airf5" in told
    told, _ = config_of("--receiver", "192.0.2.50:5514", "--web", "https://airf5.example.com")
    for part in PARTS:
        assert f"# {part}: " in told
    assert "left out" not in told and told.count("# --- to undo ---") == len(PARTS)


def test_f5config_prints_a_declaration_alone(world: World) -> None:
    told, notes = config_of("--format", "as3", "--receiver", "192.0.2.50:5514")
    shared = json.loads(told)["declaration"]["Common"]["Shared"]
    assert {"airf5_hsl", "airf5_request_log", "airf5_lb_failed", "airf5_headers"} <= set(shared)
    assert "replaces what AS3 keeps" in notes and "costs" in notes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--part", "ltm"), "--receiver"), (("--part", "user", "--format", "as3"), "no application service"),
        (("--part", "ltm", "--receiver", "logs:514"), "is a name"), (("--part", "telemetry"), "--web"),
        (("--virtual", "vs orders"), "no full path"),
    ],
)  # fmt: skip
def test_f5config_says_what_is_missing(world: World, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        config_of(*arguments)


def test_f5config_of_a_device_that_nobody_knows(world: World) -> None:
    with pytest.raises(CommandError, match="known are: bigip-1"):
        call_command("f5config", "--device", "other")
