"""From files and answers to stored rows: every line once, batches that add up, and nothing half done."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db.models import F, Sum
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import actions, airflow_feed, leases, pipeline, tasks
from ingest.models import (
    Batch,
    Device,
    DeviceGroup,
    F5Pool,
    Feed,
    Gap,
    HealthEvent,
    Incident,
    Member,
    Reject,
    Request,
    RequestHalf,
    SpoolFile,
    Try,
)
from ingest.sources.http import SourceRefused, SourceUnavailable
from tests.turn import ingest

V1 = Path(__file__).parent.parent / "samples" / "airflow" / "v1"
DOWN = "notice mcpd[6896]: 01070638:5: Pool /Common/p member /Common/m1:80 monitor status down."
UP = "notice mcpd[6896]: 01070727:5: Pool /Common/p member /Common/m1:80 monitor status up."
AUDIT = "notice tmsh[2041]: 01420002:5: AUDIT - pid=2041 user=ann folder=/Common module=(tmos)# status=[Command OK] "


@pytest.fixture
def device() -> Device:
    return Device.objects.create(group=DeviceGroup.objects.create(name="lb"), name="lb1", hostname="lb1.example.net")


@pytest.fixture
def a_feed(device: Device, tmp_path: Path) -> Callable[[str], Feed]:
    def make(kind: str) -> Feed:
        return Feed.objects.create(
            kind=f"f5_{kind}", name=f"lb1/{kind}", device=device, config={"glob": [str(tmp_path / f"{kind}*.log*")]}
        )

    return make


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def syslog(at: datetime, text: str) -> str:
    return f"{stamp(at)} 10.0.0.1 <133>{at:%b %d %H:%M:%S} lb1.example.net {text}\n"


def request(at: datetime, number: int, kind: str = "request", status: int = 200) -> str:
    only_response = f'server_ip="10.1.0.1",server_port="80",http_statcode="{status}",response_us="900",'
    return (
        f'{stamp(at)} 10.0.0.1 airf5="1",kind="{kind}",ts="{at.timestamp():.6f}",hostname="lb1.example.net",'
        f'virtual_name="/Common/vs",virtual_ip="10.0.0.9",virtual_port="80",pool="/Common/p",client_ip="10.2.0.1",'
        f'client_port="{10_000 + number}",{only_response if kind == "response" else ""}http_method="GET",host="vs",'
        f'correlation_id="",traceparent="",task="",xff="",ua="curl",http_uri="/n/{number}"\n'
    )


def pairs(start: datetime, count: int, first: int = 0) -> str:
    moments = [(start + timedelta(milliseconds=10 * n), first + n) for n in range(count)]
    return "".join(request(at, n) + request(at, n, "response") for at, n in moments)


def an_airflow() -> Feed:
    config = {"base_url": "http://airflow.example", "token": "env:T"}
    return actions.configure_source("airflow_api", "prod", None, None, config, "ann")


def just_now() -> datetime:
    return timezone.now().replace(microsecond=0) - timedelta(seconds=20)


def test_requests_become_rows_and_the_batch_adds_up(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    feed, start = a_feed("request"), just_now()
    lonely = request(start, 99)
    (tmp_path / "request.log").write_text(pairs(start, 3) + lonely + "nothing that is known\n")
    assert ingest(feed) == 8
    batch = Batch.objects.get()
    assert (batch.read, batch.rows, batch.halves, batch.repeated, batch.rejected) == (8, 6, 1, 0, 1)
    assert (Request.objects.count(), RequestHalf.objects.count(), Reject.objects.count()) == (3, 1, 1)
    assert Reject.objects.get().raw == "nothing that is known"


def test_a_feed_that_talks_is_complete_up_to_its_newest_line(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    feed, start = a_feed("request"), just_now()
    (tmp_path / "request.log").write_text(pairs(start, 1))
    ingest(feed)
    feed.refresh_from_db()
    assert feed.state == Feed.State.OK and feed.complete_to is not None and feed.complete_to >= start
    assert feed.last_row_at == start


def test_a_feed_that_fell_silent_is_complete_no_further(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    feed, start = a_feed("request"), just_now() - timedelta(minutes=10)
    (tmp_path / "request.log").write_text(pairs(start, 1))
    ingest(feed)
    feed.refresh_from_db()
    assert (feed.state, feed.complete_to) == (Feed.State.LATE, start)
    assert feed.message.startswith("Nothing was received since")


def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(
    a_feed: Callable[[str], Feed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, start = a_feed("request"), just_now()
    (tmp_path / "request.log").write_text(pairs(start, 50))
    monkeypatch.setattr("ingest.sources.spool.follow.__defaults__", (7,))
    commit, calls = leases.commit_cursor, [0]

    def killed(*args: Any, **fields: Any) -> None:
        calls[0] += 1
        commit(*args, **fields)
        if calls[0] % 3 == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(leases, "commit_cursor", killed)
    for _ in range(20):
        try:
            ingest(feed)
        except KeyboardInterrupt:
            continue
    assert len(set(Request.objects.values_list("ts", flat=True))) == Request.objects.count() == 50
    assert Batch.objects.aggregate(read=Sum("read"))["read"] == 100
    assert SpoolFile.objects.get().offset == (tmp_path / "request.log").stat().st_size


def test_a_worker_that_was_replaced_stores_nothing(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    feed = a_feed("request")
    (tmp_path / "request.log").write_text(pairs(just_now(), 5))
    old = leases.take(feed.pk, "paused", seconds=-1)
    assert old is not None and leases.take(feed.pk, "another")
    assert pipeline.ingest(feed, old) == 0
    assert not Request.objects.exists() and not Batch.objects.exists() and not SpoolFile.objects.exists()


def test_rotation_between_two_turns_stores_every_line_once(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    feed, start, path = a_feed("request"), just_now(), tmp_path / "request.log"
    path.write_text(pairs(start, 3))
    ingest(feed)
    with path.open("a") as file:
        file.write(pairs(start + timedelta(seconds=1), 2, 10))
    path.rename(tmp_path / "request.log.1")
    path.write_text(pairs(start + timedelta(seconds=2), 2, 20))
    ingest(feed)
    assert Request.objects.count() == 7
    assert ingest(feed) == 0


def test_lines_of_every_tmm_are_one_event_and_a_flap_is_three(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    feed, at = a_feed("ltm"), just_now()
    told = [(0, DOWN), (0, DOWN), (1, DOWN), (2, UP), (3, DOWN)]
    (tmp_path / "ltm.log").write_text("".join(syslog(at + timedelta(seconds=n), text) for n, text in told))
    ingest(feed)
    events = HealthEvent.objects.order_by("at").values_list("state", "count", "f5_pool__name", "member__name")
    pool, member = "/Common/p", "/Common/m1:80"
    assert list(events) == [("down", 3, pool, member), ("up", 1, pool, member), ("down", 1, pool, member)]
    assert list(Batch.objects.values_list("read", "rows", "repeated", "rejected")) == [(5, 3, 2, 0)]
    assert (Member.objects.get().state, Member.objects.get().since) == ("down", at + timedelta(seconds=3))


def test_an_event_that_another_turn_brings_again_is_counted(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    feed, at = a_feed("ltm"), just_now()
    for turn in range(2):
        (tmp_path / f"ltm-{turn}.log").write_text(syslog(at + timedelta(seconds=turn), DOWN))
        ingest(feed)
    assert HealthEvent.objects.get().count == 2


def test_a_member_known_by_its_address_gets_its_name(
    device: Device, a_feed: Callable[[str], Feed], tmp_path: Path
) -> None:
    pool = F5Pool.objects.create(group=device.group, name="/Common/p")
    known = Member.objects.create(f5_pool=pool, name="10.1.0.1:80", address="10.1.0.1", port=80)
    (tmp_path / "ltm.log").write_text(syslog(just_now(), DOWN.replace("m1:80", "10.1.0.1:80")))
    ingest(a_feed("ltm"))
    known.refresh_from_db()
    assert (known.name, known.state, Member.objects.count()) == ("/Common/10.1.0.1:80", "down", 1)


def test_messages_that_the_device_held_back_are_a_gap(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    text = "warning syslog-ng[3]: Per-invocation log rate exceeded; throttling."
    held = "notice tmm[11612]: 01010028:5: Re-enabling general logging; held 26 messages"
    feed, at = a_feed("ltm"), just_now()
    (tmp_path / "ltm.log").write_text(syslog(at, text) + syslog(at, held))
    ingest(feed)
    assert Gap.objects.filter(feed=feed, missing=26).exists()


def test_an_audit_fact_is_stored_once_even_if_two_relays_bring_it(
    a_feed: Callable[[str], Feed], tmp_path: Path
) -> None:
    at = just_now()
    line = syslog(at, AUDIT + "cmd_data=modify ltm pool /Common/p members modify { m1:80 { session user-disabled } }")
    again = stamp(at + timedelta(seconds=1)) + line[len(stamp(at)) :]
    (tmp_path / "audit.log").write_text(line + again)
    ingest(a_feed("audit"))
    action = UserAction.objects.get()
    assert (action.layer, action.source, action.actor, action.verb) == ("f5", "lb1", "ann", "modify")
    assert list(Batch.objects.values_list("rows", "repeated")) == [(1, 1)]


def test_a_line_from_another_time_is_rejected(a_feed: Callable[[str], Feed], tmp_path: Path) -> None:
    (tmp_path / "ltm.log").write_text(syslog(datetime(2020, 1, 1, tzinfo=UTC), DOWN))
    ingest(a_feed("ltm"))
    assert not HealthEvent.objects.exists() and "outside of what is kept" in Reject.objects.get().reason


@pytest.mark.parametrize(
    ("error", "state"),
    [(SourceUnavailable("No answer."), Feed.State.DOWN), (SourceRefused("No rights."), Feed.State.REFUSED)],
)
def test_a_source_that_fails_is_said_and_left_alone_for_a_while(
    error: Exception, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = an_airflow()

    def fails(*args: Any) -> int:
        raise error

    monkeypatch.setattr(airflow_feed, "read", fails)
    assert ingest(feed) == 0
    feed.refresh_from_db()
    assert (feed.state, feed.message, feed.failures) == (state, str(error), 1)
    assert feed.pk not in tasks.due_feeds()


def answers(request: httpx.Request) -> httpx.Response:
    """A small Airflow: one failed try with its log, and connections that our role may not see."""
    path = request.url.path.removeprefix("/api/v2")
    key = {"dag_id": "orders", "dag_run_id": "run", "task_id": "get", "map_index": -1, "try_number": 1}
    ended = {"state": "failed", "queued_when": "2026-11-22T09:25:00Z", "end_date": "2026-11-22T09:25:09Z"}
    lists = {"/pools": "pools", "/jobs": "jobs", "/dags": "dags", "/eventLogs": "event_logs"}
    bodies: dict[str, Any] = {path: {name: [], "total_entries": 0} for path, name in lists.items()}
    bodies |= {
        "/version": {"version": "3.3.2"},
        "/monitor/health": {"scheduler": {"status": "healthy"}},
        "/dags/~/dagRuns": {"dag_runs": [], "total_entries": 0},
        "/dags/~/dagRuns/~/taskInstances": {
            "task_instances": [{**key, **ended, "id": "01a20293-307c-7d8c-897a-e0618d3223f0"}],
            "total_entries": 1,
        },
        "/dags/orders/dagRuns/run/taskInstances/get/logs/1": {
            "content": [{"timestamp": "2026-11-22T09:25:09Z", "event": "Task failed", "level": "error"}]
        },
    }
    if path == "/connections":
        return httpx.Response(403, json={"detail": "Forbidden"})
    return httpx.Response(200, json=bodies[path]) if path in bodies else httpx.Response(404, json={"detail": path})


def test_a_pull_of_airflow_stores_tries_then_their_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "a-token")
    feed = an_airflow()
    for _ in range(2):
        epoch = leases.take(feed.pk, "test")
        assert epoch is not None
        airflow_feed.read(feed, epoch, 60, transport=httpx.MockTransport(answers), sleep=lambda _: None)
        leases.release(feed.pk, epoch)
    row = Try.objects.get()
    assert (row.state, row.log_state, row.judge) == ("failed", "fetched", True)
    feed.refresh_from_db()
    assert feed.state == Feed.State.OK and feed.complete_to and feed.next_at
    assert [refusal["endpoint"] for refusal in feed.refusals] == ["/connections"]
    assert not Batch.objects.exclude(read=F("rows") + F("halves") + F("repeated") + F("rejected")).exists()


def an_airflow_2(request: httpx.Request) -> httpx.Response:
    """Recorded answers of a 2.11.2 with one task instance that was retried."""
    path = request.url.path
    run = "/api/v1/dags/orders_sync/dagRuns/manual__2026-11-22T10:49:02.437052+00:00/taskInstances/get_orders"
    files = {
        "/api/v2/version": "v2_absent",
        "/api/v1/version": "version",
        "/api/v1/health": "health",
        "/api/v1/pools": "pools",
        "/api/v1/connections": "connections",
        "/api/v1/dags/~/dagRuns": "dagRuns_updated_gte",
        f"{run}/tries": "ti_tries_http_retried",
        f"{run}/logs/1": "ti_logs_json_http_retried",
    }
    if path in files:
        told = json.loads((V1 / f"{files[path]}.json").read_text())
        content = told["body"] if isinstance(told["body"], str) else json.dumps(told["body"])
        if isinstance(told["body"], dict) and "dag_runs" in told["body"]:
            content = json.dumps(told["body"] | {"total_entries": len(told["body"]["dag_runs"])})
        kind = {"content-type": told["headers"]["content-type"]}
        return httpx.Response(told["status"], content=content.encode(), headers=kind)
    one = json.loads((V1 / "ti_http_retried.json").read_text())["body"]
    lists = {"/dags": [], "/eventLogs": [], "/dags/~/dagRuns/~/taskInstances": [one]}
    names = {"/dags": "dags", "/eventLogs": "event_logs", "/dags/~/dagRuns/~/taskInstances": "task_instances"}
    path = path.removeprefix("/api/v1")
    return httpx.Response(200, json={names[path]: lists[path], "total_entries": len(lists[path])})


def test_an_airflow_2_is_stored_as_an_airflow_3_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "a-token")
    feed = an_airflow()
    for _ in range(3):  # the tries, then what their history names, then the log of the one that failed
        epoch = leases.take(feed.pk, "test")
        assert epoch is not None
        airflow_feed.read(feed, epoch, 60, transport=httpx.MockTransport(an_airflow_2), sleep=lambda _: None)
        leases.release(feed.pk, epoch)
    feed.refresh_from_db()
    assert feed.state == Feed.State.OK and feed.complete_to, feed.message
    assert feed.airflow is not None
    assert (feed.airflow.version, feed.airflow.api) == ("2.11.2", "v1")
    known = {t.try_number: t for t in Try.objects.all()}
    assert {number: (t.state, t.ti_id, t.log_state) for number, t in known.items()} == {
        1: ("failed", None, "fetched"), 2: ("success", None, ""),
    }  # fmt: skip
    assert known[1].log.facts["http_status"] == 503 and known[2].path.startswith("flaky/1/")
    assert feed.airflow.runs.count() == 3 and feed.airflow.connections.get().host == "127.0.0.1"
    assert [one["endpoint"] for one in feed.refusals] == ["/jobs"]


def test_a_pull_that_takes_more_than_a_turn_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "a-token")
    feed = an_airflow()
    for seconds, state in ((-1.0, Feed.State.LATE), (60.0, Feed.State.OK)):
        epoch = leases.take(feed.pk, "test")
        assert epoch is not None
        airflow_feed.read(feed, epoch, seconds, transport=httpx.MockTransport(answers), sleep=lambda _: None)
        leases.release(feed.pk, epoch)
        feed.refresh_from_db()
        assert feed.state == state and ("goes on" in feed.message) is (state == Feed.State.LATE)
        assert feed.last_ok_at and feed.cursor["api"] == "v2"
    assert Try.objects.exists()


def test_a_secret_in_clear_is_refused_and_a_new_address_needs_it_again() -> None:
    def configure(**config: Any) -> Feed:
        return actions.configure_source("airflow_api", "prod", None, None, config, "ann")

    with pytest.raises(actions.Refused):
        configure(base_url="http://a", password="hunter2")
    configure(base_url="http://a", password="env:PW")
    with pytest.raises(actions.Refused):
        configure(base_url="http://b")
    assert list(UserAction.objects.values_list("verb", "actor", "target")) == [("create_source", "ann", "prod")]


def test_a_person_acknowledges_once_and_each_note_is_recorded() -> None:
    now = timezone.now()
    incident = Incident.objects.create(
        fingerprint="f", culprit="route", cause="member_down", component="m1", start=now, last_evidence_at=now
    )
    actions.acknowledge_incident(incident.pk, "ann")
    assert actions.acknowledge_incident(incident.pk, "bob").acknowledged_by == "ann"
    actions.add_note(incident.pk, " looking ", "bob")
    with pytest.raises(actions.Refused):
        actions.add_note(incident.pk, " ", "bob")
    verbs = list(UserAction.objects.order_by("id").values_list("verb", "actor"))
    assert verbs == [("acknowledge_incident", "ann"), ("add_note", "bob")]
    assert incident.notes.get().text == "looking"
