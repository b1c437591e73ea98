"""A device read over iControl REST: what is stored, what it costs, and what happens on its bad days."""

from __future__ import annotations

import io
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command

from dashboards.queries import devices as queries
from ingest import actions, icontrol_feed, leases, pipeline, snapshot_feed
from ingest.correlate import world as correlate_world
from ingest.f5config import PARTS
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
from ingest.sources.f5_rest import READINGS
from ingest.sources.f5_session import LOGIN, Session, Target
from ingest.sources.http import SourceRefused, SourceUnavailable, ask
from ingest.store import devices
from tests.icontrol import NOW, PASSWORD, SAMPLES, RecordedDevice, sample

CERTS, USERS = "/mgmt/tm/sys/file/ssl-cert", "/mgmt/tm/auth/user"
STATS = "/mgmt/tm/ltm/pool/members/stats"


class World:
    """A device, its feed, and pulls of it while time goes on."""

    def __init__(self) -> None:
        self.device = RecordedDevice()
        config = {
            "base_url": "https://bigip-1.example.com", "username": "airf5", "password": "env:BIGIP_PASSWORD",
            "calls_per_minute": 60, "group": "pair", "hostname": "lb1.example.net",
        }  # fmt: skip
        self.feed = actions.configure_source("f5_rest", "bigip-1/rest", None, "bigip-1", config, "test")
        self.opened: list[Session] = []

    def connect(self, target: Target) -> Session:
        ticks = iter(range(10**9))
        session = Session(
            target, transport=self.device.transport(), now=self.device.clock, clock=lambda: next(ticks) * 0.001
        )
        self.opened.append(session)
        return session

    def pull(self, after_s: float = 0.0) -> int:
        self.device.clock.move(after_s)
        self.feed = Feed.objects.select_related("device").get(pk=self.feed.pk)
        epoch = leases.take(self.feed.pk, "test")
        assert epoch is not None
        try:
            return icontrol_feed.read(self.feed, epoch, connect=self.connect, now=self.device.clock())
        finally:
            leases.release(self.feed.pk, epoch)
            self.feed = Feed.objects.select_related("device").get(pk=self.feed.pk)

    def asked(self) -> list[str]:
        """The calls since this was asked last."""
        found, self.device.asked = self.device.asked, []
        return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("BIGIP_PASSWORD", PASSWORD)
    yield World()
    icontrol_feed.close_all()


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


def test_one_token_over_many_pulls(world: World) -> None:
    for _ in range(5):
        world.pull(30)
    assert (world.device.given, len(world.opened), len(world.device.tokens)) == (1, 1, 1)
    assert (
        world.feed.footprint["logins"] == 1
        and world.feed.footprint["token_since"] == (NOW + timedelta(seconds=30)).isoformat()
    )
    icontrol_feed.close_all()
    assert world.device.tokens == set()


def test_a_changed_password_opens_a_new_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.pull()
    monkeypatch.setenv("BIGIP_PASSWORD", "another")
    with pytest.raises(SourceRefused, match="does not accept user"):
        world.pull(30)
    assert len(world.opened) == 2 and world.device.tokens == set()


def test_what_is_not_due_is_not_asked_again(world: World) -> None:
    world.pull()
    world.asked()
    world.pull(30)
    assert set(world.asked()) == {STATS, "/mgmt/tm/cm/failover-status"}
    world.pull(30)
    assert {"/mgmt/tm/sys/clock", "/mgmt/tm/ltm/virtual/stats"} <= set(world.asked())


def test_the_budget_of_calls_is_kept_and_everything_is_asked_in_turn(world: World) -> None:
    Feed.objects.update(config={**world.feed.config, "calls_per_minute": 10})
    paths: set[str] = set()
    for _ in range(20):
        world.pull(30)
        paths |= set(world.asked())
        assert world.feed.footprint["per_minute"] <= 11  # and a login
    assert {one.path for one in READINGS} <= paths
    assert world.feed.footprint["budget"] == 10


