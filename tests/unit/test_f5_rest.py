"""The iControl REST client against a recorded device: one token, two calls at a time, and what each refusal means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ingest.sources import f5_rest
from ingest.sources.f5_rest import BY_NAME, READINGS, Reply
from ingest.sources.f5_session import LOGIN, NotAllowed, NotThere, Session, root_of, tilde
from ingest.sources.http import SourceRefused, SourceUnavailable
from tests.icontrol import NOW, PASSWORD, TARGET, RecordedDevice

POOL = "/mgmt/tm/ltm/pool"


@pytest.fixture
def device() -> RecordedDevice:
    return RecordedDevice()


@pytest.fixture
def session(device: RecordedDevice) -> Iterator[Session]:
    one = open_session(device)
    yield one
    one.close()


def open_session(device: RecordedDevice, **changes: Any) -> Session:
    return Session(replace(TARGET, **changes), transport=device.transport(), now=device.clock)


def pull(session: Session, *names: str) -> dict[str, Reply]:
    readings = [BY_NAME[name] for name in names] or list(READINGS)
    return {reply.reading.name: reply for reply in f5_rest.read(session, readings)}


def test_one_token_serves_all_calls_and_is_given_back(device: RecordedDevice) -> None:
    session = open_session(device)
    assert {reply.outcome for reply in pull(session).values()} == {"told"}
    assert (device.given, len(device.tokens), session.spent.logins) == (1, 1, 1)
    assert session.spent.calls == len(device.asked) == len(READINGS) + 1
    assert session.spent.bytes > 10_000
    session.close()
    assert device.tokens == set()


def test_two_calls_at_a_time_and_the_clock_alone() -> None:
    device = RecordedDevice(pause_s=0.002)
    session = open_session(device)
    pull(session)
    assert device.most_at_once == 2
    assert device.asked[:2] == [LOGIN, "/mgmt/tm/sys/clock"]
    session.close()


def test_a_token_is_renewed_at_four_fifths_of_its_life_and_the_old_one_given_back(
    device: RecordedDevice, session: Session
) -> None:
    session.get(POOL)
    device.clock.move(959)
    session.get(POOL)
    assert device.given == 1
    device.clock.move(2)
    session.get(POOL)
    assert (device.given, len(device.tokens)) == (2, 1)


def test_a_token_that_the_device_forgot_is_renewed_at_once(device: RecordedDevice, session: Session) -> None:
    session.get(POOL)
    device.tokens.clear()  # restjavad started again
    assert session.get(POOL).body["kind"] == "tm:ltm:pool:poolcollectionstate"
    assert device.given == 2


def test_a_device_that_forgets_every_token_is_not_asked_for_one_after_the_other(
    device: RecordedDevice, session: Session
) -> None:
    session.get(POOL)
    device.instead[POOL] = (401, {"code": 401, "message": "X-F5-Auth-Token does not exist."})
    with pytest.raises(SourceUnavailable, match="forgets a token"):
        session.get(POOL)
    assert device.given == 2


@pytest.mark.parametrize(
    ("status", "message", "error", "says"),
    [
        (403, "forbidden", NotAllowed, "may not read this"),
        (
            401,
            "Authorization failed: user=https://localhost/x resource=/mgmt/tm/ltm/pool verb=GET",
            NotAllowed,
            "verb=GET",
        ),
        (404, "01020036:3: The requested Pool (/Common/x) was not found.", NotThere, "was not found"),
        (404, "Public URI path not registered: /tm/ltm/pool", SourceUnavailable, "starting up"),
        (
            404,
            "URI path /mgmt/tm/ltm/pool not registered.  Please verify URI is supported",
            SourceUnavailable,
            "starting",
        ),
        (503, "There is an active asynchronous task executing.", SourceUnavailable, "answered 503"),
        (500, "The connection to mcpd has been lost, try again.", SourceUnavailable, "answered 500"),
    ],
)
def test_what_a_refusal_means(
    device: RecordedDevice, session: Session, status: int, message: str, error: type, says: str
) -> None:
    device.instead[POOL] = (status, {"code": status, "message": message})
    with pytest.raises(error, match=says):
        session.get(POOL)
    assert device.given == 1  # none of these is answered by signing in again


def test_a_page_of_the_restarting_web_server_is_no_answer(device: RecordedDevice, session: Session) -> None:
    for status in (404, 503):
        device.instead[POOL] = (status, "<html><body>Configuration Utility restarting...</body></html>")
        with pytest.raises(SourceUnavailable):
            session.get(POOL)


def test_a_wrong_password_is_refused_and_never_shown(device: RecordedDevice) -> None:
    session = open_session(device, password="hunter2")
    with pytest.raises(SourceRefused, match="does not accept user 'airf5'") as caught:
        session.get(POOL)
    assert "hunter2" not in caught.value.sentence and "hunter2" not in repr(session.target)
    assert caught.value.status == 401 and device.calls(LOGIN) == 1


def test_two_calls_at_a_time_are_one_failed_login() -> None:
    device = RecordedDevice(pause_s=0.02)
    session = open_session(device, password="hunter2")
    found = pull(session, "pool", "virtual", "policy")
    assert [reply.outcome for reply in found.values()] == ["failed", "skipped", "skipped"]
    assert device.calls(LOGIN) == 1


def test_a_hundred_tokens_of_others_are_waited_for(device: RecordedDevice, session: Session) -> None:
    words = "user 1f44a60e has reached maximum active login tokens"
    device.instead[LOGIN] = (400, {"code": 400, "message": words})
    with pytest.raises(SourceUnavailable, match="100 are open already") as caught:
        session.get(POOL)
    assert caught.value.retry_after_s == 600


def test_a_login_that_gives_no_token_is_no_bigip(device: RecordedDevice, session: Session) -> None:
    for body in ({}, {"token": {}}, {"token": {"token": "a\r\nX-Evil: 1"}}, []):
        device.instead[LOGIN] = (200, body)
        with pytest.raises(SourceRefused, match="is it a BIG-IP"):
            session.get(POOL)
    device.instead[LOGIN] = (404, {"code": 404, "message": "no such thing"})
    with pytest.raises(SourceRefused, match="management address"):
        session.get(POOL)


def test_the_token_stands_in_no_error(device: RecordedDevice) -> None:
    session = open_session(device)
    session.get(POOL)
    (token,) = device.tokens
    device.instead[f"/mgmt/shared/authz/tokens/{token}"] = (500, {"message": token})
    session.close()  # no error comes out, and the token dies by itself


def test_without_a_password_nothing_is_sent(device: RecordedDevice) -> None:
    with pytest.raises(SourceRefused, match="no user name or no password"):
        open_session(device, password="")
    assert device.asked == []


def test_not_allowed_not_there_and_empty_are_three_things(device: RecordedDevice, session: Session) -> None:
    device.instead["/mgmt/tm/sys/file/ssl-cert"] = (403, {"code": 403, "message": "no"})
    device.instead["/mgmt/tm/cm/device-group"] = (404, {"code": 404, "message": "01020036:3: not found."})
    device.answers["/mgmt/tm/auth/user"] = {"kind": "tm:auth:user:usercollectionstate"}  # a guest's empty answer
    device.answers[POOL] = {"kind": "tm:ltm:pool:poolcollectionstate"}  # a device may have no pool
    found = pull(session, "certificate", "group", "user", "pool")
    assert {name: reply.outcome for name, reply in found.items()} == {
        "certificate": "refused", "group": "absent", "user": "refused", "pool": "told",
    }  # fmt: skip
    assert found["certificate"].sentence.startswith("Not allowed: ")
    assert found["group"].sentence.startswith("Not there: ")
    assert "Empty, though every BIG-IP has the user admin" in found["user"].sentence


def test_after_a_failure_nothing_more_is_asked(device: RecordedDevice, session: Session) -> None:
    device.instead["/mgmt/tm/sys/clock"] = (503, {"code": 503, "message": "busy"})
    found = pull(session)
    assert found["clock"].outcome == "failed" and isinstance(found["clock"].error, SourceUnavailable)
    assert {reply.outcome for name, reply in found.items() if name != "clock"} == {"skipped"}
    assert device.asked == [LOGIN, "/mgmt/tm/sys/clock"]


def test_an_older_version_tells_its_failover_state_elsewhere(device: RecordedDevice, session: Session) -> None:
    device.instead["/mgmt/tm/cm/failover-status"] = (404, {"code": 404, "message": "not found"})
    device.instead["/mgmt/tm/sys/failover"] = (200, {"apiRawValues": {"apiAnonymous": "Failover standby for 1d\n"}})
    assert pull(session, "failover")["failover"].body["apiRawValues"]
    device.instead["/mgmt/tm/sys/failover"] = (404, {"code": 404, "message": "not found"})
    assert pull(session, "failover")["failover"].outcome == "absent"


def test_pages_are_put_together(device: RecordedDevice, session: Session) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if b"skip=1" in request.url.raw_path:
            return httpx.Response(200, json={"items": [{"fullPath": "/Common/b"}]})
        link = "https://localhost/mgmt/tm/ltm/virtual?$top=1&$skip=1"
        return httpx.Response(200, json={"items": [{"fullPath": "/Common/a"}], "nextLink": link})

    device._answer, plain = (
        lambda request, path: answer(request) if path == "/mgmt/tm/ltm/virtual" else plain(request, path),  # type: ignore[method-assign]
        device._answer,
    )
    body = pull(session, "virtual")["virtual"].body
    assert [row["fullPath"] for row in body["items"]] == ["/Common/a", "/Common/b"]


def test_a_list_without_end_is_no_whole_answer(device: RecordedDevice, session: Session) -> None:
    link = "https://localhost/mgmt/tm/ltm/virtual?$top=1&$skip=1"
    device.answers["/mgmt/tm/ltm/virtual"] = {"items": [{"fullPath": "/Common/a"}], "nextLink": link}
    reply = pull(session, "virtual")["virtual"]
    assert (reply.outcome, reply.body) == ("refused", None) and "more than 100 pages" in reply.sentence


def test_the_clock_is_read_at_the_middle_of_its_call(session: Session) -> None:
    reply = pull(session, "clock")["clock"]
    assert reply.middle is not None and reply.elapsed_s >= 0
    assert abs((reply.middle - NOW).total_seconds() + reply.elapsed_s / 2) < 0.001


def test_due_readings_go_by_how_long_they_wait() -> None:
    at = NOW.timestamp()
    assert [one.name for one in f5_rest.due({}, NOW, 100)] == [one.name for one in READINGS]
    assert f5_rest.due({}, NOW, 0) == []
    asked = dict.fromkeys(BY_NAME, at)
    assert f5_rest.due(asked, NOW, 100) == []
    asked |= {"pool": at - 900, "clock": at - 61, "certificate": at - 4000}
    assert [one.name for one in f5_rest.due(asked, NOW, 2)] == ["pool", "certificate"]
    assert [one.name for one in f5_rest.due(asked, NOW, 1)] == ["pool"]
    assert [one.name for one in f5_rest.due(asked, NOW, 3)] == ["clock", "pool", "certificate"]


def test_what_failed_is_asked_last_and_more_seldom() -> None:
    at = NOW.timestamp()
    asked = dict.fromkeys(BY_NAME, at - 4000.0)
    assert [one.name for one in f5_rest.due(asked, NOW, 100, {"pool": 2})][-1] == "pool"
    asked = dict.fromkeys(BY_NAME, at - 400.0)
    assert "pool" in [one.name for one in f5_rest.due(asked, NOW, 100, {"pool": 1})]
    assert "pool" not in [one.name for one in f5_rest.due(asked, NOW, 100, {"pool": 2})]
    asked = dict.fromkeys(BY_NAME, at - 3600.0)
    assert {"pool", "certificate"} <= {one.name for one in f5_rest.due(asked, NOW, 100, {"pool": 7, "certificate": 7})}


def test_a_password_does_not_travel_in_clear(device: RecordedDevice) -> None:
    with pytest.raises(SourceRefused, match="in clear"):
        open_session(device, base_url="http://bigip-1.example.com")
    open_session(device, base_url="http://127.0.0.1:8080").close()
    assert device.asked == []


def test_names_and_addresses_as_icontrol_wants_them(device: RecordedDevice, session: Session) -> None:
    assert tilde("/Common/app.app/p%10 x") == "~Common~app.app~p%2510%20x"
    assert root_of("https://lb.example.com/mgmt/tm/") == root_of("https://lb.example.com") == "https://lb.example.com"
    (reading,) = f5_rest.stats_of(["/Common/pool_a%10"])
    list(f5_rest.read(session, [reading]))
    assert device.asked[-1] == "/mgmt/tm/ltm/pool/~Common~pool_a%2510/members/stats"


def test_the_password_is_sent_to_the_login_alone(device: RecordedDevice) -> None:
    seen: list[httpx.Request] = []
    plain = device._answer
    device._answer = lambda request, path: (seen.append(request), plain(request, path))[1]  # type: ignore[method-assign]
    session = open_session(device)
    pull(session, "pool")
    session.close()
    assert [PASSWORD.encode() in request.content for request in seen] == [True, False, False]
    assert not any("Authorization" in request.headers for request in seen)
