"""The pages under /settings/: for administrators alone, whole without JavaScript, and never with a secret on them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.utils import timezone

from airf5.accounts.models import UserAction
from ingest import actions
from ingest.models import Airflow, Check, Device, Feed, SourceSecret
from ingest.pages import views
from ingest.setup import checks, source_secrets, source_setup
from tests.web.test_pages import HOSTILE, Markup

WORD = "correct horse battery"
AIRFLOW = {"name": "prod", "url": "https://airflow.example.com", "username": "airf5", "password": WORD}
DEVICE = {"name": "bigip-1", "sender": "192.0.2.11", "utc_offset": "+01:00", "logs_requests": "yes"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.AIRF5_HOME, settings.AIRF5_SPOOL_DIR = tmp_path, tmp_path / "spool"
    return tmp_path


def a_client(group: str = "") -> Client:
    user = get_user_model().objects.create_user(f"ann-{group}", password="x", is_superuser=not group)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin() -> Client:
    return a_client()


def add(client: Client, kind: str = "airflow", **changes: Any) -> Any:
    return client.post(f"/settings/sources/new/{kind}/", {**(AIRFLOW if kind == "airflow" else DEVICE), **changes})


def edit(client: Client, owner: Any, **changes: Any) -> Any:
    """Post the form as the page shows it, with these changes."""
    kind = "airflow" if isinstance(owner, Airflow) else "device"
    path = f"/settings/sources/{kind}/{owner.pk}/"
    page = client.get(path).content.decode()
    form = page[page.index('class="setup"') :]
    found = dict(re.findall(r'<input name="(\w+)" value="([^"]*)"', form))
    found |= dict(re.findall(r'<textarea name="(\w+)"[^>]*>([^<]*)</textarea>', form))
    for select in re.findall(r'<select name="(\w+)">(.*?)</select>', form, re.DOTALL):
        found[select[0]] = next(iter(re.findall(r'value="(\w*)" selected', select[1])), "")
    return client.post(path, {**{name: value.replace("&quot;", '"') for name, value in found.items()}, **changes})


def everything() -> str:
    tables = (
        "ingest_feed",
        "ingest_airflow",
        "ingest_sourcesecret",
        "accounts_useraction",
        "ingest_check",
        "django_session",
    )
    with connection.cursor() as cursor:
        out = []
        for table in tables:
            cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t")
            out += [row[0] for row in cursor.fetchall()]
    return "\n".join(out)


PATHS = ["/settings/sources/", "/settings/sources/new/airflow/", "/settings/sources/new/device/", "/settings/doctor/"]


@pytest.mark.parametrize("group", ["viewer", "operator", "auditor"])
def test_others_than_administrators_are_refused_everywhere(group: str, admin: Client) -> None:
    add(admin)
    owner, client, before = Airflow.objects.get(), a_client(group), UserAction.objects.count()
    one = f"/settings/sources/airflow/{owner.pk}/"
    row = checks.ask("doctor", "ann")
    views.refusals.clear()
    for path in (*PATHS, one, f"/settings/checks/{row.pk}/", "/settings/"):
        assert client.get(path).status_code == 403
    for path in (*PATHS[1:], one, f"{one}test/", f"{one}switch/"):
        assert client.post(path, {**AIRFLOW, "enabled": "no"}).status_code == 403
    told = UserAction.objects.filter(verb="refused_settings", result="refused", actor=f"ann-{group}")
    assert {(one.target, one.detail["method"]) for one in told} >= {("/settings/doctor/", "GET"), (PATHS[1], "POST")}
    assert told.count() == 10  # of 13: who goes on knocking does not fill the list
    assert UserAction.objects.count() == before + 1 + 10 and Feed.objects.get().enabled
    assert Client().get("/settings/sources/").status_code == 302


def test_an_administrator_of_the_group_may(admin: Client) -> None:
    assert a_client("admin").get("/settings/sources/").status_code == 200


def test_an_airflow_is_added_with_a_sealed_password_and_tested(admin: Client) -> None:
    answer = add(admin, allow="10.1.0.0/16\n10.2.0.0/16", options='{"verify": false}', poll_seconds="30")
    feed = Feed.objects.get()
    assert answer["Location"] == f"/settings/sources/airflow/{feed.airflow_id}/"
    assert feed.config == {
        "base_url": "https://airflow.example.com", "username": "airf5", "password": "sealed:", "poll_s": 30,
        "allow": ["10.1.0.0/16", "10.2.0.0/16"], "options": {"verify": False},
    }  # fmt: skip
    assert source_secrets.of(feed, "password") == WORD
    assert list(UserAction.objects.order_by("pk").values_list("actor", "verb", "target")) == [
        ("ann-", "create_source", "prod"), ("ann-", "test_connection", "prod"),
    ]  # fmt: skip
    assert Check.objects.get().kind == "probe"
    for path in (answer["Location"], "/settings/sources/", "/audit/", "/sources/"):
        assert WORD not in admin.get(path).content.decode()
    assert WORD not in everything()
    page = admin.get(answer["Location"]).content.decode()
    assert "one is kept, sealed" in page and "sealed:" not in page


def test_the_form_as_it_is_changes_nothing(admin: Client) -> None:
    add(admin, allow="10.1.0.0/16", options='{"verify": false}')
    add(admin, "device", template="a $CLIENT_IP b\nc $SERVER_IP d", group="pair")
    before = list(Feed.objects.order_by("pk").values("name", "config", "device__group__name", "device__utc_offset_s"))
    for owner in (Airflow.objects.get(), Device.objects.get()):
        assert edit(admin, owner).status_code == 302
    assert before == list(
        Feed.objects.order_by("pk").values("name", "config", "device__group__name", "device__utc_offset_s")
    )
    assert not UserAction.objects.filter(verb="change_source").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://evil.example.com"},
        {"url": "https://airflow.example.com:444"},
        {"options": '{"proxy": "http://10.0.0.9:3128"}'},
        {"options": '{"verify": false}'},
    ],
)
def test_a_changed_address_asks_for_the_secret_again(admin: Client, change: dict[str, str]) -> None:
    add(admin)
    owner = Airflow.objects.get()
    answer = edit(admin, owner, **change)
    assert answer.status_code == 400 and "The address changes: give the password again" in answer.content.decode()
    assert Feed.objects.get().config["base_url"] == "https://airflow.example.com"
    assert edit(admin, owner, **change, password="another").status_code == 302
    assert source_secrets.of(Feed.objects.get(), "password") == "another" and SourceSecret.objects.count() == 1


def test_a_changed_address_asks_for_a_reference_again_too(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"base_url": "https://a.example.com", "token": "file:/etc/airf5/token"}
    actions.configure_source("airflow_api", "prod", None, None, config, "sources file")
    owner = Airflow.objects.get()
    assert edit(admin, owner, poll_seconds="9").status_code == 302  # from the file, and kept
    assert Feed.objects.get().config["token"] == "file:/etc/airf5/token"
    assert "give the token again" in edit(admin, owner, url="https://evil.example.com").content.decode()
    page = edit(admin, owner, url="https://evil.example.com", token_ref="file:/etc/shadow").content.decode()
    assert "On this page a reference may name env:AIRF5_SOURCE_*, file:/run/secrets/source_* only" in page
    assert edit(admin, owner, url="https://b.example.com", token_ref="file:/run/secrets/source_b").status_code == 302


@pytest.mark.parametrize(
    "reference",
    [
        "file:/etc/passwd", "file:/run/secrets/source_x/../../../etc/passwd", "file:/run/secrets/secret_key",
        "file:/proc/self/environ", "env:PATH",
        "env:AIRF5_SECRET_KEY", "env:DATABASE_URL", "sealed:", "secret-in-clear", "http://x", "file:relative",
    ],
)  # fmt: skip
def test_a_reference_reaches_only_where_secrets_stand(admin: Client, reference: str) -> None:
    answer = add(admin, password="", password_ref=reference)
    assert answer.status_code == 400 and not Feed.objects.exists()
    assert "On this page a reference may name" in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("airflow", {"url": "ftp://x"}, "Address &quot;ftp://x&quot; must be an address"),
        ("airflow", {"url": "https://u:p@x.example"}, "must not hold a user or a password"),
        ("airflow", {"url": ""}, "is missing"),
        ("airflow", {"password": ""}, "Token is missing, and so is a username with its password"),
        ("airflow", {"name": ""}, "must be a text of 1 to 100 characters"),
        ("airflow", {"poll_seconds": "soon"}, "Seconds between two looks must be a number"),
        ("airflow", {"poll_seconds": "0"}, "must be a number of seconds from 1 to 3600"),
        ("airflow", {"poll_seconds": "nan"}, "must be a number"),
        ("airflow", {"allow": "10.0.0.1/8"}, "has host bits set"),
        ("airflow", {"options": "{"}, "Options must be JSON"),
        ("airflow", {"options": '{"verify": "../ca"}'}, "absolute path of a CA file"),
        ("airflow", {"password": "x" * 4_001}, "more than 4,000 characters"),
        ("device", {"sender": "bigip"}, "must be an IP address"),
        ("device", {"sender": "", "spool": "/etc"}, "On this page spool is a folder below"),
        ("device", {"sender": "", "spool": "../../etc"}, "On this page spool is a folder below"),
        ("device", {"folder": "/etc"}, "On this page folder lies below"),
        ("device", {"template": "$CLIENT_IP$SERVER_IP"}, "is refused"),
        ("device", {"utc_offset": "+25:00"}, "must be an offset"),
        ("device", {"template": "x" * 20_001}, "longer than 20,000 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_words_and_nothing_is_stored(
    admin: Client, kind: str, changes: dict[str, str], words: str
) -> None:
    answer = add(admin, kind, **changes)
    assert answer.status_code == 400 and words in answer.content.decode()
    assert not Feed.objects.exists() and not UserAction.objects.exists()
    assert WORD not in answer.content.decode() and "u:p@" not in answer.content.decode()
    markup = Markup(answer.content.decode())
    assert (markup.h1, markup.inline, markup.unlabelled) == (1, [], [])


def test_a_name_or_a_log_that_is_taken_is_refused(admin: Client) -> None:
    add(admin)
    add(admin, "device")
    assert "There is a source named prod already" in add(admin).content.decode()
    assert "reads the same logs already" in add(admin, "device", name="other").content.decode()


def test_a_device_is_added_and_its_parts_come_and_go(admin: Client) -> None:
    add(admin, "device", url="https://bigip-1.example.com", username="airf5", password=WORD, allow="10.0.0.0/8")
    device = Device.objects.get()
    assert sorted(device.feeds.values_list("kind", flat=True)) == ["f5_audit", "f5_ltm", "f5_request", "f5_rest"]
    rest = Feed.objects.get(kind="f5_rest")
    assert rest.config["password"] == "sealed:" and source_secrets.of(rest, "password") == WORD
    assert device.utc_offset_s == 3600 and source_setup.entry_of(device)["sender"] == "192.0.2.11"
    assert edit(admin, device, url="", username="", password_drop="yes").status_code == 302
    assert not Feed.objects.get(kind="f5_rest").enabled and not SourceSecret.objects.exists()
    answer = edit(admin, device, url="https://evil.example.com", username="airf5")
    assert "Password is missing" in answer.content.decode()
    fine = {"url": "https://bigip-2.example.com", "username": "airf5", "password": "new"}
    assert edit(admin, device, **fine).status_code == 302
    rest.refresh_from_db()
    assert rest.enabled and source_secrets.of(rest, "password") == "new"


def test_a_device_whose_files_are_of_another_form_keeps_them(admin: Client) -> None:
    glob = {"glob": ["/var/log/relay/request-*"], "group": "pair"}
    actions.configure_source("f5_request", "old request log", None, "bigip-9", glob, "ann")
    assert edit(admin, Device.objects.get(), hostname="b9").status_code == 302
    feed = Feed.objects.get(kind="f5_request")
    assert (feed.name, feed.config["glob"]) == ("old request log", ["/var/log/relay/request-*"])
    assert Device.objects.get().hostname == "b9"


def test_a_source_is_stopped_and_started(admin: Client) -> None:
    add(admin, "device")
    path = f"/settings/sources/device/{Device.objects.get().pk}/"
    admin.post(f"{path}switch/", {"enabled": "no"})
    assert not Feed.objects.filter(enabled=True).exists() and "stopped" in admin.get(path).content.decode()
    admin.post(f"{path}switch/", {"enabled": "yes"})
    assert not Feed.objects.filter(enabled=False).exists()
    assert UserAction.objects.filter(verb="disable_source").count() == 3
    assert admin.get(f"{path}switch/").status_code == 405


def test_a_source_that_is_stopped_keeps_its_entry_and_what_was_dropped_stays_so(admin: Client) -> None:
    add(admin, "device", url="https://bigip-1.example.com", username="airf5", password=WORD, allow="10.0.0.0/8")
    device = Device.objects.get()
    path, entry = f"/settings/sources/device/{device.pk}/", source_setup.entry_of(device)
    admin.post(f"{path}switch/", {"enabled": "no"})
    assert source_setup.entry_of(device) == entry and "https://bigip-1.example.com" in admin.get(path).content.decode()
    admin.post(f"{path}switch/", {"enabled": "yes"})
    assert edit(admin, device, url="", username="", password_drop="yes").status_code == 302
    for word in ("no", "yes"):
        admin.post(f"{path}switch/", {"enabled": word})
    assert [feed.kind for feed in Feed.objects.filter(enabled=False)] == ["f5_rest"]
    assert "url" not in source_setup.entry_of(device)
    fine = {"url": "https://bigip-2.example.com", "username": "airf5", "password": "new"}
    assert edit(admin, device, **fine).status_code == 302
    assert Feed.objects.get(kind="f5_rest").enabled and source_setup.entry_of(device)["url"] == fine["url"]


def test_saving_the_form_of_a_source_that_is_stopped_does_not_start_it(admin: Client) -> None:
    add(admin, "device")
    device = Device.objects.get()
    admin.post(f"/settings/sources/device/{device.pk}/switch/", {"enabled": "no"})
    assert edit(admin, device).status_code == 302
    assert edit(admin, device, hostname="lb1.example.net").status_code == 302
    more = {"url": "https://bigip-1.example.com", "username": "airf5", "password": WORD, "allow": "10.0.0.0/8"}
    assert edit(admin, device, **more).status_code == 302
    assert Feed.objects.count() == 4 and not Feed.objects.filter(enabled=True).exists()
    assert Device.objects.get().hostname == "lb1.example.net"
    admin.post(f"/settings/sources/device/{device.pk}/switch/", {"enabled": "yes"})
    assert not Feed.objects.filter(enabled=False).exists()


def test_what_is_not_there_is_not_found(admin: Client) -> None:
    Airflow.objects.create(name="a capture's")
    for path in ("new/router/", "router/1/", "airflow/99/", f"airflow/{Airflow.objects.get().pk}/", "device/1/test/"):
        method = admin.post if path.endswith("test/") else admin.get
        assert method(f"/settings/sources/{path}").status_code == 404


def test_the_outcome_of_a_check_comes_by_itself_until_it_is_done(admin: Client) -> None:
    add(admin)
    row, page = Check.objects.get(), f"/settings/sources/airflow/{Airflow.objects.get().pk}/"
    part = admin.get(f"/settings/checks/{row.pk}/").content.decode()
    assert 'hx-trigger="load delay:1s"' in part and "no worker has taken it yet" in part and "<html" not in part
    found = {"level": "warn", "subject": "prod", "sentence": f"It says {HOSTILE}", "todo": "Mend it."}
    Check.objects.update(started_at=timezone.now(), finished_at=timezone.now(), outcome=[found])
    for path in (page, f"/settings/checks/{row.pk}/"):
        text = admin.get(path).content.decode()
        assert "hx-trigger" not in text and "Mend it." in text and "<script>alert" not in text


def test_a_test_that_no_worker_takes_tells_why(admin: Client, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    add(admin)
    Check.objects.update(asked_at=timezone.now() - timezone.timedelta(seconds=30))
    text = admin.get(f"/settings/sources/airflow/{Airflow.objects.get().pk}/").content.decode()
    assert text.count("Redis or Valkey does not answer") == 1 and "No worker answers" in text


def test_the_list_of_sources_asks_no_worker(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    add(admin)
    Check.objects.update(asked_at=timezone.now() - timezone.timedelta(seconds=30))
    asked: list[str] = []
    monkeypatch.setattr(views.system, "workers_work", lambda now: iter(asked.append("workers") or ()))
    assert "under way" in admin.get("/settings/sources/").content.decode() and asked == []
    admin.get(f"/settings/sources/airflow/{Airflow.objects.get().pk}/")
    assert asked == ["workers"]  # once, and not for the list's row too


def test_pressing_twice_asks_once(admin: Client) -> None:
    add(admin)
    path = f"/settings/sources/airflow/{Airflow.objects.get().pk}/test/"
    for _ in range(3):
        assert admin.post(path).status_code == 302
    assert Check.objects.count() == 1


def test_the_doctor_and_the_loop_back_test_are_asked_for(admin: Client) -> None:
    assert "There is no Airflow to send it to" in admin.get("/settings/doctor/").content.decode()
    add(admin)
    assert admin.post("/settings/doctor/", {"what": "doctor"}).status_code == 302
    loop = {"what": "loop_back", "airflow": "prod", "through": "https://vip.example.com"}
    assert admin.post("/settings/doctor/", loop).status_code == 302
    again = admin.post("/settings/doctor/", loop, follow=True)
    assert "This test is under way already" in again.content.decode() and Check.objects.count() == 3
    admin.post("/settings/doctor/", {**loop, "through": "https://other.example.com"})  # another test, within a minute
    assert sorted(Check.objects.values_list("kind", flat=True)) == ["doctor", "loop_back", "loop_back", "probe"]
    assert {row.details["through"] for row in Check.objects.filter(kind="loop_back")} == {
        "https://vip.example.com", "https://other.example.com",
    }  # fmt: skip
    Check.objects.update(finished_at=timezone.now())
    bad = admin.post("/settings/doctor/", {**loop, "through": "file:///etc/passwd"})
    assert bad.status_code == 400 and "The address through F5 must be an address" in bad.content.decode()
    assert admin.post("/settings/doctor/", {"what": "loop_back", "airflow": "none"}).status_code == 400


def test_every_page_is_whole_also_with_hostile_names(admin: Client) -> None:
    name = HOSTILE[:90]
    assert add(admin, name=name).status_code == 302
    assert add(admin, "device", name=f"{name}b", hostname=HOSTILE).status_code == 302
    paths = [
        *PATHS,
        f"/settings/sources/airflow/{Airflow.objects.get().pk}/",
        f"/settings/sources/device/{Device.objects.get().pk}/",
    ]
    for path in paths:
        answer = admin.get(path)
        markup = Markup(answer.content.decode())
        assert (answer.status_code, markup.h1, markup.inline, markup.unlabelled) == (200, 1, [], []), path
        assert len(markup.ids) == len(set(markup.ids)) and "<script>alert" not in answer.content.decode()
        assert "no-store" in answer["Cache-Control"]


def test_a_secret_in_the_wrong_field_is_not_shown_again(admin: Client) -> None:
    answer = add(admin, password="", password_ref=WORD)
    assert answer.status_code == 400 and WORD not in answer.content.decode()


def test_a_form_from_elsewhere_is_refused(admin: Client) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.get())
    for path in ("new/airflow/", "airflow/1/test/", "airflow/1/switch/"):
        assert client.post(f"/settings/sources/{path}", AIRFLOW).status_code == 403
    assert not Feed.objects.exists()


def test_what_airf5_itself_runs_on_is_no_secret_of_a_source(
    admin: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AIRF5_SECRET_PLACES = ["file:/run/secrets/*"]
    monkeypatch.setenv("A_DATABASE_PASSWORD_FILE", "/run/secrets/database_password")
    for name, status in (("database_password", 400), ("./database_password", 400), ("airflow", 302)):
        assert add(admin, password="", password_ref=f"file:/run/secrets/{name}").status_code == status
