"""Unreadable lines read again: each becomes what it is, once, and the sums of its batch stay true."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import actions, leases
from ingest.completeness import rejects
from ingest.models import Batch, Dag, Feed, Gap, HealthEvent, Reject, Request, RequestHalf
from ingest.records import Reject as Refusal
from tests import world
from tests.db.test_ledger import line, stamp
from tests.turn import ingest

TEMPLATE = 'hsl $CLIENT_IP $VIRTUAL_NAME "$HTTP_METHOD $HTTP_URI" $HTTP_STATCODE $RESPONSE_MSECS $DATE_NCSA'


@pytest.fixture
def feed(db: None, tmp_path: Path) -> Feed:
    world.a_route()
    device = world.models.Device.objects.get()
    return Feed.objects.create(
        kind="f5_request", name="lb1/request", device=device, config={"glob": [f"{tmp_path}/request*.log"]}
    )


def sums() -> list[tuple[int, ...]]:
    return list(Batch.objects.order_by("pk").values_list("read", "rows", "halves", "repeated", "rejected"))


def broken_parser(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A parser that cannot read lines about /n/1…, as one before a mend."""
    from ingest.store import requests

    whole = requests._parser

    def parser(template: Any) -> Any:
        one = whole(template)
        return lambda text: Refusal("not understood yet", text) if 'http_uri="/n/1' in text else one(text)

    monkeypatch.setattr(requests, "FAST_LANE", False)
    monkeypatch.setattr(requests, "_parser", parser)
    return lambda: monkeypatch.setattr(requests, "_parser", whole)


def test_what_is_understood_by_now_leaves_the_rejects_once(
    feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now().replace(microsecond=0)
    mend = broken_parser(monkeypatch)
    request, answer = line(now - timedelta(seconds=9), 1), line(now - timedelta(seconds=9), 1)
    answer = answer.replace('kind="request"', 'kind="response"').replace(
        "http_method=", 'server_ip="10.1.0.1",server_port="80",http_statcode="200",response_us="900",http_method='
    )
    alone = line(now - timedelta(seconds=8), 12)
    (tmp_path / "request.log").write_text(
        line(now - timedelta(seconds=10), 2) + request + answer + alone + answer + "junk\n"
    )
    ingest(feed)
    assert sums() == [(6, 0, 1, 0, 5)] and Gap.objects.get().missing == 5
    mend()
    told = actions.replay_rejects(feed.pk, "ann", address="10.0.0.5")
    assert (told.read, told.rows, told.halves, told.repeated, told.still) == (5, 2, 1, 1, 1)
    assert sums() == [(6, 2, 2, 1, 1)]
    assert Request.objects.count() == 1 and RequestHalf.objects.count() == 2
    left = Reject.objects.get()
    assert left.tried_at is not None and left.raw.endswith("junk") and left.reason != "not understood yet"
    assert Gap.objects.get().missing == 1
    again = actions.replay_rejects(feed.pk, "ann")
    assert (again.read, again.still, Request.objects.count()) == (1, 1, 1)
    action = UserAction.objects.order_by("pk").first()
    assert action is not None and (action.actor, action.verb, action.target) == ("ann", "replay_rejects", "lb1/request")
    assert action.detail["rows"] == 2 and action.address == "10.0.0.5"


def test_a_template_that_was_missing_can_be_given_later(feed: Feed, tmp_path: Path) -> None:
    now = timezone.now()
    text = f'hsl 10.2.0.1 /Common/vs "GET /n/5" 200 9 [{now:%d/%b/%Y:%H:%M:%S} +0000]'
    (tmp_path / "request.log").write_text(f"{stamp(now)} 10.0.0.1 {text}\n")
    ingest(feed)
    assert sums() == [(1, 0, 0, 0, 1)]
    Feed.objects.filter(pk=feed.pk).update(config={**feed.config, "template": TEMPLATE})
    assert (actions.replay_rejects(feed.pk, "ann").halves, actions.replay_rejects(feed.pk, "ann").read) == (1, 0)
    assert sums() == [(1, 0, 1, 0, 0)] and not Reject.objects.exists() and not Gap.objects.exists()


def test_a_line_of_another_log_and_an_item_of_airflow(
    feed: Feed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    ltm = Feed.objects.create(kind="f5_ltm", name="lb1/ltm", device=feed.device)
    text = "notice mcpd[6896]: 01070638:5: Pool /Common/p member /Common/m1:80 monitor status down."
    down = f"<133>{now:%b %d %H:%M:%S} lb1 {text}"
    batch = Batch.objects.create(feed=ltm, at=now, read=1, rows=0, rejected=1)
    Reject.objects.create(feed=ltm, batch=batch, at=now, line_id=7 << 40, reason="its time", raw=down)
    assert actions.replay_rejects(ltm.pk, "ann").rows == 1 and HealthEvent.objects.get().line_id == 7 << 40
    prod = world.a_feed("prod", "airflow_api", airflow=world.an_airflow())
    for source, raw in (("dags", '{"dag_id": "orders"}'), ("dags", '{"dag": 1}'), ("capture", '{"dag_id": "x"}')):
        batch = Batch.objects.create(feed=prod, at=now, read=1, rows=0, rejected=1, source=source)
        Reject.objects.create(feed=prod, batch=batch, at=now, reason="old", raw=raw)
    told = actions.replay_rejects(prod.pk, "ann")
    assert (told.rows, told.still) == (1, 2) and Dag.objects.get().dag_id == "orders"
    assert not Batch.objects.exclude(read=F("rows") + F("rejected")).exists()


def test_one_reason_alone_and_lines_whose_batch_is_forgotten(feed: Feed) -> None:
    now = timezone.now().replace(microsecond=0)
    for number, reason in enumerate(("a", "b")):
        raw = line(now - timedelta(seconds=5 + number), number).strip()
        Reject.objects.create(feed=feed, at=now, line_id=(9 << 40) + number * 500, reason=reason, raw=raw)
    assert actions.replay_rejects(feed.pk, "ann", "b").halves == 1
    assert sums() == [(1, 0, 1, 0, 0)] and Reject.objects.get().reason == "a"


def test_a_feed_that_is_being_read_is_left_alone(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejects, "WAIT_S", 0.0)
    leases.take(feed.pk, "a worker")
    with pytest.raises(actions.Refused, match="lb1/request is being read just now"):
        actions.replay_rejects(feed.pk, "ann")
    with pytest.raises(actions.Refused, match="no such source"):
        actions.replay_rejects(feed.pk + 1, "ann")
    assert not UserAction.objects.exists()


def test_the_command_lists_and_reads_again(feed: Feed) -> None:
    def run(*args: str) -> str:
        out = io.StringIO()
        call_command("rejects", *args, stdout=out)
        return out.getvalue()

    assert run("replay") == "There is no line that could not be read.\n"
    now = timezone.now().replace(microsecond=0)
    for number, raw in enumerate((line(now - timedelta(seconds=5)).strip(), "junk")):
        Reject.objects.create(feed=feed, at=now, line_id=(9 << 40) + number * 500, reason="why", raw=raw)
    assert run("list") == "lb1/request\t2\twhy\n"
    said = run("replay", "lb1/request")
    assert (
        "Of 2 lines 0 became rows, 1 wait for their other half, 0 were known already, 1 still cannot be read." in said
    )
    with pytest.raises(CommandError, match="There is no source nobody"):
        run("replay", "nobody")
