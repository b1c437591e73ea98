"""Sealed secrets of sources: kept, dropped with the address, never told, and rotated however often it is interrupted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from airf5 import keyring
from airf5.accounts.models import UserAction
from ingest import actions, airflow_feed
from ingest.models import Feed, SourceSecret
from ingest.setup import source_secrets, source_setup
from ingest.sources.http import SourceRefused

WORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.AIRF5_HOME = tmp_path
    return tmp_path


def configure(name: str = "prod", url: str = "https://airflow.example.com", secret: str = WORD, **more: Any) -> Feed:
    config = {"base_url": url, "username": "airf5", "password": "sealed:", **more}
    return actions.configure_source(
        "airflow_api", name, None, None, config, "ann", {"password": secret} if secret else {}
    )


def everything() -> str:
    """All that the database holds in the tables that people's doings reach."""
    tables = ("ingest_feed", "ingest_airflow", "ingest_sourcesecret", "accounts_useraction", "ingest_check")
    with connection.cursor() as cursor:
        out = []
        for table in tables:
            cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} t")
            out += [row[0] for row in cursor.fetchall()]
    return "\n".join(out)


def test_a_sealed_secret_reaches_the_worker_and_nothing_else() -> None:
    feed = configure()
    source = airflow_feed.source_of(Feed.objects.get(pk=feed.pk))
    assert source.password == WORD and WORD not in repr(source)
    assert WORD not in everything() and feed.config["password"] == "sealed:"
    assert UserAction.objects.get().detail["config"]["password"] == "sealed:"
    assert json.loads(json.dumps(feed.config)) == feed.config


def test_a_change_elsewhere_keeps_it() -> None:
    configure()
    feed = configure(secret="", poll_s=30)
    assert source_secrets.of(feed, "password") == WORD


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://evil.example.com"},
        {"url": "http://airflow.example.com"},
        {"url": "https://airflow.example.com:8443"},
        {"options": {"verify": False}},
        {"options": {"proxy": "http://10.9.9.9:3128"}},
    ],
)
def test_another_destination_asks_for_it_again(change: dict[str, Any]) -> None:
    configure()
    with pytest.raises(actions.Refused, match="The address changes: name the password or token again"):
        configure(secret="", **change)
    assert source_secrets.of(Feed.objects.get(), "password") == WORD  # nothing changed
    feed = configure(secret="another", **change)
    assert source_secrets.of(feed, "password") == "another" and SourceSecret.objects.count() == 1


def test_with_a_reference_the_sealed_one_goes_in_the_same_step() -> None:
    configure()
    feed = configure(url="https://b.example.com", secret="", password="env:AIRF5_SOURCE_B")
    assert not SourceSecret.objects.exists()
    with pytest.raises(SourceRefused, match="AIRF5_SOURCE_B with the password or token is not set"):
        source_secrets.of(feed, "password")


def test_an_address_changed_past_the_door_does_not_get_it() -> None:
    feed = configure()
    Feed.objects.update(config=feed.config | {"base_url": "https://evil.example.com"})
    with pytest.raises(SourceRefused, match=r"cannot be opened.*Give the secret again"):
        airflow_feed.source_of(Feed.objects.get())


def test_texts_swapped_between_rows_do_not_open() -> None:
    configure("a", secret="one")
    configure("b", secret="two")
    a, b = SourceSecret.objects.order_by("pk")
    SourceSecret.objects.filter(pk=a.pk).update(sealed=b.sealed)
    SourceSecret.objects.filter(pk=b.pk).update(sealed=a.sealed)
    for feed in Feed.objects.all():
        with pytest.raises(SourceRefused, match="does not open in its place"):
            source_secrets.of(feed, "password")


def test_a_marker_without_a_secret_is_refused() -> None:
    with pytest.raises(actions.Refused, match="The password is missing"):
        configure(secret="")
    with pytest.raises(actions.Refused, match="more than 4,000 characters"):
        configure(secret="x" * 4_001)
    assert not Feed.objects.exists()


def test_a_rotation_seals_all_anew_and_drops_the_old_key(home: Path) -> None:
    for number in range(5):
        configure(f"a{number}", secret=f"{WORD} {number}")
    old = keyring.load()[0].ident
    out = io.StringIO()
    call_command("secrets", "rotate", stdout=out)
    ring = keyring.load()
    assert [key.ident == old for key in ring] == [False]
    assert f"5 secrets are sealed with key {ring[0].ident} now." in out.getvalue() and old in out.getvalue()
    assert [source_secrets.of(feed, "password") for feed in Feed.objects.all()] == [f"{WORD} {n}" for n in range(5)]
    assert UserAction.objects.latest("pk").verb == "rotate_secrets" and WORD not in everything()
    call_command("secrets", "list", stdout=out)
    assert out.getvalue().count(": opens") == 5 and WORD not in out.getvalue()


def test_an_interrupted_rotation_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        configure(f"a{number}", secret=str(number))
    seal, calls = keyring.seal, []

    def dies(plain: str, place: str) -> tuple[str, str]:
        calls.append(place)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return seal(plain, place)

    monkeypatch.setattr(keyring, "seal", dies)
    with pytest.raises(KeyboardInterrupt):
        source_secrets.rotate("ann")
    assert len(keyring.load()) == 2
    assert [source_secrets.of(feed, "password") for feed in Feed.objects.all()] == list("0123")
    done = source_secrets.rotate("ann", keep_old=True)
    assert (done.sealed, len(keyring.load())) == (2, 2)  # the rest, and no third key
    assert [source_secrets.of(feed, "password") for feed in Feed.objects.all()] == list("0123")


def test_a_key_is_added_while_nobody_else_seals_or_rotates(monkeypatch: pytest.MonkeyPatch) -> None:
    add_key, held = keyring.add_key, []

    def watched() -> keyring.Key:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
            )
            held.extend(row[0] for row in cursor.fetchall())
        return add_key()

    monkeypatch.setattr(keyring, "add_key", watched)
    source_secrets.rotate("ann")
    assert held == ["ExclusiveLock"]


def test_what_does_not_open_is_named_and_its_key_is_kept(home: Path) -> None:
    configure("a")
    configure("b")
    broken = SourceSecret.objects.get(feed__name="b")
    SourceSecret.objects.filter(pk=broken.pk).update(sealed=broken.sealed[:-4] + "AAA=")
    with pytest.raises(CommandError, match="have to be given again: password of b"):
        call_command("secrets", "rotate", stdout=io.StringIO())
    assert len(keyring.load()) == 2
    with pytest.raises(CommandError, match="1 secrets do not open"):
        call_command("secrets", "list", stdout=io.StringIO())


def test_a_lost_key_is_said(home: Path) -> None:
    feed = configure()
    (home / "secret_keys").unlink()
    with pytest.raises(SourceRefused, match=r"that sealed a secret is not in .*give the secret again"):
        source_secrets.of(feed, "password")


def test_a_link_to_what_airf5_runs_on_is_none_either(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, link = tmp_path / "database_password", tmp_path / "source_x"
    own.write_text("x")
    link.symlink_to(own)
    settings.AIRF5_SECRET_PLACES = [f"file:{tmp_path}/source_*"]
    assert source_setup.may_refer(f"file:{link}")
    monkeypatch.setenv("A_DATABASE_PASSWORD_FILE", str(own))
    assert not source_setup.may_refer(f"file:{link}")
