"""The Airflow source against recorded answers: paging, traps, sign-in, refusals and everything that is not JSON."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ingest.sources import airflow_api, airflow_details
from ingest.sources.airflow_session import Session, Source, life_of, pause_s, root_of
from ingest.sources.http import SourceRefused, SourceUnavailable, ask, back_off_s, open_client, redact, retry_after_s

SAMPLES = Path(__file__).parent.parent / "samples" / "airflow"
NOW = datetime(2026, 11, 22, 9, 49, 40, tzinfo=UTC)
DATE = "Sun, 22 Nov 2026 09:49:40 GMT"
SOURCE = Source("lab", "http://airflow:8080", username="airf5", password="s3cret")
LISTS = {
    "/pools": "pools",
    "/jobs": "jobs",
    "/dags": "dags",
    "/connections": "connections",
    "/eventLogs": "event_logs",
    "/dags/~/dagRuns": "dag_runs",
    "/dags/~/dagRuns/~/taskInstances": "task_instances",
}


def recorded(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def a_token(life_s=86_400, serial=1):
    claims = base64.urlsafe_b64encode(json.dumps({"iat": 0, "exp": life_s, "jti": serial}).encode()).decode()
    return f"eyJh.{claims.rstrip('=')}.sig"


class Airflow:
    """Answers like an Airflow 3; `answers` replaces single paths by a response or by a function of the request."""

    def __init__(self, **answers):
        self.answers = answers
        self.seen = []
        self.logins = 0
        self.waits = []

    def __call__(self, request):
        self.seen.append(request)
        path = request.url.path.removeprefix("/api/v2")
        if path == "/auth/token" and path not in self.answers:
            self.logins += 1
            return httpx.Response(201, json={"access_token": a_token(serial=self.logins)}, headers={"date": DATE})
        answer = self.answers.get(path)
        if answer is None and path == "/version":
            answer = an_answer(recorded("version")["body"])
        if answer is None:
            name = LISTS.get(path)
            answer = httpx.Response(200, json={name: [], "total_entries": 0} if name else {}, headers={"date": DATE})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return answer(request) if callable(answer) else httpx.Response(answer.status_code, **_parts(answer))

    def session(self, source=SOURCE, now=lambda: NOW):
        return Session(source, transport=httpx.MockTransport(self), now=now, sleep=self.waits.append)

    def pull_lazily(self, cursor=None, wanted=None, source=SOURCE, now=lambda: NOW):
        transport = httpx.MockTransport(self)
        options = {"transport": transport, "now": now, "sleep": self.waits.append}
        return airflow_api.read(source, cursor, wanted, **options)

    def pull(self, *args, **options):
        return list(self.pull_lazily(*args, **options))

    def asked(self, path):
        return [request for request in self.seen if request.url.path == "/api/v2" + path]


def _parts(answer):
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return {"content": answer.content, "headers": headers}


def an_answer(body, status=200, **headers):
    return httpx.Response(status, json=body, headers={"date": DATE, **headers})


def kinds(pages):
    return [page.kind for page in pages if page.items]


def rows(pages, kind):
    return [item for page in pages if page.kind == kind for item in page.items]


def test_a_pull_reads_everything_and_says_how_far_it_knows():
    airflow = Airflow(**{"/version": an_answer(recorded("version")["body"])})
    pages = airflow.pull()
    assert rows(pages, "version")[0]["version"] == "3.3.2"
    last = pages[-1]
    assert (last.kind, last.complete_to) == ("task_instances", NOW - airflow_api.SETTLE)
    assert last.cursor["task_instances"] == last.cursor["event_logs"] == NOW.isoformat()


def test_only_the_end_of_a_list_moves_its_watermark():
    one, two = recorded("taskInstances_cursor_page1")["body"], recorded("taskInstances_cursor_page2")["body"]
    path = "/dags/~/dagRuns/~/taskInstances"
    pages = Airflow(**{path: [an_answer(one), an_answer({**two, "next_cursor": None})]}).pull()
    cursors = [page.cursor for page in pages if page.kind == "task_instances"]
    assert ["task_instances" in (cursor or {}) for cursor in cursors] == [False, False, True]
    assert "task_instances_at" not in cursors[-1]


@pytest.mark.parametrize("step", [{"cursor": "next"}, {"offset": 1}])
def test_a_pull_that_was_cut_off_goes_on_where_it_was(step):
    following = {"next_cursor": step.get("cursor")}
    path = "/dags/~/dagRuns/~/taskInstances"
    first = an_answer({"task_instances": [{"n": 1}], "total_entries": 2, **following})
    last = an_answer({"task_instances": [{"n": 2}], "total_entries": 2, "next_cursor": None})
    cut = next(page for page in Airflow(**{path: first}).pull_lazily() if page.kind == "task_instances")
    airflow = Airflow(**{path: last})
    later = airflow.pull(cut.cursor, now=lambda: NOW + timedelta(minutes=1))
    (request,) = airflow.asked(path)
    assert {name: request.url.params[name] for name in step} == {name: str(value) for name, value in step.items()}
    assert request.url.params["updated_at_gte"] == (NOW - timedelta(hours=24)).isoformat()
    assert rows(later, "task_instances") == [{"n": 2}]
    assert later[-1].cursor["task_instances"] == NOW.isoformat()  # what changed since the beginning comes again
    assert later[-1].complete_to == NOW - airflow_api.SETTLE


def test_a_place_that_the_server_does_not_know_any_more_means_from_the_start():
    path = "/dags/~/dagRuns/~/taskInstances"
    kept = {"since": NOW.isoformat(), "began": NOW.isoformat(), "at": {"cursor": "old"}}
    everything = an_answer({"task_instances": [{"n": 1}], "total_entries": 1})
    airflow = Airflow(**{path: [an_answer({"detail": "Invalid cursor"}, 400), everything]})
    pages = airflow.pull({"task_instances_at": kept})
    assert rows(pages, "task_instances") == [{"n": 1}]
    assert airflow.asked(path)[-1].url.params["cursor"] == ""


def test_a_long_event_log_is_read_bit_by_bit_and_says_so(monkeypatch):
    monkeypatch.setattr(airflow_api, "MOST_EVENT_PAGES", 2)
    start = NOW - timedelta(hours=20)
    events = [{"event_log_id": n, "when": (start + timedelta(minutes=n)).isoformat(), "event": "x"} for n in range(500)]

    def a_hundred(request):
        after = datetime.fromisoformat(request.url.params["after"])
        found = [event for event in events if datetime.fromisoformat(event["when"]) > after]
        offset = int(request.url.params.get("offset", 0))
        return an_answer({"event_logs": found[offset : offset + 100], "total_entries": len(found)})

    airflow, cursor, seen = Airflow(**{"/eventLogs": a_hundred}), None, []
    for _ in range(3):
        pages = airflow.pull(cursor)
        cursor = pages[-1].cursor
        seen.append((len(rows(pages, "event_logs")), bool(rows(pages, "refused"))))
    assert sum(count for count, _ in seen) == 500 and [behind for _, behind in seen] == [True, True, False]
    assert cursor["event_logs"] == NOW.isoformat()


def test_the_first_pull_looks_back_a_day_and_the_next_one_overlaps():
    airflow = Airflow()
    cursor = airflow.pull()[-1].cursor
    airflow.pull(cursor)
    first, second = (r.url.params["updated_at_gte"] for r in airflow.asked("/dags/~/dagRuns/~/taskInstances"))
    assert first == (NOW - timedelta(hours=24)).isoformat()
    assert second == (NOW - timedelta(seconds=30)).isoformat()


def test_a_watermark_from_the_future_hides_nothing():
    airflow = Airflow()
    airflow.pull({"task_instances": (NOW + timedelta(days=1)).isoformat()})
    (request,) = airflow.asked("/dags/~/dagRuns/~/taskInstances")
    assert request.url.params["updated_at_gte"] == (NOW - timedelta(seconds=30)).isoformat()


def test_a_clock_that_is_behind_is_corrected_by_the_date_header():
    behind = NOW - timedelta(minutes=7)
    last = Airflow().pull(now=lambda: behind)[-1]
    assert abs(datetime.fromisoformat(last.cursor["task_instances"]) - NOW) < timedelta(seconds=1)


def test_updated_at_is_never_asked_for_as_an_order():
    airflow = Airflow()
    airflow.pull()
    assert {request.url.params.get("order_by") for request in airflow.seen} == {None, "id", "event_log_id"}


def test_cursor_pages_are_followed_to_the_end():
    one, two = recorded("taskInstances_cursor_page1")["body"], recorded("taskInstances_cursor_page2")["body"]
    end = {**two, "task_instances": [], "next_cursor": None}
    airflow = Airflow(**{"/dags/~/dagRuns/~/taskInstances": [an_answer(one), an_answer(two), an_answer(end)]})
    found = rows(airflow.pull(), "task_instances")
    assert len(found) == len(one["task_instances"]) + len(two["task_instances"])
    asked = [request.url.params["cursor"] for request in airflow.asked("/dags/~/dagRuns/~/taskInstances")]
    assert asked == ["", one["next_cursor"], two["next_cursor"]]


def test_a_clamped_page_is_paged_by_what_came():
    everything = [{"n": n} for n in range(7)]

    def clamp_to_three(request):
        offset = int(request.url.params.get("offset", 0))
        return an_answer({"task_instances": everything[offset : offset + 3], "total_entries": 7})

    found = rows(Airflow(**{"/dags/~/dagRuns/~/taskInstances": clamp_to_three}).pull(), "task_instances")
    assert found == everything


def test_endless_pages_are_noticed():
    again = {"task_instances": [{"n": 1}], "next_cursor": "same", "total_entries": 9}
    with pytest.raises(SourceUnavailable, match="again and again"):
        Airflow(**{"/dags/~/dagRuns/~/taskInstances": an_answer(again)}).pull()


def test_event_logs_of_the_overlap_come_once():
    answer = an_answer(recorded("eventLogs_after")["body"] | {"total_entries": 10})
    airflow = Airflow(**{"/eventLogs": answer})
    first = airflow.pull()
    assert len(rows(first, "event_logs")) == 10
    assert rows(airflow.pull(first[-1].cursor), "event_logs") == []


@pytest.mark.parametrize("path", ["/connections", "/jobs", "/pools", "/eventLogs"])
def test_a_list_the_role_may_not_read_is_a_note(path):
    pages = Airflow(**{path: an_answer({"detail": "Forbidden"}, 403)}).pull()
    (note,) = rows(pages, "refused")
    assert note["endpoint"] == path
    assert "may not read this" in note["sentence"]
    assert pages[-1].complete_to


def test_refused_task_instances_fail_the_pull():
    with pytest.raises(SourceRefused, match="may not read this"):
        Airflow(**{"/dags/~/dagRuns/~/taskInstances": an_answer({}, 403)}).pull()


def test_a_refused_event_log_keeps_its_old_watermark():
    old = (NOW - timedelta(hours=1)).isoformat()
    last = Airflow(**{"/eventLogs": an_answer({}, 403)}).pull({"event_logs": old})[-1]
    assert last.cursor["event_logs"] == old


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
    assert "s3cret" not in repr(SOURCE)


def test_a_static_token_is_used_without_a_login():
    airflow = Airflow()
    airflow.pull(source=Source("lab", "http://airflow:8080/api/v2/", token="static"))
    assert airflow.logins == 0
    assert airflow.asked("/pools")[0].headers["authorization"] == "Bearer static"


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
    assert "redirects to https://sso/login:" in rows(pages, "refused")[0]["sentence"]


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


KEY = airflow_api.TryKey("price_fanout", "manual__2026-11-22T09:20:52+00:00", "fetch_price", 0, 1)
MAPPED = "/dags/price_fanout/dagRuns/manual__2026-11-22T09:20:52+00:00/taskInstances/fetch_price"


def test_the_history_of_a_mapped_try_is_asked_with_its_index():
    airflow = Airflow(**{f"{MAPPED}/0/tries": an_answer(recorded("ti_tries_mapped")["body"])})
    pages = airflow.pull(wanted=airflow_api.Wanted(histories=(KEY,)))
    assert rows(pages, "tries")[0]["map_index"] == 0
    raw = airflow.asked(f"{MAPPED}/0/tries")[0].url.raw_path
    assert b"manual__2026-11-22T09%3A20%3A52%2B00%3A00" in raw


def test_a_log_is_one_call_with_its_map_index():
    airflow = Airflow(**{f"{MAPPED}/logs/1": an_answer(recorded("ti_logs_mapped")["body"])})
    (item,) = rows(airflow.pull(wanted=airflow_api.Wanted(logs=(KEY,))), "task_logs")
    assert item["found"]
    assert item["content"]
    (request,) = airflow.asked(f"{MAPPED}/logs/1")
    assert dict(request.url.params) == {"full_content": "true", "map_index": "0"}


def test_a_log_that_is_gone_is_an_item_too():
    airflow = Airflow(**{f"{MAPPED}/logs/1": an_answer({"detail": "not found"}, 404)})
    (item,) = rows(airflow.pull(wanted=airflow_api.Wanted(logs=(KEY,))), "task_logs")
    assert not item["found"]


def test_a_log_that_is_too_long_is_not_kept(monkeypatch):
    monkeypatch.setattr(airflow_details, "LARGEST_LOG", 100)
    airflow = Airflow(**{f"{MAPPED}/logs/1": an_answer(recorded("ti_logs_mapped")["body"])})
    (item,) = rows(airflow.pull(wanted=airflow_api.Wanted(logs=(KEY,))), "task_logs")
    assert "too long" in item["content"][0]["event"]


def test_details_are_capped():
    source = Source("lab", "http://a", token="t", options={"most_details": 3})
    airflow = Airflow()
    wanted = airflow_api.Wanted(logs=tuple(KEY._replace(try_number=n) for n in range(9)))
    assert len(rows(airflow.pull(source=source, wanted=wanted), "task_logs")) == 3


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
    assert retry_after_s("Sun, 22 Nov 2026 09:50:40 GMT", NOW) == 60
    assert retry_after_s("soon", NOW) is None


@pytest.mark.parametrize("text", [f"Bearer {a_token()}", a_token(), "http://user:pw1234@host/x", "Basic dXNlcjpwdw=="])
def test_secrets_are_redacted(text):
    assert "***" in redact(text)
    assert not {"pw1234", "dXNlcjpwdw==", "sig"} & set(redact(text).replace("@", " ").replace(":", " ").split())


def test_the_life_of_a_token():
    assert life_of(a_token(100)) == timedelta(seconds=100)
    assert life_of("opaque") == timedelta(hours=1)
    assert root_of(" http://h/prefix/api/v2/ ") == "http://h/prefix"
