"""Sealed texts: they open in their place only, any change is seen, and the ring is kept for its owner alone."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest

from airf5 import keyring

PLACE = "ingest_sourcesecret|7|3.password@abc"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.AIRF5_HOME = tmp_path
    return tmp_path


def test_what_is_sealed_opens_in_its_place() -> None:
    text, ident = keyring.seal("pä55 word", PLACE)
    assert keyring.unseal(text, PLACE) == "pä55 word"
    assert ident == keyring.load()[0].ident and "55" not in text
    assert keyring.seal("pä55 word", PLACE)[0] != text  # no two alike


@pytest.mark.parametrize(
    "place", ["ingest_sourcesecret|8|3.password@abc", PLACE.replace("password", "token"), PLACE + "d", ""]
)
def test_it_opens_in_no_other_place(place: str) -> None:
    text, _ = keyring.seal("pw", PLACE)
    with pytest.raises(keyring.KeyringError, match="does not open in its place"):
        keyring.unseal(text, place)


def test_every_changed_bit_is_seen() -> None:
    text, _ = keyring.seal("pw", PLACE)
    head, _, body = text.rpartition(".")
    raw = base64.urlsafe_b64decode(body)
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(keyring.KeyringError):
            keyring.unseal(f"{head}.{base64.urlsafe_b64encode(bytes(changed)).decode()}", PLACE)
    for cut in range(len(text)):
        with pytest.raises(keyring.KeyringError):
            keyring.unseal(text[:cut], PLACE)


def test_the_key_id_is_bound_too() -> None:
    """Two ids for one key would let an old text pass for a new one."""
    text, ident = keyring.seal("pw", PLACE)
    fresh = keyring.add_key()
    with pytest.raises(keyring.KeyringError, match="does not open"):
        keyring.unseal(text.replace(ident, fresh.ident), PLACE)


def test_the_file_is_made_for_its_owner_alone(home: Path) -> None:
    assert keyring.load() == ()
    keyring.seal("pw", PLACE)
    keyring.add_key()
    file = home / "secret_keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["secret_keys"]


def test_the_newest_key_seals_and_an_older_one_still_opens() -> None:
    old_text, old = keyring.seal("pw", PLACE)
    fresh = keyring.add_key()
    new_text, ident = keyring.seal("pw", PLACE)
    assert ident == fresh.ident != old
    assert keyring.unseal(old_text, PLACE) == keyring.unseal(new_text, PLACE) == "pw"
    assert keyring.keep_only([]) == [old]
    with pytest.raises(keyring.KeyringError, match=f"Key '{old}' that sealed a secret is not in"):
        keyring.unseal(old_text, PLACE)


def test_keys_from_the_environment_replace_the_file(settings: Any, home: Path) -> None:
    newer, older = keyring.new_key(), base64.b64encode(b"k" * 32).decode()
    settings.AIRF5_SECRET_KEYS = f"{newer}, {older}"
    text, ident = keyring.seal("pw", PLACE)
    assert ident == keyring.load()[0].ident and not list(home.iterdir())
    with pytest.raises(keyring.KeyringError, match="put a new key before the others there"):
        keyring.add_key()
    settings.AIRF5_SECRET_KEYS = older
    with pytest.raises(keyring.KeyringError, match="is not in AIRF5_SECRET_KEYS"):
        keyring.unseal(text, PLACE)


@pytest.mark.parametrize(
    "text", ["short", base64.b64encode(b"k" * 31).decode(), "§" * 43, base64.b64encode(b"k" * 33).decode()]
)
def test_what_is_no_key_is_said_without_showing_it(text: str) -> None:
    with pytest.raises(keyring.KeyringError, match="Key 1 of the file is none: expected 32 random bytes") as error:
        keyring.parse(text, "the file")
    assert text not in str(error.value)


def test_a_key_does_not_show_itself() -> None:
    key = keyring.parse(keyring.new_key(), "x")[0]
    assert "value" not in repr(key) and repr(key.value) not in repr(key)
