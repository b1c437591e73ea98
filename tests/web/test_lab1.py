"""The recorded incident behind every page, list and filter: the right rows, said alike by page, CSV, JSON and API."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ingest import models

CAPTURE = Path(__file__).parents[2] / "captures" / "lab1"
TRUTH = json.loads((CAPTURE / "truth.json").read_text())
RANGE = {"from": "2026-11-22T09:25:10Z", "to": "2026-11-22T09:40:00Z"}
MOST_QUERIES, MOST_SECONDS = 41, 0.5
QUIET = 4  # how much slower a busy machine may be


@pytest.fixture(scope="module", autouse=True)
def _lab1(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The capture, replayed once for all tests here and taken back at their end."""
    with django_db_blocker.unblock(), transaction.atomic():
        call_command("replay", str(CAPTURE), "--wait", stdout=io.StringIO())
        yield
        transaction.set_rollback(True)


@pytest.fixture
def client(db: None) -> Client:
    one = Client()
    one.force_login(get_user_model().objects.create_superuser("ann"))
    return one


def truth(**column: str) -> int:
    """Tries that the truth says this of."""
    return sum(all(row[name] == value for name, value in column.items()) for row in TRUTH["tries"])


def faults(**column: Any) -> int:
    """Faults that are incidents."""
    real = [fault for fault in TRUTH["faults"] if fault["culprit"] != "none"]
    return sum(all(fault[name] == value for name, value in column.items()) for fault in real)


def of_airflow(**column: Any) -> int:
    rows = json.loads((CAPTURE / "airflow" / "tries.json").read_text())
    return sum(all(row[name] == value for name, value in column.items()) for row in rows)


ORDERS, REPORTS = "/Common/vs_orders", "/Common/pool_reports"
RUN = next(row["run_id"] for row in TRUTH["tries"] if row["cause"] == "member_grey")

