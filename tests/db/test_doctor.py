"""The doctor: each thing that can be wrong is found, told in a sentence with what to do, and nothing is found twice."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from airf5 import keyring
from ingest import actions, doctor
from ingest.doctor import feeds, routes, system
from ingest.doctor.findings import FAIL, OK, WARN, Finding, counted, worst
from ingest.models import Batch, Connection, Device, Feed, Gap, Reject, SkewSample, Slot, SpoolFile
from ingest.sources import receiver_report
from tests import world

WORD = "correct horse"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.AIRF5_HOME, settings.AIRF5_SPOOL_DIR = tmp_path, tmp_path / "spool"
    (tmp_path / "spool").mkdir()
    return tmp_path


def told(look: Callable[..., Any], level: str = "") -> list[str]:
    """The sentences of this level, each with its subject; a level that is not ok says what to do."""
    found = list(look(timezone.now()))
    assert all(one.todo for one in found if one.level != OK), found
    assert all(one.sentence.endswith((".", "?", ":")) or ": " in one.sentence for one in found), found
    return [f"{one.subject}: {one.sentence}" for one in found if not level or one.level == level]


def a_feed(kind: str = "f5_request", name: str = "bigip-1/request", **changes: Any) -> Feed:
    feed = world.a_feed(name, kind, **changes)
    return Feed.objects.select_related("airflow", "device").get(pk=feed.pk)


# Feeds


def test_without_sources_that_is_the_failure() -> None:
    assert told(feeds.feeds_are_fresh, FAIL) == ["sources: There is none: airf5 reads nothing."]


def test_a_feed_that_reads_is_fine_and_one_that_does_not_says_why() -> None:
    now = timezone.now()
    SpoolFile.objects.create(feed=a_feed(complete_to=now, last_ok_at=now, state="ok"), path="/x", fingerprint="f")
    a_feed("airflow_api", "prod", state="refused", message="prod does not accept user 'airf5': check it.")
    a_feed("airflow_api", "slow", state="ok", complete_to=now - timedelta(hours=3), last_ok_at=now)
    a_feed("airflow_api", "off", enabled=False, state="refused")
    assert told(feeds.feeds_are_fresh, FAIL) == ["prod: prod does not accept user 'airf5': check it."]
    assert told(feeds.feeds_are_fresh, WARN) == ["slow: It is 3 h behind: nothing newer was received or read"]
    assert told(feeds.feeds_are_fresh, OK)[0].startswith("bigip-1/request: It is read")


def test_a_log_of_which_nothing_came_names_the_folder_and_who_does_send(home: Path) -> None:
    stranger = home / "spool" / "192.0.2.99"
    stranger.mkdir()
    (stranger / "request-20260101T000000.000000.log").write_text("x\n")
    a_feed(config={"glob": [f"{home}/spool/192.0.2.1/request*.log*"]})
    [one] = told(feeds.feeds_are_fresh, FAIL)
    assert f"{home}/spool/192.0.2.1" in one and "192.0.2.99: is one of them this device?" in one
    assert told(feeds.senders_are_known, WARN)[0].startswith("sender 192.0.2.99: It sends logs that no source reads")


def test_a_device_that_never_pushed_is_told_where_to(home: Path) -> None:
    feed = a_feed("f5_telemetry", "lb1/telemetry", config={"glob": [f"{home}/spool/push/lb1-0/telemetry*.log*"]})
    assert told(feeds.feeds_are_fresh, FAIL) == ["lb1/telemetry: No batch was ever pushed."]
    SpoolFile.objects.create(feed=feed, path="/x", fingerprint="f")
    Feed.objects.update(complete_to=timezone.now())
    assert told(feeds.feeds_are_fresh, OK)[0].startswith("lb1/telemetry: It is read, complete to")


def test_lines_that_are_not_understood_are_counted_with_the_reason() -> None:
    now = timezone.now()
    feed = a_feed(complete_to=now, last_ok_at=now, state="ok")
    SpoolFile.objects.create(feed=feed, path="/x", fingerprint="f")
    Batch.objects.create(feed=feed, at=now, read=100, rows=98, rejected=2)
    Reject.objects.create(feed=feed, at=now, reason="no form that is known", raw="x")
    assert told(feeds.feeds_are_fresh, WARN) == [
        "bigip-1/request: 2 of 100 lines of a day were not understood (2%). Most often: no form that is known"
    ]
    Batch.objects.create(feed=feed, at=now, read=900, rows=0, rejected=900)
    assert "902 of 1,000 lines of a day were not understood (90%)" in told(feeds.feeds_are_fresh, FAIL)[0]


def test_an_open_gap_and_a_wrong_clock_are_told() -> None:
    now = timezone.now()
    world.a_route()
    feed = a_feed(complete_to=now, last_ok_at=now, state="ok", device=Device.objects.get())
    SpoolFile.objects.create(feed=feed, path="/x", fingerprint="f")
    Gap.objects.create(feed=feed, start=now, reason="silent")
    assert "Known to be incomplete since" in told(feeds.feeds_are_fresh, WARN)[0]
    assert feed.device is not None
    SkewSample.objects.create(device=feed.device, at=now, offset_ms=1900, uncertainty_ms=100, method="clock")
    assert told(feeds.clocks_agree, OK) == [f"{feed.device.name}: Its clock is +1.9 s ± 0.1 s from ours."]
    later = now + timedelta(seconds=1)
    SkewSample.objects.create(device=feed.device, at=later, offset_ms=-61_000, uncertainty_ms=500, method="receipt")
    assert told(feeds.clocks_agree, WARN) == [f"{feed.device.name}: Its clock is -61.0 s ± 0.5 s from ours."]


# Routes


def test_routes_that_no_airflow_uses_that_are_blind_and_the_execution_api() -> None:
    now = timezone.now()
    used, named, other, blind, api = (world.a_route(name) for name in ("used", "named", "other", "blind", "api"))
    a_feed(device=Device.objects.get())
    airflow = world.an_airflow()
    airflow.version = "3.3.2"
    airflow.save()
    a_feed("airflow_api", "prod", airflow=airflow)
    assert told(routes.routes_are_seen, FAIL) == [
        "virtual servers: No request of any has arrived in the last 24 hours."
    ]
    for one in (used, named, other):
        world.a_minute(one, now.replace(second=0, microsecond=0), [1000])
    world.a_request(used, now - timedelta(minutes=2), try_key_id=77)
    named.hosts = ["orders.example.com:9000"]
    blind.sees_http = False
    named.save()
    blind.save()
    Connection.objects.create(airflow=airflow, conn_id="c", host="http://orders.example.com/v1", port=9000)
    warned = told(routes.routes_are_seen, WARN)
    assert any("/Common/vs_blind see no HTTP" in one for one in warned)
    assert any(one.startswith("Execution API: No call to it was seen on F5") for one in warned)
    [unused] = [one for one in warned if "no Airflow that is read is known to use them" in one]
    assert "/Common/vs_other had" in unused
    api.execution_api = True
    api.save()
    assert any("It crosses F5 at /Common/vs_api" in one for one in told(routes.routes_are_seen, OK))


def test_what_is_pushed_counts_as_requests_and_what_was_removed_is_no_lack() -> None:
    route = world.a_route("gone")
    a_feed("f5_telemetry", "lb1/telemetry", device=Device.objects.get())
    assert told(routes.routes_are_seen, FAIL) == [
        "virtual servers: No request of any has arrived in the last 24 hours."
    ]
    route.sees_http = False
    route.save()
    assert any("/Common/vs_gone see" in one for one in told(routes.routes_are_seen, WARN))
    route.removed_at = timezone.now()
    route.save()
    assert not any("/Common/vs_gone" in one for one in told(routes.routes_are_seen, WARN))


def test_what_a_devices_configuration_lacks_is_told_once_for_all_it_concerns() -> None:
    for name in ("a", "b", "c"):
        route = world.a_route(name)
        route.profiles = [["/Common/http", "http", "all"]]
        route.save()
    a_feed("f5_rest", "bigip-1/rest", device=Device.objects.get())
    [one] = [one for one in told(routes.routes_are_seen, WARN) if "request-log profile" in one]
    assert one.startswith("bigip-1: /Common/vs_a, /Common/vs_b, /Common/vs_c: It has no request-log profile")


# airf5 itself


def test_settings_that_are_dangerous_are_failures(settings: Any, home: Path) -> None:
    assert told(system.settings_fit, FAIL) == []
    settings.DEBUG, settings.AIRF5_BIND, settings.ALLOWED_HOSTS = True, "0.0.0.0", ["*"]
    (home / "secret_key").write_text("x")
    (home / "secret_key").chmod(0o644)
    assert [one.partition(":")[0] for one in told(system.settings_fit, FAIL)] == [
        "AIRF5_DEBUG",
        str(home / "secret_key"),
    ]
    assert [one.partition(":")[0] for one in told(system.settings_fit, WARN)] == ["AIRF5_HTTPS", "AIRF5_ALLOWED_HOSTS"]


def test_keys_that_are_missing_are_a_failure(home: Path, settings: Any) -> None:
    config = {"base_url": "https://airflow.example.com", "username": "airf5", "password": "sealed:"}
    actions.configure_source("airflow_api", "prod", None, None, config, "ann", {"password": WORD})
    assert told(system.keys_open) == ["keys: 1 sealed secrets, and the keys to open them."]
    keyring.add_key()
    assert "older key" in told(system.keys_open, WARN)[0]
    (home / "secret_keys").unlink()
    assert "which is not among the keys" in told(system.keys_open, FAIL)[0]
    settings.AIRF5_SECRET_KEYS = "nonsense"
    assert "Key 1 of AIRF5_SECRET_KEYS is none" in told(system.keys_open, FAIL)[0]


def test_a_database_that_may_lose_what_it_confirmed_is_a_failure() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert any("synchronous_commit" in one and "is off" in one for one in told(system.database_keeps, FAIL))


def test_the_broker_and_the_workers_that_are_away_are_failures(settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://:s3cret@127.0.0.1:1/0"
    found = told(system.broker_answers, FAIL)
    assert len(found) == 1 and "s3cret" not in found[0]
    assert [one.partition(":")[0] for one in told(system.workers_work, FAIL)] == ["worker", "beat"]
    Slot.objects.create(job="wake", start=timezone.now())
    assert told(system.workers_work, FAIL) == []


def _full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def test_the_spool_folder_and_the_receiver(home: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.AIRF5_SYSLOG_BIND = "0.0.0.0"
    monkeypatch.setattr(system, "_takes_connections", lambda: False)
    assert told(system.receiver_listens, FAIL) == [
        "receiver: None has ever reported beside the spool: what devices send is lost."
    ]
    receiver_report.Report(home / "spool", receiver_report.Status()).write()
    assert told(system.receiver_listens, OK) == ["receiver: It reported 0 s ago."]
    assert len(told(system.spool_takes, OK)) + len(told(system.spool_takes, WARN)) == 1
    monkeypatch.setattr(system, "SCARCE_DISK", 1 << 60)
    assert "of its disk are free" in told(system.spool_takes, FAIL)[0]
    monkeypatch.setattr(system.os, "fsync", _full)
    assert [one.level for one in system.spool_takes(timezone.now())] == [FAIL]
    settings.AIRF5_SPOOL_DIR = home / "none"
    assert "is not there yet" in told(system.spool_takes, WARN)[0]


# As a whole


def test_the_command_tells_all_sections_and_ends_with_1(settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    out = io.StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("doctor", stdout=out)
    words = out.getvalue()
    for section, _ in doctor.SECTIONS:
        assert section in words or section in ("Rights", "Routes")
    assert (
        "FAIL sources: There is none" in words and "→ Add an Airflow" in words and words.rstrip().endswith("failures.")
    )
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=out)
    body = json.loads(out.getvalue())
    assert body["worst"] == FAIL and {"level", "subject", "sentence", "todo"} <= set(body["findings"][0])


def test_a_look_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(now: Any) -> Any:
        raise OperationalError("connection is lost\nDETAIL: no")
        yield

    monkeypatch.setattr(connection, "close", lambda: None)
    monkeypatch.setattr(doctor, "SECTIONS", (("Routes", (fails,)),))
    [one] = doctor.examine(timezone.now())
    assert (one.level, one.section) == (FAIL, "Routes") and one.sentence.endswith("connection is lost")


def test_levels_are_summed() -> None:
    found = [Finding(OK, "a", "b"), Finding(WARN, "a", "b", "c"), Finding(WARN, "a", "b", "c")]
    assert worst(found) == WARN and worst([]) == OK and counted(found) == "1 ok, 2 warnings"
    assert counted([Finding(FAIL, "a", "b", "c")]) == "0 ok, 1 failure"
