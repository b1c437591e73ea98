"""A made-up day on which many tries failed: the tries of one Airflow, what their logs say, and every request they made.

Most failures come in storms, each on one virtual server and each of another kind: one member answers 503, all members
answer 500, or requests are never answered. The rest failed by their own code. Every second try sends X-Airflow-Task; the
calls of the others have to be found by time and path. Other tries went well meanwhile, and other clients called too.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest import records

ENDPOINTS = 20  # the first is the Task Execution API's
MEMBERS = 4
CLIENTS = 40
STORMS = 20
STORM_S = 600
OF_STORMS = 0.8  # this share of the failed tries fails in storms, the rest on its own
WELL = 2  # tries that go well, per failed one
OTHERS = 30  # requests of other clients, per failed try
DAY_S = 86_400
HOST = "bigip-1.example.net"
WORKER = "apache-airflow-task-sdk/1.3.2 (Python/3.12.11)"
KINDS = ("member", "service", "lost")


@dataclass(frozen=True, slots=True)
class OneTry:
    """One try of the day; `kind`: how its call fails, "code" for its own fault, "" for none."""

    number: int
    uuid: str
    start_us: int
    endpoint: int
    kind: str
    header: bool

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """(dag, run, task, map index, try number)."""
        return (
            f"dag_{self.number % 50:02d}",
            f"scheduled__{self.number // 500}",
            f"task_{self.number // 50 % 10}",
            -1,
            1,
        )

    @property
    def path(self) -> str:
        return f"/orders/{self.number}"

    @property
    def client(self) -> str:
        return f"10.20.0.{self.number % CLIENTS + 10}"

    def at(self, seconds: float) -> datetime:
        """So many seconds after it was queued."""
        return datetime.fromtimestamp(self.start_us / 1e6, UTC) + timedelta(seconds=seconds)


def tries(failed: int, start_us: int, seed: int = 1) -> list[OneTry]:
    """The day's tries in order of their start: `failed` that failed, and those that went well."""
    rng = random.Random(seed)
    places: list[tuple[int, int, str]] = []
    for number in range(failed):
        storm = number % STORMS
        second = storm * DAY_S // STORMS + rng.uniform(300, 300 + STORM_S)
        if number < failed * OF_STORMS:
            places.append((int(second * 1e6), 1 + storm % (ENDPOINTS - 1), KINDS[storm % len(KINDS)]))
        else:
            places.append((int(rng.uniform(0, DAY_S - 60) * 1e6), rng.randrange(1, ENDPOINTS), "code"))
    places += [(int(rng.uniform(0, DAY_S - 60) * 1e6), rng.randrange(1, ENDPOINTS), "") for _ in range(WELL * failed)]
    return [
        OneTry(
            number, str(uuid.UUID(int=rng.getrandbits(128), version=4)), start_us + us, endpoint, kind, number % 2 == 0
        )
        for number, (us, endpoint, kind) in enumerate(sorted(places))
    ]


def log_of(one: OneTry) -> records.TaskLog:
    """What the log of a failed try says about its end."""
    key = (*one.key, one.uuid)
    if one.kind == "code":
        said = (("ValueError", "no rows for this day"),)
        return records.TaskLog(*key, exceptions=said, own_code=True, ended_at=one.at(12))
    host, url = f"10.1.0.{one.endpoint + 10}", f"http://10.1.0.{one.endpoint + 10}:443{one.path}"
    if one.kind == "lost":
        said = (("ConnectionError", "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))"),)
        return records.TaskLog(*key, exceptions=said, connection_error=True, ended_at=one.at(12))
    status = 503 if one.kind == "member" else 500
    said = (("HTTPError", f"{status} Server Error for url: {url}"),)
    return records.TaskLog(*key, exceptions=said, http_status=status, host=host, port=443, url=url, ended_at=one.at(12))


def spooled(day: list[OneTry], failed: int, start_us: int, seed: int = 2) -> Iterator[str]:
    """The spool lines of all requests of the day, in the order a receiver would get them."""
    rng = random.Random(seed)
    found = [line for one in day for line in _calls(rng, one)]
    for number in range(OTHERS * failed):
        ts = start_us + int(rng.uniform(0, DAY_S - 60) * 1e6)
        endpoint = rng.randrange(1, ENDPOINTS)
        found += _pair(rng, ts, endpoint, f"10.30.0.{number % 200}", "GET", f"/orders/x{number % 500}")
    for at, line in sorted(found):
        when = datetime.fromtimestamp(at // 1_000_000, UTC)
        yield f"{when:%Y-%m-%dT%H:%M:%S}.{at % 1_000_000:06d}Z 10.0.0.245 {line}\n"


def _calls(rng: random.Random, one: OneTry) -> Iterator[tuple[int, str]]:
    """The try reports to Airflow, calls its service twice, and reports its end."""
    task = ""
    if one.header:
        dag, run, name, index, number = one.key
        task = f"dag={dag};run={run};task={name};map={index};try={number};ti={one.uuid}"
    report = f"/execution/task-instances/{one.uuid}"
    for second, method, what in ((1.0, "PATCH", "run"), (5.0, "PUT", "heartbeat"), (12.0, "PATCH", "state")):
        ts = one.start_us + int(second * 1e6) + rng.randrange(1_000)
        yield from _pair(rng, ts, 0, one.client, method, f"{report}/{what}", agent=WORKER)
    ts = one.start_us + 3_000_000 + rng.randrange(1_000_000)
    yield from _pair(rng, ts, one.endpoint, one.client, "GET", "/login", task)
    bad = {"member": (503, 0), "service": (500, None), "lost": (None, None)}.get(one.kind, (200, None))
    yield from _pair(rng, ts + 5_000_000, one.endpoint, one.client, "GET", one.path, task, *bad)


def _pair(
    rng: random.Random, ts: int, endpoint: int, client: str, method: str, uri: str, task: str = "",
    status: int | None = 200, member: int | None = None, agent: str = "python-requests/2.34.2",
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """(receive time, message) of the request line and, with a status, of its response line."""
    where = (
        f'ts="{ts // 1_000_000}.{ts % 1_000_000:06d}",hostname="{HOST}",virtual_name="/Common/vs_{endpoint:02d}",'
        f'virtual_ip="10.1.0.{endpoint + 10}",virtual_port="443",pool="/Common/pool_{endpoint:02d}",'
        f'client_ip="{client}",client_port="{rng.randrange(20_000, 60_000)}",'
    )
    asked = (
        f'http_method="{method}",host="service{endpoint:02d}.example.net",correlation_id="",traceparent="",'
        f'task="{task}",xff="",ua="{agent}",http_uri="{uri}"'
    )
    yield ts, f'airf5="1",kind="request",{where}{asked}'
    if status is not None:
        member = rng.randrange(MEMBERS) if member is None else member
        took = int(rng.lognormvariate(9.5, 1.0)) + 300
        answer = (
            f'server_ip="10.2.{endpoint}.{member + 1}",server_port="8080",snat_ip="",http_statcode="{status}",'
            f'response_ms="{took // 1000}",response_us="{took}",bytes="{rng.randrange(200, 40_000)}",'
        )
        yield ts + took, f'airf5="1",kind="response",{where}{answer}{asked}'