# (list, filter, rows)
TABLE: list[tuple[str, dict[str, str], int]] = [
    ("tries", {}, 240),
    ("tries", {"airflow": "lab1"}, 240),
    ("tries", {"airflow": "lab*"}, 240),
    ("tries", {"airflow": "lab2"}, 0),
    ("tries", {"device_group": "lab1", "culprit": "route"}, 19),
    ("tries", {"dag": "orders_sync"}, of_airflow(dag_id="orders_sync")),
    ("tries", {"dag": "orders_*"}, of_airflow(dag_id="orders_sync")),
    ("tries", {"dag": "order*"}, of_airflow(dag_id="orders_sync") + of_airflow(dag_id="order_lookup")),
    ("tries", {"task": "fetch_price"}, of_airflow(task_id="fetch_price")),
    ("tries", {"run": RUN, "cause": "member_grey"}, truth(run_id=RUN, cause="member_grey")),
    ("tries", {"airflow_pool": "orders_api"}, of_airflow(pool="orders_api")),
    ("tries", {"airflow_pool": "orders_api", "culprit": "route"}, 15),
    ("tries", {"state": "failed"}, of_airflow(state="failed")),
    ("tries", {"state": "failed,success"}, 240),
    ("tries", {"culprit": "route"}, truth(culprit="route")),
    ("tries", {"culprit": "service"}, 0),
    ("tries", {"culprit": "task,unknown"}, truth(culprit="task") + truth(culprit="unknown")),
    ("tries", {"cause": "member_grey"}, truth(cause="member_grey")),
    ("tries", {"cause": "reset_by_server,slow_member"}, truth(cause="reset_by_server") + truth(cause="slow_member")),
    ("tries", {"f5_pool": "pool_reports", "culprit": "route"}, truth(cause="no_member")),
    ("tries", {"endpoint": "vs_orders", "culprit": "route"}, truth(cause="reset_by_server") + 6),
    ("tries", {"endpoint": "/Common/vs_ord*", "cause": "bad_request"}, truth(cause="bad_request")),
    ("tries", {"member": "orders2:9000", "cause": "member_grey"}, truth(cause="member_grey")),
    ("tries", {"from": "2026-11-22T09:36:34Z", "cause": "reset_by_server"}, truth(cause="reset_by_server")),
    ("tries", {"to": "2026-11-22T09:26:00Z", "culprit": "route"}, 0),
    ("incidents", {}, faults()),
    ("incidents", {"airflow": "lab1"}, 5),  # the sixth hit no try
    ("incidents", {"device_group": "lab1"}, faults()),
    ("incidents", {"device_group": "lab2"}, 0),
    ("incidents", {"dag": "report_wait"}, len({f["fault"] for f in TRUTH["tries"] if f["dag_id"] == "report_wait"})),
    ("incidents", {"endpoint": "vs_orders"}, faults(endpoint=ORDERS)),
    ("incidents", {"f5_pool": REPORTS}, faults(f5_pool=REPORTS)),
    ("incidents", {"member": "orders3:9000"}, 1),
    ("incidents", {"state": "open"}, 0),
    ("incidents", {"state": "over"}, faults()),
    ("incidents", {"culprit": "route"}, faults()),
    ("incidents", {"cause": "no_member"}, faults(cause="no_member")),
    ("incidents", {"airflow_pool": "orders_api"}, 3),
    ("dags", {}, 6),
    ("dags", {"dag": "orders_*"}, 1),
    ("dags", {"airflow_pool": "orders_api"}, 3),
    ("dags", {"culprit": "route"}, len({row["dag_id"] for row in TRUTH["tries"] if row["culprit"] == "route"})),
    ("dags", {"cause": "bad_request"}, 1),
    ("endpoints", {}, 3),
    ("endpoints", {"endpoint": "vs_orders"}, 1),
    ("endpoints", {"f5_pool": "pool_*"}, 3),
    ("endpoints", {"member": "reports1:9000"}, 1),
    ("endpoints", {"cause": "no_member"}, 2),  # where it failed, and Airflow's own API
    ("requests", {"state": "failed", "f5_pool": "pool_airflow_api", "dag": "zzz"}, 0),
    ("requests", {"cause": "no_member", "endpoint": "vs_reports", "state": "failed"}, 2),
    ("requests", {"cause": "bad_request", "state": "client_error"}, truth(cause="bad_request")),
    ("requests", {"dag": "order_lookup", "endpoint": "vs_orders"}, truth(cause="bad_request")),
    ("health-events", {}, 16),
    ("health-events", {"f5_pool": "pool_orders", "state": "down"}, 1),
    ("health-events", {"member": "orders3:9000"}, 2),
    ("health-events", {"endpoint": "vs_reports", "state": "down"}, 2),
    ("audit", {"layer": "f5"}, 4),
    ("audit", {"layer": "f5", "device_group": "lab1"}, 4),
    ("audit", {"dag": "order_lookup", "verb": "trigger_dag_run"}, 6),
    ("audit", {"dag": "order_lookup", "verb": "failed", "task_events": "only"}, 6),
    ("audit", {"dag": "order_lookup", "verb": "failed"}, 0),
    ("sources", {}, 5),
    ("sources", {"airflow": "lab1"}, 1),
    ("sources", {"device_group": "lab1"}, 4),
]  # fmt: skip


def ids(rows: list[Any]) -> list[str]:
    """What tells the rows of any list apart."""
    names = [name for name in ("id", "line_id", "dag_id") if rows and name in rows[0]]
    return sorted(str(row[names[0]]) for row in rows) if names else []


@pytest.mark.parametrize(
    ("slug", "query", "count"),
    TABLE,
    ids=lambda value: urlencode(value) if value != {} and isinstance(value, dict) else str(value),
)
def test_a_filter_finds_the_same_rows_everywhere(client: Client, slug: str, query: dict[str, str], count: int) -> None:
    asked = {**RANGE, **query}
    exported = json.loads(b"".join(client.get(f"/{slug}.json", asked).streaming_content))  # type: ignore[attr-defined]
    assert exported["meta"]["rows"] == exported["end"]["rows"] == len(exported["rows"]) == count
    lines = b"".join(client.get(f"/{slug}.csv", asked).streaming_content).decode()  # type: ignore[attr-defined]
    table = list(csv.DictReader(io.StringIO("\n".join(x for x in lines.splitlines() if not x.startswith("# ")))))
    answer = client.get(f"/api/v1/{slug}", {**asked, "limit": "500"}).json()
    assert ids(table) == ids(exported["rows"]) == ids(answer["results"])
    assert answer["filter"] == exported["meta"]["filter"]

    page = client.get(f"/{slug}/", asked)
    text = page.content.decode()
    assert page.status_code == 200
    chips = re.findall(r'aria-label="Remove filter: ([^"]*)"', text)
    assert len(chips) == len(set(query) - set(RANGE))
    assert all(chip in answer["filter"] for chip in chips)
    if not count:
        assert "Nothing matches" in text or "Not yet complete" in text
        assert "Nothing matches" not in text or f"{answer['filter']}." in text


