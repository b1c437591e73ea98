"""Made-up but realistic airf5/1 lines: the same seed writes the same bytes.

An Airflow fleet behind one BIG-IP: most calls are the Task Execution API's (a try's UUID in the path, a trace id per run),
the rest goes to services whose callers send X-Airflow-Task. Two in a hundred requests go badly, two in a thousand are never
answered.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

ENDPOINTS = 20
MEMBERS = 4
CLIENTS = 60
CALLS_OF_A_TRY = 14
PER_SECOND = 300
START_US = 1_795_305_600_000_000
AGENTS = (
    "apache-airflow-task-sdk/1.3.2 (Python/3.12.11)",
    "python-requests/2.34.2",
    "python-httpx/0.28.1",
    "Python/3.12 aiohttp/3.14.5",
    "curl/8.7.1",
)
PATHS = (
    "/orders",
    "/orders/{}",
    "/invoices",
    "/prices/SKU{:04d}",
    "/reports/daily?day={}",
    "/items?offset={}",
    "/login",
)
HOST = "bigip-1.example.net"


class _Try:
    """One try that makes calls: its own key, its run's trace id and the header its tasks send."""

    def __init__(self, rng: random.Random, number: int, fleet: int) -> None:
        self.uuid = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        run = number // 12
        self.trace = f"00-{fleet:016x}{run + 1:016x}-{rng.getrandbits(63) + 1:016x}-01"
        dag, task = f"dag_{run % 200:03d}", f"task_{number % 12}"
        self.task = (
            f"dag={dag};run=scheduled__2026-11-22T0{run % 10}:00:00+00:00;task={task};map=-1;try=1;ti={self.uuid}"
        )
        self.client = f"10.20.{rng.randrange(4)}.{rng.randrange(CLIENTS // 4) + 10}"


def pairs(count: int, seed: int = 1, start_us: int = START_US) -> Iterator[tuple[str, str | None]]:
    """(request message, response message or None) in order of the requests, without spool prefix; see `spool`."""
    rng = random.Random(seed)
    ts, made = start_us, 0
    tries = [_Try(rng, number, seed) for number in range(200)]
    while made < count:
        ts += int(rng.expovariate(PER_SECOND) * 1e6) + 1
        place = rng.randrange(len(tries))
        one = tries[place]
        if rng.random() < 1 / CALLS_OF_A_TRY:
            tries[place] = _Try(rng, made + 200, seed)
        yield _pair(rng, one, ts)
        made += 1


def _pair(rng: random.Random, one: _Try, ts: int) -> tuple[str, str | None]:
    if rng.random() < 0.6:
        endpoint, agent, task = 0, AGENTS[0], ""
        call = rng.random()
        method, what = ("PUT", "heartbeat") if call < 0.7 else ("PATCH", "run" if call < 0.85 else "state")
        uri = f"/execution/task-instances/{one.uuid}/{what}"
    else:
        endpoint, agent, task = rng.randrange(1, ENDPOINTS), AGENTS[rng.randrange(1, len(AGENTS))], one.task
        method, uri = rng.choice(("GET", "GET", "POST")), rng.choice(PATHS).format(rng.randrange(5000))
    virtual = f"10.1.0.{endpoint + 10}"
    where = (
        f'ts="{ts // 1_000_000}.{ts % 1_000_000:06d}",hostname="{HOST}",virtual_name="/Common/vs_{endpoint:02d}",'
        f'virtual_ip="{virtual}",virtual_port="443",pool="/Common/pool_{endpoint:02d}",client_ip="{one.client}",'
        f'client_port="{rng.randrange(20_000, 60_000)}",'
    )
    asked = (
        f'http_method="{method}",host="service{endpoint:02d}.example.net",correlation_id="",traceparent="{one.trace}",'
        f'task="{task}",xff="",ua="{agent}",http_uri="{uri}"'
    )
    request = f'airf5="1",kind="request",{where}{asked}'
    chance = rng.random()
    if chance < 0.002:
        return request, None
    status = 503 if chance < 0.012 else 404 if chance < 0.022 else 200
    took = int(rng.lognormvariate(9.5, 1.2)) + 300
    answer = (
        f'server_ip="10.2.{endpoint}.{rng.randrange(MEMBERS) + 1}",server_port="8080",snat_ip="",http_statcode="{status}",'
        f'response_ms="{took // 1000}",response_us="{took}",bytes="{rng.randrange(200, 40_000)}",'
    )
    return request, f'airf5="1",kind="response",{where}{answer}{asked}'


def spool(path: Path, count: int, seed: int = 1, start_us: int = START_US, response_only: bool = False) -> int:
    """Write `count` requests as a spool file, lines in the order a receiver would get them; the number of lines."""
    made = (
        (sent_us(request), None if response_only else request, took_us(response), response)
        for request, response in pairs(count, seed, start_us)
    )
    return write(path, made)


def write(path: Path, made: Iterable[tuple[int, str | None, int, str | None]]) -> int:
    """Write (time, request message, microseconds to the response, response message) as a receiver would get them."""
    waiting: list[tuple[int, int, str]] = []
    lines = 0
    with path.open("w", encoding="ascii", newline="\n") as file:
        for number, (at, request, took, response) in enumerate(made):
            while waiting and waiting[0][0] <= at:
                lines += _write(file, *heapq.heappop(waiting)[::2])
            if request is not None:
                lines += _write(file, at, request)
            if response is not None:
                heapq.heappush(waiting, (at + took, number, response))
        while waiting:
            lines += _write(file, *heapq.heappop(waiting)[::2])
    return lines


def took_us(response: str | None) -> int:
    """How long the answer took, as its message says; 0 without one."""
    return int(response.split('response_us="', 1)[1].split('"', 1)[0]) if response else 0


def sent_us(message: str) -> int:
    """When the request was taken, as its message says."""
    seconds, _, fraction = message.split('ts="', 1)[1].split('"', 1)[0].partition(".")
    return int(seconds) * 1_000_000 + int(fraction)


def _write(file: object, at: int, message: str) -> int:
    when = datetime.fromtimestamp(at // 1_000_000, UTC)
    file.write(f"{when:%Y-%m-%dT%H:%M:%S}.{at % 1_000_000:06d}Z 10.0.0.245 {message}\n")  # type: ignore[attr-defined]
    return 1
