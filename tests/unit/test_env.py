"""Settings from the environment: what is read, and how loud nonsense is."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from airf5 import env

NAME = "AIRF5_TRIED"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.delenv(f"{NAME}_FILE", raising=False)
    return monkeypatch


def test_unset_and_empty_give_the_default(given: pytest.MonkeyPatch) -> None:
    assert env.text(NAME, "x") == "x"
    given.setenv(NAME, "  ")
    assert (env.text(NAME, "x"), env.number(NAME, 7), env.flag(NAME, True)) == ("x", 7, True)


@pytest.mark.parametrize(("value", "meant"), [("1", True), ("Yes", True), ("ON", True), ("off", False), ("0", False)])
def test_a_flag_has_the_usual_spellings(given: pytest.MonkeyPatch, value: str, meant: bool) -> None:
    given.setenv(NAME, value)
    assert env.flag(NAME, not meant) is meant


def test_words_are_separated_by_commas(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, "a.example.org, b.example.org,")
    assert env.words(NAME) == ["a.example.org", "b.example.org"]


@pytest.mark.parametrize("value", ["many", "1.5", "0", "65536", "-3"])
def test_a_wrong_number_names_variable_value_and_what_was_expected(given: pytest.MonkeyPatch, value: str) -> None:
    given.setenv(NAME, value)
    with pytest.raises(ImproperlyConfigured) as error:
        env.number(NAME, 80, least=1, most=65535)
    assert str(error.value) == f"{NAME} is {value!r}; expected a whole number from 1 to 65535."


def test_a_wrong_flag_is_loud(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, "maybe")
    with pytest.raises(ImproperlyConfigured, match="AIRF5_TRIED is 'maybe'; expected one of"):
        env.flag(NAME)


def test_a_secret_comes_from_its_file(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of great length\n")
    given.setenv(f"{NAME}_FILE", str(tmp_path / "key"))
    assert env.secret(NAME) == "of great length"


def test_a_missing_secret_file_is_loud(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given.setenv(f"{NAME}_FILE", str(tmp_path / "gone"))
    with pytest.raises(ImproperlyConfigured, match=r"AIRF5_TRIED_FILE is '.*gone'; expected a file that can be read"):
        env.secret(NAME)


def test_an_empty_secret_file_is_loud(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    given.setenv(f"{NAME}_FILE", str(tmp_path / "key"))
    with pytest.raises(ImproperlyConfigured, match="a file that is not empty"):
        env.secret(NAME)


def test_a_secret_given_twice_is_loud(given: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given.setenv(NAME, "one")
    given.setenv(f"{NAME}_FILE", str(tmp_path / "other"))
    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.secret(NAME)


@pytest.mark.parametrize("value", ["mysql://u:hidden@h/db", "postgresql:db", "postgresql://h:99999/db", "h:5432"])
def test_a_wrong_address_is_loud_and_keeps_the_password(given: pytest.MonkeyPatch, value: str) -> None:
    given.setenv(NAME, value)
    with pytest.raises(ImproperlyConfigured, match="expected an address that begins with postgresql://") as error:
        env.url(NAME, ("postgresql",))
    assert "hidden" not in str(error.value)


def test_an_address_becomes_a_database() -> None:
    found = env.database("postgresql://me:p%40ss@db.example.org:6432/air%20f5?sslmode=verify-full")
    assert [found[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "me", "p@ss", "db.example.org", "6432", "air f5",
    ]  # fmt: skip
    assert found["OPTIONS"] == {"connect_timeout": 5, "application_name": "airf5", "sslmode": "verify-full"}


def test_a_password_beside_the_address_is_used_when_it_has_none() -> None:
    assert env.database("postgresql://me@db/airf5", "secret")["PASSWORD"] == "secret"
    assert env.database("postgresql://me:own@db/airf5", "secret")["PASSWORD"] == "own"
    assert env.with_password("redis://cache:6379/0", "a/b") == "redis://:a%2Fb@cache:6379/0"
    assert env.with_password("redis://:own@cache/0", "secret") == "redis://:own@cache/0"
    assert env.with_password("", "secret") == ""


def test_a_kept_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "home" / "key"
    first = env.kept_secret(path)
    assert len(first) >= 50
    assert env.kept_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["key"]


def test_a_folder_is_absolute(given: pytest.MonkeyPatch) -> None:
    given.setenv(NAME, "~/x/../y")
    given.setenv("HOME", "/home/me")
    assert env.folder(NAME, Path("/z")) == Path("/home/me/y")
