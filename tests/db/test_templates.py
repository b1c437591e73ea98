"""A request-log template of a user's own, from configuration or a capture's meta.json, to rows with the right fields."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ingest import actions
from ingest.models import Agent, Batch, Client, Device, Endpoint, Feed, Member, Reject, Request, RequestDetail
from ingest.models import Path as StoredPath
from tests import turn

ELK = (
    "$CLIENT_IP ${X-Forwarded-For} $DATE_NCSA $VIRTUAL_IP $VIRTUAL_NAME $VIRTUAL_POOL_NAME $SERVER_IP $SERVER_PORT "
    '"$HTTP_PATH" "$HTTP_REQUEST" $HTTP_STATCODE $RESPONSE_SIZE $RESPONSE_MSECS "$Referer" "${User-agent}"'
)
OWN = "at $TIME_UNIX ~ $CLIENT_IP ~ $VIRTUAL_NAME ~ $HTTP_REQUEST ~ $HTTP_STATCODE"  # no form we know
WITHOUT_POOL = ELK.replace(" $VIRTUAL_POOL_NAME", "")


def elk(
    at: datetime, path: str = "/orders/7", status: int = 200, xff: str = "", pool: str = "/Common/p_orders "
) -> str:
    received = (at + timedelta(seconds=1)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return (
        f"{received} 10.0.0.5 10.1.2.3 {xff} [{at:%d/%b/%Y:%H:%M:%S} +0000] 10.9.0.1 /Common/vs_orders "
        f'{pool}10.7.0.2 8080 "{path}" "GET {path}?page=2 HTTP/1.1" {status} 512 37 "" "requests/2.32"\n'
    )


def own(at: datetime) -> str:
    return f"{at.isoformat()} 10.0.0.5 at {at.timestamp():.0f} ~ 10.1.2.3 ~ /Common/vs ~ GET /x HTTP/1.1 ~ 200\n"


def just_now() -> datetime:
    return timezone.now().replace(microsecond=0) - timedelta(seconds=20)


def configured(folder: Path, **about: Any) -> Feed:
    actions.configure_device("elk", str(folder), "ann", **about)
    return Feed.objects.select_related("device").get(kind=Feed.Kind.F5_REQUEST)


def ingest(feed: Feed) -> Batch:
    turn.ingest(feed)
    return Batch.objects.filter(feed=feed).latest("pk")


def fields(row: Request) -> dict[str, Any]:
    assert row.member_id is not None
    endpoint = Endpoint.objects.get(pk=row.endpoint_id)
    member = Member.objects.select_related("f5_pool").get(pk=row.member_id)
    return {
        "at": row.ts, "endpoint": (endpoint.name, endpoint.address), "client": Client.objects.get(pk=row.client_id).address,
        "f5_pool": member.f5_pool.name, "member": (member.address, member.port), "method": row.method,
        "status": row.status, "response_us": row.response_us, "bytes": row.bytes,
        "agent": Agent.objects.get(pk=row.agent_id).name, "path": StoredPath.objects.get(pk=row.path_id).template,
    }  # fmt: skip


def test_a_line_becomes_the_row_that_its_template_says(tmp_path: Path) -> None:
    feed, at = configured(tmp_path, template=ELK, logs_requests=False), just_now()
    (tmp_path / "request-1.log").write_text(elk(at))
    batch = ingest(feed)
    assert (batch.read, batch.rows, batch.rejected) == (1, 1, 0)
    assert fields(Request.objects.get()) == {
        "at": at, "endpoint": ("/Common/vs_orders", "10.9.0.1"), "client": "10.1.2.3",
        "f5_pool": "/Common/p_orders", "member": ("10.7.0.2", 8080), "method": 1,
        "status": 200, "response_us": 37_000, "bytes": 512,
        "agent": "requests/2.32", "path": "/orders/{n}",
    }  # fmt: skip


def test_a_failed_request_keeps_its_words(tmp_path: Path) -> None:
    feed = configured(tmp_path, template=ELK, logs_requests=False)
    (tmp_path / "request-1.log").write_text(elk(just_now(), status=503, xff="192.0.2.1, 192.0.2.2"))
    ingest(feed)
    detail = RequestDetail.objects.get()
    assert detail.uri == "/orders/7?page=2" and detail.raw.startswith("10.1.2.3 192.0.2.1, 192.0.2.2 [")


def test_the_first_of_several_templates_that_fits_is_used(tmp_path: Path) -> None:
    feed, at = configured(tmp_path, template=[WITHOUT_POOL, ELK], logs_requests=False), just_now()
    (tmp_path / "request-1.log").write_text(elk(at) + elk(at, pool=""))
    assert ingest(feed).rows == 2
    assert {fields(row)["f5_pool"] for row in Request.objects.all()} == {
        "/Common/p_orders",
        "pool of /Common/vs_orders",
    }


def test_without_its_template_the_line_is_kept_as_a_reject(tmp_path: Path) -> None:
    feed = configured(tmp_path)
    (tmp_path / "request-1.log").write_text(own(just_now()))
    assert ingest(feed).rejected == 1
    assert "template" in Reject.objects.get().reason


def test_a_changed_template_is_used_from_the_next_line_on(tmp_path: Path) -> None:
    feed, at = configured(tmp_path, logs_requests=False), just_now()
    (tmp_path / "request-1.log").write_text(own(at))
    assert ingest(feed).rejected == 1
    feed = configured(tmp_path, template=OWN, logs_requests=False)
    with (tmp_path / "request-1.log").open("a") as file:
        file.write(own(at))
    assert ingest(feed).rows == 1


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("$CLIENT_IP$VIRTUAL_IP ", "nothing stands between"),
        ("no variable at all", "holds no variable"),
        (["$CLIENT_IP $HTTP_URI", 7], "a list of texts"),
    ],
)
def test_a_template_that_cannot_tell_its_values_apart_is_refused(tmp_path: Path, template: Any, sentence: str) -> None:
    with pytest.raises(actions.Refused, match=sentence):
        configured(tmp_path, template=template)
    assert not Feed.objects.filter(kind=Feed.Kind.F5_REQUEST).exists()


def test_only_a_request_log_has_a_template(tmp_path: Path) -> None:
    configured(tmp_path, template=ELK)
    assert "template" not in Feed.objects.get(kind=Feed.Kind.F5_LTM).config
    with pytest.raises(actions.Refused, match="Only a request log"):
        actions.configure_source("f5_ltm", "x", None, "elk", {"glob": [], "template": ELK}, "ann")


def a_capture(folder: Path, meta: dict[str, Any], line: str) -> Path:
    (folder / "f5").mkdir(parents=True)
    (folder / "f5" / "request.log").write_text(line)
    span = {"start": "2026-11-22T09:00:00Z", "end": "2026-11-22T09:10:00Z"}
    (folder / "meta.json").write_text(json.dumps({"name": folder.name, **span, **meta}))
    return folder


@pytest.mark.parametrize("meta", [{"template": ELK}, {"devices": [{"name": "bigip-1", "template": ELK}]}])
def test_a_capture_may_name_its_template(tmp_path: Path, meta: dict[str, Any]) -> None:
    at = datetime(2026, 11, 22, 9, 5, tzinfo=UTC)
    call_command("replay", str(a_capture(tmp_path / "elk", meta, elk(at, status=502))), "--wait")
    assert fields(Request.objects.get())["status"] == 502 and Request.objects.get().ts == at
    assert not Reject.objects.exists() and not Device.objects.get().logs_requests


def test_a_capture_with_a_template_can_be_shifted(tmp_path: Path) -> None:
    at = datetime(2026, 11, 22, 9, 9, tzinfo=UTC)
    call_command("replay", str(a_capture(tmp_path / "elk", {"template": ELK}, elk(at))), "--shift-to-now", "--wait")
    assert timedelta(minutes=1) < timezone.now() - Request.objects.get().ts < timedelta(minutes=4)


def test_a_capture_with_a_template_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    folder = a_capture(tmp_path / "elk", {"template": "$CLIENT_IP$SERVER_IP "}, "")
    with pytest.raises(CommandError, match=r"meta\.json of elk: The template cannot be used"):
        call_command("replay", str(folder))
    assert not Feed.objects.exists()
