"""Usual times: the medians that the statement takes from sorted lists are those of the tries that it says."""

from __future__ import annotations

import random
from datetime import timedelta
from statistics import median

import pytest

from ingest.correlate import load
from ingest.models import Try
from tests import world


@pytest.mark.parametrize("seed", range(6))
def test_the_medians_are_those_of_the_other_successful_tries_of_the_task(seed: int) -> None:
    rng = random.Random(seed)
    airflow = world.an_airflow()
    made = []
    for number in range(rng.randrange(1, 40)):
        end = world.NOW - timedelta(minutes=rng.randrange(60 * 24 * 40))
        own = rng.choice([None, float(rng.randrange(5)), rng.uniform(0, 9)])
        made.append(
            world.a_try(
                airflow=airflow, run_id=f"r{number}", task_id=rng.choice("ab"), state=rng.choice(["success", "failed"]),
                queued_at=end - timedelta(seconds=own or 7), start_at=end - timedelta(seconds=1), end_at=end, own_s=own,
            )
        )  # fmt: skip
    asked = rng.sample(made, k=max(1, len(made) // 2))
    mine = {t.pk for t in asked}
    found = {row[0]: row for row in load.rows("own_seconds", **load.around_ends(asked))}
    assert found.keys() == mine
    now = {t.pk: found[t.pk][1] if t.pk in mine else t.own_s for t in Try.objects.all()}
    for one in asked:
        since = one.end_at.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
        others = [
            now[t.pk] for t in made
            if t.task_id == one.task_id and t.state == "success" and t.end_at > since and t.pk != one.pk and now[t.pk] is not None
        ]  # fmt: skip
        _, own, number, usual, *_ = found[one.pk]
        assert own == pytest.approx((one.end_at - one.queued_at).total_seconds())
        assert number == len(others)
        assert usual == (pytest.approx(median(others)) if others else None)
