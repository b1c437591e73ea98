"""What is sent to the product: lines by TCP, into files, and as pushes, and all of it again until it has arrived."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.chaos.lines import Stream, spooled
from tests.chaos.machine import Machine

DEVICES = {"tcp": "127.0.0.1", "small": "127.0.0.2", "files": "files", "late": "late"}  # and the folder of its logs
PUSHED = "pushed"


@dataclass(slots=True)
class Sender:
    """A device that logs by TCP. What the receiver had not made durable when a connection broke, it sends again."""

    stream: Stream
    source: str
    sent: list[bytes] = field(default_factory=list)
    waits: list[bytes] = field(default_factory=list)
    connection: socket.socket | None = None
    receiver: int = 0
    again: int = 0


@dataclass(slots=True)
class Pusher:
    """Telemetry Streaming: a body is sent until it is answered, and now and then again later."""

    stream: Stream
    waits: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)


class Sending(Machine):
    """A machine with devices that send to it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.port = self.syslog_port = 0
        self.token = ""
        self.streams = 0
        self.known: list[Stream] = []
        self.senders: list[Sender] = []
        self.pushers: list[Pusher] = []
        self.handed: dict[str, int] = {"files": 0, "late": 0}  # lines written into files, by device

    def stream(self) -> Stream:
        """A client that has not been seen yet."""
        self.streams += 1
        self.known.append(Stream(self.streams, self.seed))
        return self.known[-1]

    def sender(self, device: str = "tcp") -> Sender:
        """A device that logs by TCP."""
        one = Sender(self.stream(), DEVICES[device])
        self.senders.append(one)
        return one

    def pusher(self) -> Pusher:
        """A Telemetry Streaming that pushes."""
        one = Pusher(self.stream())
        self.pushers.append(one)
        return one

    def send(self, sender: Sender, messages: list[bytes]) -> None:
        """Send by TCP, as far as that goes now; the rest waits for `deliver`."""
        sender.waits += messages
        receiver = self.pid("receive")
        if sender.connection and sender.receiver != receiver:
            self._broken(sender)
        try:
            if sender.connection is None:
                if not receiver:
                    return
                sender.connection = socket.create_connection(("127.0.0.1", self.syslog_port), 0.5, (sender.source, 0))
                sender.connection.settimeout(0.5)
                sender.receiver = receiver
                missing = self.undelivered(sender)
                sender.again += len(missing)
                sender.waits, sender.sent = (
                    missing + sender.waits,
                    [one for one in sender.sent if one not in set(missing)],
                )
            while sender.waits:
                one = sender.waits[0]
                sender.connection.sendall(one + b"\n")
                sender.sent.append(sender.waits.pop(0))
        except OSError:
            self._broken(sender)

    def _broken(self, sender: Sender) -> None:
        if sender.connection:
            sender.connection.close()
        sender.connection = None

    def undelivered(self, sender: Sender) -> list[bytes]:
        """What was sent and does not stand in the spool, whole and unaltered."""
        there = set(self.spool_messages(sender.source))
        return [one for one in sender.sent if one not in there]

    def spool_messages(self, folder: str) -> list[bytes]:
        """Every whole line of the request log below this folder, without its head."""
        out = []
        for file in sorted((self.spool / folder).glob("request*.log")):
            data = file.read_bytes()
            out += [
                line.split(b" ", 2)[2] for line in data[: data.rfind(b"\n") + 1].splitlines() if line.count(b" ") > 1
            ]
        return out

    def write(self, path: Path, stream: Stream, messages: list[bytes], device: str, torn_s: float = 0.0) -> None:
        """Write lines into a file as a receiver does, now and then in two pieces; with `torn_s` always, so far apart."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = spooled(messages, "10.0.0.1")
        self.handed[device] += len(messages)
        with path.open("ab", buffering=0) as file:
            middle = self.rng.randrange(len(data)) if data and (torn_s or self.rng.random() < 0.5) else 0
            file.write(data[:middle])
            if middle and (torn_s or self.rng.random() < 0.3):
                self.pause(torn_s or 0.3)
            file.write(data[middle:])

    def push(self, pusher: Pusher, body: bytes | None = None) -> None:
        """Push a body, and those that were not answered; now and then one of the answered once more."""
        if body is not None:
            pusher.waits.append(body)
        for one in list(pusher.waits):
            if not self.post(one):
                return
            pusher.waits.remove(one)
            pusher.answered.append(one)
            if self.rng.random() < 0.25:
                self.post(self.rng.choice(pusher.answered))

    def post(self, body: bytes) -> bool:
        """Whether the product says that it has this body."""
        address = f"http://127.0.0.1:{self.port}/ingest/telemetry/{PUSHED}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            with urlopen(Request(address, body, headers), timeout=3) as answer:
                return bool(answer.status == 200)
        except (HTTPError, URLError, OSError):
            return False

    def deliver(self) -> bool:
        """Get rid of what still waits; True when all is with the product."""
        for sender in self.senders:
            if sender.waits or sender.receiver != self.pid("receive"):
                if sender.receiver != self.pid("receive") and not sender.waits and not self.undelivered(sender):
                    continue
                self.send(sender, [])
        for pusher in self.pushers:
            self.push(pusher)
        return not any(one.waits or self.undelivered(one) for one in self.senders) and not any(
            p.waits for p in self.pushers
        )
