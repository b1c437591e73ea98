"""How a session signs in: tokens of Airflow 3, the login form and passwords of Airflow 2, and what a refusal means."""

from datetime import timedelta

import httpx
import pytest

from ingest.sources import airflow_auth
from ingest.sources.airflow_session import Source, life_of, root_of
from ingest.sources.http import SourceRefused
from tests.airflows import LAB, NOW, Airflow, Airflow2, a_token, an_answer, of_kind, recorded, replay


def test_a_token_that_was_revoked_is_replaced_once():
    airflow = Airflow(**{"/pools": [an_answer({}, 401), an_answer({"pools": [], "total_entries": 0})]})
    airflow.pull()
    assert airflow.logins == 2


def test_a_token_that_is_never_accepted_is_an_error():
    airflow = Airflow(**{"/pools": an_answer(recorded("unauthenticated"), 401)})
    with pytest.raises(SourceRefused, match="credentials"):
        airflow.pull()
    assert airflow.logins == 2


def test_a_token_is_renewed_at_four_fifths_of_its_life():
    clock = [NOW]
    airflow = Airflow(**{"/auth/token": lambda request: an_answer({"access_token": a_token(100)}, 201)})
    with airflow.session(now=lambda: clock[0]) as session:
        for seconds in (0, 79, 81):
            clock[0] = NOW + timedelta(seconds=seconds)
            session.get("/pools")
    assert [request.url.path for request in airflow.seen].count("/auth/token") == 2


def test_a_wrong_password_is_told_and_not_shown():
    airflow = Airflow(**{"/auth/token": an_answer(recorded("auth_token_bad")["body"], 401)})
    with pytest.raises(SourceRefused, match="does not accept user 'airf5'") as refused:
        airflow.pull()
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(LAB)


def test_a_static_token_is_used_without_a_login():
    airflow = Airflow()
    airflow.pull(source=Source("lab", "http://airflow:8080/api/v2/", token="static"))
    assert airflow.logins == 0
    assert airflow.asked("/pools")[0].headers["authorization"] == "Bearer static"


def test_the_life_of_a_token():
    assert life_of(a_token(100)) == timedelta(seconds=100)
    assert life_of("opaque") == timedelta(hours=1)
    assert root_of(" http://h/prefix/api/v2/ ") == "http://h/prefix"


@pytest.mark.parametrize(
    ("auth", "words"),
    [("token", "has no /auth/token"), ("bearer", "has no token")],
)
def test_a_sign_in_that_airflow_2_lacks_is_said(auth, words):
    with pytest.raises(SourceRefused, match=words):
        Airflow2().pull(source=Source("old", "http://airflow:8080", "airf5", "s3cret", auth=auth))


def test_the_cookie_of_the_login_form_is_used_and_kept():
    airflow, kept = Airflow2(backends=("session",)), {}
    airflow.pull(kept=kept)
    airflow.pull(kept=kept)
    assert [request.method for request in airflow.asked("/login/")] == ["GET", "POST"]
    assert {request.headers.get("cookie") for request in airflow.asked("/pools")} == {"session=known0"}
    assert not [request for request in airflow.seen if "authorization" in request.headers]
    assert "known0" not in repr(kept)


def test_where_cookies_are_not_taken_each_call_has_the_password():
    airflow = Airflow2(backends=("basic_auth",))
    airflow.pull()
    (request,) = airflow.asked("/pools")
    assert request.headers["authorization"].startswith("Basic ") and "cookie" not in request.headers


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_password_is_told_from_a_missing_right(status):
    airflow = Airflow2(stranger=status)
    with pytest.raises(SourceRefused, match="does not accept user 'airf5'") as refused:
        airflow.pull(source=Source("old", "http://airflow:8080", "airf5", "wr0ng"))
    assert "wr0ng" not in str(refused.value)
    assert [request.method for request in airflow.asked("/login/")] == ["GET", "POST"]  # accounts get locked


def test_a_missing_right_is_a_note_and_no_new_login():
    airflow = Airflow2("2.6.3", **{"/pools": replay("2.6.3/pools_viewer")})
    pages = airflow.pull()
    refused = {item["endpoint"]: item["sentence"] for item in of_kind(pages, "refused")}
    assert "may not read this" in refused["/pools"] and pages[-1].complete_to
    assert len(airflow.asked("/login/")) == 2


def test_a_cookie_that_ended_is_replaced_once():
    airflow, kept = Airflow2(backends=("session",)), {}
    cursor = airflow.pull(kept=kept)[-1].cursor
    airflow.cookies.clear()
    airflow.pull(cursor, kept=kept)
    assert [request.method for request in airflow.asked("/login/")] == ["GET", "POST"] * 2


def test_a_page_that_signs_in_elsewhere_gets_no_password():
    airflow = Airflow2()
    airflow.login = lambda request: httpx.Response(200, html="<html><a href='/oauth'>Sign in with Acme</a></html>")
    airflow.pull()
    assert [request.method for request in airflow.asked("/login/")] == ["GET"]


def test_a_session_of_one_airflow_is_never_used_for_another():
    one, other = Source("a", "http://a", "u", "p"), Source("a", "http://b", "u", "p")
    places = {airflow_auth.place_of(source, api) for source in (one, other) for api in ("v1", "v2")}
    places.add(airflow_auth.place_of(Source("a", "http://a", "u", "new"), "v1"))
    assert len(places) == 5 and not any("new" in place for place in places)
    kept = {}
    for number in range(airflow_auth.MOST_KEPT + 5):
        airflow_auth.keep(kept, str(number), airflow_auth.bearer("t"))
    assert len(kept) == airflow_auth.MOST_KEPT and "0" not in kept
