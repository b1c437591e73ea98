"""Holds the database against what was sent: nothing lost, nothing twice, nothing altered, and sums that are true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.lines import Key, Stream, Truth
from tests.chaos.sending import DEVICES
from tests.chaos.world import World

ROWS = """
    SELECT c.address, (extract(epoch FROM r.ts) * 1000000)::bigint, r.method, r.status, r.response_us, r.bytes, d.uri
    FROM ingest_request r JOIN ingest_client c ON c.id = r.client_id
    LEFT JOIN ingest_request_detail d ON d.line_id = r.line_id AND d.ts = r.ts
    WHERE c.address = ANY(%s)"""
HALVES = """
    SELECT line->>7, (line->>1)::bigint FROM ingest_requesthalf WHERE line->>7 = ANY(%s)"""
SUMS = """
    SELECT f.name, coalesce(sum(b.read), 0)::bigint FROM ingest_feed f LEFT JOIN ingest_batch b ON b.feed_id = f.id
    GROUP BY f.name"""
TRIES = """
    SELECT run_id, task_id, try_number, state, start_at, end_at FROM ingest_try"""
STUCK = "SELECT name FROM ingest_feed WHERE lease_until IS NOT NULL AND lease_until < now() - interval '5 seconds'"
VERDICTS = """
    SELECT count(*) FROM ingest_try t LEFT JOIN ingest_verdict v ON v.try_row_id = t.id
    WHERE t.state = 'failed' AND v.id IS NULL"""


@dataclass(slots=True)
class Found:
    """What is wrong."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.twice or self.altered or self.other)

    @property
    def hopeless(self) -> bool:
        """What waiting will not mend."""
        return bool(self.twice or self.altered)

    @property
    def words(self) -> str:
        parts = [
            f"{len(found)} {name} ({', '.join(found[:3])})"
            for name, found in (
                ("lost", self.lost),
                ("twice", self.twice),
                ("altered", self.altered),
                ("other", self.other),
            )
            if found
        ]
        return "; ".join(parts) or "clean"


def look(world: World, streams: Iterable[Stream]) -> Found:
    """Compare these streams, and Airflow's side."""
    from ingest.records import method_name

    found = Found()
    truth: dict[Key, Truth] = {}
    for stream in streams:
        truth |= stream.made
    clients = sorted({client for client, _ in truth})
    rows = world.ask(ROWS, clients) if clients else []
    if clients and not world.ask("SELECT 1"):
        found.other.append("the database is away")
        return found
    seen: Counter[Key] = Counter()
    for client, at, method, status, took, size, uri in rows:
        seen[(client, at)] += 1
        wanted = truth.get((client, at))
        if wanted is None:
            found.altered.append(f"{client} at {at}: no such line")
        elif not _same(wanted, method_name(method), status, took, size, uri):
            found.altered.append(f"{wanted.uri}: {(method, status, took, size, uri)}")
    for client, at in world.ask(HALVES, clients) if clients else []:
        if (wanted := truth.get((client, at))) is None or not wanted.waits:
            found.other.append(f"a half waits: {wanted.uri if wanted else (client, at)}")
            if wanted is None:
                continue
        seen[(client, at)] += 1
    found.lost += [one.uri for key, one in truth.items() if not seen[key]]
    found.twice += [truth[key].uri for key, count in seen.items() if count > 1 and key in truth]
    _tries(world, found)
    return found


def _same(wanted: Truth, method: str, status: int | None, took: int | None, size: int | None, uri: str | None) -> bool:
    return (
        wanted.method == method
        and wanted.status == status
        and wanted.response_us == took
        and (wanted.size is None or wanted.size == size)
        and (uri is None or uri == wanted.uri)
        and (uri is not None) == (status is None or status >= 400)
    )


def _tries(world: World, found: Found) -> None:
    told = world.airflow.truth()
    stored = {(run, task, number): (state, start, end) for run, task, number, state, start, end in world.ask(TRIES)}
    for key, (state, start, end) in told.items():
        row = stored.get(key)
        if row is None:
            found.lost.append(f"try {key}")
        elif (row[0], _iso(row[1]), _iso(row[2])) != (state, start, end):
            found.altered.append(f"try {key}: {row}")
    found.other += [f"a try that nobody told of: {key}" for key in stored.keys() - told.keys()]
    if (missing := world.ask(VERDICTS)) and missing[0][0]:
        found.other.append(f"{missing[0][0]} failed tries without a verdict")


def _iso(at: object) -> str:
    from datetime import UTC, datetime

    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(at, datetime) else ""


def sums(world: World) -> list[str]:
    """Feeds whose batches do not say as many lines as they were given, and leases that nobody gave back."""
    read = {str(name): int(count) for name, count in world.ask(SUMS)}
    wrong = []
    for device, folder in DEVICES.items():
        given = world.handed.get(device)
        if given is None:
            given = len(world.spool_messages(folder))
        if read.get(f"{device}/request") != given:
            wrong.append(f"{device}: batches say {read.get(f'{device}/request')} lines, there were {given}")
    pushed = sum(path.read_bytes().count(b"\n") for path in (world.spool / "push").glob("*/*.log"))
    if read.get("pushed/telemetry") != pushed:
        wrong.append(f"pushed: batches say {read.get('pushed/telemetry')} lines, there were {pushed}")
    return wrong + [f"the lease of {name} is stuck" for (name,) in world.ask(STUCK)]
