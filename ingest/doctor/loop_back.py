"""The loop-back test: one made-up request sent through the virtual server, and each hop ticked as it is seen.

It asks for a heartbeat of a task instance that does not exist, without credentials: Airflow 3 refuses that (401, 403,
404 or 422), Airflow 2 has no such path (404), and nothing changes anywhere. Its UUID is then looked for in the files of
the receiver, and at last in the database, where a stored request names it as its try.
"""

from __future__ import annotations

import fnmatch
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from ingest.doctor.findings import FAIL, OK, WARN, Finding
from ingest.models import Device, Endpoint, Feed, Member, Reject, Request, RequestHalf, TryKey
from ingest.parsers.f5_header import split_spool
from ingest.sources.airflow_session import root_of
from ingest.sources.http import SourceError, knock, open_client
from ingest.store.feeds import spool_globs

WAIT_S = 60.0
LOOK_EVERY_S = 0.3
REFUSALS = (401, 403, 404, 405, 422)
MOST_READ = 64 << 20  # bytes of one file in one look
ANSWER, SPOOL, DATABASE = "answer", "F5's log", "database"


@dataclass(slots=True)
class Probe:
    """One made-up request under way."""

    address: str
    ident: str = field(default_factory=lambda: str(uuid.uuid4()))
    correlation: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent_at: datetime = field(default_factory=timezone.now)
    began: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> str:
        return f"/execution/task-instances/{self.ident}/heartbeat"

    @property
    def passed_s(self) -> float:
        return time.monotonic() - self.began


class Files:
    """The receiver's files, read on from where they ended when the test began."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.talking: set[str] = set()  # folders that request lines came from meanwhile
        self._read = {path: path.stat().st_size for path in self._files()}

    def find(self, word: bytes) -> tuple[Path, bytes] | None:
        """The first whole new line that holds this word, and its file."""
        for path in self._files():
            start = self._read.get(path, 0)
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    data = file.read(MOST_READ)
            except OSError:
                continue
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = start + len(whole)
            if whole and path.name.startswith("request"):
                self.talking.add(path.parent.name)
            if word in whole:
                return path, next(line for line in whole.splitlines() if word in line)
        return None

    def _files(self) -> list[Path]:
        return sorted([*self.root.glob("*/*.log"), *self.root.glob("push/*/*.log")])


def run(
    feed: Feed, through: str = "", *, wait_s: float = WAIT_S, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Finding]:
    """Send the request and tell each hop when it is seen, or after `wait_s` which one was not and what that means.

    `through` is the address by way of the virtual server; without it the source's own `through`, then its address.
    """
    address = root_of(through or str(feed.config.get("through") or "") or str(feed.config.get("base_url") or ""))
    address = address.removesuffix("/execution")
    files = Files(Path(settings.AIRF5_SPOOL_DIR))
    probe = Probe(address)
    answered = _send(feed, probe)
    yield answered
    if answered.level == FAIL:
        return
    line: tuple[Path, bytes] | None = None
    while True:
        if line is None and (line := files.find(probe.ident.encode())):
            yield from _in_log(probe, *line)
        stored = _stored(probe)
        if stored:
            if line is None and (line := files.find(probe.ident.encode())):
                yield from _in_log(probe, *line)
            yield stored
            return
        if probe.passed_s > wait_s:
            break
        sleep(LOOK_EVERY_S)
    yield _not_stored(probe, line[0], wait_s) if line else _not_logged(files, probe, wait_s)


def _send(feed: Feed, probe: Probe) -> Finding:
    """The first hop: what answered."""
    options = feed.config.get("options", {})
    headers = {"correlation-id": probe.correlation, "User-Agent": "airf5 loop-back test"}
    body = {"hostname": "airf5-loop-back-test", "pid": 1}
    try:
        allow = feed.config.get("allow") or ()
        with open_client(
            probe.address, allow=allow, verify=options.get("verify", True), proxy=options.get("proxy")
        ) as client:
            probe.sent_at, probe.began = timezone.now(), time.monotonic()
            status, told, took = knock(client, "PUT", probe.path, body, headers)
    except SourceError as error:
        return Finding(
            FAIL, ANSWER, f"The request to {probe.address} was not answered: {error.sentence}",
            "Nothing behind it could be tested. See that the address is the virtual server's, that it is up, and that "
            "this machine may reach it.", seconds=probe.passed_s,
        )  # fmt: skip
    who = _who_answered(told, probe)
    if status >= 500:
        return Finding(
            WARN, ANSWER, f"{probe.address} answered {status}, {who}.",
            "Airflow behind it is down, or the virtual server has no member that is up; the test goes on.", seconds=took,
        )  # fmt: skip
    if status not in REFUSALS:
        return Finding(
            WARN, ANSWER, f"{probe.address} answered {status}, {who}: an Airflow would have refused it.",
            "See that the address leads to Airflow, and not to a login page or another service.", seconds=took,
        )  # fmt: skip
    return Finding(OK, ANSWER, f"{probe.address} answered {status}, {who}.", seconds=took)


def _who_answered(headers: Mapping[str, str], probe: Probe) -> str:
    if headers.get("correlation-id") == probe.correlation:
        return "and Airflow gave our correlation id back, so it was Airflow itself"
    server = "".join(letter for letter in headers.get("server", "") if letter.isprintable())[:60]
    if server.lower().replace("-", "").startswith("bigip"):
        return "and it was the BIG-IP itself, not Airflow"
    return f"and the correlation id did not come back ({f'server {server}' if server else 'no server name'})"


def _in_log(probe: Probe, path: Path, line: bytes) -> Iterator[Finding]:
    """The second hop: a line of F5 in the receiver's files."""
    seconds = probe.passed_s
    told = split_spool(line.decode("utf-8", "replace"))
    if told is not None:
        seconds = max(0.0, (told.received - probe.sent_at).total_seconds())
    sender = path.parent.name
    sentence = f"A line of {sender} with our UUID was received ({path.name})."
    if probe.correlation.encode() in line:
        yield Finding(OK, SPOOL, f"{sentence} It has the correlation id too.", seconds=seconds)
        return
    yield Finding(
        OK, SPOOL, f"{sentence} Its template does not log the correlation id.",
        "Add ${correlation-id} to the template: then an error in Airflow's own log leads to its line.", seconds=seconds,
    )  # fmt: skip


