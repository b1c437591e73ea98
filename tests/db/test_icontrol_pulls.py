"""Pulls of a device over iControl REST: what they cost it, and what happens on its bad days."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from ingest import icontrol_feed, leases, pipeline
from ingest.models import Certificate, DeviceUser, Endpoint, Feed, Member, RoutingPolicy
from ingest.sources.f5_rest import READINGS
from ingest.sources.f5_session import LOGIN
from ingest.sources.http import SourceRefused, SourceUnavailable, ask
from tests.icontrol import NOW, PASSWORD, sample
from tests.icontrol_feed import World

CERTS, USERS = "/mgmt/tm/sys/file/ssl-cert", "/mgmt/tm/auth/user"
STATS = "/mgmt/tm/ltm/pool/members/stats"


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
