"""The door that is pushed to: who may, what is answered, and when a batch is on the disk."""

from __future__ import annotations

import gzip
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError
from django.test import Client, RequestFactory

from airf5.accounts.models import UserAction
from ingest.models import Feed, PushBatch, PushToken, Request
from ingest.push import tokens, view
from ingest.setup import source_file
from tests.pushing import a_request, configure, push, read


def test_a_batch_is_durable_before_its_answer(feed: Feed, token: str, spool: Path) -> None:
    answer = push(token, [a_request(1), a_request(2)])
    assert (answer.status_code, answer.json()) == (200, {"received": 2, "repeated": 0})
    (path,) = spool.glob("push/*/telemetry-*.log")
    assert path.read_bytes().count(b"\n") == 2
    assert not answer.cookies and answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("header", ["Bearer {}", "Token {}", "bearer   {}"])
def test_the_token_comes_in_either_header(token: str, header: str) -> None:
    assert push(token, {"a": 1}, Authorization=header.format(token)).status_code == 200
    assert push("", {"a": 1}, Authorization="", **{"X-Airf5-Token": token}).status_code == 200


def test_a_stranger_learns_nothing_of_what_there_is(spool: Path, token: str) -> None:
    other = tokens.create(configure(spool, "lb2/ä b"), "test")
    view.pushers.forget()
    answers = [push(value, {}, source) for value in ("", "airf5ts_wrong") for source in ("lb1", "lb2/ä b", "nobody")]
    assert {(a.status_code, a.content) for a in answers} == {(401, answers[0].content)}
    assert answers[0].headers["WWW-Authenticate"].startswith("Bearer")
    known = [push(token, {}, source) for source in ("lb2/ä b", "nobody", "../lb1")]
    assert {(a.status_code, a.content) for a in known} == {(404, known[0].content)}
    assert push(other, {"a": 1}, "lb2/ä b").status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b'{"a": "\xff"}', {}, 415),
        (b"[" + b"{}," * 10_000 + b"{}]", {}, 413),
        (b" " * (view.MOST_PACKED + 1), {}, 413),
        (gzip.compress(b" " * (40 << 20)), {"Content-Encoding": "gzip"}, 413),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_stored(
    token: str, spool: Path, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = push(token, body, **headers)
    assert answer.status_code == status
    assert re.fullmatch(r"[A-Z][^\n]{5,200}\.", answer.json()["detail"])
    assert not list(spool.glob("push/*/*"))


def test_only_post_is_answered(token: str) -> None:
    answer = Client().get("/ingest/telemetry/lb1", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 405 and answer.headers["Allow"] == "POST"


def test_a_token_is_kept_as_its_hash_and_ends_when_it_is_revoked(feed: Feed, capsys: Any) -> None:
    call_command("telemetry-token", "lb1")
    old = capsys.readouterr().out.strip()
    assert old.startswith("airf5ts_") and not PushToken.objects.filter(hash__contains=old).exists()
    assert push(old, {"a": 1}).status_code == 200
    call_command("telemetry-token", "lb1", "--replace")
    new = capsys.readouterr().out.strip()
    view.pushers.forget()
    assert (push(old, {"a": 2}).status_code, push(new, {"a": 2}).status_code) == (401, 200)
    call_command("telemetry-token", "lb1", "--revoke")
    view.pushers.forget()
    assert push(new, {"a": 3}).status_code == 401
    verbs = list(UserAction.objects.filter(verb__startswith="push_token").order_by("id").values_list("verb", flat=True))
    assert verbs == ["push_token_create", "push_token_create", "push_token_revoke", "push_token_revoke"]
    assert not UserAction.objects.filter(detail__icontains=new).exists()
    with pytest.raises(CommandError):
        call_command("telemetry-token", "nobody")


def test_the_sources_file_may_name_where_the_token_stands(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRF5_SOURCE_LB3", "a long secret")
    configure(spool, "lb3", telemetry="env:AIRF5_SOURCE_LB3")
    view.pushers.forget()
    assert push("a long secret", {"a": 1}, "lb3").status_code == 200
    monkeypatch.delenv("AIRF5_SOURCE_LB3")
    view.pushers.forget()
    assert push("a long secret", {"a": 1}, "lb3").status_code == 401
    with pytest.raises(source_file.SourcesError, match="telemetry"):
        configure(spool, "lb4", telemetry="hunter2")


def test_a_source_that_is_stopped_takes_nothing(feed: Feed, token: str) -> None:
    Feed.objects.filter(pk=feed.pk).update(enabled=False)
    view.pushers.forget()
    assert push(token, {"a": 1}).status_code == 401


def test_too_much_at_once_is_told_when_to_come_again(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "pushes", view.Rate(1, 2))
    answers = [push(token, {"a": n}) for n in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429] and int(answers[2].headers["Retry-After"]) >= 1
    monkeypatch.setattr(view, "failures", view.Rate(1, 1))
    assert [push("x", {}).status_code for _ in range(2)] == [401, 429]
    monkeypatch.setattr(view, "pushes", view.Rate(1, 1))
    assert push(token, {"a": 1}).status_code == 200  # wrong tokens from one address stop no right one


def test_a_full_disk_is_a_503_and_the_batch_counts_when_it_is_sent_again(
    feed: Feed, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, batch = os.write, [a_request(n) for n in range(4)]
    with monkeypatch.context() as patch:
        room = [700]

        def short(descriptor: int, data: bytes) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            step = min(room[0], len(data))
            room[0] -= step
            return real(descriptor, data[:step])

        patch.setattr(os, "write", short)
        answer = push(token, batch)
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert read(feed) >= 1  # the lines that were whole
    assert push(token, batch).status_code == 200
    read(feed)
    assert Request.objects.count() == 4 and PushBatch.objects.get().stored == 4


def test_pushes_are_taken_while_the_database_is_away(
    feed: Feed, token: str, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("the server closed the connection unexpectedly")

    assert push(token, [a_request(0)]).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "_load", away)
        patch.setattr(tokens, "FRESH_S", 0)
        patch.setattr(tokens.connection, "close", lambda: None)
        patch.setattr(PushBatch.objects, "filter", away)
        assert push(token, [a_request(1)]).status_code == 200
        view.pushers.forget()
        answer = push(token, [a_request(2)])
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    view.pushers.forget()
    read(feed)
    assert Request.objects.count() == 2


def test_a_chunked_body_is_read_to_its_end(token: str) -> None:
    ask = RequestFactory().post("/ingest/telemetry/lb1", headers={"Authorization": f"Bearer {token}"})
    ask.META |= {"CONTENT_LENGTH": "", "wsgi.input_terminated": True, "wsgi.input": io.BytesIO(b'{"a": 1}')}
    assert view.push(ask, "lb1").status_code == 200
    ask.META["wsgi.input_terminated"] = False
    assert view.push(ask, "lb1").status_code == 411
    ask.META |= {"CONTENT_LENGTH": "99", "wsgi.input": io.BytesIO(b'{"a": 1}')}
    assert view.push(ask, "lb1").status_code == 400


class Silent:
    """A sender that says nothing more, and the socket it is silent on."""

    timeouts: list[float]

    def __init__(self) -> None:
        self.timeouts = []

    def read(self, size: int) -> bytes:
        raise TimeoutError("timed out")

    readline = read  # asked for, never called

    def gettimeout(self) -> float:
        return 30.0

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)


@pytest.mark.parametrize("length", [{"CONTENT_LENGTH": "9"}, {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}])
def test_a_sender_that_says_nothing_more_loses_its_turn(token: str, length: dict[str, Any]) -> None:
    silent, known = Silent(), {"Authorization": f"Bearer {token}"}
    extra = {"wsgi.input": silent, "gunicorn.socket": silent, **length}
    answer = view.push(RequestFactory().post("/ingest/telemetry/lb1", headers=known, **extra), "lb1")
    assert answer.status_code == 408 and silent.timeouts == [view.IDLE_S, 30.0]
