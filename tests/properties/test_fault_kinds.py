"""Each kind of fault of the bench causes tries whose truth says its cause."""

from __future__ import annotations

import pytest

from bench.faults import truth
from bench.faults.confound import emit
from bench.faults.kinds import KINDS, culprit
from bench.faults.sim import Sim
from tests.unit.bench.fault_worlds import a_fault, a_world

pytestmark = pytest.mark.long


def told(kind: str) -> list[dict[str, object]]:
    """The rows that a fault of this kind caused, of the first of five drawn ones of which the logs tell the cause."""
    for seed in range(5):
        world = a_world(kind)
        fault = a_fault(world, kind, seed=seed)
        sim = Sim(world, [fault])
        rows = [row for row in truth.truth(sim, emit(sim), {})["tries"] if row["fault"] == "F01"]
        want = {fault.cause or KINDS[kind].cause, *KINDS[kind].accepted} - {"undecided"}
        if any(row["identifiable"] and row["cause"] in want for row in rows):
            return rows
    raise AssertionError(f"no try was told to be caused by {kind}")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "H1"])
def test_each_kind_causes_tries_that_say_its_cause(kind: str) -> None:
    rows = told(kind)

    assert all(row["kind"] == kind and row["cause"] in row["accepted"] for row in rows)
    assert all(row["culprit"] == culprit(str(row["cause"])) for row in rows)