def test_a_device_that_slows_down_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.pull()
    waits = []
    for _ in range(6):
        usual = dict.fromkeys(world.feed.footprint["usual"], 0.6)
        Feed.objects.update(footprint={**world.feed.footprint, "usual": usual})
        with monkeypatch.context() as patch:
            patch.setattr("ingest.sources.f5_session.ask", lambda *a, **more: replace(ask(*a, **more), elapsed_s=2.0))
            world.pull(600)
        waits.append((world.feed.next_at - world.device.clock()).total_seconds())
    assert waits == [60, 120, 240, 480, 480, 480]
    assert world.feed.footprint["slow"] is True
    world.pull(600)
    assert world.feed.footprint["back_off"] == 8 and world.feed.footprint["slow"] is False


def test_not_allowed_is_told_per_endpoint_until_it_is_allowed(world: World) -> None:
    world.device.instead[CERTS] = (403, {"code": 403, "message": "no"})
    world.device.answers[USERS] = {"kind": "tm:auth:user:usercollectionstate"}
    world.device.instead["/mgmt/tm/cm/device-group"] = (404, {"code": 404, "message": "01020036:3: not found."})
    world.pull()
    assert [one["endpoint"] for one in world.feed.refusals] == [USERS, CERTS]
    assert world.feed.refusals[1]["sentence"].startswith("Not allowed: ")
    assert [one["endpoint"] for one in world.feed.footprint["absent"]] == ["/mgmt/tm/cm/device-group"]
    world.pull(30)  # they are not due: what they said stands
    assert len(world.feed.refusals) == 2
    del world.device.instead[CERTS]
    world.pull(3600)
    assert [one["endpoint"] for one in world.feed.refusals] == [USERS]
    assert Certificate.objects.count() == 3 and not DeviceUser.objects.exists()


def test_rights_that_are_taken_away_do_not_delete_what_was_known(world: World) -> None:
    world.pull()
    world.device.answers[CERTS] = {"kind": "tm:sys:file:ssl-cert:ssl-certcollectionstate"}
    world.pull(3600)
    assert Certificate.objects.count() == 3 and len(world.feed.refusals) == 1


def test_an_old_version_is_asked_pool_by_pool(world: World) -> None:
    world.device.instead[STATS] = (404, {"code": 404, "message": "01020036:3: The requested Pool was not found."})
    for name in ("pool_airflow_api", "pool_orders", "pool_reports"):
        entries = sample("member_stats")["entries"]
        (key,) = [one for one in entries if f"~{name}/" in one]
        inner = entries[key]["nestedStats"]["entries"]
        (part,) = [one for one in inner if one.endswith("/members/stats")]
        world.device.answers[f"/mgmt/tm/ltm/pool/~Common~{name}/members/stats"] = inner[part]["nestedStats"]
    world.pull()
    assert set(Member.objects.values_list("state", flat=True)) == {""}
    world.asked()
    world.pull(30)
    assert len([one for one in world.asked() if one.endswith("/members/stats")]) == 3
    assert (
        "down" not in set(Member.objects.values_list("state", flat=True))
        and Member.objects.filter(state="up").count() > 5
    )
    assert STATS not in world.asked()


def test_a_device_in_need_keeps_what_was_told_and_is_asked_later(world: World) -> None:
    world.device.instead["/mgmt/tm/ltm/rule"] = (503, {"code": 503, "message": "busy"})
    with pytest.raises(SourceUnavailable, match="answered 503"):
        world.pull()
    assert Endpoint.objects.exists() and not RoutingPolicy.objects.filter(kind="irule").exists()
    assert world.feed.footprint["back_off"] == 2 and world.feed.footprint["calls"] > 5
    assert CERTS not in world.device.asked
    del world.device.instead["/mgmt/tm/ltm/rule"]
    world.pull(60)
    assert RoutingPolicy.objects.filter(kind="irule").exists()


