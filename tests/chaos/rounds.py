"""What is done to the world while lines come. Each round ends with everything let go; `settle` then looks what is there."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import airflow
from tests.chaos.lines import Stream
from tests.chaos.machine import ROOT
from tests.chaos.points import Group
from tests.chaos.sending import DEVICES, Pusher, Sender
from tests.chaos.world import World

HIT_S = 180.0  # a busy machine takes its time to start a process again
Round = Callable[[World], None]


@dataclass(slots=True)
class Feeding:
    """Lines from every side: a device by TCP, one that writes files, one that pushes, and an Airflow."""

    world: World
    sender: Sender
    pusher: Pusher
    stream: Stream
    file: Path
    run: str

    @classmethod
    def of(cls, world: World) -> Feeding:
        stream = world.stream()
        file = world.spool / DEVICES["files"] / f"request-{stream.number}.log"
        feeding = cls(world, world.sender(), world.pusher(), stream, file, f"run_{stream.number}")
        world.airflow.add(feeding.run, 20, late_s=world.rng.random() * 4, failed=1)
        return feeding

    @property
    def streams(self) -> list[Stream]:
        return [self.sender.stream, self.pusher.stream, self.stream]

    def step(self, count: int = 60) -> None:
        """A few lines more from each."""
        rng = self.world.rng
        self.world.send(self.sender, self.sender.stream.lines(count, rng))
        self.world.write(self.file, self.stream, self.stream.lines(count, rng), "files")
        self.world.push(self.pusher, self.pusher.stream.events(8))
        self.world.airflow.add(f"{self.run}_{self.stream.seq}", 2, late_s=rng.random() * 3)

    def on(self, seconds: float) -> None:
        """Lines for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
            self.world.pause(0.2)

    def close(self) -> None:
        """The answers that are still owed."""
        self.world.send(self.sender, self.sender.stream.rest())
        self.world.write(self.file, self.stream, self.stream.rest(), "files")

    def until_hit(self, *points: str) -> None:
        """Lines until somebody has come by each of these points."""
        end = time.monotonic() + HIT_S
        while set(points) & set(self.world.armed()):
            if time.monotonic() > end:
                raise TimeoutError(f"nobody came by {', '.join(self.world.armed())}")
            self.step(20)
            self.world.pause(0.4)


def at_points(world: World, group: Group) -> None:
    """kill -9 at every point of a group, one after the other as they are reached."""
    if any(point.startswith("rejects.") for point in group.points):
        return read_again(world, group.points)
    world.arm(*group.points)
    feeding = Feeding.of(world)
    feeding.until_hit(*group.points)
    world.kills += len(group.points)
    feeding.close()
    return None


def read_again(world: World, points: tuple[str, ...] = ()) -> None:
    """Rejects are read again after a mend, by a command that is killed at each of these points."""
    stream = world.stream()
    path = world.spool / DEVICES["late"] / f"request-{stream.number}.log"
    waiting = "SELECT count(*) FROM ingest_reject WHERE feed_id = %s AND raw LIKE %s"
    which = (world.feeds["late/request"], f"%/chaos/{stream.number}/%")

    def waits() -> int:
        return int(next(iter(world.ask(waiting, *which)), (-1,))[0])

    for point in points or ("",):
        world.mend(False)
        world.pause(0.5)
        had = world.until(lambda: waits() + 1, HIT_S, "the database answers") - 1
        world.write(path, stream, stream.answers(60), "late")
        world.until(lambda had=had: waits() == had + 60, HIT_S, "60 lines more are rejected")  # type: ignore[misc]
        world.mend(True)
        if point:
            world.arm(point)
            world.until(lambda: _replayed(world) == -signal.SIGKILL, HIT_S, "the command is killed at its point")
            world.kills += 1
    world.until(lambda: _replayed(world) == 0 and waits() == 0, HIT_S, "all is read again")
    world.mend(False)


