"""Reads settings from environment variables, and is loud about nonsense: the variable, its value, what was expected."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

YES = {"1", "true", "yes", "on"}
NO = {"0", "false", "no", "off"}


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks; unset and empty are the same."""
    return os.environ.get(name, "").strip() or default


def number(name: str, default: int, least: int = 0, most: int = 2**31 - 1) -> int:
    """A whole number from least to most."""
    value = text(name)
    if not value:
        return default
    try:
        found = int(value)
    except ValueError:
        found = least - 1
    if not least <= found <= most:
        raise _wrong(name, value, f"a whole number from {least} to {most}")
    return found


def flag(name: str, default: bool = False) -> bool:
    """Yes or no, in the usual spellings."""
    value = text(name).lower()
    if value and value not in YES | NO:
        raise _wrong(name, value, "one of " + ", ".join(sorted(YES | NO)))
    return value in YES if value else default


def words(name: str, default: str = "") -> list[str]:
    """A list, separated by commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret(name: str, default: str = "") -> str:
    """NAME, or the content of the file that NAME_FILE names. Never shown in an error."""
    file = text(f"{name}_FILE")
    if not file:
        return text(name, default)
    if text(name):
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: only one of them can be meant.")
    try:
        found = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"{name}_FILE", file, f"a file that can be read ({error})") from error
    if not found:
        raise _wrong(f"{name}_FILE", file, "a file that is not empty")
    return found


def url(name: str, schemes: tuple[str, ...], default: str = "") -> str:
    """An address with one of these schemes."""
    value = text(name, default)
    if value and not _is_url(value, schemes):
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise _wrong(name, _without_password(value), f"an address that begins with {expected}")

    return value


def folder(name: str, default: Path) -> Path:
    """An absolute path; ~ is the home directory."""
    return Path(os.path.abspath(Path(text(name, str(default))).expanduser()))


def database(address: str, password: str = "") -> dict[str, object]:
    """Django's settings for a postgresql:// address. What follows the question mark goes to libpq."""
    parts = urlsplit(address)
    options: dict[str, object] = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or "") or password,
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5, "application_name": "airf5"} | options,
    }


def with_password(address: str, password: str) -> str:
    """A redis:// address with this password, unless it brings its own."""
    parts = urlsplit(address)
    if not (address and password) or parts.password:
        return address
    return parts._replace(
        netloc=f"{parts.username or ''}:{quote(password, safe='')}@{parts.netloc.rpartition('@')[2]}"
    ).geturl()


def kept_secret(path: Path) -> str:
    """The secret in this file; made up and kept, readable by its owner only, when there is none yet."""
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(secrets.token_urlsafe(40), "ascii")
    fresh.chmod(0o600)
    try:
        os.link(fresh, path)  # unlike a rename, a link never replaces the one another process has just made
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text("ascii").strip()


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and "://" in value and parts.port != 0
    except ValueError:
        return False


def _without_password(value: str) -> str:
    _head, at, tail = value.rpartition("@")
    return f"…@{tail}" if at else value


def _wrong(name: str, value: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is {value!r}; expected {expected}.")
