"""The doctor on the way between both sides: virtual servers that are seen, used, blind, and the Execution API's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import OperationalError, connection, transaction

from ingest import device_findings
from ingest.doctor.findings import FAIL, OK, WARN, Finding
from ingest.models import Airflow, Connection, Device, Endpoint, Feed, RequestMinute, request_feeds
from ingest.store import devices

LOOK_BACK = timedelta(hours=24)
LINKED_BACK = timedelta(hours=1)
LONGEST_ASK_MS = 5_000
MOST_NAMED = 10
BLIND = frozenset({"fastl4", "no_http"})  # told by _blind, also where iControl does not answer
# Which virtual servers had a request that names a try. Reads one hour of the partitioned table by its BRIN on ts.
LINKED = """SELECT DISTINCT endpoint_id FROM ingest_request
WHERE ts > %s AND try_key_id IS NOT NULL AND endpoint_id = ANY(%s)"""


def routes_are_seen(now: datetime) -> Iterator[Finding]:
    """Virtual servers with requests, those no Airflow uses, those that see no HTTP, and the Execution API's."""
    mine = list(Endpoint.objects.filter(group__devices__feeds__capture="", removed_at=None).distinct().order_by("name"))
    talking = set(
        RequestMinute.objects.filter(start__gt=now - LOOK_BACK, endpoint_id__in=[one.pk for one in mine])
        .values_list("endpoint_id", flat=True).distinct()
    )  # fmt: skip
    if talking:
        yield Finding(OK, "virtual servers", f"{len(talking)} had requests in the last 24 hours.")
    elif request_feeds("").exists():
        yield Finding(
            FAIL, "virtual servers", "No request of any has arrived in the last 24 hours.",
            "Attach the request-logging profile to the virtual servers that Airflow uses (`manage.py f5config`).",
        )  # fmt: skip
    yield from _blind(mine)
    yield from _unlogged()
    yield from _execution_api([one for one in mine if one.execution_api], bool(talking))
    if talking:
        yield from _unused([one for one in mine if one.pk in talking], now)


def _blind(mine: Sequence[Endpoint]) -> Iterator[Finding]:
    """Virtual servers without an HTTP profile: no request log is possible."""
    blind = [one for one in mine if not one.sees_http]
    if blind:
        yield Finding(
            WARN, "virtual servers", f"{_named(blind)} see no HTTP: they log no request, so what fails there stays unknown.",
            "Where Airflow uses one, give it an HTTP profile (and client-ssl, where F5 may end TLS).",
        )  # fmt: skip


def _unlogged() -> Iterator[Finding]:
    """What the devices' own configuration says is missing, one finding for all virtual servers that lack the same."""
    told = Device.objects.filter(feeds__kind=Feed.Kind.F5_REST, feeds__capture="", feeds__enabled=True)
    for device in told.distinct().order_by("name"):
        lacking: dict[str, tuple[device_findings.Finding, list[str]]] = {}
        for name, found in devices.findings_of(device).items():
            for one in found:
                if one.severity != device_findings.ADVICE and one.code not in BLIND:
                    lacking.setdefault(one.code, (one, []))[1].append(name)
        for one, names in lacking.values():
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            yield Finding(WARN, device.name, f"{', '.join(names[:MOST_NAMED])}{more}: {one.sentence}", one.remedy)


def _execution_api(found: Sequence[Endpoint], talking: bool) -> Iterator[Finding]:
    """Whether the calls of Airflow's workers to its Execution API cross F5: their paths are exact keys."""
    if found:
        yield Finding(OK, "Execution API", f"It crosses F5 at {_named(found)}: every try there has an exact key.")
        return
    versions = list(Airflow.objects.filter(feeds__capture="").values_list("version", flat=True).distinct())
    modern = [
        version for version in versions if version.partition(".")[0].isdigit() and int(version.partition(".")[0]) >= 3
    ]
    if modern and talking:
        yield Finding(
            WARN, "Execution API", "No call to it was seen on F5: tries have no exact key but by our header.",
            "If workers reach it by a virtual server, log that one too. If they do not, use the plugin of "
            "integrations/airflow, which puts the try's name into a header.",
        )  # fmt: skip
    elif versions and talking:
        yield Finding(
            OK, "Execution API", "Airflow 2 has none.",
            "Use the plugin of integrations/airflow: without its header requests are joined by time and address.",
        )  # fmt: skip


def _unused(talking: Sequence[Endpoint], now: datetime) -> Iterator[Finding]:
    """Virtual servers with requests that no Airflow is known to use."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(LONGEST_ASK_MS)])
            cursor.execute(LINKED, [now - LINKED_BACK, [one.pk for one in talking]])
            used = {row[0] for row in cursor.fetchall()}
    except OperationalError:
        yield Finding(
            WARN, "virtual servers", f"Which of them Airflow uses could not be told within {LONGEST_ASK_MS // 1000} s.",
            "Ask again when fewer lines come.",
        )  # fmt: skip
        return
    hosts = _hosts_of_connections()
    unused = [
        one for one in talking if one.pk not in used and not one.execution_api and not hosts.intersection(one.hosts)
    ]
    if unused:
        yield Finding(
            WARN, "virtual servers",
            f"{_named(unused)} had requests, but no Airflow that is read is known to use them (no exact key in the last "
            "hour, and no connection names their host).",
            "Add the Airflow whose tasks call them, or take the profile off them if only others do.",
        )  # fmt: skip


def _hosts_of_connections() -> set[str]:
    """Hosts that Airflow's connections name, as the Host header writes them."""
    found = set()
    rows = Connection.objects.filter(airflow__feeds__capture="").values_list("host", "port").distinct()
    for host, port in rows:
        bare = host.partition("://")[2] or host
        bare = bare.partition("/")[0]
        found |= {bare, f"{bare}:{port}"} if port else {bare}
    return found - {""}


def _named(found: Sequence[Endpoint]) -> str:
    names = ", ".join(one.name for one in found[:MOST_NAMED])
    return names + (f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else "")
