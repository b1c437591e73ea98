"""The gap ledger as feeds write it: silences, receivers that were away, losses, rejects, and what is judged again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from ingest import judging, leases, partitions, pipeline
from ingest.completeness import ledger
from ingest.completeness.intervals import Span, is_thin
from ingest.correlate import lacks, world_of
from ingest.models import Batch, Feed, FeedHour, Gap, Recount, Reject, Try
from ingest.sources.http import SourceUnavailable
from tests import world

Kind = Gap.Kind


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def line(at: datetime, number: int = 0) -> str:
    return (
        f'{stamp(at)} 10.0.0.1 airf5="1",kind="request",ts="{at.timestamp():.6f}",hostname="lb1",'
        f'virtual_name="/Common/vs",virtual_ip="10.0.0.9",virtual_port="80",pool="/Common/p",client_ip="10.2.0.1",'
        f'client_port="{10_000 + number}",http_method="GET",host="vs",correlation_id="",traceparent="",task="",xff="",'
        f'ua="curl",http_uri="/n/{number}"\n'
    )


class Scene:
    """One device whose request log a receiver writes, and a moment that stands for now."""

    def __init__(self, root: Path) -> None:
        world.a_route()
        self.root, self.now = root, timezone.now().replace(microsecond=0)
        self.folder = root / "10.0.0.1"
        self.folder.mkdir()
        self.feed = Feed.objects.create(
            kind="f5_request", name="lb1/request", device=world.models.Device.objects.get(),
            config={"glob": [f"{self.folder}/request*.log*"]},
        )  # fmt: skip
        self.written = 0

    def receive(self, *seconds_ago: float, raw: str = "") -> None:
        """Lines received so long ago, and one look at them."""
        self.written += 1
        text = "".join(line(self.ago(s), self.written * 1000 + n) for n, s in enumerate(seconds_ago)) + raw
        (self.folder / f"request-{self.written:03}.log").write_text(text)
        self.look()

    def look(self) -> None:
        epoch = leases.take(self.feed.pk, "test")
        assert epoch is not None
        pipeline.ingest(Feed.objects.select_related("device").get(pk=self.feed.pk), epoch)
        leases.release(self.feed.pk, epoch)
        self.feed.refresh_from_db()

    def ago(self, seconds: float) -> datetime:
        return self.now - timedelta(seconds=seconds)

    def known_for(self, hours: int, longest_s: float) -> None:
        """The feed has spoken for so many hours, and was never silent for longer."""
        start = self.now.replace(minute=0, second=0) - timedelta(hours=1)
        FeedHour.objects.bulk_create(
            FeedHour(feed=self.feed, start=start - timedelta(hours=n), lines=900, arrivals=300, longest_s=longest_s)
            for n in range(hours)
        )

    def beat(self, seconds_ago: float, *losses: dict[str, Any], **opened: int) -> None:
        told = {"at": stamp(self.ago(seconds_ago)), "senders": {"10.0.0.1": {"udp": 0, "open": opened}}}
        (self.root / "receiver.json").write_text(json.dumps(told))
        with (self.root / "losses.jsonl").open("a") as file:
            file.write("".join(json.dumps(one) + "\n" for one in losses))

    def gaps(self) -> list[tuple[str, datetime, datetime | None]]:
        return list(Gap.objects.filter(feed=self.feed).order_by("start").values_list("kind", "start", "end"))


@pytest.fixture
def scene(db: None, tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_comes_is_counted_by_the_hour_with_its_longest_silence(scene: Scene) -> None:
    scene.receive(100, 99)
    scene.receive(70, 69)
    hours = list(FeedHour.objects.values_list("lines", "arrivals", "longest_s"))
    assert sum(h[0] for h in hours) == 4 and sum(h[1] for h in hours) == 2 and max(h[2] for h in hours) == 29


def test_a_silence_beyond_chance_is_a_gap_that_the_next_line_ends(scene: Scene) -> None:
    scene.known_for(8, longest_s=60)
    scene.receive(400)
    assert scene.gaps() == [(Kind.SILENT, scene.ago(400), None)]
    assert scene.feed.state == Feed.State.LATE and "longest usual silence is 60 s" in scene.feed.message
    assert scene.feed.complete_to == scene.ago(400)
    scene.look()
    assert Gap.objects.count() == 1
    scene.receive(10)
    assert scene.gaps() == [(Kind.SILENT, scene.ago(400), scene.ago(10))]
    assert scene.feed.state == Feed.State.OK and max(FeedHour.objects.values_list("longest_s", flat=True)) == 60


def test_a_usual_silence_is_complete_almost_to_now(scene: Scene) -> None:
    scene.known_for(8, longest_s=600)
    scene.receive(400)
    assert scene.gaps() == [] and scene.feed.state == Feed.State.OK
    assert scene.feed.complete_to is not None and scene.feed.complete_to > scene.ago(30)


def test_a_silence_that_went_by_while_nobody_looked_is_a_gap(scene: Scene) -> None:
    scene.known_for(8, longest_s=60)
    scene.receive(1000)
    Gap.objects.all().delete()
    scene.receive(990, 400, 10)  # received while the worker was away: two silences, one chunk
    assert scene.gaps() == [(Kind.SILENT, scene.ago(990), scene.ago(400)), (Kind.SILENT, scene.ago(400), scene.ago(10))]


def test_an_open_connection_says_that_nothing_was_sent(scene: Scene) -> None:
    scene.receive(400)
    assert scene.feed.complete_to == scene.ago(400) and scene.feed.state == Feed.State.LATE
    scene.beat(1, request=1)
    scene.look()
    assert scene.feed.complete_to == scene.ago(61) and scene.feed.state == Feed.State.OK
    assert "its connection is open" in scene.feed.message


def test_counters_that_did_not_move_end_a_silence_that_was_a_gap(scene: Scene) -> None:
    scene.known_for(8, longest_s=60)
    scene.receive(400)
    Recount.objects.create(feed=scene.feed, start=scene.ago(460), end=scene.ago(100), counted=1, stored=1)
    ledger.disprove(scene.feed, Span(scene.ago(460), scene.ago(100)))
    assert scene.gaps() == [(Kind.SILENT, scene.ago(100), None)]
    scene.look()
    assert scene.gaps() == [] and scene.feed.state == Feed.State.OK


def test_without_a_receiver_there_is_a_gap_until_one_runs(scene: Scene) -> None:
    scene.receive(300)
    scene.beat(295)
    scene.look()
    assert scene.gaps() == [(Kind.RECEIVER, scene.ago(295), None)]
    scene.beat(1, {"kind": "receiver", "from": stamp(scene.ago(295)), "to": stamp(scene.ago(200))})
    scene.look()
    assert scene.gaps() == [(Kind.RECEIVER, scene.ago(295), scene.ago(200))]
    scene.look()
    assert Gap.objects.count() == 1


def test_a_receiver_that_another_one_replaced_is_no_gap(scene: Scene) -> None:
    scene.beat(3000)
    scene.receive(10)
    assert scene.gaps() == []


def test_datagrams_that_the_kernel_dropped_are_gaps_once(scene: Scene) -> None:
    def loss(start: float, end: float, count: int) -> dict[str, Any]:
        span = {"from": stamp(scene.ago(start)), "to": stamp(scene.ago(end))}
        return {"kind": "udp", **span, "count": count, "expected": 100, "senders": ["10.0.0.1"]}

    scene.receive(20)
    scene.beat(1, loss(20, 18, 3), loss(18, 16, 4), {**loss(16, 14, 9), "senders": ["10.0.0.2"]})
    scene.look()
    scene.look()
    gap = Gap.objects.get()
    assert (gap.kind, gap.start, gap.end) == (Kind.UDP, scene.ago(20), scene.ago(16))
    assert (gap.missing, gap.expected) == (7, 200) and is_thin(gap.missing, gap.expected)


def test_lines_that_cannot_be_read_are_missing(scene: Scene) -> None:
    scene.receive(*range(60, 30, -1), raw=f"{stamp(scene.ago(25))} 10.0.0.1 rubbish\n")
    gap = Gap.objects.get()
    assert (gap.kind, gap.missing, gap.expected, gap.start) == (Kind.REJECTS, 1, 31, scene.ago(25))
    assert gap.reason.startswith("could not be read: ") and gap.batch == Batch.objects.get()
    Reject.objects.all().delete()
    ledger.recount_rejects([gap.batch_id])
    assert not Gap.objects.exists()


def test_gaps_are_kept_as_long_as_the_verdicts_over_them(scene: Scene) -> None:
    kept = partitions.retention("audit").total_seconds()
    recorded = world.a_feed("lab1/request", capture="lab1")
    ledger.note(scene.feed, Kind.UDP, scene.ago(kept + 20), scene.ago(kept + 10), "old")
    ledger.note(scene.feed, Kind.UDP, scene.ago(kept + 20), scene.ago(kept - 10), "not yet")
    ledger.note(scene.feed, Kind.SILENT, scene.ago(kept + 20), None, "lasts")
    ledger.note(recorded, Kind.UDP, scene.ago(kept + 20), scene.ago(kept + 10), "of a capture")
    ledger.expire(scene.now)
    assert sorted(Gap.objects.values_list("reason", flat=True)) == ["lasts", "not yet", "of a capture"]


def test_a_snapshot_that_cannot_be_read_is_a_gap_and_an_airflow_is_not(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = world.a_feed("lb1/icontrol", "f5_icontrol", last_ok_at=scene.ago(60), device=scene.feed.device)
    airflow = world.a_feed("prod", "airflow_api", last_ok_at=scene.ago(60), airflow=world.an_airflow())

    def down(*_: Any) -> int:
        raise SourceUnavailable("lb1 does not answer.")

    monkeypatch.setattr("ingest.snapshot_feed.read", down)
    monkeypatch.setattr("ingest.airflow_feed.read", down)
    for feed in (snapshot, airflow, snapshot):
        pipeline.ingest(Feed.objects.get(pk=feed.pk), feed.epoch)
    gap = Gap.objects.get()
    assert (gap.feed, gap.kind, gap.start, gap.end) == (snapshot, Kind.UNREACHABLE, scene.ago(60), None)
    monkeypatch.setattr("ingest.snapshot_feed.read", lambda *_: 0)
    pipeline.ingest(Feed.objects.get(pk=snapshot.pk), snapshot.epoch)
    assert Gap.objects.get().end is not None


def test_who_lost_the_feed_to_another_worker_notes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = world.a_feed("lb1/icontrol", "f5_icontrol", last_ok_at=scene.ago(60), device=scene.feed.device, epoch=7)

    def down(*_: Any) -> int:
        raise SourceUnavailable("lb1 does not answer.")

    monkeypatch.setattr("ingest.snapshot_feed.read", down)
    pipeline.ingest(Feed.objects.get(pk=snapshot.pk), 6)
    snapshot.refresh_from_db()
    assert snapshot.state == Feed.State.OK and not Gap.objects.exists()


def test_an_ltm_log_without_a_request_log_reaches_as_far_as_its_own_connection(scene: Scene) -> None:
    text = "notice mcpd[6896]: 01070638:5: Pool /Common/p member /Common/m1:80 monitor status down."
    at = scene.ago(400)
    (scene.folder / "ltm-1.log").write_text(f"{stamp(at)} 10.0.0.1 <133>{at:%b %d %H:%M:%S} lb1 {text}\n")
    Feed.objects.filter(pk=scene.feed.pk).update(
        kind="f5_ltm", name="lb1/ltm", config={"glob": [f"{scene.folder}/ltm*.log*"]}
    )
    scene.look()
    assert scene.feed.complete_to == at
    scene.beat(1, ltm=1)
    scene.look()
    assert scene.feed.complete_to == scene.ago(61)


def test_what_was_judged_in_a_gap_is_judged_again(scene: Scene) -> None:
    world.a_feed("prod", "airflow_api", airflow=world.an_airflow())
    inside, before = (world.a_try(at=scene.ago(s), state="failed") for s in (300, 900))
    for one in (inside, before):
        world.a_verdict(one)
    scene.known_for(8, longest_s=60)
    scene.receive(400)
    assert list(Try.objects.filter(judge=True)) == [inside]


def test_a_verdict_does_not_wait_for_what_will_never_come(scene: Scene) -> None:
    airflow = world.an_airflow()
    failed = world.a_try(at=scene.ago(100), state="failed", airflow=airflow)
    Feed.objects.filter(pk=scene.feed.pk).update(complete_from=scene.ago(900), complete_to=scene.ago(400))
    assert judging.Watermarks(world_of(airflow, scene.ago(900))).waiting_for(failed, False)
    ledger.open_gap(scene.feed, Kind.SILENT, scene.ago(400), "silent")
    assert judging.Watermarks(world_of(airflow, scene.ago(900))).waiting_for(failed, False) == []


def test_a_window_is_told_what_its_logs_lack(scene: Scene) -> None:
    feed = scene.feed
    Feed.objects.filter(pk=feed.pk).update(complete_from=scene.ago(900), complete_to=scene.ago(5))
    ltm = Feed.objects.create(kind="f5_ltm", name="lb1/ltm", device=feed.device)
    ledger.note(feed, Kind.UDP, scene.ago(500), scene.ago(490), "dropped", 3, 900)
    ledger.note(feed, Kind.SILENT, scene.ago(300), scene.ago(200), "silent")
    ledger.note(ltm, Kind.THROTTLED, scene.ago(501), scene.ago(500), "tmm held back messages", 26)
    group = feed.device.group_id

    def lack(start: float, end: float, *groups: int) -> lacks.Lacks:
        feeds = Feed.objects.select_related("device")
        windows = [lacks.Window(scene.ago(start), scene.ago(end), frozenset(groups))]
        return lacks.among(feeds, Gap.objects.order_by("start", "id"), windows)[0]

    thin = f"lb1/request lacks 3 of 900 lines at {scene.ago(500):%H:%M:%S}: dropped"
    held = f"lb1/ltm is incomplete from {scene.ago(501):%H:%M:%S}: tmm held back messages"
    assert lack(505, 495) == lacks.Lacks("", thin, (held,))
    assert lack(499, 250).gap == f"lb1/request is incomplete from {scene.ago(300):%H:%M:%S}: silent"
    assert lack(480, 300) == lack(200, 100) == lack(505, 250, group + 1) == lacks.Lacks()
    assert lack(505, 250, group).gap and lack(1000, 990).gap.startswith("the F5 request log lb1/request begins at")
    Feed.objects.filter(pk=feed.pk).update(kind="f5_telemetry")  # with no request log, what is pushed stands for it
    assert lack(1000, 990).gap.startswith("the F5 Telemetry Streaming lb1/request begins at")
    assert lack(499, 250).gap and lack(480, 300) == lacks.Lacks()


def test_a_unit_that_stands_by_is_silent_by_right(scene: Scene) -> None:
    scene.known_for(8, longest_s=60)
    device = scene.feed.device
    other = world.models.Device.objects.create(group=device.group, name="bigip-2")
    peer = Feed.objects.create(kind="f5_request", name="lb2/request", device=other)
    world.models.Device.objects.filter(pk=device.pk).update(failover="active")
    FeedHour.objects.create(feed=peer, start=scene.now.replace(minute=0, second=0), lines=9, arrivals=9)
    FeedHour.objects.create(
        feed=peer, start=scene.now.replace(minute=0, second=0) - timedelta(hours=1), lines=9, arrivals=9
    )
    scene.receive(400)
    assert [gap[0] for gap in scene.gaps()] == [Kind.SILENT]
    world.models.Device.objects.filter(pk=device.pk).update(failover="standby")
    scene.look()
    assert scene.gaps() == [] and "another unit of its pair" in scene.feed.message
    assert scene.feed.complete_to is not None and scene.feed.complete_to > scene.ago(30)
    world.models.Device.objects.filter(pk=device.pk).update(failover="")  # nobody says, but the other one speaks
    scene.receive(10)
    assert scene.gaps() == [] and scene.feed.state == Feed.State.OK


@pytest.fixture
def calm(scene: Scene) -> Scene:
    """The ltm log of a device whose request log talks: for two weeks never silent for more than 100 seconds."""
    Feed.objects.create(
        kind="f5_request",
        name="lb1/talks",
        device=scene.feed.device,
        complete_to=scene.ago(5),
        config={"glob": ["/no"]},
    )
    Feed.objects.filter(pk=scene.feed.pk).update(kind="f5_ltm")
    start = scene.now.replace(minute=0, second=0) - timedelta(hours=1)
    FeedHour.objects.bulk_create(
        FeedHour(feed=scene.feed, start=start - timedelta(hours=n), lines=2, arrivals=2, longest_s=100.0)
        for n in range(24 * 14)
    )
    return scene


def hear(calm: Scene, seconds_ago: float) -> None:
    """A line of the ltm log, received so long ago, and one look."""
    at = calm.ago(seconds_ago)
    calm.receive(raw=f"{stamp(at)} 10.0.0.1 <133>{at:%b %d %H:%M:%S} lb1 notice mcpd[1]: 01070727:5: Pool member up.\n")


def test_a_calm_log_is_complete_as_far_as_the_request_log_of_its_device(calm: Scene) -> None:
    hear(calm, 150)
    assert (calm.feed.complete_to, calm.feed.state, calm.gaps()) == (calm.ago(5), Feed.State.OK, [])


def test_its_own_silence_beyond_chance_wins_over_the_request_log(calm: Scene) -> None:
    hear(calm, 900)
    assert calm.gaps() == [(Kind.SILENT, calm.ago(900), None)]
    assert (calm.feed.complete_to, calm.feed.state) == (calm.ago(900), Feed.State.LATE)
    assert "longest usual silence is 100 s in 4 weeks" in calm.feed.message
    hear(calm, 1)
    assert calm.gaps() == [(Kind.SILENT, calm.ago(900), calm.ago(1))]
    assert (calm.feed.complete_to, calm.feed.state, calm.feed.message) == (calm.ago(1), Feed.State.OK, "")


def test_a_receiver_that_is_away_wins_too(calm: Scene) -> None:
    hear(calm, 150)
    calm.beat(100)
    Feed.objects.filter(pk=calm.feed.pk).update(complete_to=None)
    calm.look()
    assert calm.gaps() == [(Kind.RECEIVER, calm.ago(100), None)]
    assert (calm.feed.complete_to, calm.feed.state) == (calm.ago(100), Feed.State.LATE)
