"""The HTTP client: answers that are none, time-outs, back-off, a gentle pace, and no secret in a sentence."""

import httpx
import pytest

from ingest.sources.airflow_session import pause_s
from ingest.sources.http import SourceRefused, SourceUnavailable, ask, back_off_s, open_client, redact, retry_after_s
from tests.airflows import NOW, Airflow, a_token, an_answer, of_kind


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(200, html="<html>sign in</html>"), "HTML page instead of JSON"),
        (httpx.Response(200, content=b'{"pools": [', headers={"content-type": "application/json"}), "cut or broken"),
        (httpx.Response(200, text="OK"), "text/plain instead of JSON"),
        (httpx.Response(502, html="<html>Bad Gateway</html>"), "502 with an HTML page"),
        (httpx.Response(200, json={"other": []}), "answered without 'pools'"),
    ],
)
def test_what_is_no_answer_is_told_in_plain_words(answer, words):
    with pytest.raises(SourceUnavailable, match=words):
        Airflow(**{"/pools": answer}).pull()


def test_broken_gzip_is_told_in_plain_words_too():
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(b'{"pools": []}'), headers={"content-encoding": "gzip"})

    client = open_client("http://airflow", transport=httpx.MockTransport(answer))
    with client, pytest.raises(SourceUnavailable, match="cannot be unpacked"):
        ask(client, "GET", "/pools")


def test_redirects_are_not_followed():
    pages = Airflow(**{"/pools": httpx.Response(302, headers={"location": "https://sso/login?t=1"})}).pull()
    assert "redirects to https://sso/login:" in of_kind(pages, "refused")[0]["sentence"]


def test_a_busy_server_is_obeyed():
    busy = httpx.Response(429, json={}, headers={"retry-after": "3"})
    airflow = Airflow(**{"/pools": [busy, an_answer({"pools": [], "total_entries": 0})]})
    airflow.pull()
    assert [wait for wait in airflow.waits if wait >= 3]


def test_a_long_retry_after_is_left_to_the_scheduler():
    airflow = Airflow(**{"/pools": httpx.Response(429, json={}, headers={"retry-after": "120"})})
    with pytest.raises(SourceUnavailable) as busy:
        airflow.pull()
    assert busy.value.retry_after_s == 120
    assert len(airflow.asked("/pools")) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "takes no connection"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "host name"),
        (httpx.ReadTimeout("timed out"), "did not answer within"),
        (httpx.RemoteProtocolError("peer closed connection"), "ended the connection"),
    ],
)
def test_a_transport_error_says_what_to_look_at(error, words):
    def fail(request):
        raise error

    with pytest.raises(SourceUnavailable, match=words):
        Airflow(**{"/version": fail}).pull()


def test_an_untrusted_certificate_is_a_persons_to_mend():
    def fail(request):
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer certificate")

    with pytest.raises(SourceRefused, match="CA file"):
        Airflow(**{"/version": fail}).pull()


def test_slow_answers_make_us_slower():
    assert pause_s(elapsed_s=4, usual_s=0.1, calls=1) == 4
    assert pause_s(elapsed_s=60, usual_s=0.1, calls=1) == 5
    assert pause_s(elapsed_s=0.2, usual_s=0.1, calls=1) == 0
    assert pause_s(elapsed_s=0.1, usual_s=0.1, calls=50) > 0


def test_back_off_grows_is_bounded_and_repeats_with_its_seed():
    waits = [back_off_s(n, seed=7) for n in range(1, 20)]
    assert waits == [back_off_s(n, seed=7) for n in range(1, 20)]
    assert waits != [back_off_s(n, seed=8) for n in range(1, 20)]
    assert max(waits) <= 300
    assert waits[0] < waits[4] < waits[7]
    assert back_off_s(1, 7, retry_after_s=20) >= 20


def test_retry_after_is_a_number_or_a_date():
    assert retry_after_s("5", NOW) == 5
    assert retry_after_s("Sun, 22 Nov 2026 11:05:16 GMT", NOW) == 60
    assert retry_after_s("soon", NOW) is None


@pytest.mark.parametrize("text", [f"Bearer {a_token()}", a_token(), "http://user:pw1234@host/x", "Basic dXNlcjpwdw=="])
def test_secrets_are_redacted(text):
    assert "***" in redact(text)
    assert not {"pw1234", "dXNlcjpwdw==", "sig"} & set(redact(text).replace("@", " ").replace(":", " ").split())