NONSENSE = [
    ({"culprit": "f5"}, "one of route, service, task, unknown"),
    ({"state": "brokne"}, "one of"),
    ({"cause": "x y"}, "it takes words such as"),
    ({"from": "noon"}, "is no time"),
    ({"from": "2026-11-22T09:00:00Z", "to": "2026-11-22T08:00:00Z"}, "must be earlier"),
    ({"last": "3h"}, "one of 15m"),
    ({"dga": "x"}, "There is no parameter"),
    ({"dag": "a\x00"}, "control character"),
    ({"sort": "id;drop"}, "it is one of"),
    ({"after": "nonsense"}, "no cursor"),
]


@pytest.mark.parametrize(("query", "words"), NONSENSE)
def test_nonsense_is_refused_with_a_sentence_everywhere(client: Client, query: dict[str, str], words: str) -> None:
    for address in ("/tries/", "/tries.csv", "/tries.json", "/api/v1/tries"):
        if "after" in query and address.startswith("/tries."):
            continue  # an export has no pages
        answer = client.get(address, query)
        text = answer.json()["detail"] if address.startswith("/api") else answer.content.decode()
        assert (answer.status_code, words in text) == (400, True), (address, text)


def test_the_same_sentence_of_an_incident_stands_everywhere(client: Client) -> None:
    said = {row["id"]: row["sentence"] for row in client.get("/api/v1/incidents", RANGE).json()["results"]}
    assert sorted(said.values())[1:3] == [
        "orders1:9000 and orders2:9000 of pool_orders took the request and broke the connection off.",
        "orders1:9000 of pool_orders was slow (12.0 s). The other members answered at once.",
    ]
    assert "orders3:9000 of pool_orders was down for 57 s (Unable to connect); no try was hit." in said.values()
    listed = client.get("/incidents/", RANGE).content.decode()
    for ident, sentence in said.items():
        assert sentence in listed
        assert f'<h1 id="title" class="long">{sentence}</h1>' in client.get(f"/incidents/{ident}/").content.decode()
        assert client.get(f"/api/v1/incidents/{ident}").json()["row"]["sentence"] == sentence


def test_a_try_says_why_and_acquits_in_words(client: Client) -> None:
    known = {cause: pk for pk, cause in models.Verdict.objects.values_list("try_row_id", "cause")}
    own = client.get(f"/tries/{known['task_error']}/").content.decode()
    assert re.search(r"The route is acquitted: \d+ of \d+ requests of this try that crossed F5 were answered well", own)
    grey = client.get(f"/tries/{known['member_grey']}/").content.decode()
    assert re.search(r"(\d) of \1\u00a0requests exactly: ", grey) and "joined by time" not in grey
    assert "<dt>Status</dt><dd>final</dd>" in grey


def test_a_provisional_verdict_says_what_it_waits_for(client: Client) -> None:
    verdict = models.Verdict.objects.filter(cause="member_grey").first()
    assert verdict is not None
    models.Verdict.objects.filter(pk=verdict.pk).update(status="provisional", waiting_for=["lab1/ltm up to 09:30:00"])
    text = client.get(f"/tries/{verdict.try_row_id}/").content.decode()
    assert "it waits for lab1/ltm up to 09:30:00" in text


