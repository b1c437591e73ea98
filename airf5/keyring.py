"""The keys that seal secrets in the database: AES-256-GCM, each text bound to its place, the keys outside of it.

A ring is a list of keys, the newest first: it seals with the first and opens with whichever sealed. It comes from
AIRF5_SECRET_KEYS (or its _FILE), else from the file `secret_keys` in AIRF5_HOME, which is made when first needed and is
read each time, so that a rotation reaches all processes. It never stands in the database, and is not Django's key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from airf5.durable import sync_folder

VARIABLE = "AIRF5_SECRET_KEYS"
FORM = "a1"  # AES-256-GCM, a nonce of 12 bytes, key id and place as associated data
KEY_BYTES, NONCE_BYTES = 32, 12


class KeyringError(ValueError):
    """The keys cannot be used, or a sealed text cannot be opened; the sentence says what to do and holds no secret."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, and the id that a sealed text names it by: it tells nothing of the key."""

    ident: str
    value: bytes = field(repr=False)


def new_key() -> str:
    """A fresh key as it is written down."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii").rstrip("=")


def parse(text: str, where: str) -> tuple[Key, ...]:
    """The keys in a text, separated by commas, blanks or line ends."""
    found = []
    for number, word in enumerate(text.replace(",", " ").split(), 1):
        try:
            value = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            value = b""
        if len(value) != KEY_BYTES:
            raise KeyringError(
                f"Key {number} of {where} is none: expected {KEY_BYTES} random bytes as base64, "
                "such as `openssl rand -base64 32` prints."
            )
        ident = hashlib.sha256(b"airf5 key id\0" + value).hexdigest()[:12]
        if ident not in {key.ident for key in found}:
            found.append(Key(ident, value))
    return tuple(found)


def kept_in() -> Path | None:
    """The file the ring is kept in, or None where the environment gives it."""
    return None if settings.AIRF5_SECRET_KEYS else Path(settings.AIRF5_HOME) / "secret_keys"


def load(*, make: bool = False) -> tuple[Key, ...]:
    """The ring, newest first. Without one it is empty, or with `make` it is made."""
    file = kept_in()
    if file is None:
        return parse(settings.AIRF5_SECRET_KEYS, VARIABLE)
    try:
        text = file.read_text("ascii")
    except FileNotFoundError:
        if not make:
            return ()
        _make(file)
        text = file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyringError(f"{file} with the keys of sealed secrets cannot be read: {error}.") from error
    return parse(text, str(file))


def add_key() -> Key:
    """Put a new key before the others of the file; what is sealed from now on is sealed with it."""
    file = kept_in()
    if file is None:
        raise KeyringError(f"The keys come from {VARIABLE}: put a new key before the others there, and start again.")
    ring = load(make=True)
    fresh = parse(new_key(), str(file))[0]
    _write(file, (fresh, *ring))
    return fresh


def keep_only(idents: Sequence[str]) -> list[str]:
    """Drop the other keys from the file; the ids of what was dropped. The first key always stays."""
    file = kept_in()
    if file is None:
        return []
    ring = load()
    kept = [key for number, key in enumerate(ring) if number == 0 or key.ident in idents]
    if len(kept) < len(ring):
        _write(file, kept)
    return [key.ident for key in ring if key not in kept]


def seal(plain: str, place: str) -> tuple[str, str]:
    """(sealed text, id of the key) for a secret that belongs to this place (`table|pk|field`) and to no other."""
    ring = load(make=True)
    if not ring:
        raise KeyringError(f"There is no key to seal a secret with: {VARIABLE} is empty.")
    key, nonce = ring[0], secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(key.value).encrypt(nonce, plain.encode("utf-8"), _bound(place, key.ident))
    return f"{FORM}.{key.ident}.{base64.urlsafe_b64encode(nonce + sealed).decode('ascii')}", key.ident


def unseal(text: str, place: str) -> str:
    """The secret that was sealed for this place."""
    form, _, rest = text.partition(".")
    ident, _, body = rest.partition(".")
    if form != FORM:
        raise KeyringError("A sealed secret has a form that this version does not know: give the secret again.")
    key = next((key for key in load() if key.ident == ident), None)
    if key is None:
        where = kept_in() or VARIABLE
        raise KeyringError(
            f"Key {ident[:12]!r} that sealed a secret is not in {where}: bring it back, or give the secret again."
        )
    try:
        raw = base64.b64decode(body, altchars=b"-_", validate=True)
        plain = AESGCM(key.value).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(place, ident))
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise KeyringError(
            "A sealed secret does not open in its place: it was altered, moved from another source, or its source's "
            "address was changed outside of airf5. Give the secret again."
        ) from error
    return plain.decode("utf-8")


def _bound(place: str, ident: str) -> bytes:
    return f"{place}|{ident}".encode()


def _make(file: Path) -> None:
    """Make the file with one key, unless another process is quicker."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = _fresh(file, new_key() + "\n")
    try:
        os.link(fresh, file)  # unlike a rename, a link never replaces the one another process has just made
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _write(file: Path, ring: Sequence[Key]) -> None:
    words = [base64.urlsafe_b64encode(key.value).decode("ascii").rstrip("=") for key in ring]
    _fresh(file, "\n".join(words) + "\n").replace(file)
    sync_folder(file.parent)


def _fresh(file: Path, text: str) -> Path:
    """A new file beside this one with this text, durable, and readable by its owner only from the first moment on."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    return fresh
