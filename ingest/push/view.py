"""`POST /ingest/telemetry/<device>`: checked, made durable, answered with counts. What is wrong is one sentence.

A stranger learns nothing: without a token of ours the answer is 401 for every name, with another source's it is 404.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from airf5.failpoints import failpoint, planted
from ingest.models import PushBatch
from ingest.push.body import MOST_PACKED, BodyRefused, lines, unpack
from ingest.push.rate import Rate
from ingest.push.spool import Writer
from ingest.push.tokens import Pusher, Pushers, Unavailable

READ = 64 << 10
LONGEST_READ_S = 20.0  # a body that drips holds a thread
IDLE_S = 10.0
RETRY_STORE_S, RETRY_DISK_S = 5, 30

log = logging.getLogger(__name__)
pushers = Pushers()
writer = Writer()
pushes = Rate(300, 1_000)  # of one source, in this process
failures = Rate(1, 30)  # of one address


class _Answer(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers


@csrf_exempt
def push(request: HttpRequest, source: str) -> JsonResponse:
    """Take a batch of this source."""
    try:
        pusher = _pusher(request, source)
        raw = unpack(_read(request), request.headers.get("Content-Encoding", ""))
        return _said(200, _store(request, pusher, raw))
    except BodyRefused as refused:
        return _said(refused.status, {"detail": refused.sentence})
    except _Answer as answer:
        return _said(answer.status, {"detail": answer.sentence}, answer.headers)


def _said(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store", **(headers or {})})


def _pusher(request: HttpRequest, source: str) -> Pusher:
    """The source, when this request may push to it."""
    if request.method != "POST":
        raise _Answer(405, "Batches are sent by POST.", Allow="POST")
    address = str(request.META.get("REMOTE_ADDR", ""))
    try:
        found = pushers.find(_token(request))
    except Unavailable:
        sentence = "The database is away, and nobody can tell whose token this is: try again."
        raise _Answer(503, sentence, **{"Retry-After": str(RETRY_STORE_S)}) from None
    if found is None:
        wait = failures.take(address)
        if wait:
            raise _Answer(429, "Too many wrong tokens came from this address.", **_after(wait))
        raise _Answer(
            401,
            "Send a token of this source in the header Authorization, as Bearer, or X-Airf5-Token.",
            **{"WWW-Authenticate": 'Bearer realm="airf5"'},
        )
    if found.source != source:
        raise _Answer(404, "This token is not of a source with this name.")
    wait = pushes.take(found.source)
    if wait:
        raise _Answer(429, "Too many batches came at once: send more events in each.", **_after(wait))
    return found


def _after(wait: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, round(wait)))}


def _token(request: HttpRequest) -> str:
    own = request.headers.get("X-Airf5-Token", "").strip()
    kind, _, value = request.headers.get("Authorization", "").strip().partition(" ")
    return own or (value.strip() if kind.lower() in ("bearer", "token") else "")


def _read(request: HttpRequest) -> bytes:
    """The body as it was sent, within bounds of size and time."""
    length = request.META.get("CONTENT_LENGTH") or ""
    chunked = not length and bool(request.META.get("wsgi.input_terminated"))
    if not chunked and not (length.isascii() and length.isdigit()):
        raise _Answer(411, "Say how long the body is, by Content-Length.")
    if not chunked and int(length) > MOST_PACKED:
        raise _too_long()
    # Django reads no body without a length; the server below it knows where a chunked one ends
    stream = request.META["wsgi.input"] if chunked else request
    until, parts, size = time.monotonic() + LONGEST_READ_S, [], 0
    try:
        with _impatient(request):
            while part := stream.read(READ):
                parts.append(part)
                size += len(part)
                if size > MOST_PACKED:
                    raise _too_long()
                if time.monotonic() > until:
                    raise TimeoutError
    except OSError as error:
        if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
            raise _Answer(408, f"The body did not arrive within {LONGEST_READ_S:.0f} s.") from None
        raise _Answer(400, "The body ended too early.") from None
    if not chunked and size != int(length):
        raise _Answer(400, "The body ended too early.")
    return b"".join(parts)


def _too_long() -> _Answer:
    return _Answer(
        413, f"The body is longer than {MOST_PACKED >> 20} MB as sent: pack it, or send fewer events at once."
    )


@contextmanager
def _impatient(request: HttpRequest) -> Iterator[None]:
    """A sender that says nothing for a while has lost its turn, where the server lets us say so."""
    socket = request.META.get("gunicorn.socket")
    if socket is None:
        yield
        return
    usual = socket.gettimeout()
    socket.settimeout(IDLE_S)
    try:
        yield
    finally:
        socket.settimeout(usual)


def _store(request: HttpRequest, pusher: Pusher, body: bytes) -> dict[str, int]:
    """Make the batch durable; how many events came, and how many of them were stored before."""
    count, found = lines(body)
    digest = hashlib.sha256(body).hexdigest()[:32]
    if found and _is_stored(pusher, digest, len(found)):
        return {"received": count, "repeated": count}
    try:
        if found:
            writer.write(pusher.folder, str(request.META.get("REMOTE_ADDR", "")), digest, found)
    except OSError as error:
        log.error("A batch of %s could not be stored: %s", pusher.source, error)
        sentence = "Nothing was stored, the disk does not take it just now: try again."
        raise _Answer(503, sentence, **{"Retry-After": str(RETRY_DISK_S)}) from None
    failpoint("push.synced")
    return {"received": count, "repeated": 0}


def _is_stored(pusher: Pusher, digest: str, count: int) -> bool:
    """Whether rows were made of all of it. Only a short cut: who reads the spool takes each line of a batch once."""
    if planted("pushed-twice"):
        return False
    try:
        return PushBatch.objects.filter(feed_id=pusher.feed_id, digest=digest, stored__gte=count).exists()
    except Error as error:  # the spool needs no database
        connection.close()
        log.warning("The database is away; a batch of %s is kept in the spool: %s", pusher.source, error)
        return False
