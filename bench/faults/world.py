"""One simulated world: virtual servers and members, workers, DAGs and other clients, all from one seed.

Nothing of a fault stands here. Times are seconds since the epoch, latencies seconds, rates per minute.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

_NAMES = """
orders reports catalog billing stock prices invoices customers shipments search mail geo tax ledger media payments
returns vendors rates claims events scoring forms archive fleet meters sensors quotes tickets loyalty
"""
NAMES = tuple(_NAMES.split())
OWNERS = ("team-orders", "team-reports", "team-finance", "team-data", "team-logistics")


def stream(*key: object) -> random.Random:
    """The random numbers of one entity: the same key, the same numbers, whatever else happens."""
    digest = hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


@dataclass(slots=True)
class Member:
    node: str
    address: str
    port: int
    index: int

    @property
    def name(self) -> str:
        return f"/Common/{self.node}:{self.port}"


@dataclass(slots=True)
class Endpoint:
    index: int
    service: str
    address: str
    port: int
    host: str  # what clients put in their URL
    members: list[Member]
    median_s: float
    sigma: float
    bytes: int
    rate: float  # requests of other clients per minute
    device: int = 0
    tls: bool = False
    interval: int = 5  # of its monitor
    execution: bool = False

    @property
    def vs(self) -> str:
        return f"/Common/vs_{self.service}"

    @property
    def pool(self) -> str:
        return f"/Common/pool_{self.service}"

    @property
    def monitor(self) -> str:
        return f"/Common/mon_{self.service}"

    @property
    def noticed_s(self) -> int:
        """How long a monitor needs to call a dead member down: 3n + 1."""
        return 3 * self.interval + 1

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


@dataclass(slots=True)
class Task:
    task_id: str
    kind: str  # call post fan sensor code bulk multi heavy wait
    endpoint: Endpoint | None
    path: str
    limit_s: float  # read time-out of its calls
    retries: int
    retry_delay_s: float
    airflow_pool: str
    maps: int = 0
    second: Endpoint | None = None
    own_s: float = 1.0  # median of its own work
    repeats: int = 0  # how often its code repeats a failed call
    deadline_s: float = 0.0  # execution_timeout; 0: none


@dataclass(slots=True)
class Dag:
    dag_id: str
    owner: str
    period_s: float
    first_s: float
    tasks: list[Task]


@dataclass(slots=True)
class Device:
    name: str
    hostname: str
    address: str


@dataclass(slots=True)
class World:
    name: str
    seed: int
    start: float
    end: float
    version: str
    endpoints: list[Endpoint]
    devices: list[Device]
    workers: dict[str, str]
    dags: list[Dag]
    pools: dict[str, int]
    api: Endpoint | None  # the Execution API's, when it stands behind the BIG-IP
    makes_own_errors: bool = False
    headers: bool = True  # X-Airflow-Task, traceparent and correlation-id are logged
    reset_causes: bool = False  # tm.rstcause.log
    template: str = "airf5"  # airf5, response, ts
    proxy: str = ""  # the one address behind which all clients stand
    utc_offset_s: int = 0
    skew_s: float = 0.0
    drift: float = 0.0  # seconds a second
    loss: float = 0.0
    late_s: float = 0.0
    gap: tuple[float, float] | None = None
    declared_gap: bool = False
    background: float = 0.0  # errors of others per minute
    clients: list[str] = field(default_factory=list)
    bursts: list[tuple[float, float, int]] = field(
        default_factory=list
    )  # from, to, endpoint: many more requests of others
    backfills: list[tuple[float, str]] = field(default_factory=list)  # when, DAG: several runs at once
    queued_timeout_s: float = 600.0
    confounders: list[str] = field(default_factory=list)

    @property
    def v3(self) -> bool:
        return self.version.startswith("3")


@dataclass(frozen=True, slots=True)
class Shape:
    """The ranges a world is drawn from; the held-out split has others than the tuned ones."""

    endpoints: tuple[int, int] = (5, 25)
    members: tuple[int, int] = (2, 4)
    workers: tuple[int, int] = (2, 6)
    dags: tuple[int, int] = (8, 14)
    hours: tuple[float, float] = (1.2, 2.0)
    rate: tuple[float, float] = (5.0, 16.0)
    median_s: tuple[float, float] = (0.03, 0.4)
    intervals: tuple[int, ...] = (5, 5, 10)
    versions: tuple[str, ...] = ("3.3.2", "3.3.2", "3.2.2", "2.11.2")
    maps: tuple[int, int] = (3, 7)  # instances of a mapped task


def build(name: str, seed: int, start: float, shape: Shape) -> World:
    """A world of this shape. The same arguments, the same world."""
    rng = stream(seed, name, "world")
    hours = rng.uniform(*shape.hours)
    version = rng.choice(shape.versions)
    named = rng.random() < 0.5
    count = rng.randint(*shape.endpoints)
    endpoints = [_endpoint(n, shape, rng, named) for n in range(count)]
    api = None
    if version.startswith("3") and rng.random() < 0.85:
        api = _api(len(endpoints), rng)
        endpoints.append(api)
    devices = _devices(rng.choice((1, 2, 2, 2, 3)), seed)
    if len(devices) == 3:  # two of the three carry traffic
        for ep in endpoints:
            ep.device = rng.randrange(2)
    workers = {f"worker-{n}": f"10.40.0.{10 + n}" for n in range(1, rng.randint(*shape.workers) + 1)}
    pools = {"default_pool": 128, "calls": rng.randint(8, 24)}
    called = [ep for ep in endpoints if not ep.execution][: rng.randint(3, 5)]
    for ep in called:
        ep.rate = rng.uniform(*shape.rate)
    dags = [_dag(n, called, rng, shape.maps) for n in range(rng.randint(*shape.dags))]
    clients = [f"10.50.{rng.randrange(1, 9)}.{n}" for n in range(20, 20 + rng.randint(6, 30))]
    return World(
        name, seed, start, start + hours * 3600, version, endpoints, devices, workers, dags, pools, api,
        clients=clients, queued_timeout_s=float(rng.choice((300, 300, 600))),
    )  # fmt: skip


def _endpoint(n: int, shape: Shape, rng: random.Random, named: bool) -> Endpoint:
    service = NAMES[n % len(NAMES)] + ("" if n < len(NAMES) else f"_{n // len(NAMES) + 1}")
    port = rng.choice((8080, 8080, 80, 9443))
    members = _members(service, n, rng.randint(*shape.members), rng.choice((9000, 8000, 8443)))
    address = f"10.20.{n // 200}.{n % 200 + 10}"
    low, high = shape.median_s
    return Endpoint(
        n, service, address, port, f"{service.replace('_', '-')}.example.net" if named else address, members,
        low * (high / low) ** rng.random(), rng.uniform(0.25, 0.6), int(10 ** rng.uniform(2.3, 3.6)),
        rng.uniform(0.2, 2.0), tls=port == 9443, interval=rng.choice(shape.intervals),
    )  # fmt: skip


def _members(service: str, n: int, count: int, port: int) -> list[Member]:
    return [Member(f"{service}{m + 1}", f"10.30.{n % 250}.{m + 11}", port, m) for m in range(count)]


def _api(n: int, rng: random.Random) -> Endpoint:
    members = _members("api", 251, rng.choice((2, 2, 3)), 8080)
    return Endpoint(n, "airflow_api", "10.20.9.10", 8080, "airflow-api.example.net", members, 0.022, 0.7, 600, 0.5,
                    interval=5, execution=True)  # fmt: skip


def _devices(count: int, seed: int) -> list[Device]:
    site = stream(seed, "site").choice(("dc1", "fra", "lon", "ams"))
    return [Device(f"bigip-{n + 1}", f"bigip-{n + 1}.{site}.example.net", f"10.10.0.{245 + n}") for n in range(count)]


def _dag(n: int, called: list[Endpoint], rng: random.Random, maps: tuple[int, int]) -> Dag:
    ep = called[n % len(called)]
    style = ("sync", "fanout", "multi", "transform", "sync", "heavy", "wait", "bulk", "multi", "deadline")[n % 10]
    pool = "calls" if rng.random() < 0.4 else "default_pool"
    retries = rng.choice((0, 1, 1, 2))
    base = {"retries": retries, "retry_delay_s": rng.choice((10.0, 20.0, 40.0)), "airflow_pool": pool}
    limit = float(rng.choice((5, 6, 8, 10, 15)))

    def task(task_id: str, kind: str, **more: object) -> Task:
        at = more.pop("endpoint", ep)
        path = str(more.pop("path", f"/{ep.service}/{task_id}"))
        return Task(task_id, kind, at, path, **{"limit_s": limit, **base, **more})  # type: ignore[arg-type]

    tasks = {
        "sync": lambda: [task("get", "call", path=f"/{ep.service}"), task("store", "code", endpoint=None, own_s=0.6),
                         task("post", "post", path=f"/{ep.service}/batch")],
        "fanout": lambda: [task("plan", "code", endpoint=None, own_s=0.4),
                           task("fetch", "fan", path=f"/{ep.service}/items/SKU", maps=rng.randint(*maps))],
        "multi": lambda: [task("collect", "multi", path=f"/{ep.service}/page", second=rng.choice(called),
                               repeats=rng.choice((0, 0, 2)))],
        "transform": lambda: [task("read", "code", endpoint=None, own_s=0.8),
                              task("transform", "code", endpoint=None, own_s=2.0)],
        "heavy": lambda: [task("compute", "heavy", path=f"/{ep.service}/compute", limit_s=25.0, own_s=rng.uniform(2.5, 5))],
        "wait": lambda: [task("ready", "sensor", path=f"/{ep.service}/ready"),
                         task("load", "call", path=f"/{ep.service}/load")],
        "bulk": lambda: [task("export", "bulk", path=f"/{ep.service}/export", limit_s=300.0, own_s=rng.uniform(25, 70))],
        "deadline": lambda: [task("crunch", "wait", endpoint=None, own_s=rng.uniform(10, 25), deadline_s=90.0)],
    }[style]()  # fmt: skip
    period = rng.uniform(90, 200) if style not in ("bulk", "deadline") else rng.uniform(120, 240)
    return Dag(f"{ep.service}_{style}_{n}", OWNERS[n % len(OWNERS)], period, rng.uniform(2, period), tasks)
