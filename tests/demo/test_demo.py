"""The demo's replayed Airflow, sender, laps and supervisor, each against the code that will meet it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airf5.demo import api, laps, recording, rows, sender
from airf5.demo.replay_server import ReplayServer, answer
from airf5.demo.supervisor import Program, Supervisor, wait_s
from ingest.parsers.airflow import parse_task_instance
from ingest.sources import airflow_api
from ingest.sources.airflow_session import Source
from ingest.sources.http import SourceRefused

ROOT = Path(__file__).parent.parent.parent
EPOCH = datetime(2027, 3, 1, 12, tzinfo=UTC)
LAP = EPOCH + timedelta(minutes=10)
STATE = laps.State(EPOCH, (LAP,))


@pytest.fixture(scope="module")
def told():
    return recording.load(ROOT / "captures" / "lab1")


def a_world(told, seconds, state=STATE):
    return api.World(told, state, LAP + timedelta(seconds=seconds))


def everything(list_, world, name, **query):
    found, cursor = [], ""
    while cursor is not None:
        page = list_(world, {"cursor": cursor, "order_by": "id", "limit": "100", **query})
        found += page[name]
        cursor = page["next_cursor"]
    return found


# --- laps ----------------------------------------------------------------------------------------------------------


def test_no_two_pieces_share_a_number():
    state = laps.State(EPOCH, tuple(LAP + n * laps.LAP_EVERY for n in range(5)))
    found = laps.pieces(state, EPOCH, EPOCH + timedelta(hours=5))
    assert len({piece.number for piece in found}) == len(found)
    assert Counter(piece.part for piece in found)["lap"] == 5


def test_nothing_healthy_starts_while_a_lap_runs():
    starts = [piece.start for piece in laps.pieces(STATE, EPOCH, EPOCH + timedelta(hours=1)) if piece.part != "lap"]
    assert not [start for start in starts if LAP <= start < LAP + laps.LAP_LENGTH]
    assert len(starts) > 60


def test_a_lap_that_runs_is_let_finish(tmp_path):
    first = laps.start_lap(tmp_path, EPOCH)
    assert len(first.laps) == 1
    assert laps.start_lap(tmp_path, EPOCH + timedelta(minutes=2)).laps == first.laps
    assert len(laps.start_lap(tmp_path, EPOCH + timedelta(minutes=13)).laps) == 2
    assert laps.load(tmp_path, EPOCH).epoch == EPOCH


def test_a_broken_state_file_begins_anew(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "laps.json").write_text("{")
    assert laps.begin(tmp_path, EPOCH) == laps.State(EPOCH)


# --- what the replayed Airflow shows -------------------------------------------------------------------------------


def test_a_lap_ends_as_it_was_recorded(told):
    found = everything(api.task_instances, a_world(told, 740), "task_instances")
    states = Counter(row["state"] for row in found)
    assert states["failed"] >= 15
    assert states["upstream_failed"] == 2


@pytest.mark.long
def test_a_row_waiting_for_its_retry_shows_the_trap(told):
    seen = {}
    for seconds in range(60, 740, 8):
        for row in everything(api.task_instances, a_world(told, seconds), "task_instances", state="up_for_retry"):
            seen.setdefault(rows.key_of(row), row)
    assert len(seen) >= 10
    later = {row["id"]: row for row in everything(api.task_instances, a_world(told, 740), "task_instances")}
    for row in seen.values():
        assert row["try_number"] == 1
        assert later[row["id"]]["try_number"] == 2  # the next try's UUID, already
        assert parse_task_instance(row).ti_id is None


def test_each_try_is_seen_under_its_own_uuid(told):
    bound = {}
    for seconds in range(50, 110, 2):  # the first fault, with its retries
        for row in everything(api.task_instances, a_world(told, seconds), "task_instances"):
            record = parse_task_instance(row)
            if record.ti_id and record.try_number:
                bound.setdefault(record.ti_id, set()).add((rows.key_of(row), record.try_number))
    assert {number for tries in bound.values() for _, number in tries} == {1, 2}
    assert all(len(tries) == 1 for tries in bound.values())


def test_the_filter_by_change_finds_what_changed_and_nothing_else(told):
    world = a_world(told, 300)
    since = (world.now - timedelta(seconds=30)).isoformat()
    changed = everything(api.task_instances, world, "task_instances", updated_at_gte=since)
    before = {row["id"]: row["state"] for row in everything(api.task_instances, a_world(told, 270), "task_instances")}
    assert 0 < len(changed) < 60
    now = {row["id"]: row["state"] for row in everything(api.task_instances, world, "task_instances")}
    assert {id_ for id_, state in now.items() if before.get(id_) != state} <= {row["id"] for row in changed}


def test_it_has_the_habits_of_the_real_one(told):
    world = a_world(told, 740)
    assert len(api.task_instances(world, {"limit": "1000", "nonsense": "1"})["task_instances"]) == 100
    with pytest.raises(api.ApiError, match="updated_at"):
        api.task_instances(world, {"order_by": "updated_at"})
    assert "updated_at" not in api.task_instances(world, {"limit": "1"})["task_instances"][0]


def test_a_log_exists_when_its_try_is_over(told):
    world = a_world(told, 740)
    wanted = next(one for told_ in world.told for one in told_["task_logs"])
    path = f"/dags/{wanted['dag_id']}/dagRuns/{wanted['run_id']}/taskInstances/{wanted['task_id']}/logs/1"
    query = {"map_index": str(wanted["map_index"])}
    assert answer(world, path, query)["content"]
    with pytest.raises(api.ApiError):
        answer(a_world(told, -60), path, query)


def test_our_source_reads_it_as_the_real_thing(told, tmp_path):
    laps.begin(tmp_path, datetime.now(UTC) - timedelta(minutes=5))
    laps.start_lap(tmp_path, datetime.now(UTC) - timedelta(minutes=4))
    server = ReplayServer(("127.0.0.1", 0), told, tmp_path, "airf5", "pw")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address, options = f"http://127.0.0.1:{server.server_port}", {"allow": ["127.0.0.1/32"]}
        source = Source("demo", address, "airf5", "pw", options=options)
        pages = list(airflow_api.read(source, None))
        kinds = Counter({page.kind: len(page.items) for page in pages if page.items})
        assert {"version", "health", "dags", "pools", "jobs", "connections", "event_logs"} <= set(kinds)
        items = [item for page in pages if page.kind == "task_instances" for item in page.items]
        assert len({item["id"] for item in items}) == len(items) > 60
        failed = next(item for item in items if item["state"] == "failed")
        key = airflow_api.TryKey(*(failed[name] for name in ("dag_id", "dag_run_id", "task_id", "map_index")), 1)
        wanted = airflow_api.Wanted((key,), (key,))
        details = [
            page for page in airflow_api.read(source, pages[-1].cursor, wanted) if page.kind in ("tries", "task_logs")
        ]
        assert [page.kind for page in details] == ["tries", "task_logs"]
        assert details[1].items[0]["found"]
        with pytest.raises(SourceRefused, match="does not accept user"):
            list(airflow_api.read(Source("demo", address, "airf5", "wrong", options=options), None))
    finally:
        server.shutdown()
        server.server_close()


# --- what the replayed BIG-IP sends --------------------------------------------------------------------------------


def test_every_line_of_a_lap_is_sent_once_and_in_time(told):
    sent, place = [], LAP - timedelta(seconds=1)
    while place < LAP + laps.LAP_LENGTH:
        until = place + timedelta(seconds=7.5)
        sent += sender.due(told, laps.State(EPOCH - timedelta(days=1), (LAP,)), place, until)
        place = until
    lap_lines = told.parts["lap"].lines
    assert len(sent) >= len(lap_lines)
    assert sum(b"AUDIT" in line for line in sent) == sum(b"AUDIT" in line.raw for line in lap_lines)
    stamps = [int(match[1]) for line in sent if (match := re.search(rb'ts="(\d+)\.', line))]
    assert min(stamps) >= (LAP - timedelta(seconds=30)).timestamp()
    assert not any(b"2026-11-22" in line or b"Nov 22" in line for line in sent)


def test_a_healthy_run_has_both_its_sides(told):
    piece = next(one for one in laps.pieces(STATE, EPOCH, LAP) if one.part == "orders_sync")
    ids = {ti["id"] for ti in recording.tell(told.parts["orders_sync"], piece)["taskInstances"]}
    part = told.parts["orders_sync"]
    lines = recording.lines_between(part, piece, piece.start, piece.start + timedelta(minutes=1))
    found = {match[1].decode() for _, _, raw in lines if (match := re.search(rb"task-instances/([0-9a-f-]{36})", raw))}
    assert found == ids
    assert not any(b'http_statcode="5' in raw for _, _, raw in lines)


def test_the_sender_goes_on_where_it_stopped(tmp_path):
    (tmp_path / "demo").mkdir()
    assert sender.read_place(tmp_path, EPOCH) == EPOCH
    sender.write_place(tmp_path, EPOCH)
    assert sender.read_place(tmp_path, EPOCH + timedelta(minutes=1)) == EPOCH
    assert sender.read_place(tmp_path, EPOCH + timedelta(hours=1)) == EPOCH + timedelta(hours=1)


class ALink:
    """A receiver that writes what it is told to, and dies after so many lines of each of its lives."""

    def __init__(self, file, lives):
        self.file, self.lives_left, self.sent = file, list(lives), []

    def send(self, messages):
        self.sent.append(list(messages))
        keeps = self.lives_left[0]
        with self.file.open("ab") as out:
            out.writelines(b"2026-11-22T09:25:10Z 127.0.0.1 %s\n" % one for one in messages[:keeps])
            out.write(b"2026-11-22T09:25:10Z 127.0.0.1 tor" if keeps < len(messages) else b"")

    def lives(self, seconds):
        if self.lives_left[0] >= len(self.sent[-1]):
            return True
        self.lives_left.pop(0)
        self.file = self.file.with_name(f"request-{len(self.sent)}.log")  # a new life, a new file
        return False


def test_what_a_dead_receiver_took_with_it_is_sent_again_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "RETRY_S", 0)
    link, spooled = ALink(tmp_path / "request-0.log", (3, 0, 9)), sender.Spooled(tmp_path, EPOCH - timedelta(days=900))
    messages = [b"one", b"two", b"two", b"three", b"", b"four"]
    sender.deliver(link, spooled, messages)
    assert link.sent == [[b"one", b"two", b"two", b"three", b"four"], [b"three", b"four"], [b"three", b"four"]]
    written = [line.split(b" ", 2)[2] for file in tmp_path.iterdir() for line in file.read_bytes().split(b"\n")[:-1]]
    assert sorted(written) == sorted(filter(None, messages))


def test_a_sender_that_starts_again_looks_what_is_there_already(tmp_path):
    (tmp_path / "ltm-0.log").write_bytes(b"t h one\nt h two\nt h thr")
    link = ALink(tmp_path / "ltm-1.log", (9,))
    sender.deliver(link, sender.Spooled(tmp_path, EPOCH - timedelta(days=900)), [b"one", b"two", b"three"])
    assert link.sent == [[b"three"]]


# --- the supervisor ------------------------------------------------------------------------------------------------


def a_supervisor(tmp_path, *programs, say=lambda words: None):
    return Supervisor(programs, tmp_path / "logs", dict(os.environ), say)


def sleeper(name, file):
    script = f"import os,time; open({str(file)!r}, 'a').write(str(os.getpid()) + '\\n'); time.sleep(60)"
    return Program(name, [sys.executable, "-c", script])


def wait_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pids(file):
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_a_child_that_dies_is_started_again_and_told(tmp_path):
    said, file = [], tmp_path / "pids"
    supervisor = a_supervisor(tmp_path, sleeper("web", file), say=said.append)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    supervisor.start()
    try:
        (first,) = wait_for(lambda: pids(file))
        os.kill(first, signal.SIGKILL)

        def restarted():
            for child in supervisor.children:
                supervisor._look_after(child)
            return len(pids(file)) == 2

        wait_for(restarted)
        assert "web ended (signal SIGKILL)" in said[0]
    finally:
        supervisor.stop()
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert not any(map(alive, pids(file)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_the_supervisor(tmp_path, number):
    file = tmp_path / "pids"
    script = (
        f"import sys, pathlib; sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]\n"
        "from test_demo import a_supervisor, sleeper\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "one = a_supervisor(folder, sleeper('a', folder / 'pids'), sleeper('b', folder / 'pids'))\n"
        "one.start(); one.watch()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    wait_for(lambda: len(pids(file)) == 2)
    process.send_signal(number)
    process.wait(20)
    wait_for(lambda: not any(map(alive, pids(file))))


def test_the_wait_before_a_restart_grows_and_is_bounded():
    assert [wait_s(deaths) for deaths in (1, 2, 3, 9)] == [1, 2, 4, 30]


def test_the_state_file_is_plain_json(tmp_path):
    laps.start_lap(tmp_path, EPOCH)
    assert set(json.loads((tmp_path / "demo" / "laps.json").read_text())) == {"epoch", "laps"}