def test_what_was_joined_by_time_is_drawn_dashed(client: Client) -> None:
    """As from a device that logs no header: the deciding request carries no key."""
    verdict = models.Verdict.objects.filter(cause="reset_by_server").select_related("try_row").first()
    assert verdict is not None
    models.Request.objects.filter(ts=verdict.bad_at, endpoint_id=verdict.endpoint_id).update(try_key_id=None, link=0)
    models.Verdict.objects.filter(pk=verdict.pk).update(links={"uuid": 4, "time_and_endpoint": 1}, candidates=3)
    text = client.get(f"/tries/{verdict.try_row_id}/").content.decode()
    assert 'class="exact timed"' in text and "joined by time" in text
    assert "4 of 5\u00a0requests exactly: 4 by try id in the URI, 1 by time and endpoint." in text
    assert "fits 3\u00a0tries, of which this is one" in text
    (candidate,) = client.get(f"/api/v1/tries/{verdict.try_row_id}").json()["candidates"]
    assert (candidate["link"], candidate["try_id"]) == ("time_and_endpoint", verdict.try_row_id)
    incident = client.get(f"/incidents/{verdict.incident_id}/").content.decode()
    assert 'class="exact timed"' in incident and '<td class="less">time and endpoint</td>' in incident


def test_an_incident_that_hit_nobody_gives_its_reasons(client: Client) -> None:
    incident = models.Incident.objects.get(tries=0)
    text = client.get(f"/incidents/{incident.pk}/").content.decode()
    assert "The monitor called orders3:9000 down at 09:28:51: Unable to connect." in text
    assert "requests to vs_orders failed meanwhile; no try ended by it." in text


def test_an_incident_tells_its_onset_ending_reach_noise_and_what_preceded_it(client: Client) -> None:
    incident = models.Incident.objects.get(cause="api_unreachable")
    text = client.get(f"/incidents/{incident.pk}/").content.decode()
    assert "requests went badly before" in text and "</b>: 2 of Airflow, one a failed try; 6 of the BIG-IP" in text
    assert "runs of DAGs that use the endpoint" in text.replace("\u00a0", " ")
    assert "version 2 of report_wait deployed" in text and "report_wait, which was hit" in text
    row = client.get("/api/v1/incidents", {**RANGE, "cause": "api_unreachable"}).json()["results"][0]
    assert (row["messages"], row["noise"]) == (8, "8\u00a0messages became 1")
    assert row["start"] < row["noticed_at"] < row["first_hit_at"] < row["end"]
    assert (row["runs"], row["airflow_pools"], row["shared_endpoints"]) == (2, ["default_pool"], [])
    one = client.get(f"/api/v1/incidents/{incident.pk}").json()
    assert one["onset"]["before"][0] == 0 and one["onset"]["since"][0] == one["reach"]["failed_requests"] == 36
    assert one["ending"]["kind"] == "request" and 'http_statcode="200"' in one["ending"]["raw"]


def test_as_table_leads_to_the_same_facts(client: Client) -> None:
    orders = models.Endpoint.objects.get(name=ORDERS)
    pages = {
        "/": "strip",
        f"/endpoints/{orders.pk}/": "states",
        f"/tries/{models.Try.objects.latest('id').pk}/": "rows",
    }
    for address, ident in pages.items():
        text = client.get(address, {} if "tries" in address else RANGE).content.decode()
        assert f'href="#{ident}">as table</a>' in text and f'id="{ident}"' in text
    page = client.get("/", RANGE)
    said = Counter[str]()
    for _, cell in page.context["cells"]:
        said.update({name: getattr(cell, name) for name in ("route", "service", "task", "unknown")})
    assert said == {"route": 19, "service": 0, "task": 20, "unknown": 1}
    text = client.get(f"/endpoints/{orders.pk}/", RANGE).content.decode()
    assert 'href="#latency">as table</a>' in text and 'id="latency"' in text
    assert "Unable to connect" in text[text.index('id="states"') :]


PAGES = ["/", "/now/", "/incidents/", "/tries/", "/dags/", "/endpoints/", "/requests/", "/health-events/", "/audit/",
         "/accuracy/", "/sources/", "/sources/batches/", "/sources/rejects/", "/dags/orders_sync/",
         "/dags/price_fanout/"]  # fmt: skip


def addresses() -> list[str]:
    one = [f"/incidents/{n}/" for n in models.Incident.objects.values_list("id", flat=True)]
    one += [f"/endpoints/{n}/" for n in models.Endpoint.objects.values_list("id", flat=True)]
    causes = models.Verdict.objects.order_by("cause", "id").distinct("cause").values_list("try_row_id", flat=True)
    return [*PAGES, *one, *(f"/tries/{n}/" for n in causes)]


