"""The bench runs, all of it, on a few rows: what it says of them means nothing, that it says it is the point."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from django.db import connection

from bench import run
from ingest.store import names

pytestmark = pytest.mark.long


@pytest.mark.django_db(transaction=True)  # it empties tables, and other processes look into them
def test_every_part_of_the_bench_runs(tmp_path: Path) -> None:
    figures = {figure.name: figure.value for figure in run.measure(tmp_path, small=True)}
    names.forget()
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA bench_airflow CASCADE")
    assert all(math.isfinite(value) for value in figures.values())
    for what in ("pairs", "responses alone", "template (a), pairs", "template (c), responses alone"):
        assert 0 < figures[f"{what}: bare COPY / file to rows"] < 20
    assert figures["two workers / one"] > 0
