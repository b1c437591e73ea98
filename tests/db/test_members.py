"""A member that the logs know by name and by address is one row, whichever came first."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest.models import Device, DeviceGroup, F5Pool, HealthEvent, Member
from ingest.store import members

T0 = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def a_pool() -> F5Pool:
    return F5Pool.objects.create(group=DeviceGroup.objects.create(name="g"), name="/Common/pool_orders")


def test_the_log_first_the_name_later() -> None:
    pool = a_pool()
    by_log = Member.objects.create(f5_pool=pool, name="10.0.0.5:9000", address="10.0.0.5", port=9000)
    assert members.find(pool.pk, "/Common/orders1:9000", "10.0.0.5", 9000) == by_log.pk
    assert Member.objects.get().name == "/Common/orders1:9000"


def test_name_and_address_apart_until_the_device_tells() -> None:
    pool = a_pool()
    by_log = Member.objects.create(f5_pool=pool, name="10.0.0.5:9000", address="10.0.0.5", port=9000)
    by_name = members.find(pool.pk, "/Common/orders1:9000")
    assert by_name != by_log.pk
    device = Device.objects.create(group=pool.group, name="d")
    event = HealthEvent.objects.create(
        device=device, at=T0, kind="member", state="down", f5_pool=pool, member_id=by_name
    )
    Member.objects.filter(pk=by_name).update(state="down")

    assert members.find(pool.pk, "/Common/orders1:9000", "10.0.0.5", 9000) == by_log.pk
    row = Member.objects.get()
    assert (row.pk, row.name, row.state, row.address) == (by_log.pk, "/Common/orders1:9000", "down", "10.0.0.5")
    event.refresh_from_db()
    assert event.member_id == by_log.pk