def test_no_page_asks_much_or_takes_long(client: Client) -> None:
    """Also right after a replay, when the tables have no statistics yet."""
    client.get("/", RANGE)  # templates are compiled once
    slow = {}
    for address in addresses():
        query = {} if re.match(r"/(incidents|tries)/\d", address) else RANGE
        with CaptureQueriesContext(connection) as asked:
            began = time.perf_counter()
            assert client.get(address, query).status_code == 200, address
            took = time.perf_counter() - began
        count = sum(not one["sql"].startswith(("SAVEPOINT", "RELEASE", "SET LOCAL")) for one in asked)
        if count > MOST_QUERIES or took > MOST_SECONDS * QUIET:
            slow[address] = (count, round(took, 2))
    assert slow == {}


HOSTILE = [
    "<script>alert(1)</script>", "'\"; drop table x; --", "100%_%s%(x)s{{ 7 }}{% url %}", "d" * 250,
    "\u0645\u0631\u062d\u0628\u0627", "a\ufffdb/c?d#e&f+g;h",
]  # fmt: skip


def made_hostile() -> None:
    """Names as a log could hold them, in the place of the recorded ones."""
    dags = sorted(set(models.Try.objects.values_list("dag_id", flat=True)))
    for old, new in zip(dags, HOSTILE, strict=True):
        for table in (models.Try, models.DagRun, models.Dag):
            table.objects.filter(dag_id=old).update(dag_id=new)
    for table, column in ((models.Member, "name"), (models.Endpoint, "name"), (models.Path, "template")):
        for row, new in zip(table.objects.order_by("id"), HOSTILE, strict=False):
            table.objects.filter(pk=row.pk).update(**{column: new[:200]})
    for n, detail in enumerate(models.RequestDetail.objects.order_by("line_id")):
        models.RequestDetail.objects.filter(line_id=detail.line_id).update(uri=HOSTILE[n % 6] + "\u202e")
    for n, tried in enumerate(models.Try.objects.filter(verdict__isnull=False).order_by("id")):
        models.Try.objects.filter(pk=tried.pk).update(task_id=HOSTILE[n % 6], run_id=f"{HOSTILE[n % 5][:200]}{n}")


@pytest.mark.long
@pytest.mark.parametrize("hostile", [False, True], ids=["recorded", "hostile"])
def test_every_link_of_every_page_leads_somewhere(client: Client, hostile: bool) -> None:
    if hostile:
        made_hostile()
    dags = [reverse("dag", args=[dag]) for dag in models.Dag.objects.values_list("dag_id", flat=True)]
    paths = [path for path in addresses() if not re.match("/dags/.", path)]
    todo, seen, wrong = {with_range(path) for path in (*paths, *dags)}, set[str](), dict[str, int]()
    for _ in range(2):
        found: set[str] = set()
        for address in sorted(todo):
            answer = client.get(address)
            if answer.status_code not in (200, 302):
                wrong[address] = answer.status_code
            elif answer.streaming:
                assert b"INCOMPLETE" not in b"".join(answer.streaming_content)  # type: ignore[attr-defined]
            else:
                found |= links_of(address, answer.content.decode())
        seen |= todo
        todo = two_of_a_kind(found - seen)
    assert wrong == {}


def with_range(path: str) -> str:
    return path if re.match(r"/(incidents|tries)/\d", path) else f"{path}?{urlencode(RANGE)}"


def links_of(address: str, text: str) -> set[str]:
    assert "<script>alert" not in text
    hrefs = (html.unescape(href).partition("#")[0] for href in re.findall(r'href="([/?][^"]*)', text))
    return {f"{address.partition('?')[0]}{href}" if href.startswith("?") else href for href in hrefs}


def two_of_a_kind(found: set[str]) -> set[str]:
    """Two of each path with the same parameters: there are thousands that differ by an instant or an id only."""
    kinds: dict[str, list[str]] = {}
    for address in sorted(found):
        if not address.startswith(("/static/", "/logout/", "/admin")):
            path, _, query = address.partition("?")
            kind = re.sub(r"\d+", "0", path) + "?" + ",".join(sorted(re.findall(r"(\w+)=", query)))
            kinds.setdefault(kind, []).append(address)
    return {address for group in kinds.values() for address in (group[0], group[-1])}
