"""What a device tells over iControl REST, as it is stored."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from dashboards.queries import devices as queries
from ingest import actions, leases, snapshot_feed
from ingest.correlate import world as correlate_world
from ingest.models import (
    Airflow,
    Batch,
    Certificate,
    CounterSample,
    Device,
    DeviceUser,
    Endpoint,
    F5Pool,
    Feed,
    Member,
    Monitor,
    RequestLogProfile,
    RoutingPolicy,
    SkewSample,
)
from ingest.store import devices
from tests.icontrol import NOW, PASSWORD, SAMPLES, sample
from tests.icontrol_feed import World

CERTS = "/mgmt/tm/sys/file/ssl-cert"
STATS = "/mgmt/tm/ltm/pool/members/stats"


def test_one_pull_stores_all_that_the_device_tells(world: World) -> None:
    assert world.pull() > 40
    device = Device.objects.get()
    assert (device.version, device.failover, device.told_at) == ("16.1.3", "active", NOW)
    assert device.about["sync"]["status"] == "Changes Pending"
    assert device.about["groups"][0]["units"] == ["/Common/lb1.example.net", "/Common/lb2.example.net"]
    assert device.about["syslog"]["servers"] == [["/Common/airf5", "192.0.2.50", 5514]]
    assert F5Pool.objects.get(name="/Common/pool_orders").monitor == "/Common/mon_orders"
    assert set(Member.objects.filter(f5_pool__name="/Common/pool_orders").values_list("name", "state")) == {
        ("/Common/orders1:9000", "up"), ("/Common/orders2:9000", "up"), ("/Common/orders3:9000", "up"),
    }  # fmt: skip
    orders = Endpoint.objects.get(name="/Common/vs_orders")
    assert (orders.policies, orders.rules) == (["/Common/orders_paths"], ["/Common/orders_by_tenant"])
    assert ["/Common/airf5_request_log", "request-log", "all"] in orders.profiles
    assert Endpoint.objects.get(name="/Common/vs_ledger").enabled is False
    assert [one["target"] for one in RoutingPolicy.objects.get(kind="policy").choices][1:] == [
        "/Common/pool_reports", "/Common/pool_orders",
    ]  # fmt: skip
    assert RequestLogProfile.objects.get(name="/Common/airf5_request_log").protocols == ["mds-tcp"]
    assert (Certificate.objects.count(), DeviceUser.objects.count(), Monitor.objects.count()) == (3, 3, 6)
    assert world.feed.state == Feed.State.OK and world.feed.refusals == []
    batch = Batch.objects.get()
    assert batch.read == batch.rows + batch.repeated and batch.rows > 20


def test_the_same_answers_again_change_nothing(world: World) -> None:
    world.pull()
    before = [list(model.objects.order_by("pk").values()) for model in (Certificate, DeviceUser, Monitor, Endpoint)]
    world.pull(3600)
    after = [list(model.objects.order_by("pk").values()) for model in (Certificate, DeviceUser, Monitor, Endpoint)]
    assert before == after and Batch.objects.count() == 1


def test_what_the_device_no_longer_tells_is_gone_and_what_differs_is_changed(world: World) -> None:
    world.pull()
    told = sample("certificate")
    told["items"] = told["items"][:2]
    told["items"][1]["expirationDate"] += 86_400
    world.device.answers[CERTS] = told
    kept = Certificate.objects.get(name="/Common/orders.crt").pk
    world.pull(3600)
    assert set(Certificate.objects.values_list("name", flat=True)) == {"/Common/default.crt", "/Common/orders.crt"}
    assert Certificate.objects.get(pk=kept).expires_at.day == 4


def test_a_member_that_goes_down_is_seen_within_half_a_minute(world: World) -> None:
    world.pull()
    down = json.dumps(sample("member_stats")).replace('"monitorStatus": {"description": "up"}', "DOWN", 3)
    world.device.answers[STATS] = json.loads(down.replace("DOWN", '"monitorStatus": {"description": "down"}'))
    world.asked()
    world.pull(30)
    assert Member.objects.filter(state="down").count() == 3
    assert STATS in world.asked()


def test_a_member_that_the_request_log_knows_by_its_address_gets_its_name(world: World) -> None:
    pool = F5Pool.objects.create(group=Device.objects.get().group, name="/Common/pool_orders")
    known = Member.objects.create(f5_pool=pool, name="127.0.10.31:9000", address="127.0.10.31", port=9000)
    world.pull()
    known.refresh_from_db()
    assert (known.name, known.state) == ("/Common/orders1:9000", "up")
    assert Member.objects.filter(f5_pool=pool).count() == 3


def test_a_version_that_tells_no_types_of_profiles_is_understood_when_their_lists_are_known(world: World) -> None:
    told = json.loads(json.dumps(sample("virtual")).replace('"nameReference"', '"notTold"'))
    world.device.answers["/mgmt/tm/ltm/virtual"] = json.loads(json.dumps(told).replace("/Common/http", "/Common/web"))
    world.device.answers["/mgmt/tm/ltm/profile/http"] = {"items": [{"fullPath": "/Common/web"}]}
    world.pull()
    assert not Endpoint.objects.get(name="/Common/vs_orders").sees_http  # /Common/web alone says nothing
    world.pull(300)
    orders = Endpoint.objects.get(name="/Common/vs_orders")
    assert orders.sees_http and orders.logs_requests
    assert {kind for _, kind, _ in orders.profiles} >= {"http", "request-log"}
    assert "no_http" not in {one.code for one in devices.findings_of(Device.objects.get())["/Common/vs_orders"]}


def test_older_news_of_a_member_is_passed_over(world: World) -> None:
    world.pull()
    Member.objects.filter(name="/Common/orders1:9000").update(state="down", since=NOW + timedelta(hours=1))
    told = json.loads(
        json.dumps(sample("member_stats")).replace('"curSessions": {"value": 0}', '"curSessions": {"value": 1}')
    )
    world.device.answers[STATS] = told
    world.pull(30)
    assert Member.objects.get(name="/Common/orders1:9000").state == "down"


def test_the_clock_of_the_device_is_measured(world: World) -> None:
    world.pull()
    found = SkewSample.objects.get()
    assert found.method == "clock" and found.uncertainty_ms >= 500
    assert abs(found.offset_ms - 3500) <= 20  # three seconds ahead, and half of the second that it does not show
    assert world.feed.cursor["ahead_s"] == pytest.approx(3.5, abs=0.02)


def test_a_clock_that_shows_local_time_is_not_called_wrong(world: World) -> None:
    Device.objects.update(utc_offset_s=3600)
    world.device.ahead = timedelta(hours=1)
    world.pull()
    assert abs(SkewSample.objects.get().offset_ms) < 1000


def test_counters_are_kept_for_the_recount(world: World) -> None:
    world.pull()
    found = CounterSample.objects.get()
    assert found.virtuals["/Common/vs_airflow_api"] == [2224, 1112]
    assert found.pools["/Common/pool_airflow_api"] == [2176, 2176]
    world.pull(60)
    assert CounterSample.objects.count() == 2


def test_names_of_a_hostile_device_are_stored_as_text(world: World) -> None:
    bad = "/Common/\x00\ud800<b>" + "x" * 400
    answers = world.device.answers
    for path in list(answers):
        if path != "/mgmt/tm/sys/clock" and "stats" not in path:
            text = json.dumps(answers[path])
            for name in ("/Common/", "CN=", "$TIME_UNIX", "GET /"):
                text = text.replace(name, json.dumps(bad)[1:-1] + name)
            answers[path] = json.loads(text)
    words = json.loads('"no \\u0000 \\ud800 <b>"')
    world.device.refuse["/mgmt/tm/ltm/monitor/tcp"] = json.dumps({"code": 403, "message": words}).encode()
    assert world.pull() > 20
    assert "<b>" in world.feed.refusals[0]["sentence"]
    assert Endpoint.objects.filter(name__contains="<b>").exists()
    assert Certificate.objects.filter(subject__contains="<b>").exists()


def test_no_secret_is_stored(world: World) -> None:
    world.pull()
    rows = [
        str(list(model.objects.values()))
        for model in (Device, Feed, RoutingPolicy, RequestLogProfile, DeviceUser, Monitor, Endpoint, Batch)
    ]
    for secret in (PASSWORD, "hunter2", "$6$", "$M$", "c2VjcmV0", "TOKEN0"):
        assert not any(secret in row for row in rows), secret


def test_findings_of_a_stored_device(world: World) -> None:
    world.pull()
    found = devices.findings_of(Device.objects.get())
    assert {name: [one.code for one in said] for name, said in found.items()} == {
        "/Common/vs_airflow_api": ["no_member"],
        "/Common/vs_ledger": ["fastl4", "disabled"],
        "/Common/vs_orders": ["no_member"],
        "/Common/vs_reports": ["no_request_log"],
    }


def test_a_judgement_knows_who_chooses_the_pools_of_a_virtual_server(world: World) -> None:
    world.pull()
    choosers = correlate_world.of(Airflow.objects.create(name="airflow")).choosers
    orders, reports = (Endpoint.objects.get(name=f"/Common/vs_{name}") for name in ("orders", "reports"))
    assert [(one.by, one.kind, one.rule, one.f5_pool) for one in choosers[orders.pk]] == [
        ("/Common/orders_paths", "policy", "reports", "/Common/pool_reports"),
        ("/Common/orders_paths", "policy", "default", "/Common/pool_orders"),
        ("/Common/orders_by_tenant", "irule", "HTTP_REQUEST", "/Common/pool_reports"),
        ("/Common/orders_by_tenant", "irule", "HTTP_REQUEST", ""),
        ("/Common/orders_by_tenant", "irule", "HTTP_REQUEST", "/Common/pool_orders"),
        ("/Common/orders_by_tenant", "irule", "LB_FAILED", "/Common/pool_reports"),
    ]
    assert choosers[reports.pk] == ()


def test_of_a_pair_the_unit_that_told_last_says_who_chooses(world: World) -> None:
    world.pull()
    (row,) = RoutingPolicy.objects.filter(kind="policy").values("kind", "name", "strategy")
    group, airflow = Device.objects.get().group, Airflow.objects.create(name="airflow")
    peer = Device.objects.create(group=group, name="bigip-2")  # from a folder: nobody knows when it was told
    told = [{"kind": "pool", "target": "/Common/old", "rule": "r", "when": ""}]
    RoutingPolicy.objects.create(device=peer, choices=told, **row)

    def chosen() -> set[str]:
        found = correlate_world.of(airflow).choosers[Endpoint.objects.get(name="/Common/vs_orders").pk]
        pages = queries.routing([Endpoint.objects.get(name="/Common/vs_orders").pk])
        targets = {one.target for one in next(iter(pages.values())).choices if one.kind == "policy"}
        assert targets >= {one.f5_pool for one in found if one.kind == "policy"}
        return {one.f5_pool for one in found if one.kind == "policy"}

    assert "/Common/old" not in chosen()
    Device.objects.filter(pk=peer.pk).update(told_at=NOW + timedelta(minutes=1))
    assert chosen() == {"/Common/old"}


def test_a_folder_of_answers_tells_the_same_as_the_device(tmp_path: Path) -> None:
    for file in SAMPLES.glob("*.json"):
        shutil.copy(file, tmp_path / file.name.replace("member_stats", "pool_members_stats"))
    feed = actions.configure_source(
        "f5_icontrol", "bigip-1/icontrol", None, "bigip-1", {"folder": str(tmp_path)}, "test"
    )
    epoch = leases.take(feed.pk, "test")
    assert epoch is not None
    assert snapshot_feed.read(Feed.objects.select_related("device").get(), epoch) == 34
    assert (Certificate.objects.count(), DeviceUser.objects.count(), Monitor.objects.count()) == (3, 3, 6)
    assert RoutingPolicy.objects.count() == 3 and Device.objects.get().version == "16.1.3"
