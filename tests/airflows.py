"""An Airflow 3 and an Airflow 2 that answer from recorded answers: what the tests of the REST source pull from."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import httpx

from ingest.sources import airflow_api
from ingest.sources.airflow_session import Session, Source

SAMPLES = Path(__file__).parent / "samples" / "airflow"
NOW = datetime(2026, 11, 22, 11, 4, 16, tzinfo=UTC)
DATE = "Sun, 22 Nov 2026 11:04:16 GMT"
LAB = Source("lab", "http://airflow:8080", username="airf5", password="s3cret")
OLD = Source("old", "http://airflow:8080", username="airf5", password="s3cret")
TASK_INSTANCES, DAG_RUNS = "/dags/~/dagRuns/~/taskInstances", "/dags/~/dagRuns"
LISTS = {
    "/pools": "pools",
    "/dags": "dags",
    "/connections": "connections",
    "/eventLogs": "event_logs",
    DAG_RUNS: "dag_runs",
    TASK_INSTANCES: "task_instances",
}
LISTS_3 = LISTS | {"/jobs": "jobs"}
# What the list of task instances takes; anything else is answered 400 by a real one.
FILTERS = {"limit", "offset", "updated_at_gte", "updated_at_lte", "end_date_gte", "end_date_lte"}


def recorded(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def replay(name):
    told = recorded(f"v1/{name}")
    body = told["body"]
    headers = {"date": DATE, "content-type": told["headers"]["content-type"]}
    content = body if isinstance(body, str) else json.dumps(body)
    return httpx.Response(told["status"], content=content.encode(), headers=headers)


def an_answer(body, status=200, **headers):
    return httpx.Response(status, json=body, headers={"date": DATE, **headers})


def of_kind(pages, kind):
    return [item for page in pages if page.kind == kind for item in page.items]


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
            name = LISTS_3.get(path)
            answer = httpx.Response(200, json={name: [], "total_entries": 0} if name else {}, headers={"date": DATE})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return answer(request) if callable(answer) else httpx.Response(answer.status_code, **_parts(answer))

    def session(self, source=LAB, now=lambda: NOW):
        return Session(source, transport=httpx.MockTransport(self), now=now, sleep=self.waits.append)

    def pull_lazily(self, cursor=None, wanted=None, source=LAB, now=lambda: NOW):
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


class Airflow2:
    """Answers like 2.6 to 2.11. backends: what [api] auth_backends has; rows: task instances with their updated_at."""

    def __init__(self, version="2.11.2", backends=("session", "basic_auth"), rows=(), stranger=403, **answers):
        self.version, self.backends, self.rows, self.stranger = version, backends, list(rows), stranger
        self.answers = answers
        self.cookies = set()
        self.seen = []
        self.waits = []

    def __call__(self, request):
        self.seen.append(request)
        path = request.url.path
        if path == "/login/":
            return self.login(request)
        if not path.startswith("/api/v1/"):
            return replay("auth_token_absent" if path == "/auth/token" else "v2_absent")
        path = path.removeprefix("/api/v1")
        if path == "/version":
            return an_answer({"git_version": "", "version": self.version})
        if path == "/health":
            return replay("health")
        if not self.knows(request):
            return an_answer(recorded("v1/unauthenticated")["body"], self.stranger)
        if path in self.answers:
            answer = self.answers[path]
            return answer(request) if callable(answer) else answer
        if path == TASK_INSTANCES:
            return self.task_instances(request.url.params)
        name = LISTS.get(path)
        return an_answer({name: [], "total_entries": 0}) if name else replay("dag_not_found")

    def login(self, request):
        if request.method == "GET":
            headers = {"set-cookie": "session=stranger; HttpOnly; Path=/"}
            return httpx.Response(200, html=(SAMPLES / "v1" / "login_page.html").read_text(), headers=headers)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        token = form.get("csrf_token") == "IjQxYmIyYzJlN2I0***" and "session=stranger" in request.headers["cookie"]
        good = token and (form["username"], form["password"]) == ("airf5", "s3cret")
        if not good:
            return httpx.Response(302, headers={"location": "/login/"})
        self.cookies.add(f"session=known{len(self.cookies)}")
        cookie = f"session=known{len(self.cookies) - 1}; HttpOnly; Path=/; SameSite=Lax"
        return httpx.Response(302, headers={"location": "/home", "set-cookie": cookie})

    def knows(self, request):
        basic = "Basic " + base64.b64encode(b"airf5:s3cret").decode()
        by_cookie = "session" in self.backends and request.headers.get("cookie") in self.cookies
        return by_cookie or ("basic_auth" in self.backends and request.headers.get("authorization") == basic)

    def task_instances(self, query):
        if unknown := set(query) - FILTERS:
            return an_answer({"detail": f"Extra query parameter(s) {', '.join(unknown)} not in spec"}, 400)
        found = [row for row in self.rows if all(map(_passes, [row] * len(query), query, query.values()))]
        shown = [{k: v for k, v in row.items() if k != "updated_at"} for row in found[: int(query.get("limit", 100))]]
        return an_answer({"task_instances": shown, "total_entries": len(found)})

    def pull(self, cursor=None, wanted=None, source=OLD, **options):
        made = {"transport": httpx.MockTransport(self), "now": lambda: NOW, "sleep": self.waits.append, **options}
        return list(airflow_api.read(source, cursor, wanted, **made))

    def asked(self, path):
        return [request for request in self.seen if request.url.path in (path, f"/api/v1{path}")]


def _passes(row, name, value):
    if name in ("limit", "offset"):
        return True
    field, _, how = name.rpartition("_")
    mine, asked = row.get(field), datetime.fromisoformat(value)
    return mine is not None and (
        datetime.fromisoformat(mine) >= asked if how == "gte" else datetime.fromisoformat(mine) <= asked
    )


def a_row(n, at, state="success", **fields):
    key = {"dag_id": "d", "dag_run_id": "r", "task_id": f"t{n}", "map_index": -1, "try_number": 1}
    return {**key, "state": state, "updated_at": at.isoformat(), "end_date": None, **fields}