def _stored(probe: Probe) -> Finding | None:
    """The third hop: a request in the database that names our UUID as its try, None while there is none."""
    key = TryKey.objects.filter(key=probe.ident).values_list("pk", flat=True).first()
    since = probe.sent_at - timedelta(days=1)
    row = Request.objects.filter(try_key_id=key, ts__gt=since).first() if key else None
    if row is None:
        return None
    endpoint = Endpoint.objects.filter(pk=row.endpoint_id).first()
    member = Member.objects.filter(pk=row.member_id).first() if row.member_id else None
    devices = Device.objects.filter(group=endpoint.group_id).values_list("name", flat=True) if endpoint else ()
    to = f", answered by {member.name}" if member else ", no member was chosen or logged"
    status = f"status {row.status}" if row.status is not None else "without an answer"
    where = f"{endpoint.name if endpoint else 'a virtual server'} of {', '.join(devices) or 'no device'}"
    away = (row.ts - probe.sent_at).total_seconds()
    clock = f" F5's time is {away:+.1f} s from ours: its clock or its utc_offset is wrong." if abs(away) > 5 else ""
    return Finding(
        WARN if clock else OK, DATABASE,
        f"It is stored: {where}{to}, {status}.{clock}",
        "Correct the device's clock, or its utc_offset in the source." if clock else "", seconds=probe.passed_s,
    )  # fmt: skip


def _not_logged(files: Files, probe: Probe, wait_s: float) -> Finding:
    after = f"No line with our UUID was received within {wait_s:.0f} s"
    if not files.root.is_dir():
        return Finding(
            FAIL, SPOOL, f"{after}: {files.root} is not there.", "Start the receiver, or run this where its files are.",
            seconds=probe.passed_s,
        )  # fmt: skip
    if files.talking:
        return Finding(
            FAIL, SPOOL, f"{after}, though {', '.join(sorted(files.talking)[:5])} logged other requests meanwhile: this one did "
            "not cross a virtual server that logs.",
            f"See that {probe.address} is a virtual server's address and not Airflow's own, and attach the request-logging "
            "profile to that virtual server.", seconds=probe.passed_s,
        )  # fmt: skip
    return Finding(
        FAIL, SPOOL, f"{after}, and no request line of anybody: no device's log reaches the receiver.",
        f"See that the receiver runs, that the log pool names its address and port {settings.AIRF5_SYSLOG_PORT}, that no "
        "firewall is in between, and that the virtual server has the request-logging profile.", seconds=probe.passed_s,
    )  # fmt: skip


def _not_stored(probe: Probe, path: Path, wait_s: float) -> Finding:
    after = f"It is in F5's log, but not stored after {wait_s:.0f} s"
    feed = next((one for one in Feed.objects.filter(capture="", enabled=True) if _reads(one, path)), None)
    if feed is None:
        return Finding(
            FAIL, DATABASE, f"{after}: no source reads {path.parent.name}/{path.name.partition('-')[0]}.",
            f"Add a device with the sender {path.parent.name}, or start the one that is stopped.", seconds=probe.passed_s,
        )  # fmt: skip
    reject = Reject.objects.filter(
        feed=feed, at__gte=probe.sent_at - timedelta(minutes=1), raw__contains=probe.ident
    ).first()
    if reject is not None:
        return Finding(
            FAIL, DATABASE, f"{after}: {feed.name} could not use the line: {reject.reason}.",
            "Give the template as it is set on the device, under /settings/sources/.", seconds=probe.passed_s,
        )  # fmt: skip
    if RequestHalf.objects.filter(feed=feed, raw__contains=probe.ident).exists():
        return Finding(
            FAIL, DATABASE, f"{after}: one of its two lines (request and response) waits for the other, which did not come.",
            "Enable both in the profile; or say `logs_requests: false` of a device that logs responses alone.",
            seconds=probe.passed_s,
        )  # fmt: skip
    return Finding(
        FAIL, DATABASE, f"{after}: {feed.name} has not read that far.",
        "See that a worker and the beat run (`manage.py doctor`), and how far behind the source is.", seconds=probe.passed_s,
    )  # fmt: skip


def _reads(feed: Feed, path: Path) -> bool:
    return any(fnmatch.fnmatchcase(str(path), pattern) for pattern in spool_globs(feed))
