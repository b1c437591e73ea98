"""Unit tests touch no database, mail or address: what pytest-django does before and after each test is left out here.

There are some 1,600 of them, most of a tenth of a millisecond. A fixture of the same name nearer to the test wins.
"""

from __future__ import annotations

import pytest

PER_TEST = (
    "_dj_autoclear_mailbox",
    "_django_clear_site_cache",
    "_django_db_marker",
    "_django_isolate_apps",
    "_django_set_urlconf",
    "_live_server_helper",
    "_template_string_if_invalid_marker",
    "_django_setup_unittest",
)


def _nothing(name: str) -> object:
    return pytest.fixture(scope="session", autouse=True, name=name)(lambda: None)


globals().update({f"left_out{name}": _nothing(name) for name in PER_TEST})
