"""The product's settings with a home of the test run's own, whatever the environment at the keyboard says."""

from __future__ import annotations

import os
import tempfile

for name in [name for name in os.environ if name.startswith(("AIRF5_", "DATABASE_URL", "REDIS_URL"))]:
    if name != "AIRF5_PG_BINDIR":  # the suite can be run on another PostgreSQL
        del os.environ[name]
os.environ["AIRF5_HOME"] = tempfile.mkdtemp(prefix="airf5-test-")
os.chmod(os.environ["AIRF5_HOME"], 0o711)  # PostgreSQL runs as another account when we are root

from airf5.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
