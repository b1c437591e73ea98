"""What iControl REST tells, on the pages: who chooses the pool, what is missing, certificates, users, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ingest import actions, icontrol_feed, leases
from ingest.models import Certificate, Device, Endpoint, F5Pool, Feed, RoutingPolicy
from ingest.sources.f5_session import Session
from tests.icontrol import PASSWORD, RecordedDevice

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def client() -> Client:
    found = Client()
    found.force_login(get_user_model().objects.create_superuser("root", password="x"))
    return found


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedDevice]:
    """A recorded device that was read once, just now."""
    monkeypatch.setenv("BIGIP_PASSWORD", PASSWORD)
    found = RecordedDevice()
    found.clock.at = timezone.now()
    found.instead["/mgmt/tm/cm/device-group"] = (404, {"code": 404, "message": "01020036:3: not found."})
    found.instead["/mgmt/tm/ltm/monitor/external"] = (403, {"code": 403, "message": "no"})
    config = {"base_url": "https://b.example.com", "username": "airf5", "password": "env:BIGIP_PASSWORD"}
    feed = actions.configure_source("f5_rest", "bigip-1/rest", None, "bigip-1", config, "test")
    read(feed, found)
    yield found
    icontrol_feed.close_all()


def read(feed: Feed, device: RecordedDevice) -> None:
    epoch = leases.take(feed.pk, "test")
    assert epoch is not None
    icontrol_feed.read(
        Feed.objects.select_related("device").get(pk=feed.pk), epoch, now=device.clock(),
        connect=lambda target: Session(target, transport=device.transport(), now=device.clock),
    )  # fmt: skip
    leases.release(feed.pk, epoch)


def page_of(client: Client, name: str) -> str:
    endpoint = Endpoint.objects.get(name=name)
    return client.get(f"/endpoints/{endpoint.pk}/").content.decode()


def test_an_endpoint_says_who_else_chooses_its_pool(client: Client, device: RecordedDevice) -> None:
    page = page_of(client, "/Common/vs_orders")
    assert "Who else chooses where a request goes?" in page
    for words in ("orders_paths", "path starts with /reports or /export", "orders_by_tenant", "computed while it runs"):
        assert words in page
    assert "not there" not in page
    assert "/Common/mon_orders: http every 5 s, down after 16 s without an answer; sends GET /health HTTP/1.1" in page
    F5Pool.objects.filter(name="/Common/pool_reports").delete()
    assert "not there" in page_of(client, "/Common/vs_orders")


def test_an_endpoint_says_what_is_missing_to_see_it(client: Client, device: RecordedDevice) -> None:
    assert "It uses FastL4" in page_of(client, "/Common/vs_ledger")
    reports = page_of(client, "/Common/vs_reports")
    assert "It has no request-log profile" in reports and "It has neither a policy nor an iRule" in reports
    assert "/Common/airf5_request_log" in page_of(client, "/Common/vs_airflow_api")


def test_an_endpoint_that_icontrol_never_told_of_claims_nothing(client: Client, device: RecordedDevice) -> None:
    group = Endpoint.objects.get(name="/Common/vs_orders").group
    row = Endpoint.objects.create(group=group, name="/Common/vs_new")
    page = client.get(f"/endpoints/{row.pk}/").content.decode()
    assert "Who else chooses" not in page and "not told" in page


def test_an_endpoint_asks_for_what_it_names_alone(client: Client, device: RecordedDevice) -> None:
    with CaptureQueriesContext(connection) as found:
        page_of(client, "/Common/vs_orders")
    asked = {
        name: next(one["sql"] for one in found if f'FROM "ingest_{name}"' in one["sql"] and "told_at" in one["sql"])
        for name in ("routingpolicy", "monitor")
    }
    assert "/Common/orders_paths" in asked["routingpolicy"] and "/Common/mon_orders" in asked["monitor"]
    assert not any('"about"' in one for one in asked.values())


def test_the_device_is_on_the_page_of_endpoints(client: Client, device: RecordedDevice) -> None:
    Certificate.objects.filter(name="/Common/orders.crt").update(expires_at=timezone.now() + timedelta(days=9, hours=1))
    page = client.get("/endpoints/").content.decode().replace("\xa0", " ")
    assert "Device bigip-1" in page and "16.1.3" in page and "Changes Pending" in page
    assert "expired" in page and "9 days" in page
    assert "auditor on all partitions" in page and "manager on Orders" in page and "reads only" in page
    assert "Not allowed: " in page and "/mgmt/tm/ltm/monitor/external" in page
    assert "Not there: " in page and "/mgmt/tm/cm/device-group" in page
    assert "1 login" in page and "of 30 allowed" in page


def test_the_api_tells_the_same_of_an_endpoint(client: Client, device: RecordedDevice) -> None:
    endpoint = Endpoint.objects.get(name="/Common/vs_orders")
    told = client.get(f"/api/v1/endpoints/{endpoint.pk}/").json()["routing"]
    assert told["policies"] == ["/Common/orders_paths"] and told["http_profile"] == "/Common/http"
    assert [one["target"] for one in told["choices"]][1] == "/Common/pool_reports"


def test_the_api_lists_devices_and_more_of_them_ask_no_more(client: Client, device: RecordedDevice) -> None:
    def told() -> tuple[list[dict[str, Any]], int]:
        with CaptureQueriesContext(connection) as found:
            rows = client.get("/api/v1/devices").json()["results"]
        return rows, len(found)

    told()
    (row,), before = told()
    assert (row["name"], row["failover"], row["footprint"]["logins"]) == ("bigip-1", "active", 1)
    assert row["certificates"][0]["name"] == "/Common/old.crt"
    for number in range(5):
        Device.objects.create(group=Device.objects.get(name="bigip-1").group, name=f"more{number}")
    rows, after = told()
    assert len(rows) == 6 and after == before


def test_names_of_a_hostile_device_are_text(client: Client, device: RecordedDevice) -> None:
    RoutingPolicy.objects.update(
        choices=[{"kind": "pool", "target": HOSTILE, "rule": HOSTILE, "when": HOSTILE}], strategy=HOSTILE
    )
    Certificate.objects.update(subject=HOSTILE)
    for page in (page_of(client, "/Common/vs_orders"), client.get("/endpoints/").content.decode()):
        assert HOSTILE not in page and "&lt;script&gt;" in page
