"""A feed of the recorded BIG-IP, and pulls of it while time goes on."""

from __future__ import annotations

from ingest import actions, icontrol_feed, leases
from ingest.models import Feed
from ingest.sources.f5_session import Session, Target
from tests.icontrol import RecordedDevice


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
