"""A home of the bench's own, so that no run meets what the project keeps, or another run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT = "AIRF5_PG_BINDIR"  # which programs, and nothing of where or what


@contextmanager
def own_home(purpose: str) -> Iterator[Path]:
    """An empty AIRF5_HOME, and no other setting of airf5 in the environment; gone afterwards, the environment is not put back."""
    home = Path(tempfile.mkdtemp(prefix=f"airf5-{purpose}-"))
    home.chmod(0o711)  # PostgreSQL runs as another account when we are root
    for name in [name for name in os.environ if name.startswith(("AIRF5_", "DATABASE_URL", "REDIS_URL"))]:
        if name != KEPT:
            del os.environ[name]
    os.environ |= {"AIRF5_HOME": str(home), "DJANGO_SETTINGS_MODULE": "airf5.settings"}
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
