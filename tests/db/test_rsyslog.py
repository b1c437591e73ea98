"""A real rsyslogd with our configuration: every form of sending, hostile messages, killed in mid-stream, a full disk.

Without rsyslogd (Debian: rsyslog rsyslog-relp rsyslog-gnutls) these tests are skipped, loudly.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from ingest import actions
from ingest.models import Feed, Request
from ingest.parsers.f5_header import split_spool
from ingest.receive import LONGEST_MESSAGE, Spool, visible
from tests.turn import ingest

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "integrations" / "rsyslog"
RSYSLOGD = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
MODULES = [
    Path("/usr/lib", *parts, "rsyslog", "imrelp.so") for parts in ((), ("x86_64-linux-gnu",), ("aarch64-linux-gnu",))
]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        RSYSLOGD is None or not any(path.exists() for path in MODULES),
        reason="there is no rsyslogd with RELP here (Debian: apt-get install rsyslog rsyslog-relp rsyslog-gnutls)",
    ),
]

LTM = b"<133>Nov 22 09:25:35 lb1 notice mcpd[6896]: 01070639:5: Pool /Common/p member"
AUDIT = b"<133>Nov 22 09:25:35 lb1 notice tmsh[20411]: 01420002:5: AUDIT - pid=20411 user=admin"


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Rsyslog:
    """One rsyslogd with a spool of its own."""

    def __init__(self, folder: Path) -> None:
        self.spool, self.queue, self.out = folder / "spool", folder / "queue", folder / "out"
        self.spool.mkdir()
        self.queue.mkdir()
        self.pid = folder / "pid"
        self.port, self.counted, self.relp, self.tls = free_ports(4)
        self.key, self.cert = folder / "key.pem", folder / "cert.pem"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        write = f"{sys.executable} {CONF / 'write.py'} {self.spool} {self.port} {self.queue}"
        env = os.environ | {
            "AIRF5_SYSLOG_PORT": str(self.port), "AIRF5_COUNTED_PORT": str(self.counted),
            "AIRF5_RELP_PORT": str(self.relp), "AIRF5_TLS_PORT": str(self.tls), "AIRF5_RSYSLOG_QUEUE": str(self.queue),
            "AIRF5_RSYSLOG_TLS": str(CONF / "airf5-tls.conf") if self.cert.exists() else "/nonexistent",
            "AIRF5_TLS_CERT": str(self.cert), "AIRF5_TLS_KEY": str(self.key), "AIRF5_TLS_CA": str(self.cert),
            "AIRF5_RSYSLOG_WRITE": write, "TZ": "UTC",
        }  # fmt: skip
        command = [str(RSYSLOGD), "-n", "-f", str(CONF / "airf5.conf"), "-i", str(self.pid)]
        with self.out.open("ab") as out:
            self._process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
        until(lambda: can_connect(self.port) and can_connect(self.relp))

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)
        self.pid.unlink(missing_ok=True)

    def lines(self, kind: str = "*", sender: str = "127.0.0.1") -> list[bytes]:
        paths = sorted((self.spool / sender).glob(f"{kind}-*.log"))
        return [line for path in paths for line in path.read_bytes().split(b"\n")[:-1]]

    def messages(self, kind: str = "*", sender: str = "127.0.0.1") -> list[bytes]:
        return [line.split(b" ", 2)[2] for line in self.lines(kind, sender)]


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[Rsyslog]:
    one = Rsyslog(tmp_path)
    yield one
    if one._process is not None and one._process.poll() is None:
        one.stop(signal.SIGKILL)


def tcp(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(data)


def udp(port: int, *messages: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for message in messages:
            sender.sendto(message, ("127.0.0.1", port))


def counted(*messages: bytes) -> bytes:
    return b"".join(b"%d %s" % (len(message), message) for message in messages)


class Relp:
    """As much of RELP as a sender needs: what is not confirmed is sent again over the next connection."""

    def __init__(self, port: int) -> None:
        self.port, self.waiting, self._number = port, dict[int, bytes](), 0
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self.port), 10)
        self._file, self._number = self._socket.makefile("rb"), 0
        self._frame(b"open", b"relp_version=0\nrelp_software=test\ncommands=syslog")
        self._answer()
        again, self.waiting = list(self.waiting.values()), {}
        self.waiting = dict(enumerate(again, 2))
        for message in again:
            self._frame(b"syslog", message)

    def _frame(self, command: bytes, data: bytes) -> None:
        self._number += 1
        self._socket.sendall(b"%d %s %d %s\n" % (self._number, command, len(data), data))

    def _answer(self) -> None:
        head = b""
        while head.count(b" ") < 3:
            byte = self._file.read(1)
            if not byte:
                raise ConnectionError
            head += byte
        number, _, size, _ = head.split(b" ")
        assert self._file.read(int(size) + 1)[:3] == b"200"
        self.waiting.pop(int(number), None)

    def send(self, message: bytes, window: int = 100) -> None:
        """Send, and wait where too much is unconfirmed. A connection that ends is made again by `again`."""
        self.waiting[self._number + 1] = message
        self._frame(b"syslog", message)
        while len(self.waiting) >= window:
            self._answer()

    def again(self) -> None:
        self._hang_up()
        self._connect()

    def finish(self) -> None:
        while self.waiting:
            self._answer()
        self._hang_up()

    def _hang_up(self) -> None:
        self._file.close()
        self._socket.close()


HOSTILE = (
    LTM + b" with\na second line",
    LTM + b" NUL \x00 in it",
    LTM + b" \xff\xfe broken, \xc3\xa4 whole",
    LTM + b"\ttab",
    b"2026-01-01T00:00:00.000000Z 6.6.6.6 " + LTM + b" with a forged head",
    b"127.0.0.9 - - GET /begins/with/an/address",
    b"200 GET /begins/with/a/status",
    b"zebra, not zlib",
    b'airf5="1",kind="request",http_uri="/AUDIT"',
    b"<134>Nov 22 09:25:35 lb1 " + b'event_source="request_logging",http_uri="/"',
    b"<190>,f5_irule=Splunk-iRule-HTTP,src_ip=1.2.3.4",
    b'{"event_source": "request_logging"}',
    b"<13>" + b"long " * 2_000,
    b"COMMIT TRANSACTION",
    AUDIT,
    b"<999>not a priority",
    b"<",
)


def test_every_way_of_sending_writes_what_the_receiver_writes(rsyslog: Rsyslog, tmp_path: Path) -> None:
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*openssl, "-keyout", rsyslog.key, "-out", rsyslog.cert], check=True, capture_output=True)
    rsyslog.start()
    until(lambda: can_connect(rsyslog.tls))
    lines = [message for message in HOSTILE if b"\n" not in message]
    tcp(rsyslog.port, b"".join(message + b"\n" for message in lines))
    tcp(rsyslog.counted, counted(*HOSTILE))
    udp(rsyslog.port, *HOSTILE, b"")
    context = ssl.create_default_context(cafile=str(rsyslog.cert))
    context.check_hostname = False
    with context.wrap_socket(socket.create_connection(("127.0.0.1", rsyslog.tls), 5)) as secure:
        secure.sendall(counted(*HOSTILE))
        with contextlib.suppress(ssl.SSLError):  # it answers our farewell by hanging up
            secure.unwrap()
    sender = Relp(rsyslog.relp)
    for message in HOSTILE:
        sender.send(message)
    sender.finish()
    until(lambda: len(rsyslog.lines()) >= 4 * len(HOSTILE) + len(lines))
    rsyslog.stop()
    own = Spool(tmp_path / "own")
    for _ in range(4):
        own.put("127.0.0.1", [(message, False) for message in HOSTILE])
    own.put("127.0.0.1", [(message, False) for message in lines])
    own.close()
    for kind in ("request", "ltm", "audit"):
        paths = sorted((tmp_path / "own" / "127.0.0.1").glob(f"{kind}-*.log"))
        mine = [line.split(b" ", 2)[2] for path in paths for line in path.read_bytes().split(b"\n")[:-1]]
        assert Counter(rsyslog.messages(kind)) == Counter(mine), kind
    for line in rsyslog.lines():
        spooled = split_spool(line.decode("utf-8", "replace"))
        if spooled is not None:  # a message may begin like a head of its own, which hides ours from nobody
            assert spooled.sender == "127.0.0.1"
            assert abs((spooled.received - timezone.now()).total_seconds()) < 300
        assert re.match(rb"20[0-9]{2}-[0-9-]+T[0-9:.]+\+00:00 127\.0\.0\.1 ", line)


def test_a_message_that_is_too_long_is_cut_once_and_the_next_one_is_whole(rsyslog: Rsyslog) -> None:
    rsyslog.start()
    long = b"<13>" + b"x" * (3 * LONGEST_MESSAGE)
    tcp(rsyslog.port, long + b"\n" + LTM + b"\n")
    tcp(rsyslog.counted, counted(long, LTM))
    until(lambda: len(rsyslog.lines()) >= 4)
    rsyslog.stop()
    found = rsyslog.messages()
    assert Counter(message[:60] for message in found) == {long[:60]: 2, LTM[:60]: 2}
    assert all(len(m) < LONGEST_MESSAGE + 20 and m.endswith(b"x [cut]") for m in found if m[:4] == b"<13>")


def a_request(number: int) -> bytes:
    at = timezone.now().timestamp() - 60
    return (
        f'airf5="1",kind="response",ts="{at:.3f}{number % 1000:03d}",hostname="lb1",virtual_name="/Common/vs",'
        f'virtual_ip="10.0.0.9",virtual_port="80",pool="/Common/p",client_ip="10.2.{number // 50_000}.1",'
        f'client_port="{10_000 + number % 50_000}",server_ip="10.1.0.1",server_port="80",snat_ip="",http_statcode="503",'
        f'response_ms="1",response_us="900",bytes="5",http_method="GET",host="vs",correlation_id="",traceparent="",'
        f'task="",xff="",ua="curl",http_uri="/n/{number}"'
    ).encode()


def test_killed_in_mid_stream_everything_that_was_confirmed_is_there_and_is_stored_once(rsyslog: Rsyslog) -> None:
    rsyslog.start()
    feeds = actions.configure_device("lb1", str(rsyslog.spool / "127.0.0.1"), "test", logs_requests=False)
    feed = next(one for one in feeds if one.kind == Feed.Kind.F5_REQUEST)
    sender, sent = Relp(rsyslog.relp), [a_request(number) for number in range(1_500)]
    for place, message in enumerate(sent):
        if place in (400, 1_100):
            rsyslog.stop(signal.SIGKILL)
            rsyslog.start()
        try:
            sender.send(message)
        except OSError:
            sender.again()
        if place == 800:
            ingest(feed)
    sender.finish()
    until(lambda: set(rsyslog.messages("request")) >= set(sent))
    rsyslog.stop()
    found = Counter(rsyslog.messages("request"))
    assert set(found) == set(sent)
    assert sum(found.values()) <= len(sent) + 2 * 100  # a window was written and not confirmed, twice at most
    ingest(feed)
    assert Request.objects.count() == len(sent)


def test_while_the_disk_takes_nothing_tcp_waits_and_udp_is_queued_through_a_restart(rsyslog: Rsyslog) -> None:
    blocked = rsyslog.spool / "127.0.0.1"
    blocked.write_text("no folder can be made here")
    rsyslog.start()
    by_tcp, by_udp = [LTM + b" tcp %05d" % n for n in range(2_000)], [LTM + b" udp %05d" % n for n in range(2_000)]
    with socket.create_connection(("127.0.0.1", rsyslog.port), 5) as connection:
        connection.sendall(b"".join(message + b"\n" for message in by_tcp))
        time.sleep(1)
        assert blocked.is_file()
        blocked.unlink()
        until(lambda: len(rsyslog.lines("ltm")) >= len(by_tcp))
        assert sorted(rsyslog.messages("ltm")) == by_tcp
    rsyslog.stop()
    kept = rsyslog.spool / "kept"
    blocked.rename(kept)
    blocked.write_text("again")
    rsyslog.start()
    for start in range(0, len(by_udp), 100):
        udp(rsyslog.port, *by_udp[start : start + 100])
        time.sleep(0.01)
    time.sleep(1)
    rsyslog.stop()
    assert list(rsyslog.queue.glob("airf5_udp*"))
    blocked.unlink()
    rsyslog.start()
    until(lambda: set(rsyslog.messages("ltm")) >= set(by_udp))
    rsyslog.stop()
    assert sorted(rsyslog.messages("ltm")) == by_udp
    assert visible(by_udp[0]) in rsyslog.messages("ltm")
