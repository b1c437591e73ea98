"""/sources/: what a network engineer asks who has to explain a missing line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from airf5.accounts.models import UserAction
from dashboards.views.sources import moment
from ingest import models
from ingest.records import TORN
from tests import world
from tests.db.test_ledger import line

Ask = Callable[..., str]


@pytest.fixture
def feed(db: None) -> models.Feed:
    world.a_route()
    device = models.Device.objects.get()
    now = timezone.now()
    return world.a_feed(device=device, complete_from=now - timedelta(hours=20), complete_to=now - timedelta(seconds=4))


def a_client(role: str = "") -> Client:
    user = get_user_model().objects.create_user(f"ann-{role}")
    if role:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def why(feed: models.Feed) -> Ask:
    client = a_client()

    def ask(at: datetime | str, of: str = "device/bigip-1") -> str:
        answer = client.get("/sources/why/", {"of": of, "at": at if isinstance(at, str) else f"{at:%Y-%m-%d %H:%M}"})
        assert answer.status_code == 200
        return answer.content.decode()

    return ask


def test_the_question_can_be_sent_as_it_stands(feed: models.Feed) -> None:
    before = timezone.now()
    page = a_client().get("/sources/").content.decode()
    field = page[page.index('name="at"') :]
    days = tuple(f"{at:%Y-%m-%d }" for at in (before, timezone.now()))  # midnight may pass meanwhile
    assert field[field.index('value="') + 7 :].startswith(days)


def test_a_device_that_pushes_should_have_spoken(feed: models.Feed, why: Ask) -> None:
    said = "No line was read within the two minutes after its start."
    at = timezone.now() - timedelta(hours=2)
    for kind, speaks in (("f5_telemetry", True), ("f5_request", True), ("f5_ltm", False)):
        models.Feed.objects.filter(pk=feed.pk).update(kind=kind)
        assert (said in why(at)) is speaks, kind


def test_a_minute_in_a_gap_is_explained_by_it(feed: models.Feed, why: Ask) -> None:
    at = timezone.now() - timedelta(hours=2)
    models.Gap.objects.create(
        feed=feed,
        kind="silent",
        start=at - timedelta(minutes=5),
        end=at + timedelta(minutes=5),
        reason="silent, and so on",
    )
    text = why(at)
    assert "Silent: silent, and so on." in text and "can explain a missing line" in text
    assert "silent, and so on" not in why(at - timedelta(hours=1))


def test_a_minute_with_few_lines_lost_says_how_many(feed: models.Feed, why: Ask) -> None:
    at = timezone.now() - timedelta(hours=2)
    models.Gap.objects.create(
        feed=feed, kind="udp", start=at, end=at + timedelta(seconds=2), reason="dropped", missing=3, expected=900
    )
    assert "UDP drops: dropped, 3 missing of 900." in why(at)


def test_a_minute_that_is_whole_says_that_it_was_recounted(feed: models.Feed, why: Ask) -> None:
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=2)
    recount = {"start": at, "end": at + timedelta(minutes=1), "by": "the virtual servers' own totals"}
    models.Recount.objects.create(feed=feed, counted=40, stored=39, slack=2, **recount)
    text = why(at)
    assert "counted 40 from" in text and "39 are stored" in text and "Nothing that is known explains" in text
    models.Recount.objects.update(stored=10)
    assert "30 are missing" in why(at)


def test_other_reasons_of_a_missing_line(feed: models.Feed, why: Ask) -> None:
    now = timezone.now()
    assert "before the feed began" in why(now - timedelta(hours=22))
    assert "not yet arrived" in why(now + timedelta(seconds=1)) or "has not come yet" in why(now + timedelta(minutes=2))
    at = now - timedelta(hours=3)
    models.Reject.objects.create(feed=feed, at=at, reason="no key", raw="x")
    models.Endpoint.objects.update(logs_requests=False)
    models.Device.objects.update(skew_us=-42_000_000, skew_error_us=600_000)
    text = why(at)
    assert "could not be read: “no key”" in text
    assert "Without a request logging profile, so without lines: vs_orders." in text
    assert "Its clock is 42" in text and "behind ours" in text and "earlier too" in text
    models.Feed.objects.update(enabled=False)
    assert "switched off" in why(at)


def test_a_question_that_cannot_be_answered_says_why(why: Ask) -> None:
    assert "is no time: write it as" in why("yesterday <b>")
    assert "There is no such device" in why("08:41", of="device/nobody") and "There is no such" in why(
        "08:41", of="x/y"
    )
    assert "Not answered" not in why("", of="")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31 08:41", datetime(2026, 1, 31, 8, 41, tzinfo=UTC)),
        ("2026-01-31T08:41:55Z", datetime(2026, 1, 31, 8, 41, 55, tzinfo=UTC)),
        ("2026-01-31 08:41:55.25+02:00", datetime(2026, 1, 31, 6, 41, 55, 250_000, tzinfo=UTC)),
        ("08:41", datetime(2026, 2, 2, 8, 41, tzinfo=UTC)),
        ("23:41", datetime(2026, 2, 1, 23, 41, tzinfo=UTC)),
        ("2026-13-31 08:41", None),
        ("25:99", None),
        ("0001-01-01 00:00+14:00", None),
        ("08:41; drop", None),
    ],
)
def test_a_time_is_read_as_people_type_it(text: str, expected: datetime | None) -> None:
    assert moment(text, datetime(2026, 2, 2, 12, 0, tzinfo=UTC)) == expected


def test_the_ribbon_and_the_heading_tell_of_a_gap(feed: models.Feed) -> None:
    now = timezone.now()
    models.Gap.objects.create(
        feed=feed, kind="receiver", start=now - timedelta(hours=2), end=now - timedelta(hours=1), reason="none ran"
    )
    text = a_client().get("/sources/").content.decode()
    assert "no receiver: none ran" in text and 'data-state="failed"' in text and "95.0 %" in text
    assert ", but for 1 gap" in a_client("viewer").get("/?last=6h").content.decode()


def test_a_silence_that_lasts_holds_the_watermark_back(feed: models.Feed) -> None:
    since = timezone.now() - timedelta(minutes=30)
    models.Gap.objects.create(feed=feed, kind="silent", start=since, reason="silent")
    answer = a_client().get("/api/v1/tries/").json()
    assert answer["complete_to"].startswith(f"{since:%Y-%m-%dT%H:%M:%S}")
    assert answer["complete"].endswith("from then on bigip-1/request lacks data: silent")


def test_only_what_can_be_read_again_has_a_button(feed: models.Feed) -> None:
    now = timezone.now()
    for reason in ("no such form", f"{TORN}; its sender knows"):
        models.Reject.objects.create(feed=feed, at=now, reason=reason, raw="x")
    page = a_client("operator").get(f"/sources/{feed.pk}/").content.decode()
    assert 'name="reason" value="no such form"' in page and "cut short" in page
    assert f'name="reason" value="{TORN}' not in page


def test_rejects_are_replayed_by_an_operator_and_nobody_else(feed: models.Feed) -> None:
    at = timezone.now().replace(microsecond=0) - timedelta(minutes=3)
    batch = models.Batch.objects.create(feed=feed, at=at, read=2, rows=0, rejected=2)
    for number, raw in enumerate((line(at).strip(), "junk")):
        models.Reject.objects.create(
            feed=feed, batch=batch, at=at, line_id=(3 << 40) + number * 900, reason="old", raw=raw
        )
    address = f"/sources/{feed.pk}/rejects/replay/"
    assert "Replay rejects" not in a_client().get(f"/sources/{feed.pk}/").content.decode()
    assert a_client("viewer").post(address).status_code == 403 and models.Reject.objects.count() == 2
    assert Client().post(address).status_code == 302 and a_client("auditor").get(address).status_code == 405
    operator = a_client("operator")
    assert "Replay rejects" in operator.get(f"/sources/{feed.pk}/").content.decode()
    said = operator.post(address, {"reason": "old"}, follow=True).content.decode()
    assert "Of 2 lines 0 became rows, 1 wait for their other half" in said
    assert models.Reject.objects.get().raw == "junk"
    batch.refresh_from_db()
    assert (batch.read, batch.halves, batch.rejected) == (2, 1, 1)
    assert UserAction.objects.get(verb="replay_rejects").actor == "ann-operator"
    assert operator.post("/sources/999999/rejects/replay/").status_code == 302


def test_unreadable_lines_after_the_time_asked_for_are_not_shown(feed: models.Feed) -> None:
    now = timezone.now()
    for hours, reason in ((1, "a late reason"), (5, "an early reason")):
        models.Reject.objects.create(feed=feed, at=now - timedelta(hours=hours), reason=reason, raw="x")
    span = {
        "from": f"{now - timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
        "to": f"{now - timedelta(hours=4):%Y-%m-%dT%H:%M:%SZ}",
    }
    text = a_client().get("/sources/", span).content.decode()
    assert "an early reason" in text and "a late reason" not in text
    text = a_client("viewer").get(f"/sources/{feed.pk}/", span).content.decode()
    assert "an early reason" in text and "a late reason" in text, "what can be replayed, of whatever time"


def test_the_api_and_the_exports_have_gaps(feed: models.Feed) -> None:
    now = timezone.now()
    models.Gap.objects.create(
        feed=feed, kind="udp", start=now - timedelta(hours=2), end=now - timedelta(hours=1), reason="dropped", missing=1
    )
    models.SkewSample.objects.create(device=feed.device, at=now, offset_ms=250, uncertainty_ms=500, method="clock")
    client = a_client()
    (row,) = client.get("/api/v1/sources/gaps/").json()["results"]
    assert (row["feed"], row["kind"], row["missing"], row["feed_id"]) == ("bigip-1/request", "udp", 1, feed.pk)
    one = client.get(f"/api/v1/sources/{feed.pk}/").json()
    assert one["gaps"] == [row] and 0.94 < one["share"] < 0.96 and one["skews"][0]["offset_ms"] == 250
    assert [part["state"] for part in one["parts"]] == ["before", "complete", "missing", "complete", "coming"]
    exported = b"".join(client.get("/sources/gaps.csv")).decode()  # type: ignore[arg-type]
    assert "bigip-1/request," in exported and "# end: 1 rows written" in exported
    assert client.get("/sources/999999/").status_code == 404