def test_one_list_that_always_fails_does_not_keep_the_rest_from_being_read(world: World) -> None:
    world.device.instead["/mgmt/tm/ltm/virtual"] = (503, {"code": 503, "message": "busy"})
    with pytest.raises(SourceUnavailable):
        world.pull()
    assert world.feed.footprint["failing"]["virtual"][0] == 1 and not Certificate.objects.exists()
    with pytest.raises(SourceUnavailable):
        world.pull(60)  # it goes last now
    assert Certificate.objects.exists() and world.feed.footprint["failing"]["virtual"][0] == 2
    world.pull(300)  # and is not due yet
    with pytest.raises(SourceUnavailable):
        world.pull(600)
    assert world.feed.footprint["failing"]["virtual"][0] == 3
    del world.device.instead["/mgmt/tm/ltm/virtual"]
    for _ in range(3):  # as far as the budget goes, which is small after failures
        world.pull(1200)
    assert world.feed.footprint["failing"] == {} and Endpoint.objects.exists()


def test_a_device_that_is_away_is_no_list_that_fails(world: World) -> None:
    world.device.instead[LOGIN] = (503, {"code": 503, "message": "restarting"})
    for _ in range(3):
        with pytest.raises(SourceUnavailable):
            world.pull(60)
    assert world.feed.footprint["failing"] == {}
    del world.device.instead[LOGIN]
    assert world.pull(60) > 0


def test_a_wrong_password_is_not_tried_again_and_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGIP_PASSWORD", "wrong")
    for after in (0, 120, 300):
        with pytest.raises(SourceRefused, match="does not accept user 'airf5'"):
            world.pull(after)
    assert world.device.calls(LOGIN) == 1
    with pytest.raises(SourceRefused):
        world.pull(900)
    assert world.device.calls(LOGIN) == 2
    assert "wrong" not in json.dumps(world.feed.footprint)
    monkeypatch.setenv("BIGIP_PASSWORD", PASSWORD)
    world.pull(1)  # the password was corrected: no waiting
    assert world.feed.state == Feed.State.OK


def test_the_pipeline_says_what_is_wrong_in_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIGIP_PASSWORD")
    epoch = leases.take(world.feed.pk, "test")
    assert epoch is not None and pipeline.ingest(Feed.objects.select_related("device").get(), epoch) == 0
    feed = Feed.objects.get()
    assert feed.state == Feed.State.REFUSED and "BIGIP_PASSWORD" in feed.message


def test_a_worker_that_lost_its_lease_stores_nothing_more(world: World) -> None:
    feed = Feed.objects.select_related("device").get()
    epoch = leases.take(feed.pk, "test")
    assert epoch is not None
    Feed.objects.update(lease_until=None)
    assert leases.take(feed.pk, "another") == epoch + 1
    with pytest.raises(leases.LeaseLost):
        icontrol_feed.read(feed, epoch, connect=world.connect, now=NOW)
    assert not Endpoint.objects.exists() and Feed.objects.get().cursor == {}


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


@pytest.fixture
def served(world: World) -> Iterator[str]:
    """The recorded device behind a real socket; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = httpx.Request(self.command, f"http://b{self.path}", headers=dict(self.headers), content=body)
            found = world.device._handle(request)
            self.send_response(found.status_code)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(found.content)))
            self.end_headers()
            self.wfile.write(found.content)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_pipeline_reads_a_device_over_a_real_socket(world: World, served: str) -> None:
    known = {**world.feed.config, "base_url": f"{served}/mgmt/tm"}
    Feed.objects.update(config=known)
    assert _turn(world) == 0 and "127.0.0.1" in Feed.objects.get().message  # loopback is called where it is allowed
    Feed.objects.update(config={**known, "allow": ["127.0.0.1/32"]}, next_at=None)
    assert _turn(world) > 40
    feed = Feed.objects.get()
    assert (feed.state, feed.message, feed.refusals) == (Feed.State.OK, "", [])
    assert feed.footprint["mean_s"] > 0 and feed.footprint["token_age_s"] is not None
    assert world.device.most_at_once <= 2
    icontrol_feed.close_all()
    assert world.device.tokens == set()


def _turn(world: World) -> int:
    epoch = leases.take(world.feed.pk, "test")
    assert epoch is not None
    try:
        return pipeline.ingest(Feed.objects.select_related("device").get(), epoch)
    finally:
        leases.release(world.feed.pk, epoch)


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