def _replayed(world: World) -> int:
    """Read the rejects of the device `late` again; how the command ended."""
    running = subprocess.Popen(
        [sys.executable, "manage.py", "rejects", "replay", "late/request"],
        cwd=ROOT, env=world.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while running.poll() is None:
        world.pause(0.1)
    return int(running.returncode)


def random_kills(world: World, times: int = 6) -> None:
    """kill -9 of each kind of process, in any order, while lines come."""
    feeding = Feeding.of(world)
    kinds = ["receive", "worker", "child", "beat", "web", "child"]
    world.rng.shuffle(kinds)
    for number in range(times):
        feeding.on(0.3 + world.rng.random() * 1.5)
        world.kill(kinds[number % len(kinds)])
    feeding.on(1.0)
    feeding.close()


def database_stops(world: World) -> None:
    """PostgreSQL is stopped at once while a worker is in the middle of its transaction, behind the COPY."""
    feeding = Feeding.of(world)
    world.arm("requests.copied", action="stop")
    feeding.until_hit("requests.copied")
    stopped = world.hits()[-1][2]
    os.kill(world.service("postgres"), signal.SIGQUIT)
    world.kills += 1
    feeding.on(0.5)
    os.kill(stopped, signal.SIGCONT)
    feeding.on(2.0)
    feeding.close()


def database_killed(world: World) -> None:
    """kill -9 of PostgreSQL while lines come."""
    feeding = Feeding.of(world)
    feeding.on(1.0 + world.rng.random() * 2)
    os.kill(world.service("postgres"), signal.SIGKILL)
    world.kills += 1
    feeding.on(2.0)
    feeding.close()


def broker_suffers(world: World, paused_s: float = 4.0) -> None:
    """Valkey is flushed, paused and killed."""
    import redis

    feeding = Feeding.of(world)
    feeding.on(1.0)
    with redis.Redis.from_url(world.environment["REDIS_URL"], socket_timeout=2) as client:
        client.flushall()
    feeding.on(1.0)
    pid = world.service("valkey")
    os.kill(pid, signal.SIGSTOP)
    feeding.on(paused_s)
    os.kill(pid, signal.SIGCONT)
    feeding.on(0.5)
    os.kill(world.service("valkey"), signal.SIGKILL)
    world.kills += 1
    feeding.on(1.5)
    feeding.close()


def zombie(world: World) -> None:
    """A worker is stopped with a chunk in its hands until its lease has ended, another reads on, and it wakes up again."""
    feeding = Feeding.of(world)
    files = world.feeds["files/request"]
    world.arm("chunk.read", action="stop")
    before = time.monotonic()
    while "chunk.read" in world.armed():
        world.write(feeding.file, feeding.stream, feeding.stream.lines(50, world.rng), "files")
        world.pause(0.4)
        if time.monotonic() - before > HIT_S:
            raise TimeoutError("nobody came by chunk.read")
    stopped = world.hits()[-1][2]
    # Its minute is over: what the clock would do, done at once
    world.until(lambda: world.ask("SELECT 1"), HIT_S, "the database answers")
    was = dict(world.ask("SELECT id, epoch FROM ingest_feed"))
    world.change("UPDATE ingest_feed SET lease_until = now() - interval '1 second' WHERE id = %s", files)
    offset = (
        'SELECT coalesce(sum("offset"), 0)::bigint FROM ingest_spoolfile WHERE feed_id = %s HAVING sum("offset") >= %s'
    )
    size = sum(path.stat().st_size for path in feeding.file.parent.iterdir())
    taken = "SELECT 1 FROM ingest_feed WHERE id = %s AND epoch > %s"
    world.until(lambda: world.ask(taken, files, was[files]), HIT_S, "another worker takes the lease")
    world.until(lambda: world.ask(offset, files, size), HIT_S, "another worker reads to the end")
    os.kill(stopped, signal.SIGCONT)
    feeding.on(1.0)
    feeding.close()


def rotation(world: World, turns: int = 9) -> None:
    """A file is renamed, copied and truncated, and packed, again and again while it is written."""
    stream, rng = world.stream(), world.rng
    folder = world.spool / DEVICES["files"]
    path = folder / f"request-{stream.number}.log"
    for turn in range(turns):
        for _ in range(rng.randrange(1, 4)):
            world.write(path, stream, stream.lines(80, rng), "files")
            world.pause(rng.random() * 0.4)
        aside = folder / f"request-{stream.number}.log.{turn}"
        how = ("rename", "copytruncate", "gzip")[turn % 3]
        if how == "copytruncate":
            shutil.copyfile(path, aside)
            os.truncate(path, 0)
        elif how == "rename":
            path.rename(aside)
        else:
            path.rename(aside)
            packed = Path(f"{aside}.gz")
            with aside.open("rb") as plain, gzip.open(packed, "wb") as out:
                shutil.copyfileobj(plain, out)
            if rng.random() < 0.5:
                world.pause(rng.random() * 2)
            aside.unlink()
        world.pause(rng.random() * 0.5)
    world.write(path, stream, stream.lines(40, rng) + stream.rest(), "files")


def pieces(world: World, times: int = 2) -> None:
    """A writer stops in the middle of a line for longer than between two looks of a worker."""
    stream = world.stream()
    path = world.spool / DEVICES["files"] / f"request-{stream.number}.log"
    for _ in range(times):
        world.write(path, stream, stream.lines(40, world.rng), "files", torn_s=2.6)
    world.write(path, stream, stream.lines(10, world.rng) + stream.rest(), "files")


def disk_full(world: World) -> None:
    """The disk of the spool is full while lines come by TCP, and then it is not."""
    sender, folder = world.sender("small"), world.spool / DEVICES["small"]
    world.send(sender, sender.stream.lines(100, world.rng))
    world.until(lambda: not world.undelivered(sender), 20, "the first lines are on the small disk")
    filler, block = folder / "filler", bytes(4096)
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(block)
        except OSError:
            pass
    for _ in range(10):
        world.send(sender, sender.stream.lines(100, world.rng))
        world.pause(0.3)
    if not world.undelivered(sender):
        raise AssertionError("the disk was not full")
    filler.unlink()
    world.pause(1.0)
    world.send(sender, sender.stream.rest())


def database_disk_full(world: World) -> None:
    """The database's disk is full, in the middle of everything, and then it is not."""
    feeding = Feeding.of(world)
    feeding.on(1.0)
    before = world.no_room_said()
    world.fill_database_disk()
    try:
        end = time.monotonic() + HIT_S
        while world.no_room_said() == before:
            if time.monotonic() > end:
                raise TimeoutError("the database's disk was not full")
            feeding.step(200)
            world.pause(0.3)
        feeding.on(4.0)
    finally:
        world.free_database_disk()
    feeding.on(1.0)
    feeding.close()


def airflow_faults(world: World, seconds: float = 1.0) -> None:
    """Airflow answers badly in every way, while tries end."""
    faults = list(airflow.FAULTS)
    world.rng.shuffle(faults)
    for fault in faults:
        world.airflow.add(f"fault_{fault.replace(' ', '_')}_{time.monotonic_ns()}", 3, late_s=world.rng.random())
        asked = world.airflow.answered
        world.airflow.fault = fault
        world.until(lambda asked=asked: world.airflow.answered > asked, HIT_S, f"it is asked while {fault}")  # type: ignore[misc]
        world.pause(seconds)
        world.airflow.fault = ""


def late_rows(world: World) -> None:
    """Rows that Airflow commits later than the time they bear."""
    for number in range(8):
        world.airflow.add(f"late_{time.monotonic_ns()}_{number}", 3, late_s=2.0 + world.rng.random() * 2)
        world.pause(0.7)


def power_cut_receiver(world: World) -> None:
    """The machine stops between the receiver's write and its sync; lines that a worker has read are stored by then."""
    feeding = Feeding.of(world)
    feeding.on(1.0)
    world.arm("receive.written", action="stop")
    feeding.until_hit("receive.written")
    world.pause(3.0)
    world.cut_power("receive")
    feeding.on(1.0)
    feeding.close()


def power_cut_web(world: World) -> None:
    """The machine stops right after a pushed batch was answered, before any worker could read it."""
    pusher = world.pusher()
    go_on = world.stop("worker")
    try:
        for _ in range(4):
            world.push(pusher, pusher.stream.events(8))
            time.sleep(0.05)
        world.cut_power("web")
    finally:
        go_on()
    world.pause(1.0)


SHORT: dict[str, Round] = {
    "kill -9 at random": random_kills,
    "PostgreSQL stopped behind a COPY": database_stops,
    "PostgreSQL killed": database_killed,
    "Valkey flushed, paused, killed": broker_suffers,
    "worker stopped past its lease": zombie,
    "rotation": rotation,
    "a line in two pieces": pieces,
    "disk full": disk_full,
    "disk full under PostgreSQL": database_disk_full,
    "Airflow answers badly": airflow_faults,
    "rows committed late": late_rows,
    "power cut, receiver": power_cut_receiver,
    "power cut, push": power_cut_web,
}
